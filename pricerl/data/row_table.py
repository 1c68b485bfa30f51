"""Tables of what a seller knows about single products, ``costs.csv`` and ``stock.csv``: reading and checks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import compress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from pricerl.arrays import grouped, is_number
from pricerl.data.naming import describe_strangers
from pricerl.data.reading.columns import FIRST_YEAR, PRODUCT, UNIT_COST, fold
from pricerl.data.reading.currencies import check_currencies, find_currency, split_currency
from pricerl.data.reading.dates import read_dates
from pricerl.data.reading.header import ALIASES, VAGUE_COSTS
from pricerl.data.reading.numbers import is_blank, read_number_columns
from pricerl.data.reading.problems import Problem, list_names
from pricerl.data.reading.sources.containers import open_tables
from pricerl.errors import DataError, UsageError, did_you_mean
from pricerl.formatting import csv_text, safe_text
from pricerl.writing import write_text

Row = Mapping[str, Any]
"""Values by the keys of a table's columns, at least one number."""

FIRST_DAY = f"{FIRST_YEAR}-01-01"
"""First day that a history may have; it stands for a blank one."""
STRANGE = "is left out: the history has no such product"
"""Remark on a product of a table that the history lacks."""
MISSPELT = 0.8
"""Least similarity of an unknown name to a column's that is taken for a mistake; columns of platforms have less."""
_SETTING = re.compile(r"(?:write YYYY-MM-DD or )?set --data\.reading\.\w+")
"""Remedy of a history's file, which does not apply to this one."""
_REMEDY = "write it like 2025-03-01 or 1234.50"
_NAMES = {**ALIASES, UNIT_COST: (*ALIASES[UNIT_COST], *VAGUE_COSTS)}
"""Further names that columns have in a history, too."""
_WEEKS = r"w|wks?|weeks?|wochen?|semaines?|semanas?|settiman[ae]"
_UNIT = re.compile(rf"(?:\s+|(?<=\d))(?:(?P<weeks>{_WEEKS})|d|days?|tage?|jours?|d[ií]as?|giorn[io])$", re.IGNORECASE)
"""Unit of a duration, after its number or in the name of its column."""
_REMARK = re.compile(r"\s*\(.*\)$")
"""Remark in a column's name, such as (weeks) or (not editable)."""


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and str(date.fromisoformat(value)) == value
    except ValueError:
        return False


KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a name", lambda value: isinstance(value, str)),
    "day": ("a day such as 2025-03-01", _is_day),
    "number": ("a finite number", is_number),
}
"""Forms of a value by kind of column, in words and as a check."""


class Column(msgspec.Struct, frozen=True):
    """Column of a table with its further names, and its values.

    Of ``several`` columns the one whose name comes first counts. A number lies between ``low`` and ``high``, or the
    ``remedy`` is printed; a day lies ``after`` the day of another key.
    """

    name: str
    kind: Literal["name", "day", "number"] = "number"
    others: tuple[str, ...] = ()
    several: bool = False
    low: float = 0.0
    high: float = math.inf
    remedy: str = ""
    after: str = ""
    least: float = 0.0
    """Smallest value but 0; a smaller one was probably meant as a share."""
    old: bool = False
    """Whether it is read, but written no longer."""
    seldom: bool = False
    """Whether it is written only where a row has it."""
    needed: bool = False
    """Whether every row has it."""
    most: str = ""
    """Key of a number that it may not exceed."""

    def find_fault(self, value: Any, row: Row = MappingProxyType({})) -> str:
        """Return what is wrong with a value in its row; empty if it is right, or absent where it may be."""
        if value is None:
            return "is blank; every row needs one" if self.needed else ""
        form, fits = KINDS[self.kind]
        if not fits(value):
            return f"must be {form}, found {value!r}"
        if self.kind != "number":
            early = self.after in row and value <= str(row[self.after])
            return f"{value} is not after {row[self.after]}, the day of the count; correct or clear it" if early else ""
        high = min(self.high, row.get(self.most, math.inf))
        span = (
            f"be 0 or lie between {self.least:g} and {high:g}"
            if self.least
            else f"be {self.low:g} or more"
            if high == math.inf
            else f"lie between {self.low:g} and {high:g}"
        )
        right = self.low <= value <= high and not 0 < value < self.least
        return "" if right else f"must {span}, found {value}{self.remedy}"


class RowsRead(NamedTuple):
    """Rows of a file that have a number."""

    rows: list[dict[str, Any]]
    notes: list[str]
    """Remarks on columns and products that were ignored."""
    lines: list[int]
    currency: str
    """ISO 4217 code that the file names; empty if it names none."""


