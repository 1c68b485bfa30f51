"""Conversions by similar prices: kernel averages of days over price, as posterior draws of a curve.

Each draw is a log-quadratic trend in price with a slow season, fitted to all days and corrected at every price by the
de-seasonalised days at similar prices. Far from any tried price the correction fades and the trend remains. Draws come
from a bootstrap over weeks with randomised priors (Osband et al. 2018, arXiv:1806.03335), so that they disagree where
the history has no data; their disagreement is the interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.days import DAYS_PER_YEAR, RECENT_DAYS, WEEK
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import YEARLY_HARMONICS
from pricerl.market.demand.curves import (
    LOWEST_LEVEL,
    closeness,
    recency_of,
    shape_curves,
)
from pricerl.market.demand.regression import LAST_STEP, LOG_MEAN_RANGE
from pricerl.market.outliers import find_inliers, winsorise

NEWTON_STEPS = 12
STEP_RANGE = (-2.0, 2.0)
"""Range of a coefficient's change in one of them."""
LEVEL_SD = 100.0
"""Prior sd of the log level: negligible, but it keeps an all-zero history finite."""
BOOTSTRAP_SHAPE = 0.7
"""Gamma shape of a week's weight. 1 is the Bayesian bootstrap (Rubin 1981); shaping and smoothing the curves reduces
their spread, and at 0.7 the 90 % intervals of a profit gain cover nine in ten simulated truths instead of eight."""
WEEK_WEIGHTS = gammaincinv(BOOTSTRAP_SHAPE, (np.arange(1024) + 0.5) / 1024) / BOOTSTRAP_SHAPE
"""Equally likely weights of a week: quantiles, as gamma draws take ten times as long."""
SEASON_DEGREE = 3
"""Polynomial degree of the slow season, which competes with the price to explain demand."""
SEASON_SD = 0.5
"""Prior sd of each coefficient of the season, in logs."""
TREND_TRUST = 0.15
"""Prior relative sd of the correction by similar prices around the trend."""


@dataclass(frozen=True)
class DailyValues:
    """Conversions of one product on ``D`` days, each ``(D,)``."""

    log_price: FloatArray
    value: FloatArray
    """Percent, not negative."""
    age: FloatArray
    """Days before the end of history, at least 0."""

    def keep(self, mask: BoolArray) -> DailyValues:
        """Return the days selected by ``mask``."""
        return DailyValues(self.log_price[mask], self.value[mask], self.age[mask])


class Trend(NamedTuple):
    """Log-linear trend of ``D`` days with ``C`` columns: level, log price, its square, and the season."""

    design: FloatArray
    """``(D, C)``."""
    on_grid: FloatArray
    """``(G, C)`` the columns at each price of the grid, in the season of the last weeks."""
    prior_mean: FloatArray
    """Means and sds of the coefficients' prior, ``(C,)`` each."""
    prior_sd: FloatArray
    recency: FloatArray
    """``(D,)`` weight of each day."""
    kernel: FloatArray
    """``(D, G)`` closeness of each day's price to the grid times that weight."""

    def keep(self, mask: BoolArray) -> Trend:
        """Return the days selected by ``mask``."""
        return self._replace(design=self.design[mask], recency=self.recency[mask], kernel=self.kernel[mask])

    def mean(self, coefficients: FloatArray) -> FloatArray:
        """Return the mean ``(D,)``, finite."""
        return np.asarray(np.exp(np.clip(self.design @ coefficients, *LOG_MEAN_RANGE)))


