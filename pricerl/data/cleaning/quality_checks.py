"""The data report of a product, made from what cleaning found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.cleaning.calendar import DayKinds
from pricerl.data.cleaning.sales_unit import WHOLE_SHARE, Measure
from pricerl.data.cleaning.zero_sales import LARGEST_SHARE, UnlikelyZeros, improbable_runs, unlikely_zeros
from pricerl.data.forecasters import OWN_MEAN
from pricerl.data.history import ProductHistory
from pricerl.data.holidays import FEWEST_HOLIDAYS, HOLIDAY, day_types
from pricerl.data.quality import ProductReport, counted
from pricerl.data.reading.columns import (
    AD_CONVERSION,
    IN_STOCK,
    ORGANIC_CONVERSION,
    PREDICTED_SALES,
    PRODUCT_PRICE,
    TOTAL_PROFIT,
    TOTAL_SALES,
)

RUNS_SHOWN = 5
"""Runs of days without a sale that are named; the others are counted."""

LARGEST_MISSING_SHARE = 0.25
LARGEST_REFUND_SHARE = 0.05
"""Beyond these a person should look at the file before trusting advice made from it."""


class CleaningFindings(NamedTuple):
    """What cleaning found in one product's rows."""

    kinds: DayKinds
    """What each calendar day is."""

    grid: dict[str, FloatArray]
    """``(D,)`` columns on the calendar as the file has them."""

    measure: Measure
    """What sales count."""

    filled: dict[str, int]
    """Blank cells filled, by column."""

    capped: dict[str, int]
    """Conversions above 100 percent, by column."""

    rows: int
    """Rows of the product."""

    leading: int
    """Rows before the first sale."""

    history_rows: int
    """Rows up to the last day of history."""

    padding: int
    """Trailing priced zero-sale rows taken for future days."""


def summarize(history: ProductHistory, found: CleaningFindings, notes: Sequence[str]) -> ProductReport:
    """Return the data report of one product.

    Args:
        history: the cleaned product.
        found: what cleaning found on the way.
        notes: notes about the whole file, put first.

    Returns:
        The report, its quality included; the forecast is scored later, once training days are known.
    """
    kinds = found.kinds
    price, sales = found.grid[PRODUCT_PRICE], found.grid[TOTAL_SALES]
    priced = np.isfinite(price) & np.isfinite(sales)
    nothing_sold = kinds.observed & (history.sales == 0)
    zeros = unlikely_zeros(history)
    return ProductReport(
        product=history.product,
        first_day=str(history.dates[0]),
        last_day=str(history.dates[-1]),
        rows=found.rows,
        history_rows=found.history_rows,
        history_days=len(history.dates),
        future_days=len(history.future_dates),
        usable_days=int(kinds.observed.sum()),
        priced_days=int(priced.sum()),
        zero_sale_days=int(nothing_sold.sum()),
        blank_price_days=int((nothing_sold & np.isnan(price)).sum()),
        refund_days=int(kinds.refund.sum()),
        missing_days=int((~kinds.present).sum()),
        dropped_leading_days=found.leading,
        gap_days=int(kinds.gap.sum()),
        distinct_prices=len(np.unique(price[priced])),
        price_min=float(price[priced].min()),
        price_max=float(price[priced].max()),
        filled=found.filled,
        sales_measure=found.measure.kind,
        whole_unit_share=found.measure.whole_share,
        forecast_used=OWN_MEAN,
        forecast_errors={},
        notes=(*notes, *_notes(history, found, zeros)),
        doubts=tuple(_doubts(found, zeros)),
    )