class RowTable(NamedTuple):
    """Table of products, with its columns by the keys of a row."""

    name: str
    columns: Mapping[str, Column]

    def keys(self, kind: str = "number") -> list[str]:
        """Return the keys of one kind of column."""
        return [key for key, column in self.columns.items() if column.kind == kind]

    def written(self, rows: Sequence[Row] = ()) -> dict[str, Column]:
        """Return the columns of a file with ``rows``, or of a new one."""
        return {
            key: column
            for key, column in self.columns.items()
            if not column.old and (not column.seldom or any(key in row for row in rows))
        }

    def check(self, rows: Sequence[Row], lines: Sequence[int]) -> list[Problem]:
        """Return unknown keys, wrong values, and costs of the same product and day; ``lines`` are the rows' places."""
        problems: list[Problem] = []
        starts = dict[tuple[Any, ...], int]()
        named = any("product" in row for row in rows)
        for row, line in zip(rows, lines, strict=True):
            problems += [
                *(
                    Problem(line, str(key), f"is not known{did_you_mean(str(key), self.columns)}")
                    for key in row
                    if key not in self.columns
                ),
                *(
                    Problem(line, column.name, fault)
                    for key, column in self.columns.items()
                    if (fault := column.find_fault(row.get(key), row))
                ),
            ]
            first = starts.setdefault((str(row.get("product")), str(row.get("from")), row.get("up_to")), line)
            if row and named and row.get("product") is None:
                problems.append(Problem(line, PRODUCT, "is blank; every row needs a product"))
            elif row and first != line and "from" in self.columns:
                problems.append(Problem(line, "", f"product and first day repeat line {first}; keep one"))
        return problems

    def group(self, setting: str, rows: Sequence[Row] | None) -> dict[str, list[Row]]:
        """Return a setting's rows by product, ``""`` for the only one, or a ``UsageError`` with all that is wrong.

        Fees become the share kept, as the market has it.
        """
        if not all(isinstance(row, dict) for row in rows or ()):
            raise UsageError(f"{setting} must list rows such as {{product: Mug, {self.keys()[0]}: 6}}")
        known = list(map(_with_fees, rows or ()))
        if problems := self.check(known, range(1, len(known) + 1)):
            raise UsageError(f"{setting}: {'; '.join(map(str, problems))}".replace("line ", "row "))
        ordered = sorted(known, key=lambda row: (row.get("from") or FIRST_DAY, -(row.get("up_to") or math.inf)))
        return grouped((row.get("product") or "", _with_share(row)) for row in ordered)

    def check_products(self, listed: Collection[str], known: Collection[str], count: int) -> list[str]:
        """Return products that are not ``known``, or refuse them if no other is.

        Rows without a product are refused unless the history has ``count`` 1.
        """
        if "" in listed and count > 1:
            raise UsageError(f"{self.name}: the history has {count} products; name them in a column Product")
        strangers = [name for name in listed if name and name not in known]
        if strangers and len(strangers) == len(listed):
            raise UsageError(f"{self.name}: {describe_strangers(strangers, known)}")
        return strangers

    def read(self, path: str, usual: Row) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the rows of a file that have a number, and notes on what was ignored, as `read_lines` does."""
        return self.read_lines(path, usual)[:2]

    def read_lines(self, path: str, usual: Row) -> RowsRead:
        """Return the rows with a number of a file in any format of a history.

        A row has the ``usual`` values where it lacks them. A ``DataError`` lists every problem with its line.
        """
        (table,) = open_tables([path])
        header = [str(name).strip() for name in table.frame.columns]
        lines = table.lines
        places, notes, problems = self._match(header, table.header_line)
        cells = {key: [str(text).strip() for text in table.frame.iloc[:, place]] for key, place in places.items()}
        values: dict[str, list[Any]] = {"product": [_plain(text) for text in cells.get("product", [""] * len(lines))]}
        for key in (key for key in self.keys("day") if key in places):
            days, undated = read_dates([FIRST_DAY if is_blank(text) else text for text in cells[key]], lines, None)
            values[key] = [None if day in ("NaT", FIRST_DAY) else day for day in map(str, days)]
            problems += [item._replace(column=self.columns[key].name) for item in undated]
        doubtful = {item.line for item in problems}
        amounts = [key for key in self.keys() if key in places]
        texts = {self.columns[key].name: [_UNIT.sub("", text) for text in cells[key]] for key in amounts}
        numbers, unread = read_number_columns(texts, lines, "auto", table.separator)
        for key in amounts:
            column = header[places[key]] if key == "lead_days" else ""
            units = [1.0 if key == "fees" else _unit(text, column) for text in cells[key]]
            scaled = np.round(numbers[self.columns[key].name] * units, 9).tolist()
            values[key] = [None if math.isnan(value) else value for value in scaled]
        found = [{key: values[key][at] for key in values if values[key][at] is not None} for at in range(len(lines))]
        rows = [_with_fees({**usual, **row}) if row else row for row in found]
        names = {self.columns[key].name: header[place] for key, place in places.items()}
        ragged = f"as many cells as the header, {len(header)}, are needed; a decimal comma needs quotes"
        problems += [
            *unread,
            *(item for item in self.check(rows, lines) if item.line not in doubtful),
            *check_currencies(texts, lines, names, table.header_line),
            *(Problem(row.line, "", ragged) for row in table.ragged),
        ]
        if problems:
            raise DataError(path, [_SETTING.sub(_REMEDY, str(problem)) for problem in sorted(problems)])
        numbered = [not row.keys().isdisjoint(self.keys()) for row in rows]
        given = list(compress(rows, numbered))
        named = {row.get("product") for row in given}
        empty = [row["product"] for row in rows if "product" in row and row["product"] not in named]
        notes += [f"nothing is given for {list_names(empty)}."] if empty else []
        noted = [f"{path}: {note}" for note in notes]
        return RowsRead(given, noted, list(compress(lines, numbered)), find_currency(texts, names))

    def _match(self, header: Sequence[str], line: int) -> tuple[dict[str, int], list[str], list[Problem]]:
        """Return the place of each column by key, a note on those ignored, and the problems of the header."""
        forms = [{fold(cell), fold(split_currency(cell).name), fold(_REMARK.sub("", cell))} for cell in header]
        named = {key: (it.name, *it.others, *_NAMES.get(it.name, ())) for key, it in self.columns.items()}
        found = {
            key: [place for name in map(fold, names) for place, own in enumerate(forms) if name in own]
            for key, names in named.items()
        }
        places = {key: fitting[0] for key, fitting in found.items() if fitting}
        problems = [
            f"several columns can be {self.columns[key].name!r}; keep one"
            for key, fitting in found.items()
            if len({*fitting}) > 1 and not self.columns[key].several
        ]
        absent = {fold(column.name): column.name for key, column in self.columns.items() if key not in places}
        unused = [cell for place, cell in enumerate(header) if cell and place not in places.values()]
        problems += [
            f"column {cell!r} is not known; did you mean {absent[meant]!r}?"
            for cell in unused
            for meant in get_close_matches(fold(cell), absent, 1, MISSPELT)
        ]
        if not problems and places.keys().isdisjoint(self.keys()):
            problems.append(
                f"column {self.columns[self.keys()[0]].name!r} is missing; the header has: {', '.join(header[:12])}"
            )
        notes = [f"not used: {list_names(unused)}."] if unused else []
        return places, notes, [Problem(line, "", text) for text in problems]

    def write(self, path: Path, rows: Sequence[Row]) -> None:
        """Write rows; a ``UsageError`` names all wrong values."""
        self.group(path.name, rows)
        columns = self.written(rows)
        cells = [[safe_text(_cell(row.get(key))) for key in columns] for row in map(_with_fees, rows)]
        write_text(path, csv_text([[column.name for column in columns.values()], *cells]))

    def template(self, products: Mapping[str, float | None]) -> str:
        """Return a file to fill in: a row per product with its first number, blank where it is unknown."""
        names = [column.name for column in self.written().values()]
        rows = ([safe_text(name), _cell(it), *[""] * (len(names) - 2)] for name, it in products.items())
        return csv_text([names, *rows])


def _with_fees(row: Row) -> dict[str, Any]:
    """Return a row with fees, percent, in place of a share kept that an older file or setting has."""
    kept = row.get("share_kept")
    if not is_number(kept) or not (0.5 <= kept <= 1 or 50 <= kept <= 100):
        return dict(row)
    fees = {"fees": round(100 - kept * (100 if kept <= 1 else 1), 9)}
    return {**fees, **{key: value for key, value in row.items() if key != "share_kept"}}


def _with_share(row: Row) -> Row:
    """Return the values that a row has, with the share kept in place of fees."""
    kept = {} if row.get("fees") is None else {"share_kept": round(1 - row["fees"] / 100, 9)}
    return {**{key: value for key, value in row.items() if value is not None and key != "fees"}, **kept}


def _cell(value: Any) -> str:
    """Return a value as the text of a cell, blank if absent."""
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str | None:
    """Return a product's name without the sign that `safe_text` puts before a formula, or None if blank."""
    return None if is_blank(text) else text[1:] if text[0] == "'" and safe_text(text[1:]) == text else text


def _unit(text: str, column: str) -> float:
    """Return the unit of a cell's number, or that in its column's name: a percent, or the days of a duration."""
    found = _UNIT.search(text) or _UNIT.search(column.replace("(", " ").rstrip(")"))
    return 0.01 if "%" in text else 7.0 if found and found["weeks"] else 1.0


_FILE = Path(__file__).with_name("tables.yaml")
_COLUMNS = msgspec.yaml.decode(_FILE.read_bytes(), type=dict[str, dict[str, Column]])
TABLES = {name: RowTable(name, columns) for name, columns in _COLUMNS.items()}
"""Tables by the option that names their file."""
