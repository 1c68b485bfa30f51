"""Cleaning: from checked rows to a contiguous history per product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import compress

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, IntArray
from pricerl.data.cleaning.calendar import (
    IMPROBABLE_RUN,
    Bounds,
    carry_forward,
    fill_prices,
    find_bounds,
    find_step_days,
    mask_days,
)
from pricerl.data.cleaning.findings import CleaningFindings, build_histories, recorded_sales, summarize
from pricerl.data.cleaning.missing_days import MissingDays, find_days_without_sale, find_missing_days
from pricerl.data.cleaning.product_rows import ProductRows, Segments, lay_out, split_products
from pricerl.data.cleaning.quality import ProductReport
from pricerl.data.cleaning.sales_unit import count_units, find_measures
from pricerl.data.cleaning.zero_sales import find_stock_outs
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS, find_holidays
from pricerl.data.history import History, ProductHistory
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem, describe_skipped, refuse
from pricerl.formatting import plural


def clean(
    frame: pd.DataFrame,
    source: str,
    config: DataConfig,
    notes: Sequence[str],
    skipped: Sequence[Problem],
    lost: Mapping[str, DateArray],
) -> History:
    """Clean every product of a checked file, ``source``, whose ``frame`` has one row per product and day.

    Each report has the ``notes``; ``skipped`` are problems of other products, ``lost`` the unknown days by product.

    Raises:
        DataError: no product has a sale and enough days, or one has not and ``config.strict`` is set; names each.
    """
    products: list[ProductHistory] = []
    reports: list[ProductReport] = []
    problems = list(skipped)
    several = frame[columns.PRODUCT].nunique() > 1 or bool(skipped)
    days = frame[columns.REPORT_DATE].to_numpy()
    missing = find_missing_days(frame, config.missing_days, lost)
    holidays = None if config.country is None else find_holidays(config.country, days.min(), days.max())
    for rows in split_products(frame):
        findings, refused = _find(rows, config, missing, holidays)
        histories = build_histories(findings, holidays, config.current_price)
        products += histories
        reports += summarize(histories, findings)
        problems += [
            Problem(0, "", f"product {name!r}: {reason}" if several else reason, name)
            for name, reason in refused.items()
            if reason
        ]
    if problems and (config.strict or not products):
        refuse(source, problems)
    noted = (*describe_skipped(problems, len(products)), *notes)
    if noted:
        reports = [replace(report, notes=(*noted, *report.notes)) for report in reports]
    return History(source, tuple(products), tuple(reports), tuple(sorted(problems)))


def _find(
    rows: ProductRows, config: DataConfig, missing: MissingDays, holidays: DateArray | None
) -> tuple[CleaningFindings, dict[str, str]]:
    """Return the findings on the products with enough rows, and by product the reason why it has too few, if so."""
    refused = dict.fromkeys(rows.names, "")
    sold = rows.segments.any(np.isfinite(rows.cells[columns.PRODUCT_PRICE]) & (rows.cells[columns.TOTAL_SALES] > 0))
    refused |= dict.fromkeys(compress(rows.names, ~sold), "no day has both a price and sales; at least one is needed")
    rows = rows.select(sold)
    bounds = find_bounds(rows.cells[columns.PRODUCT_PRICE], rows.cells[columns.TOTAL_SALES], rows.segments)
    step = np.array([find_step_days(rows.days[part]) for part in rows.segments], dtype=np.int64)
    num_days = _count_days(rows, bounds, step, missing)
    needed = config.window + 1
    for name, known, period in zip(rows.names, num_days.tolist(), step.tolist(), strict=True):
        if known < needed:
            found = f"{plural(known, STEP_WORDS[period])} of history"
            refused[name] = f"{found}; at least {needed} are needed, from the first sale to the last"
    long = num_days >= needed
    bounds = Bounds(*(values[long] for values in bounds))
    return _find_days(rows.select(long), bounds, step[long], num_days[long], config, missing, holidays), refused


def _count_days(rows: ProductRows, bounds: Bounds, step: IntArray, missing: MissingDays) -> IntArray:
    """Return each product's days of history ``(P,)``, up to the file's last day where it lists sales only."""
    first = rows.segments.starts + bounds.start
    last = rows.segments.starts + bounds.end
    num_days: IntArray = (rows.days[last] - rows.days[first]).astype(np.int64) // step + 1
    if missing.last_day is None:
        return num_days
    row = np.arange(rows.segments.rows)
    inside = (row >= rows.segments.spread(first)) & (row <= rows.segments.spread(last))
    zero_share = 1 - rows.segments.count(inside & (rows.cells[columns.TOTAL_SALES] > 0)) / num_days
    left = np.maximum((missing.last_day - rows.days[last]).astype(np.int64), 0)
    on_sale = zero_share**left >= IMPROBABLE_RUN
    return np.asarray(num_days + left * (on_sale & (bounds.end == rows.segments.sizes - 1) & (step == 1)))


def _find_days(
    rows: ProductRows,
    bounds: Bounds,
    step: IntArray,
    num_days: IntArray,
    config: DataConfig,
    missing: MissingDays,
    holidays: DateArray | None,
) -> CleaningFindings:
    """Lay the rows on calendars and find the properties of each day."""
    first = rows.days[rows.segments.starts + bounds.start]
    last = rows.days[rows.segments.edges[1:] - 1]
    calendar = lay_out(rows, first, step, num_days)
    forecast = rows._replace(cells={columns.PREDICTED_SALES: rows.cells[columns.PREDICTED_SALES]})
    left = np.maximum((last - first).astype(np.int64) // step + 1 - num_days, 0)
    future = lay_out(forecast, first + step * num_days, step, left)
    grid = calendar.grid
    days = calendar.days
    longest_gap = config.max_gap_days // step
    price = carry_forward(grid[columns.PRODUCT_PRICE])  # each calendar starts with a price
    paid = price * (1 - np.nan_to_num(grid[columns.COUPONS]) / 100)
    sold = np.isfinite(grid[columns.PRODUCT_PRICE]) & (grid[columns.TOTAL_SALES] > 0)
    cells = (paid[sold], grid[columns.TOTAL_SALES][sold], grid[columns.UNITS][sold])
    measures = find_measures(*cells, config.sales, Segments(days.count(sold)))
    units = count_units(paid, recorded_sales(grid), grid[columns.UNITS], measures, days)
    no_sale = find_days_without_sale(calendar, units, rows.names, missing, longest_gap)
    price = fill_prices(grid[columns.PRODUCT_PRICE], no_sale, days)
    masks = mask_days(grid, calendar.present, no_sale, longest_gap, days)
    masks = masks._replace(unfinished=(calendar.dates == np.datetime64(date.today())) & days.spread(step == 1))
    tested = masks.observed & ~(grid[columns.IN_STOCK] > 0)
    if holidays is not None:  # their effect is estimated
        tested &= ~(np.isin(calendar.dates, holidays) & days.spread(step == 1))
    outs = find_stock_outs(calendar.dates, price, units, tested, masks.stock_out, days)
    masks = masks._replace(sold_out=outs.empty | outs.short)
    return CleaningFindings(rows, bounds, step, calendar, future, measures, price, units, masks, outs, missing)
