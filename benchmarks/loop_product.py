"""The whole product in a weekly loop, on simulated sellers who follow its advice.

    python benchmarks/loop_product.py --sellers 96 --units 8 50 --weeks 13 --rules account

Each week the sales of the last one are added to the file, which is read, cleaned and fitted again; the planner
proposes, and the decision with its gates, account and guardrails sets the price of the next week. `share` is the true
gain over keeping the first price as a percentage of the gain of the best constant target, chosen with knowledge of
demand; `net` is the same with losses beyond 1 % counted four times; `harmed` sellers end more than 1 % below keeping.
The demand level drifts by 2 % a week. `loop_sellers.KINDS` lists the kinds of sellers, which take turns.

The rule `tests` starts the price test with the largest net value if it pays, at the latest in the fourth week, and
ends it early once its rest has none; its days count as own days. `tested` sellers have one, `cost` is what its days
lost against the first price, in percent of what keeping earns in a quarter.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import torch
from loop_sellers import KINDS, Shop, open_shop
from runner import Option, compute_alone, read_options

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import plan_paths
from pricerl.decide.standing import FIRST, Account, Order, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.experiments.plan import Budget, make_order, plan_schedule, remaining_value
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import candidate_prices
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.rollout import approach_prices

HARM, NET_WEIGHT = 0.01, 3
"""Loss that counts as harm, as a share of profit, and how much more losses beyond it count."""
LAST_START = 4 * WEEK
"""Days within which a test may begin."""
STEP_DISCOUNT = 0.97**3


def product_of(shop: Shop, seed: int) -> Product:
    """Fit the market to a shop's file; days at advised prices carry no bias, unless the file has averages."""
    history = history_from_text(shop.frame.to_csv(index=False), "loop", DataConfig(current_price="regular"))
    product = history.products[0]
    own = np.zeros(len(product.dates), dtype=bool)
    own[len(own) - len(shop.charged) :] = not shop.averages
    history = History(history.source, (replace(product, own_price=own & product.observed),), history.reports)
    prepared = DataPreprocessor.fit(history, DataConfig())
    truth = shop.truth
    costs = CostConfig(truth["unit_cost"], truth["share_kept"]) if shop.kind.costs_known else CostConfig()
    return Product(Dynamics(fit_market(prepared, DemandConfig(), costs, seed), RewardConfig()), 0)


Decide = Callable[[Product, Standing], tuple[FloatArray, Standing]]
"""Returns the prices of the next week, and the standing that they leave."""


def propose(product: Product, horizon: int) -> Proposed:
    """Return the planner's path."""
    return Proposed("planner", plan_paths(plan_dynamically(product.dynamics, STEP_DISCOUNT), horizon)[0])


