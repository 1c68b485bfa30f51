"""Similar-price demand: kernel averages of units over price, as posterior draws of a curve.

Each draw is a log-quadratic trend in price with a slow season, fitted to all days and corrected at every price by the
de-seasonalised days at similar prices. Far from any tried price the correction fades and the trend remains. Draws come
from a bootstrap over weeks with randomised priors (Osband et al. 2018, arXiv:1806.03335), so that they disagree where
the history has no data; their disagreement is the interval.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricerl.arrays import FloatArray, IntArray
from pricerl.data.days import DAYS_PER_YEAR, RECENT_DAYS, WEEK, weekday_of
from pricerl.data.history import ProductHistory
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import YEARLY_HARMONICS
from pricerl.market.demand.curves import (
    CurveDraws,
    DailyValues,
    DemandPosterior,
    closeness,
    effective_days,
    recency_of,
    shape_curves,
)
from pricerl.market.demand.regression import LAST_STEP, LOG_MEAN_RANGE, SIZE_RANGE, find_inliers, winsorise

NEWTON_STEPS = 12
INTERCEPT_RIDGE = 1e-4
"""Prior precision of the log level: negligible, but it keeps an all-zero history finite."""
BOOTSTRAP_SHAPE = 0.7
"""Gamma shape of a week's weight. 1 is the Bayesian bootstrap (Rubin 1981); shaping and smoothing the curves reduces
their spread, and at 0.7 the 90 % intervals of a profit gain cover nine in ten simulated truths instead of eight."""
SEASON_DEGREE = 3
"""Polynomial degree of the slow season, which competes with the price to explain demand."""
SEASON_SD = 0.5
"""Prior sd of each coefficient of the season, in logs."""
TREND_TRUST = 0.15
"""Prior relative sd of the correction by similar prices around the trend."""
WEEKDAY_PRIOR_DAYS = 4.0
"""Prior weight of equal weekdays, in average days. Weekdays differ by about a fifth, too little to detect in a few
sales."""
WEEKDAY_PRIOR_SALES = 20.0
"""Minimum of that weight, in sales."""


def fit_similar(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> DemandPosterior:
    """Draw demand curves by similar-price averaging, without an assumption on the shape of demand."""
    days = plain_days(product)
    usable = product.observed
    weekday = weekday_of(product.dates.astype(np.int64))
    units = winsorise(product.units[usable], settings.outlier_sds)
    factors = weekday_factors(units, weekday[usable])
    days = replace(days, offset=factors[weekday])
    return DemandPosterior(fit_curves(days.keep(usable), log_grid, settings, rng), factors, days)


def plain_days(product: ProductHistory) -> DailyValues:
    """Return all days of a history with equal weekdays."""
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    return DailyValues(np.log(product.price), product.units, np.ones(len(age)), age)


def fit_curves(
    days: DailyValues, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> CurveDraws:
    """Draw ``K`` falling, finite curves ``(K, G)`` from usable days, at least one, without outliers."""
    recency = recency_of(days.age)
    provisional = replace(days, value=winsorise(days.value, settings.outlier_sds))
    expected, _, likeliest = _expected(provisional, recency, log_grid, settings)
    inliers = find_inliers(days.value, expected, settings.outlier_sds)
    days = days.keep(inliers)
    recency = recency[inliers]
    expected, dispersion, likeliest = _expected(days, recency, log_grid, settings, likeliest)

    num_draws = settings.num_draws
    _, week = np.unique((days.age // WEEK).astype(int), return_inverse=True)
    bootstrap = rng.gamma(BOOTSTRAP_SHAPE, 1 / BOOTSTRAP_SHAPE, (num_draws, int(week.max()) + 1))
    weights = recency * bootstrap[:, week]
    centre, design, prior_mean, prior_sd = _trend_design(days, recency, settings)
    prior = prior_mean + rng.normal(size=(num_draws, len(prior_mean))) * prior_sd
    trend = _fit_trends(days, weights, design, prior, dispersion / prior_sd**2, likeliest)
    mean = np.exp(_log_mean(trend, design)) * days.offset
    kernel = closeness(days.log_price, log_grid)
    strength = dispersion / TREND_TRUST**2
    ratio = ((weights * days.value) @ kernel + strength) / ((weights * mean) @ kernel + strength)
    recent = design[:, 3:][days.age <= max(RECENT_DAYS, days.age.min())].mean(0)
    on_grid = _price_design(log_grid - centre, np.broadcast_to(recent, (len(log_grid), len(recent))))
    log_value = _log_mean(trend, on_grid) + np.log(ratio)
    shaped = shape_curves(log_value, (recency[:, None] * kernel).sum(0), log_grid)

    excess = float(np.mean((days.value - expected) ** 2 - expected))
    size = float(np.clip(float(np.mean(expected**2)) / max(excess, 1e-6), *SIZE_RANGE))
    known = effective_days(days.log_price, recency, log_grid)
    return CurveDraws(shaped, known, dispersion, size, int((~inliers).sum()))


def weekday_factors(units: FloatArray, weekday: IntArray) -> FloatArray:
    """Return demand of each weekday over the average, ``(7,)``, shrunk to 1 by a few days or sales."""
    prior = max(WEEKDAY_PRIOR_DAYS * float(units.mean()), WEEKDAY_PRIOR_SALES)
    observed = np.bincount(weekday, units, WEEK) + prior
    factors = observed / (np.bincount(weekday, np.full(len(units), units.mean()), WEEK) + prior)
    return np.asarray(factors / factors.mean())


def _expected(
    days: DailyValues,
    recency: FloatArray,
    log_grid: FloatArray,
    settings: DemandSettings,
    trend: FloatArray | None = None,
) -> tuple[FloatArray, float, FloatArray]:
    """Return expected values ``(D,)`` under trend and correction, dispersion, and trend; the search starts at one."""
    dispersion = 1.0
    kernel = recency[:, None] * closeness(days.log_price, log_grid)
    _, design, prior_mean, prior_sd = _trend_design(days, recency, settings)
    for _ in range(2):
        trend = _fit_trends(days, recency[None], design, prior_mean[None], dispersion / prior_sd**2, trend)
        mean = np.exp(_log_mean(trend, design))[0] * days.offset
        strength = dispersion / TREND_TRUST**2
        ratio = (days.value @ kernel + strength) / (mean @ kernel + strength)
        expected = np.maximum(mean * np.interp(days.log_price, log_grid, ratio), 1e-9)
        dispersion = max(1.0, float(np.average((days.value - expected) ** 2 / expected, weights=recency)))
    assert trend is not None
    return expected, dispersion, trend


def _trend_design(
    days: DailyValues, recency: FloatArray, settings: DemandSettings
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Return the central log price, the trend's columns ``(D, C)``, and prior mean and sd of all but the first."""
    centre = float(np.average(days.log_price, weights=recency))
    span = max(float(days.age.max()), 1.0)
    season: FloatArray = np.asarray(np.polynomial.legendre.legvander(1 - 2 * days.age / span, SEASON_DEGREE)[:, 1:])
    if span >= DAYS_PER_YEAR:
        phase = 2 * np.pi * days.age[:, None] / DAYS_PER_YEAR * np.arange(1, YEARLY_HARMONICS + 1)
        season = np.concatenate([season, np.sin(phase), np.cos(phase)], axis=1)
    none = np.zeros(season.shape[1])
    mean = np.concatenate([[settings.prior_elasticity, settings.prior_curvature], none])
    sd = np.concatenate([[settings.prior_elasticity_sd, settings.prior_curvature_sd], none + SEASON_SD])
    return centre, _price_design(days.log_price - centre, season), mean, sd


