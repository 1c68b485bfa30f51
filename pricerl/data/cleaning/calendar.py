"""Construction of the calendar: bounds of the history, masks of days, imputation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.cleaning.product_rows import Calendar, Segments
from pricerl.data.days import WEEK
from pricerl.data.reading.columns import IN_STOCK, PRODUCT_PRICE, TOTAL_SALES

IMPROBABLE_RUN = 0.001
"""A trailing run of zero-sales days with a lower probability is treated as padding for future days."""

HIGHEST_CONVERSION = 100.0
"""Percent; small visitor counts can yield 100 to 200, which is capped at 100."""


def step_of(gaps: IntArray) -> int | None:
    """Return the days from row to row: 7 if ``gaps (N,)`` in days are whole weeks, most often one, else 1.

    None if they are too few, or too wide, to show it.
    """
    weekly = len(gaps) > 0 and np.median(gaps) == WEEK
    return 1 if (gaps % WEEK).any() else WEEK if weekly else None


def find_step_days(days: DateArray) -> int:
    """Return the days from row to row of dates ``(N,)`` as `step_of` does, 1 where it finds none."""
    return step_of(np.diff(np.unique(days)).astype(np.int64)) or 1


class Bounds(NamedTuple):
    """Range of each product's rows that form its history, ``(P,)`` each; rows count from the product's first one."""

    start: IntArray
    """First row with a price and positive sales."""
    end: IntArray
    """Last row of history."""
    padding: IntArray
    """Number of trailing rows with a price and zero sales, treated as future days."""


class DayMasks(NamedTuple):
    """Properties of each calendar day of one or several products, ``(D,)`` each."""

    missing: BoolArray
    """The file has no row for the day, and nothing is known of it."""
    refund: BoolArray
    """Sales are negative."""
    gap: BoolArray
    """Price and sales are blank (or sales are 0) in a run longer than ``max_gap_days``: the product was not on sale."""
    unpriced_sale: BoolArray
    """Sales are positive and the price is blank."""
    stock_out: BoolArray
    """The product was out of stock, so sales are a lower bound of demand."""
    sold_out: BoolArray
    """The same, by the sales alone."""
    no_sale: BoolArray
    """The file has no row for the day because nothing was sold."""
    unfinished: BoolArray
    """The day was not over when the file was read."""

    @property
    def unknown(self) -> BoolArray:
        """Days whose sales are imputed."""
        return self.missing | self.refund | self.gap | self.stock_out | self.sold_out | self.unfinished

    @property
    def observed(self) -> BoolArray:
        """Days that count as observations of demand."""
        return ~self.unknown & ~self.unpriced_sale


def find_bounds(price: FloatArray, sales: FloatArray, products: Segments) -> Bounds:
    """Find where history starts and ends, in rows ``(N,)`` by date; one of each product has a price and sales.

    Rows with a price and zero sales after the last sale belong to the history unless such a run is improbable:
    ``z ** n < 0.001`` with ``z`` the share of zero-sales rows before it.
    """
    priced = np.isfinite(price)
    start = products.first(priced & (sales > 0))
    end = products.last(priced & np.isfinite(sales) & (sales != 0))
    row = np.arange(products.rows)
    after = row > products.spread(end)
    run = products.first(after & ~(priced & (sales == 0))) - end - 1
    nothing = (row >= products.spread(start)) & ~after & (np.isnan(sales) | (sales == 0))
    zero_share = products.count(nothing) / (end - start + 1)
    padding = np.where((run > 0) & (zero_share**run < IMPROBABLE_RUN), run, 0)
    return Bounds(start - products.starts, end + run - padding - products.starts, padding)


def find_runs(flags: BoolArray, days: Segments | None = None) -> IntArray:
    """Return the runs of True in ``flags (D,)``, each of one product, as ``(R, 2)``: first day, day after the last."""
    padded = np.concatenate([[False], flags, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    if days is not None:
        through = days.starts[padded[days.starts] & padded[days.starts + 1]]
        edges = np.sort(np.concatenate([edges, through, through]))
    return edges.reshape(-1, 2)


def mask_days(calendar: Calendar, no_sale: BoolArray, unfinished: BoolArray, longest_gap: int) -> DayMasks:
    """Classify the days ``(D,)`` of several products; blank runs up to ``longest_gap`` count as zero sales."""
    price = calendar.grid[PRODUCT_PRICE]
    sales = calendar.grid[TOTAL_SALES]
    present = calendar.present
    gap = present & np.isnan(price) & (np.isnan(sales) | (sales == 0))
    idle = gap | ~present
    length = np.diff(find_runs(idle), axis=1)[:, 0]
    gap[idle] &= np.repeat(length, length) > longest_gap
    out = calendar.grid[IN_STOCK] == 0
    out[calendar.days.starts] = False
    return DayMasks(
        missing=~present & ~no_sale,
        refund=sales < 0,
        gap=gap,
        unpriced_sale=np.isnan(price) & (sales > 0),
        stock_out=out,
        sold_out=np.zeros_like(out),
        no_sale=no_sale,
        unfinished=unfinished,
    )


def carry_forward(values: FloatArray) -> FloatArray:
    """Return ``(D,)`` values with NaN replaced by the last known value, leading NaN by the first one."""
    return np.array(pd.Series(values).ffill().bfill(), dtype=np.float64)


def fill_prices(price: FloatArray, no_sale: BoolArray, days: Segments) -> FloatArray:
    """Return prices ``(D,)`` without NaN: the product's last known one or, on days without a row, the nearest one."""
    forward = carry_forward(price)  # each calendar starts with a price
    known = np.append(np.flatnonzero(np.isfinite(price)), len(price))
    at = np.flatnonzero(no_sale)
    place = np.searchsorted(known, at)
    after = known[place]
    nearer = (after - at < at - known[place - 1]) & (after < days.spread(days.edges[1:])[at])  # changes are halfway
    forward[at[nearer]] = price[after[nearer]]
    return forward


def impute_trailing_mean(values: FloatArray, unknown: BoolArray, days: Segments) -> FloatArray:
    """Impute each unknown day ``(..., D)`` by the mean of its product's seven days before, imputed ones included."""
    whole = values.copy()
    at = np.flatnonzero(unknown)
    near = at[:, None] + np.arange(-WEEK, 0)
    inside = near >= days.starts[days.owners[at], None]
    near = np.maximum(near, 0)
    # the n-th of unknown days less than a week apart waits for those before it; all n-th ones are imputed at once
    begins = np.flatnonzero(~(inside & unknown[near]).any(axis=1))
    place = np.arange(len(at)) - np.repeat(begins, np.diff(begins, append=len(at)))
    for rows in np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1]):
        whole[..., at[rows]] = np.where(inside[rows], whole[..., near[rows]], 0.0).sum(-1) / inside[rows].sum(-1)
    return whole


def fill_conversion(percent: FloatArray, days: Segments) -> FloatArray:
    """Return conversions ``(D,)`` capped at 100 percent, NaN replaced by the product's median; all NaN without any."""
    capped = pd.Series(np.minimum(percent, HIGHEST_CONVERSION))
    return np.array(capped.fillna(capped.groupby(days.owners).transform("median")), dtype=np.float64)
