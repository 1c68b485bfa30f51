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
    """Rows of ``P`` products, stored one product after another; ``sizes (P,)`` are the numbers of their rows."""

    def __init__(self, sizes: IntArray | Sequence[int]) -> None:
        self.sizes: IntArray = np.asarray(sizes, dtype=np.int64)
        self.edges: IntArray = np.append(0, np.cumsum(self.sizes))
        """``(P + 1,)`` first row of each product, and the number of all rows."""

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[slice]:
        return map(slice, self.starts.tolist(), self.edges[1:].tolist())

    @property
    def starts(self) -> IntArray:
        """``(P,)`` first row of each product."""
        return self.edges[:-1]

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return int(self.edges[-1])

    def spread(self, values: Any) -> Any:
        """Return values ``(..., P)`` repeated for each row, ``(..., N)``."""
        return np.repeat(np.asarray(values), self.sizes, axis=-1)

    @property
    def owners(self) -> IntArray:
        """``(N,)`` number of each row's product."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def count(self, flags: BoolArray) -> IntArray:
        """Return the number of True in ``flags (N,)`` by product, ``(P,)``."""
        return np.diff(np.searchsorted(np.flatnonzero(flags), self.edges))

    def sum(self, values: FloatArray) -> FloatArray:
        """Return the sum of ``values (N,)`` by product, ``(P,)``, each with a row."""
        return np.asarray(np.add.reduceat(values, self.starts))

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
    """Rows of ``P`` products, one product after another, oldest first."""

    names: list[str]
    segments: Segments
    days: DateArray
    """``(N,)`` days, unit D, all different within a product."""
    cells: dict[str, FloatArray]
    """``(N,)`` cells by column, NaN where blank; all columns of numbers and flags, all NaN where the file lacks one."""
    groups: list[str]
    """Group of each product's newest row that has one; empty if none has."""

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
    dates: DateArray
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
    absent = np.broadcast_to(np.nan, len(frame))
    cells = {name: np.asarray(frame.get(name, absent)) for name in (*columns.NUMERIC, *columns.FLAGS)}
    groups = frame.reindex(columns=[columns.GROUP])[columns.GROUP].astype(object).iloc[order]
    groups = groups.groupby(codes[order]).last()
    for rows in np.split(order, starts[1:][np.diff(starts // PART_ROWS) > 0]):
        owners, sizes = np.unique(codes[rows], return_counts=True)
        yield ProductRows(
            products.categories[owners].astype(str).tolist(),
            Segments(sizes),
            days[rows],
            {name: values[rows] for name, values in cells.items()},
            groups.reindex(owners).fillna("").tolist(),
        )


def codes_of(products: pd.Series) -> IntArray:
    """Return the code of each row's product, ``(N,)``."""
    return np.asarray(products.array.codes).astype(np.int64)


def highest_other(codes: IntArray, values: FloatArray) -> FloatArray:
    """Return the highest of the other values of each row's product ``(N,)``, ``-inf`` without another row."""
    cells = pd.Series(values)
    top = cells.groupby(codes).transform("max")
    is_top = cells == top
    alone = is_top & (is_top.groupby(codes).transform("sum") == 1)
    second = cells.mask(alone, -np.inf).groupby(codes).transform("max")
    return np.where(alone, second, top)


def order_rows(codes: IntArray, days: DateArray) -> IntArray:
    """Return the rows ``(N,)`` by product, then by day, then as they are."""
    in_order = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (days[1:] >= days[:-1]))
    return np.arange(len(codes)) if in_order.all() else np.lexsort((days, codes))


def lay_out(rows: ProductRows, start: DateArray, step: int, sizes: IntArray) -> Calendar:
    """Return rows on contiguous calendars of ``step`` days, with a first day and a size per product, ``(P,)`` each."""
    days = Segments(sizes)
    spread = rows.segments.spread
    place = (rows.days - spread(start)).astype(np.int64) // step
    kept = (place >= 0) & (place < spread(sizes))
    row = np.full(days.rows, -1)
    row[(place + spread(days.starts))[kept]] = np.flatnonzero(kept)
    present = row >= 0
    grid = {name: np.where(present, values[row], np.nan) for name, values in rows.cells.items()}
    dates = days.spread(start - step * days.starts) + step * np.arange(days.rows)
    return Calendar(days, dates, present, grid)
