"""Posterior draws of one product's demand curve, from any demand model, and of the level that it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression
from scipy.special import gammaincinv, gammaln

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.price_setting import Kind
from pricerl.market.demand.priors import StatedPrior
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import find_inliers

SHAPED_RANGE = (-8.0, -0.05)
"""Elasticity bounds for averages of days at similar prices, whose noise looks like cliffs."""
SMOOTHING_SHARE = 0.04
"""Width of the Gaussian that smooths a curve's slopes, as a share of the grid."""
BANDWIDTH = 0.06
"""Sd of the kernel over log prices: a day at a 6 % higher price has weight exp(-1/2)."""
HALF_LIFE_DAYS = 180.0
"""Age in days at which a day's weight is halved."""
LEVEL_PRIOR = 10.0
"""Prior pseudo-sales at the long-run level."""
LOOK_BACK_DAYS = 120
"""Days over which the level is filtered; earlier ones have negligible weight under any discount."""
DISCOUNTS = np.array([0.995, 0.99, 0.98, 0.965, 0.94, 0.9, 0.85, 0.75])
"""Discount factors per day, equally likely a priori: from a memory of 200 days to one of four."""
AHEAD_DAYS = 14
"""Days ahead for which the level's uncertainty is evaluated: the default forecast horizon."""
NEAR_DAYS = 3
"""Days on each side of a day that form the median with which it is compared."""
LOWEST_LEVEL = 1e-3
"""Smallest level, as a share of the curves' demand."""


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
    """Number of days excluded."""


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
    follows: float = 0.0
    """Log rise of a repricer's price per log demand, by a proven rule; 0 for none."""
    bias: tuple[float, float] | None = None
    """Prior mean and sd of the bias of the elasticity by what moved the prices; None for no bias."""
    past: FloatArray | None = None
    """``(D,)`` demand of each day, at its regular price, over that ahead; None where the model has no season."""
    prior: StatedPrior | None = None
    """Prior of the elasticity; None where the model states none."""


@dataclass(frozen=True)
class DailyValues:
    """A quantity of one product on ``D`` days, each ``(D,)``."""

    log_price: FloatArray
    value: FloatArray
    """Units or a conversion percentage, not negative."""
    offset: FloatArray
    """Known multiplier of each day (weekday factor)."""
    age: FloatArray
    """Days before the end of history, at least 0."""

    def keep(self, mask: BoolArray) -> DailyValues:
        """Return the days selected by ``mask``."""
        return DailyValues(self.log_price[mask], self.value[mask], self.offset[mask], self.age[mask])


