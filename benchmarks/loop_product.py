"""The whole product in a weekly loop, on simulated sellers who follow its advice.

    python benchmarks/loop_product.py --sellers 100 --units 8 50 --weeks 13

Each week the sales of the last one are added to the file, which is read, cleaned and fitted anew; the planner proposes,
and the decision with its gates, account and guardrails sets the price of the next week. `share` is the true gain over
keeping the first price as a percentage of the best plan's that knows the demand curve; `harmed` sellers end more than
1 % below keeping. The demand level drifts by 2 % a week.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from pricerl.advice.account import Account
from pricerl.advice.config import DecisionConfig
from pricerl.advice.decided_path import decide_path
from pricerl.advice.past import Past
from pricerl.advice.price_path import plan_path
from pricerl.arrays import FloatArray, limits_of
from pricerl.data import DataConfig, DataPreprocessor, History, weekday_of
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.env import Dynamics
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.planner import candidate_prices
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import elasticity_at
from pricerl.market import CostConfig, DemandConfig, RewardConfig, fit_market
from pricerl.runtime import claim_compute
from pricerl.simulation import SellerConfig, expected_units, simulate
from pricerl.simulation.confounders import reference_effect
from pricerl.simulation.habits import habits_of

KINDS = ("constant", "linear", "exponential", "logit", "kinked", "optimal", "thin", "repricer", "reference", "averages")
LEVEL_SD = 0.02
HARM = 0.01
WEEK = 7
STEP_DISCOUNT = 0.97**3


@dataclass
class Shop:
    """A seller in the loop."""

    frame: pd.DataFrame
    truth: dict[str, Any]
    kind: str
    rng: np.random.Generator
    """Of the sales."""
    drift: np.random.Generator
    """Of the level, the same for every rule."""
    first: float
    """Price that keeping means."""
    level: float = 0.0
    gain: float = 0.0
    kept: float = 0.0
    own: int = 0
    """Days priced by the product."""

    def profit_and_units(self, prices: FloatArray, dates: Any) -> tuple[FloatArray, FloatArray]:
        """Return true expected daily profit before fixed cost, and units, at prices ``(N, H)``."""
        truth = self.truth
        units = expected_units(truth, prices) * np.array(truth["weekday_demand"])[weekday_of(dates.astype(np.int64))]
        if truth["family"] == "reference":
            past = np.broadcast_to(self.frame[columns.PRODUCT_PRICE].to_numpy(float), (len(prices), len(self.frame)))
            units = units * reference_effect(np.log(np.hstack([past, prices])))[:, past.shape[1] :]
        return (truth["share_kept"] * prices - truth["unit_cost"]) * units, units

    def sell(self, prices: FloatArray) -> None:
        """Sell for a week at ``prices (7,)`` and add its rows."""
        last = np.datetime64(self.frame[columns.REPORT_DATE].iloc[-1])
        dates = last + 1 + np.arange(WEEK)
        self.level += LEVEL_SD * self.drift.normal()
        profit, units = self.profit_and_units(np.stack([prices, np.full(WEEK, self.first)]), dates)
        factor = float(np.exp(self.level))
        self.gain += factor * float(profit[0].sum() - profit[1].sum())
        self.kept += factor * float(profit[1].sum())
        size = habits_of(self.kind).noise_size
        mean = factor * units[0]
        sold = self.rng.negative_binomial(size, size / (size + mean)).astype(float)
        sales = np.round(sold * prices, 2)
        earned = -self.truth["fixed_cost"] + self.truth["share_kept"] * sales - self.truth["unit_cost"] * sold
        rows = pd.DataFrame(
            {
                columns.REPORT_DATE: dates.astype(str),
                columns.PRODUCT_PRICE: np.round(prices, 2),
                columns.TOTAL_PROFIT: np.round(earned, 2),
                columns.TOTAL_SALES: sales,
            }
        )
        self.frame = pd.concat([self.frame, rows], ignore_index=True)
        self.own += WEEK


def open_shop(kind: str, units: float, seed: int, days: int) -> Shop:
    frame, truth = simulate(SellerConfig(market=kind, days=days, units=units, seed=seed))  # type: ignore[arg-type]
    return Shop(
        frame,
        truth,
        kind,
        np.random.default_rng([seed, 77]),
        np.random.default_rng([seed, 78]),
        float(frame[columns.PRODUCT_PRICE].dropna().iloc[-1]),
    )


def market_of(shop: Shop, seed: int) -> Dynamics:
    """Fit the market to a shop's file; its own days carry no bias."""
    history = history_from_text(shop.frame.to_csv(index=False), "loop", DataConfig())
    product = history.products[0]
    own = np.zeros(len(product.dates), dtype=bool)
    own[len(own) - shop.own :] = True
    history = History(history.source, (replace(product, own_price=own & product.observed),), history.reports)
    prepared = DataPreprocessor.fit(history, DataConfig())
    costs = CostConfig(unit_cost=shop.truth["unit_cost"], share_kept=shop.truth["share_kept"])
    return Dynamics(fit_market(prepared, DemandConfig(), costs, seed), RewardConfig())


