"""Carry-over: whether the first rows after a switch differ from the later ones of the same blocks."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.evaluation.price_tests.randomisation import list_turns, randomisation_p


def carry_over_check(first: FloatArray, later: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
    """Return how much larger the effect is on the first counted row than on later ones, and a p-value of no difference.

    Buyers who remember the last price, or who bought ahead of it, make the two differ.

    Args:
        first: ``(n,)`` differences of the pairs on the first counted row of their blocks.
        later: ``(n,)`` the same on the later rows.
        generator: source of the random orders of many pairs.
    """
    gap = first - later
    p_value = randomisation_p(gap[None], list_turns(len(gap), generator))
    return float(gap.mean()), float(p_value[0])
