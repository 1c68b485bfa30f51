"""Pooled prior of the elasticity (empirical Bayes): products with little evidence borrow from the others.

Each product's regression, freed of its prior, gives an elasticity ``b_i`` with a standard error ``s_i``. The model is
``b_i ~ Normal(-exp(eta_i), s_i)`` with ``eta_i ~ Normal(mu, tau)``; the marginal likelihood of ``mu`` and ``tau`` is
summed on a grid (Efron and Morris 1975; Gelman et al. 2013, section 5.4). A product's prior is the predictive
distribution of ``eta`` from all other products, so that its own history does not count twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.data.price_setting import classify_prices
from pricerl.market.demand.averaging import fit_demand_regression
from pricerl.market.demand.config import DemandSettings, LogNormal
from pricerl.market.demand.covariates import gather_covariates
from pricerl.market.demand.families import log_normal_prior

FEWEST_POOLED = 8
"""Fewest products with evidence for a pooled prior; fewer say little about how much products differ."""

LOOSE_SD = 10.0
"""Sd of the elasticity where it should have no prior."""
WIDEST_ERROR = 3.0
"""Largest standard error of an elasticity that counts as evidence."""

TAIL = 0.4
"""Weight of the prior's tails: five sds of the pooled prior are as improbable as 2.1 of a normal one."""

LOG_SDS = np.linspace(0.1, 1.0, 19)
"""Possible sds ``tau`` between products, of the log of minus the elasticity."""
LOG_SD_SCALE = 0.5
"""Scale of their half-normal prior, the sd of the prior without pooling."""
MEANS, MEAN_REACH = 41, 3.0
"""Number of possible means ``mu``, and how far they reach from the prior median, in sds of the prior."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
"""Gauss-Hermite quadrature over ``eta``."""


class Evidence(NamedTuple):
    """Elasticity of one product by its own history alone."""

    elasticity: float
    error: float
    """Standard error; infinite without evidence."""

    @property
    def known(self) -> bool:
        """Whether there is evidence."""
        return bool(np.isfinite(self.error))


NO_EVIDENCE = Evidence(0.0, float("inf"))


def find_evidence(product: ProductHistory, settings: DemandSettings) -> Evidence:
    """Return the elasticity of a product without a prior; no evidence if something else may have moved its prices."""
    if classify_prices(product.price[product.observed], product.step_days).kind != "plain":
        return NO_EVIDENCE
    prior = DemandSettings(prior_elasticity=settings.prior_elasticity, prior_elasticity_sd=LOOSE_SD)
    data, posterior, _ = fit_demand_regression(gather_covariates(product).keep(product.observed), prior)
    if len(data.units) < len(posterior.mode) // 2 or not data.units.any():
        return NO_EVIDENCE
    variance = 1 / max(1 / posterior.covariance[1, 1] - 1 / LOOSE_SD**2, 1e-9)
    own = variance * (posterior.mode[1] / posterior.covariance[1, 1] - settings.prior_elasticity / LOOSE_SD**2)
    error = float(np.sqrt(variance))
    return Evidence(float(own), error) if error <= WIDEST_ERROR else NO_EVIDENCE


@dataclass(frozen=True)
class Pool:
    """Evidence on the elasticities of a catalogue, from which the prior of each of its products follows."""

    evidence: Mapping[str, Evidence]
    """By product name."""
    settings: DemandSettings
    """Settings whose prior elasticity and sd are the prior of the pooled ones."""

    def prior(self, product: str) -> LogNormal | None:
        """Return the prior that the other products imply; None if fewer than ``FEWEST_POOLED`` have evidence."""
        own = self.evidence.get(product, NO_EVIDENCE)
        if self._count < FEWEST_POOLED:
            return None
        mean = self._means
        return _predict(self._total - (_log_marginal(own, mean) if own.known else 0.0), mean)

    @cached_property
    def _count(self) -> int:
        return sum(item.known for item in self.evidence.values())

    @cached_property
    def _prior(self) -> LogNormal:
        return log_normal_prior(self.settings.prior_elasticity, self.settings.prior_elasticity_sd)

    @cached_property
    def _means(self) -> FloatArray:
        return np.asarray(self._prior.mean + self._prior.sd * np.linspace(-MEAN_REACH, MEAN_REACH, MEANS))

    @cached_property
    def _total(self) -> FloatArray:
        """Log density of mean and sd given all products, ``(MEANS, len(LOG_SDS))``."""
        mean, prior = self._means, self._prior
        before = -0.5 * ((mean - prior.mean) / prior.sd)[:, None] ** 2 - 0.5 * (LOG_SDS / LOG_SD_SCALE) ** 2
        fits = (_log_marginal(item, mean) for item in self.evidence.values() if item.known)
        return np.asarray(sum(fits, before))


def _log_marginal(item: Evidence, mean: FloatArray) -> FloatArray:
    """Return the log likelihood of one product's elasticity for each mean and sd, ``(MEANS, len(LOG_SDS))``."""
    eta = mean[:, None, None] + LOG_SDS[:, None] * NODES
    density = np.exp(-0.5 * ((item.elasticity + np.exp(eta)) / item.error) ** 2)
    return np.asarray(np.log(density @ WEIGHTS + 1e-12))


def _predict(log_weight: FloatArray, mean: FloatArray) -> LogNormal:
    """Return the predictive prior: means and sds weighted by their probability."""
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    centre = float(weight.sum(1) @ mean)
    variance = float(weight.sum(0) @ LOG_SDS**2 + weight.sum(1) @ (mean - centre) ** 2)
    return LogNormal(centre, float(np.sqrt(variance)), TAIL)
