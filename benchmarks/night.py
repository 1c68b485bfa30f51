"""Cost of a night's ``predict`` on a catalogue in which no, few or all products have new rows.

    python benchmarks/night.py --products 100 --nights 1 40

A simulated catalogue is trained on once and advised a day later, when all products have a new row, so that the
accounts of the quarter are open. Each night, that many days later, a copy of the shop advises on no new rows, another
on new rows of 2 % of the products, and a third on new rows of all.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from runner import MAIN, measure, read_options

from pricerl.simulation.seller import SellerConfig, simulate

DAYS = 365
NEW = {"none": 0.0, "2 %": 0.02, "all": 1.0}
"""Shares of products with new rows."""
WORDS = ("--trainer.enable_progress_bar=false", "--threads=1")


def write_rows(table: pd.DataFrame, days: dict[str, int], folder: Path) -> None:
    """Write a file with the first days of each product."""
    table[table["Day"] < table["Product"].map(days)].drop(columns="Day").to_csv(folder / "shop.csv", index=False)


def main() -> None:
    options = read_options(__doc__, products=100, nights=[1, 40])
    table = simulate(SellerConfig(days=DAYS + 1 + max(options.nights), products=options.products))[0]
    dates = pd.to_datetime(table["Report Date"])
    table["Day"] = (dates - dates.min()).dt.days
    end = dates.min().date() + timedelta(days=DAYS)
    names = list(table["Product"].unique())
    chance = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        first = Path(place) / "first"
        first.mkdir()
        write_rows(table, dict.fromkeys(names, DAYS), first)
        training = ("--run_name=shop", "--trainer.max_steps=20", "--data.eval_every=20")
        measure([str(MAIN), "fit", "--data.path=shop.csv", f"--today={end}", *training, *WORDS], first)
        write_rows(table, dict.fromkeys(names, DAYS + 1), first)
        measure([str(MAIN), "predict", f"--today={end + timedelta(days=1)}", *WORDS], first)
        print(
            "| products | days later | new rows | CPU s | wall s | MB at most |\n|---|---|---|---|---|---|", flush=True
        )
        for night in options.nights:
            for label, share in NEW.items():
                folder = Path(shutil.copytree(first, Path(place) / f"{night} {label}"))
                new = set(chance.choice(names, int(np.ceil(share * len(names))), replace=False))
                write_rows(table, {name: DAYS + 1 + night * (name in new) for name in names}, folder)
                cost = measure([str(MAIN), "predict", f"--today={end + timedelta(days=1 + night)}", *WORDS], folder)
                cells = f"{cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:.0f}"
                print(f"| {len(names)} | {night} | {label} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
