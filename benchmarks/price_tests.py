"""Price tests on demand that the planner does not assume, and what they earn in simulated shops.

``--proof`` makes histories of 365 days of several kinds of demand, and tests of 13 pairs after them. The planner sees
the histories: it estimates the dispersion from ordinary weeks and measures the drift between blocks.

- ``false``: tests without an effect that prove one, with a look after every pair;
- ``cover``: tests whose 95 % limits contain the effect when the test stops, by proof or by money;
- ``wrong``: tests whose verdict, by proof or by money, names the price that earns less.

Otherwise shops of all families of demand are drawn, one in six of which already has its best price, and fitted to 180
days, in which prices varied by up to 20 % or, ``rarely``, by up to 8 % every month or two. Where the draws leave the
best test unsure (``unsure``) and it pays (``pays``, of these), it is played in the true demand, whose level also drifts
by 1 % per day. ``plan`` and ``stop`` are its most and its mean days, ``verdict`` and ``wrong`` shares of the tests;
``gain`` is what test and verdict earn in a year over keeping the price, net of the test's cost, as a share of what
keeping earns. What the plan promised is in brackets.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from pricerl.data.config import DataConfig
from pricerl.data.days import YEAR
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.experiments.analysis import StopRule, analyse_pairs, decide_many, list_turns
from pricerl.experiments.design import Sales, measure_drift
from pricerl.experiments.plan import MATTERS, PlannedTest, plan_price_test
from pricerl.experiments.schedule import TEST, Switchback, draw_arms
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import MARKETS, SellerConfig, simulate, simulated_history
from pricerl.simulation.true_demand import ShopRanges, expected_profit, expected_units

DAYS, BLOCK, WASHOUT, PAIRS = 365, 7, 1, 13
VALUES = (10.0, 11.0)
"""Profit per unit at the two prices, money."""
CARRY_OVER = 0.10
"""Share of demand that buyers move from the first day after a rise to before it, or back after a fall."""
HISTORY_DAYS = 180
"""Days of history of a simulated shop."""
PLAYED = 40
"""Tests that are played in each shop."""
WIDTHS = (6, 6, 6, 6, 6, 6, 6, 12, 14, 20, 12)
"""Characters of the columns."""
CLEAR = 0.70
"""Share of the posterior draws from which advice changes a price without a test."""


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
SHOP = Demand(size=10.0, weekday=0.1, drift=0.01)
"""Demand of the simulated shops."""


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
    kind: Demand,
    design: Switchback,
    units: tuple[float, float],
    values: tuple[float, float],
    tests: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences ``(tests, n)`` of whole tests and the mean level ``(tests,)`` of the days that count."""
    level = level_of(kind, design.rows, tests, rng)
    level /= np.exp(kind.trend * design.rows / 730)  # the planned effect is that of the test's middle
    arms = np.array([draw_arms(design.pairs, rng) for _ in range(tests)])
    daily = np.repeat(arms, design.block, axis=1) == TEST
    mean = level * np.where(daily, units[1], units[0])
    if kind.carry_over:
        first = np.zeros_like(daily)
        first[:, design.block :: design.block] = (
            daily[:, design.block :: design.block] != daily[:, design.block - 1 : -1 : design.block]
        )
        mean *= np.where(first, np.where(daily, 1 - CARRY_OVER, 1 + CARRY_OVER), 1.0)
    counted = slice(design.washout, None)
    sold = sell(kind, mean, rng).reshape(tests, -1, design.block)[:, :, counted].mean(axis=2)
    outcome = np.where(arms == TEST, sold * values[1], -sold * values[0])
    kept = level.reshape(tests, -1, design.block)[:, :, counted].mean(axis=(1, 2))
    return outcome.reshape(tests, -1, 2).sum(axis=2), kept


