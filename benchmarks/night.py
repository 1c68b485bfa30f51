"""Cost of a night's ``predict`` on a catalogue in which no, few or all products have new rows.

    python benchmarks/night.py --products 100 --nights 1 40
    python benchmarks/night.py --products 130 --copies 770 --days 100 --nights 1

A simulated catalogue is trained on once and advised a day later, when all products have a new row, so that the
accounts of the quarter are open. Each night, that many days later, a copy of the shop advises on no new rows, another
on new rows of 2 % of the products, and a third on new rows of all. With ``copies`` the shop's database has every
product so many times, and a night's file has nothing but the new rows, of none or of 20 products: the difference is
what 20 products cost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from runner import MAIN, measure, read_options

from pricerl.operations.log.decision_log import append, load
from pricerl.shop.database import FILE, Database, writing
from pricerl.simulation.seller import SellerConfig, simulate

NEW = {"none": 0.0, "2 %": 0.02, "all": 1.0}
"""Shares of products with new rows."""
FEW = 20
"""Products with new rows where products are copies."""
WORDS = ("--trainer.enable_progress_bar=false",)


def write_rows(table: pd.DataFrame, days: dict[str, int], folder: Path) -> None:
    """Write a file with the first days of each product."""
    table[table["Day"] < table["Product"].map(days)].drop(columns="Day").to_csv(folder / "shop.csv", index=False)


def multiply(path: Path, copies: int) -> None:
    """Copy the products of a shop with their days and their newest advice, up to ``copies`` of each in all."""
    with writing(path) as database:
        newest = {entry["product"]: entry for entry in load(database, path).entries}
    ((usual, _),) = Counter(entry["basis"] for entry in newest.values()).most_common(1)  # a tenth is tested, no copy is
    drafts = ({**newest[name], "product": f"{name} {at}", "basis": usual} for at in range(1, copies) for name in newest)
    for key in ("id", "hash", "previous", "format"):
        for entry in newest.values():
            entry.pop(key)
    with writing(path) as database:
        entries, _ = append(database, load(database, path), list(drafts))
        _copy_rows(database, entries, copies)


def _copy_rows(database: Database, entries: list[dict[str, Any]], copies: int) -> None:
    products = database.run("SELECT id, name, category, file FROM product")
    days = database.run("SELECT * FROM day")
    advice = database.run("SELECT * FROM advice ORDER BY place")
    numbers = iter(entries)

    def shifted(rows: list[Any]) -> Iterator[list[Any]]:
        return ([row[0] + copy * len(products), *row[1:]] for copy in range(1, copies) for row in rows)

    renamed = (
        [item[0], f"{item[1]} {1 + at // len(products)}", *item[2:]] for at, item in enumerate(shifted(products))
    )
    database.run_many("INSERT INTO product VALUES (?, ?, ?, ?)", renamed)
    database.run_many(f"INSERT INTO day VALUES ({', '.join('?' * len(days[0]))})", shifted(days))
    copied = (
        (f"{name} {copy}", place + copy * len(advice), next(numbers)["id"], *rest)
        for copy in range(1, copies)
        for name, place, _, *rest in advice
    )
    database.run_many("INSERT INTO advice VALUES (?, ?, ?, ?, ?, ?, ?, ?)", copied)


def main() -> None:
    options = read_options(__doc__, products=100, nights=[1, 40], copies=1, days=365)
    table = simulate(SellerConfig(days=options.days + 1 + max(options.nights), products=options.products))[0]
    dates = pd.to_datetime(table["Report Date"])
    table["Day"] = (dates - dates.min()).dt.days
    end = dates.min().date() + timedelta(days=options.days)
    names = list(table["Product"].unique())
    chance = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        first = Path(place) / "first"
        first.mkdir()
        write_rows(table, dict.fromkeys(names, options.days), first)
        training = ("--run_name=shop", "--trainer.max_steps=20", "--data.eval_every=20")
        measure([str(MAIN), "fit", "--data.path=shop.csv", f"--today={end}", *training, *WORDS], first)
        write_rows(table, dict.fromkeys(names, options.days + 1), first)
        measure([str(MAIN), "predict", f"--today={end + timedelta(days=1)}", *WORDS], first)
        if options.copies > 1:
            multiply(first / "checkpoints/shop" / FILE, options.copies)
            measure([str(MAIN), "predict", f"--today={end + timedelta(days=1)}", *WORDS], first)
        print(
            "| products | days later | new rows | CPU s | wall s | MB at most |\n|---|---|---|---|---|---|", flush=True
        )
        shares = NEW if options.copies == 1 else {"none": 0.0, f"{FEW} products": FEW / len(names)}
        for night in options.nights:
            for label, share in shares.items():
                folder = Path(shutil.copytree(first, Path(place) / f"{night} {label}"))
                new = set(chance.choice(names, int(np.ceil(share * len(names))), replace=False))
                write_rows(table, {name: options.days + 1 + night * (name in new) for name in names}, folder)
                if options.copies > 1:
                    rows = table[
                        table["Product"].isin(new)
                        & (table["Day"] > options.days)
                        & (table["Day"] <= options.days + night)
                    ]
                    rows.drop(columns="Day").to_csv(folder / "new.csv", index=False)
                words = ("--data.path=new.csv",) if options.copies > 1 and new else ()
                day = f"--today={end + timedelta(days=1 + night)}"
                measure([str(MAIN), "prices", f"--today={end + timedelta(days=1)}"], folder)  # files of a copied folder
                cost = measure([str(MAIN), "predict", *words, day, *WORDS], folder)
                cells = f"{cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:.0f}"
                print(f"| {options.copies * len(names)} | {night} | {label} | {cells} |", flush=True)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
