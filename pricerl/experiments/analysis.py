"""Analysis of the pairs of a price test: randomisation test and confidence sequence.

**Randomisation test.** If the price had no effect, the other order of a pair would have turned the sign of its
difference and nothing else. So the test compares the mean difference with the means of all ``2^n`` turned signs (Fisher
1935; Rosenbaum 2002, section 2). Inverted, its limits are order statistics of the means over subsets of the pairs
(Hartigan 1969, "Using subsample values as typical values", theorem 1).

**Confidence sequence**: limits of a constant effect ``t`` that hold at every look. Each difference ``D_i - t`` of a
randomised pair is symmetric around 0 whatever the demand does. So the product of ``exp(b x) / cosh(b x)`` with
``x = D_i - t`` over the pairs is a nonnegative martingale for every bet b (Ramdas, Ruf, Larsson and Koolen 2020, arXiv
2009.03167). By Ville's inequality its mean over fixed bets exceeds ``1 / alpha`` at any time with probability at most
alpha. For positive bets it falls in t, so that the effects not rejected form an interval.

A test proves, or it does not. Which price to charge is decided by the posterior of the next advice, for which its days
count as days whose price demand did not move.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

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

Verdict = Literal["higher", "lower", "undecided", "running"]
"""Whether the test price has the higher or the lower outcome, neither at the planned end, or the test goes on."""


def pair_differences(means: FloatArray, arms: IntArray) -> FloatArray:
    """Return test minus regular price of each pair, ``(n,)``, from the means of blocks ``(2 n,)``."""
    return np.asarray((means * np.where(arms == TEST, 1.0, -1.0)).reshape(-1, 2).sum(axis=1))


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
    return np.asarray(np.minimum(1.0, 2 * np.minimum(above, (sums >= -tie).mean(axis=1))))


def randomisation_limits(differences: FloatArray, turns: BoolArray, alpha: float) -> tuple[float, float]:
    """Return the limits of the constant effects that the two-sided test does not reject at level ``alpha``.

    They are infinite if so few pairs cannot reject anything. Differences are ``(n,)``, turns ``(M, n)``.
    """
    moved = turns[turns.any(axis=1)]
    return limits_among(moved @ differences / moved.sum(axis=1), len(turns), alpha)


def limits_among(effects: FloatArray, orders: int, alpha: float) -> tuple[float, float]:
    """Return the limits of the effects that neither one-sided test of level ``alpha / 2`` rejects.

    Each of ``effects (M,)`` is the one at which an order would begin to speak against larger, or smaller, ones; all
    other ``orders``, such as the one that happened, never do. Too few orders to reject anything leave infinite limits.
    """
    found = np.sort(effects)
    spare = int(alpha / 2 * orders + 1e-9) - (orders - len(found))
    return (float(found[spare]), float(found[-1 - spare])) if 0 <= spare < len(found) else (-np.inf, np.inf)


def log_wealth(differences: FloatArray, scale: float) -> FloatArray:
    """Return the log of the mean of the martingales after each pair, ``(..., n)``, betting on positive differences.

    ``exp(b x) / cosh(b x) = 2 / (1 + exp(-2 b x))``, where x is a difference ``(..., n)`` minus the effect in question
    and the bets are in units of one over ``scale``, the planned sd of a difference.
    """
    bet = differences[..., None] * (BETS / scale)
    wealth = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2 * bet), axis=-2)
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[..., None]).mean(axis=-1)))


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
) -> InterimAnalysis:
    """Analyse the differences ``(n,)`` of the complete pairs of a test, in their order.

    The ``scale`` is the planned sd of a difference. If the test has ``ended``, pairs that were lost will not come.
    """
    count = len(differences)
    final = ended or count >= planned
    undecided: Verdict = "undecided" if final else "running"
    if count == 0:
        return InterimAnalysis(undecided, 0, float("nan"), -np.inf, np.inf, 1.0)
    low, high = confidence_sequence(differences, scale, ANYTIME)[-1]
    turns = list_turns(count, generator)
    if final:
        least, most = randomisation_limits(differences, turns, FINAL)
        low, high = max(low, least), min(high, most)
    p_value = float(randomisation_p(differences[None], turns)[0])
    found = InterimAnalysis(undecided, count, float(differences.mean()), float(low), float(high), p_value)
    return found._replace(verdict="higher" if found.estimate > 0 else "lower") if found.proven else found
