"""Quality checks: a product's data report from the findings of cleaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, count_true
from pricerl.data.cleaning.calendar import HIGHEST_CONVERSION, Bounds, DayMasks, find_runs
from pricerl.data.cleaning.missing_days import SETTING, MissingDays
from pricerl.data.cleaning.sales_unit import WHOLE_SHARE, Measure
from pricerl.data.cleaning.zero_sales import LARGEST_SHARE, StockOuts, UnlikelyZeros, improbable_runs, unlikely_zeros
from pricerl.data.days import STEP_WORDS
from pricerl.data.forecasters import OWN_MEAN
from pricerl.data.history import ProductHistory
from pricerl.data.holidays import FEWEST_HOLIDAYS, HOLIDAY, day_types
from pricerl.data.quality import ProductReport
from pricerl.data.reading import columns
from pricerl.formatting import plural

RUNS_SHOWN = 5
"""Maximum number of zero-sales runs listed; the rest are counted."""

LARGEST_MISSING_SHARE = 0.25
LARGEST_REFUND_SHARE = 0.05
"""Thresholds above which the file needs a manual review before its advice can be trusted."""


class CleaningFindings(NamedTuple):
    """Findings of cleaning in one product's rows."""

    masks: DayMasks
    """Properties of each calendar day."""

    stock_outs: StockOuts
    """Stock-outs that no column reports."""

    grid: dict[str, FloatArray]
    """``(D,)`` columns on the calendar, before filling."""

    measure: Measure
    """Meaning of ``Total Sales``."""

    bounds: Bounds
    """Range of the rows that form the history."""

    rows: int
    """Number of the product's rows."""

    missing: MissingDays
    """Meaning of the days without a row in the whole file."""


def summarize(history: ProductHistory, findings: CleaningFindings, notes: Sequence[str]) -> ProductReport:
    """Return the data report of one product; ``notes`` are about the whole file.

    Forecasts are scored later, when training days are known.
    """
    masks, grid = findings.masks, findings.grid
    price = grid[columns.PRODUCT_PRICE]
    priced = np.isfinite(price) & np.isfinite(grid[columns.TOTAL_SALES])
    nothing_sold = history.observed & (history.sales == 0)
    blanks = {name: count_true(masks.present & np.isnan(grid[name])) for name in columns.FILLED}
    zeros = unlikely_zeros(history)
    return ProductReport(
        product=history.product,
        first_day=str(history.dates[0]),
        last_day=str(history.dates[-1]),
        rows=findings.rows,
        history_rows=findings.bounds.end + 1,
        history_days=len(history.dates),
        future_days=len(history.future_dates),
        usable_days=count_true(history.observed),
        priced_days=count_true(priced),
        zero_sale_days=count_true(nothing_sold),
        blank_price_days=count_true(nothing_sold & np.isnan(price) & masks.present),
        refund_days=count_true(masks.refund),
        missing_days=count_true(masks.missing),
        dropped_leading_days=findings.bounds.start,
        gap_days=count_true(masks.gap),
        distinct_prices=len(np.unique(price[priced])),
        price_min=float(price[priced].min()),
        price_max=float(price[priced].max()),
        filled={name: count if is_reported(grid[name]) else 0 for name, count in blanks.items()},
        sales_measure=findings.measure.kind,
        whole_unit_share=findings.measure.whole_share,
        forecast_used=OWN_MEAN,
        forecast_errors={},
        notes=(*notes, *_notes(history, findings, zeros)),
        doubts=tuple(_doubts(findings, zeros, STEP_WORDS[history.step_days])),
        step_days=history.step_days,
    )


def is_reported(column: FloatArray) -> bool:
    """Return True if a column has any value."""
    return bool(np.isfinite(column).any())


def _notes(history: ProductHistory, findings: CleaningFindings, zeros: UnlikelyZeros | None) -> list[str]:
    masks, outs, grid = findings.masks, findings.stock_outs, findings.grid
    word = STEP_WORDS[history.step_days].capitalize()
    notes = [findings.measure.note] if findings.measure.note else []
    notes += [
        f"{name}: absent or blank throughout the history; not used."
        for name in (*columns.CONVERSIONS, columns.TOTAL_PROFIT, columns.PREDICTED_SALES)
        if not is_reported(grid[name])
    ]
    notes += [
        f"{name}: no value above 1; read as percent. Multiply by 100 if these are shares."
        for name in columns.CONVERSIONS
        if 0 < np.fmax.reduce(grid[name], initial=0.0) <= 1
    ]
    above = {name: count_true(grid[name] > HIGHEST_CONVERSION) for name in columns.CONVERSIONS}
    counts = {
        **{f"{name}: values above 100, counted as 100": count for name, count in above.items()},
        f"{word}s out of stock, excluded from demand": count_true(masks.stock_out),
        f"{word}s before stock-outs or on weekdays that often sell out, excluded from demand": count_true(outs.short),
        f"Refund {word.lower()}s, included in profit and excluded from demand": count_true(masks.refund),
        f"{word}s with sales but no price, excluded from demand": count_true(masks.unpriced_sale),
        f"Trailing priced {word.lower()}s without sales, taken for future {word.lower()}s": findings.bounds.padding,
        f"{word}s in long runs without price and sales, excluded from demand": count_true(masks.gap),
    }
    notes += [f"{words}: {count}." for words, count in counts.items() if count]
    notes += _missing_days(masks, findings.missing, STEP_WORDS[history.step_days])
    notes += _price_in_force(history, grid[columns.PRODUCT_PRICE])
    notes += _stock_outs(history, outs)
    if runs := improbable_runs(history.units, history.stock_unknown):
        notes.append(
            f"Nothing sold from {_listed(history, runs)}: too long for chance. Mark days out of stock or off "
            f"sale in an {columns.IN_STOCK} column; until then they count as days without demand."
        )
    if zeros is not None and zeros.share <= LARGEST_SHARE:
        notes.append(f"{str(zeros).capitalize()}. Mark days out of stock or off sale in an {columns.IN_STOCK} column.")
    return [*notes, *_holidays(history)]


