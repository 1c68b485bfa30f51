"""PriceBench: all rules and SAC on simulated shops with known demand.

Run from the repository root::

    python benchmarks/pricebench.py run --shops 100 --processes 2
    python benchmarks/pricebench.py run --quick
    python benchmarks/pricebench.py table

A cell is a truth, a number of days and a number of daily units; shop ``n`` of a cell is the seller that ``pricerl
simulate --seed n`` writes. For each number of days and units SAC trains one policy, which prices the shops of all
truths: each row of the vector env is a shop in one posterior draw of its market. Observations describe the market, but
not the truth. ``SAC`` is the price at which that policy settles, ``SAC, decided`` the price after the decision layer:
the policy's price if its gain is probable enough, else the lower bound, and the current price if zero-sales days
suggest stock-outs.

``run`` prices the shops that ``checkpoints/pricebench.csv`` does not contain, so it resumes an interrupted run.
``--quick`` takes 130 days only, and 10 shops per cell.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from price_training import train_policy
from rich.progress import track
from torch import Tensor

from pricerl.advice import DecisionConfig
from pricerl.data import unlikely_zeros
from pricerl.env import EnvConfig, State
from pricerl.evaluation import roll_out
from pricerl.evaluation.pricebench import (
    DAYS,
    TRUTHS,
    UNITS,
    Cell,
    ShopSet,
    open_shop_set,
    price_shop_set,
    summarise,
)
from pricerl.evaluation.pricing_rules import GATE, RULES, Rule, Shop, lower_bound
from pricerl.market import DEMAND_MODELS, RewardConfig
from pricerl.runtime import claim_compute
from pricerl.sac import NetworkConfig
from pricerl.training.pricing_data import PricingDataModule

ROWS = Path(__file__).resolve().parent.parent / "checkpoints" / "pricebench.csv"
KEY = ["truth", "days", "units", "seed", "demand"]
SHOWN = ("constant", "linear", "logit", "kinked", "optimal")
"""Truths without an unobserved confounder."""
SAC, DECIDED = "SAC", "SAC, decided"
BY_TRUTH = ["keep the price", "best past price", "planner, profit alone", "lower bound", SAC, DECIDED]
QUICK_DAYS, QUICK_SHOPS = 130, 10

UPDATES = 2000
NETWORK = NetworkConfig(hidden=(128, 128))
NUM_ENVS = 128
"""Rows of the vector env, each a shop in one posterior draw of its market."""
SETTLING_DAYS = 120
"""Days for the price to settle, as the guardrails allow at most 10 % within a week."""


def work(job: tuple[list[tuple[Cell, int]], str]) -> list[dict[str, Any]]:
    """Price one set of shops with one torch thread, as all processes share the cores."""
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    claim_compute(1)
    began = time.perf_counter()
    shop_set = open_shop_set(*job)
    rows = list(price_shop_set(shop_set, {**RULES, **learned_rules(shop_set)}))
    seconds = (time.perf_counter() - began) / len(shop_set.addresses)
    return [{**row, "seconds": round(seconds, 3)} for row in rows]


def learned_rules(shop_set: ShopSet) -> dict[str, Rule]:
    """Train one policy for a set of shops; return its settled prices as rules, before and after the decision."""
    data = PricingDataModule(reward=RewardConfig("profit"), env=EnvConfig(describe=True), num_envs=NUM_ENVS)
    data.preprocessor, data.market = shop_set.market.preprocessor, shop_set.market
    module, dynamics = train_policy(data, UPDATES, network=NETWORK), data.dynamics

    def choose(state: State) -> Tensor:
        return dynamics.decide(state, module.policy(state.observation)[:, 0])

    product, index = dynamics.history.latest()
    state = dynamics.start(product, index, torch.full_like(product, shop_set.market.mean_draw))
    settled = roll_out(choose, dynamics, state, SETTLING_DAYS).price[:, -1].tolist()
    names = [item.product for item in shop_set.market.preprocessor.products]
    price_of = dict(zip(names, settled, strict=True))

    def follow(shop: Shop) -> float:
        return price_of[shop.history.product]

    def decide(shop: Shop) -> float:
        zeros = unlikely_zeros(shop.history)
        if zeros is not None and zeros.share > DecisionConfig().max_unlikely_zeros:
            return shop.current_price
        return follow(shop) if shop.probability_better(follow(shop)) >= GATE else lower_bound(shop)

    return {SAC: follow, DECIDED: decide}


def run(options: argparse.Namespace) -> None:
    """Price the missing shops and append their rows, one set of shops at a time."""
    done = set() if not ROWS.exists() else set(pd.read_csv(ROWS)[KEY].itertuples(index=False, name=None))
    jobs = []
    for days, units, demand in itertools.product(options.days, options.units, options.demand):
        if options.quick and days != QUICK_DAYS:
            continue
        cells = [Cell(truth, days, units) for truth in options.truths]
        seeds = range(QUICK_SHOPS if options.quick else options.shops)
        wanted = itertools.product(cells, seeds)
        missing = [(cell, seed) for cell, seed in wanted if (cell.truth, days, units, seed, demand) not in done]
        if missing:
            jobs.append((missing, demand))
    ROWS.parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(options.processes) as pool, ROWS.open("a", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for rows in track(pool.map(work, jobs), "sets of shops", len(jobs)):
            if writer is None:
                writer = csv.DictWriter(file, list(rows[0]))
                if file.tell() == 0:
                    writer.writeheader()
            writer.writerows(rows)
            file.flush()


def table(options: argparse.Namespace) -> None:
    """Print two tables: all rules over the unconfounded truths, and some rules for each truth."""
    rows = pd.read_csv(ROWS)
    rows = rows[rows["demand"] == options.demand]
    shown = rows[rows["truth"].isin(SHOWN)].assign(truth="shown")
    print("Share of the oracle's profit (shops harmed: more than 1 % below keeping), percent; " + ", ".join(SHOWN))
    print(
        _pivot(summarise(shown), list(dict.fromkeys(rows["rule"])))
        .droplevel("truth")
        .reset_index()
        .to_string(index=False)
    )
    lines = summarise(rows)
    bound = lines.xs("lower bound", level="rule").droplevel("demand")
    columns = bound[["cover", "moved", "claims", "stand", "true"]]
    checks = columns.map(lambda value: "-" if pd.isna(value) else f"{value:.0f}")
    print("\nThe same by truth; of the lower bound: intervals that cover the truth, moves, claims, and of these")
    print("those that a confounder like the strongest observed covariate would not overturn, and those that are true")
    print(_pivot(lines, options.rules).join(checks).reset_index().to_string(index=False))


def _pivot(lines: pd.DataFrame, rules: list[str]) -> pd.DataFrame:
    """Return one row per cell and one column per rule."""
    cells = lines["oracle"].map("{:.1f}".format) + " (" + lines["harmed"].map("{:.0f}".format) + ")"
    return cells.droplevel("demand").unstack("rule", sort=False)[rules]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="price the missing shops")
    running.add_argument("--shops", type=int, default=200, help="shops per cell")
    running.add_argument("--processes", type=int, default=1, help="at most the idle cores")
    running.add_argument("--quick", action="store_true", help=f"{QUICK_DAYS} days only, {QUICK_SHOPS} shops per cell")
    running.add_argument("--truths", nargs="+", default=TRUTHS, choices=TRUTHS)
    running.add_argument("--days", nargs="+", type=int, default=DAYS, choices=DAYS)
    running.add_argument("--units", nargs="+", type=float, default=UNITS, choices=UNITS)
    running.add_argument("--demand", nargs="+", default=["mixture"], choices=DEMAND_MODELS)
    showing = commands.add_parser("table", help="print the tables of the shops priced so far")
    showing.add_argument("--demand", default="mixture", choices=DEMAND_MODELS)
    showing.add_argument("--rules", nargs="+", default=BY_TRUTH, help="in the table by truth")
    options = parser.parse_args()
    (run if options.command == "run" else table)(options)


if __name__ == "__main__":
    main()
