"""Level of demand at the start of the forecast horizon, and its drift."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv, gammaln

from pricerl.arrays import FloatArray
from pricerl.market.demand.curves import CurveDraws, DailyValues
from pricerl.market.demand.outliers import find_inliers

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


def draw_levels(
    days: DailyValues, curves: CurveDraws, log_grid: FloatArray, outlier_sds: float, rng: np.random.Generator
) -> FloatArray:
    """Draw the log ratio of upcoming demand to the curves' expectation, ``(K,)``, one per curve.

    A Poisson-gamma filter with discounting (West and Harrison 1997, section 10.8; Harvey and Fernandes 1989) tracks the
    level day by day; discount factors are weighted by their one-day-ahead predictive likelihood. Days far from their
    neighbours are excluded: a bulk order is not a new level.

    Args:
        days: the product's usable days, at least one.
        curves: their curves.
        log_grid: ``(G,)`` log prices of the curves.
        outlier_sds: robust sds beyond which a day is excluded.
        rng: random number generator.
    """
    days = days.keep(days.age <= max(LOOK_BACK_DAYS - 1, days.age.min()))
    mean = np.log(np.exp(curves.log_value).mean(0))
    expected = np.exp(np.interp(days.log_price, log_grid, mean)) * days.offset
    inliers = find_inliers(days.value, expected * _nearby_level(days.value, expected), outlier_sds)
    oldest_first = np.flatnonzero(inliers)[np.argsort(-days.age[inliers], kind="stable")]
    age = days.age[oldest_first]
    sold, due = (values[oldest_first] / curves.dispersion for values in (days.value, expected))
    kept = DISCOUNTS ** np.diff(-age, prepend=-age[:1])[:, None]
    shape, rate = (_filtered(LEVEL_PRIOR, kept, seen) for seen in (sold, due))
    fit = log_probability(sold[:, None], due[:, None], shape[:-1], rate[:-1]).sum(0)
    weight = np.exp(fit - fit.max())
    ahead = 1 / (1 + AHEAD_DAYS * (1 / DISCOUNTS - 1))  # the variance grows by as much on each day ahead
    count = len(curves.log_value)
    quantiles = (np.arange(count) + 0.5) / count
    pace = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), quantiles), len(weight) - 1)
    level = gammaincinv((ahead * shape[-1])[pace], rng.permutation(quantiles)) / (ahead * rate[-1])[pace]
    return rng.permutation(np.log(np.maximum(level, LOWEST_LEVEL)))


def _nearby_level(sold: FloatArray, expected: FloatArray) -> FloatArray:
    """Return the median of units over expected units on the days around each day, ``(D,)``."""
    padded = np.pad(sold / expected, NEAR_DAYS, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR_DAYS + 1)
    return np.asarray(np.nanmedian(around, axis=1))


def _filtered(prior: float, kept: FloatArray, seen: FloatArray) -> FloatArray:
    """Return the discounted sums before each day and after the last one, ``(D + 1, F)``.

    Args:
        prior: their first value.
        kept: ``(D, F)`` share of the sum left since the previous day, per discount factor.
        seen: ``(D,)`` amount that each day adds.
    """
    sums = np.empty((len(seen) + 1, kept.shape[1]))
    total = np.full(kept.shape[1], prior)
    for day, amount in enumerate(seen.tolist()):
        sums[day] = kept[day] * total
        total = sums[day] + amount
    sums[-1] = total
    return sums


def log_probability(
    units: FloatArray, exposure: FloatArray, shape: FloatArray | float, rate: FloatArray | float
) -> FloatArray:
    """Return the log probability of ``units`` under a gamma-distributed level: a negative binomial.

    Args:
        units: units sold, of any shape that broadcasts with the others.
        exposure: expected units at level 1.
        shape: shape of the level's gamma distribution.
        rate: its rate; with the shape as rate, ``exposure`` is the mean and ``shape`` the size.
    """
    return np.asarray(
        gammaln(shape + units)
        - gammaln(shape)
        - gammaln(units + 1)
        + shape * np.log(rate / (rate + exposure))
        + units * np.log(exposure / (rate + exposure))
    )
