"""Files of an advice, written atomically: tables, ``advice.json`` and the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pricerl import __version__
from pricerl.advice.exports import DOCUMENT, PRICES, REORDERS, WORKBOOK
from pricerl.advice.report.render import INDEX, render_pages
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.stored import StoredAdvice, Summary, json_of
from pricerl.data.reading.problems import Problem, problem_table
from pricerl.decide.decision import Approval
from pricerl.errors import PROBLEMS, refuse
from pricerl.formatting import Formatter, csv_text, safe_text
from pricerl.writing import refuse_folders

FORMAT = 8
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


def render_files(
    products: Iterable[StoredAdvice],
    about: About,
    formatter: Formatter,
    problems: Sequence[Problem] = (),
    note: str = "",
    work: WorkList | None = None,
) -> Iterator[tuple[str, str | bytes]]:
    """Yield the files of an advice piece by piece, each with the file's name; memory does not grow with the pages.

    Products with stock add their planned orders at the supplier, products and files that were skipped their
    ``problems``. Pages begin with the ``note``, if there is one. A given ``work`` list has pages alone.
    """
    head = {"format": FORMAT, "pricerl": __version__, **about._asdict(), **asdict(formatter)}
    if work is None:
        work = WorkList()
        yield from _render_tables(products, head, problems, work)
    yield from render_pages(head, work, note)


def _render_tables(
    products: Iterable[StoredAdvice], head: Mapping[str, Any], problems: Sequence[Problem], work: WorkList
) -> Iterator[tuple[str, str | bytes]]:
    """Yield all files but the pages, and add the products to the work list."""
    orders: list[tuple[str, ...]] = []
    yield TABLE, f"{COLUMNS}\n"
    yield DOCUMENT, f'{json_of(head)[:-1]}, "products": ['
    for product in products:
        yield DOCUMENT, (b",\n" if len(work) else b"\n") + product.record
        yield TABLE, product.days
        work.add(product)
        name = safe_text(product.product)
        orders += [(name, day, f"{units:g}", arrives) for day, units, arrives in product.summary.orders]
    yield DOCUMENT, "\n]}\n"
    if problems:
        yield PROBLEMS, problem_table(problems)
    if orders:
        yield REORDERS, csv_text([("Product", "Order On", "Units", "Arrives"), *orders])


def check_folder(folder: Path, role: str = "") -> None:
    """Refuse a folder, which need not exist, that files cannot be written into; ``role`` precedes its name."""
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    refuse(
        {
            f"{role}{above} is a file; name a folder": not above.is_dir(),
            f"{role}{folder} cannot be written: no permission": not os.access(above, os.W_OK | os.X_OK),
        }
    )
    refuse_folders(folder, (TABLE, DOCUMENT, PRICES, REORDERS, INDEX, WORKBOOK, PROBLEMS))


def read_advice(folder: Path) -> dict[str, Any] | None:
    """Return the ``advice.json`` of a folder, or None if it is missing, damaged, or of another format."""
    try:
        document = msgspec.json.decode((folder / DOCUMENT).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None


@lru_cache(maxsize=16)
def read_summed(folder: Path, changed: int) -> tuple[dict[str, Any], dict[str, Summary]] | None:
    """Return `read_advice` with the summaries of its products, read anew if its file has ``changed``."""
    if (document := read_advice(folder)) is None:
        return None
    return document, {item["product"]: Summary.of(item) for item in document["products"]}
