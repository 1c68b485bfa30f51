"""Demand models: from a product's history to draws of its demand curve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit, logit

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.market.demand.config import DemandSettings, QuadraticSettings, SimilarPriceSettings
from pricerl.market.demand.covariates import DemandDays, gather_days
from pricerl.market.demand.curves import SLOPE_RANGE, SMOOTHING_SHARE, Curves, Demand, effective_days
from pricerl.market.demand.families import LogNormal, log_normal_prior
from pricerl.market.demand.mixture import bin_prices, draw_curves
from pricerl.market.demand.outliers import find_inliers, winsorise
from pricerl.market.demand.regression import Prior, RegressionPosterior, draw_falling, fit_regression
from pricerl.market.demand.similar_prices import fit_similar

EVIDENCE = SimilarPriceSettings()
"""Closeness in price and in time by which the days behind a price are counted."""
LARGEST_LEVEL_SD = 2.0
"""Where next to nothing sold, the level is known to a factor of seven at best; more would overflow."""
SUPPORT_MARGIN = 0.10
"""Curves fall with the price this far beyond the prices tried, in logs."""


NO_MEMORY = 0.25
"""Chance that buyers remember no price, before any data. At 0.5 the 90 % intervals of simulated shops whose buyers do
remember held the truth for 65 to 82 %, at 0.25 for 77 to 87 %."""


class DemandModel(Protocol):
    """How a product's demand is learned from its history."""

    def __call__(
        self, product: ProductHistory, log_grid: FloatArray, settings: Any, rng: np.random.Generator
    ) -> Demand:
        """Draw ``settings.num_draws`` curves at the ascending log prices ``log_grid (G,)``.

        Args:
            product: one product's history.
            log_grid: ``(G,)`` ascending log prices.
            settings: of the class that ``MODEL_SETTINGS`` holds under the model's name.
            rng: owner of the randomness.
        """


def fit_quadratic(
    product: ProductHistory, log_grid: FloatArray, settings: QuadraticSettings, rng: np.random.Generator
) -> Demand:
    """Draw log-quadratic curves from the regression's posterior.

    Args:
        product: one product's history.
        log_grid: ``(G,)`` ascending log prices.
        settings: number of draws; cut of outliers.
        rng: owner of the randomness.
    """
    days, posterior, outliers = fit_causes(gather_days(product), settings)
    x = days.log_price - np.median(days.log_price)
    ends = np.array([x.min() - SUPPORT_MARGIN, x.max() + SUPPORT_MARGIN])
    slopes = np.zeros((2, len(posterior.mode)))
    slopes[:, 1], slopes[:, 2] = 1.0, 2 * ends
    drawn = draw_falling(posterior, slopes, settings.num_draws, rng)
    grid = log_grid - np.median(days.log_price)
    middle = 0.5 * (grid[1:] + grid[:-1])
    slope = np.clip(drawn[:, 1:2] + 2 * drawn[:, 2:3] * middle, *SLOPE_RANGE)
    rises = np.concatenate([np.zeros((len(drawn), 1)), np.cumsum(slope * np.diff(grid), axis=1)], axis=1)
    at_median = np.stack([np.interp(0.0, grid, row) for row in rises])
    log_value = (drawn[:, 0] + drawn[:, 3:] @ days.now)[:, None] + rises - at_median[:, None]
    demand = _demand(days, posterior, log_value, log_grid, outliers)
    return replace(demand, memory=days.price_memory(drawn[:, 3:]))


