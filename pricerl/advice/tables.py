"""``advice.csv`` and ``advice.json``; all files of an advice appear together or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from pricerl import __version__
from pricerl.advice.result import DayAdvice, ProductAdvice

FORMAT = 1
COLUMNS = (
    "Product",
    "Date",
    "Current Price",
    "Recommended Price",
    "Price Low",
    "Price High",
    "Expected Units",
    "Units Low",
    "Units High",
    "Expected Sales",
    "Sales Low",
    "Sales High",
    "Expected Profit",
    "Profit Low",
    "Profit High",
    "Organic Conversion Percentage",
    "Ad Conversion Percentage",
    "Chance Better",
    "Grade",
    "Source",
    "Reason",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render_csv(advice: list[ProductAdvice], decimals: int) -> str:
    """One row a product and day; unknown cells are empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for product in advice:
        writer.writerows(_row(product, day, decimals) for day in product.days)
    return text.getvalue()


def render_json(advice: list[ProductAdvice], about: dict[str, Any]) -> str:
    """Every number the outputs show; ``about`` says where they come from."""
    document = {"format": FORMAT, "pricerl": __version__, **about, "products": [item.to_dict() for item in advice]}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=float) + "\n"


def write_together(files: dict[Path, str]) -> None:
    """Write every file beside its target first and then move them all into place."""
    parts = {}
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = path.with_name(f".{path.name}.part")
            parts[path].write_text(text, encoding="utf-8", newline="")
        for path, part in parts.items():
            os.replace(part, path)  # noqa: PTH105 - Path.replace is the same call; os names the atomicity
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def safe_text(text: str) -> str:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _row(product: ProductAdvice, day: DayAdvice, decimals: int) -> list[str]:
    prices = (product.price_now, day.recommended_price, day.price_low, day.price_high)
    chance = "" if product.gain is None else f"{product.gain.chance_better:.3f}"
    reason = f"{product.reason} ({day.note})" if day.note else product.reason
    return [
        safe_text(product.product),
        day.date,
        *(f"{price:.{decimals}f}" for price in prices),
        *_cells(day.units),
        *_cells(day.sales),
        *_cells(day.profit),
        *("" if value is None else f"{value:.2f}" for value in (day.organic, day.ad)),
        chance,
        product.decision.grade,
        product.decision.source,
        safe_text(reason),
    ]


def _cells(values: tuple[float, float, float] | None) -> list[str]:
    return ["", "", ""] if values is None else [f"{value:.2f}" for value in values]
