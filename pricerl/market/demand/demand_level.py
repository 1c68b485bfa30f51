"""The level of demand that the next days start from, and how fast it moves."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv, gammaln

from pricerl.arrays import FloatArray
from pricerl.market.demand.curves import Curves
from pricerl.market.demand.outliers import find_inliers
from pricerl.market.demand.similar_prices import Days

LEVEL_PRIOR = 10.0
"""Effective sales that the long-run level is worth before the first day."""

LOOK_BACK_DAYS = 120
"""Days that the level is followed over; what lies before hardly counts, whatever is left of it."""

DISCOUNTS = np.array([0.995, 0.99, 0.98, 0.965, 0.94, 0.9, 0.85, 0.75])
"""Share of what was known of the level that a day leaves, all as likely at first: from a memory of 200 days to one of
four."""

AHEAD_DAYS = 14
"""The level is as unsure as it will be so many days ahead, at the end of an advice."""

NEAR_DAYS = 3
"""Days on each side that say what is usual for one."""

LOWEST_LEVEL = 1e-3
"""Share of the curves' demand below which no level lies."""


def draw_levels(
    days: Days, curves: Curves, log_grid: FloatArray, outlier_sds: float, rng: np.random.Generator
) -> FloatArray:
    """Draw the log of the next days' demand over what the curves expect, ``(K,)``, one for each of the curves.

    A Poisson-gamma filter with discounting (West and Harrison 1997, section 10.8; Harvey and Fernandes 1989) follows
    the level day by day; how fast it forgets is weighed by how well it would have forecast each day from those before.
    A day far from its own week is left out: one bulk order is no new level.

    Args:
        days: the product's usable days, at least one.
        curves: their curves.
        log_grid: ``(G,)`` log prices of the curves.
        outlier_sds: robust sds from which a day is left out.
        rng: owner of the randomness.
    """
    days = days.keep(days.age <= max(LOOK_BACK_DAYS - 1, days.age.min()))
    mean = np.log(np.exp(curves.log_value).mean(0))
    expected = np.exp(np.interp(days.log_price, log_grid, mean)) * days.offset
    usual = find_inliers(days.value, expected * _nearby_level(days.value, expected), outlier_sds)
    oldest_first = np.flatnonzero(usual)[np.argsort(-days.age[usual], kind="stable")]
    age = days.age[oldest_first]
    sold, due = (values[oldest_first] / curves.dispersion for values in (days.value, expected))
    shape, rate, fit = (np.full(len(DISCOUNTS), value) for value in (LEVEL_PRIOR, LEVEL_PRIOR, 0.0))
    for units, exposure, passed in zip(sold, due, np.diff(-age, prepend=-age[:1]), strict=True):
        shape, rate = DISCOUNTS**passed * shape, DISCOUNTS**passed * rate
        fit = fit + _log_chance(units, exposure, shape, rate)
        shape, rate = shape + units, rate + exposure
    weight = np.exp(fit - fit.max())
    coming = 1 / (1 + AHEAD_DAYS * (1 / DISCOUNTS - 1))  # every coming day adds what the last one added
    count = len(curves.log_value)
    places = (np.arange(count) + 0.5) / count
    pace = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), places), len(weight) - 1)
    level = gammaincinv((coming * shape)[pace], rng.permutation(places)) / (coming * rate)[pace]
    return rng.permutation(np.log(np.maximum(level, LOWEST_LEVEL)))


def _nearby_level(sold: FloatArray, expected: FloatArray) -> FloatArray:
    """Median of sales over what was expected, ``(D,)``, on the days around each one."""
    padded = np.pad(sold / expected, NEAR_DAYS, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR_DAYS + 1)
    return np.asarray(np.nanmedian(around, axis=1))


def _log_chance(units: float, exposure: float, shape: FloatArray, rate: FloatArray) -> FloatArray:
    """Log chance of ``units`` where the level is gamma distributed: a negative binomial."""
    return np.asarray(
        gammaln(shape + units)
        - gammaln(shape)
        - gammaln(units + 1)
        + shape * np.log(rate / (rate + exposure))
        + units * np.log(exposure / (rate + exposure))
    )
