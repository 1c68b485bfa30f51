"""Randomisation test of a paired switchback: p-value and interval from the coin tosses of its design alone.

If the price had no effect, the other order of a pair would have turned the sign of its difference and nothing else.
So the test compares the mean difference with those of all ``2^n`` turned signs (Fisher 1935; Rosenbaum 2002, section
2). Inverted, its limits are order statistics of the means over subsets of the pairs (Hartigan 1969, "Using subsample
values as typical values", theorem 1).
"""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

MOST_EXACT = 16
"""Most pairs whose ``2^n`` orders are all counted."""

MONTE_CARLO = 19_999
"""Random orders of more pairs; with the one that happened, the p-value is valid (Phipson and Smyth 2010)."""

TIE = 1e-12
"""Relative difference up to which two sums count as equal."""


def list_turns(pairs: int, generator: np.random.Generator, exact: int = MOST_EXACT) -> BoolArray:
    """Return which pairs are turned, ``(M, n)``: all subsets if they are few, else random ones; the first turns none.

    Args:
        pairs: n.
        generator: source of the random subsets.
        exact: most pairs whose subsets are all listed.
    """
    if pairs <= exact:
        return np.asarray((np.arange(2**pairs)[:, None] >> np.arange(pairs)) % 2 == 1)
    turns = np.asarray(generator.integers(0, 2, size=(MONTE_CARLO + 1, pairs)) == 1)
    turns[0] = False
    return turns


def randomisation_p(differences: FloatArray, turns: BoolArray) -> FloatArray:
    """Return two-sided p-values of no effect, ``(R,)``: twice the smaller of the two one-sided ones.

    Turning a subset of the pairs leaves the sum at least as large if and only if the subset's own sum is not positive.

    Args:
        differences: ``(R, n)`` of R tests.
        turns: ``(M, n)``.
    """
    sums = np.asarray(differences, dtype=np.float64) @ turns.T.astype(np.float64)
    tie = TIE * np.abs(differences).sum(axis=1, keepdims=True)
    above, below = (sums <= tie).mean(axis=1), (sums >= -tie).mean(axis=1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(above, below)))


def randomisation_limits(differences: FloatArray, turns: BoolArray, alpha: float) -> tuple[float, float]:
    """Return the limits of the constant effects that the test does not reject at level ``alpha``.

    They are infinite if so few pairs cannot reject anything.

    Args:
        differences: ``(n,)``.
        turns: ``(M, n)``, the first of which turns none.
        alpha: level of the two-sided test.
    """
    moved = turns[turns.any(axis=1)]
    means = np.sort(moved @ differences / moved.sum(axis=1))
    free = len(turns) - len(moved)  # the order that happened always counts
    spare = int(np.floor(alpha / 2 * len(turns) + 1e-9)) - free
    if spare < 0 or spare >= len(means):
        return -np.inf, np.inf
    return float(means[spare]), float(means[-1 - spare])
