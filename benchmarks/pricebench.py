"""PriceBench: the advice and other rules on simulated shops with known demand.

    python benchmarks/pricebench.py run --rules advice --no-sac --days 130 --units 5.5 50 --tuning
    python benchmarks/pricebench.py run --processes 2
    python benchmarks/pricebench.py run --twins --rules advice --no-sac --days 130 --out checkpoints/twins.csv
    python benchmarks/pricebench.py table

A cell is a truth, a number of days and a number of daily units; shop ``n`` of a cell is `shops.sellers.ShopConfig` with
seed ``n``. Seeds from 10,000 on (``--tuning``) are for choosing settings, lower ones for reporting.

``planner`` is the path to the best constant price for the objective, ``advice`` the product's decision on it. With
``--sac`` one policy per number of days and units is trained on the shops of all truths, each row of the vector env
being a shop in one posterior draw of its market: ``SAC`` is its path, ``SAC, decided`` the product's decision on it.
Observations describe the market, but not the truth. Rivals are those in ``rivals.py``.

With ``--twins`` every kind of seller that hides something comes in pairs: a shop, and its twin with the same prices and
noise whose demand ignores the cause. What the cause costs is the excess of the shop's errors over its twin's.

``run`` writes ``checkpoints/pricebench.csv``, or with ``--resume`` adds the shops that it lacks, and prints the
tables. ``--store docs/pricebench.csv`` keeps the advice by truth, which docs/evidence.md shows.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from price_training import train_policy
from rich.progress import track
from rivals import BAYESIAN, NAMES, missing_packages, rival_rules
from runner import RUNS, Option, append_rows, compute_alone, keys_in, read_options
from shops.pricebench import (
    CLEAN,
    DAYS,
    HORIZON,
    PLAIN_TRUTHS,
    TRUTHS,
    TWINNED,
    UNITS,
    Cell,
    PathRule,
    ShopPath,
    ShopSet,
    approach,
    compare_twins,
    open_shop_set,
    price_shop_set,
    summarise,
)

from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import PricePath, plan_paths, propose_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import RULES, Candidates, best_for_objective
from pricerl.evaluation.rule_names import KEEP
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.planner.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.pricing_data import PricingDataModule

KEY = ["truth", "days", "units", "seed"]
TUNING_SEEDS = 10_000
"""First seed of the shops for choosing settings."""
SHOPS = 30
"""Shops per cell: fewer leave a standard error of the share of more than ten points."""

ADVICE, PLANNER, SAC, DECIDED = "advice", "planner", "SAC", "SAC, decided"
QUICK = (KEEP, PLANNER, "lower bound", ADVICE)
TWINS = tuple(f"{kind}{end}" for kind in TWINNED for end in ("", CLEAN))
KNOWN = tuple(dict.fromkeys((KEEP, *RULES, *NAMES, PLANNER, ADVICE)))
"""Rules that need no training."""
BY_TRUTH = (PLANNER, "lower bound", ADVICE, SAC, DECIDED, BAYESIAN)

LEGEND = """Over 14 days, percent; {shops} shops per cell, {seconds:.2f} s per shop.
share, se: sum of the gains over the sum of the best gains under the guardrails, in shares of revenue; standard error
gain: over keeping the price; harmed: shops more than 1 % below it; moved; wrong: moved away from the best path
claims, true: changes of grade B, and the share that gained; cover: 90 % intervals of a 5 % step that cover the truth
oracle: profit over the profit at the optimal price from the first day on; up: shops whose best path leads up
"""

TWIN_LEGEND = """Kinds of sellers and their clean twins, percent: same prices and noise, but demand ignores the cause
elasticity: absolute log error at the current price; response: error of the predicted demand after a change of 10 %
excess: by how much the error exceeds the clean twin's, with standard error; at most 20 is the goal
"""

UPDATES = 2000
NETWORK = NetworkConfig(hidden=(128, 128))
NUM_ENVS = 128
"""Rows of the vector env, each a shop in one posterior draw of its market."""


@dataclass(frozen=True)
class Job:
    """One set of shops with the rules to price it by."""

    addresses: tuple[tuple[Cell, int], ...]
    rules: tuple[str, ...]
    sac: bool
    demand: DemandConfig
    reward: RewardConfig


def work(job: Job) -> list[dict[str, Any]]:
    """Price one set of shops with one torch thread, as all processes share the cores."""
    compute_alone()
    began = time.perf_counter()
    shop_set = open_shop_set(job.addresses, job.demand)
    named = {KEEP: lambda shop: shop.current_price, **RULES, PLANNER: best_for_objective}
    known = {name: approach(rule) for name, rule in named.items()}
    known[ADVICE] = decided(follow_plan())
    known |= rival_rules(shop_set.truths)
    rules = {name: known[name] for name in job.rules if name in known}
    if job.sac:
        rules |= learned_rules(shop_set, job.reward)
    rows = list(price_shop_set(shop_set, rules, job.reward))
    seconds = (time.perf_counter() - began) / len(shop_set.addresses)
    return [{**row, "seconds": round(seconds, 3)} for row in rows]


def decided(propose: Callable[[Product], PricePath]) -> PathRule:
    """Return the product's decision on the path that a policy proposes."""

    def follow(product: Product, candidates: Candidates) -> ShopPath:
        own = Proposed("policy", propose(product))
        course = decide_price(Case(product, lambda *asked: own, DecisionConfig(), HORIZON))
        grade = course.decision.grade
        return ShopPath(course.path.price.double().numpy(), grade == "B", grade)

    return follow