def decided(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
    """Return the product's decision with the account of the quarter."""
    course = decide_price(Case(product, propose, DecisionConfig(), 2 * WEEK, standing))
    return np.asarray(course.prices[:WEEK]), standing


def gated(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
    """Return the product's decision with a new account each week."""
    return decided(product, standing._replace(account=None))[0], standing


def tests_rule() -> Decide:
    """Return the product's decision with accounts, which may begin with a price test, for one seller."""
    started: list[dict[str, Any]] = []

    def decide(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
        first = product.first_day
        opened = first if standing.account is None else date.fromisoformat(standing.account.opened)
        if not started and (first - opened).days < LAST_START:
            planned, schedule = plan_schedule(product, None, Budget(), seed=0, config=DecisionConfig())
            if planned is not None and schedule:
                started.append(make_order(planned, schedule, product, 0))
                days = tuple((row["date"], row["price"]) for row in schedule)
                until, price = schedule[-1]["date"], planned.test.regular_price
                order = Order(1, "price_test", price, until, "", "", "active", schedule=days)
                standing = standing._replace(orders=(order,))
        if standing.orders:
            passed = (first - date.fromisoformat(started[0]["first_day"])).days
            ended = passed >= len(started[0]["schedule"])
            if ended or (passed > 0 and remaining_value(product, started[0], passed, DecisionConfig()) < 0):
                standing = standing._replace(orders=())
        return decided(product, standing)

    return decide


def greedy(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
    """Return the plan, whatever its risk."""
    return propose(product, WEEK).path.price.double().numpy(), standing


def attainable(shop: Shop, days: int, seed: int) -> float:
    """Return the gain of the best constant target within reach, for one who knows demand on every day of the loop."""
    product = product_of(shop, seed)
    now = product.current_price
    targets = torch.cat([candidate_prices(product)[::4], torch.tensor([now])])
    total = shop.profit(shop.first / now * approach_prices(targets, product, days).double().numpy())
    return float(total.max() - total[-1])


RULES: dict[str, Callable[[], Decide]] = {
    "gate": lambda: gated,
    "account": lambda: decided,
    "tests": tests_rule,
    "greedy": lambda: greedy,
}
"""Functions that make a rule for one seller, by name."""


def play(shop: Shop, seed: int, weeks: int, rule: str) -> dict[str, Any]:
    """Follow a rule for some weeks; return gain and whether the last interval of the elasticity covers the truth."""
    standing, opened = FIRST, Account(str(shop.frame[columns.REPORT_DATE].iloc[-1]), shop.first)
    decide, tested = RULES[rule](), []
    for _ in range(weeks):
        product = product_of(shop, seed)
        prices, standing = decide(product, standing)
        standing = standing._replace(account=opened)
        tested += [bool(standing.orders)] * WEEK
        if shop.averages:  # the file does not show the posted price, which a kept one leaves as it is
            prices = np.where(prices == product.current_price, (shop.charged or [shop.first])[-1], prices)
        shop.sell(prices)
    gain, kept = shop.gains()
    only = np.where(tested, shop.charged, shop.first)
    cost = shop.profit(np.full((1, len(only)), shop.first)) - shop.profit(only[None])
    return {
        "rule": rule,
        "gain": gain / kept,
        "kept": kept,
        "last": shop.charged[-1] / shop.first,
        "tested": any(tested),
        "cost": float(cost[0]) / kept * len(only) / DAYS_PER_QUARTER,
    }


def summarise(table: pd.DataFrame, by: list[str]) -> str:
    """Return a line per group: share of the attainable gain, harmed sellers and tests, in percent."""
    groups = table.assign(net=net_of(table)).groupby(by, sort=False)
    found = {
        "share": groups["gain"].sum() / groups["best"].sum(),
        "net": groups["net"].sum() / groups["best"].sum(),
        "harmed": groups["gain"].apply(lambda gain: (gain < -HARM).mean()),
        "tested": groups["tested"].mean(),
        "cost": groups["cost"].mean(),
    }
    return (100 * pd.DataFrame(found)).assign(sellers=groups.size()).round(2).to_string()


def net_of(table: pd.DataFrame) -> pd.Series:
    """Return the gain of each seller, losses beyond `HARM` counted `NET_WEIGHT` more times."""
    return table["gain"] - NET_WEIGHT * (-table["gain"] - HARM).clip(lower=0)


def main() -> None:
    options = read_options(
        __doc__,
        sellers=Option(96, "a multiple of the number of kinds"),
        first=Option(0, "number of the first seller"),
        units=[8.0, 50.0],
        weeks=13,
        days=Option(130, "days of history"),
        kinds=Option([*KINDS], choices=KINDS),
        rules=Option(["gate", "account"], choices=RULES),
    )
    compute_alone()
    rows = []
    for units in options.units:
        for number in range(options.first, options.first + options.sellers):
            kind, seed = options.kinds[number % len(options.kinds)], 5000 + number
            shop = open_shop(kind, units, seed, options.days, WEEK * options.weeks)
            best = attainable(shop, WEEK * options.weeks, seed)
            for rule in options.rules:
                found = play(copy.deepcopy(shop), seed, options.weeks, rule)
                rows.append({"units": units, "kind": kind, "seed": seed, **found, "best": best / found["kept"]})
                print(*rows[-1].values(), flush=True)
    table = pd.DataFrame(rows)
    for by in (["units", "rule"], ["units", "kind", "rule"]):
        print(summarise(table, by), "\n")


if __name__ == "__main__":
    main()
