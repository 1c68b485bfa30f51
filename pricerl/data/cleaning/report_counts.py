"""Counts of days, prices and cells in the data reports of many products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, IntArray
from pricerl.data.cleaning.calendar import HIGHEST_CONVERSION
from pricerl.data.cleaning.findings import CleaningFindings
from pricerl.data.cleaning.segments import Segments
from pricerl.data.reading import columns

NOTED = (*columns.CONVERSIONS, columns.TOTAL_PROFIT, columns.PREDICTED_SALES)
"""Columns whose absence is noted."""


class ReportCounts(NamedTuple):
    """Counts of one product."""

    days: dict[str, int]
    """Numbers of days, rows and prices by field of the data report."""

    filled: dict[str, int]
    """Blank cells that were filled, by column."""

    absent: list[str]
    """Columns without a value."""

    shares: list[str]
    """Conversions without a value above 1."""

    above: dict[str, int]
    """Conversions above 100 percent, by column."""

    price_min: float
    price_max: float

    nothing_sold: int
    """Days without a sale on which the file does not report stock."""

    stock_out: int
    unpriced_sale: int
    no_sale: int
    """Days so marked in `DayMasks`."""

    short: int
    empty: int
    """Days so marked in `StockOuts`."""

    padding: int
    """Trailing rows taken for future days."""

    @property
    def masked(self) -> bool:
        """Whether any day or row is excluded from demand."""
        excluded = self.stock_out + self.short + self.unpriced_sale + self.padding
        return excluded + self.days["refund_days"] + self.days["gap_days"] > 0


def count_report(findings: CleaningFindings) -> list[ReportCounts]:
    """Return the counts of each product."""
    days, grid, masks = findings.calendar.days, findings.calendar.grid, findings.masks
    reported = {name: days.any(np.isfinite(grid[name])).tolist() for name in {*NOTED, *columns.FILLED}}
    blank = {name: days.count(masks.present & np.isnan(grid[name])).tolist() for name in columns.FILLED}
    highest = {name: np.fmax.reduceat(grid[name], days.starts).tolist() for name in columns.CONVERSIONS}
    above = {name: days.count(grid[name] > HIGHEST_CONVERSION).tolist() for name in columns.CONVERSIONS}
    fields = {name: numbers.tolist() for name, numbers in _count_days(findings).items()}
    low, high = _price_range(findings)
    idle = masks.observed & (grid[columns.IN_STOCK] != 1) & (findings.units == 0)
    outs = findings.stock_outs
    marked = {"nothing_sold": idle, "short": outs.short, "empty": outs.empty}
    marked |= {name: getattr(masks, name) for name in ("stock_out", "unpriced_sale", "no_sale")}
    numbers = {name: days.count(flags).tolist() for name, flags in marked.items()}
    padding = findings.bounds.padding.tolist()
    return [
        ReportCounts(
            days={name: values[product] for name, values in fields.items()},
            filled={name: values[product] if reported[name][product] else 0 for name, values in blank.items()},
            absent=[name for name in NOTED if not reported[name][product]],
            shares=[name for name, values in highest.items() if 0 < values[product] <= 1],
            above={name: values[product] for name, values in above.items()},
            price_min=low[product],
            price_max=high[product],
            padding=padding[product],
            **{name: values[product] for name, values in numbers.items()},
        )
        for product in range(len(days))
    ]


def _count_days(findings: CleaningFindings) -> dict[str, IntArray]:
    """Return the numbers of days, rows and prices ``(P,)`` by field of the data report."""
    days, grid, masks, rows = findings.calendar.days, findings.calendar.grid, findings.masks, findings.rows.segments
    price, sales, observed = grid[columns.PRODUCT_PRICE], grid[columns.TOTAL_SALES], masks.observed
    priced = np.isfinite(price) & np.isfinite(sales)
    nothing_sold = observed & ~(sales > 0)
    return {
        "rows": rows.sizes,
        "history_rows": findings.bounds.end + 1,
        "history_days": days.sizes,
        "future_days": findings.future_days,
        "usable_days": days.count(observed),
        "priced_days": days.count(priced),
        "zero_sale_days": days.count(nothing_sold),
        "blank_price_days": days.count(nothing_sold & np.isnan(price) & masks.present),
        "refund_days": days.count(masks.refund),
        "missing_days": days.count(masks.missing),
        "dropped_leading_days": findings.bounds.start,
        "gap_days": days.count(masks.gap),
        "distinct_prices": _count_different(price[priced], Segments(days.count(priced))),
    }


def _count_different(values: FloatArray, products: Segments) -> IntArray:
    """Return the number of different values of each product ``(P,)``, which has at least one; sorts the values."""
    for product in range(len(products)):
        values[products.part(product)].sort()
    new = np.append(True, values[1:] != values[:-1])
    new[products.starts] = True
    return products.count(new)


def _price_range(findings: CleaningFindings) -> tuple[list[float], list[float]]:
    """Return the lowest and highest price of each product on days with a price and sales."""
    grid, starts = findings.calendar.grid, findings.calendar.days.starts
    price = np.where(np.isfinite(grid[columns.TOTAL_SALES]), grid[columns.PRODUCT_PRICE], np.nan)
    return np.fmin.reduceat(price, starts).tolist(), np.fmax.reduceat(price, starts).tolist()
