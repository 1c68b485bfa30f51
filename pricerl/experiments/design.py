"""Design of a price test by the money that it is expected to earn: noise of its sales, its value, its simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from pricerl.arrays import BoolArray, FloatArray, IntArray, Share
from pricerl.experiments.analysis import SURE, StopRule, decide_many, list_turns
from pricerl.experiments.schedule import Switchback

SIMULATED = 2000
"""Simulated tests, at least: a share of 0.20 has a standard error of 0.009."""
EXACT = 10
"""Most pairs whose orders are all counted in simulated tests."""
MOST_TURNS = 1024
"""Number of random orders of more pairs."""
PRIOR_PAIRS = 8
"""Pairs of blocks that the absence of drift counts for: few pairs show some drift by chance."""


@dataclass(frozen=True)
class Sales:
    """Sales at the two prices of a test, per row (day, or week)."""

    units: tuple[FloatArray, FloatArray]
    """Expected units at the regular and at the test price, ``(K,)`` in every posterior draw."""
    values: tuple[float, float]
    """Worth of a unit at either price: its profit or its price, money."""
    size: float
    """Negative-binomial size of a row's units."""
    drift: float
    """Sd of the log ratio of demand in two neighbouring blocks beyond that noise."""

    @property
    def effects(self) -> FloatArray:
        """Expected outcome at the test price minus that at the regular one, ``(K,)``."""
        return self.units[1] * self.values[1] - self.units[0] * self.values[0]

    @property
    def spread(self) -> float:
        """Plausible size of the effect: its root mean square over the draws."""
        return math.sqrt(float(np.square(self.effects).mean()))

    def difference_sd(self, kept: int) -> float:
        """Return the sd of a pair's difference with blocks of ``kept`` rows, at the mean units."""
        means = [float(units.mean()) for units in self.units]
        outcomes = [value * units for value, units in zip(self.values, means, strict=True)]
        noise = sum(out**2 * (1 / units + 1 / self.size) for out, units in zip(outcomes, means, strict=True)) / kept
        return math.sqrt(noise + (self.drift * sum(map(abs, outcomes)) / 2) ** 2)


class SimulatedTests(NamedTuple):
    """Shares of many simulated tests of one design, whose true demand is that of the posterior draws in turn."""

    decided: Share
    """Share that reach a verdict."""
    wrong: Share
    """Share whose verdict names the worse price."""
    pairs: float
    """Mean number of pairs until the test stops."""
    chosen: FloatArray
    """``(K,)`` rows of the year at the test price after a verdict for it, in each draw."""


def expect_gains(sales: Sales, gain: FloatArray, kept: int, rule: StopRule, pairs: IntArray) -> FloatArray:
    """Return what tests of ``pairs (N,)`` are expected to earn within the year over keeping the price, money ``(N,)``.

    That is ``gain`` per row, ``(K,)`` in every posterior draw, in the rest of the year after a verdict for the test
    price at the end: the expected value of sample information (Raiffa and Schlaifer 1961), net of what half of the rows
    of the test are expected to cost. What they are expected to earn does not count: no test is run for that.
    """
    noise = sales.difference_sd(kept) / np.sqrt(pairs)
    weight = rule.spread**2 / (rule.spread**2 + noise**2)
    needed = ndtri(SURE) * rule.spread * np.sqrt(1 - weight) / weight
    chosen = ndtr((sales.effects - needed[:, None]) / noise[:, None])
    cost = min(float(gain.mean()), 0.0) * pairs * rule.block
    return np.asarray(cost + rule.rows_left(pairs) * (gain * chosen).mean(axis=1))


def simulate_tests(design: Switchback, sales: Sales, rule: StopRule, generator: np.random.Generator) -> SimulatedTests:
    """Simulate tests with negative-binomial units and a level that differs from block to block.

    The sum of k rows with mean m and size s is again negative binomial, with mean ``k m`` and size ``k s``.
    """
    draws = len(sales.effects)
    draw = np.tile(np.arange(draws), math.ceil(SIMULATED / draws))
    differences = draw_differences(design, sales, draw, generator)
    turns = list_turns(design.pairs, generator, EXACT)[:MOST_TURNS]
    verdicts, stops = decide_many(differences, sales.difference_sd(design.kept), turns, rule)
    rows = np.where(verdicts > 0, rule.rows_left(stops), 0.0)
    return SimulatedTests(
        decided=float((verdicts != 0).mean()),
        wrong=float((verdicts * sales.effects[draw] < 0).mean()),
        pairs=float(stops.mean()),
        chosen=rows.reshape(-1, draws).mean(axis=0),
    )


def draw_differences(design: Switchback, sales: Sales, draw: IntArray, generator: np.random.Generator) -> FloatArray:
    """Return the differences of the pairs of tests, ``(R, n)``, whose true demand is that of ``draw (R,)``."""
    shape = (len(draw), design.pairs)
    level = np.exp(sales.drift / 2 * generator.standard_normal(shape))
    means = []
    for side, units, value in zip((1 / level, level), sales.units, sales.values, strict=True):
        rate = generator.gamma(design.kept * sales.size, 1 / (design.kept * sales.size), shape)
        sold = generator.poisson(design.kept * units[draw][:, None] * side * rate)
        means.append(value * sold / design.kept)
    return np.asarray(means[1] - means[0])


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
    starts = np.arange(len(units) - 2 * block + 1)[:, None]
    kept = starts + np.arange(washout, block)
    first = ratio[kept].mean(axis=1)
    second = ratio[kept + block].mean(axis=1)
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
