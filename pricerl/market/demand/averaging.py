"""Model averaging: the regressions that may explain one history, weighted by their evidence (Hoeting et al. 1999).

The way the prices were set decides which terms a regression may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, softmax

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.days import WEEK, steps_in
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import CHANGING_SHARE, PriceSetting, deal_windows
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import (
    BIAS,
    DEAL_DEPTH_NAME,
    PRICE_TERMS,
    REFERENCE,
    SEASON,
    DealResponse,
    RegressionData,
    Terms,
    gather_covariates,
    shows_a_year,
    yearly_waves,
)
from pricerl.market.demand.price_rule import PriceRule, find_price_rule
from pricerl.market.demand.priors import CommonBias
from pricerl.market.demand.regression import Prior, RegressionPosterior, fit_regression
from pricerl.market.level import AHEAD_ROWS, FUTURE_ROWS, Motion
from pricerl.market.outliers import find_inliers, winsorise

PRICE_SD = 6.0
"""Prior sd of the elasticity in the regressions. The curves have the prior that counts; a narrow one here would explain
very elastic demand as noise."""
NO_MEMORY = 0.8
"""Prior probability that there is no reference-price effect. On simulated shops with one, the 90 % intervals cover the
truth in 80 and 83 % (PriceBench, 130 days)."""
NO_SEASON = 0.5
"""Prior probability that there is no yearly season where a year or more could show one."""

BIASES: dict[str, tuple[float, float]] = {
    "plain": (0.0, 0.15),
    "promotions": (-0.3, 0.5),
    "averages": (0.0, 2.0),
    "promoted averages": (-0.3, 1.0),
    "rounded averages": (-0.3, 0.6),
    "repricer": (1.0, 2.0),
}
"""Prior mean and sd of the bias of the elasticity, by the way the prices were set; negative where it looks steeper than
it is. Promotions look more elastic than a lasting change, and so do plain prices if cuts were advertised. A repricer
raises the price when demand is high, so demand looks less elastic than it is. Rounded averages are weekly prices that
change on most rows: in 57 accounts of a cheese they are too steep by 0.3, sd 0.6 (benchmarks/panels.py, 2026). Plain
prices have a small bias, as -0.25 (0.5) would cost a third of the attainable gain where nothing is hidden."""

REPORTED = ("ad_spend", "advertising", "campaign", "competitor")
"""Covariates whose cause a column reports in part: rivals may be several, conversions show advertising by its effect. A
column of promotions or coupons holds all of them, so that a seller who adds one loses nothing by it."""
HIDDEN_SHARE = 0.5
"""Prior mean and sd of the bias by causes that no column reports, over that which the reported ones would leave: at
most as much is hidden as is seen (Altonji, Elder and Taber 2005; Oster 2019)."""

FOLLOWING_T = 3.0
"""Smallest t statistic of price changes on the unexplained demand of the week before for prices to follow demand."""
FOLLOWING_CHANGES = 0.25
"""Smallest share of days with a price change for that test."""

FEWEST_ALIKE = 3
"""Minimum number of days for a group, such as promotions, to have its own median."""


class Part(NamedTuple):
    """One regression of the average."""

    weight: float
    """Posterior probability."""
    data: RegressionData
    """Days without outliers."""
    everything: RegressionData
    """All days of the history."""
    posterior: RegressionPosterior
    window: int | None
    """See `Terms`."""

    def season_ahead(self) -> FloatArray:
        """Return the log demand of each row ahead by the yearly season, ``(FUTURE_ROWS,)``, over the level ahead."""
        waves = yearly_waves(self.data.last_day + self.data.step_days * np.arange(1, 1 + FUTURE_ROWS))
        return np.asarray((waves - waves[:AHEAD_ROWS].mean(0)) @ self.posterior.mode[self.data.places(SEASON)])

    def draw_memory(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw gain and loss of a reference-price effect, ``(2, count)``; 0 without one."""
        columns = self.data.places(REFERENCE)
        if not len(columns):
            return np.zeros((2, count))
        covariance = self.posterior.covariance[np.ix_(columns, columns)]
        drawn = rng.multivariate_normal(self.posterior.mode[columns], covariance, size=count, method="eigh")
        return np.cumsum(np.maximum(drawn, 0), axis=1).T

    def draw_deals(self, count: int, log_lift: float, sd: float, rng: np.random.Generator) -> DealResponse | None:
        """Draw the effects of deals, lifted on days with one, which differ by an sd; None where there are none."""
        if self.window is None:
            return None
        effects = [[DEAL_DEPTH_NAME, BIAS], ["promotion"], ["stock_at_home"]]
        chosen = np.zeros((3, len(self.posterior.mode)))
        chosen[0, 1] = 1.0
        for row, wanted in zip(chosen, effects, strict=True):
            row[self.data.places(*wanted)] = 1.0
        mean = chosen @ self.posterior.mode + [0.0, log_lift - sd**2 / 2, 0.0]
        covariance = chosen @ self.posterior.covariance @ chosen.T + np.diag([0.0, sd**2, 0.0])
        drawn = rng.multivariate_normal(mean, covariance, size=count, method="eigh")
        return DealResponse(self.window, drawn)


