"""PriceBench: every rule on simulated shops whose demand is known.

Run from the repository root::

    python benchmarks/pricebench.py run --shops 200 --processes 2
    python benchmarks/pricebench.py run --quick
    python benchmarks/pricebench.py table

``run`` lets all rules of ``pricerl.evaluation.rules`` price the shops that ``checkpoints/pricebench.csv`` does not hold
yet, so it goes on where it was stopped. Cells are truths x days x daily units; shop ``n`` of a cell is the seller that
``pricerl simulate --seed n`` writes. ``--quick`` takes 130 days only, and 40 shops a cell.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.progress import track

from pricerl.evaluation.pricebench import ALL_CELLS, DAYS, TRUTHS, UNITS, Cell, run_shop, summarise
from pricerl.evaluation.rules import RULES
from pricerl.market import DEMAND_MODELS

ROWS = Path(__file__).resolve().parent.parent / "checkpoints" / "pricebench.csv"
KEY = ["truth", "days", "units", "seed", "demand"]
SHOWN = ("constant", "linear", "logit", "kinked", "optimal")
"""Truths of which a history shows everything."""
BY_TRUTH = ["keep the price", "best past price", "posterior mean", "gated", "lower bound"]
QUICK_DAYS, QUICK_SHOPS = 130, 40
JOBS_AT_ONCE = 8
"""Handed to a process together; a shop takes a twentieth of a second."""


def work(job: tuple[Cell, int, str]) -> list[dict[str, Any]]:
    """Price one shop; the processes share the cores, so torch has one thread in each."""
    torch.set_num_threads(1)
    return list(run_shop(*job))


def run(options: argparse.Namespace) -> None:
    """Price the shops that are missing and append their rows as they come."""
    done = set() if not ROWS.exists() else set(pd.read_csv(ROWS)[KEY].itertuples(index=False, name=None))
    missing = [
        (cell, seed, demand)
        for seed in range(QUICK_SHOPS if options.quick else options.shops)
        for cell in ALL_CELLS
        if cell.days in ([QUICK_DAYS] if options.quick else options.days)
        if cell.units in options.units and cell.truth in options.truths
        for demand in options.demand
        if (cell.truth, cell.days, cell.units, seed, demand) not in done
    ]
    ROWS.parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(options.processes) as pool, ROWS.open("a", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for rows in track(pool.map(work, missing, chunksize=JOBS_AT_ONCE), "shops", len(missing)):
            if writer is None:
                writer = csv.DictWriter(file, list(rows[0]))
                if file.tell() == 0:
                    writer.writeheader()
            writer.writerows(rows)


def table(options: argparse.Namespace) -> None:
    """Print two tables: all rules over the truths that a history shows, and some rules on every truth."""
    rows = pd.read_csv(ROWS)
    rows = rows[rows["demand"] == options.demand]
    shown = rows[rows["truth"].isin(SHOWN)].assign(truth="shown")
    print("Share of the oracle's profit (shops made more than 1 % worse), percent; " + ", ".join(SHOWN))
    print(
        _pivot(summarise(shown), list(dict.fromkeys(rows["rule"])))
        .droplevel("truth")
        .reset_index()
        .to_string(index=False)
    )
    lines = summarise(rows)
    bound = lines.xs("lower bound", level="rule").droplevel("demand")
    columns = bound[["cover", "moved", "claims", "stand", "true"]]
    told = columns.map(lambda value: "-" if pd.isna(value) else f"{value:.0f}")
    print("\nThe same by truth; of the lower bound: intervals that hold the truth, moves, claims, and of these")
    print("those that a hidden cause like the strongest observed one would not undo, and those that are true")
    print(_pivot(lines, options.rules).join(told).reset_index().to_string(index=False))


def _pivot(lines: pd.DataFrame, rules: list[str]) -> pd.DataFrame:
    """One row a cell, one column a rule."""
    cells = lines["oracle"].map("{:.1f}".format) + " (" + lines["harmed"].map("{:.0f}".format) + ")"
    return cells.droplevel("demand").unstack("rule", sort=False)[rules]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="price the shops that are missing")
    running.add_argument("--shops", type=int, default=200, help="shops a cell")
    running.add_argument("--processes", type=int, default=1, help="side by side; at most the idle cores")
    running.add_argument("--quick", action="store_true", help="130 days only, 40 shops a cell")
    running.add_argument("--truths", nargs="+", default=TRUTHS, choices=TRUTHS)
    running.add_argument("--days", nargs="+", type=int, default=DAYS, choices=DAYS)
    running.add_argument("--units", nargs="+", type=float, default=UNITS, choices=UNITS)
    running.add_argument("--demand", nargs="+", default=["mixture"], choices=DEMAND_MODELS)
    showing = commands.add_parser("table", help="print what is known")
    showing.add_argument("--demand", default="mixture", choices=DEMAND_MODELS)
    showing.add_argument("--rules", nargs="+", default=BY_TRUTH, choices=RULES, help="in the table by truth")
    options = parser.parse_args()
    (run if options.command == "run" else table)(options)


if __name__ == "__main__":
    main()
