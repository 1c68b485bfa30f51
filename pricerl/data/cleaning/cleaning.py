"""Cleaning: from checked rows to a contiguous daily history per product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.cleaning.calendar import (
    carry_forward,
    fill_conversion,
    find_bounds,
    impute_trailing_mean,
    mask_days,
    to_calendar,
)
from pricerl.data.cleaning.quality_checks import CleaningFindings, is_reported, summarize
from pricerl.data.cleaning.sales_unit import count_units, find_measure, known_unit_days
from pricerl.data.config import DataConfig
from pricerl.data.history import History, ProductHistory
from pricerl.data.holidays import find_holidays
from pricerl.data.reading.columns import (
    AD_CONVERSION,
    COMPETITOR_PRICE,
    IN_STOCK,
    NUMERIC,
    ORGANIC_CONVERSION,
    PREDICTED_SALES,
    PRODUCT,
    PRODUCT_PRICE,
    PROMOTION,
    REPORT_DATE,
    TOTAL_PROFIT,
    TOTAL_SALES,
    UNIT_COST,
    UNITS,
)
from pricerl.data.reading.problems import Problem, refuse
from pricerl.formatting import plural

Rows = dict[str, FloatArray]
"""One product's numeric columns in date order; all NaN if the file lacks the column."""


def clean(frame: pd.DataFrame, source: str, config: DataConfig, notes: Sequence[str]) -> History:
    """Clean every product of a checked file.

    Args:
        frame: checked columns, one row per product and day, in any order.
        source: name of the file as the user wrote it.
        config: gap length, measure of sales, window and country.
        notes: notes about the file, repeated in each product's report.

    Returns:
        The cleaned history.

    Raises:
        DataError: a product has no sale or too few days; names every such product.
    """
    products, reports, problems = [], [], []
    several = frame[PRODUCT].nunique() > 1
    all_days = frame[REPORT_DATE].to_numpy().astype("datetime64[D]")
    holidays = None if config.country is None else find_holidays(config.country, all_days.min(), all_days.max())
    for name, days, rows in _split(frame, all_days):
        if shortage := _find_shortage(days, rows, config.window + 1):
            problems.append(Problem(0, "", f"product {name!r}: {shortage}" if several else shortage))
            continue
        history, findings = _clean_product(name, days, rows, config, holidays)
        products.append(history)
        reports.append(summarize(history, findings, notes))
    if problems:
        refuse(source, problems)
    return History(source, tuple(products), tuple(reports))


def _split(frame: pd.DataFrame, days: DateArray) -> Iterator[tuple[str, DateArray, Rows]]:
    """Yield each product's name, days and columns, sorted by date, in the order of first appearance."""
    codes, names = pd.factorize(frame[PRODUCT].to_numpy())
    order = np.lexsort((days, codes))
    blank = np.full(len(frame), np.nan)
    numeric = (*NUMERIC, IN_STOCK, PROMOTION)
    columns = {name: frame[name].to_numpy() if name in frame.columns else blank for name in numeric}
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        yield str(names[codes[rows[0]]]), days[rows], {name: values[rows] for name, values in columns.items()}


def _find_shortage(days: DateArray, rows: Rows, needed: int) -> str:
    """Return why a product's rows are too few for a history, or an empty string."""
    if not known_unit_days(rows[PRODUCT_PRICE], rows[TOTAL_SALES]).any():
        return "no day has both a price and sales; at least one is needed"
    start, end, _ = find_bounds(rows[PRODUCT_PRICE], rows[TOTAL_SALES])
    num_days = int((days[end] - days[start]).astype(np.int64)) + 1
    if num_days >= needed:
        return ""
    return f"{plural(num_days, 'day')} of history; at least {needed} are needed, from the first sale to the last"


def _clean_product(
    name: str, days: DateArray, rows: Rows, config: DataConfig, holidays: DateArray | None
) -> tuple[ProductHistory, CleaningFindings]:
    start, end, padding = find_bounds(rows[PRODUCT_PRICE], rows[TOTAL_SALES])
    inside = slice(start, end + 1)
    offsets = (days[inside] - days[start]).astype(np.int64)
    grid = {column: to_calendar(values[inside], offsets) for column, values in rows.items()}
    present = to_calendar(np.ones(len(offsets)), offsets) == 1
    masks = mask_days(grid[PRODUCT_PRICE], grid[TOTAL_SALES], grid[IN_STOCK], present, config.max_gap_days)
    sold = known_unit_days(grid[PRODUCT_PRICE], grid[TOTAL_SALES])
    measure = find_measure(grid[PRODUCT_PRICE][sold], grid[TOTAL_SALES][sold], grid[UNITS][sold], config.sales)
    price = carry_forward(grid[PRODUCT_PRICE])
    recorded = np.where(masks.unknown, 0.0, np.nan_to_num(grid[TOTAL_SALES], nan=0.0))
    units = count_units(price, recorded, grid[UNITS], measure)
    to_revenue = price if measure.kind == "units" else np.ones_like(price)
    sales = units * price if measure.kind == "units" else recorded
    future_dates, future_predicted = _future(days, rows[PREDICTED_SALES], end)
    unit_costs = rows[UNIT_COST][np.isfinite(rows[UNIT_COST])]
    history = ProductHistory(
        product=name,
        dates=days[start] + np.arange(len(price)),
        price=price,
        units=impute_trailing_mean(units, masks.unknown),
        sales=impute_trailing_mean(sales, masks.unknown),
        profit=np.nan_to_num(grid[TOTAL_PROFIT], nan=0.0),
        organic=fill_conversion(grid[ORGANIC_CONVERSION]),
        ad=fill_conversion(grid[AD_CONVERSION]),
        predicted=grid[PREDICTED_SALES] * to_revenue,
        observed=masks.observed,
        profit_known=np.isfinite(grid[TOTAL_PROFIT]) & masks.observed,
        future_dates=future_dates,
        future_predicted=future_predicted * to_revenue[-1],
        unit_cost=float(unit_costs[-1]) if len(unit_costs) else None,
        competitor=carry_forward(grid[COMPETITOR_PRICE]) if is_reported(grid[COMPETITOR_PRICE]) else None,
        promotion=grid[PROMOTION] == 1 if is_reported(grid[PROMOTION]) else None,
        in_stock=grid[IN_STOCK] == 1 if is_reported(grid[IN_STOCK]) else None,
        holidays=holidays,
    )
    return history, CleaningFindings(masks, grid, measure, len(days), start, end + 1, padding)


def _future(days: DateArray, predicted: FloatArray, end: int) -> tuple[DateArray, FloatArray]:
    """Return the calendar after row ``end`` and the forecast for it; other cells after it are not observations."""
    later = days[end + 1 :]
    if not len(later):
        return later, np.empty(0)
    forecast = to_calendar(predicted[end + 1 :], (later - days[end]).astype(np.int64) - 1)
    return days[end] + 1 + np.arange(len(forecast)), forecast
