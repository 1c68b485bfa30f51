from .config import GuardrailConfig as GuardrailConfig
from .limits import PriceLimits as PriceLimits
from .projection import (
    PriceBand as PriceBand,
    feasible_band as feasible_band,
    price_box as price_box,
    project as project,
)
