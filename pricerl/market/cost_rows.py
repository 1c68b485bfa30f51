"""Rows of ``costs.csv``: costs of single products, each from a day on."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pricerl.data.reading.columns import FIRST_YEAR, PRODUCT, UNIT_COST, fold
from pricerl.data.reading.currencies import check_currencies, split_currency
from pricerl.data.reading.dates import read_dates
from pricerl.data.reading.header import ALIASES, VAGUE_COSTS
from pricerl.data.reading.numbers import is_blank, read_number_columns
from pricerl.data.reading.problems import Problem, list_names
from pricerl.data.reading.sources.containers import open_tables
from pricerl.errors import DataError, did_you_mean
from pricerl.formatting import safe_text

Row = Mapping[str, Any]
"""Values by the keys of `ROW`, at least one of `COSTS`."""
COSTS = ("fixed_cost", "share_kept", "unit_cost")
"""Costs in the order in which they are fitted."""
ROW = {
    "product": PRODUCT,
    "unit_cost": UNIT_COST,
    "from": "From",
    "share_kept": "Share Kept",
    "fixed_cost": "Fixed Cost",
}
"""Columns of ``costs.csv`` by the key of a row."""
OTHER_NAMES = {
    "product": ALIASES[PRODUCT],
    "unit_cost": (*ALIASES[UNIT_COST], *VAGUE_COSTS),
    "from": ("Valid From", "Since", "Start", "Ab", "Gültig ab", "Depuis", "Desde", "Dal"),
}

FIRST_DAY = f"{FIRST_YEAR}-01-01"
"""First day that a history may have, from which costs without a day are in force."""
MIN_SHARE_KEPT = 0.5
"""No marketplace keeps more than half of revenue."""
_SETTING = re.compile(r"(?:write YYYY-MM-DD or )?set --data\.reading\.\w+")
"""Remedy of a history's file, which does not apply to this one."""


def find_fault(key: str, value: Any) -> str:
    """Return what is wrong with a value of a row; empty if it is right or absent."""
    if value is None:
        return ""
    if key in ("product", "from"):
        try:
            right = isinstance(value, str) and (key == "product" or str(date.fromisoformat(value)) == value)
        except ValueError:
            right = False
        return "" if right else f"must be a {'name' if key == 'product' else 'day such as 2025-03-01'}, found {value!r}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"must be a finite number, found {value}"
    if key == "share_kept":
        return "" if MIN_SHARE_KEPT <= value <= 1 else f"must lie between {MIN_SHARE_KEPT} and 1, found {value}"
    return f"must be 0 or more, found {value}" if key == "unit_cost" and value < 0 else ""


def check_rows(rows: Sequence[Row], lines: Sequence[int]) -> list[Problem]:
    """Return unknown keys, wrong values, and rows of the same product and day; ``lines`` are their places."""
    problems = []
    starts = dict[tuple[Any, Any], int]()
    named = any("product" in row for row in rows)
    for row, line in zip(rows, lines, strict=True):
        for key in row:
            fault = find_fault(key, row[key]) if key in ROW else f"is not known{did_you_mean(str(key), ROW)}"
            problems += [Problem(line, ROW.get(key, str(key)), fault)] if fault else []
        start = str(row.get("product")), str(row.get("from"))
        if row and named and row.get("product") is None:
            problems.append(Problem(line, PRODUCT, "is blank; every row needs a product"))
        elif row and start in starts:
            problems.append(Problem(line, "", f"product and first day are those of line {starts[start]}; keep one"))
        starts.setdefault(start, line)
    return problems


