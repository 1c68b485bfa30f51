"""Model averaging: the regressions that may explain one history, weighted by their evidence.

The way the prices were set decides which terms a regression may have. The evidence decides which of them it has and how
smooth the season is (Hoeting et al. 1999).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, softmax

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.days import WEEK, steps_in
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import CHANGE, PriceSetting, classify_prices, deal_windows
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import Terms, gather_covariates
from pricerl.market.demand.outliers import find_inliers, winsorise
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import Prior, RegressionPosterior, fit_regression
from pricerl.market.demand.regression_data import RegressionData

PRICE_TERMS = 3
"""Number of regression columns before the covariates: level, log price and its square."""
NO_MEMORY = 0.25
"""Prior probability that there is no reference-price effect. On simulated shops with one, the 90 % intervals covered
the truth in 65 to 82 % at 0.5, and in 77 to 87 % at 0.25."""

SEASON_SDS = (0.1, 0.3)
"""Prior sds of the season's knots without promotions, in logs."""
PROMOTED_SEASON_SDS = (0.03, 0.1, 0.3)
"""Prior sds of the season's knots with promotions, in logs."""
FEWEST_CHANGES = 15
"""Fewest price changes for the evidence to choose among them; with fewer, the intervals would be too narrow."""

BIASES: dict[str, tuple[float, float] | None] = {
    "plain": None,
    "promotions": (-0.3, 0.5),
    "averages": (0.0, 2.0),
    "promoted averages": (-0.3, 1.0),
    "repricer": (1.0, 2.0),
}
"""Prior mean and sd of the bias of the elasticity, by the way the prices were set. A repricer raises the price when
demand is high, so demand looks less elastic than it is; promotions look more elastic than a lasting change."""

FOLLOWING_T = 3.0
"""Smallest t statistic of price changes on the unexplained demand of the week before for prices to follow demand."""
FOLLOWING_CHANGES = 0.25
"""Smallest share of days with a price change for that test."""


class Part(NamedTuple):
    """One regression of the average."""

    weight: float
    """Posterior probability."""
    data: RegressionData
    """Days without outliers."""
    everything: RegressionData
    """All days of the history."""
    posterior: RegressionPosterior
    remembers: bool
    """Whether there are reference prices among the covariates."""

    def draw_memory(self, count: int, rng: np.random.Generator) -> PriceMemory:
        """Draw the reference-price effect, ``(count,)``; 0 without one."""
        if not self.remembers:
            return PriceMemory(np.zeros(count), np.zeros(count), self.data.step_days)
        mode = self.posterior.mode
        covariance = self.posterior.covariance
        drawn = rng.multivariate_normal(mode, covariance, size=count, method="eigh")
        return self.data.price_memory(drawn[:, PRICE_TERMS:])


def fit_parts(product: ProductHistory, settings: DemandSettings) -> tuple[PriceSetting, list[Part], int]:
    """Fit the regressions that the way the prices were set allows.

    Args:
        product: its whole history.
        settings: prior of the price's coefficients, and the robust sds beyond which a day is an outlier.

    Returns:
        How the prices were set, the regressions with weights that sum to 1, and the number of outliers.
    """
    observed = product.observed
    others = product.observed & ~product.own_days
    setting = _classify(product, others)
    first = _candidates(product, setting)[0]
    everything = gather_covariates(product, first)
    data, posterior, outliers = fit_demand_regression(everything.keep(observed), settings)
    kept = len(observed) - 1 - data.age.astype(int) // product.step_days
    frequent = setting.kind == "plain" and setting.changes >= FOLLOWING_CHANGES
    if frequent and _follows_demand(data, posterior, others[kept]):
        setting = setting._replace(kind="repricer")
    inliers = np.isin(np.flatnonzero(observed), kept)
    fitted: list[Part] = []
    for terms in _candidates(product, setting):
        if terms != first:
            everything = gather_covariates(product, terms)
            data = everything.keep(observed).keep(inliers)
            posterior = regress(data, settings, posterior)
        fitted += _split_memory(data, everything, posterior)
    weights = softmax([part.weight for part in fitted])
    parts = [part._replace(weight=float(weight)) for part, weight in zip(fitted, weights, strict=True)]
    return setting, parts, outliers