def follow_plan() -> Callable[[Product], PricePath]:
    """Return the proposal of the product's planner, which plans all shops of a set at once."""

    @cache
    def plan(dynamics: Dynamics) -> DynamicPlan:
        return plan_dynamically(dynamics, SACConfig().gamma ** dynamics.days_per_step)

    return lambda product: plan_paths(plan(product.dynamics), HORIZON)[product.index]


def learned_rules(shop_set: ShopSet, reward: RewardConfig) -> dict[str, PathRule]:
    """Train one policy for a set of shops; return its paths as rules, before and after the decision."""
    data = PricingDataModule(reward=reward, env=EnvConfig(describe=True), num_envs=NUM_ENVS)
    data.preprocessor, data.market = shop_set.market.preprocessor, shop_set.market
    module, own = train_policy(data, UPDATES, NETWORK), data.dynamics

    def propose(product: Product) -> PricePath:
        return propose_path(module.policy, Product(own, product.index), HORIZON)

    def follow(product: Product, candidates: Candidates) -> ShopPath:
        return ShopPath(propose(product).price.double().numpy(), False)

    return {SAC: follow, DECIDED: decided(propose)}


def run(options: argparse.Namespace) -> None:
    """Price the shops, one set at a time, and print the tables."""
    if not options.resume:
        options.out.unlink(missing_ok=True)
    done = keys_in(options.out, KEY)
    rules = tuple(KNOWN) if "all" in options.rules else tuple(dict.fromkeys((*QUICK, *options.rules)))
    for name, package in missing_packages().items():
        if name in rules:
            print(f"{name} is left out: {package} is not installed (pip install -e .[bench])")
    first = TUNING_SEEDS if options.tuning else 0
    jobs = []
    for days, units in itertools.product(options.days, options.units):
        cells = [Cell(truth, days, units) for truth in (TWINS if options.twins else options.truths)]
        for members in [cells] if options.sac else [[cell] for cell in cells]:
            wanted = itertools.product(members, range(first, first + options.shops))
            missing = tuple((cell, seed) for cell, seed in wanted if (*cell, seed) not in done)
            if missing:
                jobs.append(Job(missing, rules, options.sac, DemandConfig(), RewardConfig(options.preset)))
    with ProcessPoolExecutor(options.processes) as pool:
        found = track(pool.map(work, jobs), "sets of shops", len(jobs))
        append_rows(options.out, itertools.chain.from_iterable(found))
    table(options)


def table(options: argparse.Namespace) -> None:
    """Print two tables: all rules over the plain truths, and some rules for each truth."""
    rows = pd.read_csv(options.out)
    if options.store:
        summarise(rows[rows["rule"] == ADVICE]).round(3).to_csv(options.store)
    print(LEGEND.format(shops=rows["seed"].nunique(), seconds=rows["seconds"].mean()))
    plain = rows[rows["truth"].isin(PLAIN_TRUTHS)]
    if len(plain):
        print(f"Plain truths: {', '.join(dict.fromkeys(plain['truth']))}")
        print(_show(summarise(plain, ("days", "units", "rule"))), "\n")
    print("By truth")
    print(_show(summarise(rows[rows["rule"].isin(BY_TRUTH)])))
    if rows["truth"].str.endswith(CLEAN).any():
        advised = rows[rows["rule"] == ADVICE]
        print("", TWIN_LEGEND, _show(compare_twins(advised)), "", _show(compare_twins(advised, ["days"])), sep="\n")


def _show(lines: pd.DataFrame) -> str:
    return str(lines.reset_index().to_string(index=False, na_rep="-", float_format="{:.2f}".format))


def main() -> None:
    options = read_options(
        __doc__,
        commands=("run", "table"),
        shops=Option(SHOPS, "shops per cell"),
        processes=Option(1, "at most the idle cores"),
        truths=Option([*TRUTHS], choices=TRUTHS),
        twins=Option(False, "kinds of sellers and their clean twins, not --truths"),
        days=Option([*DAYS], choices=DAYS),
        units=Option([*UNITS], choices=UNITS),
        rules=Option(["all"], choices=("all", *KNOWN)),
        sac=Option(True, "train SAC policies"),
        tuning=Option(False, f"seeds from {TUNING_SEEDS} on, for choosing settings"),
        preset=Option("profit", "objective of planner, lower bound and SAC"),
        resume=Option(False, "keep the shops that the file contains"),
        out=Option(RUNS / "pricebench.csv", "file of the rows"),
        store=Option(Path, "file of the advice by truth, as docs/pricebench.csv"),
    )
    (run if options.command == "run" else table)(options)


if __name__ == "__main__":
    main()
