"""Files of an advice, written atomically: tables, ``advice.json`` and the report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from pricerl import __version__
from pricerl.advice.exports import DOCUMENT, PRICES, REORDERS, WORKBOOK, values_of
from pricerl.advice.report.render import INDEX, render_pages
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences.verdict import Record
from pricerl.data.reading.problems import Problem, problem_table
from pricerl.decide.decision import Approval
from pricerl.errors import PROBLEMS, UsageError
from pricerl.formatting import PLAIN_DIGITS, Formatter, csv_text, safe_text
from pricerl.writing import refuse_folders

FORMAT = 7
TABLE = "advice.csv"
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

    @classmethod
    def of(cls, folder: Path) -> AdviceFiles:
        """Return the paths of the advice in a folder."""
        return cls(folder / TABLE, folder / DOCUMENT, folder / INDEX)


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
    approval: Approval = "auto"
    """Publishing of advised prices in ``prices.csv``: at once, after an approval, or never."""
    run: str = ""
    """Name of the run, for the commands on the page; empty without one."""
    today: str = ""
    """Day on which the advice was made, in ISO format; empty if unknown."""
    decision_log: Mapping[str, int | str] | None = None
    """Head of the decision log when the advice was made: ``entries`` and ``hash`` of the last, if there is a log."""


@dataclass(frozen=True)
class ReportConfig:
    """Optional parts of the report."""

    excel: bool = False
    """Write the tables into ``advice.xlsx``, too (extra ``excel``). The same as ``--excel``."""


class StoredAdvice(NamedTuple):
    """Advice on a product as the shop keeps it."""

    product: str
    text: str
    """Its line of ``advice.json``."""
    changes: Record = MappingProxyType({})
    """Values that are other ones today, by key."""

    def to_dict(self) -> dict[str, Any]:
        """Return the product's record."""
        return {**msgspec.json.decode(self.text), **self.changes}

    def to_json(self) -> str:
        """Return its line."""
        return json_of(self.to_dict()) if self.changes else self.text


def render_files(
    products: Iterable[Record | StoredAdvice],
    about: About,
    formatter: Formatter,
    problems: Sequence[Problem] = (),
) -> Iterator[tuple[str, str | bytes]]:
    """Yield the files of an advice piece by piece, each with the file's name; memory does not grow with the pages.

    The ``products`` are entries of ``advice.json``. Those with stock add their planned orders at the supplier, products
    and files that were skipped their ``problems``.
    """
    head = {"format": FORMAT, "pricerl": __version__, **about._asdict(), **asdict(formatter)}
    work = WorkList()
    orders = []
    yield TABLE, f"{COLUMNS}\n"
    yield DOCUMENT, f'{json_of(head)[:-1]}, "products": ['
    for given in products:
        yield DOCUMENT, ",\n" if len(work) else "\n"
        yield DOCUMENT, given.to_json() if isinstance(given, StoredAdvice) else json_of(given)
        item = given.to_dict() if isinstance(given, StoredAdvice) else given
        yield TABLE, csv_text(day_rows(item, formatter))
        work.add(item)
        if item["stock"] is not None:
            orders.append((item["product"], item["stock"]["orders"]))
    yield DOCUMENT, "\n]}\n"
    yield from render_pages(head, work)
    if problems:
        yield PROBLEMS, problem_table(problems)
    if orders:
        yield REORDERS, _render_reorders(orders)


def json_of(record: Record) -> str:
    """Return JSON in one line."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, default=float)


def _render_reorders(planned: Sequence[tuple[str, Sequence[Any]]]) -> str:
    """Return ``reorders.csv``: one row per planned order at the supplier, from the orders of each product."""
    rows = [(safe_text(name), day, f"{units:g}", arrives) for name, orders in planned for day, units, arrives in orders]
    return csv_text([("Product", "Order On", "Units", "Arrives"), *rows])


def day_rows(item: Record, formatter: Formatter) -> Iterator[Sequence[str]]:
    """Yield the rows of a product in ``advice.csv``, unknown cells empty."""
    decimals = max(PLAIN_DIGITS, formatter.price_decimals)
    better = None if item["uplift"] is None else item["uplift"]["probability_better"]
    for day in item["days"]:
        prices = (item["current_price"], *(day[name] for name in ("recommended_price", "price_low", "price_high")))
        outcomes = values_of(day)
        conversions = [None if day[name] is None else day[name][0] for name in ("organic", "ad")]
        yield [
            safe_text(item["product"]),
            day["date"],
            *(f"{price:.{decimals}f}" for price in prices),
            *("" if value is None else f"{value:.2f}" for value in (*outcomes, *conversions)),
            "" if better is None else f"{better:.3f}",
            item["decision"]["grade"],
            item["decision"]["source"],
            safe_text(f"{item['reason']} ({day['note']})" if day["note"] else item["reason"]),
        ]


def check_folder(folder: Path, role: str = "") -> None:
    """Refuse a folder, which need not exist, that files cannot be written into; ``role`` precedes its name."""
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise UsageError(f"{role}{above} is a file; name a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{role}{folder} cannot be written: no permission")
    refuse_folders(folder, (TABLE, DOCUMENT, PRICES, REORDERS, INDEX, WORKBOOK, PROBLEMS))


def read_advice(folder: Path) -> dict[str, Any] | None:
    """Return the ``advice.json`` of a folder, or None if it is missing, damaged, or of another format."""
    try:
        document = msgspec.json.decode((folder / DOCUMENT).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None
