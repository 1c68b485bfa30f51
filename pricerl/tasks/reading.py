"""How files were read, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.cleaning.quality import Quality
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import day_texts
from pricerl.data.history import History
from pricerl.data.platforms.sales_reports import choose_preset
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.header import match_header
from pricerl.data.reading.sources.containers import open_tables
from pricerl.market.cost import describe_costs
from pricerl.terminal import clean

DRAWN, MOST_DRAWN = 90, 6
"""Days of a picture of sales, and products that get one."""


@dataclass(frozen=True)
class Column:
    """Column of a file."""

    name: str
    read_as: str
    """Column of ours; empty if it is ignored."""
    corrected: bool
    """Whether the seller, not its name, says so."""


@dataclass(frozen=True)
class ReadProduct:
    """Product of a file as it was read."""

    product: str
    current_price: float
    quality: Quality
    report: list[str]
    """Verdict on its data, counts and notes on columns, one line each."""
    costs: str


@dataclass(frozen=True)
class Reading:
    """How files were read, before anything is trained."""

    files: list[str]
    shop: str = ""
    """Name of the shop that the files belong to, or of the one that an advice makes."""
    format: str = ""
    """Platform and report of an export; empty for a table of days with our columns."""
    currency: str = ""
    columns: list[Column] = field(default_factory=list)
    """Of the first file; empty if it is no table, or an export, whose preset knows them."""
    products: list[ReadProduct] = field(default_factory=list)
    days: int = 0
    """Days of the longest history."""
    until: str = ""
    """Last day, ISO format."""
    adds: int = 0
    """Days after the last one that the shop has."""
    recent: list[dict[str, Any]] = field(default_factory=list)
    """Dates, prices and units of the last days of the first products."""
    problems: list[str] = field(default_factory=list)
    """Problems that leave products or days out."""
    refusal: str = ""
    """Why nothing can be read; empty if something can."""


def describe_table(file: Path, config: DataConfig) -> dict[str, Any]:
    """Return format and columns of a file, as in a `Reading`."""
    (table,) = open_tables([file])
    corrected = config.columns or {}
    if not corrected and (preset := choose_preset(table, config.preset)):
        return {"format": preset.title}
    positions, *_ = match_header(table.header, 1, corrected)
    ours = {place: name for name, place in positions.items()}
    names = {place: name.strip() for place, name in enumerate(table.header) if name.strip()}
    return {"columns": [Column(name, ours.get(at, ""), name in corrected) for at, name in names.items()]}


def describe_history(
    history: History,
    config: DataConfig,
    costs_of: Callable[[Collection[str], Collection[str]], list[dict[str, Any]]],
    known: str,
) -> dict[str, Any]:
    """Return currency, extent, products and problems of a history, as in a `Reading`.

    Typed costs are asked for by the names of products and groups; ``known`` is the last day that the shop has, empty
    for a new one.
    """
    prepared = DataPreprocessor.fit(history, config)
    prices = prepared.current_prices
    products = history.products
    costs = CostConfig(products=costs_of(prepared.names, {item.group for item in products}))
    until = max(item.dates[-1].astype(date) for item in products)
    return {
        "currency": history.currency,
        "problems": [clean(str(problem)) for problem in history.problems],
        "days": max(len(item.dates) for item in products),
        "until": until.isoformat(),
        "adds": (until - date.fromisoformat(known)).days if known else 0,
        "products": [
            ReadProduct(name, prices[name], report.judge().quality, report_lines(report), describe_costs(item, costs))
            for name, item, report in zip(prepared.names, prepared.products, prepared.reports, strict=True)
        ],
        "recent": [
            {
                "dates": day_texts(item.dates[-DRAWN:]),
                "prices": item.price[-DRAWN:].tolist(),
                "units": item.units[-DRAWN:].tolist(),
            }
            for item in prepared.products[:MOST_DRAWN]
        ],
    }
