"""Analysis of the pairs of a price test: randomisation test, confidence sequence, stop rule on money, carry-over.

**Randomisation test.** If the price had no effect, the other order of a pair would have turned the sign of its
difference and nothing else. So the test compares the mean difference with those of all ``2^n`` turned signs (Fisher
1935; Rosenbaum 2002, section 2). Inverted, its limits are order statistics of the means over subsets of the pairs
(Hartigan 1969, "Using subsample values as typical values", theorem 1).

**Confidence sequence**: limits of a constant effect ``t`` that hold at every look. Each difference ``D_i - t`` of a
randomised pair is symmetric around 0 whatever the demand does. So the product of ``exp(b x) / cosh(b x)`` with
``x = D_i - t`` over the pairs is a nonnegative martingale for every bet b (Ramdas, Ruf, Larsson and Koolen 2020, arXiv
2009.03167). By Ville's inequality its mean over fixed bets exceeds ``1 / alpha`` at any time with probability at most
alpha. For positive bets it falls in t, so that the effects not rejected form an interval.

**Stop rule on money.** The test also ends when the choice of the better-looking price is expected to lose no more than
a sum in the rest of the year (expected opportunity cost: Chick and Inoue 2001, Operations Research 49). The effect has
a normal prior around zero: the history gives its plausible size, and the test alone its direction.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.experiments.schedule import TEST

MOST_EXACT = 16
"""Most pairs whose ``2^n`` orders are all counted."""
MONTE_CARLO = 19_999
"""Random orders of more pairs; with the one that happened, the p-value is valid (Phipson and Smyth 2010)."""
TIE = 1e-12
"""Relative difference up to which two sums count as equal."""
BETS = np.geomspace(0.1, 3.2, 12)
"""Bets in units of one over the planned sd of a difference, fixed before the test; small ones suit small effects."""
ANYTIME = 0.01
"""Level of the confidence sequence, which may prove an effect at every look."""
FINAL = 0.04
"""Level of the randomisation test, once, at the planned end: together they err with a probability of at most 5 %."""
SURE = 0.70
"""Smallest probability of a verdict by money, that of a change without a test (``decision.min_chance``): wrong ones
stay below a tenth of tests (docs/price-tests.md)."""
FEWEST_LOOKED = 3
"""Fewest pairs after which money decides: fewer do not show whether sales are as noisy as planned."""

Verdict = Literal["higher", "lower", "undecided", "running"]
"""Whether the test price has the higher or the lower outcome, neither at the planned end, or the test goes on."""


class StopRule(NamedTuple):
    """Stop rule on money."""

    spread: float
    """Plausible size of the effect per row, money: its root mean square over the posterior draws."""
    loss: float
    """Largest expected loss of a choice with which the test ends early, money."""
    year: int
    """Rows for which the choice counts, from the first one of the test."""
    block: int
    """Rows of a block."""

    def rows_left(self, pairs: FloatArray | IntArray) -> FloatArray:
        """Return the rows of the year that are left after some pairs of blocks."""
        return np.maximum(self.year - 2.0 * self.block * pairs, 0.0)

    def choose(self, differences: FloatArray, scale: float) -> tuple[FloatArray, BoolArray]:
        """Judge the better-looking price after each of the pairs, whose differences are ``(..., n)``.

        They count as noisy as planned, ``scale``, or as they are, if that is more. Returned are the expected loss of
        choosing it in the rest of the year, money, infinite after too few pairs, and whether it reaches ``SURE``.
        """
        pairs = np.arange(1, differences.shape[-1] + 1)
        mean = np.cumsum(differences, axis=-1) / pairs
        found = np.cumsum(differences**2, axis=-1) - pairs * mean**2
        noise = np.maximum(scale**2, found / np.maximum(pairs - 1, 1)) / pairs
        weight = self.spread**2 / (self.spread**2 + noise)
        doubt = np.maximum(self.spread * np.sqrt(1 - weight), 1e-12)
        sds = np.abs(weight * mean) / doubt
        losses = doubt * (np.exp(-(sds**2) / 2) / np.sqrt(2 * np.pi) - sds * ndtr(-sds)) * self.rows_left(pairs)
        looked = pairs >= FEWEST_LOOKED
        return np.where(looked, losses, np.inf), looked & (sds >= float(ndtri(SURE)))


def pair_differences(means: FloatArray, arms: IntArray) -> FloatArray:
    """Return the mean at the test price minus that at the regular one in each pair, ``(n,)``, of blocks ``(2 n,)``."""
    signed = means * np.where(arms == TEST, 1.0, -1.0)
    return np.asarray(signed.reshape(-1, 2).sum(axis=1))


def list_turns(pairs: int, generator: np.random.Generator, exact: int = MOST_EXACT) -> BoolArray:
    """Return which pairs are turned, ``(M, n)``, first none: all subsets of up to ``exact`` pairs, else random ones."""
    if pairs <= exact:
        return np.asarray((np.arange(2**pairs)[:, None] >> np.arange(pairs)) % 2 == 1)
    turns = np.asarray(generator.integers(0, 2, size=(MONTE_CARLO + 1, pairs)) == 1)
    turns[0] = False
    return turns


def randomisation_p(differences: FloatArray, turns: BoolArray) -> FloatArray:
    """Return two-sided p-values of no effect, ``(R,)``, of differences ``(R, n)`` and turns ``(M, n)``.

    They are twice the smaller of the two one-sided ones. Turning a subset of the pairs leaves the sum at least as large
    if and only if the subset's own sum is not positive.
    """
    sums = differences @ turns.T.astype(np.float64)
    tie = TIE * np.abs(differences).sum(axis=1, keepdims=True)
    above = (sums <= tie).mean(axis=1)
    below = (sums >= -tie).mean(axis=1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(above, below)))


def randomisation_limits(differences: FloatArray, turns: BoolArray, alpha: float) -> tuple[float, float]:
    """Return the limits of the constant effects that the two-sided test does not reject at level ``alpha``.

    They are infinite if so few pairs cannot reject anything. Differences are ``(n,)``, turns ``(M, n)``.
    """
    moved = turns[turns.any(axis=1)]
    means = np.sort(moved @ differences / moved.sum(axis=1))
    free = len(turns) - len(moved)  # the order that happened always counts
    spare = int(np.floor(alpha / 2 * len(turns) + 1e-9)) - free
    if spare < 0 or spare >= len(means):
        return -np.inf, np.inf
    return float(means[spare]), float(means[-1 - spare])


def log_wealth(differences: FloatArray, scale: float) -> FloatArray:
    """Return the log of the mean of the martingales after each pair, ``(..., n)``, betting on positive differences.

    ``exp(b x) / cosh(b x) = 2 / (1 + exp(-2 b x))``, where x is a difference ``(..., n)`` minus the effect in question
    and the bets are in units of one over ``scale``, the planned sd of a difference.
    """
    bet = differences[..., None] * (BETS / scale)
    wealth = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2 * bet), axis=-2)
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[..., None]).mean(axis=-1)))


def _first_pair(reached: BoolArray) -> FloatArray:
    """Return the number of pairs after which each test ``(R, n)`` first reached something; infinite if it never did."""
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.inf)


def confidence_sequence(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the limits of the effect after each pair, ``(n, 2)``, each inside those before; infinite at first.

    The probability that they ever exclude a constant effect is ``alpha``.
    """
    low = _lower_limits(differences, scale, alpha)
    high = -_lower_limits(-differences, scale, alpha)
    return np.stack([np.maximum.accumulate(low), np.minimum.accumulate(high)], axis=1)


