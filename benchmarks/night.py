"""Seconds of a night's ``predict`` on a catalogue in which few products have new rows, and what differs from all anew.

    python benchmarks/night.py --products 100 --nights 1 40

A simulated catalogue is trained on once and advised a day later, when all products have a new row, so that the
accounts of the quarter are open. Each night, that many days later, 2 % of the products have new rows. One copy of the
shop advises as ``predict`` does, another computes the advice on all products.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from pricerl.cli import advise
from pricerl.cli.main import main as pricerl
from pricerl.operations import shop
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.training import pricing_data

DAYS = 365
NEW = 0.02
"""Share of products with new rows."""
STAGES = {
    "read": (pricing_data, "read_history"),
    "log": (shop, "read_log"),
    "hash": (advise, "find_bases"),
    "compare": (advise, "find_unchanged"),
    "advise": (advise, "make_advice"),
    "record": (shop.Shop, "record"),
}
"""Functions whose CPU time is measured; recording includes the writing of the files."""


@contextlib.contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Measure the CPU seconds of all stages and of the whole."""
    spent = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, function: Any) -> Any:
        def run(*words: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return function(*words, **named)
            finally:
                spent[stage] += time.process_time() - started

        return run

    with contextlib.ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            stack.enter_context(patch.object(owner, name, timed(stage, getattr(owner, name))))
        started = time.process_time()
        yield spent
        spent["all"] = time.process_time() - started


def command(*words: str) -> dict[str, float]:
    """Run a command in the current folder, and return its CPU seconds by stage."""
    with measured() as spent, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pricerl([*words, "--trainer.enable_progress_bar=false", "--threads=1"])
    if code not in (0, 4):
        raise SystemExit(f"{words[0]} ended with exit code {code}")
    return spent


def write_rows(table: pd.DataFrame, days: dict[str, int]) -> None:
    """Write a file with the first days of each product."""
    table[table["Day"] < table["Product"].map(days)].drop(columns="Day").to_csv("shop.csv", index=False)


def entries_of(folder: Path, products: int) -> dict[str, Any]:
    """Return the newest log entry of each product."""
    lines = (folder / "checkpoints/shop/decisions.jsonl").read_text(encoding="utf-8").splitlines()[-products:]
    return {entry["product"]: entry for entry in map(json.loads, lines)}


def compare(night: int, kept: dict[str, Any], whole: dict[str, Any], spent: dict[str, float], all_anew: float) -> None:
    """Print a row of the table, and each product whose prices, grade or source differ."""
    differs = [
        name
        for name, entry in kept.items()
        if any(entry[key] != whole[name][key] for key in ("grade", "source", "follow"))
        or [day["price"] for day in entry["days"]] != [day["price"] for day in whole[name]["days"]]
    ]
    stands = sum(bool(entry.get("kept")) for entry in kept.values())
    parts = " | ".join(f"{seconds:.2f}" for seconds in spent.values())
    print(f"| {len(kept)} | {night} | {stands} | {len(differs)} | {parts} | {all_anew:.1f} |", flush=True)
    for name in differs:
        found = [(entry["follow"], entry["grade"], entry["days"][0]["price"]) for entry in (kept[name], whole[name])]
        print(f"  {name}: {found}, {'kept' if kept[name].get('kept') else 'computed'}", flush=True)


def measure(products: int, nights: list[int], folder: Path) -> None:
    """Train and advise once, then print a row per night."""
    first = folder / "first"
    first.mkdir()
    os.chdir(first)
    table = simulate(SellerConfig(days=DAYS + 1 + max(nights), products=products))[0]
    dates = pd.to_datetime(table["Report Date"])
    table["Day"] = (dates - dates.min()).dt.days
    end = dates.min().date() + timedelta(days=DAYS)
    names = list(table["Product"].unique())
    write_rows(table, dict.fromkeys(names, DAYS))
    training = ["--trainer.max_steps=20", "--data.eval_every=20"]
    command("fit", "--data.path=shop.csv", "--run_name=shop", f"--today={end}", *training)
    write_rows(table, dict.fromkeys(names, DAYS + 1))
    command("predict", f"--today={end + timedelta(days=1)}")
    print(f"| products | days later | stand | differ | {' | '.join([*STAGES, 'all'])} | all anew |", flush=True)
    chance = np.random.default_rng(0)
    for night in nights:
        new = chance.choice(names, max(1, round(NEW * products)), replace=False)
        found = []
        for place in ("kept", "whole"):
            copied = Path(shutil.copytree(first, folder / f"{place}-{night}", symlinks=True))
            os.chdir(copied)
            write_rows(table, {name: DAYS + 1 + (night if name in new else 0) for name in names})
            with (
                patch.object(advise, "find_unchanged", lambda *_: {}) if place == "whole" else contextlib.nullcontext()
            ):
                spent = command("predict", f"--today={end + timedelta(days=1 + night)}")
            found.append((entries_of(copied, products), spent))
        (kept, spent), (whole, anew) = found
        compare(night, kept, whole, spent, anew["all"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--nights", type=int, nargs="+", default=[1, 40])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            measure(options.products, options.nights, Path(folder))
        finally:
            os.chdir(Path(folder).parent)


if __name__ == "__main__":
    main()
