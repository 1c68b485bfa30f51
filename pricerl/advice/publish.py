"""Write ``advice.csv``, ``advice.json`` and ``report.html`` of an advice into a folder, all or none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pricerl.advice.report import render_report
from pricerl.advice.result import ProductAdvice
from pricerl.advice.tables import render_csv, render_json, write_together
from pricerl.advice.wording import price_digits


class AdviceFiles(NamedTuple):
    """Where an advice lies."""

    table: Path
    document: Path
    report: Path


def publish(advice: list[ProductAdvice], out: Path, source: str, objective: str, price_step: float) -> AdviceFiles:
    """Write the three files.

    Args:
        advice: one entry a product.
        out: folder, made if absent.
        source: the history's name as the user wrote it.
        objective: the reward preset in force.
        price_step: the price grid; it decides how many digits a price shows.
    """
    decimals = price_digits(price_step)
    files = AdviceFiles(out / "advice.csv", out / "advice.json", out / "report.html")
    about = {"source": source, "objective": objective}
    write_together(
        {
            files.table: render_csv(advice, decimals),
            files.document: render_json(advice, about),
            files.report: render_report(advice, source, objective, decimals),
        }
    )
    return files