def fit_parts(product: ProductHistory, settings: DemandSettings) -> tuple[PriceSetting, list[Part]]:
    """Return how the prices were set, and the weighted regressions that this allows."""
    observed = product.observed
    setting = product.setting
    first = _candidates(product, setting, settings)[0]
    no_season = first.season.none if first.season else NO_SEASON
    everything = gather_covariates(product, first)
    data, posterior = fit_demand_regression(
        everything.keep(observed), settings, settings.pooled.motions_of(len(observed)) if settings.pooled else ()
    )
    frequent = setting.kind == "plain" and setting.changes >= FOLLOWING_CHANGES
    if frequent and _follows_demand(data, posterior, ~product.own_days[data.row]):
        setting = setting._replace(kind="repricer")
    inliers = np.isin(np.flatnonzero(observed), data.row)
    hidden = HIDDEN_SHARE * find_reported_bias(data, posterior)
    candidates = _candidates(product, setting, settings, hidden)
    rule = _find_rule(everything, data, posterior) if setting.kind == "repricer" else None
    if rule is not None:
        setting = setting._replace(follows=rule.strength)
        bias = _slope_of(data, posterior) - rule.elasticity, rule.sd
        candidates = [terms._replace(bias=bias) for terms in candidates]
    fitted: list[Part] = []
    for terms in candidates:
        if terms != first:
            everything = gather_covariates(product, terms)
            data = everything.keep(observed).keep(inliers)
            posterior = regress(data, settings, posterior)
        whole = Part(posterior.log_evidence, data, everything, posterior, terms.window)
        for part in _split(whole, SEASON, no_season):
            split = _split(part, REFERENCE, NO_MEMORY)
            fitted += split if rule is None else split[:1]  # the rule was found without buyers' memory
    weights = softmax([part.weight for part in fitted])
    parts = [part._replace(weight=float(weight)) for part, weight in zip(fitted, weights, strict=True)]
    return setting, parts


def _find_rule(everything: RegressionData, data: RegressionData, posterior: RegressionPosterior) -> PriceRule | None:
    """Return the rule by which a repricer follows demand, if one is proven and its bias is a likely one."""
    mean, sd = BIASES["repricer"]
    rule = find_price_rule(everything, data, posterior.size)
    likely = rule is not None and abs(_slope_of(data, posterior) - rule.elasticity - mean) <= sd
    return rule if likely else None


def _slope_of(data: RegressionData, posterior: RegressionPosterior) -> float:
    """Return the slope of demand on prices that pricerl did not set, bias included, without buyers' memory."""
    posterior = posterior.given_zero(data.places(REFERENCE))
    return float(posterior.mode[[1, *data.without(REFERENCE).places(BIAS)]].sum())


def find_reported_bias(data: RegressionData, posterior: RegressionPosterior) -> float:
    """Return by how much leaving out the reported causes would raise the elasticity: the omitted-variable bias."""
    price = [1, 2, *data.places(REFERENCE, BIAS)]
    left_out = data.places(*REPORTED)
    mean = np.exp(posterior.log_mean)
    weighted = data.design * np.sqrt(mean / (1 + mean / posterior.size))[:, None]
    others = np.delete(weighted, [*price, *left_out], axis=1)
    log_price = weighted[:, 1]
    own = log_price - others @ np.linalg.lstsq(others.T @ others, others.T @ log_price, rcond=None)[0]
    return float(own @ weighted[:, left_out] @ posterior.mode[left_out]) / max(float(own @ own), 1e-9)


