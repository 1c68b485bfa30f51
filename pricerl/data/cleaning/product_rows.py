"""Rows of many products one after another: counted per product without a loop, and laid on contiguous calendars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.reading import columns


class Segments:
    """Rows of ``P`` products, stored one product after another.

    Args:
        sizes: ``(P,)`` number of rows of each product.
    """

    def __init__(self, sizes: IntArray | Sequence[int]) -> None:
        self.sizes: IntArray = np.asarray(sizes, dtype=np.int64)
        """``(P,)`` number of rows of each product."""
        self.edges: IntArray = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes)])
        """``(P + 1,)`` first row of each product, and the number of all rows."""

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> IntArray:
        """``(P,)`` first row of each product."""
        return self.edges[:-1]

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return int(self.edges[-1])

    def spread(self, values: Any) -> Any:
        """Return values ``(P,)`` repeated for each row, ``(N,)``."""
        return np.repeat(np.asarray(values), self.sizes)

    def part(self, product: int) -> slice:
        """Return the rows of one product."""
        return slice(int(self.edges[product]), int(self.edges[product + 1]))

    def parts(self, chosen: BoolArray) -> Iterator[slice]:
        """Yield the rows of each product that is chosen, ``(P,)``."""
        return map(self.part, np.flatnonzero(chosen).tolist())

    def count(self, flags: BoolArray) -> IntArray:
        """Return the number of True in ``flags (N,)`` by product, ``(P,)``."""
        return np.diff(np.searchsorted(np.flatnonzero(flags), self.edges))

    def any(self, flags: BoolArray) -> BoolArray:
        """Return whether ``flags (N,)`` are True on any row of each product, ``(P,)``."""
        return self.count(flags) > 0

    def first(self, flags: BoolArray) -> IntArray:
        """Return the first row of each product with True in ``flags (N,)``, the row after its last one without any."""
        at = np.append(np.flatnonzero(flags), self.rows)
        return np.asarray(np.minimum(at[np.searchsorted(at[:-1], self.starts)], self.edges[1:]))

    def last(self, flags: BoolArray) -> IntArray:
        """Return the last row of each product with True in ``flags (N,)``, the row before its first without any."""
        at = np.append(-1, np.flatnonzero(flags))
        return np.asarray(np.maximum(at[np.searchsorted(at[1:], self.edges[1:])], self.starts - 1))


PART_ROWS = 2**16
"""Rows of products that are cleaned at a time: a column of them fits a processor's cache."""


class ProductRows(NamedTuple):
    """Rows of several products, one product after another, oldest first."""

    names: list[str]
    """``P`` names of the products."""

    segments: Segments
    """Rows of each product."""

    days: DateArray
    """``(N,)`` days, unit D, all different within a product."""

    cells: dict[str, FloatArray]
    """``(N,)`` cells by column, NaN where blank; all columns of numbers and flags, all NaN where the file lacks one."""

    groups: list[str]
    """``P`` groups, each that of the product's newest row that has one; empty if none has."""

    def select(self, chosen: BoolArray) -> ProductRows:
        """Return the rows of the products that are chosen, ``(P,)``."""
        if chosen.all():
            return self
        rows = self.segments.spread(chosen)
        return ProductRows(
            list(compress(self.names, chosen)),
            Segments(self.segments.sizes[chosen]),
            self.days[rows],
            {name: values[rows] for name, values in self.cells.items()},
            list(compress(self.groups, chosen)),
        )


class Calendar(NamedTuple):
    """Rows of several products on contiguous calendars, ``(D,)`` days of all of them one after another."""

    days: Segments
    """Days of each product."""

    dates: DateArray
    """``(D,)`` days, unit D."""

    present: BoolArray
    """``(D,)`` True where the file has a row."""

    grid: dict[str, FloatArray]
    """``(D,)`` cells by column, NaN where blank or without a row."""


def split_products(frame: pd.DataFrame) -> Iterator[ProductRows]:
    """Yield the rows of a checked file, about `PART_ROWS` at a time, with products in the order of their categories."""
    products = frame[columns.PRODUCT].array
    codes = np.asarray(products.codes)
    days = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    order = order_rows(codes, days)
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    edges = np.append(starts, len(order))
    names = products.categories.tolist()
    known = {name: frame[name].to_numpy() for name in (*columns.NUMERIC, *columns.FLAGS) if name in frame}
    first = 0
    while first < len(starts):
        after = max(int(np.searchsorted(edges, edges[first] + PART_ROWS, side="right")) - 1, first + 1)
        rows = order[edges[first] : edges[after]]
        segments = Segments(np.diff(edges[first : after + 1]))
        absent = np.full(len(rows), np.nan)
        yield ProductRows(
            [str(names[code]) for code in codes[order[starts[first:after]]]],
            segments,
            days[rows],
            {name: known[name][rows] if name in known else absent for name in (*columns.NUMERIC, *columns.FLAGS)},
            _newest_groups(frame, rows, segments),
        )
        first = after


def order_rows(codes: IntArray, days: DateArray) -> IntArray:
    """Return the rows ``(N,)`` by product, then by day, then as they are; files are often in that order already."""
    same = codes[1:] == codes[:-1]
    later = days[1:] >= days[:-1]
    if (later & same | (codes[1:] > codes[:-1])).all():
        return np.arange(len(codes))
    return np.lexsort((days, codes))


def _newest_groups(frame: pd.DataFrame, rows: IntArray, segments: Segments) -> list[str]:
    """Return the group of the newest row of each product that has one; ``rows (N,)`` are those of the frame."""
    if columns.GROUP not in frame:
        return [""] * len(segments)
    column = frame[columns.GROUP].array
    names = column.categories.tolist()
    codes = np.asarray(column.codes)[rows]
    newest = segments.last(codes >= 0)
    return [names[codes[row]] if row >= start else "" for row, start in zip(newest, segments.starts, strict=True)]


def lay_out(rows: ProductRows, first: IntArray, step: IntArray, sizes: IntArray, skipped: IntArray) -> Calendar:
    """Return rows on contiguous calendars; rows before and after them are left out.

    Args:
        rows: rows of ``P`` products, which are whole steps apart.
        first: ``(P,)`` row of the day from which each calendar counts.
        step: ``(P,)`` days from row to row.
        sizes: ``(P,)`` days of each calendar.
        skipped: ``(P,)`` days from that day to the first one of the calendar.
    """
    calendar = Segments(sizes)
    owner_step = rows.segments.spread(step)
    place = (rows.days - rows.segments.spread(rows.days[first])).astype(np.int64) // owner_step
    place -= rows.segments.spread(skipped)
    kept = (place >= 0) & (place < rows.segments.spread(sizes))
    if kept.all() and calendar.rows == len(place):
        return Calendar(calendar, rows.days, np.ones(len(place), dtype=bool), dict(rows.cells))
    target = (place + rows.segments.spread(calendar.starts))[kept]
    present = np.zeros(calendar.rows, dtype=bool)
    present[target] = True
    grid = {}
    for name, values in rows.cells.items():
        grid[name] = np.full(calendar.rows, np.nan)
        grid[name][target] = values[kept]
    start = rows.days[first].astype(np.int64) + step * (skipped - calendar.starts)
    dates = calendar.spread(start) + calendar.spread(step) * np.arange(calendar.rows)
    return Calendar(calendar, dates.astype("datetime64[D]"), present, grid)
