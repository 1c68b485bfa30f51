"""Price tests on demand that the planner does not assume.

    python benchmarks/price_tests.py --tests 600 --histories 12

Histories of 365 days of several kinds of demand are made, and tests of ``--pairs`` pairs after them. The planner sees
the histories: it estimates the dispersion from ordinary weeks and measures the drift between blocks.

- ``false``: tests without an effect that prove one, with a look after every pair;
- ``cover``: tests whose 95 % limits contain the effect when the test stops;
- ``proven``: tests that prove the effect that there is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from runner import read_options

from pricerl.arrays import FloatArray
from pricerl.experiments.analysis import ANYTIME, FINAL, analyse_pairs, list_turns, log_wealth, randomisation_p
from pricerl.experiments.design import Sales, measure_drift
from pricerl.experiments.schedule import TEST, Switchback, draw_arms

DAYS, BLOCK, WASHOUT = 365, 7, 1
VALUES = (10.0, 11.0)
"""Profit per unit at the two prices."""


class Demand(NamedTuple):
    """Kind of demand."""

    size: float = 20.0
    """Negative-binomial size of a day."""
    weekday: float = 0.0
    """Amplitude of the pattern over the week, in logs."""
    trend: float = 0.0
    """Change of the level per year, in logs."""
    drift: float = 0.0
    """Sd of the daily step of a random walk of the level, in logs."""
    lognormal: bool = False
    """Whether a day's rate is lognormal, with the variance of the negative binomial, instead of gamma."""


KINDS = {
    "as planned": Demand(),
    "weekday pattern": Demand(weekday=0.5),
    "trend": Demand(trend=0.7),
    "overdispersed": Demand(size=5.0, lognormal=True),
    "level drift": Demand(drift=0.02),
    "all of these": Demand(size=8.0, weekday=0.4, trend=0.4, drift=0.015, lognormal=True),
}


def level_of(kind: Demand, days: int, tests: int, rng: np.random.Generator) -> FloatArray:
    """Return expected units over the base on each day, ``(tests, days)``."""
    day = np.arange(days)
    pattern = kind.weekday * np.sin(2 * np.pi * (day % 7) / 7) + kind.trend * day / 365
    walk = np.cumsum(kind.drift * rng.standard_normal((tests, days)), axis=1)
    return np.exp(pattern + walk)


def sell(kind: Demand, mean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return units with a mean, of the same shape."""
    if kind.lognormal:
        spread = np.log1p(1 / kind.size)
        rate = np.exp(np.sqrt(spread) * rng.standard_normal(mean.shape) - spread / 2)
    else:
        rate = rng.gamma(kind.size, 1 / kind.size, mean.shape)
    return rng.poisson(mean * rate)


def observe(kind: Demand, base: float, effect: float, seed: int) -> Sales:
    """Return the sales of a test that a planner expects from one history."""
    rng = np.random.default_rng((seed, 1))
    level = level_of(kind, DAYS, 1, rng)[0]
    units = sell(kind, base * level, rng).astype(float)
    day = np.arange(DAYS)
    weekday = np.array([units[day % 7 == which].mean() for which in range(7)])
    smooth = np.convolve(np.pad(units, 14, mode="reflect"), np.ones(29) / 29, mode="valid")
    fitted = weekday[day % 7] / weekday.mean() * smooth
    excess = float((((units - fitted) ** 2 - fitted).mean()) / (fitted**2).mean())
    size = 1 / max(excess, 1e-3)
    drift = measure_drift(units, weekday[day % 7], np.ones(DAYS, dtype=bool), size, BLOCK, WASHOUT)
    regular = float(units[-56:].mean())
    other = regular * (1 + effect) * VALUES[0] / VALUES[1]
    return Sales((np.array([regular]), np.array([other])), VALUES, size, drift)


def play(
    kind: Demand, design: Switchback, units: tuple[float, float], tests: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return units per counted day at the two prices in the pairs ``(2, tests, n)`` of whole tests, and mean levels."""
    level = level_of(kind, design.rows, tests, rng)
    level /= np.exp(kind.trend * design.rows / 730)  # the effect is planned for the test's middle
    arms = np.array([draw_arms(design.pairs, rng) for _ in range(tests)])
    daily = np.repeat(arms, design.block, axis=1) == TEST
    mean = level * np.where(daily, units[1], units[0])
    counted = slice(design.washout, None)
    sold = sell(kind, mean, rng).reshape(tests, -1, design.block)[:, :, counted].mean(axis=2)
    kept = level.reshape(tests, -1, design.block)[:, :, counted].mean(axis=(1, 2))
    by_arm = [np.where(arms == arm, sold, 0.0).reshape(tests, -1, 2).sum(axis=2) for arm in (1 - TEST, TEST)]
    return np.array(by_arm), kept


def judge(differences: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    """Return whether tests ``(R, n)`` prove a difference at any look, and the pairs after which they stop."""
    pairs = differences.shape[1]
    wealth = np.maximum(*(log_wealth(sign * differences, scale) for sign in (1, -1)))
    looks = wealth >= np.log(2 / ANYTIME)  # each side has half of the level
    early = looks.any(axis=1)
    turns = list_turns(pairs, np.random.default_rng(0), 12)[:4096]
    proven = early | (randomisation_p(differences, turns) <= FINAL)
    return proven, np.where(early, looks.argmax(axis=1) + 1, pairs)


def measure_proof(
    kind: Demand, base: float, effect: float, pairs: int, tests: int, histories: int, seed: int
) -> list[float]:
    """Return the shares of one kind of demand, averaged over histories."""
    rows, rng = [], np.random.default_rng((seed, 2))
    each = tests // histories
    design = Switchback(pairs, BLOCK, WASHOUT)
    for history in range(histories):
        sales = observe(kind, base, effect, seed + history)
        scale = sales.difference_sd(design.kept)
        same = base * VALUES[0] / VALUES[1]
        null, found = [], []
        for worth, into in ((same, null), (same * (1 + effect), found)):
            sold, level = play(kind, design, (base, worth), each, rng)
            into.append(VALUES[1] * sold[1] - VALUES[0] * sold[0])
        false = judge(null[0], scale)[0]
        proven, stops = judge(found[0], scale)
        covers = []
        for row, stop, at in zip(found[0][: max(each // 8, 5)], stops, level, strict=False):
            read = analyse_pairs(row[: int(stop)], pairs, scale, rng)
            covers.append(read.low <= effect * base * VALUES[0] * at <= read.high)
        rows.append((false.mean(), np.mean(covers), proven.mean()))
    return np.mean(rows, axis=0).tolist()


def main() -> None:
    options = read_options(__doc__, tests=2000, histories=40, pairs=13, seed=0)
    print(f"{'demand':<16} {'units':>6} {'effect':>7} {'false':>6} {'cover':>6} {'proven':>6}")
    for name, kind in KINDS.items():
        for base, effect in ((5.5, 0.30), (50.0, 0.12), (500.0, -0.10)):
            about = (options.pairs, options.tests, options.histories, options.seed)
            shares = [f"{share:6.3f}" for share in measure_proof(kind, base, effect, *about)]
            print(f"{name:<16} {base:>6g} {effect:>7.2f} {' '.join(shares)}", flush=True)


if __name__ == "__main__":
    main()
