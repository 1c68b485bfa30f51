"""Cleaning: from the checked rows of some products to findings on each of their days."""

from __future__ import annotations

from datetime import date
from itertools import compress

import numpy as np

from pricerl.arrays import IntArray
from pricerl.data.cleaning.calendar import (
    IMPROBABLE_RUN,
    Bounds,
    carry_forward,
    fill_prices,
    find_bounds,
    mask_days,
)
from pricerl.data.cleaning.findings import CleaningFindings, Context
from pricerl.data.cleaning.missing_days import MissingDays, find_days_without_sale
from pricerl.data.cleaning.product_rows import ProductRows, Segments, lay_out
from pricerl.data.cleaning.sales_unit import count_units, find_measures
from pricerl.data.cleaning.zero_sales import find_stock_outs
from pricerl.data.days import STEP_WORDS
from pricerl.data.reading import columns
from pricerl.formatting import plural


def find_days(rows: ProductRows, context: Context) -> tuple[CleaningFindings, dict[str, str]]:
    """Return the findings on the products with enough rows, and by name of the others what they lack."""
    sold = rows.segments.any(np.isfinite(rows.cells[columns.PRODUCT_PRICE]) & (rows.cells[columns.TOTAL_SALES] > 0))
    refused = dict.fromkeys(compress(rows.names, ~sold), "no day has both a price and sales; at least one is needed")
    rows = rows.select(sold)
    bounds = find_bounds(rows.cells[columns.PRODUCT_PRICE], rows.cells[columns.TOTAL_SALES], rows.segments)
    num_days = _count_days(rows, bounds, context.step, context.missing)
    needed = context.config.window + 1
    long = num_days >= needed
    refused |= {
        name: f"{plural(known, STEP_WORDS[context.step])} of history; at least {needed} are needed, "
        "from the first sale to the last"
        for name, known in compress(zip(rows.names, num_days.tolist(), strict=True), ~long)
    }
    return _lay_rows(rows.select(long), Bounds(*(values[long] for values in bounds)), num_days[long], context), refused


def _count_days(rows: ProductRows, bounds: Bounds, step: int, missing: MissingDays) -> IntArray:
    """Return each product's days of history ``(P,)``, up to the file's last day where it lists sales only."""
    first = rows.segments.starts + bounds.start
    last = rows.segments.starts + bounds.end
    num_days: IntArray = (rows.days[last] - rows.days[first]).astype(np.int64) // step + 1
    if missing.last_day is None or step > 1:
        return num_days
    row = np.arange(rows.segments.rows)
    inside = (row >= rows.segments.spread(first)) & (row <= rows.segments.spread(last))
    zero_share = 1 - rows.segments.count(inside & (rows.cells[columns.TOTAL_SALES] > 0)) / num_days
    left = np.maximum((missing.last_day - rows.days[last]).astype(np.int64), 0)
    on_sale = (zero_share**left >= IMPROBABLE_RUN) & (bounds.end == rows.segments.sizes - 1)
    return np.asarray(num_days + left * on_sale)


def _lay_rows(rows: ProductRows, bounds: Bounds, num_days: IntArray, context: Context) -> CleaningFindings:
    """Lay the rows on calendars and find the properties of each day."""
    step = context.step
    first = rows.days[rows.segments.starts + bounds.start]
    calendar = lay_out(rows, first, step, num_days)
    forecast = rows._replace(cells={columns.PREDICTED_SALES: rows.cells[columns.PREDICTED_SALES]})
    left = (rows.days[rows.segments.edges[1:] - 1] - first).astype(np.int64) // step + 1 - num_days
    future = lay_out(forecast, first + step * num_days, step, np.maximum(left, 0))
    days, dates, _, grid = calendar
    longest_gap = context.config.max_gap_days // step
    price = carry_forward(grid[columns.PRODUCT_PRICE])  # each calendar starts with a price
    paid = price * (1 - np.nan_to_num(grid[columns.COUPONS]) / 100)
    sold = np.isfinite(grid[columns.PRODUCT_PRICE]) & (grid[columns.TOTAL_SALES] > 0)
    charged, sales, given = (values[sold] for values in (paid, grid[columns.TOTAL_SALES], grid[columns.UNITS]))
    measures = find_measures(charged, sales, given, context.config.sales, Segments(days.count(sold)))
    units = count_units(paid, np.fmax(grid[columns.TOTAL_SALES], 0.0), grid[columns.UNITS], measures, days)
    no_sale = find_days_without_sale(calendar, units, rows.names, context.missing, longest_gap)
    price = fill_prices(grid[columns.PRODUCT_PRICE], no_sale, days)
    masks = mask_days(calendar, no_sale, (dates == np.datetime64(date.today())) & (step == 1), longest_gap)
    tested = masks.observed & ~(grid[columns.IN_STOCK] > 0)
    if context.holidays is not None:  # their effect is estimated
        tested &= ~np.isin(dates, context.holidays)
    outs = find_stock_outs(dates, price, units, tested, masks.stock_out, days)
    masks = masks._replace(sold_out=outs.empty | outs.short)
    return CleaningFindings(context, rows, bounds, calendar, future, measures, price, units, masks, outs)
