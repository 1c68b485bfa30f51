"""Findings of cleaning in the rows of several products, and the histories that they yield."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import Bounds, DayMasks, carry_forward, fill_conversion, impute_trailing_mean
from pricerl.data.cleaning.missing_days import MissingDays
from pricerl.data.cleaning.price_in_force import find_changing, find_prices_in_force
from pricerl.data.cleaning.product_rows import Calendar, ProductRows, lay_out
from pricerl.data.cleaning.sales_unit import Measure
from pricerl.data.cleaning.zero_sales import StockOuts
from pricerl.data.history import ProductHistory
from pricerl.data.reading import columns


class CleaningFindings(NamedTuple):
    """Findings of cleaning in the rows of ``P`` products, with the days of all of them one after another."""

    rows: ProductRows
    """Rows of the file."""

    bounds: Bounds
    """Range of the rows that form the history."""

    step: IntArray
    """``(P,)`` days from row to row."""

    calendar: Calendar
    """Days of the history with the cells of the file, before filling."""

    measures: list[Measure]
    """Meaning of each product's ``Total Sales``."""

    price: FloatArray
    """``(D,)`` money per unit, without NaN."""

    units: FloatArray
    """``(D,)`` units sold, before unknown days are imputed."""

    masks: DayMasks
    """Properties of each day."""

    stock_outs: StockOuts
    """Stock-outs that no column reports."""

    missing: MissingDays
    """Meaning of the days without a row in the whole file."""

    @property
    def future_days(self) -> IntArray:
        """``(P,)`` days from the end of each history to the product's last row."""
        rows = self.rows.segments
        span = self.rows.days[rows.edges[1:] - 1] - self.rows.days[rows.starts + self.bounds.start]
        return np.asarray(np.maximum(span.astype(np.int64) // self.step + 1 - self.calendar.days.sizes, 0))


def recorded_sales(grid: dict[str, FloatArray]) -> FloatArray:
    """Return the sales of each day ``(D,)``, 0 where they are blank or negative."""
    return np.fmax(grid[columns.TOTAL_SALES], 0.0)


def build_histories(findings: CleaningFindings, holidays: DateArray | None) -> list[ProductHistory]:
    """Return the history of each product; absent columns are all NaN."""
    grid, days, masks = findings.calendar.grid, findings.calendar.days, findings.masks
    price, units, step = findings.price, findings.units, findings.step.tolist()
    are_units = np.array([measure.kind == "units" for measure in findings.measures])
    to_revenue = np.where(days.spread(are_units), price, 1.0)
    sales = np.where(days.spread(are_units), units * price, recorded_sales(grid))
    observed, profit = masks.observed, grid[columns.TOTAL_PROFIT]
    known = {
        "dates": findings.calendar.dates,
        "price": price,
        "units": impute_trailing_mean(units, masks.unknown, days),
        "sales": impute_trailing_mean(sales, masks.unknown, days),
        "profit": np.where(np.isfinite(profit), profit, 0.0),
        "organic": fill_conversion(grid[columns.ORGANIC_CONVERSION], days),
        "ad": fill_conversion(grid[columns.AD_CONVERSION], days),
        "predicted": grid[columns.PREDICTED_SALES] * to_revenue,
        "observed": observed,
        "profit_known": np.isfinite(profit) & observed,
    }
    reported = {name: days.any(np.isfinite(grid[name])) for name in (columns.COMPETITOR_PRICE, *columns.FLAGS)}
    competitor = grid[columns.COMPETITOR_PRICE].copy()
    for part in days.parts(reported[columns.COMPETITOR_PRICE]):
        competitor[part] = carry_forward(competitor[part])
    in_force, future = _prices_in_force(findings), _lay_out_future(findings)
    costs = findings.rows.cells[columns.UNIT_COST]
    last_cost = findings.rows.segments.last(np.isfinite(costs))
    has_cost = last_cost >= findings.rows.segments.starts
    histories = []
    for product, name in enumerate(findings.rows.names):
        part, ahead = days.part(product), future.days.part(product)
        forecast = future.grid[columns.PREDICTED_SALES][ahead]
        history = ProductHistory(
            product=name,
            **{field: values[part] for field, values in known.items()},
            future_dates=future.dates[ahead],
            future_predicted=forecast * to_revenue[part.stop - 1],
            unit_cost=float(costs[last_cost[product]]) if has_cost[product] else None,
            competitor=competitor[part] if reported[columns.COMPETITOR_PRICE][product] else None,
            promotion=grid[columns.PROMOTION][part] == 1 if reported[columns.PROMOTION][product] else None,
            in_stock=grid[columns.IN_STOCK][part] == 1 if reported[columns.IN_STOCK][product] else None,
            step_days=step[product],
            group=findings.rows.groups[product],
            in_force=in_force.get(product),
            holidays=holidays if step[product] == 1 else None,
        )
        histories.append(history)
    return histories


def _prices_in_force(findings: CleaningFindings) -> dict[int, FloatArray | None]:
    """Return the prices in force of the products whose prices keep changing, by product."""
    recorded, days = findings.calendar.grid[columns.PRODUCT_PRICE], findings.calendar.days
    return {
        product: find_prices_in_force(recorded[days.part(product)], int(findings.step[product]))
        for product in np.flatnonzero(find_changing(recorded, days, findings.step)).tolist()
    }


def _lay_out_future(findings: CleaningFindings) -> Calendar:
    """Return the days from the end of each history to the product's last row, with the file's forecast."""
    rows, num_days = findings.rows, findings.calendar.days.sizes
    first = rows.segments.starts + findings.bounds.start
    forecast = {columns.PREDICTED_SALES: rows.cells[columns.PREDICTED_SALES]}
    return lay_out(rows._replace(cells=forecast), first, findings.step, findings.future_days, num_days)