def _lower_limits(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the largest effect that is rejected as too small after each pair, ``(n,)``."""
    count = np.arange(len(differences))
    spread = float(np.ptp(differences)) + 100 * scale
    low = np.full(len(differences), float(differences.min()) - spread)
    high = np.full(len(differences), float(differences.max()))
    for _ in range(48):  # bisection
        middle = (low + high) / 2
        rejected = log_wealth(differences - middle[:, None], scale)[count, count] >= np.log(2 / alpha)
        low = np.where(rejected, middle, low)
        high = np.where(rejected, high, middle)
    return np.where((count + 1) * np.log(2.0) <= np.log(2 / alpha), -np.inf, low)


class InterimAnalysis(NamedTuple):
    """State of a test after some complete pairs."""

    verdict: Verdict
    pairs: int
    estimate: float
    """Mean difference, test price minus regular one, per row; NaN without a pair."""
    low: float
    """Lower 95 % limit, valid at every look; infinite as long as so few pairs can exclude nothing."""
    high: float
    p_value: float
    """Of the randomisation test on these pairs; it decides at the planned end only."""
    loss: float | None = None
    """Expected loss of the better-looking price in the rest of the year, money; None without a stop rule on money."""

    @property
    def proven(self) -> bool:
        """Whether the limits exclude that there is no difference."""
        return self.low > 0 or self.high < 0


def analyse_pairs(
    differences: FloatArray,
    planned: int,
    scale: float,
    generator: np.random.Generator,
    ended: bool = False,
    rule: StopRule | None = None,
) -> InterimAnalysis:
    """Analyse the differences ``(n,)`` of the complete pairs of a test, in their order.

    The ``scale`` is the planned sd of a difference. If the test has ``ended``, pairs that were lost will not come.
    """
    count = len(differences)
    if count == 0:
        return InterimAnalysis("undecided" if ended else "running", 0, float("nan"), -np.inf, np.inf, 1.0)
    low, high = confidence_sequence(differences, scale, ANYTIME)[-1]
    turns = list_turns(count, generator)
    p_value = float(randomisation_p(differences[None], turns)[0])
    final = ended or count >= planned
    if final:
        inner = randomisation_limits(differences, turns, FINAL)
        low = max(low, inner[0])
        high = min(high, inner[1])
    estimate = float(differences.mean())
    found = InterimAnalysis("undecided", count, estimate, float(low), float(high), p_value)
    sure = found.proven
    if rule is not None:
        losses, enough = rule.choose(differences, scale)
        found = found._replace(loss=float(losses[-1]))
        final = final or float(losses[-1]) <= rule.loss
        sure = sure or bool(enough[-1])
    if found.proven or (final and sure):
        return found._replace(verdict="higher" if estimate > 0 else "lower")
    return found if final else found._replace(verdict="running")


def decide_many(
    differences: FloatArray, scale: float, turns: BoolArray, rule: StopRule | None = None
) -> tuple[FloatArray, FloatArray]:
    """Apply all rules to R tests ``(R, n)``: return verdicts (1 higher, -1 lower, 0 undecided) and the pairs used."""
    tests, most = differences.shape
    certain = np.maximum(*(log_wealth(sign * differences, scale) for sign in (1, -1))) >= np.log(2 / ANYTIME)
    proof = _first_pair(certain)  # each side has half of the level
    enough = np.zeros(differences.shape, dtype=bool)
    stops = np.minimum(proof, most)
    if rule is not None:
        losses, enough = rule.choose(differences, scale)
        stops = np.minimum(stops, _first_pair(losses <= rule.loss))
    last = np.arange(tests), stops.astype(np.int64) - 1
    proven = (proof <= stops) | ((stops == most) & (randomisation_p(differences, turns) <= FINAL))
    return np.where(proven | enough[last], np.sign(np.cumsum(differences, axis=1)[last]), 0.0), stops


def check_carry_over(first: FloatArray, later: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
    """Return how much larger the effect is on the first counted row than on later ones, and a p-value of no difference.

    Both are differences of the pairs, ``(n,)``. Buyers who remember the last price, or who bought ahead of it, make the
    two differ.
    """
    gap = first - later
    p_value = randomisation_p(gap[None], list_turns(len(gap), generator))
    return float(gap.mean()), float(p_value[0])
