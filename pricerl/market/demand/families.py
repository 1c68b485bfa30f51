"""Families of demand curves: their prior, and their posterior by sequential Monte Carlo.

A curve is log demand relative to that at the current price, as a function of the log price over the current price. A
missing family harms safety, an unnecessary one costs almost nothing.

Curves start as draws from the prior and reach the posterior through tempered likelihoods: they are reweighted,
resampled and moved (Del Moral, Doucet and Jasra 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.guardrails.round_prices import overlooked
from pricerl.market.demand.priors import (
    MOST_OVERLOOKED,
    NO_ROUND_PRICES,
    ElasticityPrior,
    OwnPrice,
    RoundPrices,
)
from pricerl.market.visitor_tests import VisitorTest

Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""Log demand ``(M, G)``, never rising, at log price ratios ``x (G,)``. The other arguments, ``(M, 1)`` each, are minus
the elasticity at the current price and two shape parameters in [0, 1]."""
LARGEST_LOG = 3.7
"""Largest log of minus the elasticity: one of -40, steeper than in price-comparison shops."""
NO_DEMAND = 1e-4
"""Smallest demand relative to that at the current price: a linear curve beyond its choke price."""
MOST_LOG_ODDS = 50.0
"""Largest change of log odds; beyond it nobody buys."""
SLOPE_ENDS = np.array([-0.01, 0.01])
"""Log prices around one between which the slope of a curve is its elasticity, jumps apart."""
FLATTEST = -0.01
"""Largest elasticity, so that its log is finite where demand has ended."""
STEEPNESS = np.linspace(np.log(-FLATTEST), LARGEST_LOG + 2, 512)
"""Logs of minus the elasticity at which the evidence of a price is tabulated."""
LARGEST_JUMP = 0.43
"""Largest log fall of demand at a round price: 35 % of the buyers."""
JUMP_MOVES = 0.3
"""Share of the moves that draw the jump at a round price anew."""
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
SAME = 1e-10
"""Largest rounding error of a log price."""


def log_quadratic(elasticity: FloatArray, first: FloatArray, second: FloatArray, x: FloatArray) -> FloatArray:
    """Return demand whose elasticity changes by -8 to 3 per unit of log price, constant beyond the turning point."""
    curvature = 5.5 * first - 4
    turn = np.abs(elasticity / (2 * curvature))
    falling = np.clip(x, np.where(curvature > 0, -np.inf, -turn), np.where(curvature > 0, turn, np.inf))
    return np.asarray((curvature * falling - elasticity) * falling)


def logit(elasticity: FloatArray, first: FloatArray, second: FloatArray, x: FloatArray) -> FloatArray:
    """Return logit demand: each visitor buys with a logistic probability, 2 to 60 % at the current price."""
    bought = 0.02 + 0.58 * first
    odds = np.exp(np.minimum(elasticity / (1 - bought) * np.expm1(x), MOST_LOG_ODDS))
    return np.asarray(-np.log(np.minimum(bought + (1 - bought) * odds, 1 / NO_DEMAND)))


def kinked(elasticity: FloatArray, first: FloatArray, second: FloatArray, x: FloatArray) -> FloatArray:
    """Return demand with a kink within 15 % of the current price, up to three times as elastic above it as below."""
    ratio = 1 + 2 * first
    kink = 0.3 * second - 0.15
    low = 2 * elasticity / (1 + ratio)

    def at(point: FloatArray) -> FloatArray:
        above = point - kink
        return np.asarray(-low * np.maximum(above, ratio * above))

    return at(x) - at(np.zeros(1))


FAMILIES: dict[str, Shape] = {
    "constant": lambda elasticity, first, second, x: -elasticity * x,
    "linear": lambda elasticity, first, second, x: np.log(np.maximum(1 - elasticity * np.expm1(x), NO_DEMAND)),
    "exponential": lambda elasticity, first, second, x: -elasticity * np.expm1(x),
    "log_quadratic": log_quadratic,
    "logit": logit,
    "kinked": kinked,
}
"""Families of demand in order: constant elasticity; demand linear in price; log demand linear in price; an elasticity
that changes with the log price; logit demand; demand with a kink near the current price."""