def _missing_days(masks: DayMasks, missing: MissingDays, word: str) -> list[str]:
    """Return a note on the product's days without a row; none without any."""
    sale, left = count_true(masks.no_sale), count_true(masks.missing)
    reason = f", because {missing.evidence}" if missing.evidence else ""
    if sale:
        rest = f" ({left} more in longer gaps: as unknown)" if left else ""
        remedy = f" If they are unknown, set {SETTING} unknown." if reason else ""
        return [f"{plural(sale, word)} without a row: read as {word}s without a sale{rest}{reason}.{remedy}"]
    if left and reason:
        remedy = f"If nothing was sold on them, set {SETTING} zero."
        return [f"{plural(left, word)} without a row: read as unknown{reason}. {remedy}"]
    return []


def _price_in_force(history: ProductHistory, recorded: FloatArray) -> list[str]:
    """Return a note on the current price where the recorded prices are averages; none where they are posted."""
    if history.in_force is None:
        return []
    last = float(recorded[np.isfinite(recorded)][-1])
    now = history.current_price
    last_row = f"; the last row has {last:.10g}" if abs(last - now) > 1e-9 else ""
    return [f"{columns.PRODUCT_PRICE}: averages of what buyers paid. The current price is {now:.10g}{last_row}."]


def _stock_outs(history: ProductHistory, found: StockOuts) -> list[str]:
    """Return a note on the days taken for stock-outs; none without any."""
    if not found.empty.any():
        return []
    days, expected = int(found.empty.sum()), float(np.median(found.expected[found.empty]))
    return [
        f"Nothing sold on {plural(days, STEP_WORDS[history.step_days])} at about {expected:.0f} expected units: "
        f"{_listed(history, find_runs(found.empty))}. Taken for stock-outs and excluded from demand. Mark them in an "
        f"{columns.IN_STOCK} column: no to confirm, yes if there was stock."
    ]


def _listed(history: ProductHistory, runs: Iterable[Sequence[int]]) -> str:
    """Return the dates of the first runs, each from its first day to the one before its second entry."""
    spans = [(history.dates[first], history.dates[after - 1]) for first, after in runs]
    listed = [f"{first} to {last}" if last > first else str(first) for first, last in spans[:RUNS_SHOWN]]
    return ", ".join([*listed, *([f"{len(spans) - RUNS_SHOWN} more"] if len(spans) > RUNS_SHOWN else [])])


def _holidays(history: ProductHistory) -> list[str]:
    """Return a note on the number of public holidays in the history; none without a country."""
    if history.holidays is None:
        return []
    on_holidays = day_types(history.dates, history.holidays) == HOLIDAY
    known = int((on_holidays & history.observed).sum())
    few = "" if known >= FEWEST_HOLIDAYS else f"; at least {FEWEST_HOLIDAYS} are needed to estimate their effect"
    return [f"Public holidays in the history: {on_holidays.sum()}, {known} of them with known price and sales{few}."]


def _doubts(findings: CleaningFindings, zeros: UnlikelyZeros | None, word: str) -> list[str]:
    """Return the findings that require a review under any settings."""
    masks, days = findings.masks, len(findings.masks.gap)
    missing, refund = count_true(masks.missing) / days, count_true(masks.refund) / days
    gap, empty = count_true(masks.gap), count_true(findings.stock_outs.empty)
    checks = [
        (missing > LARGEST_MISSING_SHARE, f"{missing:.0%} of {days} calendar {word}s have no row"),
        (bool(findings.missing.doubt) and missing > 0, findings.missing.doubt),
        (refund > LARGEST_REFUND_SHARE, f"{refund:.0%} of {days} {word}s are refunds"),
        (gap > 0, f"{plural(gap, word)} in long gaps; was the product on sale?"),
        (
            zeros is not None and zeros.share > LARGEST_SHARE,
            f"{zeros}; add an {columns.IN_STOCK} column if it was out of stock",
        ),
        (
            empty / days > LARGEST_SHARE,
            f"{plural(empty, word)} without sales are taken for stock-outs; confirm them in an "
            f"{columns.IN_STOCK} column",
        ),
        (findings.measure.whole_share < WHOLE_SHARE, "sales do not fit whole units; see Total Sales"),
    ]
    return [doubt for failed, doubt in checks if failed]
