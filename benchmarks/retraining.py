"""Profit of the gate of `pricerl retrain`, and how often it promotes a worse model.

    python benchmarks/retraining.py months --sellers 10
    python benchmarks/retraining.py nulls

`months`: sellers whose demand changes after a year (level 0.75, elasticity 1.4 times as steep) set prices for two years
by a market that is never fitted again, fitted every month, or replaced every month if the gate's comparison of
forecasts lets the challenger pass. Policies are the best constant price of the market, reached by at most 10 % per
month, with tests of 3 % up and down every week: fits without SAC, as full trainings would take days. In practice
`predict` fits the market to every fresh file, so that "never" loses more here than an old policy does.

`nulls`: the challenger's forecasts are worse than the champion's in expectation: too high or too low by more. Days have
autocorrelated levels, which both ignore. Printed is the share of promotions by forecasts alone, an upper limit.
"""

from __future__ import annotations

import argparse
import io

import numpy as np
import pandas as pd
import torch
from scipy.stats import nbinom

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import weekday_of
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.env.dynamics import Dynamics
from pricerl.evaluation.forecast import score_units
from pricerl.evaluation.pricing_rules import best_constant_price
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.operations.model_gate import GateConfig, compare_scores
from pricerl.simulation.true_demand import WEEKDAY_PATTERN

MONTH, MONTHS, FIRST, CHANGE = 30, 24, 12 * 30, 12
"""Days per month, months, days of history before them, and the month of the change."""
LEVEL, STEEPER = 0.75, 1.4
STRATEGIES = ("never", "always", "gate")


