"""Demand models by name: posterior draws of a product's demand curve from its history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import RegressionData, gather_covariates
from pricerl.market.demand.curves import (
    SLOPE_RANGE,
    CurveDraws,
    DemandPosterior,
    effective_days,
    integrate,
    smooth_slopes,
)
from pricerl.market.demand.families import LogNormal, log_normal_prior
from pricerl.market.demand.mixture import bin_prices, draw_curves
from pricerl.market.demand.outliers import find_inliers, winsorise
from pricerl.market.demand.regression import Prior, RegressionPosterior, draw_falling, fit_regression
from pricerl.market.demand.similar_prices import fit_similar, price_design

EVIDENCE = DemandSettings()
"""Bandwidth and half-life for counting the effective days at a price."""
PRICE_TERMS = 3
"""Number of regression columns before the covariates: level, log price and its square."""
MAX_LEVEL_SD = 2.0
"""Largest sd of the log level, a factor of seven; with almost no sales, larger ones would overflow."""
SUPPORT_MARGIN = 0.10
"""Log price beyond the tried prices up to which drawn curves must decrease."""
NO_MEMORY = 0.25
"""Prior probability that there is no reference-price effect. On simulated shops with one, the 90 % intervals covered
the truth in 65 to 82 % at 0.5, and in 77 to 87 % at 0.25."""


DemandModel = Callable[[ProductHistory, FloatArray, DemandSettings, np.random.Generator], DemandPosterior]
"""Function from a product's history to its demand posterior.

It draws ``settings.num_draws`` curves at the ascending log prices ``log_grid (G,)`` with the given generator.
"""


def fit_quadratic(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> DemandPosterior:
    """Draw log-quadratic curves from the regression's posterior."""
    data, posterior, outliers = fit_demand_regression(gather_covariates(product), settings)
    x = data.log_price - np.median(data.log_price)
    ends = np.array([x.min() - SUPPORT_MARGIN, x.max() + SUPPORT_MARGIN])
    slopes = np.zeros((2, len(posterior.mode)))
    slopes[:, 1], slopes[:, 2] = 1.0, 2 * ends
    drawn = draw_falling(posterior, slopes, settings.num_draws, rng)
    grid = log_grid - np.median(data.log_price)
    middle = 0.5 * (grid[1:] + grid[:-1])
    slope = np.clip(drawn[:, 1:2] + 2 * drawn[:, 2:3] * middle, *SLOPE_RANGE)
    rises = integrate(slope * np.diff(grid))
    at_median = np.stack([np.interp(0.0, grid, row) for row in rises])
    log_value = (drawn[:, 0] + drawn[:, PRICE_TERMS:] @ data.ahead)[:, None] + rises - at_median[:, None]
    return _demand(data, posterior, drawn, log_value, log_grid, outliers)


