"""Lines of an order: those that a cell lists, and the share of each in a discount on the whole order."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.reading.export_rows import ExportRows
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.preset_fields import OrderDiscount, Split
from pricerl.data.reading.problems import Problem, quote
from pricerl.formatting import plural


def split_cells(rule: Split | None, rows: ExportRows) -> tuple[ExportRows, list[Problem]]:
    """Return a row per line of an order that a cell lists, with a column per field, and the cells that list none."""
    if rule is None or rule.column not in rows:
        return rows, []
    cells = rows.frame[rule.column].array
    used = set(np.unique(cells.codes))
    lines = [_split(rule, str(text)) if code in used else [] for code, text in enumerate(cells.categories)]
    empty = np.array([not found for found in lines], dtype=bool)[cells.codes] & ~rows.blanks(rule.column)
    problems = [
        Problem(int(rows.lines[at]), rule.column, f"{quote(str(cells[at]))!r} does not start with {rule.fields[0]!r}")
        for at in np.flatnonzero(empty)
    ]
    repeats = np.array([len(found) for found in lines], dtype=np.int64)[cells.codes]
    frame = rows.frame.take(np.repeat(np.arange(len(rows)), repeats))
    values = [line for code in cells.codes for line in lines[code]]
    for place, name in enumerate(rule.fields):
        texts = pd.Series([line[place] for line in values], dtype=object)
        frame[name] = pd.Categorical(texts)
    return ExportRows(frame, np.repeat(rows.lines, repeats)), problems


def _split(rule: Split, cell: str) -> list[tuple[str, ...]]:
    """Return the values of the fields of each line in a cell, an empty text for a field that a line does not have."""
    names = "|".join(map(re.escape, rule.fields))
    starts = rf"\s*{re.escape(rule.separator)}\s*(?={re.escape(rule.fields[0])}\s*:)"
    pattern = re.compile(rf"(?:^|,)\s*({names})\s*:(.*?)(?=,\s*(?:{names})\s*:|$)", re.DOTALL)
    if is_blank(cell) or not re.match(rf"\s*{re.escape(rule.fields[0])}\s*:", cell):
        return []
    found = [dict(pattern.findall(line)) for line in re.split(starts, cell)]
    return [tuple(values.get(name, "").strip() for name in rule.fields) for values in found]


def spread_discount(
    rule: OrderDiscount | None, rows: ExportRows, revenue: FloatArray, numbers: Mapping[str, FloatArray]
) -> tuple[FloatArray, list[str]]:
    """Return the revenue of each row ``(N,)`` after its share of the discount on its order, and a note.

    Args:
        rule: the discount; None if the export has none.
        rows: rows that count as sales.
        revenue: ``(N,)`` revenue before the discount.
        numbers: ``(N,)`` values of the discount's columns, by name; 0 where blank.
    """
    if rule is None or rule.by not in rows or rule.column not in rows:
        return revenue, []
    cells = rows.frame[rule.by].array
    orders, size = cells.codes, len(cells.categories)
    total = np.bincount(orders, revenue, size)
    discount = _largest(orders, numbers[rule.column], ~rows.blanks(rule.column), size)
    if rule.subtotal in rows:
        given = ~rows.blanks(str(rule.subtotal))
        after = _largest(orders, numbers[str(rule.subtotal)], given, size)
        known = np.bincount(orders, given, size) > 0
        discount = np.where(known, np.minimum(discount, total - after), discount)
    discount = np.clip(np.round(discount, 6), 0, np.maximum(total, 0))
    discount[[is_blank(str(text)) for text in cells.categories]] = 0
    reduced = int((discount > 0).sum())
    if not reduced:
        return revenue, []
    share = np.divide(discount, total, out=np.zeros(size), where=total > 0)
    of = f"{rule.column} of {plural(reduced, 'order')}, {discount.sum():,.2f} in total"
    note = f"{of}: spread over the lines of the order in proportion to their value."
    return revenue * (1 - share[orders]), [note]


def _largest(orders: np.ndarray, values: FloatArray, given: np.ndarray, size: int) -> FloatArray:
    """Return the largest given value of each order; 0 without any."""
    largest = np.zeros(size)
    np.maximum.at(largest, orders[given], np.nan_to_num(values[given]))
    return largest