def _candidates(
    product: ProductHistory, setting: PriceSetting, settings: DemandSettings, hidden: float = 0.0
) -> list[Terms]:
    mean, sd = bias_of(setting, product.step_days)
    pooled = settings.pooled
    common = CommonBias() if pooled is None else pooled.bias
    # whether a long history agrees with the others' season is known of plain prices alone
    season = None if pooled is None or (setting.kind != "plain" and shows_a_year(product)) else pooled.season
    bias = mean + sd * common.mean, sd * common.sd
    if hidden and setting.kind in ("plain", "promotions"):
        bias = bias[0] + hidden, float(np.hypot(bias[1], hidden))
    follows = setting.kind == "repricer"
    reported = None if product.promotion is None else 0
    windows = deal_windows(product.step_days) if setting.promoted and not follows else [reported]
    return [Terms(window, bias, follows, season, settings.cross, settings.rounds.unit) for window in windows]


def bias_of(setting: PriceSetting, step_days: int) -> tuple[float, float]:
    """Return prior mean and sd of the bias of a history whose rows are ``step_days`` apart."""
    kind: str = setting.kind
    if kind == "averages" and setting.promoted:
        kind = "promoted averages"
    elif kind == "plain" and step_days > 1 and setting.changes >= CHANGING_SHARE:
        kind = "rounded averages"
    return BIASES[kind]


def _split(part: Part, name: str, probability_of_none: float) -> list[Part]:
    """Return a regression without and with a covariate, their log evidence as the weight."""
    columns = part.data.places(name)
    if not len(columns):
        return [part]
    chosen = columns - PRICE_TERMS
    prior = Prior(part.data.prior.mean[chosen], part.data.prior.sd[chosen])
    share = expit(logit(probability_of_none) + part.posterior.log_odds_of_zero(columns, prior))
    without = Part(
        part.weight + float(np.log(share)),
        part.data.without(name),
        part.everything.without(name),
        part.posterior.given_zero(columns),
        part.window,
    )
    return [without, part._replace(weight=part.weight + float(np.log1p(-share)))]


def _follows_demand(data: RegressionData, posterior: RegressionPosterior, tested: BoolArray) -> bool:
    """Return whether price changes on days ``tested (D,)`` follow surprises of the week before (White 1980)."""
    mean = np.exp(posterior.log_mean - posterior.shock[data.row])  # a shock that the price follows is a surprise
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
    data: RegressionData, settings: DemandSettings, motions: Sequence[Motion] = ()
) -> tuple[RegressionData, RegressionPosterior]:
    """Fit the regression twice, the second time without outliers; return the days kept and the posterior.

    Groups of days by their optional flags, such as promotions, are winsorised around their own median. The likely
    ``motions``, likeliest first, are searched if absent.
    """
    optional = data.covariates[:, data.covariates.shape[1] - len(data.optional) :]
    flags = optional[:, ((optional == 0) | (optional == 1)).all(0)].astype(np.int64)
    group = flags @ 2 ** np.arange(flags.shape[1])
    count = np.bincount(group)
    group = np.where(count[group] < FEWEST_ALIKE, count.argmax(), group)
    units = data.units.copy()
    for item in np.unique(group):
        units[group == item] = winsorise(units[group == item], settings.outlier_sds)
    first = regress(replace(data, units=units), settings, motions=motions[:1])
    inliers = find_inliers(data.units, np.exp(first.log_mean), settings.outlier_sds)
    if not motions and inliers.all() and (units == data.units).all():
        return data, first
    kept = data.keep(inliers)
    return kept, regress(kept, settings, first, motions)


def regress(
    data: RegressionData,
    settings: DemandSettings,
    start: RegressionPosterior | None = None,
    motions: Sequence[Motion] = (),
) -> RegressionPosterior:
    """Fit the regression once; ``start`` is the posterior of a similar one."""
    return fit_regression(data.units, data.design, price_prior(data, settings), data.row, start, data.rows, motions)


def price_prior(data: RegressionData, settings: DemandSettings) -> Prior:
    """Return the prior of all coefficients, the level free."""
    mean = [0.0, settings.prior_elasticity, settings.prior_curvature]
    sd = [np.inf, PRICE_SD, settings.prior_curvature_sd]
    return Prior(np.concatenate([mean, data.prior.mean]), np.concatenate([sd, data.prior.sd]))