def fit_mixture(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> DemandPosterior:
    """Draw curves from several families; the effects of the covariates come from the regression."""
    slope = settings.prior_elasticity, settings.prior_elasticity_sd
    stage = DemandSettings(outlier_sds=settings.outlier_sds, prior_elasticity=slope[0], prior_elasticity_sd=slope[1])
    data, posterior, outliers = fit_demand_regression(gather_covariates(product), stage)
    columns = slice(PRICE_TERMS + data.reference.start, PRICE_TERMS + data.reference.stop)
    log_odds = logit(NO_MEMORY) + posterior.log_odds_of_zero(columns, data.prior.sd[data.reference])
    without_memory = round(settings.num_draws * float(expit(log_odds)))
    prior, current_price = log_normal_prior(*slope), float(product.price[-1])
    parts = (
        (data.without_reference(), posterior.given_zero(columns), without_memory),
        (data, posterior, settings.num_draws - without_memory),
    )
    log_value = np.concatenate([_mixture_curves(*part, prior, current_price, log_grid, rng) for part in parts])
    drawn = rng.multivariate_normal(posterior.mode, posterior.covariance, size=settings.num_draws, method="eigh")
    drawn[:without_memory] = 0.0
    return _demand(data, posterior, drawn, log_value, log_grid, outliers)


def fit_hybrid(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> DemandPosterior:
    """Draw half of the curves from the mixture and half from similar prices: their disagreement widens intervals."""
    mixture, similar = (fit(product, log_grid, settings, rng) for fit in (fit_mixture, fit_similar))
    log_value = mixture.curves.log_value.copy()
    log_value[1::2] = similar.curves.log_value[1::2]
    return replace(mixture, curves=replace(mixture.curves, log_value=log_value))


DEMAND_MODELS: dict[str, DemandModel] = {
    "similar": fit_similar,
    "quadratic": fit_quadratic,
    "mixture": fit_mixture,
    "hybrid": fit_hybrid,
}
"""Demand models by name; add new ones here, and their settings to ``demand.config.MODEL_SETTINGS``."""


def fit_demand_regression(
    data: RegressionData, settings: DemandSettings
) -> tuple[RegressionData, RegressionPosterior, int]:
    """Fit the regression twice: to winsorised units, then without the outliers of the first fit.

    Args:
        data: data of one product.
        settings: prior of the price's coefficients, and the robust sds beyond which a day is an outlier.

    Returns:
        The days kept, the posterior, and the number of outliers.
    """
    first = _regress(replace(data, units=_cut_spikes(data, settings.outlier_sds)), settings)
    inliers = find_inliers(data.units, np.exp(first.log_mean), settings.outlier_sds)
    kept = data.keep(inliers)
    return kept, _regress(kept, settings), int((~inliers).sum())


def _regress(data: RegressionData, prior: DemandSettings) -> RegressionPosterior:
    x = data.log_price - np.median(data.log_price)
    design = price_design(x, data.covariates)
    mean = np.concatenate([[0.0, prior.prior_elasticity, prior.prior_curvature], data.prior.mean])
    sd = np.concatenate([[np.inf, prior.prior_elasticity_sd, prior.prior_curvature_sd], data.prior.sd])
    return fit_regression(data.units, design, Prior(mean, sd))


def _cut_spikes(data: RegressionData, outlier_sds: float) -> FloatArray:
    """Return units ``(D,)`` without spikes; groups of days, such as promotions, have their own median."""
    units, groups = data.units.copy(), data.groups()
    for group in np.unique(groups):
        units[groups == group] = winsorise(units[groups == group], outlier_sds)
    return units


def _mixture_curves(
    data: RegressionData,
    posterior: RegressionPosterior,
    count: int,
    prior: LogNormal,
    current_price: float,
    log_grid: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Return log units of an average day, ``(count, G)``, on curves from all families, given the regression."""
    if count == 0:
        return np.zeros((0, len(log_grid)))
    log_current = np.log(current_price)
    multiplier = np.exp((data.covariates - data.ahead) @ posterior.mode[PRICE_TERMS:])
    weight = _price_information(data, posterior) / posterior.dispersion(data.units)
    bins = bin_prices(data.log_price - log_current, data.units, multiplier, weight)
    curves = draw_curves(bins, prior, current_price, rng)
    curves = curves.take(np.resize(rng.permutation(len(curves.family)), count))
    level = bins.log_level(curves.at(bins.x, current_price)) + rng.normal(size=count) * _level_sd(data, posterior)
    return np.asarray(level[:, None] + _bounded(curves.at(log_grid - log_current, current_price), log_grid))


def _price_information(data: RegressionData, posterior: RegressionPosterior) -> float:
    """Return the share of the price's information about its slope that is left by the covariates."""
    expected = np.exp(posterior.log_mean)
    weight = expected / (1 + expected / posterior.size)
    x = data.log_price - np.average(data.log_price, weights=weight)
    covariates = data.covariates - np.average(data.covariates, axis=0, weights=weight)
    alone = float((weight * x**2).sum())
    if alone <= 0:
        return 1.0
    cross = (covariates.T * weight) @ x
    inner = (covariates.T * weight) @ covariates + np.diag(1 / data.prior.sd**2)
    return float(np.clip(1 - cross @ np.linalg.solve(inner, cross) / alone, 0.0, 1.0))


def _level_sd(data: RegressionData, posterior: RegressionPosterior) -> float:
    """Return the sd of the log level over the forecast horizon at the median price, including the season's."""
    ahead = np.concatenate([[1.0, 0.0, 0.0], data.ahead])
    return min(float(np.sqrt(ahead @ posterior.covariance @ ahead)), MAX_LEVEL_SD)


def _bounded(log_demand: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Bound and smooth the slopes of curves ``(K, G)``; the value nearest to 0 stays unchanged."""
    rebuilt = smooth_slopes(log_demand, np.diff(log_grid))
    anchor, rows = np.abs(log_demand).argmin(1), np.arange(len(rebuilt))
    return np.asarray(rebuilt + (log_demand[rows, anchor] - rebuilt[rows, anchor])[:, None])


def _demand(
    data: RegressionData,
    posterior: RegressionPosterior,
    drawn: FloatArray,
    log_value: FloatArray,
    log_grid: FloatArray,
    outliers: int,
) -> DemandPosterior:
    recency = 0.5 ** (data.age / EVIDENCE.half_life_days)
    known = effective_days(data.log_price, recency, log_grid, EVIDENCE.bandwidth)
    curves = CurveDraws(log_value, known, posterior.dispersion(data.units), posterior.size, outliers)
    mode, memory = posterior.mode[PRICE_TERMS:], data.price_memory(drawn[:, PRICE_TERMS:])
    return DemandPosterior(curves, data.weekday_factors(mode), memory, data.effects(mode))