def read_costs(path: str) -> tuple[list[Row], list[str]]:
    """Read ``costs.csv``, or a table of another format with its columns.

    Returns:
        The rows with a cost, and notes on columns and products that were ignored.

    Raises:
        DataError: lists every problem with its line.
    """
    (table,) = open_tables([path])
    header = [str(name).strip() for name in table.frame.columns]
    lines = table.lines
    places, notes, problems = _match(header, table.header_line)
    blank = [""] * len(lines)
    cells = {key: [str(text).strip() for text in table.frame.iloc[:, place]] for key, place in places.items()}
    amounts = {ROW[key]: cells[key] for key in COSTS if key in cells}
    numbers, unreadable = read_number_columns(amounts, lines, "auto", table.separator)
    dated = [FIRST_DAY if is_blank(text) else text for text in cells.get("from", blank)]
    days, undated = read_dates(dated, lines, None)
    values: dict[str, list[Any]] = {"product": [_plain(text) for text in cells.get("product", blank)]}
    values["from"] = [None if day in ("NaT", FIRST_DAY) else day for day in map(str, days)]
    for key in (key for key in COSTS if key in cells):
        pairs = zip(numbers[ROW[key]].tolist(), cells[key], strict=True)
        values[key] = [None if math.isnan(number) else number / (100 if "%" in text else 1) for number, text in pairs]
    rows = [
        {key: values[key][at] for key in ROW if key in values and values[key][at] is not None}
        for at in range(len(lines))
    ]
    undatable = {line for line, day in zip(lines, days, strict=True) if str(day) == "NaT"}
    problems += [*unreadable, *(item._replace(column=ROW["from"]) for item in undated)]
    problems += [item for item in check_rows(rows, lines) if item.line not in undatable]
    names = {ROW[key]: header[place] for key, place in places.items()}
    problems += check_currencies(amounts, lines, names, table.header_line)
    ragged = f"as many cells as the header, {len(header)}, are needed; a decimal comma needs quotes"
    problems += [Problem(row.line, "", ragged) for row in table.ragged]
    if problems:
        remedy = "write it like 2025-03-01 or 1234.50"
        raise DataError(path, [_SETTING.sub(remedy, str(problem)) for problem in sorted(problems)])
    empty = [row.get("product", "") for row in rows if not {*row} & {*COSTS}]
    notes += [f"no cost is given for {list_names(empty)}; it stays unknown."] if any(empty) else []
    return [row for row in rows if {*row} & {*COSTS}], [f"{path}: {note}" for note in notes]


def _match(header: Sequence[str], line: int) -> tuple[dict[str, int], list[str], list[Problem]]:
    """Return the place of each column by key, a note per ignored one, and the problems of the header."""
    keys = {fold(name): key for key, own in ROW.items() for name in (own, *OTHER_NAMES.get(key, ()))}
    found = [keys.get(fold(cell), keys.get(fold(split_currency(cell).name))) for cell in header]
    places = {key: found.index(key) for key in ROW if key in found}
    problems = [f"several columns can be {ROW[key]!r}; keep one" for key in places if found.count(key) > 1]
    notes: list[str] = []
    for cell in (cell for cell, key in zip(header, found, strict=True) if key is None and cell):
        hint = did_you_mean(cell, [ROW[key] for key in ROW if key not in places])
        (problems if hint else notes).append(f"column {cell!r} is not known{hint or ' and was ignored.'}")
    if not problems and not {*places} & {*COSTS}:
        problems.append(f"column {UNIT_COST!r} is missing; the header has: {', '.join(header[:12])}")
    return places, notes, [Problem(line, "", text) for text in problems]


def _plain(text: str) -> str | None:
    """Return a product's name without the sign that `safe_text` puts before a formula; None if blank."""
    return None if is_blank(text) else text[1:] if text[0] == "'" and safe_text(text[1:]) == text else text


def costs_template(products: Mapping[str, float | None]) -> str:
    """Return ``costs.csv`` to fill in: a row per product with its unit cost, blank where it is unknown."""
    text = io.StringIO(newline="")
    rows = ([safe_text(name), "" if cost is None else f"{cost:.10g}", "", "", ""] for name, cost in products.items())
    csv.writer(text, lineterminator="\n").writerows([[*ROW.values()], *rows])
    return text.getvalue()
