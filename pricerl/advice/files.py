"""Files of an advice, written atomically: tables, ``advice.json`` and the report."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from pricerl import __version__
from pricerl.advice.exports import PRICES, WORKBOOK, NewPrice, next_changes, render_prices, write_workbook
from pricerl.advice.report.render import INDEX, render_pages
from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.arrays import Interval
from pricerl.errors import PROBLEMS, UsageError
from pricerl.formatting import PLAIN_DIGITS, Formatter, safe_text
from pricerl.writing import publish_set

FORMAT = 3
COLUMNS = (
    "Product,Date,Current Price,Recommended Price,Price Low,Price High,Expected Units,Units Low,Units High,"
    "Expected Sales,Sales Low,Sales High,Expected Profit,Profit Low,Profit High,Organic Conversion Percentage,"
    "Ad Conversion Percentage,Chance Better,Grade,Source,Reason"
)
"""First line of ``advice.csv``."""


class AdviceFiles(NamedTuple):
    """Paths of an advice."""

    table: Path
    document: Path
    report: Path


class About(NamedTuple):
    """Origin of an advice; every field is a key of ``advice.json``."""

    source: str
    """Name of the history's file, without its folder."""
    objective: str
    """The reward preset in force."""
    model: str = ""
    """Fingerprint of the policy; empty where it has none."""
    config: str = ""
    """Fingerprint of the settings that the advice depends on."""
    approval_required: bool = False
    """Whether ``prices.csv`` contains only prices that a person approved or ordered."""
    decision_log: Mapping[str, int | str] | None = None
    """Head of the decision log when the advice was made: ``entries`` and ``hash`` of the last; None without a log."""


@dataclass(frozen=True)
class ReportConfig:
    """Optional parts of the report."""

    excel: bool = False
    """Write the tables into ``advice.xlsx``, too (extra ``excel``). The same as ``--excel``."""


def publish(
    advice: list[ProductAdvice],
    out: Path,
    about: About,
    formatter: Formatter,
    report: ReportConfig | None = None,
    approved: Iterable[NewPrice] = (),
    problems: str = "",
) -> AdviceFiles:
    """Publish tables, document and pages in a folder, made if absent, as one set that replaces the earlier one.

    Args:
        advice: on all products.
        out: the folder.
        about: origin of the advice.
        formatter: locale, currency and price digits.
        report: optional parts.
        approved: prices of ``prices.csv`` if approval is required; otherwise it contains the recommended ones.
        problems: ``problems.csv`` of the products that were skipped; empty if none were.
    """
    report = report or ReportConfig()
    files = AdviceFiles(out / "advice.csv", out / "advice.json", out / INDEX)
    keys = {"format": FORMAT, "pricerl": __version__, **about._asdict(), **asdict(formatter)}
    content = {**keys, "products": [item.to_dict() for item in advice]}
    document = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=float)
    plain = json.loads(document)
    pages = dict(_with_progress(render_pages(plain), len(advice)))
    decimals = max(PLAIN_DIGITS, formatter.price_decimals)
    prices = approved if about.approval_required else next_changes(plain["products"])
    tables = {
        files.table.name: render_csv(advice, decimals),
        PRICES: render_prices(prices, formatter.currency, decimals),
        **({PROBLEMS: problems} if problems else {}),
    }

    def finish(folder: Path) -> None:
        if report.excel:
            write_workbook(plain, folder / WORKBOOK)

    publish_set(out, {**tables, files.document.name: f"{document}\n", **pages}, finish)
    return files


def _with_progress(pages: Iterable[tuple[str, str]], products: int) -> Iterable[tuple[str, str]]:
    """Show a progress bar for the pages of 20 or more products, if standard error is a terminal."""
    console = Console(stderr=True)
    hidden = products < 20 or not console.is_terminal
    return track(pages, "report", total=products + 1, console=console, transient=True, disable=hidden)


def render_csv(advice: list[ProductAdvice], decimals: int) -> str:
    """Return ``advice.csv``: one row per product and day, unknown cells empty."""
    text = io.StringIO(newline="")
    rows = (_row(product, day, decimals) for product in advice for day in product.days)
    csv.writer(text, lineterminator="\n").writerows([COLUMNS.split(","), *rows])
    return text.getvalue()


def check_folder(folder: Path, role: str = "") -> None:
    """Check that files can be written into a folder, which need not exist; ``role`` precedes its name in the message.

    Raises:
        UsageError: it or a folder above it is a file, or writing is not permitted.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise UsageError(f"{role}{above} is a file; name a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{role}{folder} cannot be written: no permission")


def _row(product: ProductAdvice, day: DayAdvice, decimals: int) -> list[str]:
    prices = (product.current_price, day.recommended_price, day.price_low, day.price_high)
    better = None if product.uplift is None else product.uplift.probability_better
    reason = f"{product.reason} ({day.note})" if day.note else product.reason
    return [
        safe_text(product.product),
        day.date,
        *(f"{price:.{decimals}f}" for price in prices),
        *_cells(day.units),
        *_cells(day.sales),
        *_cells(day.profit),
        *("" if value is None else f"{value.mean:.2f}" for value in (day.organic, day.ad)),
        "" if better is None else f"{better:.3f}",
        product.decision.grade,
        product.decision.source,
        safe_text(reason),
    ]


def _cells(values: Interval | None) -> list[str]:
    return ["", "", ""] if values is None else [f"{value:.2f}" for value in values]
