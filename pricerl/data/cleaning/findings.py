"""Findings of cleaning in the rows of several products, and the histories that they yield."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import Bounds, DayMasks, carry_forward, fill_conversion, impute_trailing_mean
from pricerl.data.cleaning.missing_days import MissingDays
from pricerl.data.cleaning.price_in_force import find_changing, find_prices_in_force
from pricerl.data.cleaning.product_rows import Calendar, ProductRows
from pricerl.data.cleaning.sales_unit import Measure
from pricerl.data.cleaning.zero_sales import StockOuts
from pricerl.data.history import ProductHistory
from pricerl.data.reading import columns


class CleaningFindings(NamedTuple):
    """Findings of cleaning in the rows of ``P`` products, with the days of all of them one after another."""

    rows: ProductRows
    bounds: Bounds
    step: IntArray
    """``(P,)`` days from row to row."""
    calendar: Calendar
    """Days of the history with the cells of the file, before filling."""
    future: Calendar
    """Days from the end of each history to the product's last row, with the file's forecast."""
    measures: list[Measure]
    price: FloatArray
    """``(D,)`` money per unit, without NaN."""
    units: FloatArray
    """``(D,)`` units sold, before unknown days are imputed."""
    masks: DayMasks
    stock_outs: StockOuts
    """Stock-outs that no column reports."""
    missing: MissingDays
    """Meaning of the days without a row in the whole file."""


def recorded_sales(grid: dict[str, FloatArray]) -> FloatArray:
    """Return the sales of each day ``(D,)``, 0 where they are blank or negative."""
    return np.fmax(grid[columns.TOTAL_SALES], 0.0)


def build_histories(findings: CleaningFindings, holidays: DateArray | None) -> list[ProductHistory]:
    """Return the history of each product; absent columns are all NaN."""
    rows = findings.rows
    grid = findings.calendar.grid
    days = findings.calendar.days
    price = findings.price
    masks = findings.masks
    are_units = days.spread([measure.kind == "units" for measure in findings.measures])
    to_revenue = np.where(are_units, price, 1.0)
    sales = np.where(are_units, findings.units * price, recorded_sales(grid))
    profit = grid[columns.TOTAL_PROFIT]
    known = {
        "dates": findings.calendar.dates,
        "price": price,
        "units": impute_trailing_mean(findings.units, masks.unknown, days),
        "sales": impute_trailing_mean(sales, masks.unknown, days),
        "profit": np.where(np.isfinite(profit), profit, 0.0),
        "organic": fill_conversion(grid[columns.ORGANIC_CONVERSION], days),
        "ad": fill_conversion(grid[columns.AD_CONVERSION], days),
        "predicted": grid[columns.PREDICTED_SALES] * to_revenue,
        "observed": masks.observed,
        "profit_known": np.isfinite(profit) & masks.observed,
    }
    reported = {name: days.any(np.isfinite(grid[name])) for name in (columns.COMPETITOR_PRICE, *columns.FLAGS)}
    recorded = grid[columns.PRODUCT_PRICE]
    changing = find_changing(recorded, days, findings.step)
    future = findings.future
    costs = rows.cells[columns.UNIT_COST]
    last_cost = rows.segments.last(np.isfinite(costs))
    histories = []
    for product, (name, step) in enumerate(zip(rows.names, findings.step.tolist(), strict=True)):
        part = days.part(product)
        ahead = future.days.part(product)
        cells = {name: grid[name][part] for name, found in reported.items() if found[product]}
        history = ProductHistory(
            product=name,
            **{field: values[part] for field, values in known.items()},
            future_dates=future.dates[ahead],
            future_predicted=future.grid[columns.PREDICTED_SALES][ahead] * to_revenue[part.stop - 1],
            unit_cost=float(costs[last_cost[product]]) if last_cost[product] >= rows.segments.starts[product] else None,
            competitor=carry_forward(cells[columns.COMPETITOR_PRICE]) if columns.COMPETITOR_PRICE in cells else None,
            promotion=cells[columns.PROMOTION] == 1 if columns.PROMOTION in cells else None,
            in_stock=cells[columns.IN_STOCK] == 1 if columns.IN_STOCK in cells else None,
            step_days=step,
            group=rows.groups[product],
            in_force=find_prices_in_force(recorded[part], step) if changing[product] else None,
            holidays=holidays if step == 1 else None,
        )
        histories.append(history)
    return histories
