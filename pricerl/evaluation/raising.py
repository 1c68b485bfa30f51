"""The decision statistic: would a slightly higher price earn more?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.market import ProductMarket

CHANGE = 0.05
"""The elasticity is that between prices this share below and above."""


class Raising(NamedTuple):
    """Whether a slightly higher price earns more; a slightly lower one does where it does not."""

    chance: float
    """Share of the posterior draws in which it does."""
    break_even: float | None
    """Percent of units lost to a price 1 % higher at which nothing is gained, at the mean costs; None where a unit is
    sold at a loss."""


def would_raising_pay(market: ProductMarket, price: float) -> Raising | None:
    """Compare every posterior draw's elasticity ``e`` with its break-even.

    ``d/dp (k p - c) q(p) > 0`` if and only if ``|e| < k p / (k p - c)`` (Lerner 1934), with ``k`` the share kept and
    ``c`` the unit cost; where a unit is sold at a loss, a higher price always earns more.

    Args:
        market: fitted market of one product.
        price: money.

    Returns:
        None where costs are unknown.
    """
    cost = market.cost
    if not cost.known:
        return None
    ends = np.log(price) + np.log([1 - CHANGE, 1 + CHANGE])
    low, high = np.stack([np.interp(ends, market.log_grid, row) for row in market.units.log_value]).T
    fall = (low - high) / (ends[1] - ends[0])
    kept = cost.share_kept * price
    pays = (kept <= cost.unit_cost) | (fall * (kept - cost.unit_cost) < kept)
    mean, margin = float(kept.mean()), float(kept.mean() - cost.unit_cost.mean())
    return Raising(float(pays.mean()), mean / margin if margin > 0 else None)