MOVED = ("standardized", "shares", "jump_at")
"""Parameters of a curve that a move changes."""


@dataclass(frozen=True)
class CurveSet:
    """``M`` curves from several families, in parameters with a simple prior."""

    prior: ElasticityPrior
    rounds: RoundPrices
    family: IntArray
    """``(M,)`` position in ``FAMILIES``."""
    standardized: FloatArray
    """``(M,)`` standard normal: probability of the elasticity at the current price under the prior, as a z score."""
    shares: FloatArray
    """``(M, 4)`` uniform in [0, 1]: the two shape parameters, the jump as a share of the largest, and what makes
    `overlooked`."""
    jump_at: FloatArray
    """``(M,)`` round price from which on demand is lower, in money; infinite for none."""

    @cached_property
    def elasticity(self) -> FloatArray:
        """``(M,)`` elasticity at the current price, negative."""
        return -np.exp(np.minimum(self.prior.at(self.standardized), LARGEST_LOG))

    @cached_property
    def overlooked(self) -> FloatArray:
        """``(M,)`` share of what follows a price's whole units that buyers overlook."""
        return np.asarray(MOST_OVERLOOKED * self.shares[:, 3] ** self.rounds.power)

    def at(self, x: FloatArray, current_price: float) -> FloatArray:
        """Return log demand ``(M, G)``, never rising, relative to the current price as seen, at log price ratios."""
        follows = overlooked(current_price * np.exp(x), self.rounds.unit)
        return self.add_jumps(self.without_jumps(x, follows), x, current_price)

    def add_jumps(self, values: FloatArray, x: FloatArray, current_price: float) -> FloatArray:
        """Add the falls at round prices to the smooth part of log demand ``(M, G)``, in place."""
        falling = np.flatnonzero(np.isfinite(self.jump_at))
        place = np.log(self.jump_at[falling, None] / current_price) - SAME
        passed = (x >= place).astype(np.float64) - (place <= 0)
        values[falling] -= LARGEST_JUMP * self.shares[falling, 2:3] * passed
        return values

    def without_jumps(self, x: FloatArray, follows: FloatArray | float = 0.0) -> FloatArray:
        """Return the smooth part of log demand ``(M, G)`` at log price ratios ``(G,)``.

        Buyers overlook a share of the logs ``(G,)`` that ``follow`` the whole units.
        """
        parameters = -self.elasticity, self.shares[:, 0], self.shares[:, 1], self.overlooked
        values = np.empty((len(self.family), len(x)))
        for index, shape in enumerate(FAMILIES.values()):
            rows = np.flatnonzero(self.family == index)
            elasticity, first, second, share = (item[rows, None] for item in parameters)
            values[rows] = shape(elasticity, first, second, x - share * follows)
        return values

    def take(self, index: IntArray) -> CurveSet:
        """Return the curves at ``index``."""
        return replace(self, family=self.family[index], **{name: getattr(self, name)[index] for name in MOVED})

    def accept(self, proposed: CurveSet, accepted: BoolArray) -> CurveSet:
        """Return the curves with those ``accepted (M,)`` of a proposed move."""
        pairs = {name: (getattr(proposed, name), getattr(self, name)) for name in MOVED}
        return replace(self, **{name: np.where(accepted, new.T, old.T).T for name, (new, old) in pairs.items()})

    def move(self, scale: FloatArray, rng: np.random.Generator) -> CurveSet:
        """Propose a move of every curve within its family by ``scale (M,)`` sds: symmetric, or with a new jump."""
        standardized = self.standardized + scale * rng.normal(size=self.standardized.shape)
        moved = self.shares + scale[:, None] * rng.normal(size=self.shares.shape)
        reflected = 1 - np.abs(1 - (moved - 2 * np.floor(moved / 2)))
        count = len(self.family)
        anew = rng.random(count) < JUMP_MOVES
        reflected[anew, 2] = rng.random(int(anew.sum()))
        jump_at = np.where(anew, self.rounds.draw(count, rng), self.jump_at)
        return replace(self, standardized=standardized, shares=reflected, jump_at=jump_at)


