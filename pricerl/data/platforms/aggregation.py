"""Aggregation of a recognised export: its sums per product and day, as the columns of a history."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.platforms.posted_prices import find_line_prices, find_medians, note_prices, set_apart
from pricerl.data.platforms.presets import ORDER_LINES, PRICE, Preset, locate
from pricerl.data.platforms.report_rows import (
    choose_rows,
    count_sales,
    find_code,
    name_products,
    split_cells,
    spread_discount,
)
from pricerl.data.reading import columns
from pricerl.data.reading.dates import read_days
from pricerl.data.reading.numbers import is_blank, read_groups, read_number_columns, read_texts
from pricerl.data.reading.problems import FILE_STEP, KEEP, Problem, refuse
from pricerl.data.reading.ragged_rows import check_share, find_lost
from pricerl.data.reading.tables import AMOUNTS, ORDER, Orders, Parsed, TextColumn, TextTable
from pricerl.formatting import plural

LARGEST_SHARE_ABOVE = 0.1
"""Largest share of lines whose total may exceed units at their price."""

LARGEST_SHARE_COPIED = 0.01
"""Largest share of rows that may be there twice by chance."""

DECIMALS = 6
"""Sums are rounded to a millionth, so that equal prices stay equal."""

LEAST_COUPONS = 0.5
"""Smallest share of a day's sales that counts as given away, percent; less is the rounding of prices."""


def aggregate(preset: Preset, table: TextTable, config: DataConfig, products: Sequence[str]) -> Parsed:
    """Sum the sales of an export per product and day, as columns of a history, or raise a ``DataError``."""
    if preset.grain == "period" or not preset.sums or preset.date is None:
        lack = "dates" if preset.grain == "period" else "units and prices of products"
        refuse(table.source, [f"{preset.title}, has no {lack}; {preset.instead}"])
    names = locate(preset, table.header)
    places = [table.header.index(cell) for cell in names.values()]
    every = table.frame.iloc[:, places].set_axis(list(names), axis=1).set_axis(pd.Index(table.lines), axis=0)
    table = _without_footer(preset, table)
    rows, notes, problems = count_sales(preset, every)
    rows, unlisted = split_cells(preset.split, rows)
    named, unnamed = name_products(preset, products, rows)
    values, unread = _read_values(preset, rows, config, table.separator)
    dates = rows[preset.date.column]
    find_days = partial(read_days, rule=preset.date, config=config)
    days, undated, remarks = find_days(dates, rows.index.to_list())
    problems = [*check_share(table), *problems, *unlisted, *unnamed, *unread, *undated]
    if not problems and config.suspicious == "refuse":
        problems = _find_copies(table, rows.index, days)
    if problems:
        heads = {**names, columns.REPORT_DATE: names[preset.date.column]}
        renamed = (problem._replace(column=heads.get(problem.column, problem.column)) for problem in problems)
        refuse(table.source, renamed, table.files)
    lost = find_lost(table, table.header.index(names[preset.date.column]), None, dates, find_days)
    lines = pd.DataFrame({"product": named, "day": days, **values}, index=rows.index)
    kept, apart = set_apart(lines) if preset.has_lines else (slice(None), [])
    lines = lines[kept]
    if lines.empty:
        refuse(
            table.source, [f"{preset.title}: none of {plural(len(every), 'row')} counts as a sale", *apart], table.files
        )
    frame, remarked = _group(preset, lines)
    remarked += _add_groups(frame, rows, names)
    listed = f" Columns: {', '.join(names.values())}." if preset.name == ORDER_LINES else ""
    read = (
        f"Read as {preset.title} (preset {preset.name}): {plural(len(lines), preset.grain)} of "
        f"{plural(lines['product'].nunique(), 'product')}.{listed}"
    )
    return Parsed(
        frame.reset_index(drop=True),
        frame.index.to_list(),
        [*table.notes, read, *notes, *apart, *remarked, *remarks, *filter(None, [preset.caution])],
        lost=lost,
        currency=find_code(preset, rows, names),
        orders=_find_orders(preset.order if preset.has_lines else None, every, lines),
    )