class Shop:
    """A seller whose prices a strategy sets; days are drawn from generators of their own, equal for all strategies.

    Args:
        seed: seed of truth and noise.
        units: daily units at the first price.
    """

    def __init__(self, seed: int, units: float) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.units = seed, units
        self.elasticity, self.cost = float(rng.uniform(-2.6, -1.8)), float(rng.uniform(9.0, 12.0))
        self.price: list[float] = []
        self.sold: list[float] = []
        first = 20 * np.exp(np.repeat(rng.uniform(-0.12, 0.12, FIRST // 10), 10))
        for price in np.round(first, 2):
            self.charge(float(price))

    def mean(self, price: float, day: int) -> float:
        """Return the expected units of a day."""
        changed = day >= FIRST + CHANGE * MONTH
        elasticity = self.elasticity * (STEEPER if changed else 1.0)
        weekday = WEEKDAY_PATTERN[int(weekday_of(np.int64(day)))]
        return self.units * (LEVEL if changed else 1.0) * weekday * float((price / 20) ** elasticity)

    def charge(self, price: float) -> float:
        """Charge a price for a day and return the expected profit."""
        day = len(self.price)
        mean, rng = self.mean(price, day), np.random.default_rng([self.seed, day])
        self.price.append(price)
        self.sold.append(float(rng.poisson(mean * rng.gamma(20.0, 1 / 20.0))))
        return (price - self.cost) * mean

    def prepared(self) -> DataPreprocessor:
        """Return the history until now."""
        dates = np.datetime64("1970-01-01", "D") + 20_000 - 20_000 % 7 + np.arange(len(self.price))
        sales = np.round(np.array(self.price) * np.array(self.sold), 2)
        text = io.StringIO()
        columns = {"Report Date": dates.astype(str), "Product Price": self.price, "Total Sales": sales}
        pd.DataFrame(columns).to_csv(text, index=False)
        return DataPreprocessor.fit(history_from_text(text.getvalue(), "simulated", DataConfig()), DataConfig())


def fit(shop: Shop, days: int | None = None) -> Market:
    """Fit a market to the history of a shop, or to its first days."""
    prepared = shop.prepared()
    prepared = prepared if days is None else prepared.first_days(0, days)
    return fit_market(
        prepared, DemandConfig(num_draws=64), CostConfig(unit_cost=shop.cost, share_kept=1.0, fixed_cost=0.0)
    )


def best_price(market: Market) -> float:
    """Return the best constant price in a market within the guardrails' reach."""
    return float(
        best_constant_price(Dynamics(market, RewardConfig("profit"), GuardrailConfig(support_margin=0.10))).price
    )


def passes(shop: Shop, champion: Market, config: GateConfig) -> bool:
    """Return whether a challenger passes the comparison of forecasts on the last days."""
    days, history = len(shop.price), shop.prepared().products[0]
    day = np.arange(days - config.holdout_days, days)
    challenger = fit(shop, days - config.holdout_days)
    difference = score_units(challenger, 0, history, day) - score_units(champion, 0, history, day)
    return compare_scores(difference, 7, config.confidence).passed


def earn(strategy: str, seed: int, units: float) -> tuple[FloatArray, int]:
    """Return the expected profit of each month, and the number of models used."""
    shop, config, models = Shop(seed, units), GateConfig(), 1
    market, fitted = fit(shop), FIRST
    profits = np.zeros(MONTHS)
    for month in range(MONTHS):
        now = len(shop.price)
        new = now - fitted >= config.holdout_days + 7 and strategy == "gate" and passes(shop, market, config)
        if month and (strategy == "always" or new):
            market, fitted, models = fit(shop), now, models + 1
        target, last = best_price(market), float(np.median(shop.price[-MONTH:]))
        price = float(np.clip(target, 0.9 * last, 1.1 * last))
        for day in range(MONTH):
            profits[month] += shop.charge(round(price * (1, 1.03, 1, 0.97)[day // 7 % 4], 2))
    return profits, models


def compare_months(options: argparse.Namespace) -> None:
    print("| model | profit per day, first year | second year | models | gain of the gate over it, second year |")
    print("|---|---|---|---|---|")
    seeds = range(options.seed, options.seed + options.sellers)
    found = {name: [earn(name, seed, options.units) for seed in seeds] for name in STRATEGIES}
    gate = np.array([profits for profits, _ in found["gate"]])
    for name, rows in found.items():
        profits = np.array([profit for profit, _ in rows])
        years = " | ".join(f"{part.sum(1).mean() / (MONTH * CHANGE):.2f}" for part in np.split(profits, [CHANGE], 1))
        gain = (gate - profits)[:, CHANGE:].sum(1) / (MONTH * CHANGE)
        error = gain.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.nan
        over = "–" if name == "gate" else f"{gain.mean():+.2f} (se {error:.2f}), in {int((gain > 0).sum())}"
        print(f"| {name} | {years} | {np.mean([models for _, models in rows]):.1f} | {over} |", flush=True)


def compare_nulls(options: argparse.Namespace) -> None:
    print("| champion's error | challenger's error | level: sd, correlation from day to day | promoted |")
    print("|---|---|---|---|")
    rng, config = np.random.default_rng(options.seed), GateConfig()
    days, size = config.holdout_days, 20.0
    for sd, kept in ((0.0, 0.0), (0.1, 0.5), (0.1, 0.9)):
        for champion, challenger in ((0.0, 0.02), (0.0, 0.05), (0.05, 0.06), (-0.05, 0.055), (0.05, -0.10)):
            level = np.zeros((options.repeats, days + 60))
            for day in range(1, days + 60):
                shock = rng.normal(0, sd * np.sqrt(1 - kept**2), options.repeats)
                level[:, day] = kept * level[:, day - 1] + shock
            mean = 20 * np.exp(level[:, 60:] - sd**2 / 2)
            units = rng.poisson(mean * rng.gamma(size, 1 / size, mean.shape))
            scores = [
                nbinom.logpmf(units, size, size / (size + 20 * np.exp(error))) for error in (champion, challenger)
            ]
            passed = [compare_scores(row, 7, config.confidence).passed for row in scores[1] - scores[0]]
            about = "no drift" if sd == 0 else f"{sd:g}, {kept:g}"
            print(f"| {champion:+.0%} | {challenger:+.1%} | {about} | {np.mean(passed):.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["months", "nulls"])
    parser.add_argument("--sellers", type=int, default=10)
    parser.add_argument("--units", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    compare_months(options) if options.what == "months" else compare_nulls(options)


if __name__ == "__main__":
    main()