def draw_prior(
    count: int, prior: ElasticityPrior, rng: np.random.Generator, rounds: RoundPrices = NO_ROUND_PRICES
) -> CurveSet:
    """Draw ``count`` curves from the prior, equally many from each family."""
    family = np.arange(count) % len(FAMILIES)
    return CurveSet(prior, rounds, family, rng.normal(size=count), rng.random((count, 4)), rounds.draw(count, rng))


@dataclass(frozen=True)
class PriceBins:
    """Units ``(J,)`` by price in ``J`` bins, with the effects of the covariates as exposure, by ``N`` regressions."""

    x: FloatArray
    """``(J,)`` ascending log price over the current price."""
    units: FloatArray
    exposure: FloatArray
    """``(N, J)`` sum of the days' multipliers from weekday, season and the other covariates."""
    weight: FloatArray
    """``(N,)`` factor of log likelihoods, for overdispersion and for the information that the covariates leave."""
    elasticity: FloatArray
    """``(N,)`` elasticity at the current price according to evidence outside the bins, such as deals."""
    precision: FloatArray
    """``(N,)`` precision of that evidence; 0 for none."""
    endings: FloatArray
    """``(2, N)`` rise of log demand per log price that follows whole units, and the precision of that evidence."""
    own_price: OwnPrice | None = None
    """Evidence of the price that the seller chose; None for none."""
    own_ratio: FloatArray | None = None
    """``(S,)`` log ratio of the prior density with that evidence over the one without it at each `STEEPNESS`."""
    rounds: RoundPrices = NO_ROUND_PRICES
    """Prices at which demand may fall at once."""
    tests: Sequence[VisitorTest] = ()

    def log_likelihood(self, curves: CurveSet, part: IntArray, current_price: float) -> FloatArray:
        """Return the log likelihood ``(M,)`` of curves, each by its regression, the level of demand profiled out."""
        ends = [] if self.own_price is None else np.log(self.own_price.price / current_price) + SLOPE_ENDS
        follows = overlooked(current_price * np.exp(self.x), curves.rounds.unit)
        smooth = curves.without_jumps(np.append(self.x, ends), np.append(follows, np.zeros_like(ends)))
        log_demand = curves.add_jumps(smooth[:, : len(self.x)], self.x, current_price)
        exposed = (np.exp(log_demand) @ self.exposure.T)[np.arange(len(part)), part]
        fit = self.weight[part] * (log_demand @ self.units - self.units.sum() * np.log(exposed))
        rise, known = self.endings[:, part]
        fit -= 0.5 * known * np.square(curves.overlooked * curves.elasticity + rise)
        if self.precision.any():
            fit -= 0.5 * self.precision[part] * np.square(curves.elasticity - self.elasticity[part])
        if self.own_ratio is not None:
            slope = (smooth[:, -1] - smooth[:, -2]) / np.ptp(SLOPE_ENDS)
            steepness = np.log(-np.minimum(slope, FLATTEST))
            fit += np.interp(steepness, STEEPNESS, self.own_ratio)
        fit += sum(
            test.log_likelihood(curves.at(np.log(np.array(test.prices) / current_price), current_price))
            for test in self.tests
        )
        return np.asarray(fit)

    def slope_information(self, elasticity: FloatArray) -> FloatArray:
        """Return the Fisher information ``(N,)`` about elasticities at a weight of 1 (Poisson, level profiled out)."""
        expected = self.exposure * np.exp(elasticity[:, None] * self.x)
        expected *= self.units.sum() / expected.sum(1, keepdims=True)
        centre = expected @ self.x / np.maximum(expected.sum(1), 1e-300)
        return np.asarray((expected * np.square(self.x - centre[:, None])).sum(1))