def fit_mixture(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> Demand:
    """Draw curves of several families; weekday, season and lags come from the regression.

    Args:
        product: one product's history.
        log_grid: ``(G,)`` ascending log prices.
        settings: number of draws; cut of outliers.
        rng: owner of the randomness.
    """
    slope = settings.prior_elasticity, settings.prior_elasticity_sd
    stage = QuadraticSettings(outlier_sds=settings.outlier_sds, prior_elasticity=slope[0], prior_elasticity_sd=slope[1])
    days, posterior, outliers = fit_causes(gather_days(product), stage)
    columns = slice(3 + days.reference.start, 3 + days.reference.stop)
    log_odds = logit(NO_MEMORY) + posterior.log_odds_of_zero(columns, days.cause_sd[days.reference])
    forgetful = round(settings.num_draws * float(expit(log_odds)))
    current_price = float(product.price[-1])
    parts = (
        (days.without_reference(), posterior.given_zero(columns), forgetful),
        (days, posterior, settings.num_draws - forgetful),
    )
    prior = log_normal_prior(*slope)
    log_value = np.concatenate([_mixture_curves(*part, prior, current_price, log_grid, rng) for part in parts])
    drawn = rng.multivariate_normal(posterior.mode, posterior.covariance, size=settings.num_draws, method="eigh")
    drawn[:forgetful] = 0.0
    demand = _demand(days, posterior, log_value, log_grid, outliers)
    return replace(demand, memory=days.price_memory(drawn[:, 3:]))


def _mixture_curves(
    days: DemandDays,
    posterior: RegressionPosterior,
    count: int,
    prior: LogNormal,
    current_price: float,
    log_grid: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Log units of an average day, ``(count, G)``, on curves of all families, other causes as the regression says."""
    if count == 0:
        return np.zeros((0, len(log_grid)))
    now = np.log(current_price)
    multiplier = np.exp((days.causes - days.now) @ posterior.mode[3:])
    trust = _price_share(days, posterior) / posterior.dispersion(days.units)
    bins = bin_prices(days.log_price - now, days.units, multiplier, trust)
    curves = draw_curves(bins, prior, current_price, rng)
    curves = curves.take(np.resize(rng.permutation(len(curves.family)), count))
    level = bins.log_level(curves.at(bins.x, current_price)) + rng.normal(size=count) * _level_sd(days, posterior)
    return np.asarray(level[:, None] + _bounded(curves.at(log_grid - now, current_price), log_grid))


def fit_hybrid(
    product: ProductHistory, log_grid: FloatArray, settings: SimilarPriceSettings, rng: np.random.Generator
) -> Demand:
    """Draw every other curve from the mixture and from similar prices: where the two disagree, so do the draws.

    Args:
        product: one product's history.
        log_grid: ``(G,)`` ascending log prices.
        settings: number of draws; settings of the search.
        rng: owner of the randomness.
    """
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
"""By name; to add one, put a function here."""


def fit_causes(days: DemandDays, settings: QuadraticSettings) -> tuple[DemandDays, RegressionPosterior, int]:
    """Fit the regression twice: to spikes cut down, then to the days that are not unlike the others.

    Args:
        days: of one product.
        settings: prior of the price's coefficients; robust sds from which a day is left out.

    Returns:
        The days kept, the posterior, and how many were left out.
    """
    first = _regress(replace(days, units=_cut_spikes(days, settings.outlier_sds)), settings)
    inliers = find_inliers(days.units, np.exp(first.log_mean), settings.outlier_sds)
    kept = days.keep(inliers)
    return kept, _regress(kept, settings), int((~inliers).sum())


def _cut_spikes(days: DemandDays, outlier_sds: float) -> FloatArray:
    """Units ``(D,)`` without spikes; days of a kind, such as those with a promotion, have a median of their own."""
    units, kinds = days.units.copy(), days.kinds()
    for kind in np.unique(kinds):
        units[kinds == kind] = winsorise(units[kinds == kind], outlier_sds)
    return units


def _regress(days: DemandDays, prior: QuadraticSettings) -> RegressionPosterior:
    x = days.log_price - np.median(days.log_price)
    design = np.concatenate([np.stack([np.ones_like(x), x, x**2], axis=1), days.causes], axis=1)
    mean = np.concatenate([[0.0, prior.prior_elasticity, prior.prior_curvature], days.cause_mean])
    sd = np.concatenate([[np.inf, prior.prior_elasticity_sd, prior.prior_curvature_sd], days.cause_sd])
    return fit_regression(days.units, design, Prior(mean, sd))


def _price_share(days: DemandDays, posterior: RegressionPosterior) -> float:
    """Share of the price's information about its slope that is left once the other causes are profiled out."""
    expected = np.exp(posterior.log_mean)
    weight = expected / (1 + expected / posterior.size)
    x = days.log_price - np.average(days.log_price, weights=weight)
    causes = days.causes - np.average(days.causes, axis=0, weights=weight)
    alone = float((weight * x**2).sum())
    if alone <= 0:
        return 1.0
    cross = (causes.T * weight) @ x
    inner = (causes.T * weight) @ causes + np.diag(1 / days.cause_sd**2)
    return float(np.clip(1 - cross @ np.linalg.solve(inner, cross) / alone, 0.0, 1.0))


def _level_sd(days: DemandDays, posterior: RegressionPosterior) -> float:
    """Sd of the log level of the next days at the median price, in which the season's uncertainty counts, too."""
    now = np.concatenate([[1.0, 0.0, 0.0], days.now])
    return min(float(np.sqrt(now @ posterior.covariance @ now)), LARGEST_LEVEL_SD)


def _bounded(log_demand: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Hold the slopes of curves ``(K, G)`` inside ``SLOPE_RANGE``, without their steps, through their values at 0."""
    step = np.diff(log_grid)
    slope = np.clip(np.diff(log_demand, axis=1) / step, *SLOPE_RANGE)
    slope = gaussian_filter1d(slope, SMOOTHING_SHARE * len(log_grid), axis=1, mode="nearest")
    rebuilt = np.concatenate([np.zeros((len(slope), 1)), np.cumsum(slope * step, axis=1)], axis=1)
    anchor = np.abs(log_demand).argmin(1)
    rows = np.arange(len(rebuilt))
    return np.asarray(rebuilt + (log_demand[rows, anchor] - rebuilt[rows, anchor])[:, None])


def _demand(
    days: DemandDays,
    posterior: RegressionPosterior,
    log_value: FloatArray,
    log_grid: FloatArray,
    outliers: int,
) -> Demand:
    recency = 0.5 ** (days.age / EVIDENCE.half_life_days)
    known = effective_days(days.log_price, recency, log_grid, EVIDENCE.bandwidth)
    curves = Curves(log_value, known, posterior.dispersion(days.units), posterior.size, outliers)
    coefficients = posterior.mode[3:]
    return Demand(curves, days.weekday_factors(coefficients), effects=days.effects(coefficients))
