"""Draws of a product's demand curve, whatever model they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression

from pricerl.arrays import FloatArray
from pricerl.market.demand.reference_price import PriceMemory

SLOPE_RANGE = (-8.0, -0.05)
"""Elasticity bounds on the whole grid: demand falls with price, and no cliff is steeper than -8."""

SMOOTHING_SHARE = 0.04
"""Width of the smoothing after the monotone projection, as a share of the grid: it removes its steps."""


@dataclass(frozen=True)
class Curves:
    """Draws of expected value by price, for one product and one quantity."""

    log_value: FloatArray
    """``(K, G)`` log of the expected value on the grid."""
    effective_days: FloatArray
    """``(G,)`` effective number of days at similar prices: ``(sum w)^2 / sum w^2`` (Kish), at most ``sum w``."""
    dispersion: float
    """Variance over mean of a day's value around its expectation."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""
    outliers: int
    """Days left out as outliers."""


@dataclass(frozen=True)
class Demand:
    """What a demand model says about one product."""

    curves: Curves
    """Draws of an average weekday's units."""
    weekday: FloatArray
    """``(7,)`` demand of each weekday over the average."""
    memory: PriceMemory | None = None
    """What buyers make of a price they are not used to; None where the model does not say."""
    effects: dict[str, float] = field(default_factory=dict)
    """Coefficients of the causes that only some files tell of, by name; see ``market.demand.causes``."""


def shape_curves(log_value: FloatArray, weights: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Make curves ``(K, G)`` fall in price: monotone projection, smoothing, bounded slope.

    The projection is isotonic least squares weighted by ``weights (G,)``; smoothing takes away its steps, on whose
    wrong side a policy would land; slopes are then held inside ``SLOPE_RANGE`` about the best-known price.
    """
    step = float(log_grid[1] - log_grid[0])
    weights = weights + 1e-3 * weights.max() + 1e-9
    projected = np.stack([isotonic_regression(row, weights=weights, increasing=False).x for row in log_value])
    slope = np.clip(np.diff(projected, axis=1) / step, *SLOPE_RANGE)
    slope = gaussian_filter1d(slope, SMOOTHING_SHARE * len(log_grid), axis=1, mode="nearest")
    rebuilt = np.concatenate([np.zeros((len(slope), 1)), np.cumsum(slope * step, axis=1)], axis=1)
    level = ((projected - rebuilt) * weights).sum(1, keepdims=True) / weights.sum()
    return np.asarray(rebuilt + level)


def closeness(log_price: FloatArray, log_grid: FloatArray, bandwidth: float) -> FloatArray:
    """Gaussian closeness ``(D, G)`` of each day's price to each price of the grid."""
    return np.asarray(np.exp(-0.5 * ((log_price[:, None] - log_grid[None]) / bandwidth) ** 2))


def effective_days(log_price: FloatArray, recency: FloatArray, log_grid: FloatArray, bandwidth: float) -> FloatArray:
    """Effective number of days ``(G,)`` at prices like those of ``log_grid``: ``(sum w)^2 / sum w^2`` (Kish).

    Args:
        log_price: ``(D,)``.
        recency: ``(D,)`` what a day counts.
        log_grid: ``(G,)``.
        bandwidth: see ``closeness``.
    """
    kernel = recency[:, None] * closeness(log_price, log_grid, bandwidth)
    kish = kernel.sum(0) ** 2 / np.maximum((kernel**2).sum(0), 1e-300)
    return np.asarray(np.minimum(kish, kernel.sum(0)))