def bin_prices(x: FloatArray, units: FloatArray, multiplier: FloatArray, edges: FloatArray | None = None) -> PriceBins:
    """Sum days ``(D,)`` with multipliers ``(N, D)``, 1 on average days, by similar log price, across no edge."""
    width = max(float(np.ptp(x)), 1e-9) / NUM_BINS
    side = 0 if edges is None else np.searchsorted(edges - SAME, x, side="right")
    _, chosen = np.unique(np.floor((x - x.min()) / width) + 2 * NUM_BINS * side, return_inverse=True)
    total, sold, *exposure = (
        np.bincount(chosen, item).astype(float) for item in (x, units, *np.atleast_2d(multiplier))
    )
    none = np.zeros(len(exposure))
    unknown = none, none, np.stack([none, none])
    return PriceBins(total / np.bincount(chosen), sold, np.stack(exposure), none + 1, *unknown)


def draw_curves(
    bins: PriceBins,
    prior: ElasticityPrior,
    current_price: float,
    rng: np.random.Generator,
    probabilities: Sequence[float] = (1.0,),
) -> list[CurveSet]:
    """Draw equally likely curves from the posterior by each regression, fewer by one of smaller probability."""
    shares = np.array(probabilities) / len(FAMILIES)
    counts = np.maximum(FEWEST_CURVES, len(FAMILIES) * np.round(NUM_CURVES * shares).astype(int))
    ends = np.cumsum(counts)
    rows = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    part = np.repeat(np.arange(len(counts)), counts)
    curves = draw_prior(len(part), prior, rng, bins.rounds)
    fit = bins.log_likelihood(curves, part, current_price)
    temperature = np.zeros(len(counts))
    scale = np.full(len(counts), MOVE_SCALE)
    for _ in range(MAX_TEMPERATURES):
        rise = np.array([_next_rise(fit[own], left) for own, left in zip(rows, 1.0 - temperature, strict=True)])
        tempered = rise[part] * fit
        chosen = np.concatenate([own.start + _resample(tempered[own], rng) for own in rows])
        curves = curves.take(chosen)
        fit = fit[chosen]
        temperature = temperature + rise
        for _ in range(MOVES):
            proposed = curves.move(scale[part], rng)
            proposed_fit = bins.log_likelihood(proposed, part, current_price)
            prior_gain = 0.5 * (curves.standardized**2 - proposed.standardized**2)
            accepted = np.log(rng.random(len(part))) < temperature[part] * (proposed_fit - fit) + prior_gain
            curves = curves.accept(proposed, accepted)
            fit = np.where(accepted, proposed_fit, fit)
            share = np.bincount(part, accepted) / counts
            scale *= np.where(share > 0.5, 1.2, np.where(share < 0.2, 0.7, 1.0))
        if (temperature >= 1.0).all():
            break
    return [curves.take(np.arange(len(part))[own]) for own in rows]


def _resample(log_weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return the curves ``(M,)``, ascending, of systematic resampling (Carpenter, Clifford and Fearnhead 1999)."""
    weight = np.exp(log_weight - log_weight.max())
    count = len(weight)
    reached = np.searchsorted(np.cumsum(weight / weight.sum()), (np.arange(count) + rng.random()) / count)
    return np.minimum(reached, count - 1)


def _next_rise(fit: FloatArray, left: float) -> float:
    """Return the largest tempering step, at most ``left``, after which ``KEPT_SHARE`` of the curves are effective."""

    def spare(rise: float) -> float:
        weight = np.exp(rise * (fit - fit.max()))
        return float(weight.sum() ** 2 / (weight**2).sum()) - KEPT_SHARE * len(fit)

    return left if spare(left) >= 0 else max(float(brentq(spare, 0.0, left)), 1e-12)
