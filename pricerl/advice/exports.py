"""The products of ``advice.json`` as flat rows, and its tables with the outbox as an Excel workbook."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pricerl.advice.sentences.verdict import Record, gain_of
from pricerl.errors import import_extra
from pricerl.writing import rewriting

DOCUMENT = "advice.json"
PRICES = "prices.csv"
WORKBOOK = "advice.xlsx"
REORDERS = "reorders.csv"
OUTCOMES = ("units", "sales", "profit")
ROW = (
    *("product", "date", "current_price", "recommended_price", "settled_price", "grade", "source", "gain", "gain_low"),
    *("gain_high", "probability_better", "reason"),
)
"""Columns of the workbook's sheet of products."""


def _flat_row(product: Record) -> list[Any]:
    """Return a product of ``advice.json`` as a row: first day, prices, gain per day of its measure with 90 % limits."""
    gain = zip(("gain", "gain_low", "gain_high"), gain_of(product) or (None,) * 3, strict=True)
    uplift = product["uplift"] or {"probability_better": None}
    known = {**uplift, **product, **product["decision"], **dict(gain), "date": product["days"][0]["date"]}
    return [known[name] for name in ROW]


def check_workbook() -> Any:
    """Return the package that writes workbooks; one that is not installed is a ``UsageError``."""
    return import_extra("xlsxwriter", '--excel needs xlsxwriter; run pip install -e ".[excel]"')


def write_workbook(folder: Path, prices: Sequence[Sequence[str]]) -> None:
    """Write the workbook of a folder's ``advice.json`` and the lines of ``prices.csv``.

    Texts are never formulas or links. A ``UsageError`` says that xlsxwriter is not installed.
    """
    created = datetime.datetime(2000, 1, 1)  # the time of creation would make the same advice different files
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with rewriting(folder / WORKBOOK) as file, check_workbook().Workbook(file, options) as book:
        book.set_properties({"created": created})
        bold = book.add_format({"bold": True})
        for name, rows in [*_sheets(json.loads((folder / DOCUMENT).read_bytes())), ("Prices", prices)]:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, ["" if cell is None else cell for cell in row], None if number else bold)
            sheet.freeze_panes(1, 0)
            sheet.autofit()


def _sheets(document: Record) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Yield name and rows of each sheet, the header first."""
    products = document["products"]
    limits = [f"{name.capitalize()}{end}" for name in OUTCOMES for end in ("", " Low", " High")]
    days = (
        (item["product"], day["date"], day["recommended_price"], *values_of(day), day["note"])
        for item in products
        for day in item["days"]
    )
    rules = (
        (item["product"], row["rule"], row["price"], *values_of(row["outcome"]))
        for item in products
        for row in item["baselines"]
    )
    yield "Products", [[name.replace("_", " ").title() for name in ROW], *map(_flat_row, products)]
    yield "Days", [("Product", "Date", "Price", *limits, "Note"), *days]
    yield "Rules", [("Product", "Rule", "Price", *limits), *rules]


def values_of(outcome: Record) -> list[float | None]:
    """Return units, sales and profit, each with its limits, flat."""
    return [value for name in OUTCOMES for value in outcome[name] or (None, None, None)]
