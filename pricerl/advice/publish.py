"""Write ``advice.csv``, ``advice.json`` and the report of an advice into a folder, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from pricerl.advice.files import render_csv, render_json, write_together
from pricerl.advice.reasons import price_digits
from pricerl.advice.report.pdf import print_pages
from pricerl.advice.report.render import FOLDER, INDEX, render_pages
from pricerl.advice.result import ProductAdvice

MANY_PRODUCTS = 20
"""From so many on, the report takes long enough for a progress bar."""

PAGES = "[0-9][0-9][0-9]*-*.html"
"""How pages are named: ``texts.page_name``."""


class AdviceFiles(NamedTuple):
    """Where an advice lies."""

    table: Path
    document: Path
    report: Path


class About(NamedTuple):
    """Where an advice comes from."""

    source: str
    """The history's name as the user wrote it."""
    objective: str
    """The reward preset in force."""
    price_step: float
    """The price grid; it decides how many digits a price shows."""
    model: str = ""
    """Fingerprint of the policy; empty where it has none."""
    config: str = ""
    """Fingerprint of the settings that the advice depends on."""


@dataclass(frozen=True)
class ReportConfig:
    """What the report is beside its pages."""

    interactive: bool = False
    """Charts that show their numbers under the pointer (extra ``interactive``); each page then holds some 5 MB of
    plotly's script."""

    pdf: bool = False
    """Print every page into a PDF beside it; needs Chromium or Chrome. The same as ``--pdf``."""


def publish(advice: list[ProductAdvice], out: Path, about: About, report: ReportConfig | None = None) -> AdviceFiles:
    """Write table, document and pages; pages of earlier advice on other products go.

    Args:
        advice: one entry a product.
        out: folder, made if absent.
        about: where the advice comes from.
        report: what the report is beside its pages.
    """
    report = report or ReportConfig()
    decimals = price_digits(about.price_step)
    files = AdviceFiles(out / "advice.csv", out / "advice.json", out / INDEX)
    named = {name: value for name, value in about._asdict().items() if name != "price_step"}
    document = render_json(advice, {**named, "price_decimals": decimals})
    rendered = render_pages(json.loads(document), report.interactive)
    pages = {out / name: page for name, page in _with_progress(rendered, len(advice))}
    write_together({files.table: render_csv(advice, decimals), files.document: document, **pages})
    for page in [files.report, *(out / FOLDER).glob(PAGES)]:
        page.with_suffix(".pdf").unlink(missing_ok=True)
        if page not in pages:
            page.unlink()
    if report.pdf:
        print_pages(pages)
    return files


def _with_progress(pages: Iterable[tuple[str, str]], products: int) -> Iterable[tuple[str, str]]:
    """Show on a terminal's standard error how far the pages of many products are."""
    if products < MANY_PRODUCTS:
        return pages
    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(pages, "report", total=products + 1, console=console, transient=True, disable=hidden)
