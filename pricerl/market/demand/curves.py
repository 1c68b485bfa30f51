"""Posterior draws of one product's demand curve, from any demand model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.price_setting import Kind
from pricerl.market.demand.reference_price import PriceMemory

SLOPE_RANGE = (-40.0, -0.05)
"""Elasticity bounds on the whole grid: demand falls with price, at most as steeply as in price-comparison shops."""

SHAPED_RANGE = (-8.0, -0.05)
"""The same for averages of days at similar prices, whose noise looks like cliffs."""

SMOOTHING_SHARE = 0.04
"""Width of the Gaussian that smooths a curve's slopes, as a share of the grid."""

BANDWIDTH = 0.06
"""Sd of the kernel over log prices: a day at a 6 % higher price has weight exp(-1/2)."""

HALF_LIFE_DAYS = 180.0
"""Age in days at which a day's weight is halved."""


@dataclass(frozen=True)
class CurveDraws:
    """Posterior draws of an expected value by price, for one product and one quantity."""

    log_value: FloatArray
    """``(K, G)`` log of the expected value on the grid."""
    effective_days: FloatArray
    """``(G,)`` effective number of days at similar prices: ``(sum w)^2 / sum w^2`` (Kish), at most ``sum w``."""
    dispersion: float
    """Variance over mean of a day's value around its expectation."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""
    outliers: int
    """Number of days excluded as outliers."""


@dataclass(frozen=True)
class DemandPosterior:
    """Posterior of one product's demand."""

    curves: CurveDraws
    """Draws of an average weekday's units."""
    weekday: FloatArray
    """``(7,)`` demand of each weekday over the average."""
    days: DailyValues
    """All days as the curves see them: regular prices, units, and multipliers of demand at them."""
    memory: PriceMemory | None = None
    """Reference-price effect; None where the model has none."""
    holiday: FloatArray = field(default_factory=lambda: np.ones(3))
    """``(3,)`` demand by day type over that of an ordinary day; see ``data.day_types``."""
    kind: Kind = "plain"
    """How the prices were set, which decides what may be claimed."""


@dataclass(frozen=True)
class DailyValues:
    """A quantity of one product on its ``D`` usable days."""

    log_price: FloatArray
    """``(D,)`` log price."""
    value: FloatArray
    """``(D,)`` units or a conversion percentage, not negative."""
    offset: FloatArray
    """``(D,)`` known multiplier of each day (weekday factor)."""
    age: FloatArray
    """``(D,)`` days before the end of history, at least 0."""

    def keep(self, mask: BoolArray) -> DailyValues:
        """Return the days selected by ``mask``."""
        return DailyValues(self.log_price[mask], self.value[mask], self.offset[mask], self.age[mask])


def shape_curves(log_value: FloatArray, weights: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Make curves ``(K, G)`` decrease in price: monotone projection, smoothing, bounded slope.

    The projection is isotonic least squares weighted by ``weights (G,)``. Smoothing removes its steps, which a
    policy would exploit. Slopes are then clipped to ``SHAPED_RANGE`` around the best-known price.
    """
    weights = weights + 1e-3 * weights.max() + 1e-9
    projected = log_value.copy()
    for row in np.flatnonzero((np.diff(log_value, axis=1) > 0).any(axis=1)):
        projected[row] = isotonic_regression(log_value[row], weights=weights, increasing=False).x
    rebuilt = smooth_slopes(projected, float(log_grid[1] - log_grid[0]), SHAPED_RANGE)
    level = ((projected - rebuilt) * weights).sum(1, keepdims=True) / weights.sum()
    return np.asarray(rebuilt + level)


def smooth_slopes(
    log_value: FloatArray, step: float | FloatArray, bounds: tuple[float, float] = SLOPE_RANGE
) -> FloatArray:
    """Clip the slopes of curves ``(K, G)`` to ``bounds`` and smooth them; the first value becomes 0.

    Args:
        log_value: ``(K, G)``.
        step: distance of grid points in log price, a number or ``(G - 1,)``.
        bounds: steepest and flattest slope.
    """
    slope = np.clip(np.diff(log_value, axis=1) / step, *bounds)
    slope = gaussian_filter1d(slope, SMOOTHING_SHARE * log_value.shape[1], axis=1, mode="nearest")
    return integrate(slope * step)


def integrate(rises: FloatArray) -> FloatArray:
    """Return curves ``(K, G)`` that start at 0 from their increments ``(K, G - 1)``."""
    return np.concatenate([np.zeros((len(rises), 1)), np.cumsum(rises, axis=1)], axis=1)


def recency_of(age: FloatArray) -> FloatArray:
    """Return the weight ``(D,)`` of days by their age in days."""
    return np.asarray(0.5 ** (age / HALF_LIFE_DAYS))


def closeness(log_price: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Return the Gaussian closeness ``(D, G)`` of each day's price to each price of the grid."""
    return np.asarray(np.exp(-0.5 * ((log_price[:, None] - log_grid[None]) / BANDWIDTH) ** 2))


def effective_days(log_price: FloatArray, recency: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Return the effective number of days ``(G,)`` at prices similar to ``log_grid``: ``(sum w)^2 / sum w^2`` (Kish).

    Args:
        log_price: ``(D,)``.
        recency: ``(D,)`` weight of each day by its age.
        log_grid: ``(G,)``.
    """
    kernel = recency[:, None] * closeness(log_price, log_grid)
    kish = kernel.sum(0) ** 2 / np.maximum((kernel**2).sum(0), 1e-300)
    return np.asarray(np.minimum(kish, kernel.sum(0)))
