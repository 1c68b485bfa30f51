"""Which prices are allowed: the limits a seller sets, each rule once."""

from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits import PriceBand, PriceLimits, feasible_band, price_box, project

__all__ = ["GuardrailConfig", "PriceBand", "PriceLimits", "feasible_band", "price_box", "project"]