def _classify(product: ProductHistory, others: BoolArray) -> PriceSetting:
    """Classify how prices were set on days that pricerl did not price ``(D,)``, or, if those are plain, on all days.

    Pricerl's few changes would hide a repricer, and prices that it kept are the regular ones between promotions.
    """
    setting = classify_prices(product.price[product.observed], product.step_days)
    if not product.own_days.any() or not others.any():
        return setting
    found = classify_prices(product.price[others], product.step_days)
    return setting._replace(changes=found.changes) if found.kind == "plain" else found


def _candidates(product: ProductHistory, setting: PriceSetting) -> list[Terms]:
    kind = "promoted averages" if setting.kind == "averages" and setting.promoted else setting.kind
    bias = BIASES[kind]
    if setting.promoted and setting.kind != "repricer":
        windows = deal_windows(product.step_days)
        return [Terms(sd, window, bias) for sd in PROMOTED_SEASON_SDS[::-1] for window in windows]
    price = product.price[product.observed]
    changes = int((np.abs(np.diff(np.log(price))) > CHANGE).sum())
    sds = SEASON_SDS if changes >= FEWEST_CHANGES else SEASON_SDS[-1:]
    window = 0 if product.promotion is not None else None
    return [Terms(sd, window, bias, setting.kind == "repricer") for sd in sds[::-1]]


def _split_memory(data: RegressionData, everything: RegressionData, posterior: RegressionPosterior) -> list[Part]:
    """Return a regression with and without reference prices, their log evidence as the weight."""
    if not data.has_reference:
        return [Part(posterior.log_evidence, data, everything, posterior, False)]
    columns = slice(PRICE_TERMS + data.reference.start, PRICE_TERMS + data.reference.stop)
    share = expit(logit(NO_MEMORY) + posterior.log_odds_of_zero(columns, data.prior.sd[data.reference]))
    without = Part(0.0, data.without_reference(), everything.without_reference(), posterior.given_zero(columns), False)
    evidence = posterior.log_evidence
    return [
        without._replace(weight=evidence + float(np.log(share))),
        Part(evidence + float(np.log1p(-share)), data, everything, posterior, True),
    ]


def _follows_demand(data: RegressionData, posterior: RegressionPosterior, tested: BoolArray) -> bool:
    """Return whether price changes follow the unexplained demand of the week before (White 1980 standard errors).

    Only changes on the days ``tested (D,)`` count.
    """
    mean = np.exp(posterior.log_mean)
    surprise = np.cumsum(np.append(0.0, (data.units - mean) / np.sqrt(mean + mean**2 / posterior.size)))
    week = steps_in(WEEK, data.step_days)
    before = ((surprise[week:-1] - surprise[: -week - 1]) / week)[tested[week:]]
    move = np.diff(data.log_price)[week - 1 :][tested[week:]]
    if len(move) < 2:
        return False
    before = before - before.mean()
    slope = before @ move / (before @ before)
    error = np.sqrt(((before * (move - move.mean() - slope * before)) ** 2).sum()) / (before @ before)
    return bool(slope > FOLLOWING_T * error)


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
    first = regress(replace(data, units=_cut_spikes(data, settings.outlier_sds)), settings)
    inliers = find_inliers(data.units, np.exp(first.log_mean), settings.outlier_sds)
    kept = data.keep(inliers)
    return kept, regress(kept, settings, first), int((~inliers).sum())


def regress(
    data: RegressionData, settings: DemandSettings, start: RegressionPosterior | None = None
) -> RegressionPosterior:
    """Fit the regression once, from the mode of a similar one if it has as many columns."""
    prior = price_prior(data, settings)
    alike = start is not None and len(start.mode) == len(prior.mean)
    return fit_regression(data.units, data.design, prior, start=start if alike else None)


def price_prior(data: RegressionData, settings: DemandSettings) -> Prior:
    """Return the prior of all coefficients, the level free."""
    mean = [0.0, settings.prior_elasticity, settings.prior_curvature]
    sd = [np.inf, settings.prior_elasticity_sd, settings.prior_curvature_sd]
    return Prior(np.concatenate([mean, data.prior.mean]), np.concatenate([sd, data.prior.sd]))


def _cut_spikes(data: RegressionData, outlier_sds: float) -> FloatArray:
    """Return units ``(D,)`` without spikes; groups of days, such as promotions, have their own median."""
    units = data.units.copy()
    groups = data.groups()
    for group in np.unique(groups):
        units[groups == group] = winsorise(units[groups == group], outlier_sds)
    return units
