"""Design of a price test by simulation of the test itself: its blocks, the noise of its sales, and its stop rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from pricerl.arrays import BoolArray, FloatArray
from pricerl.experiments.analysis import FINAL, LEVEL, POWER, decide_many, list_turns
from pricerl.experiments.schedule import FEWEST_PAIRS, Switchback

SIMULATED = 2000
"""Simulated tests: a power of 0.80 has a standard error of 0.009."""
EXACT = 10
"""Most pairs whose orders are all counted in simulated tests."""
MOST_TURNS = 1024
"""Number of random orders of more pairs."""
MOST_STEPS = 6
"""Most numbers of pairs that are tried."""
LIFT = 0.05
"""Lift of units for the days that an ordinary test would need."""
PRIOR_PAIRS = 8
"""Pairs of blocks that the absence of drift counts for: few pairs show some drift by chance."""
_Z_POWER = float(ndtri(POWER))
_Z_FINAL = float(ndtri(1 - FINAL / 2))


@dataclass(frozen=True)
class Sales:
    """Sales at the two prices of a test, per row (day, or week)."""

    units: tuple[float, float]
    """Expected units at the regular and at the test price."""
    values: tuple[float, float]
    """Worth of a unit at either price: its profit or its price, money, or 1 if units are measured."""
    size: float
    """Negative-binomial size of a row's units."""
    drift: float
    """Sd of the log ratio of demand in two neighbouring blocks beyond that noise."""

    @property
    def outcomes(self) -> tuple[float, float]:
        """Expected outcome at the regular and at the test price."""
        return self.units[0] * self.values[0], self.units[1] * self.values[1]

    @property
    def effect(self) -> float:
        """Expected outcome at the test price minus that at the regular one."""
        return self.outcomes[1] - self.outcomes[0]

    def with_effect(self, effect: float) -> Sales:
        """Return the same sales with such units at the test price that the effect is another one."""
        return replace(self, units=(self.units[0], max((self.outcomes[0] + effect) / self.values[1], 1e-9)))

    def difference_sd(self, kept: int) -> float:
        """Return the sd of a pair's difference with blocks of ``kept`` rows."""
        pairs = zip(self.units, self.values, strict=True)
        noise = sum((value * units) ** 2 * (1 / units + 1 / self.size) for units, value in pairs) / kept
        return math.sqrt(noise + (self.drift * sum(map(abs, self.outcomes)) / 2) ** 2)


@dataclass(frozen=True)
class SimulatedTests:
    """Many simulated tests of one design, ``(R, n)`` differences."""

    differences: FloatArray
    effect: float
    """Effect with which they were simulated."""
    scale: float
    """Planned sd of a difference."""
    turns: BoolArray
    """``(M, n)`` orders of the randomisation test."""

    def power(self, effect: float) -> float:
        """Return the share of the tests that find an effect, in its direction; the noise is that of the simulation."""
        verdicts = decide_many(self.differences + (effect - self.effect), self.scale, self.turns)
        return float((verdicts * np.sign(effect) > 0).mean())

    @cached_property
    def detectable(self) -> float:
        """Smallest effect found with a probability of ``POWER``, above 0; infinite if none is."""
        found = self.power(self.effect)
        if 0.2 < found < 0.98:  # on the curve of a normal test through this point
            reach = float(ndtri(found)) + _Z_FINAL
            return abs(self.effect) * (_Z_POWER + _Z_FINAL) / reach
        low = 0.0
        high = 8 * self.scale
        if self.power(high) < POWER:
            return math.inf
        for _ in range(12):
            middle = (low + high) / 2
            if self.power(middle) >= POWER:
                high = middle
            else:
                low = middle
        return high

    def assurance(self, effects: FloatArray) -> float:
        """Return the mean power over plausible effects (O'Hagan, Stevens and Campbell 2005), on the same curve."""
        if not math.isfinite(self.detectable):
            return 0.0
        reach = np.abs(effects) / self.detectable * (_Z_POWER + _Z_FINAL)
        return float(ndtr(reach - _Z_FINAL).mean())


def simulate_tests(design: Switchback, sales: Sales, generator: np.random.Generator, tests: int) -> SimulatedTests:
    """Simulate tests with negative-binomial units and a level that differs from block to block.

    The sum of k rows with mean m and size s is again negative binomial, with mean ``k m`` and size ``k s``.
    """
    shape = (tests, design.pairs)
    level = np.exp(sales.drift / 2 * generator.standard_normal(shape))
    means = []
    for side, units, value in zip((1 / level, level), sales.units, sales.values, strict=True):
        rate = generator.gamma(design.kept * sales.size, 1 / (design.kept * sales.size), shape)
        means.append(value * generator.poisson(design.kept * units * side * rate) / design.kept)
    turns = list_turns(design.pairs, generator, EXACT)[:MOST_TURNS]
    return SimulatedTests(means[1] - means[0], sales.effect, sales.difference_sd(design.kept), turns)


def find_pairs(
    block: int, washout: int, sales: Sales, most: int, seed: int, tests: int = SIMULATED
) -> tuple[Switchback, SimulatedTests]:
    """Return the shortest design that finds the effect of ``sales`` with a probability of ``POWER``.

    Its number of pairs is that of a normal approximation, corrected by simulation; at most ``most``. The first
    ``washout`` rows of a ``block`` do not count.
    """
    pairs = min(approximate_pairs(sales, block - washout), most)
    tried = dict[int, tuple[SimulatedTests, float]]()
    while pairs not in tried and len(tried) < MOST_STEPS:
        rng = np.random.default_rng((seed, pairs))
        simulated = simulate_tests(Switchback(pairs, block, washout), sales, rng, tests)
        power = simulated.power(sales.effect)
        tried[pairs] = (simulated, power)
        if power >= POWER:
            wanted = pairs - 1
        else:  # about as many as ``POWER`` needs
            reach = max(float(ndtri(min(max(power, 0.001), 0.999))) + _Z_FINAL, 0.5)
            wanted = max(pairs + 1, math.floor(pairs * ((_Z_POWER + _Z_FINAL) / reach) ** 2))
        pairs = min(max(wanted, FEWEST_PAIRS), most)
    powerful = [number for number, (_, power) in tried.items() if power >= POWER]
    number = min(powerful) if powerful else max(tried)
    return Switchback(number, block, washout), tried[number][0]


def approximate_pairs(sales: Sales, kept: int) -> int:
    """Return the pairs that a normal approximation asks for, at least ``FEWEST_PAIRS``."""
    ratio = sales.difference_sd(kept) / max(abs(sales.effect), 1e-12)
    return max(FEWEST_PAIRS, math.ceil(min((ratio * (_Z_FINAL + _Z_POWER)) ** 2 + 1, 1e6)))


def rows_per_arm(units: float, size: float) -> int:
    """Return the rows at each price that an ordinary two-sided test of ``LIFT`` of the units needs, without blocks.

    ``n = 2 (z_{1 - level / 2} + z_power)^2 (1 / units + 1 / size) / lift^2``.
    """
    needed = (float(ndtri(1 - LEVEL / 2)) + _Z_POWER) ** 2
    return math.ceil(2 * needed * (1 / units + 1 / size) / LIFT**2)


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