Decide = Callable[[Dynamics, Account | None], FloatArray]


def product_rule(config: DecisionConfig, accounts: bool) -> Decide:
    """Return the product's decision, with accounts from the second week on or with the gate of the first each week."""

    def decide(dynamics: Dynamics, account: Account | None) -> FloatArray:
        plan = plan_dynamically(dynamics, STEP_DISCOUNT)
        proposed = plan_path(plan, 0, 2 * WEEK)
        known = account if accounts else None
        end = int(dynamics.market.preprocessor.products[0].dates[-1].astype("datetime64[D]").astype(int))
        decided = decide_path(proposed, dynamics, 0, config, "planner", past=Past(account=known), seed=end)
        return np.asarray(decided.gated.prices[:WEEK])

    return decide


def greedy(dynamics: Dynamics, account: Account | None) -> FloatArray:
    path = plan_path(plan_dynamically(dynamics, STEP_DISCOUNT), 0, WEEK)
    return path.price.double().numpy()


def attainable(shop: Shop, weeks: int, seed: int) -> float:
    """Return the gain of the best constant target within reach, for one who knows the demand curve."""
    dynamics = market_of(shop, seed)
    targets = torch.cat([candidate_prices(dynamics, 0)[::4], torch.tensor([shop.first])])
    paths = approach_prices(targets, dynamics, 0, WEEK * weeks).double().numpy()
    last = np.datetime64(shop.frame[columns.REPORT_DATE].iloc[-1])
    profit, _ = shop.profit_and_units(paths, last + 1 + np.arange(WEEK * weeks))
    total = profit.sum(1)
    return float(total.max() - total[-1])


RULES: dict[str, Decide] = {
    "gate": product_rule(DecisionConfig(), False),
    "account": product_rule(DecisionConfig(), True),
    "account x6": product_rule(DecisionConfig(loss_weight=6), True),
    "account x10": product_rule(DecisionConfig(loss_weight=10), True),
    "account, random 2 %": product_rule(DecisionConfig(explore_share=0.02), True),
    "greedy": greedy,
}


def covers(dynamics: Dynamics, shop: Shop) -> bool:
    """Return whether the 90 % interval of the elasticity around the current price holds the true one."""
    price = dynamics.market.preprocessor.products[0].current_price
    low, high = limits_of(elasticity_at(dynamics.market.products[0], price))
    ends = expected_units(shop.truth, np.array([0.95 * price, 1.05 * price]))
    return bool(low <= np.log(ends[1] / ends[0]) / np.log(1.05 / 0.95) <= high)


def play(kind: str, units: float, seed: int, days: int, weeks: int, rule: str) -> dict[str, Any]:
    """Follow a rule for some weeks; return gain and whether the last interval of the elasticity covers the truth."""
    shop, account = open_shop(kind, units, seed, days), None
    for _ in range(weeks):
        prices = RULES[rule](market_of(shop, seed), account)
        account = account or Account(str(shop.frame[columns.REPORT_DATE].iloc[-1]), shop.first)
        shop.sell(prices)
    moved = float(shop.frame[columns.PRODUCT_PRICE].iloc[-1]) / shop.first
    about = {"units": units, "kind": kind, "seed": seed, "rule": rule.replace(" ", "_")}
    return {
        **about,
        "gain": shop.gain / shop.kept,
        "kept": shop.kept,
        "last": moved,
        "covered": covers(market_of(shop, seed), shop),
    }


def summarise(table: pd.DataFrame, by: list[str]) -> str:
    """Return a line per group: share of the attainable gain, harmed sellers, coverage, in percent."""
    groups = table.groupby(by, sort=False)
    found = {
        "share": 100 * groups["gain"].sum() / groups["best"].sum(),
        "harmed": 100 * groups["gain"].apply(lambda gain: (gain < -HARM).mean()),
        "covered": 100 * groups["covered"].mean(),
        "sellers": groups.size(),
    }
    return pd.DataFrame(found).round(1).to_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sellers", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first seller")
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0])
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--days", type=int, default=130)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--rules", nargs="+", default=["gate", "account"], choices=list(RULES))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    rows = []
    for units in options.units:
        for number in range(options.first, options.first + options.sellers):
            kind, seed = options.kinds[number % len(options.kinds)], 5000 + number
            best = attainable(open_shop(kind, units, seed, options.days), options.weeks, seed)
            for rule in options.rules:
                found = play(kind, units, seed, options.days, options.weeks, rule)
                rows.append({**found, "best": best / found.pop("kept")})
                print(*rows[-1].values(), flush=True)
    table = pd.DataFrame(rows)
    for by in (["units", "rule"], ["units", "kind", "rule"]):
        print(summarise(table, by))


if __name__ == "__main__":
    main()
