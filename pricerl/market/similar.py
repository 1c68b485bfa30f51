"""Similar-price demand: what sold at prices like this one, averaged by closeness, as draws of a curve.

The curve of one draw is a log-quadratic trend fitted to all days, corrected at every price by the days charged
at similar prices. Far from any tried price the correction fades and the trend remains. Draws come from a
bootstrap over weeks with randomised priors (Osband et al. 2018, arXiv:1806.03335): where the
history is silent they disagree, and that disagreement is the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression

from pricerl.errors import UsageError

FloatArray = NDArray[np.float64]

NEWTON_STEPS = 12
SLOPE_RANGE = (-8.0, -0.05)
"""Elasticity bounds on the whole grid: demand falls with price, and no cliff is steeper than -8."""

INTERCEPT_RIDGE = 1e-4
"""Prior precision of the log level: none to speak of, just enough to keep an all-zero history finite."""

SMOOTHING_SHARE = 0.04
"""Width of the smoothing after the monotone projection, as a share of the grid: it removes its steps."""

DAYS_PER_BLOCK = 7


@dataclass(frozen=True)
class SimilarConfig:
    """How days at similar prices are searched and averaged."""

    num_draws: int = 64
    """Markets drawn from the history's uncertainty; SAC trains in all of them."""

    grid_size: int = 97
    """Prices at which a curve is stored; between them it is interpolated in logs."""

    bandwidth: float = 0.06
    """Closeness: a day charged at 6 % more weighs exp(-1/2) of one at the same price."""

    half_life_days: float = 180.0
    """A day this old weighs half of today's."""

    outlier_sds: float = 4.0
    """Days further than this many robust sds (MAD) from their prices' demand are left out."""

    prior_elasticity: float = -2.2
    """Mean elasticity before any data (Bijmolt et al. 2005 report a mean of -2.62 over 1,851 estimates)."""

    prior_elasticity_sd: float = 1.5
    """Its sd."""

    prior_curvature: float = -2.0
    """Mean coefficient of squared log price before any data: demand grows more elastic as the price rises."""

    prior_curvature_sd: float = 4.0
    """Its sd: wide enough for linear, exponential and logit demand."""

    trend_trust: float = 0.15
    """Relative sd of the similar-price correction around the trend before any data."""

    def __post_init__(self) -> None:
        positive = {
            "num_draws": self.num_draws,
            "bandwidth": self.bandwidth,
            "half_life_days": self.half_life_days,
            "outlier_sds": self.outlier_sds,
            "prior_elasticity_sd": self.prior_elasticity_sd,
            "prior_curvature_sd": self.prior_curvature_sd,
            "trend_trust": self.trend_trust,
        }
        for name, value in positive.items():
            if not value > 0:
                raise UsageError(f"market.{name} must be positive, found {value}")
        if self.grid_size < 9:
            raise UsageError(f"market.grid_size must be at least 9, found {self.grid_size}")


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

    def keep(self, mask: NDArray[np.bool_]) -> Days:
        """Return the days where ``mask`` holds."""
        return Days(self.log_price[mask], self.value[mask], self.offset[mask], self.age[mask])


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


def fit_curves(days: Days, log_grid: FloatArray, config: SimilarConfig, rng: np.random.Generator) -> Curves:
    """Search similar prices, cut outliers, average by closeness, project and validate: ``K`` curves.

    Args:
        days: the product's usable days, at least one.
        log_grid: ``(G,)`` ascending log prices.
        config: the search's settings.
        rng: owner of the randomness.

    Returns:
        Curves that fall in price with slopes inside ``SLOPE_RANGE`` and are finite everywhere.
    """
    recency = 0.5 ** (days.age / config.half_life_days)
    expected, dispersion = _expected(days, recency, log_grid, config)
    inliers = _inliers(days.value, expected, config.outlier_sds)
    outliers = int((~inliers).sum())
    days, recency = days.keep(inliers), recency[inliers]
    expected, dispersion = _expected(days, recency, log_grid, config)
    log_value = _draw_curves(days, recency, log_grid, dispersion, config, rng)
    kernel = recency[:, None] * _closeness(days.log_price, log_grid, config.bandwidth)
    kish = kernel.sum(0) ** 2 / np.maximum((kernel**2).sum(0), 1e-300)
    excess = float(np.mean((days.value - expected) ** 2 - expected))
    size = float(np.mean(expected**2)) / max(excess, 1e-6)
    return Curves(log_value, np.minimum(kish, kernel.sum(0)), dispersion, float(np.clip(size, 0.3, 1e4)), outliers)


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


def weekday_factors(
    units: FloatArray, weekday: NDArray[np.int64], expected: FloatArray, prior_days: float = 4.0
) -> FloatArray:
    """Demand of each weekday over the mean day, ``(7,)``, shrunk to 1 by ``prior_days`` average days."""
    prior = prior_days * float(units.mean())
    observed = np.bincount(weekday, units, 7) + prior
    usual = np.bincount(weekday, expected, 7) + prior
    factors = observed / np.maximum(usual, 1e-12)
    return np.asarray(factors / factors.mean())