def fit_curves(
    days: DailyValues, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> FloatArray:
    """Draw falling, finite log curves ``(K, G)`` from usable days, oldest first, at least one, without outliers."""
    trend = _find_trend(days, log_grid, settings)
    provisional = replace(days, value=winsorise(days.value, settings.outlier_sds))
    expected, _, likeliest = _expected(provisional, trend, log_grid, trend.prior_mean)
    inliers = find_inliers(days.value, expected, settings.outlier_sds)
    days = days.keep(inliers)
    trend = trend.keep(inliers)
    _, dispersion, likeliest = _expected(days, trend, log_grid, likeliest)
    log_value = _draw_curves(days, trend, likeliest, dispersion, settings.num_draws, rng)
    return shape_curves(log_value, trend.kernel.sum(0), log_grid)


def _draw_curves(
    days: DailyValues,
    trend: Trend,
    likeliest: FloatArray,
    dispersion: float,
    num_draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw log values ``(K, G)``: one step of Newton's method per bootstrap from the ``likeliest`` trend ``(C,)``.

    The step starts at the level of the bootstrap (one-step bootstrap; Kline and Santos 2012), so all that it needs of
    the days are sums by week.
    """
    week = np.flatnonzero(np.diff(days.age // WEEK, prepend=np.inf))
    bootstrap = WEEK_WEIGHTS[rng.integers(len(WEEK_WEIGHTS), size=(num_draws, len(week)))]

    def total(weight: FloatArray, columns: FloatArray) -> FloatArray:
        return np.asarray(bootstrap @ np.add.reduceat(weight[:, None] * columns, week))

    mean = trend.mean(likeliest)
    weighted = mean * trend.recency
    sold = total(trend.recency * days.value, trend.design)
    due = total(weighted, trend.design)
    level = (np.maximum(sold[:, 0] / due[:, 0], LOWEST_LEVEL))[:, None]
    precision = dispersion / trend.prior_sd**2
    prior = trend.prior_mean + rng.normal(size=sold.shape) * trend.prior_sd
    gradient = sold - level * due + (prior - likeliest) * precision
    squares = (trend.design[:, :, None] * trend.design[:, None]).reshape(len(mean), -1)
    hessian = (level * total(weighted, squares)).reshape(num_draws, *2 * likeliest.shape)
    step = np.linalg.solve(hessian + np.diag(precision), gradient[..., None])[..., 0]
    step = np.clip(step, *STEP_RANGE)
    step[:, 0] += np.log(level[:, 0])
    nearby = trend.kernel.T @ (mean[:, None] * trend.design) / np.maximum(mean @ trend.kernel, 1e-300)[:, None]
    strength = dispersion / TREND_TRUST**2
    at_prices = total(mean, trend.kernel) * np.exp(step @ nearby.T)
    ratio = (total(days.value, trend.kernel) + strength) / (at_prices + strength)
    return np.asarray(np.clip((likeliest + step) @ trend.on_grid.T, *LOG_MEAN_RANGE) + np.log(ratio))


def _expected(
    days: DailyValues, trend: Trend, log_grid: FloatArray, start: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    """Return corrected expected values ``(D,)``, dispersion, and the trend ``(C,)``; the search starts at one."""
    dispersion = 1.0
    for _ in range(2):
        start = _fit_trend(days, trend, dispersion, start)
        mean = trend.mean(start)
        strength = dispersion / TREND_TRUST**2
        ratio = (days.value @ trend.kernel + strength) / (mean @ trend.kernel + strength)
        expected = np.maximum(mean * np.interp(days.log_price, log_grid, ratio), 1e-9)
        dispersion = max(1.0, float(np.average((days.value - expected) ** 2 / expected, weights=trend.recency)))
    return expected, dispersion, start


def _find_trend(days: DailyValues, log_grid: FloatArray, settings: DemandSettings) -> Trend:
    recency = recency_of(days.age)
    level = float(recency @ days.value / (recency.sum()))
    span = max(float(days.age.max()), 1.0)
    season: FloatArray = np.asarray(np.polynomial.legendre.legvander(1 - 2 * days.age / span, SEASON_DEGREE)[:, 1:])
    if span >= DAYS_PER_YEAR:
        phase = 2 * np.pi * days.age[:, None] / DAYS_PER_YEAR * np.arange(1, YEARLY_HARMONICS + 1)
        season = np.concatenate([season, np.sin(phase), np.cos(phase)], axis=1)
    recent = season[days.age <= max(RECENT_DAYS, days.age.min())].mean(0)
    x = np.append(days.log_price, log_grid) - float(np.average(days.log_price, weights=recency))
    columns = np.column_stack([np.ones_like(x), x, x**2, np.vstack([season, np.tile(recent, (len(log_grid), 1))])])
    none = np.zeros(season.shape[1])
    known = np.log(max(level, 1e-3)), settings.prior_elasticity, settings.prior_curvature
    return Trend(
        design=columns[: len(days.age)],
        on_grid=columns[len(days.age) :],
        prior_mean=np.append(known, none),
        prior_sd=np.append([LEVEL_SD, settings.prior_elasticity_sd, settings.prior_curvature_sd], none + SEASON_SD),
        recency=recency,
        kernel=recency[:, None] * closeness(days.log_price, log_grid),
    )


def _fit_trend(days: DailyValues, trend: Trend, dispersion: float, coefficients: FloatArray) -> FloatArray:
    """Fit the quasi-Poisson trend ``(C,)`` by Newton's method from given coefficients."""
    penalty = dispersion / trend.prior_sd**2
    target = (trend.recency * days.value) @ trend.design
    for _ in range(NEWTON_STEPS):
        weighted = trend.recency * trend.mean(coefficients)
        gradient = target - weighted @ trend.design - (coefficients - trend.prior_mean) * penalty
        hessian = (trend.design.T * weighted) @ trend.design + np.diag(penalty)
        step = np.clip(np.linalg.solve(hessian, gradient), *STEP_RANGE)
        coefficients = coefficients + step
        if np.abs(step).max() < LAST_STEP:
            break
    return coefficients
