"""Design of a price test: noise of its sales, and the value of the decision that follows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.experiments.schedule import Switchback
from pricerl.market.reward import weigh_losses

NODES = np.array([-math.sqrt(3), 0, math.sqrt(3)])
NODE_WEIGHTS = np.array([1, 4, 1]) / 6
"""Outcomes of a test in one posterior draw, in sds of its noise, and their weights: Gauss-Hermite quadrature."""
PRIOR_PAIRS = 8
"""Pairs of blocks that the absence of drift counts for: few pairs show some drift by chance."""


@dataclass(frozen=True)
class Sales:
    """Sales at the two prices of a test, per row (day, or week)."""

    units: tuple[FloatArray, FloatArray]
    """Expected units at the regular and at the test price, ``(K,)`` in every posterior draw."""
    values: tuple[float, float]
    """Worth of a unit at either price: its profit or its price in money."""
    size: float
    """Negative-binomial size of a row's units."""
    drift: float
    """Sd of the log ratio of demand in two neighbouring blocks beyond that noise."""

    @property
    def log_ratio(self) -> FloatArray:
        """Log of the expected units at the test price over those at the regular one, ``(K,)``."""
        return np.log(self.units[1] / self.units[0])

    def log_ratio_sd(self, design: Switchback) -> float:
        """Return the sd of that log ratio as a whole test measures it, at the mean units."""
        noise = sum(1 / float(units.mean()) + 1 / self.size for units in self.units) / design.kept
        return math.sqrt((noise + self.drift**2) / design.pairs)

    def difference_sd(self, kept: int) -> float:
        """Return the sd of a pair's difference with blocks of ``kept`` rows, at the mean units."""
        means = [float(units.mean()) for units in self.units]
        outcomes = [value * units for value, units in zip(self.values, means, strict=True)]
        noise = sum(out**2 * (1 / units + 1 / self.size) for out, units in zip(outcomes, means, strict=True)) / kept
        return math.sqrt(noise + (self.drift * sum(map(abs, outcomes)) / 2) ** 2)


class Decided(NamedTuple):
    """Decision after a test, before the test is made."""

    utility: float
    """Expected utility in money."""
    chosen: IntArray
    """``(K, 3)`` choice in every posterior draw at each of the `NODES`."""


class Rule(NamedTuple):
    """Rule by which a price is chosen after a test."""

    loss_weight: float
    """How much worse losing 1 is than missing a gain of 1."""
    min_chance: float
    """Probability with which any choice but the first, which keeps the price, must gain."""

    def utility(self, weights: FloatArray, during: FloatArray | float, later: FloatArray) -> FloatArray:
        """Return the utility ``(..., N)`` of choices, -inf if unsure, with draws of ``weights (..., K)`` of any sum.

        The gain of the test itself is ``during (K,)``, the gain of the choices after it ``later (N, K)``, in money.
        """
        worth = weigh_losses(during + later, self.loss_weight)
        sums = weights @ np.concatenate([worth, later > 0, np.ones_like(later[:1])]).T
        found, sure = np.split(sums[..., :-1] / sums[..., -1:], 2, axis=-1)
        unsure = sure < self.min_chance
        unsure[..., 0] = False
        return np.where(unsure, -np.inf, found)


def decide_after(
    log_ratio: FloatArray, sd: float, during: FloatArray | float, later: FloatArray, rule: Rule
) -> Decided:
    """Return the best of N choices after a test has measured a log ratio ``(K,)`` of units with an error of ``sd``.

    The test weighs the posterior draws anew, by the likelihood of what it measures: in every draw, at three nodes
    (Raiffa and Schlaifer 1961, preposterior analysis). Gains are as in `Rule.utility`.
    """
    seen = log_ratio[:, None] + sd * NODES
    likelihood = np.exp(-0.5 * np.square((seen / sd)[..., None] - log_ratio / sd))
    found = rule.utility(likelihood, during, later)
    return Decided(float((found.max(axis=-1) @ NODE_WEIGHTS).mean()), found.argmax(axis=-1))


def measure_drift(
    units: FloatArray, expected: FloatArray, observed: BoolArray, size: float, block: int, washout: int
) -> float:
    """Return the sd of the log ratio of demand in two neighbouring blocks beyond negative-binomial noise.

    It follows from the squared differences of all neighbouring blocks of the design, relative to their mean, less those
    that the noise of the units explains; it is shrunk towards none. The units ``(D,)`` are known where ``observed``;
    those ``expected`` at the prices charged are right up to a level that may drift.
    """
    expected = np.where(observed & (expected > 0), expected, np.nan)
    ratio = units / expected
    inverse = 1 / expected
    kept = np.arange(len(units) - 2 * block + 1)[:, None] + np.arange(washout, block)
    first, second = (ratio[rows].mean(axis=1) for rows in (kept, kept + block))
    level = (first + second) / 2
    whole = np.isfinite(level) & (level > 0)
    if not whole.any():
        return 0.0
    level = level[whole]
    per_day = (inverse[kept].mean(axis=1) + inverse[kept + block].mean(axis=1))[whole] / level + 2 / size
    chance = float(np.mean(per_day / (block - washout)))
    found = float(np.mean(((first - second)[whole] / level) ** 2))
    pairs = whole.sum() / (2 * block)
    return float(np.sqrt(max(0.0, found - chance) * pairs / (pairs + PRIOR_PAIRS)))
