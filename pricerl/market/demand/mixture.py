"""Posterior of the demand families by sequential Monte Carlo.

Hundreds of curves start as draws from the prior and reach the posterior through a sequence of tempered likelihoods:
they are reweighted, resampled and moved (Del Moral, Doucet and Jasra 2006). With little data this is plain importance
weighting; with much, the curves concentrate where the likelihood is high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricerl.arrays import FloatArray, IntArray
from pricerl.market.demand.config import ElasticityPrior
from pricerl.market.demand.families import FAMILIES, CurveSet, draw_prior
from pricerl.market.demand.own_price import OwnPrice

NUM_CURVES = 600
"""Curves (particles) of the sampler for a whole posterior, a multiple of the number of families."""
FEWEST_CURVES = 120
"""Fewest curves for a part of a posterior, also such a multiple."""
NUM_BINS = 160
"""Bins of log price between the lowest and the highest tried price."""
KEPT_SHARE = 0.5
"""Effective sample size after a tempering step, as a share of the curves."""
MOVES = 6
"""Metropolis steps after each resampling."""
MOVE_SCALE = 0.4
"""Initial step size of a move, in prior sds; adapted to an acceptance between a fifth and a half."""
MAX_TEMPERATURES = 60


@dataclass(frozen=True)
class PriceBins:
    """Units by price in ``J`` bins, with the effects of the covariates as exposure."""

    x: FloatArray
    """``(J,)`` ascending log price over the current price."""
    units: FloatArray
    """``(J,)`` units sold."""
    exposure: FloatArray
    """``(J,)`` sum of the days' multipliers from weekday, season and the other covariates."""
    weight: float
    """Factor of log likelihoods, for overdispersion and for the information that the covariates leave."""

    elasticity: float = 0.0
    """Elasticity at the current price according to evidence outside the bins, such as deals."""
    precision: float = 0.0
    """Precision of that evidence; 0 for none."""
    own_price: OwnPrice | None = None
    """Evidence of the price that the seller chose; None for none."""

    def log_likelihood_of(self, curves: CurveSet, current_price: float) -> FloatArray:
        """Return the log likelihood ``(M,)`` of curves by the bins and the other evidence."""
        elsewhere = -0.5 * self.precision * np.square(curves.elasticity - self.elasticity)
        if self.own_price is not None:
            steepness = np.log(-curves.elasticity_at(np.log(self.own_price.price / current_price)))
            elsewhere = elsewhere + self.own_price.log_ratio(steepness, curves.prior)
        return self.log_likelihood(curves.at(self.x, current_price)) + elsewhere

    def slope_information(self, elasticity: float) -> float:
        """Return the Fisher information about the elasticity at a weight of 1 (Poisson, level profiled out)."""
        expected = self.exposure * np.exp(elasticity * self.x)
        expected *= self.units.sum() / expected.sum()
        centre = np.average(self.x, weights=expected) if expected.sum() > 0 else 0.0
        return float(expected @ np.square(self.x - centre))

    def log_likelihood(self, log_demand: FloatArray) -> FloatArray:
        """Return the log likelihood ``(M,)`` of curves ``(M, J)``, the level of demand profiled out."""
        total = self.units.sum()
        return np.asarray(self.weight * (log_demand @ self.units - total * np.log(np.exp(log_demand) @ self.exposure)))

    def log_level(self, log_demand: FloatArray) -> FloatArray:
        """Return the log of the likeliest average units at the current price, ``(M,)``, of curves ``(M, J)``."""
        return np.asarray(np.log(max(self.units.sum(), 0.5) / (np.exp(log_demand) @ self.exposure)))


def curves_for(weight: float) -> int:
    """Return the number of curves for a part of the posterior with this probability."""
    return max(FEWEST_CURVES, len(FAMILIES) * round(NUM_CURVES * weight / len(FAMILIES)))


def bin_prices(x: FloatArray, units: FloatArray, multiplier: FloatArray, weight: float) -> PriceBins:
    """Sum the days ``(D,)`` in bins of similar prices.

    Args:
        x: log price over the current price.
        units: units sold.
        multiplier: effect of the covariates on each day, 1 for an average one.
        weight: see ``PriceBins``.
    """
    width = max(float(np.ptp(x)), 1e-9) / NUM_BINS
    _, chosen = np.unique(np.floor((x - x.min()) / width), return_inverse=True)
    total, sold, exposure = (np.bincount(chosen, value).astype(np.float64) for value in (x, units, multiplier))
    return PriceBins(total / np.bincount(chosen), sold, exposure, weight)


def draw_curves(
    bins: PriceBins, prior: ElasticityPrior, current_price: float, rng: np.random.Generator, count: int = NUM_CURVES
) -> CurveSet:
    """Draw equally likely curves from the posterior.

    Args:
        bins: the history.
        prior: prior of minus the elasticity at the current price.
        current_price: money; determines which prices are whole.
        rng: random number generator.
        count: number of curves, a multiple of the number of families.
    """

    def fit_of(curves: CurveSet) -> FloatArray:
        return bins.log_likelihood_of(curves, current_price)

    curves = draw_prior(count, prior, rng)
    fit = fit_of(curves)
    temperature = 0.0
    scale = MOVE_SCALE
    for _ in range(MAX_TEMPERATURES):
        rise = _next_rise(fit, 1.0 - temperature)
        weight = np.exp(rise * (fit - fit.max()))
        chosen = _resample(weight / weight.sum(), rng)
        curves = curves.take(chosen)
        fit = fit[chosen]
        temperature = temperature + rise
        for _ in range(MOVES):
            proposed = curves.move(scale, rng)
            proposed_fit = fit_of(proposed)
            gain = temperature * (proposed_fit - fit) + proposed.log_prior() - curves.log_prior()
            accepted = np.log(rng.random(len(fit))) < gain
            curves = curves.replaced(accepted, proposed)
            fit = np.where(accepted, proposed_fit, fit)
            scale *= 1.2 if accepted.mean() > 0.5 else 0.7 if accepted.mean() < 0.2 else 1.0
        if temperature >= 1.0:
            break
    return curves


def _next_rise(fit: FloatArray, left: float) -> float:
    """Return the largest tempering step, at most ``left``, after which ``KEPT_SHARE`` of the curves are effective."""

    def effective(rise: float) -> float:
        weight = np.exp(rise * (fit - fit.max()))
        return float(weight.sum() ** 2 / (weight**2).sum())

    wanted = KEPT_SHARE * len(fit)
    if effective(left) >= wanted:
        return left
    low = 0.0
    high = left
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= wanted else (low, middle)
    return max(low, 1e-12)


def _resample(weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Resample systematically (Carpenter, Clifford and Fearnhead 1999) and shuffle."""
    quantiles = (np.arange(len(weight)) + rng.random()) / len(weight)
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), quantiles), len(weight) - 1)
    return rng.permutation(chosen)
