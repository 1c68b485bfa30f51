"""Pooled prior of the elasticity (empirical Bayes): products with little evidence borrow from the others.

Each product's regression, freed of its prior, gives an elasticity ``b_i`` with a standard error ``s_i``. The model is
``b_i ~ Normal(-exp(eta_i), s_i)`` with ``eta_i`` from a density of any shape, so that a catalogue may have several
kinds of products. The density is found on a grid by expectation maximisation from the general prior, which counts like
one more product (Laird 1978; Efron 2016); a group's density starts from the catalogue's in the same way. A product's
prior is the density of all other products, mixed with the general prior: more of it, the less the product's own
history agrees with the others (limited translation; Efron and Morris 1972).

A part of the bias of histories is common to a catalogue. Products whose price pricerl moved show it, by the difference
between the elasticities of their history and of their own days: the bias of product ``i`` is ``m + s (sqrt(rho) Z +
sqrt(1 - rho) u_i)`` with its prior mean ``m`` and sd ``s``, and standard normal ``Z`` and ``u_i``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import fsum
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtri, softmax

from pricerl.arrays import FloatArray
from pricerl.data.history import ProductHistory
from pricerl.guardrails.round_prices import whole_unit
from pricerl.market.demand.averaging import (
    NO_SEASON,
    bias_of,
    fit_demand_regression,
    price_prior,
)
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import BIAS, OVERLOOKED, PRIORS, SEASON, RegressionData, Terms, gather_covariates
from pricerl.market.demand.priors import MOST_OVERLOOKED, CommonBias, SeasonPrior, Tabulated, log_normal_prior
from pricerl.market.demand.regression import LOOSE_SD, MOTIONS, Prior, RegressionPosterior

FEWEST_POOLED = 8
"""Fewest products with evidence for a pooled prior; fewer hardly show how much products differ."""

WIDEST_ERROR = 3.0
"""Largest standard error of an elasticity that counts as evidence."""

GENERAL_WEIGHT = 0.2
"""Smallest weight of the general prior in a pooled one."""
AGREEMENT = 0.7
"""Bayes factor of a pooled prior against the general one below which a product disagrees with the others."""
FORERUNNERS = 1.0
"""Number of products for which the general prior counts in the density of a catalogue."""
GROUP_FORERUNNERS = 2.0
"""Number of products for which the catalogue counts in the density of a group."""
STEPS = 20
"""Steps of the expectation maximisation: more make the density as narrow as the evidence allows, and hardly differ."""
SMALLEST_SPREAD = 0.12
"""Sd by which the density is smoothed, of the log of minus the elasticity: products alike differ by an eighth."""
GRID = 201
"""Points of the grid of ``eta``."""
GRID_REACH = 5.0
"""Distance from the general prior's mean to the ends of the grid, in its sds."""
MOST_POOLED = 2_000
"""Most products that determine a density; more would not change it."""
SEASON_SPREADS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Possible sds of a coefficient of the yearly season between products, equally likely."""
SEASON_PROOF = 5.0
"""Smallest log evidence of all products for a yearly season: without one it is up to 3, with one in half of them 100
and more (nine simulated products, two years)."""
POWERS = (1.0, 5.0, 11.0, 11.0, 41.0, 41.0)
"""Possible powers as in `RoundPrices`, equally likely: buyers overlook 1/2, 1/6, 1/12 or 1/42 of the most."""
COMMON_SHARE = 1 / 3
"""Share ``rho`` of the prior variance of the bias that products have in common: as categories have in a panel of 54
products and 77 stores (2026)."""


class Evidence(NamedTuple):
    """Elasticity of one product by its own history alone."""

    elasticity: float
    error: float
    """Standard error; infinite without evidence."""
    group: str = ""
    """Name of the products that it is pooled with first; empty for the whole catalogue."""
    common: float = 0.0
    """Estimate of the common part ``Z`` of the bias."""
    precision: float = 0.0
    """Its precision; 0 without a price that pricerl set."""
    slope: float = 0.0
    """Change of the elasticity per ``Z``."""
    season: Sequence[tuple[float, float]] = ()
    """Coefficients of the yearly season and their standard errors; none without a year of days."""
    endings: Sequence[tuple[float, float]] = ()
    """Rise of log demand per log price that follows the whole units, and its standard error; none where the prices
    never show it."""
    rows: int = 0
    """Rows of the history."""
    motions: Sequence[int] = ()
    """Places on the grid of the likely motions of its demand, likeliest first."""

    @property
    def known(self) -> bool:
        """Whether there is evidence."""
        return bool(np.isfinite(self.error))


NO_EVIDENCE = Evidence(0.0, float("inf"))


def find_evidence(product: ProductHistory, settings: DemandSettings) -> Evidence:
    """Return elasticity and yearly season of a product without their priors.

    There is no evidence if something else may have moved the prices, and no season without a year.
    """
    unknown = NO_EVIDENCE._replace(group=product.group)
    if product.setting.kind != "plain":
        return unknown
    prior = DemandSettings(prior_elasticity=settings.prior_elasticity, prior_elasticity_sd=LOOSE_SD)
    unit = float(whole_unit(product.current_price))
    everything = gather_covariates(product, Terms(bias=bias_of(product.setting, product.step_days), unit=unit))
    data, posterior = fit_demand_regression(everything.keep(product.observed), prior)
    if len(data.units) < len(posterior.mode) // 2 or not data.units.any():
        return unknown
    loose = price_prior(data, prior)
    season, endings = (_find_alone(data, posterior, loose, name) for name in (SEASON, OVERLOOKED))
    unknown = unknown._replace(season=season, endings=endings)
    variance = 1 / max(1 / posterior.covariance[1, 1] - 1 / LOOSE_SD**2, 1e-9)
    own = variance * (posterior.mode[1] / posterior.covariance[1, 1] - settings.prior_elasticity / LOOSE_SD**2)
    error = float(np.sqrt(variance))
    if error > WIDEST_ERROR:
        return unknown
    common, precision, slope = _find_common_bias(data, posterior)
    return unknown._replace(
        elasticity=float(own),
        error=error,
        common=common,
        precision=precision,
        slope=slope,
        rows=len(product.dates) if product.promotion is None else 0,  # deals are terms of the market's regression alone
        motions=[*map(MOTIONS.index, posterior.motions)],
    )


def _find_alone(
    data: RegressionData, posterior: RegressionPosterior, prior: Prior, name: str
) -> tuple[tuple[float, float], ...]:
    """Return the coefficients of the covariates of a name without their prior, and their standard errors."""
    columns = data.places(name)
    alone = posterior.without_prior(columns, prior)
    variance = np.diag(alone.covariance)[columns]
    if (variance <= 0).any():
        return ()
    return tuple(zip(alone.mode[columns].tolist(), np.sqrt(variance).tolist(), strict=True))


def _find_common_bias(data: RegressionData, posterior: RegressionPosterior) -> tuple[float, float, float]:
    """Return a regression's estimate of the common part of the bias, its precision, and the slope of the elasticity."""
    if data.bias is None:
        return 0.0, 0.0, 0.0
    mean, sd = data.bias
    (column,) = data.places(BIAS)
    common_sd = sd * COMMON_SHARE**0.5
    slope = common_sd * float(posterior.covariance[1, column]) / sd**2
    variance = float(posterior.covariance[column, column])
    known = 1 / variance - 1 / sd**2
    if known < 1 / WIDEST_ERROR**2:
        return 0.0, 0.0, slope
    estimate = (float(posterior.mode[column]) / variance - mean / sd**2) / known
    precision = common_sd**2 / (1 / known + sd**2 * (1 - COMMON_SHARE))
    return (estimate - mean) / common_sd, precision, slope


