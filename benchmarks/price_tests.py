"""False alarms, coverage and power of price tests on demand that the planner does not assume.

Each kind of demand makes histories of 365 days and tests after them. The planner sees the histories: it estimates the
dispersion from ordinary weeks, measures the drift between blocks, and finds the number of pairs for an effect in profit
with a power of 80 %. Prints one row per kind of demand:

- ``false``: tests without an effect that find one, with a look after every pair;
- ``cover``: tests whose 95 % limits contain the effect when the test stops;
- ``power``: tests that find the effect for which they were planned, in its direction.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from pricerl.experiments.analysis import analyse_pairs, decide_many, list_turns
from pricerl.experiments.design import Sales, find_pairs, measure_drift
from pricerl.experiments.schedule import TEST, Switchback, draw_arms

DAYS, BLOCK, WASHOUT = 365, 7, 1
VALUES = (10.0, 11.0)
"""Profit per unit at the two prices, money."""
CARRY_OVER = 0.10
"""Share of demand that buyers move from the first day after a rise to before it, or back after a fall."""


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
    carry_over: bool = False


KINDS = {
    "as planned": Demand(),
    "weekday pattern": Demand(weekday=0.5),
    "trend": Demand(trend=0.7),
    "overdispersed": Demand(size=5.0, lognormal=True),
    "level drift": Demand(drift=0.02),
    "all of these": Demand(size=8.0, weekday=0.4, trend=0.4, drift=0.015, lognormal=True),
    "carry-over": Demand(carry_over=True),
}


def level_of(kind: Demand, days: int, tests: int, rng: np.random.Generator) -> np.ndarray:
    """Return expected units over the base on each day, ``(tests, days)``."""
    day = np.arange(days)
    pattern = kind.weekday * np.sin(2 * np.pi * (day % 7) / 7) + kind.trend * day / 365
    walk = np.cumsum(kind.drift * rng.standard_normal((tests, days)), axis=1)
    return np.exp(pattern + walk)


def sell(kind: Demand, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return units with a mean, of the same shape."""
    if kind.lognormal:
        spread = np.log1p(1 / kind.size)
        rate = np.exp(np.sqrt(spread) * rng.standard_normal(mean.shape) - spread / 2)
    else:
        rate = rng.gamma(kind.size, 1 / kind.size, mean.shape)
    return rng.poisson(mean * rate)


def plan(kind: Demand, base: float, effect: float, seed: int) -> tuple[Switchback, Sales, float]:
    """Return the planned design, its sales, and the planned sd of a difference, from one history."""
    rng = np.random.default_rng((seed, 1))
    level = level_of(kind, DAYS, 1, rng)[0]
    units = sell(kind, base * level, rng).astype(float)
    day = np.arange(DAYS)
    weekday = np.array([units[day % 7 == which].mean() for which in range(7)])
    smooth = np.convolve(np.pad(units, 14, mode="reflect"), np.ones(29) / 29, mode="valid")
    fitted = weekday[day % 7] / weekday.mean() * smooth
    excess = float((((units - fitted) ** 2 - fitted).mean()) / (fitted**2).mean())
    size = 1 / max(excess, 1e-3)
    expected = weekday[day % 7]
    drift = measure_drift(units, expected, np.ones(DAYS, dtype=bool), size, BLOCK, WASHOUT)
    regular = float(units[-56:].mean())
    sales = Sales((regular, regular), VALUES, size, drift).with_effect(effect * regular * VALUES[0])
    design, simulated = find_pairs(BLOCK, WASHOUT, sales, 200, seed)
    return design, sales, simulated.scale


def run_tests(
    kind: Demand, design: Switchback, sales: Sales, effect: float, tests: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences ``(tests, n)`` of whole tests, and the true effects ``(tests,)``, profit per day."""
    level = sales.units[0] * level_of(kind, design.rows, tests, rng)
    level /= np.exp(kind.trend * design.rows / 730)  # the planned effect is that of the test's middle
    ratio = (1 + effect) * VALUES[0] / VALUES[1]
    arms = np.array([draw_arms(design.pairs, rng) for _ in range(tests)])
    daily = np.repeat(arms, BLOCK, axis=1) == TEST
    mean = level * np.where(daily, ratio, 1.0)
    if kind.carry_over:
        first = np.zeros_like(daily)
        first[:, BLOCK::BLOCK] = daily[:, BLOCK::BLOCK] != daily[:, BLOCK - 1 : -1 : BLOCK]
        mean *= np.where(first, np.where(daily, 1 - CARRY_OVER, 1 + CARRY_OVER), 1.0)
    units = sell(kind, mean, rng).reshape(tests, -1, BLOCK)[:, :, WASHOUT:].mean(axis=2)
    profit = units * np.where(arms == TEST, VALUES[1], VALUES[0])
    signs = np.where(arms == TEST, 1.0, -1.0)
    differences = (profit * signs).reshape(tests, -1, 2).sum(axis=2)
    kept = level.reshape(tests, -1, BLOCK)[:, :, WASHOUT:].mean(axis=(1, 2))
    return differences, effect * VALUES[0] * kept


def measure(kind: Demand, base: float, effect: float, tests: int, histories: int, seed: int) -> dict[str, float]:
    """Return the shares of one kind of demand, averaged over histories and their plans."""
    rows, rng = [], np.random.default_rng((seed, 2))
    each = tests // histories
    for history in range(histories):
        design, sales, scale = plan(kind, base, effect, seed + history)
        turns = list_turns(design.pairs, rng, 12)[:4096]
        null, _ = run_tests(kind, design, sales, 0.0, each, rng)
        found, truth = run_tests(kind, design, sales, effect, each, rng)
        false = decide_many(null, scale, turns) != 0
        right = decide_many(found, scale, turns) * np.sign(effect) > 0
        covers = []
        for row, true in zip(found[: max(each // 8, 5)], truth, strict=False):
            read = analyse_pairs(row, design.pairs, scale, rng)
            covers.append(read.low <= true <= read.high)
        rows.append((false.mean(), np.mean(covers), right.mean(), design.pairs))
    return dict(zip(("false", "cover", "power", "pairs"), np.mean(rows, axis=0).tolist(), strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'demand':<16} {'units':>6} {'effect':>7} {'pairs':>6} {'false':>6} {'cover':>6} {'power':>6}")
    for name, kind in KINDS.items():
        for base, effect in ((5.5, 0.30), (50.0, 0.12), (500.0, -0.10)):
            row = measure(kind, base, effect, options.tests, options.histories, options.seed)
            shares = " ".join(f"{row[key]:6.3f}" for key in ("false", "cover", "power"))
            print(f"{name:<16} {base:>6g} {effect:>7.2f} {row['pairs']:>6.1f} {shares}", flush=True)


if __name__ == "__main__":
    main()
