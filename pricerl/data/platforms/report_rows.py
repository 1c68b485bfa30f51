"""Rows of an export: those that count as sales, the product of each, and the lines of an order.

Rows are a frame of categorical texts under the preset's names; its index is the line of each row in the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from babel.numbers import list_currencies

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.history import UNNAMED_PRODUCT
from pricerl.data.platforms.presets import ANY, PRICE, FillDown, OrderDiscount, Preset, Split, Status
from pricerl.data.reading.columns import fold, fold_product
from pricerl.data.reading.currencies import split_currency
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.tables import TextColumn, as_categorical
from pricerl.formatting import plural


def choose_rows(cells: pd.Series, choose: Callable[[str], object]) -> BoolArray:
    """Return the rows ``(N,)`` whose cell is chosen; each different text is judged once."""
    return TextColumn(cells).choose(choose)


def _count(cells: pd.Series) -> Counter[str]:
    """Return the number of rows by text, without spaces around it."""
    numbers = cells.value_counts(sort=False)
    summed = numbers[numbers > 0].groupby(lambda text: str(text).strip(), observed=True, sort=False).sum()
    return Counter({str(text): int(number) for text, number in summed.items()})


def count_sales(preset: Preset, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[Problem]]:
    """Return the rows that count as sales, notes on the others, and problems of status and currency."""
    for column in rows.columns.intersection(list(preset.skip)):
        rows = rows[~choose_rows(rows[column], re.compile(preset.skip[column], re.IGNORECASE).search)]
    rows = _fill_down(preset.fill_down, rows)
    notes = []
    problems = []
    for rule in (rule for rule in preset.status if rule.column in rows):
        rows, remarks, trouble = _apply_status(preset, rule, rows)
        notes += remarks
        problems += trouble
    counts = _count_currencies(preset, rows)
    if len(counts) > 1:
        listed = ", ".join(f"{name} ({plural(count, 'row')})" for name, count in counts.most_common(4))
        problems.append(
            Problem(0, str(preset.currency), f"has {len(counts)} currencies: {listed}; export each currency on its own")
        )
    return rows, notes, problems


def _fill_down(rule: FillDown | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Copy cells from a line to later ones of the same order, or of the same file."""
    if rule is None or (rule.by and rule.by not in rows):
        return rows
    filled = rows.copy()
    for column in rows.columns.intersection(list(rule.columns)):
        cells = rows[column].mask(choose_rows(rows[column], is_blank))
        above = cells.groupby(rows[rule.by], observed=True, sort=False).ffill() if rule.by else cells.ffill()
        filled[column] = above.fillna(rows[column])
    return filled


def _apply_status(preset: Preset, rule: Status, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[Problem]]:
    """Return the rows whose status counts as a sale, notes, and a problem per unknown status."""
    keep, drop, unpaid = (partial(_is_one_of, values) for values in (rule.keep, rule.drop, rule.unpaid))
    cells = rows[rule.column]
    counted = choose_rows(cells, lambda text: keep(text) or (ANY in rule.keep and not drop(text)))
    left = _count(cells[~counted])
    remedy = f"list it in keep or drop of a copy of preset {preset.name}, or remove such rows"
    problems = [
        Problem(_first_line(cells, text), rule.column, f"{text!r} is not a known status; {remedy}")
        for text in left
        if ANY not in rule.drop and not drop(text)
    ]
    notes = [
        *_describe(left, "not counted as sales", rule),
        *_describe(_count(cells[choose_rows(cells, unpaid) & counted]), "not paid yet and counted as demand", rule),
    ]
    return rows[counted], notes, problems


def _first_line(cells: pd.Series, text: str) -> int:
    """Return the line of the first row with a text, without spaces around it."""
    return int(cells.index[int(np.argmax(choose_rows(cells, lambda cell: cell.strip() == text)))])


def _is_one_of(values: Sequence[str], text: str) -> bool:
    """Return whether a text is one of several values, in which ``*`` is any text."""
    bare = "" if is_blank(text) else text.strip().casefold()
    return any(
        fnmatchcase(bare, value.casefold()) if ANY in value else fold(bare) == fold(value)
        for value in values
        if value != ANY
    )


def _describe(counts: Counter[str], what: str, rule: Status) -> list[str]:
    """Return a note on rows, with the three most frequent texts of a status; none without rows."""
    if not counts:
        return []
    few = ", ".join(f"{text or 'blank'} ({count:,})" for text, count in counts.most_common(3))
    rows = f"{plural(counts.total(), 'row')} {'is' if counts.total() == 1 else 'are'}"
    return [f"{rows} {what}: {rule.column} {few}{' and others' if len(counts) > 3 else ''}."]


