"""Worth of each part of the advice: PriceBench with one part off at a time, next to the lines of its own files.

    python benchmarks/weight.py --store docs/weight.csv

A part is off when what makes it is replaced, as `PARTS` says. ``gain`` is the advice's share of the attainable gain in
percent, ``worth`` how much of it is lost without the part, with the standard error of the paired difference; where
nothing can be gained, both are shares of the profit. ``harm`` and ``wrong`` are the shops of the complete advice that
lose more than 1 %, or are advised away from the best path, less those of the advice without the part. Every part is
measured on plain sellers, and on the kinds of sellers that it is for.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
import pricebench
from runner import ROOT, Option, read_options
from shops.pricebench import HORIZON, NO_GAIN, PERCENT, PLAIN_TRUTHS, Cell

from pricerl.decide import chain
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import approach_path
from pricerl.evaluation.pricing_rules import GATE, HARM, Candidates, best_for_objective
from pricerl.market.demand import families, regression
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig

DEMAND, DECIDE = "pricerl.market.demand.", "pricerl.decide."
NEVER = 1e-12
KEY = ["truth", "days", "units", "seed"]


class Part(NamedTuple):
    """A part of the advice, and how it is left out."""

    files: str
    """Files under ``pricerl/`` that exist for it alone; empty for a part of some file."""
    off: Mapping[str, Any]
    """Replacement of each name."""
    truths: tuple[str, ...] = ()
    """Kinds of sellers that it is for."""
    days: int = 130


def constant_plan() -> Any:
    """Return the path to the best constant price as the proposal."""
    return lambda product: approach_path(best_for_objective(Candidates(product, GATE)), product, HORIZON)


def stay(*given: Any) -> regression.RegressionPosterior:
    """Fit the regression around a level that stays."""
    units, design, prior, row, start, rows, _ = given
    return regression.fit_regression(units, design, prior, row, start, rows, regression.STILL_MOTIONS[::6])


def without(decider: str) -> tuple[chain.Decider, ...]:
    """Return the chain of deciders without one."""
    return tuple(item for item in chain.DECIDERS if item.__name__ != decider)


PARTS = {
    "demand of six families": Part("", {DEMAND + "families.FAMILIES": {"constant": families.FAMILIES["constant"]}}),
    "a level that moves": Part("market/level.py", {DEMAND + "averaging.fit_regression": stay}, ("seasonal",)),
    "memory of prices": Part(
        "market/demand/reference_price.py", {DEMAND + "averaging.NO_MEMORY": 1 - NEVER}, ("reference",)
    ),
    "yearly season": Part("", {DEMAND + "averaging.NO_SEASON": 1 - NEVER}, ("seasonal",), 365),
    "deals": Part("", {DEMAND + "averaging.deal_windows": lambda step: [None]}, ("stockpiling",)),
    "bias of histories": Part(
        "",
        {
            DEMAND + "averaging.BIASES": dict.fromkeys(
                ("plain", "promotions", "averages", "promoted averages", "rounded averages", "repricer"), (0.0, 0.01)
            )
        },
        ("averages", "repricer", "stockpiling"),
    ),
    "rule of a repricer": Part(
        "market/demand/price_rule.py",
        {DEMAND + "averaging.find_price_rule": lambda *given: None},
        ("repricer", "follower"),
    ),
    "unobserved causes": Part("", {DEMAND + "averaging.HIDDEN_SHARE": 0.0}, ("two_competitors",)),
    "outliers": Part(
        "market/outliers.py",
        {
            DEMAND + "averaging.find_inliers": lambda units, *given: np.ones(len(units), dtype=bool),
            DEMAND + "averaging.winsorise": lambda units, sds: units,
        },
        ("stockouts", "late_stockouts", "bulk_orders"),
    ),
    "falls at round prices": Part(
        "",
        {f"{DEMAND}priors.{name}": NEVER for name in ("JUMP", "CHARMED_JUMP", "SHUNNED_JUMP")},
        ("threshold", "slight_threshold"),
    ),
    "endings": Part("", {DEMAND + "families.MOST_OVERLOOKED": NEVER}, ("endings", "slight_endings")),
    "the price as evidence": Part(
        "", {"pricerl.market.fitting.find_own_price": lambda *given: None}, ("optimal", "thin")
    ),
    "conversions": Part("market/similar_prices.py", {"pricerl.market.fitting.MIN_CONVERSION_DAYS": 10**6}),
    "advertising": Part("", {DEMAND + "covariates._advertising": lambda *given: []}, ("ads",)),
    "closed days": Part("data/cleaning/zero_sales.py", {DECIDE + "case.Case.zeros": None}, ("closed", "stockouts")),
    "entangled causes": Part("", {DECIDE + "case.Case.entangled_with": ""}, ("ads", "two_competitors", "weekends")),
    "card of evidence": Part(
        "evaluation/card",
        {DECIDE + "case.Case.card": ()},
        ("seasonal", "repricer", "stockouts", "late_stockouts", "two_competitors", "ads", "weekends", "stockpiling"),
    ),
    "value iteration": Part("planner/dynamic_planner.py", {"pricebench.follow_plan": constant_plan}),
    "aim for the quarter": Part("", {DECIDE + "chain.DECIDERS": without("aim_for_quarter")}, ("reference",)),
    "losses weigh more": Part(
        "", {"pricebench.DecisionConfig": partial(DecisionConfig, loss_weight=1.0)}, ("optimal",)
    ),
    "claims of a whole path": Part("", {"pricebench.DecisionConfig": partial(DecisionConfig, claim_chance=1.0)}),
    "gate of a change": Part("", {"pricebench.DecisionConfig": partial(DecisionConfig, min_chance=0.0)}, ("optimal",)),
    "bar at half of the scenarios": Part(  # off: at 80 %
        "",
        {"pricebench.DecisionConfig": partial(DecisionConfig, min_chance=0.8)},
        ("optimal", "endings", "two_competitors", "late_stockouts", "ads"),
    ),
    "steps to charm prices": Part("", {DECIDE + "evidence.charms_between": lambda low, high: []}, ("endings",)),
    "smallest worth of a change": Part("", {DECIDE + "decision.SMALLEST_WORTH": 0.0}, ("optimal",)),
}
"""Parts by name. Those that need many products, known stock or weeks have benchmarks of their own: ``pooling.py``,
``categories.py``, ``price_and_stock.py``, ``price_tests.py``, ``receipt.py``, ``unseen_products.py`` for SAC."""


def price(part: Part | None, truth: str, days: int, units: float, shops: int) -> pd.DataFrame:
    """Return the advice on shops of one kind, without a part if one is given."""
    addresses = tuple((Cell(truth, days, units), seed) for seed in range(shops))
    job = pricebench.Job(addresses, (pricebench.ADVICE,), False, DemandConfig(), RewardConfig())
    with ExitStack() as stack:
        for name, value in ({} if part is None else part.off).items():
            stack.enter_context(patch(name, value))
        return pd.DataFrame(pricebench.work(job)).set_index(KEY)


def compare(complete: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float]:
    """Return what a part is worth, by shops of the complete advice and of that without it."""
    best, kept = complete["best_gain"].sum(), complete["keep"].abs().sum()
    best = best if best > NO_GAIN * kept else kept
    apart = complete["gain"] - rows["gain"]
    harm, harm_off = (PERCENT * (item["gain"] < -HARM * item["keep"].abs()).mean() for item in (complete, rows))
    return {
        "gain": PERCENT * complete["gain"].sum() / best,
        "worth": PERCENT * apart.sum() / best,
        "se": PERCENT * apart.std() * len(apart) ** 0.5 / best,
        "harm": harm - harm_off,
        "wrong": PERCENT * (complete["wrong"].mean() - rows["wrong"].mean()),
    }


def size_of(files: str) -> tuple[int | None, int | None]:
    """Return statements in functions and lines of a file or folder under ``pricerl/``; None without one."""
    if not files:
        return None, None
    path = ROOT / "pricerl" / files
    texts = [item.read_text() for item in ([path] if path.is_file() else sorted(path.glob("*.py")))]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    inside = {
        id(node) for item in functions for node in ast.walk(item) if isinstance(node, ast.stmt) and node is not item
    }
    return len(inside), sum(text.count("\n") for text in texts)


def main() -> None:
    options = read_options(
        __doc__,
        shops=30,
        units=[5.5, 50.0],
        parts=Option([*PARTS], choices=PARTS),
        store=Option(Path, "file of the table, as docs/weight.csv"),
    )
    known: dict[tuple[str, int, float], pd.DataFrame] = {}
    lines = []
    for name in options.parts:
        part = PARTS[name]
        sized = dict(zip(("statements", "lines"), size_of(part.files), strict=True))
        for kind, truths in (("plain", PLAIN_TRUTHS), *((truth, (truth,)) for truth in part.truths)):
            cells = [(truth, part.days, units) for units in options.units for truth in truths]
            known |= {cell: price(None, *cell, options.shops) for cell in cells if cell not in known}
            rows = pd.concat([price(part, *cell, options.shops) for cell in cells])
            found = compare(pd.concat([known[cell] for cell in cells]), rows)
            about = {"part": name, **sized, "sellers": kind, "days": part.days}
            lines.append({**about, **{key: round(found[key], 1) for key in found}})
            print(*lines[-1].values(), flush=True)
    table = pd.DataFrame(lines).astype({"statements": "Int64", "lines": "Int64"})
    print(table.to_string(index=False))
    if options.store:
        table.to_csv(options.store, index=False)


if __name__ == "__main__":
    main()
