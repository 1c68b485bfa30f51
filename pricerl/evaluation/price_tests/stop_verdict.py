"""Stop rule of a price test, fixed before it starts.

At every look the confidence sequence may decide at level ``ANYTIME``; at the planned end, once, the randomisation test
at level ``FINAL``. Together they find an effect where there is none with a probability of at most 5 %, and the effects
that neither rejects form a 95 % interval at every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.evaluation.price_tests.anytime_limits import confidence_sequence, crossings
from pricerl.evaluation.price_tests.randomisation import list_turns, randomisation_limits, randomisation_p

ANYTIME, FINAL = 0.01, 0.04
"""Levels of the confidence sequence and of the test at the planned end."""

Verdict = Literal["higher", "lower", "undecided", "running"]
"""Whether the test price has the higher or the lower outcome, neither at the planned end, or the test goes on."""


@dataclass(frozen=True)
class Judgement:
    """State of a test after some pairs."""

    verdict: Verdict
    pairs: int
    """Complete pairs."""
    estimate: float
    """Mean difference, test price minus regular one, per row; NaN without a pair."""
    low: float
    """Lower 95 % limit, valid at every look; infinite as long as so few pairs can exclude nothing."""
    high: float
    p_value: float
    """Of the randomisation test on these pairs; it decides at the planned end only."""


def judge(
    differences: FloatArray, planned: int, scale: float, generator: np.random.Generator, ended: bool = False
) -> Judgement:
    """Judge the complete pairs of a test by its stop rule.

    Args:
        differences: ``(n,)`` test price minus regular one, of the complete pairs in their order.
        planned: planned number of pairs.
        scale: planned sd of a difference.
        generator: source of the random orders of many pairs.
        ended: whether all planned days have passed, so that lost pairs will not come.
    """
    count = len(differences)
    if count == 0:
        return Judgement("undecided" if ended else "running", 0, float("nan"), -np.inf, np.inf, 1.0)
    low, high = confidence_sequence(differences, scale, ANYTIME)[-1]
    turns = list_turns(count, generator)
    p_value = float(randomisation_p(differences[None], turns)[0])
    final = ended or count >= planned
    if final:
        inner = randomisation_limits(differences, turns, FINAL)
        low, high = max(low, inner[0]), min(high, inner[1])
    verdict: Verdict = "higher" if low > 0 else "lower" if high < 0 else "undecided" if final else "running"
    return Judgement(verdict, count, float(differences.mean()), float(low), float(high), p_value)


def decide_many(differences: FloatArray, scale: float, turns: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return verdict, 1 higher, -1 lower or 0, and number of pairs until then of many whole tests, ``(R,)`` each.

    Args:
        differences: ``(R, n)`` of all planned pairs.
        scale: planned sd of a difference.
        turns: ``(M, n)``, the first of which turns none.
    """
    up, down = crossings(differences, scale, ANYTIME)
    early = np.where(up < down, 1.0, np.where(down < up, -1.0, 0.0))
    late = np.where(randomisation_p(differences, turns) <= FINAL, np.sign(differences.mean(axis=1)), 0.0)
    stops = np.minimum(np.minimum(up, down), differences.shape[1])
    return np.where(early != 0, early, late), stops
