"""Exports of ``advice.json`` for shops and spreadsheets: ``prices.csv`` to upload, and an Excel workbook."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pricerl.advice.reasons import Record, measure_of
from pricerl.errors import UsageError
from pricerl.formatting import safe_text

PRICES, WORKBOOK = "prices.csv", "advice.xlsx"
PRICE_COLUMNS = ("Product", "Date", "Price", "Currency")
"""First line of ``prices.csv``."""

OUTCOMES = ("units", "sales", "profit")


class NewPrice(NamedTuple):
    """A price to charge from a day on."""

    product: str
    date: str
    price: float
    """Money."""


def next_changes(products: Iterable[Record]) -> Iterator[NewPrice]:
    """Yield the first change of price of each entry of ``products`` in ``advice.json``; prices that stay are absent."""
    for product in products:
        for day in product["days"]:
            if day["recommended_price"] != product["current_price"]:
                yield NewPrice(product["product"], day["date"], day["recommended_price"])
                break


def render_prices(prices: Iterable[NewPrice], currency: str, decimals: int) -> str:
    """Return ``prices.csv`` as RFC 4180 has it: one row per new price, with a point as decimal mark."""
    text = io.StringIO(newline="")
    rows = ([safe_text(row.product), row.date, f"{row.price:.{decimals}f}", currency] for row in prices)
    csv.writer(text).writerows([PRICE_COLUMNS, *rows])
    return text.getvalue()


def check_workbook() -> Any:
    """Return the package that writes workbooks.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module("xlsxwriter")
    except ImportError as error:
        raise UsageError('--excel needs xlsxwriter; run pip install "pricerl[excel]"') from error


def write_workbook(document: Record, path: Path) -> None:
    """Write the tables of ``advice.json`` into a workbook; texts are never read as formulas or links.

    Raises:
        UsageError: xlsxwriter is not installed.
    """
    # Times of creation would make the same advice different files.
    created = datetime.datetime(2000, 1, 1)
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with check_workbook().Workbook(str(path), options) as book:
        book.set_properties({"created": created})
        bold = book.add_format({"bold": True})
        for name, rows in _sheets(document):
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(
                    number, 0, ["" if cell is None else cell for cell in row], bold if number == 0 else None
                )
            sheet.freeze_panes(1, 0)
            sheet.autofit()


def _sheets(document: Record) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Yield name and rows of each sheet, the header first."""
    products = document["products"]
    head = ("Product", "Current Price", "Recommended Price", "Gain Per Day", "Gain Low", "Gain High", "Grade", "Reason")
    yield "Products", [head, *map(_product_row, products)]
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
    currency = document["currency"]
    yield "Prices", [PRICE_COLUMNS, *((*row, currency) for row in next_changes(products))]


def _product_row(product: Record) -> Sequence[Any]:
    gain = (product["uplift"] or {}).get(measure_of(product)) or (None, None, None)
    prices = (product["product"], product["current_price"], product["recommended_price"])
    return *prices, *gain, product["decision"]["grade"], product["reason"]


def _values(outcome: Record) -> Iterator[float | None]:
    for name in OUTCOMES:
        yield from outcome[name] or (None, None, None)
