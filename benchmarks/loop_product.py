"""The whole product in a weekly loop, on simulated sellers who follow its advice.

    python benchmarks/loop_product.py --sellers 100 --units 8 50 --weeks 13

Each week the sales of the last one are added to the file, which is read, cleaned and fitted anew; the planner proposes,
and the decision with its gates, account and guardrails sets the price of the next week. `share` is the true gain over
keeping the first price as a percentage of the gain of the best constant target, chosen with knowledge of demand;
`harmed` sellers end more than 1 % below keeping. The demand level drifts by 2 % a week. `loop_kinds.py` lists the
kinds of sellers, which take turns.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from loop_kinds import KINDS
from loop_sellers import Shop, open_shop

from pricerl.arrays import FloatArray, limits_of
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import plan_paths
from pricerl.decide.standing import FIRST, Account, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.pricing_rules import candidate_prices
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import elasticity_at
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute

HARM = 0.01
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


def product_rule(config: DecisionConfig, accounts: bool) -> Decide:
    """Return the product's decision, with accounts from the second week on or with the gate of the first each week.

    The first advice keeps to the default loss budget, so that rules differ in their accounts only.
    """
    first = replace(config, loss_budget=DecisionConfig().loss_budget)

    def propose(product: Product, horizon: int) -> Proposed:
        return Proposed("planner", plan_paths(plan_dynamically(product.dynamics, STEP_DISCOUNT), [0], horizon)[0])

    def decide(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
        end = product.history.dates[-1].astype("datetime64[D]")
        known = standing if accounts else standing._replace(account=None)
        settings = first if known.account is None else config
        course = decide_price(Case(product, propose, settings, 2 * WEEK, known, seed=int(end.astype(int))))
        drawn = [part.prices for part in course.drawn if np.datetime64(part.date) <= end + WEEK]
        return np.asarray(course.prices[:WEEK]), standing._replace(varied=drawn[-1] if drawn else standing.varied)

    return decide


def greedy(product: Product, standing: Standing) -> tuple[FloatArray, Standing]:
    (path,) = plan_paths(plan_dynamically(product.dynamics, STEP_DISCOUNT), [0], WEEK)
    return path.price.double().numpy(), standing


def attainable(shop: Shop, days: int, seed: int) -> float:
    """Return the gain of the best constant target within reach, for one who knows demand on every day of the loop."""
    product = product_of(shop, seed)
    now = product.current_price
    targets = torch.cat([candidate_prices(product)[::4], torch.tensor([now])])
    total = shop.profit(shop.first / now * approach_prices(targets, product, days).double().numpy())
    return float(total.max() - total[-1])


RULES: dict[str, Decide] = {
    "gate": product_rule(DecisionConfig(), False),
    "account": product_rule(DecisionConfig(), True),
    "account x6": product_rule(DecisionConfig(loss_weight=6, loss_budget=0.02), True),
    "account x4": product_rule(DecisionConfig(loss_weight=4, loss_budget=0.02), True),
    "account, random 2 %": product_rule(DecisionConfig(explore_share=0.02), True),
    "greedy": greedy,
}


def covers(product: Product, shop: Shop) -> bool:
    """Return whether the 90 % interval of the elasticity around the current price holds the true one."""
    price = product.current_price
    low, high = limits_of(elasticity_at(product.fitted, price))
    return bool(low <= shop.elasticity_at(price) <= high)


def play(shop: Shop, seed: int, weeks: int, rule: str) -> dict[str, Any]:
    """Follow a rule for some weeks; return gain and whether the last interval of the elasticity covers the truth."""
    standing, opened = FIRST, Account(str(shop.frame[columns.REPORT_DATE].iloc[-1]), shop.first)
    for _ in range(weeks):
        product = product_of(shop, seed)
        prices, standing = RULES[rule](product, standing)
        standing = standing._replace(account=opened)
        if shop.averages:  # the file does not show the posted price, which a kept one leaves as it is
            prices = np.where(prices == product.current_price, (shop.charged or [shop.first])[-1], prices)
        shop.sell(prices)
    gain, kept = shop.gains()
    return {
        "rule": rule.replace(" ", "_"),
        "gain": gain / kept,
        "kept": kept,
        "last": shop.charged[-1] / shop.first,
        "covered": covers(product_of(shop, seed), shop),
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
        print(summarise(table, by))


if __name__ == "__main__":
    main()
