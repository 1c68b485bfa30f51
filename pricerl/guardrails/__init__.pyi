from .config import GuardrailConfig as GuardrailConfig
from .limits import (
    PriceBand as PriceBand,
    PriceLimits as PriceLimits,
    feasible_band as feasible_band,
    price_box as price_box,
    project as project,
)