def _notes(history: ProductHistory, found: CleaningFindings, zeros: UnlikelyZeros | None) -> list[str]:
    kinds = found.kinds
    told = [
        found.measure.note,
        *(_never_reported(found, name) for name in (ORGANIC_CONVERSION, AD_CONVERSION, TOTAL_PROFIT, PREDICTED_SALES)),
        *(_shares(found, name) for name in (ORGANIC_CONVERSION, AD_CONVERSION)),
        *(_counted(f"{name}: values above 100, counted as 100", count) for name, count in found.capped.items()),
        _counted("Days out of stock, kept out of demand", kinds.stock_out.sum()),
        _counted("Refund days, kept in profit and out of demand", kinds.refund.sum()),
        _counted("Days with sales but no price, kept out of demand", kinds.unpriced_sale.sum()),
        _counted("Trailing priced days without sales, taken for future days", found.padding),
        _counted("Days in long runs without price and sales, kept out of demand", kinds.gap.sum()),
    ]
    told += [_zero_runs(history), _zeros(zeros), _holidays(history)]
    return [note for note in told if note]


def _never_reported(found: CleaningFindings, name: str) -> str:
    """Return a note for a column without any value in the history."""
    if np.isfinite(found.grid[name]).any():
        return ""
    return f"{name}: absent or blank throughout the history; done without it."


def _shares(found: CleaningFindings, name: str) -> str:
    """Return a note for conversions that look like shares: none above 1, and not all of them 0."""
    highest = float(np.nanmax(found.grid[name], initial=0.0))
    if not 0 < highest <= 1:
        return ""
    return f"{name}: no value above 1; read as percent. Multiply by 100 if these are shares."


def _zero_runs(history: ProductHistory) -> str:
    """Return which days without a sale can be no chance, unless the file says that they were in stock."""
    runs = improbable_runs(history.units, history.stock_untold)
    if not runs:
        return ""
    named = [f"{history.dates[first]} to {history.dates[after - 1]}" for first, after in runs[:RUNS_SHOWN]]
    more = [f"{len(runs) - RUNS_SHOWN} more"] if len(runs) > RUNS_SHOWN else []
    return (
        f"Nothing sold from {', '.join([*named, *more])}: too long for chance. If it was out of stock or off sale, "
        f"say so in an {IN_STOCK} column; until then these days count as demand for none."
    )


def _zeros(zeros: UnlikelyZeros | None) -> str:
    """Return a note where days without a sale come too often for chance, but are still few."""
    if zeros is None or zeros.share > LARGEST_SHARE:
        return ""
    return f"{str(zeros).capitalize()}. If it was out of stock or off sale, say so in an {IN_STOCK} column."


def _holidays(history: ProductHistory) -> str:
    """Return how many public holidays the history holds; nothing without a country."""
    if history.holidays is None:
        return ""
    on_holidays = day_types(history.dates, history.holidays) == HOLIDAY
    known = int((on_holidays & history.observed).sum())
    few = "" if known >= FEWEST_HOLIDAYS else f"; at least {FEWEST_HOLIDAYS} are needed to tell what they do to demand"
    return f"Public holidays in the history: {on_holidays.sum()}, {known} of them with known price and sales{few}."


def _counted(words: str, count: int) -> str:
    return f"{words}: {count}." if count else ""


def _doubts(found: CleaningFindings, zeros: UnlikelyZeros | None) -> list[str]:
    """Return the findings that call for a review, whatever the settings."""
    present, refund, gap = found.kinds.present, found.kinds.refund, found.kinds.gap
    checks = [
        ((~present).mean() > LARGEST_MISSING_SHARE, f"{(~present).mean():.0%} of {len(gap)} calendar days have no row"),
        (refund.mean() > LARGEST_REFUND_SHARE, f"{refund.mean():.0%} of {len(gap)} days are refunds"),
        (gap.any(), f"{counted(int(gap.sum()), 'day')} in long gaps; was the product on sale?"),
        (
            zeros is not None and zeros.share > LARGEST_SHARE,
            f"{zeros}; add an {IN_STOCK} column if it was out of stock",
        ),
        (found.measure.whole_share < WHOLE_SHARE, "sales do not fit whole units; see Total Sales"),
    ]
    return [doubt for failed, doubt in checks if failed]
