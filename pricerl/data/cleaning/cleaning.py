"""From checked rows to a contiguous daily history, one product at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.cleaning.calendar import (
    DayKinds,
    carry_forward,
    fill_conversion,
    find_bounds,
    impute_trailing_mean,
    sort_days,
    to_calendar,
)
from pricerl.data.cleaning.quality_checks import CleaningFindings, summarize
from pricerl.data.cleaning.sales_unit import Measure, count_units, find_measure, known_unit_days
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

Rows = dict[str, FloatArray]
"""One product's numeric columns in date order; all NaN where the file lacks the column."""


def clean(frame: pd.DataFrame, source: str, config: DataConfig, notes: Sequence[str]) -> History:
    """Clean every product of a checked file.

    Args:
        frame: checked columns, one row a product and day, in any order.
        source: name of the file as the user wrote it.
        config: gap length, sales measure and window.
        notes: what is already known about the file; repeated in each product's report.

    Returns:
        The cleaned history.

    Raises:
        DataError: a product has no sale or too few days; names every such product.
    """
    products, reports, problems = [], [], []
    named = PRODUCT in frame.columns and frame[PRODUCT].nunique() > 1
    holidays = _holidays(frame, config)
    for name, days, rows in _split(frame):
        trouble = _too_little(days, rows, config.window + 1)
        if trouble:
            problems.append(Problem(0, "", f"product {name!r}: {trouble}" if named else trouble))
            continue
        history, found = _clean_product(name, days, rows, config)
        history = replace(history, holidays=holidays)
        products.append(history)
        reports.append(summarize(history, found, notes))
    if problems:
        refuse(source, problems)
    return History(source, tuple(products), tuple(reports))


def _holidays(frame: pd.DataFrame, config: DataConfig) -> DateArray | None:
    days = frame[REPORT_DATE].to_numpy().astype("datetime64[D]")
    return None if config.country is None else find_holidays(config.country, days.min(), days.max())


def _split(frame: pd.DataFrame) -> Iterator[tuple[str, DateArray, Rows]]:
    """Yield each product's name, days and columns, sorted by date, in the order of first appearance."""
    codes, names = pd.factorize(frame[PRODUCT].to_numpy())
    days = frame[REPORT_DATE].to_numpy().astype("datetime64[D]")
    order = np.lexsort((days, codes))
    blank = np.full(len(frame), np.nan)
    named = (*NUMERIC, IN_STOCK, PROMOTION)
    columns = {name: frame[name].to_numpy() if name in frame.columns else blank for name in named}
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        yield str(names[codes[rows[0]]]), days[rows], {name: values[rows] for name, values in columns.items()}


def _too_little(days: DateArray, rows: Rows, needed: int) -> str:
    """Return why a product's rows are no history, or an empty string."""
    if not known_unit_days(rows[PRODUCT_PRICE], rows[TOTAL_SALES]).any():
        return "no day has both a price and sales; at least one is needed"
    start, end, _ = find_bounds(rows[PRODUCT_PRICE], rows[TOTAL_SALES])
    num_days = int((days[end] - days[start]).astype(np.int64)) + 1
    if num_days < needed:
        counted = "1 day" if num_days == 1 else f"{num_days} days"
        return f"{counted} of history; at least {needed} are needed, from the first sale to the last"
    return ""


