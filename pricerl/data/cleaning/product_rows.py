"""Rows of each product, sorted by day, and their place on a contiguous calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.reading import columns


class ProductRows(NamedTuple):
    """Rows of one product, oldest first."""

    name: str

    days: DateArray
    """``(N,)`` days, unit D, all different."""

    cells: dict[str, FloatArray]
    """``(N,)`` cells by column, NaN where blank; all columns of numbers and flags, all NaN where the file lacks one."""

    group: str = ""
    """Group of the newest row that has one; empty if none has."""


class Calendar(NamedTuple):
    """Rows of one product on a contiguous calendar."""

    dates: DateArray
    """``(D,)`` days, unit D."""

    present: BoolArray
    """``(D,)`` True where the file has a row."""

    grid: dict[str, FloatArray]
    """``(D,)`` cells by column, NaN where blank or without a row."""


def split_products(frame: pd.DataFrame) -> Iterator[ProductRows]:
    """Yield the rows of each product of a checked file, in the order of its categories; all rows are sorted once."""
    products = frame[columns.PRODUCT].array
    codes, days = np.asarray(products.codes), frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    order = np.lexsort((days, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    days = days[order]
    known = {name: frame[name].to_numpy()[order] for name in (*columns.NUMERIC, *columns.FLAGS) if name in frame}
    names = products.categories.tolist()
    absent = np.full(len(order), np.nan)
    cells = {name: known.get(name, absent) for name in (*columns.NUMERIC, *columns.FLAGS)}
    groups: list[str] = []
    member = np.full(len(order), -1)
    if columns.GROUP in frame:
        column = frame[columns.GROUP].array
        groups, member = column.categories.tolist(), np.asarray(column.codes)[order]
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield ProductRows(
            str(names[codes[order[start]]]),
            days[start:end],
            {column: values[start:end] for column, values in cells.items()},
            _newest_group(member[start:end], groups),
        )


def _newest_group(codes: IntArray, names: Sequence[str]) -> str:
    """Return the name of the last code ``(N,)`` that is not negative; empty if there is none."""
    known = codes[codes >= 0]
    return names[known[-1]] if len(known) else ""


def lay_out(days: DateArray, cells: Mapping[str, FloatArray], step_days: int, fewest: int = 0) -> Calendar:
    """Return rows on the calendar from the first to the last of their ``days (N,)``, which are whole steps apart.

    The calendar has at least ``fewest`` days.
    """
    places = (days - days[0]).astype(np.int64) // step_days
    size = max(int(places[-1]) + 1, fewest)
    if size == len(days):
        return Calendar(days, np.ones(size, dtype=bool), dict(cells))
    present = np.zeros(size, dtype=bool)
    present[places] = True
    grid = {name: np.full(size, np.nan) for name in cells}
    for name, values in cells.items():
        grid[name][places] = values
    return Calendar(days[0] + step_days * np.arange(size), present, grid)