def _price_design(x: FloatArray, season: FloatArray) -> FloatArray:
    """Return the columns 1, x, x squared and the season ``(D, C)``; ``x (D,)`` is a log price."""
    return np.concatenate([np.stack([np.ones_like(x), x, x**2], axis=1), season], axis=1)


def _log_mean(trend: FloatArray, design: FloatArray) -> FloatArray:
    """Return the log mean ``(K, D)`` of trends ``(K, C)``, clipped so that exp stays finite."""
    return np.asarray(np.clip(trend @ design.T, *LOG_MEAN_RANGE))


def _fit_trends(
    days: DailyValues,
    weights: FloatArray,
    design: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Fit quasi-Poisson log-linear trends ``(K, C)`` by Newton's method from ``start (1, C)``, the level first.

    Days have weights ``(K, D)`` and columns ``(D, C)``. All coefficients but the level have prior means ``(K, C - 1)``
    and a prior precision times dispersion ``(C - 1,)``.
    """
    level = (weights * days.value).sum(1) / (weights * days.offset).sum(1)
    anchor = np.column_stack([np.log(np.maximum(level, 1e-3)), prior])
    trend = anchor if start is None else np.broadcast_to(start, anchor.shape)
    penalty = np.concatenate([[INTERCEPT_RIDGE], precision])
    rows, columns = np.triu_indices(design.shape[1])
    squares = design[:, rows] * design[:, columns]
    exposure = weights * days.offset
    target = (weights * days.value) @ design
    hessian = np.empty((len(weights), *2 * design.shape[1:]))
    for _ in range(NEWTON_STEPS):
        weighted = exposure * np.exp(_log_mean(trend, design))
        gradient = target - weighted @ design - (trend - anchor) * penalty
        hessian[:, rows, columns] = hessian[:, columns, rows] = weighted @ squares
        step = np.clip(np.linalg.solve(hessian + np.diag(penalty), gradient[..., None])[..., 0], -2, 2)
        trend = trend + step
        if np.abs(step).max() < LAST_STEP:
            break
    return trend