def _clean_product(
    name: str, days: DateArray, rows: Rows, config: DataConfig
) -> tuple[ProductHistory, CleaningFindings]:
    start, end, padding = find_bounds(rows[PRODUCT_PRICE], rows[TOTAL_SALES])
    inside = slice(start, end + 1)
    offsets = (days[inside] - days[start]).astype(np.int64)
    grid = {column: to_calendar(values[inside], offsets) for column, values in rows.items()}
    present = to_calendar(np.ones(len(offsets)), offsets) == 1
    kinds = sort_days(grid[PRODUCT_PRICE], grid[TOTAL_SALES], grid[IN_STOCK], present, config)
    price = carry_forward(grid[PRODUCT_PRICE])
    measure = _measure(grid, config)
    units, sales = _units_and_sales(price, grid, kinds, measure)
    organic, filled_organic, capped_organic = fill_conversion(grid[ORGANIC_CONVERSION], kinds.present)
    ad, filled_ad, capped_ad = fill_conversion(grid[AD_CONVERSION], kinds.present)
    as_revenue = price if measure.kind == "units" else np.ones_like(price)
    future_dates, future_predicted = _future(days, rows[PREDICTED_SALES], end, float(as_revenue[-1]))
    history = ProductHistory(
        product=name,
        dates=days[start] + np.arange(len(price)),
        price=price,
        units=units,
        sales=sales,
        profit=np.nan_to_num(grid[TOTAL_PROFIT], nan=0.0),
        organic=organic,
        ad=ad,
        predicted=grid[PREDICTED_SALES] * as_revenue,
        observed=kinds.observed,
        profit_known=np.isfinite(grid[TOTAL_PROFIT]) & kinds.observed,
        future_dates=future_dates,
        future_predicted=future_predicted,
        unit_cost=_last_value(rows[UNIT_COST]),
        competitor=carry_forward(grid[COMPETITOR_PRICE]) if _is_told(grid[COMPETITOR_PRICE]) else None,
        promotion=grid[PROMOTION] == 1 if _is_told(grid[PROMOTION]) else None,
        in_stock=grid[IN_STOCK] == 1 if _is_told(grid[IN_STOCK]) else None,
    )
    filled = {
        PRODUCT_PRICE: int((kinds.present & np.isnan(grid[PRODUCT_PRICE])).sum()),
        TOTAL_SALES: int((kinds.present & np.isnan(grid[TOTAL_SALES])).sum()),
        TOTAL_PROFIT: _blanks(grid[TOTAL_PROFIT], kinds),
        ORGANIC_CONVERSION: filled_organic,
        AD_CONVERSION: filled_ad,
        COMPETITOR_PRICE: _blanks(grid[COMPETITOR_PRICE], kinds),
        PROMOTION: _blanks(grid[PROMOTION], kinds),
    }
    capped = {ORGANIC_CONVERSION: capped_organic, AD_CONVERSION: capped_ad}
    return history, CleaningFindings(kinds, grid, measure, filled, capped, len(days), start, end + 1, padding)


def _measure(grid: Rows, config: DataConfig) -> Measure:
    price, sales = grid[PRODUCT_PRICE], grid[TOTAL_SALES]
    usable = known_unit_days(price, sales)
    return find_measure(price[usable], sales[usable], grid[UNITS][usable], config.sales)


def _units_and_sales(price: FloatArray, grid: Rows, kinds: DayKinds, measure: Measure) -> tuple[FloatArray, FloatArray]:
    recorded = np.where(kinds.unknown, 0.0, np.nan_to_num(grid[TOTAL_SALES], nan=0.0))
    units = count_units(price, recorded, grid[UNITS], measure)
    sales = units * price if measure.kind == "units" else recorded
    return impute_trailing_mean(units, kinds.unknown), impute_trailing_mean(sales, kinds.unknown)


def _future(days: DateArray, predicted: FloatArray, end: int, as_revenue: float) -> tuple[DateArray, FloatArray]:
    """Return the calendar after the history and the forecast for it; every other cell there is no observation."""
    later = days[end + 1 :]
    if not len(later):
        return later, np.empty(0)
    offsets = (later - days[end]).astype(np.int64) - 1
    forecast = to_calendar(predicted[end + 1 :], offsets) * as_revenue
    return days[end] + 1 + np.arange(len(forecast)), forecast


def _blanks(column: FloatArray, kinds: DayKinds) -> int:
    """Count the blank cells that were filled; a column that was never reported is not filled but absent."""
    blank = kinds.present & np.isnan(column)
    return int(blank.sum()) if _is_told(column) else 0


def _is_told(column: FloatArray) -> bool:
    return bool(np.isfinite(column).any())


def _last_value(column: FloatArray) -> float | None:
    known = column[np.isfinite(column)]
    return float(known[-1]) if len(known) else None
