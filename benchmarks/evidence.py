"""Card of evidence on sellers with known demand: false alarms where nothing hides it, and harm that the card prevents.

Run from the repository root::

    python benchmarks/evidence.py run --shops 15
    python benchmarks/evidence.py table

A seller is harmed if the advice, by the planner and with the preset ``profit``, earns more than 1 % less than keeping
the price. ``run`` decides every seller with and without the card and writes ``checkpoints/evidence.csv``. Thresholds
were chosen on other seeds: those from 20,000 on, and 0 to 19 of each kind.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from shops.pricebench import HORIZON, Cell, PathRule, ShopPath, ShopSet, open_shop_set, price_shop_set

from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import plan_paths
from pricerl.env.product import Product
from pricerl.evaluation.card.evidence_card import CardLine
from pricerl.evaluation.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.evaluation.pricing_rules import HARM, Candidates
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute
from pricerl.sac.config import SACConfig

ROWS = Path(__file__).resolve().parent.parent / "checkpoints" / "evidence.csv"
CLEAN = ("constant", "linear", "exponential", "logit", "kinked", "optimal", "closed", "thin", "competitor")
"""Kinds whose files hide nothing that moves demand."""
CONFOUNDED = ("ads", "late_stockouts", "two_competitors", "seasonal", "repricer", "averages", "stockpiling", "jump")
APART = 1000
"""Distance of the seeds of two kinds, whose prices and noise would otherwise be the same."""
DAYS = (130, 365)
UNITS = (5.5, 50.0)


def judge(shop_set: ShopSet) -> Iterator[dict[str, Any]]:
    """Yield the card's verdicts on every seller of a set, and the gain of the advice with and without it."""
    cards: dict[int, tuple[CardLine, ...]] = {}
    plans: list[DynamicPlan] = []

    def decided(asks: bool) -> PathRule:
        def follow(product: Product, candidates: Candidates) -> ShopPath:
            if not plans:
                plans.append(plan_dynamically(product.dynamics, SACConfig().gamma ** product.dynamics.days_per_step))
            own = Proposed("planner", plan_paths(plans[0], HORIZON)[product.index])
            case = Case(product, lambda *asked: own, DecisionConfig(), HORIZON)
            if asks:
                cards[product.index] = case.card
            else:
                vars(case)["card"] = ()
            course = decide_price(case)
            return ShopPath(course.path.price.double().numpy(), course.decision.grade == "B")

        return follow

    rows = list(price_shop_set(shop_set, {"without": decided(False), "with": decided(True)}, RewardConfig("profit")))
    for index, (without, with_card) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        gains = {"gain": without["gain"], "gain_with": with_card["gain"], "best_gain": without["best_gain"]}
        kept = {name: without[name] for name in ("truth", "days", "units", "seed", "keep")}
        yield {**kept, **gains, **{line.question: line.verdict for line in cards[index]}}


def run(options: argparse.Namespace) -> None:
    """Judge the sellers, a set per cell, and print the tables."""
    warnings.simplefilter("ignore")
    claim_compute(1)
    rows: list[dict[str, Any]] = []
    options.out.parent.mkdir(exist_ok=True)
    kinds = (*CLEAN, *CONFOUNDED)
    for first in range(options.first, options.first + options.shops, 5):  # all cells have as many sellers at any time
        for truth, days, units in itertools.product(options.truths, DAYS, UNITS):
            start = APART * kinds.index(truth)
            seeds = range(start + first, start + min(first + 5, options.first + options.shops))
            rows += judge(open_shop_set([(Cell(truth, days, units), seed) for seed in seeds], DemandConfig()))
        pd.DataFrame(rows).to_csv(options.out, index=False)
    table(options)


def table(options: argparse.Namespace) -> None:
    """Print the share of FAIL per line, and of the harmed sellers those that a FAIL catches."""
    rows = pd.read_csv(options.out)
    lines = list(rows.columns[rows.columns.get_loc("best_gain") + 1 :])
    failed = (rows[lines] == "FAIL").assign(any=(rows[lines] == "FAIL").any(axis=1))
    group = rows["truth"].where(~rows["truth"].isin(CLEAN), "clean")
    print("FAIL, % of the sellers")
    print((100 * failed.groupby([rows["days"], rows["units"], group]).mean()).round(1).to_string(), "\n")
    harmed, harmed_with = (rows[name] < -HARM * rows["keep"].abs() for name in ("gain", "gain_with"))
    found = pd.DataFrame({"sellers": 1, "harmed": harmed, "caught": harmed & failed["any"], "harmed_with": harmed_with})
    found = found.astype(int).assign(gain=rows["gain"], gain_with=rows["gain_with"], best_gain=rows["best_gain"])
    sums = found.groupby(group).sum()
    shares = {f"share_{name}": (100 * sums[name] / sums["best_gain"]).round(1) for name in ("gain", "gain_with")}
    print("Sellers harmed by the advice, those of them with a FAIL, harmed with the card, % of the attainable gain")
    print(sums[["sellers", "harmed", "caught", "harmed_with"]].assign(**shares).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="judge sellers and print the tables")
    running.add_argument("--shops", type=int, default=15, help="sellers per kind, days and units")
    running.add_argument("--first", type=int, default=100, help="seed of the first, apart from its kind")
    running.add_argument("--truths", nargs="+", default=(*CLEAN, *CONFOUNDED), choices=(*CLEAN, *CONFOUNDED))
    showing = commands.add_parser("table", help="print the tables of the sellers judged so far")
    for command in (running, showing):
        command.add_argument("--out", type=Path, default=ROWS, help="file of the rows")
    options = parser.parse_args()
    (run if options.command == "run" else table)(options)


if __name__ == "__main__":
    main()