def shape_curves(log_value: FloatArray, weights: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Make curves ``(K, G)`` decrease in price: isotonic least squares by ``weights (G,)``, smoothing, bounded slope.

    Smoothing removes steps, which a policy would exploit; slopes are clipped to ``SHAPED_RANGE``.
    """
    weights = weights + 1e-3 * weights.max() + 1e-9
    below = (np.ptp(log_value) + 1) * np.arange(len(log_value))[:, None]  # each far below the last, for a single call
    joined = isotonic_regression((log_value - below).ravel(), weights=np.tile(weights, len(below)), increasing=False)
    projected = joined.x.reshape(log_value.shape) + below
    step = log_grid[1] - log_grid[0]
    slope = np.clip(np.diff(projected, axis=1) / step, *SHAPED_RANGE)
    rebuilt = slope @ _smoothed_sums(slope.shape[1]) * step
    level = (projected - rebuilt) @ weights / weights.sum()
    return np.asarray(rebuilt + level[:, None])


@cache
def _smoothed_sums(count: int) -> FloatArray:
    """Return the matrix ``(S, S + 1)`` that smooths ``S`` slopes and sums them up from 0."""
    smooth = gaussian_filter1d(np.eye(count), SMOOTHING_SHARE * (count + 1), axis=1, mode="nearest")
    return np.pad(np.cumsum(smooth, axis=1), ((0, 0), (1, 0)))


def recency_of(age: FloatArray) -> FloatArray:
    """Return the weight ``(D,)`` of days by their age in days."""
    return np.asarray(0.5 ** (age / HALF_LIFE_DAYS))


def closeness(log_price: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Return the Gaussian closeness ``(D, G)`` of each day's price to each price of the grid."""
    return np.asarray(np.exp(-0.5 * ((log_price[:, None] - log_grid[None]) / BANDWIDTH) ** 2))


def effective_days(kernel: FloatArray) -> FloatArray:
    """Return the effective number of days ``(G,)`` by their recency times closeness ``(D, G)``; see `CurveDraws`."""
    total = kernel.sum(0)
    return np.asarray(np.minimum(total**2 / np.maximum(np.square(kernel).sum(0), 1e-300), total))


def draw_levels(
    days: DailyValues, curves: CurveDraws, log_grid: FloatArray, outlier_sds: float, rng: np.random.Generator
) -> FloatArray:
    """Draw the log ratio of upcoming demand to the curves' expectation, ``(K,)``, one per curve.

    A Poisson-gamma filter with discounting (West and Harrison 1997, section 10.8; Harvey and Fernandes 1989) tracks the
    level day by day; discount factors are weighted by their one-day-ahead predictive likelihood. Days far from their
    neighbours are excluded: a bulk order is not a new level. The days are the usable ones, at least one.
    """
    days = days.keep(days.age <= max(LOOK_BACK_DAYS - 1, days.age.min()))
    mean = np.log(np.exp(curves.log_value).mean(0))
    expected = np.exp(np.interp(days.log_price, log_grid, mean)) * days.offset
    padded = np.pad(days.value / expected, NEAR_DAYS, constant_values=np.nan)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR_DAYS + 1), axis=1)  # NaN is last
    middle = np.isfinite(windows).sum(axis=1)[:, None] - 1
    nearby = np.take_along_axis(windows, np.hstack([middle // 2, (middle + 1) // 2]), axis=1).mean(axis=1)
    inliers = find_inliers(days.value, expected * nearby, outlier_sds)
    oldest_first = np.flatnonzero(inliers)[np.argsort(-days.age[inliers], kind="stable")]
    age = days.age[oldest_first]
    sold, due = (values[oldest_first] / curves.dispersion for values in (days.value, expected))
    kept = DISCOUNTS ** np.diff(-age, prepend=-age[:1])[:, None]
    shape, rate = _filtered(kept, np.stack([sold, due], axis=1))
    fit = log_probability(sold[:, None], due[:, None], shape[:-1], rate[:-1]).sum(0)
    weight = np.exp(fit - fit.max())
    ahead = 1 / (1 + AHEAD_DAYS * (1 / DISCOUNTS - 1))  # the variance grows by as much on each day ahead
    count = len(curves.log_value)
    quantiles = (np.arange(count) + 0.5) / count
    pace = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), quantiles), len(weight) - 1)
    level = gammaincinv((ahead * shape[-1])[pace], rng.permutation(quantiles)) / (ahead * rate[-1])[pace]
    return rng.permutation(np.log(np.maximum(level, LOWEST_LEVEL)))


def _filtered(kept: FloatArray, seen: FloatArray) -> FloatArray:
    """Return the discounted sums of series ``seen (D, S)`` before each day and after the last, ``(S, D + 1, F)``."""
    sums = np.empty((len(seen) + 1, seen.shape[1], kept.shape[1]))
    total = np.full(sums.shape[1:], LEVEL_PRIOR)
    for before, discount, amounts in zip(sums, kept, seen[:, :, None], strict=False):
        np.multiply(discount, total, out=before)
        total = before + amounts
    sums[-1] = total
    return sums.swapaxes(0, 1)


def log_probability(
    units: FloatArray, exposure: FloatArray, shape: FloatArray | float, rate: FloatArray | float
) -> FloatArray:
    """Return the log probability of ``units`` under a gamma-distributed level: a negative binomial.

    Shapes broadcast. The ``exposure`` is the expected units at level 1; with the shape of the level as its rate,
    ``exposure`` is the mean and ``shape`` the size.
    """
    return np.asarray(
        gammaln(shape + units)
        - gammaln(shape)
        - gammaln(units + 1)
        + shape * np.log(rate / (rate + exposure))
        + units * np.log(exposure / (rate + exposure))
    )
