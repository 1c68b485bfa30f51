"""The products of ``advice.json`` as flat rows, and its tables with the outbox as an Excel workbook."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pricerl.advice.sentences.verdict import Record
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
    uplift = product["uplift"] or {}
    gain, low, high = uplift.get(product["measure"]) or (None, None, None)
    known = {**product, **product["decision"], "date": product["days"][0]["date"]}
    known |= {"gain": gain, "gain_low": low, "gain_high": high, "probability_better": uplift.get("probability_better")}
    return [known[name] for name in ROW]


def check_workbook() -> Any:
    """Return the package that writes workbooks; one that is not installed is a ``UsageError``."""
    return import_extra("xlsxwriter", '--excel needs xlsxwriter; run pip install -e ".[excel]"')


def write_workbook(folder: Path, prices: Sequence[Sequence[str]]) -> None:
    """Write the workbook of a folder's ``advice.json`` and the lines of ``prices.csv``.

    Texts are never formulas or links. A ``UsageError`` says that xlsxwriter is not installed.
    """
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    created = datetime.datetime(2000, 1, 1)  # the time of creation would make the same advice different files
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with rewriting(folder / WORKBOOK) as file, check_workbook().Workbook(file, options) as book:
        book.set_properties({"created": created})
        bold = book.add_format({"bold": True})
        for name, rows in [*_sheets(document), ("Prices", prices)]:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                cells = ["" if cell is None else cell for cell in row]
                sheet.write_row(number, 0, cells, None if number else bold)
            sheet.freeze_panes(1, 0)
            sheet.autofit()


def _sheets(document: Record) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Yield name and rows of each sheet, the header first."""
    products = document["products"]
    head = [name.replace("_", " ").title() for name in ROW]
    yield "Products", [head, *(_flat_row(product) for product in products)]
    limits = [f"{name.capitalize()}{end}" for name in OUTCOMES for end in ("", " Low", " High")]
    days = [
        (product["product"], day["date"], day["recommended_price"], *_values(day), day["note"])
        for product in products
        for day in product["days"]
    ]
    yield "Days", [("Product", "Date", "Price", *limits, "Note"), *days]
    rules = [
        (product["product"], row["rule"], row["price"], *_values(row["outcome"]))
        for product in products
        for row in product["baselines"]
    ]
    yield "Rules", [("Product", "Rule", "Price", *limits), *rules]


def _values(outcome: Record) -> Iterator[float | None]:
    for name in OUTCOMES:
        yield from outcome[name] or (None, None, None)
