"""Price tests on demand that the planner does not assume, and what they earn in simulated shops.

``--proof`` makes histories of 365 days of several kinds of demand, and tests of ``--pairs`` pairs after them. The
planner sees the histories: it estimates the dispersion from ordinary weeks and measures the drift between blocks.

- ``false``: tests without an effect that prove one, with a look after every pair;
- ``cover``: tests whose 95 % limits contain the effect when the test stops;
- ``proven``: tests that prove the effect that there is.

Otherwise shops of all families of demand are drawn, one in six of which already has its best price, and fitted to 180
days, in which prices varied by up to 20 % or, ``rarely``, by up to 8 % every month or two. Where a test pays (``pays``)
it is played in the true demand, whose level also drifts by 1 % per day, and its sales weigh the posterior draws, which
then advise, without any gate. ``cost`` is what the days of the test lose in truth,
as a share of a quarter's profit, ``promised`` in brackets; ``gain`` is what test and advice earn over the advice
without it, within the time that the plan counts, as a share of what keeping earns then; ``null`` are cost and gain in
shops at their best price.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.experiments.analysis import ANYTIME, FINAL, analyse_pairs, list_turns, log_wealth, randomisation_p
from pricerl.experiments.design import Sales, measure_drift, weigh_draws
from pricerl.experiments.plan import Budget, PlannedTest, plan_price_test, value_prices
from pricerl.experiments.schedule import TEST, Switchback, draw_arms
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import MARKETS, SellerConfig, simulate, simulated_history
from pricerl.simulation.true_demand import ShopRanges, expected_profit, expected_units

DAYS, BLOCK, WASHOUT = 365, 7, 1
VALUES = (10.0, 11.0)
"""Profit per unit at the two prices, money."""
CARRY_OVER = 0.10
"""Share of demand that buyers move from the first day after a rise to before it, or back after a fall."""
HISTORY_DAYS = 180
"""Days of history of a simulated shop."""
PLAYED = 40
"""Tests that are played in each shop."""


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
    kind: Demand, design: Switchback, units: tuple[float, float], tests: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return units per counted day at the two prices in the pairs ``(2, tests, n)`` of whole tests, and mean levels."""
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
    kept = level.reshape(tests, -1, design.block)[:, :, counted].mean(axis=(1, 2))
    by_arm = [np.where(arms == arm, sold, 0.0).reshape(tests, -1, 2).sum(axis=2) for arm in (1 - TEST, TEST)]
    return np.array(by_arm), kept


def judge(differences: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
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


def play_shop(truth: dict, product: Product, planned: PlannedTest, rng: np.random.Generator) -> tuple[float, float]:
    """Return the cost of the test as a share of a quarter's profit, and its gain as one of the time that counts."""
    design, arms, config = planned.design, planned.arms, DecisionConfig()
    units = tuple(float(expected_units(truth, price)) for price in (arms.current, arms.price))
    sold, _ = play(SHOP, design, units, PLAYED, rng)
    seen = np.log((sold[1] + 0.5 / design.kept) / (sold[0] + 0.5 / design.kept)).mean(axis=1)
    prices = value_prices(product, "profit", config, [arms], Budget().counts)
    during = prices.during(arms, design)
    later = (prices.rows - design.rows) * prices.after
    weights = weigh_draws(seen, planned.sales.log_ratio, planned.sales.log_ratio_sd(design))
    chosen = prices.targets[prices.rule.utility(weights, during, later).argmax(axis=1)]
    kept, tried, now = (
        float(expected_profit(truth, price))
        for price in (arms.current, arms.price, prices.targets[prices.without.argmax()])
    )
    tested = design.rows * (tried - kept) / 2
    after = (prices.rows - design.rows) * np.array([float(expected_profit(truth, price)) - kept for price in chosen])
    gain = tested + after.mean() - prices.rows * (now - kept)
    return -tested / (abs(kept) * DAYS_PER_QUARTER), gain / (abs(kept) * prices.rows)


def measure_shops(name: str, units: float, shops: int, seed: int, test_change: float | None) -> str:
    """Return the row of the table of one volume."""
    found, nulls, promised = [], [], []
    for shop in range(shops):
        market = MARKETS[shop % len(MARKETS)]
        truth, product = fit_shop(market, units, seed + shop, HISTORIES[name])
        planned = plan_price_test(product, consent=test_change)
        if planned is None or not planned.test.pays:
            continue
        found.append(play_shop(truth, product, planned, np.random.default_rng((seed, shop))))
        nulls += found[-1:] if market == "optimal" else []
        prices = value_prices(product, "profit", DecisionConfig(), [planned.arms], Budget().counts)
        kept = float(prices.earned(planned.arms.current).mean())
        test = planned.test
        promised.append((test.expected_cost / (kept * DAYS_PER_QUARTER), test.gain / (kept * prices.rows)))
    if not found:
        return f"{name} {units:g}: no test pays"
    cost, gain = 100 * np.mean(found, axis=0)
    error = 100 * np.std([row[1] for row in found]) / math.sqrt(len(found))
    said = 100 * np.mean(promised, axis=0)
    losing = np.mean([row[1] < -0.01 for row in found])
    null = 100 * np.mean(nulls, axis=0) if nulls else (math.nan, math.nan)
    return (
        f"{name:>6} {units:>6g} {len(found) / shops:6.2f} {cost:6.2f} ({said[0]:5.2f})"
        f" {gain:6.2f} +- {error:4.2f} ({said[1]:5.2f}) {losing:8.3f} {null[0]:6.2f} {null[1]:6.2f} of {len(nulls)}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proof", action="store_true")
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--shops", type=int, default=240)
    parser.add_argument("--units", type=float, nargs="+", default=[5.5, 18.0, 50.0, 500.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=13)
    parser.add_argument("--test_change", type=float)
    options = parser.parse_args()
    if options.proof:
        print(f"{'demand':<16} {'units':>6} {'effect':>7} {'false':>6} {'cover':>6} {'proven':>6}")
        for name, kind in KINDS.items():
            for base, effect in ((5.5, 0.30), (50.0, 0.12), (500.0, -0.10)):
                about = (options.pairs, options.tests, options.histories, options.seed)
                shares = [f"{share:6.3f}" for share in measure_proof(kind, base, effect, *about)]
                print(f"{name:<16} {base:>6g} {effect:>7.2f} {' '.join(shares)}", flush=True)
        return
    print("        units   pays   cost, % (promised) gain, % (promised) lose > 1 %   null: cost, gain")
    for name in HISTORIES:
        for units in options.units:
            print(measure_shops(name, units, options.shops, options.seed, options.test_change), flush=True)


if __name__ == "__main__":
    main()
