"""The mixture of demand families: hundreds of curves, weighted by how well they explain the history.

Curves start as draws from the prior and are led to the posterior through a row of tempered likelihoods: reweighted,
resampled and moved (a sequential Monte Carlo sampler, Del Moral, Doucet and Jasra 2006). With little data that is
plain importance weighting; with much, curves gather where the likelihood is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricerl.arrays import FloatArray, IntArray
from pricerl.market.demand.families import CurveSet, LogNormal, draw_prior

NUM_CURVES = 600
"""Curves that are weighted; a multiple of the number of families."""
NUM_BINS = 160
"""Log prices are told apart at this many places between the lowest and the highest."""
KEPT_SHARE = 0.5
"""Effective share of the curves that a rise of the temper leaves."""
MOVES = 6
"""Metropolis steps after each resampling."""
MOVE_SCALE = 0.4
"""First size of a move, in prior sds; adapted to an acceptance between a fifth and a half."""
MAX_TEMPERS = 60


@dataclass(frozen=True)
class PriceBins:
    """What the history says about price once everything else is accounted for, in ``J`` bins of similar prices."""

    x: FloatArray
    """``(J,)`` ascending log price over the current price."""
    units: FloatArray
    """``(J,)`` units sold."""
    exposure: FloatArray
    """``(J,)`` sum of the days' multipliers: what weekday, season and the rest make of a day."""
    trust: float
    """Log likelihoods are multiplied by this: the share of the price's information that the other causes leave, over
    the dispersion."""

    def log_likelihood(self, log_demand: FloatArray) -> FloatArray:
        """Log likelihood ``(M,)`` of curves ``(M, J)``, the level of demand profiled out."""
        total = self.units.sum()
        return np.asarray(self.trust * (log_demand @ self.units - total * np.log(np.exp(log_demand) @ self.exposure)))

    def log_level(self, log_demand: FloatArray) -> FloatArray:
        """Log of the likeliest units ``(M,)`` of an average day at the current price, for curves ``(M, J)``."""
        return np.asarray(np.log(max(self.units.sum(), 0.5) / (np.exp(log_demand) @ self.exposure)))


def bin_prices(x: FloatArray, units: FloatArray, multiplier: FloatArray, trust: float) -> PriceBins:
    """Gather days ``(D,)`` of similar prices.

    Args:
        x: log price over the current price.
        units: sold.
        multiplier: what everything but the price makes of the day, 1 for an average one.
        trust: see ``PriceBins``.
    """
    width = max(float(np.ptp(x)), 1e-9) / NUM_BINS
    _, place = np.unique(np.floor((x - x.min()) / width), return_inverse=True)
    sums = (np.bincount(place, value).astype(np.float64) for value in (x, units, multiplier))
    total, sold, exposure = sums
    return PriceBins(total / np.bincount(place), sold, exposure, trust)


def draw_curves(bins: PriceBins, prior: LogNormal, current_price: float, rng: np.random.Generator) -> CurveSet:
    """Draw ``NUM_CURVES`` equally likely curves from the posterior.

    Args:
        bins: the history.
        prior: of minus the elasticity at the current price.
        current_price: money; fixes where whole prices lie.
        rng: owner of the randomness.
    """
    curves = draw_prior(NUM_CURVES, prior, rng)
    fit = bins.log_likelihood(curves.at(bins.x, current_price))
    temper, scale = 0.0, MOVE_SCALE
    for _ in range(MAX_TEMPERS):
        rise = _next_rise(fit, 1.0 - temper)
        weight = np.exp(rise * (fit - fit.max()))
        chosen = _resample(weight / weight.sum(), rng)
        curves, fit, temper = curves.take(chosen), fit[chosen], temper + rise
        for _ in range(MOVES):
            curves, fit, accepted = _move(curves, fit, bins, current_price, temper, scale, rng)
            scale *= 1.2 if accepted > 0.5 else 0.7 if accepted < 0.2 else 1.0
        if temper >= 1.0:
            break
    return curves


def _next_rise(fit: FloatArray, left: float) -> float:
    """The largest rise of the temper, at most ``left``, that keeps ``KEPT_SHARE`` of the curves effective."""

    def effective(rise: float) -> float:
        weight = np.exp(rise * (fit - fit.max()))
        return float(weight.sum() ** 2 / (weight**2).sum())

    wanted = KEPT_SHARE * len(fit)
    if effective(left) >= wanted:
        return left
    low, high = 0.0, left
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= wanted else (low, middle)
    return max(low, 1e-12)


def _resample(weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Systematic resampling (Carpenter, Clifford and Fearnhead 1999), shuffled."""
    places = (np.arange(len(weight)) + rng.random()) / len(weight)
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), places), len(weight) - 1)
    return rng.permutation(chosen)


def _move(
    curves: CurveSet,
    fit: FloatArray,
    bins: PriceBins,
    current_price: float,
    temper: float,
    scale: float,
    rng: np.random.Generator,
) -> tuple[CurveSet, FloatArray, float]:
    """One Metropolis step of every curve; also the share that was accepted."""
    proposed = curves.move(scale, rng)
    proposed_fit = bins.log_likelihood(proposed.at(bins.x, current_price))
    gain = temper * (proposed_fit - fit) + proposed.log_prior() - curves.log_prior()
    accepted = np.log(rng.random(len(fit))) < gain
    merged = replace(
        curves,
        level=np.where(accepted, proposed.level, curves.level),
        shares=np.where(accepted[:, None], proposed.shares, curves.shares),
    )
    return merged, np.where(accepted, proposed_fit, fit), float(accepted.mean())
