"""The level of demand in the last weeks, which the coming days start from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pricerl.market.curves import Curves
from pricerl.market.outliers import find_inliers
from pricerl.market.similar import RECENT_DAYS, Days

LEVEL_PRIOR = 30.0
"""Effective sales that the long-run level is worth against the last ``RECENT_DAYS``."""


def recent_level(days: Days, curves: Curves, log_grid: NDArray[np.float64], outlier_sds: float) -> tuple[float, float]:
    """Return the log of recent demand over what the curves expect at the recent prices, shrunk to 0, and its sd.

    A day far from the others of its weeks is left out: one bulk order is no new level.

    Args:
        days: the product's usable days, at least one.
        curves: their curves.
        log_grid: ``(G,)`` log prices of the curves.
        outlier_sds: robust sds from which a day is left out.
    """
    recent = days.keep(days.age <= max(RECENT_DAYS - 1, days.age.min()))
    mean = np.log(np.exp(curves.log_value).mean(0))
    expected = np.exp(np.interp(recent.log_price, log_grid, mean)) * recent.offset
    usual = find_inliers(recent.value, expected, outlier_sds)
    prior = LEVEL_PRIOR * curves.dispersion
    sold = float(recent.value[usual].sum()) + prior
    return float(np.log(sold / (float(expected[usual].sum()) + prior))), float(np.sqrt(curves.dispersion / sold))
