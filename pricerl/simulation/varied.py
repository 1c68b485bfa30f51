"""Simulated sellers of many kinds, on whose markets the network that ships is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.simulation.true_demand import ShopRanges

FAMILIES = ("constant", "linear", "exponential", "logit", "kinked")
DAYS = (60, 730)
"""Days of history, log-uniform; so are the two below."""
UNITS = (1.5, 500.0)
"""Mean daily units."""
ELASTICITIES = (1.5, 20.0)
"""Absolute elasticity at the starting price: margins fat to thin."""
FARTHEST = 0.6
"""Largest log distance of the best price from the starting one, times the elasticity, so that demand remains there."""
PRICE_RANGES = (0.03, 0.25)
"""Log distance of planned prices from the starting one: histories narrow and wide."""
ROUND_PRICES = (3.0, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0)
ROUNDED, FALLS = 0.5, (0.05, 0.35)
"""Share of the sellers who stand at most 8 % from a round price, and of these of whom demand falls there by a share."""
REMEMBERING, LOSSES, MEMORY = 0.4, (0.3, 2.5), 0.9
"""Share of the sellers whose buyers remember prices, their log loss per log price above, and what is left per day."""


def draw_kind(generator: np.random.Generator) -> tuple[dict[str, Any], ShopRanges]:
    """Draw market, units and days of one product, and the ranges of its shop."""
    drawn = {
        "days": round(_log_uniform(DAYS, generator)),
        "market": str(generator.choice(FAMILIES)),
        "units": _log_uniform(UNITS, generator),
    }
    elasticity = _log_uniform(ELASTICITIES, generator)
    price = _log_uniform((3.0, 200.0), generator)
    if generator.random() < ROUNDED:
        price = generator.choice(ROUND_PRICES) * np.exp(generator.choice([-0.001, generator.uniform(-0.08, 0.08)]))
    hold = int(generator.integers(3, 15))
    ranges = ShopRanges(
        start_prices=(price, price),
        elasticities=(-elasticity, -elasticity),
        optimum_steps=(0.0, min(FARTHEST / elasticity, 0.3)),
        hold_days=(hold, 2 * hold),
        price_range=min(_log_uniform(PRICE_RANGES, generator), 1.5 / elasticity),
        noise_size=_log_uniform((4.0, 40.0), generator),
    )
    return drawn, ranges


def add_effects(truth: dict[str, Any], generator: np.random.Generator) -> None:
    """Let demand of some products fall at the next round price, and buyers of some remember prices."""
    parameters = truth["parameters"]
    near = [value for value in ROUND_PRICES if abs(np.log(value / truth["current_price"])) < 0.09]
    if near and generator.random() < ROUNDED:
        parameters.update(threshold=near[0], jump=float(-np.log1p(-generator.uniform(*FALLS))))
    if generator.random() < REMEMBERING:
        parameters.update(loss=generator.uniform(*LOSSES), gained=generator.random())


def lift_by_memory(truth: dict[str, Any], price: FloatArray) -> FloatArray:
    """Return the demand multiplier of buyers who remember the prices ``(D,)``: 1 if they do not."""
    parameters = truth["parameters"]
    logs = pd.Series(np.log(price))
    rise = (logs - logs.ewm(alpha=1 - MEMORY, adjust=False).mean().shift(fill_value=logs[0])).to_numpy()
    weight = np.where(rise > 0, 1.0, parameters.get("gained", 0.0))
    return np.asarray(np.exp(-parameters.get("loss", 0.0) * weight * rise))


def _log_uniform(ends: tuple[float, float], generator: np.random.Generator) -> float:
    return float(np.exp(generator.uniform(*np.log(ends))))
