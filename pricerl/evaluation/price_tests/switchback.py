"""Design of a switchback test: pairs of blocks, one at each of two prices, in random order.

One product has one price at a time, so a test compares times, not customers (Bojinov, Simchi-Levi and Zhao 2023,
"Design and analysis of switchback experiments"). Pairs of neighbouring blocks cancel slow changes of demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricerl.arrays import FloatArray, IntArray

TEST = 1
"""Arm of the test price; that of the regular price is 0."""

PROPENSITY = 0.5
"""Probability with which a block has the test price: each pair is put in order by the toss of a coin."""

FEWEST_PAIRS = 6
"""Fewest pairs that can decide: the smallest two-sided p-value of n pairs is ``2 / 2^n``, 0.031 of six."""


@dataclass(frozen=True)
class Switchback:
    """Blocks of equal length, in pairs."""

    pairs: int
    block: int
    """Rows (days, or weeks) of a block."""
    washout: int
    """Rows at the beginning of a block that do not count: the price is on its way, or buyers remember the last one."""

    @property
    def kept(self) -> int:
        """Rows of a block that count."""
        return self.block - self.washout

    @property
    def rows(self) -> int:
        """Rows of the whole test."""
        return 2 * self.pairs * self.block


def draw_arms(pairs: int, generator: np.random.Generator) -> IntArray:
    """Return the arm of each block, ``(2 * pairs,)``: in each pair one of either, in random order."""
    first = generator.integers(0, 2, size=pairs)
    return np.stack([first, 1 - first], axis=1).ravel().astype(np.int64)


def pair_differences(means: FloatArray, arms: IntArray) -> FloatArray:
    """Return the mean at the test price minus that at the regular one in each pair, ``(..., n)``.

    Args:
        means: ``(..., 2 n)`` mean of the outcome over the rows of each block that count.
        arms: ``(2 n,)`` arm of each block.
    """
    sign = np.where(arms == TEST, 1.0, -1.0)
    signed = np.asarray(means, dtype=np.float64) * sign
    return np.asarray(signed.reshape(*signed.shape[:-1], -1, 2).sum(axis=-1))
