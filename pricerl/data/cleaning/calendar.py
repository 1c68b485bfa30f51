"""Rules that turn dated rows into a calendar: where history ends, what each day is, how blanks are filled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.config import DataConfig
from pricerl.data.features import MEAN_DAYS

IMPROBABLE_RUN = 0.001
"""A trailing run of zero-sale days less likely than this is padding for future days, not history."""

HIGHEST_CONVERSION = 100.0
"""Percent; small visitor counts give 100 to 200, which are counted as 100."""


class Bounds(NamedTuple):
    """Where history lies among a product's rows."""

    start: int
    """First row with a price and positive sales."""

    end: int
    """Last row of history."""

    padding: int
    """Trailing priced rows with explicit zero sales that are taken for future days."""


class DayKinds(NamedTuple):
    """What is known about each calendar day, ``(D,)`` each."""

    present: BoolArray
    """The file has a row for the day."""

    refund: BoolArray
    """Sales are negative."""

    idle: BoolArray
    """Price and sales are blank (or sales 0), within the length that means "nothing sold"."""

    gap: BoolArray
    """The same in a longer run, which means "not on sale"."""

    unpriced_sale: BoolArray
    """Something sold at a price that is blank."""

    stock_out: BoolArray
    """More might have sold, had it been in stock."""

    @property
    def observed(self) -> BoolArray:
        """Days that say something about demand."""
        return self.present & ~self.refund & ~self.gap & ~self.unpriced_sale & ~self.stock_out

    @property
    def unknown(self) -> BoolArray:
        """Days whose sales are imputed."""
        return ~self.present | self.refund | self.gap | self.stock_out


def find_bounds(price: FloatArray, sales: FloatArray) -> Bounds:
    """Find where history starts and ends.

    History ends at the last row with a price and sales. Priced rows with explicit zeros right after it belong
    to history unless the run is improbable: ``z ** n`` below 0.001 with ``z`` the share of zero-sale rows before.

    Args:
        price: ``(N,)`` rows in date order, NaN where blank; at least one has a price and positive sales.
        sales: ``(N,)`` sales, NaN where blank.

    Returns:
        First and last row of history, and the number of trailing zero rows left to the future.
    """
    start = int(np.flatnonzero(np.isfinite(price) & (sales > 0))[0])
    end = int(np.flatnonzero(np.isfinite(price) & np.isfinite(sales) & (sales != 0))[-1])
    zeros = np.isfinite(price[end + 1 :]) & (sales[end + 1 :] == 0)
    run = int(np.argmin(zeros)) if not zeros.all() else len(zeros)
    zero_share = float(np.mean(np.nan_to_num(sales[start : end + 1], nan=0.0) == 0))
    if zero_share**run < IMPROBABLE_RUN:
        return Bounds(start, end, run)
    return Bounds(start, end + run, 0)


def to_calendar(values: FloatArray, offsets: IntArray) -> FloatArray:
    """Spread rows over a contiguous calendar.

    Args:
        values: ``(N,)`` values in date order.
        offsets: ``(N,)`` days since the calendar's first day; the last one ends it.

    Returns:
        ``(D,)`` values, NaN on days without a row.
    """
    grid = np.full(int(offsets[-1]) + 1, np.nan)
    grid[offsets] = values
    return grid


def sort_days(
    price: FloatArray, sales: FloatArray, stock: FloatArray, present: BoolArray, config: DataConfig
) -> DayKinds:
    """Say of each calendar day what it is.

    Args:
        price: ``(D,)`` NaN where blank.
        sales: ``(D,)`` NaN where blank.
        stock: ``(D,)`` 0 on days out of stock, NaN where blank.
        present: ``(D,)`` True where the file has a row.
        config: holds the longest run of blank days that still means "nothing sold".

    Returns:
        The kinds of days; a day without a row does not end a run of blank days.
    """
    blank = present & np.isnan(price) & (np.isnan(sales) | (sales == 0))
    gap = blank & (_run_length(blank | ~present) > config.max_gap_days)
    out = stock == 0
    out[0] = False  # history starts with a sale
    return DayKinds(present, sales < 0, blank & ~gap, gap, np.isnan(price) & (sales > 0), out)


def carry_forward(values: FloatArray) -> FloatArray:
    """Return ``(D,)`` values with NaN replaced by the last known one, before the first by that; one is known."""
    known = np.isfinite(values)
    first = int(known.argmax())
    last_known = np.maximum.accumulate(np.where(known, np.arange(len(values)), first))
    return values[last_known]


def impute_trailing_mean(values: FloatArray, unknown: BoolArray) -> FloatArray:
    """Replace unknown days by the mean of the seven days before, themselves imputed where need be.

    Args:
        values: ``(D,)`` values; those of unknown days are not read.
        unknown: ``(D,)`` True where the value is unknown; the first day is known.

    Returns:
        ``(D,)`` values without holes.
    """
    whole = values.copy()
    for day in np.flatnonzero(unknown):
        whole[day] = whole[max(0, day - MEAN_DAYS) : day].mean()
    return whole


def fill_conversion(percent: FloatArray, present: BoolArray) -> tuple[FloatArray, int, int]:
    """Cap conversions at 100 percent and fill blanks with the median.

    Args:
        percent: ``(D,)`` conversions, NaN where blank.
        present: ``(D,)`` True where the file has a row.

    Returns:
        ``(D,)`` percent, all NaN when never reported; the number of blank cells filled; the number capped.
    """
    known = np.isfinite(percent)
    if not known.any():
        return percent, 0, 0
    capped = np.minimum(percent, HIGHEST_CONVERSION)
    filled = np.where(known, capped, np.median(capped[known]))
    return filled, int((present & ~known).sum()), int((percent[known] > HIGHEST_CONVERSION).sum())


def _run_length(flags: BoolArray) -> IntArray:
    """Return ``(D,)`` for each day the length of the run of True it stands in, 0 where False."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    lengths = np.zeros(len(flags), dtype=np.int64)
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        lengths[first:after] = after - first
    return lengths
