"""``advice.csv`` and ``advice.json``; all files of an advice appear together or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
from pathlib import Path
from typing import Any

from pricerl import __version__
from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.errors import UsageError

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


def check_folder(folder: Path, role: str = "") -> None:
    """Refuse a folder that files could not be written into.

    Args:
        folder: need not exist.
        role: what it is for, put before its name.

    Raises:
        UsageError: it or a folder above it is a file, or writing is not permitted.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise UsageError(f"{role}{above} is a file; name a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{role}{folder} cannot be written: no permission")


def write_together(files: dict[Path, str]) -> None:
    """Write every file or none: a failure leaves everything as it was.

    Raises:
        UsageError: a file cannot be written.
    """
    undo = contextlib.ExitStack()
    try:
        with undo:
            parts = {path: _write_part(path, text, undo) for path, text in files.items()}
            for path, part in parts.items():
                _move(part, path, undo)
            undo.pop_all()
    except OSError as error:
        where = error.filename or next(iter(files)).parent
        raise UsageError(f"{where} cannot be written: {error.strerror}; earlier files are untouched") from error
    for path in files:
        _beside(path, "old").unlink(missing_ok=True)


def _write_part(path: Path, text: str, undo: contextlib.ExitStack) -> Path:
    """Write a file beside its target."""
    for folder in reversed([parent for parent in path.parents if not parent.exists()]):
        folder.mkdir()
        undo.callback(folder.rmdir)
    part = _beside(path, "part")
    undo.callback(part.unlink, missing_ok=True)
    part.write_text(text, encoding="utf-8", newline="")
    return part


def _move(part: Path, path: Path, undo: contextlib.ExitStack) -> None:
    """Put a file in its place; what stood there waits aside."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if path.exists():
        old = _beside(path, "old")
        path.replace(old)
        undo.callback(old.replace, path)
    else:
        undo.callback(path.unlink, missing_ok=True)
    part.replace(path)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def safe_text(text: str) -> str:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _row(product: ProductAdvice, day: DayAdvice, decimals: int) -> list[str]:
    prices = (product.current_price, day.recommended_price, day.price_low, day.price_high)
    chance = "" if product.gain is None else f"{product.gain.probability_better:.3f}"
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
