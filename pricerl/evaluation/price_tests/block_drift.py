"""Drift of demand between neighbouring blocks, from the residuals of a history."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

PRIOR_PAIRS = 8
"""Pairs of blocks that the absence of drift counts for: few pairs show some drift by chance."""


def measure_drift(
    units: FloatArray, expected: FloatArray, observed: BoolArray, size: float, block: int, washout: int
) -> float:
    """Return the sd of the log ratio of demand in two neighbouring blocks beyond negative-binomial noise.

    The squared differences of all neighbouring blocks of the design, relative to their mean, less those that the noise
    of the units explains; shrunk towards none.

    Args:
        units: ``(D,)`` units.
        expected: ``(D,)`` units expected at the prices charged, up to a level that may drift.
        observed: ``(D,)`` whether the units are known.
        size: negative-binomial size.
        block: rows of a block.
        washout: rows of it that do not count.
    """
    known = observed & (expected > 0)
    ratio = np.where(known, units / np.where(known, expected, 1.0), np.nan)
    inverse = np.where(known, 1 / np.where(known, expected, 1.0), np.nan)
    starts = np.arange(len(units) - 2 * block + 1)[:, None]
    kept = starts + np.arange(washout, block)
    first, second = ratio[kept].mean(axis=1), ratio[kept + block].mean(axis=1)
    level = (first + second) / 2
    whole = np.isfinite(level) & (level > 0)
    if not whole.any():
        return 0.0
    level, share = level[whole], block - washout
    per_day = (inverse[kept].mean(axis=1) + inverse[kept + block].mean(axis=1))[whole] / level + 2 / size
    chance = float(np.mean(per_day / share))
    found = float(np.mean(((first - second)[whole] / level) ** 2))
    pairs = whole.sum() / (2 * block)
    return float(np.sqrt(max(0.0, found - chance) * pairs / (pairs + PRIOR_PAIRS)))