@dataclass(frozen=True)
class Pool:
    """Evidence on the elasticities of a catalogue, from which the prior of each of its products follows."""

    evidence: Mapping[str, Evidence]
    """By product name."""
    settings: DemandSettings
    """Settings whose prior elasticity and sd are the general prior."""
    own: Mapping[str, Evidence] = field(default_factory=dict)
    """Evidence on products that came later, which counts for themselves only."""
    _levels: dict[str, _Level] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Densities that were asked for so far, by group; the catalogue's under an empty name."""
    _known_seasons: dict[str, tuple[_Shown, FloatArray]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Seasons likewise."""

    def prior(self, product: str) -> Tabulated | None:
        """Return the prior that the other products imply, or None if fewer than ``FEWEST_POOLED`` have evidence."""
        if self._known < FEWEST_POOLED:
            return None
        own = self.evidence.get(product) or self.own.get(product, NO_EVIDENCE)
        general = self._general
        likelihood = _likelihood([own], self._eta)[0] if own.known else None
        density = self._level("").without(product, likelihood, general)
        if own.group:
            density = self._level(own.group).without(product, likelihood, density)
        density = self._kernel @ density
        weight = 1.0 - GENERAL_WEIGHT
        if likelihood is not None:  # disagreement counts here in addition to the likelihood itself
            weight *= min(1.0, float(likelihood @ density / (likelihood @ general)) / AGREEMENT) ** 2
        density = weight * density + (1 - weight) * general
        mean = float(density @ self._eta)
        sd = float(np.sqrt(density @ (self._eta - mean) ** 2))
        quantiles = ndtri(np.cumsum(density) - 0.5 * density)
        shown = self._common_bias(product), self._season(product, own), self._power(product)
        return Tabulated(mean, sd, quantiles, self._eta, *shown, [MOTIONS[place] for place in own.motions], own.rows)

    def _power(self, without: str) -> float | None:
        """Return the power that makes what buyers overlook, by all products but one, or None if too few show it."""
        fit = self._powers.without(without)
        if len(fit) < FEWEST_POOLED:
            return None
        return float(1 / (softmax(fit.sum(0)) @ (1 / (1 + np.array(POWERS)))) - 1)

    @cached_property
    def _powers(self) -> _Shown:
        """Log likelihood of each of `POWERS`, by the products whose prices show endings, ``(N, 6)``."""
        shown = self._gather("endings", "")
        share = MOST_OVERLOOKED * np.power(np.linspace(0, 1, 33)[:, None], POWERS)  # by uniform number and power
        apart = (shown.found[..., :1] + self.settings.prior_elasticity * share) / shown.found[..., 1:]
        return shown._replace(found=np.log(np.exp(-0.5 * apart**2).mean(1) + 1e-12))

    def _season(self, product: str, own: Evidence) -> SeasonPrior | None:
        """Return the yearly season of the other products, of the group if enough show one.

        Coefficients are normal around a common mean. Their sd, by harmonic, is averaged by evidence. There is none if
        too few products show one, or if the product's own season disagrees.
        """
        shown, sums = self._seasons(own.group)
        if len(shown.rows) < FEWEST_POOLED:
            shown, sums = self._seasons("")
        if len(shown.rows) < FEWEST_POOLED:
            return None
        if product in shown.rows:
            sums = sums - _sum_seasons(shown.found[[shown.rows[product]]])
        precision, weighted, squared, logs = sums
        general = PRIORS[SEASON][1] ** 2
        total = 1 / general + precision
        centre = weighted / total
        fit = logs - squared + centre**2 * total - np.log(total)
        weight = np.repeat(softmax(fit.reshape(len(fit), -1, 2).sum(2) / 2, axis=0), 2, axis=1)
        mean = (weight * centre).sum(0)
        spread = (weight * (centre**2 + 1 / total + np.square(SEASON_SPREADS)[:, None])).sum(0) - mean**2
        odds = _log_odds_of_season(shown.without(product), mean, spread)
        if odds.sum() < SEASON_PROOF:
            return None
        if own.season:
            alone = np.array([own.season])
            agreement = _log_odds_of_season(alone, mean, spread) - _log_odds_of_season(alone, 0 * mean, general)
            if agreement < np.log(AGREEMENT):
                return None
        none = (FORERUNNERS * NO_SEASON + expit(logit(NO_SEASON) - odds).sum()) / (FORERUNNERS + len(odds))
        return SeasonPrior(tuple(mean.tolist()), tuple(np.sqrt(spread).tolist()), float(none))

    def _seasons(self, group: str) -> tuple[_Shown, FloatArray]:
        """Return the seasons of a group, or of the catalogue, and their sums."""
        if group not in self._known_seasons:
            shown = self._gather("season", group)
            self._known_seasons[group] = shown, _sum_seasons(shown.found)
        return self._known_seasons[group]

    def _gather(self, kind: str, group: str) -> _Shown:
        """Return the ``season`` or ``endings`` of at most `MOST_POOLED` products of a group, or of the catalogue."""
        shown = {name: getattr(item, kind) for name, item in self.evidence.items() if group in ("", item.group)}
        names = _thin(name for name, found in shown.items() if found)
        found = [shown[name] for name in names] or np.empty((0, 1, 2))
        return _Shown({name: row for row, name in enumerate(names)}, np.array(found))

    def _common_bias(self, without: str) -> CommonBias:
        """Return what all products but one show of the common part of the bias."""
        own = self.evidence.get(without, NO_EVIDENCE)
        precision, weighted, count = self._common
        left = precision - own.precision
        mean = COMMON_SHARE**0.5 * (weighted - own.precision * own.common) / left
        return CommonBias(mean, (COMMON_SHARE / left + 1 - COMMON_SHARE) ** 0.5, count - (own.precision > 0))

    def with_history(self, product: ProductHistory) -> Pool:
        """Return the pool with the evidence of another history of a product, such as its first days."""
        return Pool({**self.evidence, product.product: find_evidence(product, self.settings)}, self.settings)

    @cached_property
    def _known(self) -> int:
        return sum(item.known for item in self.evidence.values())

    @cached_property
    def _common(self) -> tuple[float, float, int]:
        """Precision of the common part of the bias, its mean times that, and the number of products that show it."""
        shown = [item for item in self.evidence.values() if item.precision]
        precision = 1 + fsum(item.precision for item in shown)
        return precision, fsum(item.precision * item.common for item in shown), len(shown)

    @cached_property
    def _eta(self) -> FloatArray:
        """Possible logs of minus the elasticity, ``(GRID,)``."""
        prior = log_normal_prior(self.settings.prior_elasticity, self.settings.prior_elasticity_sd)
        return np.asarray(prior.mean + prior.sd * np.linspace(-GRID_REACH, GRID_REACH, GRID))

    @cached_property
    def _general(self) -> FloatArray:
        """General prior, ``(GRID,)``, which sums to 1."""
        weight = np.exp(-0.5 * np.linspace(-GRID_REACH, GRID_REACH, GRID) ** 2)
        return np.asarray(weight / weight.sum())

    @cached_property
    def _kernel(self) -> FloatArray:
        """Matrix that smooths a density, ``(GRID, GRID)``."""
        weight = np.exp(-0.5 * ((self._eta[:, None] - self._eta) / SMALLEST_SPREAD) ** 2)
        return np.asarray(weight / weight.sum(0))

    def _level(self, group: str) -> _Level:
        """Return the density of a group, or of the catalogue, by expectation maximisation from the wider one."""
        if group not in self._levels:
            start = self._level("").density if group else self._general
            forerunners = GROUP_FORERUNNERS if group else FORERUNNERS
            known = _thin(name for name, item in self.evidence.items() if item.known and group in ("", item.group))
            precision, weighted, _ = self._common
            corrected = [
                item._replace(elasticity=item.elasticity + item.slope * weighted / precision)
                for item in map(self.evidence.__getitem__, known)
            ]
            likelihood = _likelihood(corrected, self._eta)
            density = start
            for _ in range(STEPS):
                density = (forerunners * start + _sum_posteriors(likelihood, density)) / (forerunners + len(known))
            total = _sum_posteriors(likelihood, density)
            self._levels[group] = _Level(frozenset(known), forerunners, density, total)
        return self._levels[group]


class _Shown(NamedTuple):
    """Coefficients that products show."""

    rows: Mapping[str, int]
    """Row by product."""
    found: FloatArray
    """``(N, C, 2)`` estimates and standard errors, or what follows from them."""

    def without(self, product: str) -> FloatArray:
        """Return what the other products show."""
        return np.delete(self.found, [self.rows[product]] if product in self.rows else [], axis=0)


class _Level(NamedTuple):
    """Density of the elasticities of a catalogue or of one of its groups."""

    names: frozenset[str]
    """Products that determine it."""
    forerunners: float
    density: FloatArray
    """``(GRID,)``, which sums to 1."""
    total: FloatArray
    """Sum of the posteriors of the products, ``(GRID,)``."""

    def without(self, product: str, likelihood: FloatArray | None, start: FloatArray) -> FloatArray:
        """Return the density without a product, ``(GRID,)``, if it starts from another one."""
        total = self.total
        if likelihood is not None and product in self.names:
            total = np.maximum(total - _sum_posteriors(likelihood[None], self.density), 0.0)
        density = self.forerunners * start + total
        return np.asarray(density / density.sum())


def _thin(names: Iterable[str]) -> list[str]:
    """Return at most `MOST_POOLED` of some names, evenly spaced in their order."""
    ordered = sorted(names)
    return ordered[:: -(-len(ordered) // MOST_POOLED) or 1]


def _sum_seasons(found: FloatArray) -> FloatArray:
    """Return sums over products ``(4, S, C)``, by `SEASON_SPREADS` and coefficient, given ``found (N, C, 2)``.

    The parts are precision, precision times estimate, precision times squared estimate, and log precision.
    """
    estimate, variance = found[..., 0], np.square(found[..., 1])
    precision = 1 / (variance + np.square(SEASON_SPREADS)[:, None, None])
    parts = (precision, precision * estimate, precision * estimate**2, np.log(precision))
    return np.stack([part.sum(1) for part in parts])


def _log_odds_of_season(found: FloatArray, mean: FloatArray, spread: FloatArray | float) -> FloatArray:
    """Return the log Bayes factors of normal coefficients against none, ``(N,)``, by estimates and errors."""
    estimate = found[..., 0]
    variance = np.square(found[..., 1])
    odds = estimate**2 / variance - (estimate - mean) ** 2 / (variance + spread) - np.log1p(spread / variance)
    return np.asarray(odds.sum(1) / 2)


def _likelihood(items: Sequence[Evidence], eta: FloatArray) -> FloatArray:
    """Return the likelihood of products ``(N, GRID)``, of each up to a factor."""
    elasticity, error = (np.array([item[place] for item in items]).reshape(-1, 1) for place in (0, 1))
    log = -0.5 * ((elasticity + np.exp(eta)) / error) ** 2
    return np.asarray(np.exp(log - log.max(1, keepdims=True)) + 1e-12)


def _sum_posteriors(likelihood: FloatArray, density: FloatArray) -> FloatArray:
    """Return the sum of the posteriors of products, ``(GRID,)``, whose prior is a density ``(GRID,)``."""
    return np.asarray(density * ((1 / (likelihood @ density)) @ likelihood))
