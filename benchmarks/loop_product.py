"""The whole product in a weekly loop, on simulated sellers who follow its advice.

    python benchmarks/loop_product.py --sellers 96 --units 8 50 --weeks 13 --rules account

Each week the sales of the last one are added to the file, which is read, cleaned and fitted anew; the planner proposes,
and the decision with its gates, account and guardrails sets the price of the next week. `share` is the true gain over
keeping the first price as a percentage of the gain of the best constant target, chosen with knowledge of demand; `net`
is the same with losses beyond 1 % counted four times; `harmed` sellers end more than 1 % below keeping. The demand
level drifts by 2 % a week. `loop_kinds.py` lists the kinds of sellers, which take turns.

The rules `tests` start the price test with the largest net value if it pays, at the latest in the fourth week, and end
it early once its rest has none; its days count as own days. `tested` sellers have one, `cost` is what its days lost
against the first price, in percent of what keeping earns in a quarter. `sd_least` is the smallest sd of the elasticity
that the prices charged could leave. The last tables show the sd after each week, which should fall, and how many
sellers know more at the end than at the start; and whether more units bring a larger gain.
"""

from __future__ import annotations

import argparse
import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import torch
from loop_kinds import KINDS
from loop_sellers import LEVEL_SD, Shop, open_shop

from pricerl.arrays import FloatArray, limits_of
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
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.pricing_rules import candidate_prices
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import elasticity_at
from pricerl.experiments.plan import Budget, make_order, plan_schedule, remaining_value
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute

HARM = 0.01
NET_WEIGHT = 3
"""How much more losses beyond ``HARM`` count."""
LAST_START = 4 * WEEK
"""Days within which a test may begin."""
STEP_DISCOUNT = 0.97**3
SD_AFTER = "sd_after_"
"""Begin of the columns of the elasticity's sd after so many weeks."""


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


