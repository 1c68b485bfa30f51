"""Similar-price demand: what sold at prices like this one, averaged by closeness, as draws of a curve.

The curve of one draw is a log-quadratic trend in price fitted to all days beside a slow season, corrected at every
price by the de-seasonalised days charged at similar prices. Far from any tried price the correction fades and the
trend remains. Draws come from a bootstrap over weeks with randomised priors (Osband et al. 2018, arXiv:1806.03335):
where the history is silent they disagree, and that disagreement is the interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data import ProductHistory, weekday_of
from pricerl.market.demand.config import SimilarPriceSettings
from pricerl.market.demand.curves import Curves, Demand, closeness, effective_days, shape_curves
from pricerl.market.demand.outliers import find_inliers, winsorise

NEWTON_STEPS = 12
INTERCEPT_RIDGE = 1e-4
"""Prior precision of the log level: none to speak of, just enough to keep an all-zero history finite."""

DAYS_PER_BLOCK = 7
BOOTSTRAP_SHAPE = 0.7
"""Gamma shape of a week's weight. 1 is the Bayesian bootstrap (Rubin 1981); shaping and smoothing the curves takes
spread away, and at 0.7 the 90 % intervals of a profit gain cover nine in ten simulated truths instead of eight."""

SEASON_DEGREE = 3
"""Degree of the slow season in time; it competes with the price for what both could explain."""

YEARLY_HARMONICS = 2
DAYS_PER_YEAR = 365.25
"""A history longer than a year gets yearly waves, too."""

WEEKDAY_PRIOR_SALES = 20.0
"""Sales that "all weekdays alike" is worth: weekdays differ by about a fifth, and a handful of sales cannot show it."""

RECENT_DAYS = 28
"""The curves' level, in season and in demand, is that of the last weeks."""


@dataclass(frozen=True)
class Days:
    """The usable days of one product, ``D`` of them."""

    log_price: FloatArray
    """``(D,)`` log price."""
    value: FloatArray
    """``(D,)`` units or a conversion percentage, not negative."""
    offset: FloatArray
    """``(D,)`` known multiplier of the day (weekday factor)."""
    age: FloatArray
    """``(D,)`` days before the end of history, at least 0."""

    def keep(self, mask: BoolArray) -> Days:
        """Return the days where ``mask`` holds."""
        return Days(self.log_price[mask], self.value[mask], self.offset[mask], self.age[mask])


def fit_similar(
    product: ProductHistory, log_grid: FloatArray, settings: SimilarPriceSettings, rng: np.random.Generator
) -> Demand:
    """Draw demand curves by similar-price search, whatever the shape of demand.

    Args:
        product: one product's history.
        log_grid: ``(G,)`` ascending log prices.
        settings: of the search.
        rng: owner of the randomness.
    """
    days, usable = plain_days(product), product.observed
    weekday = weekday_of(product.dates.astype(np.int64))
    usual = winsorise(product.units[usable], settings.outlier_sds)
    factors = weekday_factors(usual, weekday[usable], np.full(len(usual), usual.mean()))
    days = replace(days, offset=factors[weekday])
    return Demand(fit_curves(days.keep(usable), log_grid, settings, rng), factors)


def plain_days(product: ProductHistory) -> Days:
    """All days of a history, as if all weekdays were alike."""
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    return Days(np.log(product.price), product.units, np.ones(len(age)), age)


def fit_curves(days: Days, log_grid: FloatArray, settings: SimilarPriceSettings, rng: np.random.Generator) -> Curves:
    """Search similar prices, cut outliers, average by closeness, project and validate: ``K`` curves.

    Args:
        days: the product's usable days, at least one.
        log_grid: ``(G,)`` ascending log prices.
        settings: of the search.
        rng: owner of the randomness.

    Returns:
        Curves that fall in price with slopes inside ``SLOPE_RANGE`` and are finite everywhere.
    """
    recency = 0.5 ** (days.age / settings.half_life_days)
    provisional = replace(days, value=winsorise(days.value, settings.outlier_sds))
    expected, dispersion = _expected(provisional, recency, log_grid, settings)
    inliers = find_inliers(days.value, expected, settings.outlier_sds)
    outliers = int((~inliers).sum())
    days, recency = days.keep(inliers), recency[inliers]
    expected, dispersion = _expected(days, recency, log_grid, settings)
    log_value = _draw_curves(days, recency, log_grid, dispersion, settings, rng)
    excess = float(np.mean((days.value - expected) ** 2 - expected))
    size = float(np.mean(expected**2)) / max(excess, 1e-6)
    known = effective_days(days.log_price, recency, log_grid, settings.bandwidth)
    return Curves(log_value, known, dispersion, float(np.clip(size, 0.3, 1e4)), outliers)


def weekday_factors(units: FloatArray, weekday: IntArray, expected: FloatArray, prior_days: float = 4.0) -> FloatArray:
    """Demand of each weekday over the mean day, ``(7,)``, shrunk to 1 by ``prior_days`` average days or a few sales."""
    prior = max(prior_days * float(units.mean()), WEEKDAY_PRIOR_SALES)
    observed = np.bincount(weekday, units, 7) + prior
    usual = np.bincount(weekday, expected, 7) + prior
    factors = observed / usual
    return np.asarray(factors / factors.mean())