def _closeness(log_price: FloatArray, log_grid: FloatArray, bandwidth: float) -> FloatArray:
    """Gaussian closeness ``(D, G)`` of each day's price to each price of the grid."""
    return np.asarray(np.exp(-0.5 * ((log_price[:, None] - log_grid[None]) / bandwidth) ** 2))


def _expected(days: Days, recency: FloatArray, log_grid: FloatArray, config: SimilarConfig) -> tuple[FloatArray, float]:
    """Expected value of each day ``(D,)`` under trend and correction, and the dispersion."""
    dispersion, prior = 1.0, _prior_mean(config)[None]
    kernel = recency[:, None] * _closeness(days.log_price, log_grid, config.bandwidth)
    centre = float(np.average(days.log_price, weights=recency))
    design = _design(days.log_price - centre)
    for _ in range(2):
        trend = _fit_trends(days, recency[None], design, prior, dispersion, config)
        mean = np.exp(_log_mean(trend, design))[0] * days.offset
        strength = dispersion / config.trend_trust**2
        ratio = (days.value @ kernel + strength) / (mean @ kernel + strength)
        expected = np.maximum(mean * np.interp(days.log_price, log_grid, ratio), 1e-9)
        dispersion = max(1.0, float(np.average((days.value - expected) ** 2 / expected, weights=recency)))
    return expected, dispersion


def _inliers(value: FloatArray, expected: FloatArray, sds: float) -> NDArray[np.bool_]:
    """Days whose square-root residual lies within ``sds`` robust sds (MAD) of the median, ``(D,)``."""
    residual = np.sqrt(value + 0.375) - np.sqrt(expected + 0.375)
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    if spread == 0:
        return np.ones(len(value), dtype=bool)
    return np.asarray(np.abs(residual - np.median(residual)) <= sds * spread)


def _draw_curves(
    days: Days,
    recency: FloatArray,
    log_grid: FloatArray,
    dispersion: float,
    config: SimilarConfig,
    rng: np.random.Generator,
) -> FloatArray:
    """``K`` shaped curves ``(K, G)``: weekly Bayesian bootstrap (Rubin 1981) and randomised priors."""
    num_draws, centre = config.num_draws, float(np.average(days.log_price, weights=recency))
    _, block = np.unique((days.age // DAYS_PER_BLOCK).astype(int), return_inverse=True)
    weights = recency * rng.exponential(size=(num_draws, block.max() + 1))[:, block]
    prior = _prior_mean(config) + rng.normal(size=(num_draws, 2)) * _prior_sd(config)
    design = _design(days.log_price - centre)
    trend = _fit_trends(days, weights, design, prior, dispersion, config)
    mean = np.exp(_log_mean(trend, design)) * days.offset
    kernel = _closeness(days.log_price, log_grid, config.bandwidth)
    strength = dispersion / config.trend_trust**2
    ratio = ((weights * days.value) @ kernel + strength) / ((weights * mean) @ kernel + strength)
    log_value = _log_mean(trend, _design(log_grid - centre)) + np.log(ratio)
    return shape_curves(log_value, (recency[:, None] * kernel).sum(0), log_grid)


def _prior_mean(config: SimilarConfig) -> FloatArray:
    """Slope and curvature, ``(2,)``."""
    return np.array([config.prior_elasticity, config.prior_curvature])


def _prior_sd(config: SimilarConfig) -> FloatArray:
    return np.array([config.prior_elasticity_sd, config.prior_curvature_sd])


def _design(x: FloatArray) -> FloatArray:
    """Columns 1, x and x squared, ``(D, 3)``."""
    return np.stack([np.ones_like(x), x, x**2], axis=1)


def _log_mean(trend: FloatArray, design: FloatArray) -> FloatArray:
    """Log mean ``(K, D)`` of trends ``(K, 3)``, kept inside what exp can take."""
    return np.asarray(np.clip(trend @ design.T, -30, 30))


def _fit_trends(
    days: Days,
    weights: FloatArray,
    design: FloatArray,
    prior: FloatArray,
    dispersion: float,
    config: SimilarConfig,
) -> FloatArray:
    """Quasi-Poisson log-quadratic trends by Newton's method, ``(K, 3)``: level, slope, curvature.

    Args:
        days: ``D`` days.
        weights: ``(K, D)`` weight of each day in each draw.
        design: ``(D, 3)``.
        prior: ``(K, 2)`` prior means of slope and curvature.
        dispersion: variance over mean.
        config: prior sds.
    """
    level = (weights * days.value).sum(1) / (weights * days.offset).sum(1)
    anchor = np.column_stack([np.log(np.maximum(level, 1e-3)), prior])
    trend = anchor.copy()
    precision = dispersion * np.diag([INTERCEPT_RIDGE, *_prior_sd(config) ** -2.0])
    for _ in range(NEWTON_STEPS):
        weighted = weights * np.exp(_log_mean(trend, design)) * days.offset
        gradient = (weights * days.value - weighted) @ design - (trend - anchor) @ precision
        hessian = np.einsum("kd,di,dj->kij", weighted, design, design, optimize=True) + precision
        trend = trend + np.clip(np.linalg.solve(hessian, gradient[..., None])[..., 0], -2, 2)
    return trend