def measure_proof(kind: Demand, base: float, effect: float, tests: int, histories: int, seed: int) -> list[float]:
    """Return the shares of one kind of demand, averaged over histories."""
    rows, rng = [], np.random.default_rng((seed, 2))
    each = tests // histories
    design = Switchback(PAIRS, BLOCK, WASHOUT)
    turns = list_turns(PAIRS, rng, 12)[:4096]
    for history in range(histories):
        sales = observe(kind, base, effect, seed + history)
        scale = sales.difference_sd(design.kept)
        rule = StopRule(sales.spread, MATTERS * base * VALUES[0] * YEAR, YEAR, BLOCK)
        same = base * VALUES[0] / VALUES[1]
        null, _ = play(kind, design, (base, same), VALUES, each, rng)
        found, level = play(kind, design, (base, same * (1 + effect)), VALUES, each, rng)
        false = decide_many(null, scale, turns)[0] != 0
        verdicts, stops = decide_many(found, scale, turns, rule)
        covers = []
        for row, stop, at in zip(found[: max(each // 8, 5)], stops, level, strict=False):
            read = analyse_pairs(row[: int(stop)], PAIRS, scale, rng)
            covers.append(read.low <= effect * base * VALUES[0] * at <= read.high)
        rows.append((false.mean(), np.mean(covers), (verdicts * effect < 0).mean()))
    return np.mean(rows, axis=0).tolist()


class RareConfig(SellerConfig):
    """Seller who changes prices rarely, and little."""

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which a shop is drawn."""
        return ShopRanges(hold_days=(25, 60), price_range=0.08)


HISTORIES = {"often": SellerConfig, "rarely": RareConfig}


def fit_shop(market: str, units: float, seed: int, kind: type[SellerConfig] = SellerConfig) -> tuple[dict, Product]:
    """Return the truth of a drawn seller, and the product of the market fitted to its history."""
    config = kind(market=market, days=HISTORY_DAYS, units=units, seed=seed)
    _, truth = simulate(config)
    preprocessor = DataPreprocessor.fit(simulated_history(config, DataConfig()), DataConfig())
    cost = CostConfig(unit_cost=truth["unit_cost"], share_kept=truth["share_kept"])
    fitted = fit_market(preprocessor, DemandConfig(), cost, 0)
    return truth, Product(Dynamics(fitted, RewardConfig(), GuardrailConfig(), EnvConfig()), 0)


def play_shop(truth: dict, planned: PlannedTest, rng: np.random.Generator) -> np.ndarray:
    """Return mean days, shares with a verdict and with a wrong one, and the gain as a share of the year's profit."""
    design, rule = planned.design, planned.rule
    prices = (planned.test.regular_price, planned.test.price)
    units = tuple(float(expected_units(truth, price)) for price in prices)
    differences, _ = play(SHOP, design, units, planned.sales.values, PLAYED, rng)
    verdicts, stops = decide_many(
        differences, planned.sales.difference_sd(design.kept), list_turns(design.pairs, rng, 10)[:1024], rule
    )
    kept, other = (float(expected_profit(truth, price)) for price in prices)
    rows = stops * design.block + np.where(verdicts > 0, rule.rows_left(stops), 0.0)
    gain = (other - kept) * rows / (abs(kept) * rule.year)
    wrong = verdicts * (other - kept) < 0
    return np.mean([2 * stops * design.block, verdicts != 0, wrong, gain], axis=1)


def measure_shops(name: str, units: float, shops: int, seed: int) -> str:
    """Return the row of the table of one volume."""
    rows, promised, days, steps = [], [], [], []
    for shop in range(shops):
        truth, product = fit_shop(MARKETS[shop % len(MARKETS)], units, seed + shop, HISTORIES[name])
        planned = plan_price_test(product)
        if planned is not None and (planned.sales.effects > 0).mean() >= CLEAR:
            continue
        if planned is None or not planned.test.pays:
            rows.append(np.full(4, np.nan))
            continue
        rows.append(play_shop(truth, planned, np.random.default_rng((seed, shop))))
        days.append(planned.test.days)
        steps.append(abs(planned.test.price / planned.test.regular_price - 1))
        promised.append((planned.test.decides, planned.test.wrong, planned.test.gain / (planned.rule.loss / MATTERS)))
    if not days:
        return f"{name} {units:g}: no test pays"
    stop, verdict, wrong, gain = np.nanmean(rows, axis=0)
    error = np.nanstd([row[3] for row in rows]) / math.sqrt(max(len(days), 1))
    losing = np.nanmean([row[3] < -0.01 for row in rows if np.isfinite(row[3])])
    said = np.mean(promised, axis=0)
    cells = [
        name,
        f"{units:g}",
        f"{len(rows) / shops:.2f}",
        f"{len(days) / len(rows):.2f}",
        f"{np.median(days):.0f}",
        f"{stop:.0f}",
        f"{np.mean(steps):.3f}",
        f"{verdict:.2f} ({said[0]:.2f})",
        f"{wrong:.3f} ({said[1]:.3f})",
        f"{100 * gain:.2f} +- {100 * error:.2f} ({100 * said[2]:.2f})",
        f"{losing:.3f}",
    ]
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proof", action="store_true")
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--shops", type=int, default=240)
    parser.add_argument("--units", type=float, nargs="+", default=[5.5, 18.0, 50.0, 500.0])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.proof:
        print(f"{'demand':<16} {'units':>6} {'effect':>7} {'false':>6} {'cover':>6} {'wrong':>6}")
        for name, kind in KINDS.items():
            for base, effect in ((5.5, 0.30), (50.0, 0.12), (500.0, -0.10)):
                shares = measure_proof(kind, base, effect, options.tests, options.histories, options.seed)
                print(
                    f"{name:<16} {base:>6g} {effect:>7.2f} " + " ".join(f"{share:6.3f}" for share in shares), flush=True
                )
        return
    print(
        " units unsure   pays   plan   stop   step verdict (promised) wrong (promised) gain, % (promised) losing > 1 %"
    )
    for name in HISTORIES:
        for units in options.units:
            print(measure_shops(name, units, options.shops, options.seed), flush=True)


if __name__ == "__main__":
    main()