def _expected(
    days: Days, recency: FloatArray, log_grid: FloatArray, settings: SimilarPriceSettings
) -> tuple[FloatArray, float]:
    """Expected value of each day ``(D,)`` under trend and correction, and the dispersion."""
    dispersion = 1.0
    kernel = recency[:, None] * closeness(days.log_price, log_grid, settings.bandwidth)
    centre = float(np.average(days.log_price, weights=recency))
    design = _design(days.log_price - centre, season_columns(days.age))
    prior_mean, prior_sd = _prior(settings, design.shape[1])
    for _ in range(2):
        trend = _fit_trends(days, recency[None], design, prior_mean[None], dispersion / prior_sd**2)
        mean = np.exp(_log_mean(trend, design))[0] * days.offset
        strength = dispersion / settings.trend_trust**2
        ratio = (days.value @ kernel + strength) / (mean @ kernel + strength)
        expected = np.maximum(mean * np.interp(days.log_price, log_grid, ratio), 1e-9)
        dispersion = max(1.0, float(np.average((days.value - expected) ** 2 / expected, weights=recency)))
    return expected, dispersion


def _draw_curves(
    days: Days,
    recency: FloatArray,
    log_grid: FloatArray,
    dispersion: float,
    settings: SimilarPriceSettings,
    rng: np.random.Generator,
) -> FloatArray:
    """``K`` shaped curves ``(K, G)``: weekly bootstrap and randomised priors."""
    num_draws, centre = settings.num_draws, float(np.average(days.log_price, weights=recency))
    _, block = np.unique((days.age // DAYS_PER_BLOCK).astype(int), return_inverse=True)
    size = (num_draws, int(block.max()) + 1)
    weights = recency * rng.gamma(BOOTSTRAP_SHAPE, 1 / BOOTSTRAP_SHAPE, size)[:, block]
    season = season_columns(days.age)
    design = _design(days.log_price - centre, season)
    prior_mean, prior_sd = _prior(settings, design.shape[1])
    prior = prior_mean + rng.normal(size=(num_draws, len(prior_mean))) * prior_sd
    trend = _fit_trends(days, weights, design, prior, dispersion / prior_sd**2)
    mean = np.exp(_log_mean(trend, design)) * days.offset
    kernel = closeness(days.log_price, log_grid, settings.bandwidth)
    strength = dispersion / settings.trend_trust**2
    ratio = ((weights * days.value) @ kernel + strength) / ((weights * mean) @ kernel + strength)
    recent = season[days.age <= max(RECENT_DAYS, days.age.min())].mean(0)
    on_grid = _design(log_grid - centre, np.broadcast_to(recent, (len(log_grid), len(recent))))
    log_value = _log_mean(trend, on_grid) + np.log(ratio)
    return shape_curves(log_value, (recency[:, None] * kernel).sum(0), log_grid)


def season_columns(age: FloatArray) -> FloatArray:
    """Slow season of each day ``(D, S)``: Legendre polynomials over the history, yearly waves if it is long enough."""
    span = max(float(age.max()), 1.0)
    slow = np.polynomial.legendre.legvander(1 - 2 * age / span, SEASON_DEGREE)[:, 1:]
    if span < DAYS_PER_YEAR:
        return np.asarray(slow)
    phase = 2 * np.pi * age[:, None] / DAYS_PER_YEAR * np.arange(1, YEARLY_HARMONICS + 1)
    return np.concatenate([slow, np.sin(phase), np.cos(phase)], axis=1)


def _prior(settings: SimilarPriceSettings, columns: int) -> tuple[FloatArray, FloatArray]:
    """Prior mean and sd of slope, curvature and season, ``(columns - 1,)`` each."""
    season = np.zeros(columns - 3)
    mean = np.concatenate([[settings.prior_elasticity, settings.prior_curvature], season])
    sds = settings.prior_elasticity_sd, settings.prior_curvature_sd
    sd = np.concatenate([sds, season + settings.prior_season_sd])
    return mean, sd


def _design(x: FloatArray, season: FloatArray) -> FloatArray:
    """Columns 1, x, x squared and the season, ``(D, 3 + S)``."""
    return np.concatenate([np.stack([np.ones_like(x), x, x**2], axis=1), season], axis=1)


def _log_mean(trend: FloatArray, design: FloatArray) -> FloatArray:
    """Log mean ``(K, D)`` of trends ``(K, C)``, kept inside what exp can take."""
    return np.asarray(np.clip(trend @ design.T, -30, 30))


def _fit_trends(
    days: Days, weights: FloatArray, design: FloatArray, prior: FloatArray, precision: FloatArray
) -> FloatArray:
    """Quasi-Poisson log-linear trends by Newton's method, ``(K, C)``.

    Args:
        days: ``D`` days.
        weights: ``(K, D)`` weight of each day in each draw.
        design: ``(D, C)``, the level first.
        prior: ``(K, C - 1)`` prior means of all coefficients but the level.
        precision: ``(C - 1,)`` prior precision times dispersion.
    """
    level = (weights * days.value).sum(1) / (weights * days.offset).sum(1)
    anchor = np.column_stack([np.log(np.maximum(level, 1e-3)), prior])
    trend = anchor.copy()
    penalty = np.concatenate([[INTERCEPT_RIDGE], precision])
    columns = design.shape[1]
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    for _ in range(NEWTON_STEPS):
        weighted = weights * np.exp(_log_mean(trend, design)) * days.offset
        gradient = (weights * days.value - weighted) @ design - (trend - anchor) * penalty
        hessian = (weighted @ squares).reshape(-1, columns, columns) + np.diag(penalty)
        trend = trend + np.clip(np.linalg.solve(hessian, gradient[..., None])[..., 0], -2, 2)
    return trend