def _add_groups(frame: pd.DataFrame, rows: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Add the group of each product and day to a frame by the line of their first row, if any; return a note on it."""
    if columns.GROUP not in rows or choose_rows(rows[columns.GROUP], is_blank).all():
        return []
    of_line = rows[columns.GROUP][~rows.index.duplicated()]
    frame[columns.GROUP] = read_groups(of_line.loc[frame.index])
    return [f"Column {names[columns.GROUP]!r} was read as {columns.GROUP}."]


def _find_orders(column: str | None, every: pd.DataFrame, lines: pd.DataFrame) -> Orders | None:
    """Return the orders of an export on its first and last day if it has the column of their numbers."""
    if column is None or column not in every:
        return None
    numbers = every[column].astype(str).str.strip()
    edges = lines[lines["day"].isin([lines["day"].min(), lines["day"].max()])]
    edges = edges.assign(product=edges["product"].astype(str), number=numbers[edges.index])
    return Orders(edges.groupby(ORDER, as_index=False)[AMOUNTS].sum(), {*numbers})


def _without_footer(preset: Preset, table: TextTable) -> TextTable:
    """Return a table without the ragged rows around each file's rows that belong to the export."""

    def is_inside(line: int) -> bool:
        at = bisect_left(table.lines, line)
        return [near // FILE_STEP for near in table.lines[max(at - 1, 0) : at + 1]] == 2 * [line // FILE_STEP]

    around = Counter(row.line // FILE_STEP for row in table.ragged if not is_inside(row.line))
    ragged = (row for row in table.ragged if is_inside(row.line) or around[row.line // FILE_STEP] > preset.footer)
    return replace(table, ragged=tuple(ragged))


def _find_copies(table: TextTable, rows: pd.Index, days: DateArray) -> list[Problem]:
    """Return a problem if rows, by their lines, repeat earlier ones, with rows of other days ``(N,)`` in between."""
    texts = pd.util.hash_pandas_object(table.frame.set_axis(pd.Index(table.lines)).loc[rows], index=False).to_numpy()
    block = pd.Series(np.cumsum(np.diff(days, prepend=days[:1]).astype(np.int64) != 0))
    copied = np.flatnonzero(block != block.groupby([texts, days]).transform("first"))
    if len(copied) <= max(1, LARGEST_SHARE_COPIED * len(rows)):
        return []
    line, before = rows.to_numpy()[[copied[0], np.argmax(texts == texts[copied[0]])]].tolist()
    text = (
        f"{plural(len(copied), 'row')} are in the file already, such as this one on line {before}, cell by cell; "
        f"delete what is there twice. Otherwise, {KEEP}"
    )
    return [Problem(line, "", text, everywhere=True)]


def _read_values(
    preset: Preset, rows: pd.DataFrame, config: DataConfig, separator: str
) -> tuple[dict[str, FloatArray], list[Problem]]:
    """Return the expression of each sum for each row ``(N,)``, and the problems of its cells."""
    needed = {PRICE: all, "revenue": any}  # price × units, or revenue over units, stand for the other
    expressions = {
        name: it
        for name, it in preset.expressions().items()
        if name not in needed or needed[name](column in rows for column in it.columns)
    }
    used = dict.fromkeys(name for expression in expressions.values() for name in expression.columns)
    rule = preset.order_discount
    every = dict.fromkeys([*used, *([rule.column, rule.subtotal or rule.column] if rule else ())])
    present = {name: rows[name] for name in every if name in rows}
    decimal = _find_decimal(present, preset.decimal) if config.decimal == "auto" else config.decimal
    numbers, problems = read_number_columns(present, rows.index.to_list(), decimal, separator)
    numbers = {
        name: np.nan_to_num(numbers.get(name, np.zeros(len(rows))), posinf=np.inf, neginf=-np.inf) for name in every
    }
    problems += [
        Problem(int(line), name, f"is blank in a row that counts as a sale; {preset.title}, always fills it")
        for name in used
        if name in present and name not in preset.optional
        for line in rows.index[choose_rows(rows[name], is_blank)]
    ]
    values = {name: expression(numbers) for name, expression in expressions.items()}
    if problems or preset.kind != "sales":
        return values, problems
    values.setdefault("revenue", values["units"] * values.get(PRICE, np.nan))
    if preset.has_lines:
        values[PRICE], above = find_line_prices(values)
        if preset.name == ORDER_LINES and above > LARGEST_SHARE_ABOVE:
            problems = [
                Problem(
                    0,
                    "Line Total",
                    f"is above quantity × unit price on {above:.0%} of lines; does it hold taxes, shipping or orders? "
                    "Leave the column out, or rename it",
                )
            ]
    values["revenue"] = spread_discount(rule, rows, values["revenue"], numbers)
    return values, problems


def _find_decimal(cells: Mapping[str, pd.Series], usual: str | None) -> str:
    """Return the decimal sign that numbers of the export need, else the usual one; ``auto`` if they need both."""
    readings = [read_texts(TextColumn(column).texts) for column in cells.values()]
    needs_point = any((np.isnan(comma) & ~np.isnan(point)).any() for point, comma, _ in readings)
    needs_comma = any((np.isnan(point) & ~np.isnan(comma)).any() for point, comma, _ in readings)
    if needs_point and needs_comma:
        return "auto"
    return "." if needs_point else "," if needs_comma else usual or "auto"


def _group(preset: Preset, lines: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the columns of a history per product and day, of ads with the sums themselves, and notes.

    The index is the line of the first row of each.
    """
    groups = lines.groupby(["product", "day"], observed=True).ngroup().to_numpy().astype(np.int64)
    first = np.unique(groups, return_index=True)[1]
    sums: dict[str, FloatArray] = {
        str(name): np.asarray(np.round(np.bincount(groups, values), DECIMALS), dtype=np.float64)
        for name, values in lines.drop(columns=["product", "day"]).items()
    }
    notes = []
    if PRICE in sums:
        sums[PRICE] = find_medians(lines[PRICE].to_numpy(), lines["units"].to_numpy(), groups).round(DECIMALS)
        notes = note_prices(lines, sums[PRICE][groups])
    derived = {name: np.round(expression(sums), DECIMALS) for name, expression in preset.derived().items()}
    if (price := derived.get(columns.PRODUCT_PRICE)) is not None:
        price[~(price > 0)] = np.nan  # days of returns or gifts only have no price
    if columns.COUPONS in derived:
        derived[columns.COUPONS] *= derived[columns.COUPONS] >= LEAST_COUPONS
    frame = lines[["product", "day"]].iloc[first].set_axis([columns.PRODUCT, columns.REPORT_DATE], axis=1)
    frame[columns.PRODUCT] = frame[columns.PRODUCT].cat.remove_unused_categories()
    return frame.assign(**(sums if preset.kind == "ads" else {}), **derived), notes