def find_code(preset: Preset, rows: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return the ISO 4217 code in the currency column, else in the file's ``names`` of revenue's columns, or ""."""
    money = [name for text in ("revenue", PRICE) if text in preset.sums for name in preset.expressions()[text].columns]
    stated = {split_currency(names[name]).currency for name in money if name in names} - {""}
    found = {text.upper() for text in _count_currencies(preset, rows)} if preset.currency in rows else stated
    codes = found & list_currencies() if len(found - {""}) == 1 else set()
    return min(codes, default="")


def _count_currencies(preset: Preset, rows: pd.DataFrame) -> Counter[str]:
    counts = _count(rows[preset.currency]).items() if preset.currency in rows else ()
    return Counter({text: count for text, count in counts if not is_blank(text)})


def name_products(
    preset: Preset, candidates: Sequence[str], rows: pd.DataFrame
) -> tuple[pd.Categorical[str], list[Problem]]:
    """Return the product of each row ``(N,)``: the first column that names one in every row; and problems."""
    nobody = pd.Categorical([UNNAMED_PRODUCT]).repeat(len(rows))
    instead = f"; {preset.instead}" if preset.instead else ""
    blanks = {name: choose_rows(rows[name], is_blank) for name in candidates if name in rows}
    if not blanks:
        listed = " or ".join(map(repr, candidates))
        return nobody, [Problem(0, "", f"{preset.title}, needs a column {listed}{instead}")] if candidates else []
    column = min(blanks, key=lambda name: int(blanks[name].sum()))
    cells = rows[column].array.remove_unused_categories()
    pattern = re.compile(preset.product_pattern or "(.*)", re.DOTALL)
    found = {text: pattern.fullmatch(text.strip()) for text in cells.categories}
    blank = blanks[column]
    faulty = blank if blank.any() else np.array([match is None for match in found.values()], dtype=bool)[cells.codes]
    if faulty.any():
        row = int(np.argmax(faulty))
        why = "is blank; every sale needs a product" if blank.any() else f"{cells[row].strip()!r} is not one product"
        return nobody, [Problem(int(rows.index[row]), column, f"{why}{instead}")]
    names = [match[1].strip() for match in found.values() if match]
    alike, _ = pd.factorize(np.array([fold_product(name) for name in names], dtype=object))
    codes, order = pd.factorize(alike[cells.codes])
    first = np.unique(alike, return_index=True)[1]
    return pd.Categorical.from_codes(codes, categories=pd.Index([names[int(at)] for at in first[order]])), []


def split_cells(rule: Split | None, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Return a row per line of an order that a cell lists, with a column per field, and the cells that list none."""
    if rule is None or rule.column not in rows:
        return rows, []
    names = list(map(re.escape, rule.fields))
    cells = rows[rule.column].astype(object)
    listed = cells.str.match(rf"\s*{names[0]}\s*:")
    problems = [
        Problem(int(line), rule.column, f"{quote(cells[line])!r} does not start with {rule.fields[0]!r}")
        for line in rows.index[~listed & ~choose_rows(rows[rule.column], is_blank)]
    ]
    lines = cells[listed].str.split(rf"\s*{re.escape(rule.separator)}\s*(?={names[0]}\s*:)", regex=True).explode()
    split = rows.loc[lines.index]
    for field, name in zip(rule.fields, names, strict=True):
        value = rf"(?s)(?:^|,)\s*{name}\s*:(.*?)(?=,\s*(?:{'|'.join(names)})\s*:|$)"
        split[field] = as_categorical(lines.str.extract(value, expand=False).fillna("").str.strip().tolist())
    return split, problems


def spread_discount(
    rule: OrderDiscount | None, rows: pd.DataFrame, revenue: FloatArray, numbers: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the revenue of each row ``(N,)`` after its share, in proportion, of the discount on its order."""
    if rule is None or rule.by not in rows or rule.column not in rows:
        return revenue
    orders = rows[rule.by].array.codes

    def of_order(values: FloatArray | BoolArray, how: Literal["sum", "max", "any"]) -> FloatArray:
        return np.asarray(pd.Series(values).groupby(orders).transform(how))

    total = of_order(revenue, "sum")
    discount = of_order(numbers[rule.column], "max")
    if rule.subtotal in rows:
        known = of_order(~choose_rows(rows[rule.subtotal], is_blank), "any")
        subtotal = np.maximum(of_order(numbers[str(rule.subtotal)], "max"), 0)
        discount = np.where(known, np.minimum(discount, total - subtotal), discount)
    discount = np.clip(np.round(discount, 6), 0, np.maximum(total, 0))
    discount[choose_rows(rows[rule.by], is_blank)] = 0
    return np.asarray(revenue * (1 - np.divide(discount, total, out=np.zeros_like(total), where=total > 0)))
