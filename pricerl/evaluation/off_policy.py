"""Off-policy estimate of a price's profit from the logged days, with the fitted market as baseline.

Kernel-smoothed doubly robust estimator of the value of a constant price ``p`` (Kallus and Zhou 2018, arXiv:1802.06037,
with the self-normalised weights of their section 3; Dudik, Langford and Li 2011, arXiv:1103.4601)::

    value(p) = mean_i m(x_i, p) + sum_i w_i (y_i - m(x_i, p_i)) / sum_i w_i
    w_i = K((log p_i - log p) / h) / f(log p_i | x_i)

On day ``i``, of weekday ``x_i``, price ``p_i`` earned the contribution ``y_i = (k p_i - c) units_i``; ``m`` is its
expectation in the market and ``f`` the density of the logged log prices. The estimate is consistent if either ``m`` or
``f`` is correct, unless an unobserved confounder moves price and demand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, IntArray, Interval, limits_of
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.history import ProductHistory
from pricerl.market.market import ProductMarket

MIN_EFFECTIVE_DAYS = 20
"""Fewest effective days with similar prices for an estimate."""
MIN_WEEKS = 4
"""Fewest weeks with similar prices for an estimate: the bootstrap resamples weeks."""
RESAMPLES = 1000
"""Bootstrap values."""


class OffPolicyValue(NamedTuple):
    """Contribution (profit before fixed cost) of an average recorded day at one price, money."""

    price: float
    """Money."""
    value: Interval | None
    """Estimate with limits from a bootstrap over weeks; None if not identifiable."""
    model: float | None
    """Model-based estimate of the same days: the first term."""
    effective_days: float
    """Effective sample size of the correction, in days."""
    reason: str
    """Reason why the value is not identifiable; empty if it is."""


def estimate_off_policy(
    history: ProductHistory, market: ProductMarket, price: float, rng: np.random.Generator
) -> OffPolicyValue:
    """Estimate the daily contribution at ``price``, money, from the days on which similar prices were charged.

    The model is the mean curve, weekdays and mean costs of the market. Unknown costs, or too few days or weeks at
    similar prices, are the reason for no value.
    """
    if not market.cost.known:
        return OffPolicyValue(price, None, None, 0.0, "costs are unknown")
    seen = history.observed
    day = history.dates[seen].astype(np.int64)
    logged = history.price[seen]
    _, week = np.unique((day - day[0]) // WEEK, return_inverse=True)
    log_price = np.log(logged)
    weekday = weekday_of(day)
    weight, effective = similarity(log_price, weekday, np.log(price))
    weeks = len(np.unique(week[weight > 0]))
    if effective < MIN_EFFECTIVE_DAYS or weeks < MIN_WEEKS:
        reason = (
            f"{effective:.0f} effective days in {weeks} {'week' if weeks == 1 else 'weeks'} at similar prices; "
            f"{MIN_EFFECTIVE_DAYS} days and {MIN_WEEKS} weeks are needed"
        )
        return OffPolicyValue(price, None, None, effective, reason)
    expected = _expected(market, np.full_like(log_price, np.log(price)), weekday)
    surprise = market.cost.mean_margin(logged) * history.units[seen] - _expected(market, log_price, weekday)
    value = float(expected.mean() + (weight * surprise).sum() / weight.sum())
    low, high = limits_of(_resampled(week, expected, weight, surprise, rng))
    return OffPolicyValue(price, Interval(value, float(low), float(high)), float(expected.mean()), effective, "")


def similarity(log_price: FloatArray, weekday: IntArray, target: float) -> tuple[FloatArray, float]:
    """Return the weights ``w (D,)`` of days for a target price, log money, and their effective sample size.

    The density is that of log prices around the mean of their weekday. The effective sample size is Kish's, at most
    the sum of the kernel values, which are 1 at the price itself, as days at the edge of the kernel are uninformative.
    """
    totals, counts = (np.bincount(weekday, weights, minlength=WEEK) for weights in (log_price, None))
    weekday_mean = (totals / np.maximum(counts, 1))[weekday]
    # Silverman's rule for the Epanechnikov kernel, but at least 1 % of the price.
    width = max(2.34 * float(log_price.std()) * len(weekday_mean) ** -0.2, 0.01)
    density = mean_kernel(log_price - weekday_mean, width)
    closeness = np.maximum(1 - ((log_price - target) / width) ** 2, 0)  # Epanechnikov, 1 at its centre
    weight = closeness / density
    kish = weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300)
    return weight, float(min(kish, closeness.sum()))


def _expected(market: ProductMarket, log_price: FloatArray, weekday: IntArray) -> FloatArray:
    """Return the expected contribution of the days in the mean market, ``(D,)``."""
    mean = np.log(np.exp(market.units.log_value).mean(0))
    units = np.exp(np.interp(log_price, market.log_grid, mean)) * market.weekday[weekday]
    return np.asarray(market.cost.mean_margin(np.exp(log_price)) * units)


def _resampled(
    week: IntArray, expected: FloatArray, weight: FloatArray, surprise: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return the bootstrap values over weeks, less those of resamples without a similar price."""
    sums = np.stack([np.bincount(week, item) for item in (np.ones_like(weight), expected, weight, weight * surprise)])
    number = sums.shape[1]
    drawn = rng.integers(number, size=(RESAMPLES, number)) + number * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * number).reshape(RESAMPLES, number)
    days, model, weights, correction = sums @ counts.T
    kept = weights > 0
    return np.asarray(model[kept] / days[kept] + correction[kept] / weights[kept])


def mean_kernel(values: FloatArray, width: float) -> FloatArray:
    """Return the mean Epanechnikov kernel of each of ``values (D,)`` to all of them, ``(D,)``, in ``D log D`` steps.

    ``sum_j 1 - (x_i - x_j)^2 / h^2`` over neighbours follows from running sums of sorted values and their squares.
    """
    ordered = np.sort(values - values.mean())
    count, total, squares = (np.append(0.0, np.cumsum(ordered**power)) for power in (0, 1, 2))
    centred = values - values.mean()
    first = np.searchsorted(ordered, centred - width)
    last = np.searchsorted(ordered, centred + width, side="right")
    near, near_sum, near_squares = (sums[last] - sums[first] for sums in (count, total, squares))
    spread = centred**2 * near - 2 * centred * near_sum + near_squares
    return np.asarray((near - spread / width**2) / len(values))