def product_rule(config: DecisionConfig, accounts: bool) -> Decide:
    """Return the product's decision, with the account of the quarter or with a new one each week."""

    def propose(product: Product, horizon: int) -> Proposed:
        return Proposed("planner", plan_paths(plan_dynamically(product.dynamics, STEP_DISCOUNT), horizon)[0])

    def decide(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
        known = standing if accounts else standing._replace(account=None)
        course = decide_price(Case(product, propose, config, 2 * WEEK, known))
        return np.asarray(course.prices[:WEEK]), standing

    return decide


def tests_rule(config: DecisionConfig, test_change: float | None = None) -> Decide:
    """Return the product's decision with accounts, which may begin with a price test, for one seller."""
    follow = product_rule(config, True)
    started: list[dict[str, Any]] = []

    def decide(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
        first = product.first_day
        opened = first if standing.account is None else date.fromisoformat(standing.account.opened)
        if not started and (first - opened).days < LAST_START:
            limits = GuardrailConfig(test_change=test_change)
            guarded = Product(Dynamics(product.market, RewardConfig(), limits), product.index)
            planned, schedule = plan_schedule(guarded, None, Budget(), seed=0, config=config)
            if planned is not None and schedule:
                started.append(make_order(planned, schedule, guarded, 0))
                days = tuple((row["date"], row["price"]) for row in schedule)
                until, price = schedule[-1]["date"], planned.test.regular_price
                order = Order(1, "price_test", price, until, "", "", "active", schedule=days)
                standing = standing._replace(orders=(order,))
        if standing.orders:
            passed = (first - date.fromisoformat(started[0]["first_day"])).days
            ended = passed >= len(started[0]["schedule"])
            if ended or (passed > 0 and remaining_value(product, started[0], passed, config) < 0):
                standing = standing._replace(orders=())
        return follow(product, standing)

    return decide


def greedy(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
    (path,) = plan_paths(plan_dynamically(product.dynamics, STEP_DISCOUNT), WEEK)
    return path.price.double().numpy(), standing


def attainable(shop: Shop, days: int, seed: int) -> float:
    """Return the gain of the best constant target within reach, for one who knows demand on every day of the loop."""
    product = product_of(shop, seed)
    now = product.current_price
    targets = torch.cat([candidate_prices(product)[::4], torch.tensor([now])])
    total = shop.profit(shop.first / now * approach_prices(targets, product, days).double().numpy())
    return float(total.max() - total[-1])


RULES: dict[str, Callable[[], Decide]] = {
    "gate": lambda: product_rule(DecisionConfig(), False),
    "account": lambda: product_rule(DecisionConfig(), True),
    "tests": lambda: tests_rule(DecisionConfig()),
    "tests 10 %": lambda: tests_rule(DecisionConfig(), 0.10),
    "greedy": lambda: greedy,
}
"""Functions that make a rule for one seller, by name."""


def elasticity_sd(product: Product) -> float:
    """Return the sd of the elasticity around the current price over the posterior draws."""
    return float(elasticity_at(product.fitted, product.current_price).std())


def covers(product: Product, shop: Shop) -> bool:
    """Return whether the 90 % interval of the elasticity around the current price holds the true one."""
    price = product.current_price
    low, high = limits_of(elasticity_at(product.fitted, price))
    return bool(low <= shop.elasticity_at(price) <= high)


def least_sd(shop: Shop, sd: float) -> float:
    """Return the sd that the charged prices leave of an elasticity with ``sd`` before, if all but the level is known.

    A Kalman filter of log level and elasticity; the level begins as it would be known at a constant price.
    """
    noise = 1 / shop.truth["parameters"]["units"] + 1 / shop.size
    drift = LEVEL_SD**2 / WEEK
    covariance = np.diag([(drift + math.sqrt(drift**2 + 4 * drift * noise)) / 2, sd**2])
    for x in np.log(np.array(shop.charged) / shop.first):
        covariance[0, 0] += drift
        seen = covariance @ np.array([1.0, x])
        covariance -= np.outer(seen, seen) / (seen[0] + x * seen[1] + noise)
    return math.sqrt(covariance[1, 1])


def play(shop: Shop, seed: int, weeks: int, rule: str) -> dict[str, Any]:
    """Follow a rule for some weeks; return gain and whether the last interval of the elasticity covers the truth."""
    standing, opened = FIRST, Account(str(shop.frame[columns.REPORT_DATE].iloc[-1]), shop.first)
    decide, tested, sds = RULES[rule](), [], []
    for _ in range(weeks):
        product = product_of(shop, seed)
        sds.append(elasticity_sd(product))
        prices, standing = decide(product, standing)
        standing = standing._replace(account=opened)
        tested += [bool(standing.orders)] * WEEK
        if shop.averages:  # the file does not show the posted price, which a kept one leaves as it is
            prices = np.where(prices == product.current_price, (shop.charged or [shop.first])[-1], prices)
        shop.sell(prices)
    gain, kept = shop.gains()
    product = product_of(shop, seed)
    sds.append(elasticity_sd(product))
    only = np.where(tested, shop.charged, shop.first)
    cost = shop.profit(np.full((1, len(only)), shop.first)) - shop.profit(only[None])
    return {
        "rule": rule.replace(" ", "_"),
        "gain": gain / kept,
        "kept": kept,
        "last": shop.charged[-1] / shop.first,
        "covered": covers(product, shop),
        "tested": any(tested),
        "cost": float(cost[0]) / kept * len(only) / DAYS_PER_QUARTER,
        "sd_least": least_sd(shop, sds[0]),
        **{f"{SD_AFTER}{week}": sd for week, sd in enumerate(sds)},
    }


def summarise(table: pd.DataFrame, by: list[str]) -> str:
    """Return a line per group: share of the attainable gain, harmed sellers, coverage, in percent."""
    groups = table.assign(net=net_of(table)).groupby(by, sort=False)
    found = {
        "share": 100 * groups["gain"].sum() / groups["best"].sum(),
        "net": 100 * groups["net"].sum() / groups["best"].sum(),
        "harmed": 100 * groups["gain"].apply(lambda gain: (gain < -HARM).mean()),
        "covered": 100 * groups["covered"].mean(),
        "tested": 100 * groups["tested"].mean(),
        "cost": 100 * groups["cost"].mean(),
        "sd_least": groups["sd_least"].mean(),
        "sellers": groups.size(),
    }
    return pd.DataFrame(found).round(2).to_string()


def follow_sd(table: pd.DataFrame) -> str:
    """Return a line per volume and rule: the mean sd after each week, and sellers whose sd is smaller at the end."""
    sds = table.filter(like=SD_AFTER)
    groups = table.assign(fell=100.0 * (sds.iloc[:, -1] < sds.iloc[:, 0])).groupby(["units", "rule"], sort=False)
    return groups[[*sds.columns, "fell"]].mean().round(2).to_string()


def compare_volumes(table: pd.DataFrame) -> str:
    """Return the net share by rule and volume, and whether more units bring at least as much."""
    table = table.assign(net=net_of(table))
    sums = table.groupby(["rule", "units"], sort=False)[["net", "best"]].sum().sort_index()
    share = (100 * sums["net"] / sums["best"]).unstack()
    return share.assign(rises=(share.diff(axis=1).iloc[:, 1:] >= 0).all(axis=1)).round(1).to_string()


def net_of(table: pd.DataFrame) -> pd.Series:
    """Return the gain of each seller, losses beyond `HARM` counted `NET_WEIGHT` more times."""
    return table["gain"] - NET_WEIGHT * (-table["gain"] - HARM).clip(lower=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sellers", type=int, default=96, help="a multiple of the number of kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first seller")
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0])
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--days", type=int, default=130)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--rules", nargs="+", default=["gate", "account"], choices=list(RULES))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    rows = []
    for units in options.units:
        for number in range(options.first, options.first + options.sellers):
            kind, seed = options.kinds[number % len(options.kinds)], 5000 + number
            shop = open_shop(kind, units, seed, options.days, WEEK * options.weeks)
            best = attainable(shop, WEEK * options.weeks, seed)
            for rule in options.rules:
                found = play(copy.deepcopy(shop), seed, options.weeks, rule)
                about = {"units": units, "kind": kind, "seed": seed}
                rows.append({**about, **found, "best": best / found["kept"]})
                print(*rows[-1].values(), flush=True)
    table = pd.DataFrame(rows)
    for by in (["units", "rule"], ["units", "kind", "rule"]):
        print(summarise(table, by), "\n")
    print(follow_sd(table), compare_volumes(table), sep="\n\n")


if __name__ == "__main__":
    main()
