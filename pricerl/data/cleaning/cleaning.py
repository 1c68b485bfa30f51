"""Cleaning: from checked rows to a contiguous history per product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray
from pricerl.data.cleaning.calendar import (
    Bounds,
    DayMasks,
    carry_forward,
    fill_conversion,
    fill_prices,
    find_bounds,
    find_step_days,
    impute_trailing_mean,
    mask_days,
)
from pricerl.data.cleaning.missing_days import MissingDays, find_days_without_sale, find_missing_days
from pricerl.data.cleaning.price_in_force import find_prices_in_force
from pricerl.data.cleaning.product_rows import ProductRows, lay_out, split_products
from pricerl.data.cleaning.quality_checks import CleaningFindings, is_reported, summarize
from pricerl.data.cleaning.sales_unit import Measure, count_units, find_measure
from pricerl.data.cleaning.zero_sales import StockOuts, find_stock_outs
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS
from pricerl.data.history import History, ProductHistory
from pricerl.data.holidays import find_holidays
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem, describe_skipped, refuse
from pricerl.formatting import plural


def clean(
    frame: pd.DataFrame, source: str, config: DataConfig, notes: Sequence[str], skipped: Sequence[Problem] = ()
) -> History:
    """Clean every product of a checked file.

    Args:
        frame: checked columns, one row per product and day, in any order.
        source: name of the file as the user wrote it.
        config: gap length, measure of sales, window and country.
        notes: notes about the file, repeated in each product's report.
        skipped: problems of products of the file that are not in ``frame``.

    Returns:
        The cleaned history.

    Raises:
        DataError: no product has a sale and enough days, or one has not and ``config.strict`` is set; names each.
    """
    cleaned, problems = [], list(skipped)
    several = frame[columns.PRODUCT].nunique() > 1 or bool(skipped)
    days = frame[columns.REPORT_DATE].to_numpy()
    missing = find_missing_days(frame, config.missing_days)
    holidays = None if config.country is None else find_holidays(config.country, days.min(), days.max())
    for rows in split_products(frame):
        outcome = _clean_product(rows, config, missing, holidays)
        if isinstance(outcome, str):
            problems.append(Problem(0, "", f"product {rows.name!r}: {outcome}" if several else outcome, rows.name))
        else:
            cleaned.append(outcome)
    if problems and (config.strict or not cleaned):
        refuse(source, problems)
    others = describe_skipped(problems, len(cleaned))
    products = tuple(history for history, _ in cleaned)
    reports = tuple(summarize(*outcome, (*others, *notes)) for outcome in cleaned)
    return History(source, products, reports, tuple(sorted(problems)))


def _clean_product(
    rows: ProductRows, config: DataConfig, missing: MissingDays, holidays: DateArray | None
) -> tuple[ProductHistory, CleaningFindings] | str:
    """Return one product's history and findings, or why it has too few rows; absent columns are all NaN."""
    days, cells = rows.days, rows.cells
    charged, total = cells[columns.PRODUCT_PRICE], cells[columns.TOTAL_SALES]
    sold = np.isfinite(charged) & (total > 0)
    if not sold.any():
        return "no day has both a price and sales; at least one is needed"
    measure = find_measure(charged[sold], total[sold], cells[columns.UNITS][sold], config.sales)
    bounds, step = find_bounds(charged, total), find_step_days(days)
    num_days, needed = _count_days(days, total, bounds, step, missing), config.window + 1
    if num_days < needed:
        known = plural(num_days, STEP_WORDS[step])
        return f"{known} of history; at least {needed} are needed, from the first sale to the last"
    calendar = lay_out(days[bounds.start :], {name: of[bounds.start :] for name, of in cells.items()}, step, num_days)
    dates, present = calendar.dates[:num_days], calendar.present[:num_days]
    grid = {name: values[:num_days] for name, values in calendar.grid.items()}
    price, units, masks = _classify_days(grid, dates, present, measure, missing, config.max_gap_days // step)
    masks, stock_outs = _mask_stock_outs(masks, grid, dates, price, units, holidays if step == 1 else None)
    to_revenue = price if measure.kind == "units" else np.ones_like(price)
    sales = units * price if measure.kind == "units" else _recorded_sales(grid)
    unknown, observed = masks.unknown, masks.observed
    profit, competitor = grid[columns.TOTAL_PROFIT], grid[columns.COMPETITOR_PRICE]
    profit_known = np.isfinite(profit)
    unit_costs = cells[columns.UNIT_COST][np.isfinite(cells[columns.UNIT_COST])]
    promotion, in_stock = (grid[flag] == 1 if is_reported(grid[flag]) else None for flag in columns.FLAGS)
    history = ProductHistory(
        product=rows.name,
        dates=dates,
        price=price,
        units=impute_trailing_mean(units, unknown),
        sales=impute_trailing_mean(sales, unknown),
        profit=np.where(profit_known, profit, 0.0),
        organic=fill_conversion(grid[columns.ORGANIC_CONVERSION]),
        ad=fill_conversion(grid[columns.AD_CONVERSION]),
        predicted=grid[columns.PREDICTED_SALES] * to_revenue,
        observed=observed,
        profit_known=profit_known & observed,
        future_dates=calendar.dates[num_days:],
        future_predicted=calendar.grid[columns.PREDICTED_SALES][num_days:] * to_revenue[-1],
        unit_cost=float(unit_costs[-1]) if len(unit_costs) else None,
        competitor=carry_forward(competitor) if is_reported(competitor) else None,
        promotion=promotion,
        in_stock=in_stock,
        step_days=step,
        group=rows.group,
        in_force=find_prices_in_force(grid[columns.PRODUCT_PRICE], step),
        holidays=holidays if step == 1 else None,
    )
    return history, CleaningFindings(masks, stock_outs, grid, measure, bounds, len(days), missing)


def _count_days(days: DateArray, sales: FloatArray, bounds: Bounds, step: int, missing: MissingDays) -> int:
    """Return the days of history: to the last row in bounds, or to the file's last day where it lists sales only."""
    num_days = int((days[bounds.end] - days[bounds.start]).astype(np.int64)) // step + 1
    if bounds.end < len(days) - 1 or step > 1:
        return num_days
    zero_share = 1 - float((sales[bounds.start : bounds.end + 1] > 0).sum()) / num_days
    return num_days + missing.days_after(days[bounds.end], zero_share)


def _recorded_sales(grid: dict[str, FloatArray]) -> FloatArray:
    return np.fmax(grid[columns.TOTAL_SALES], 0.0)


def _classify_days(
    grid: dict[str, FloatArray],
    dates: DateArray,
    present: BoolArray,
    measure: Measure,
    missing: MissingDays,
    longest_gap: int,
) -> tuple[FloatArray, FloatArray, DayMasks]:
    """Return prices without NaN, units and the properties of each day, ``(D,)`` each."""
    recorded = grid[columns.PRODUCT_PRICE]
    units = count_units(carry_forward(recorded), _recorded_sales(grid), grid[columns.UNITS], measure)
    no_sale = find_days_without_sale(dates, units, present, missing, longest_gap)
    return fill_prices(recorded, no_sale), units, mask_days(grid, present, no_sale, longest_gap)


def _mask_stock_outs(
    masks: DayMasks,
    grid: dict[str, FloatArray],
    dates: DateArray,
    price: FloatArray,
    units: FloatArray,
    holidays: DateArray | None,
) -> tuple[DayMasks, StockOuts]:
    """Add unreported stock-outs to the masks. Public holidays are not tested, as their effect is estimated."""
    tested = masks.observed & (grid[columns.IN_STOCK] != 1)
    if holidays is not None:
        tested &= ~np.isin(dates, holidays)
    found = find_stock_outs(dates, price, units, tested, masks.stock_out)
    return masks._replace(sold_out=found.empty | found.short), found
