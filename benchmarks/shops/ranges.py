"""Ranges from which the makers of simulated sellers draw the shop of each kind of seller.

Kinds that are absent share one maker's ranges; every other kind has its own.
"""

from __future__ import annotations

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.simulation.true_demand import ShopRanges

EARLY_WEEK = (1.18, 1.12, 1.05, 1.00, 0.92, 0.80, 0.93)
"""Demand by weekday of buyers at their desks, Monday first; the mean is 1."""
SATURDAYS = (0.80, 0.78, 0.86, 0.95, 1.13, 1.48, 1.00)
"""The same for weekend shoppers."""


STANDARD = ShopRanges()

RANGES: dict[str, ShopRanges] = {
    # Within two weeks buyers who remember prices punish a rise; only well underpriced sellers should make one.
    "reference": ShopRanges(optimum_steps=(0.1, 0.5)),
    "repricer": ShopRanges((10.0, 120.0), (-3.2, -1.6), (0.03, 0.13), (5, 21), 0.05, 6.0, EARLY_WEEK),
    "stockpiling": ShopRanges((2.0, 15.0), (-2.0, -1.3), (0.04, 0.13), (28, 70), 0.12, 15.0, SATURDAYS),
    "averages": ShopRanges((15.0, 90.0), (-3.0, -1.6), (0.03, 0.13), (10, 40), 0.15, 8.0, EARLY_WEEK),
    "closed": ShopRanges((5.0, 60.0), (-3.0, -1.5), (0.03, 0.13), (7, 21), 0.18, 8.0),
    "thin": ShopRanges(
        (20.0, 200.0), (-2.6, -1.8), hold_days=(4, 20), price_range=0.06, noise_size=12.0, fixed_cost=0.005
    ),
    "jump": ShopRanges((8.0, 60.0), (-2.8, -1.6), (0.03, 0.13), (5, 30), 0.15),
    "late_stockouts": ShopRanges((5.0, 40.0), (-3.0, -1.6), (0.03, 0.13), (4, 14), 0.2, 20.0, SATURDAYS),
    "two_competitors": ShopRanges((20.0, 150.0), (-3.5, -1.8), (0.03, 0.13), (3, 10), 0.1, 12.0, EARLY_WEEK),
}


def ranges_of(kind: str) -> ShopRanges:
    """Return the ranges of a kind of seller."""
    return RANGES.get(kind, STANDARD)


def weekday_demand(kind: str, closed: FloatArray) -> FloatArray:
    """Return the multiplier of each weekday's demand, Monday first, ``(7,)``; 1 on average, 0 on closed days."""
    demand = np.array(ranges_of(kind).weekdays) * (1 - closed)
    return np.asarray(demand / demand.mean())
