"""Quality checks: a data report per product from the findings of cleaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.cleaning.calendar import find_runs
from pricerl.data.cleaning.findings import CleaningFindings
from pricerl.data.cleaning.missing_days import SETTING, MissingDays
from pricerl.data.cleaning.report_counts import ReportCounts, count_report
from pricerl.data.cleaning.sales_unit import WHOLE_SHARE, Measure
from pricerl.data.cleaning.zero_sales import LARGEST_SHARE, UnlikelyZeros, improbable_runs, unlikely_zeros
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


def summarize(histories: Sequence[ProductHistory], findings: CleaningFindings) -> list[ProductReport]:
    """Return the data report of each product.

    Forecasts are scored later, when training days are known.
    """
    reports = []
    for product, (history, counts) in enumerate(zip(histories, count_report(findings), strict=True)):
        measure = findings.measures[product]
        zeros = unlikely_zeros(history) if counts.nothing_sold else None
        report = ProductReport(
            product=history.product,
            first_day=str(history.dates[0]),
            last_day=str(history.dates[-1]),
            **counts.days,
            price_min=counts.price_min,
            price_max=counts.price_max,
            filled=counts.filled,
            sales_measure=measure.kind,
            whole_unit_share=measure.whole_share,
            forecast_used=OWN_MEAN,
            forecast_errors={},
            notes=tuple(_notes(product, history, findings, counts, zeros)),
            doubts=tuple(_doubts(findings.missing, measure, counts, zeros, history)),
            step_days=history.step_days,
        )
        reports.append(report)
    return reports


def _notes(
    product: int, history: ProductHistory, findings: CleaningFindings, counts: ReportCounts, zeros: UnlikelyZeros | None
) -> list[str]:
    measure, part = findings.measures[product], findings.calendar.days.part(product)
    word = STEP_WORDS[history.step_days].capitalize()
    notes = [measure.note] if measure.note else []
    notes += [f"{name}: absent or blank throughout the history; not used." for name in counts.absent]
    notes += [
        f"{name}: no value above 1; read as percent. Multiply by 100 if these are shares." for name in counts.shares
    ]
    notes += [f"{name}: values above 100, counted as 100: {count}." for name, count in counts.above.items() if count]
    days = counts.days
    if counts.masked:
        numbers = {
            f"{word}s out of stock, excluded from demand": counts.stock_out,
            f"{word}s before stock-outs or on weekdays that often sell out, excluded from demand": counts.short,
            f"Refund {word.lower()}s, included in profit and excluded from demand": days["refund_days"],
            f"{word}s with sales but no price, excluded from demand": counts.unpriced_sale,
            f"Trailing priced {word.lower()}s without sales, taken for future {word.lower()}s": counts.padding,
            f"{word}s in long runs without price and sales, excluded from demand": days["gap_days"],
        }
        notes += [f"{words}: {count}." for words, count in numbers.items() if count]
    notes += _missing_days(counts, findings.missing, STEP_WORDS[history.step_days])
    notes += _price_in_force(history, findings.calendar.grid[columns.PRODUCT_PRICE][part])
    if counts.empty:
        notes.append(_stock_outs(history, findings, part))
    if counts.nothing_sold and (runs := improbable_runs(history.units, history.stock_unknown)):
        notes.append(
            f"Nothing sold from {_listed(history, runs)}: too long for chance. Mark days out of stock or off "
            f"sale in an {columns.IN_STOCK} column; until then they count as days without demand."
        )
    if zeros is not None and zeros.share <= LARGEST_SHARE:
        notes.append(f"{str(zeros).capitalize()}. Mark days out of stock or off sale in an {columns.IN_STOCK} column.")
    return [*notes, *_holidays(history)]


def _missing_days(counts: ReportCounts, missing: MissingDays, word: str) -> list[str]:
    """Return a note on the product's days without a row; none without any."""
    sale, left = counts.no_sale, counts.days["missing_days"]
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


def _stock_outs(history: ProductHistory, findings: CleaningFindings, part: slice) -> str:
    """Return a note on the days taken for stock-outs, at least one."""
    empty = findings.stock_outs.empty[part]
    days, expected = int(empty.sum()), float(np.median(findings.stock_outs.expected[part][empty]))
    return (
        f"Nothing sold on {plural(days, STEP_WORDS[history.step_days])} at about {expected:.0f} expected units: "
        f"{_listed(history, find_runs(empty))}. Taken for stock-outs and excluded from demand. Mark them in an "
        f"{columns.IN_STOCK} column: no to confirm, yes if there was stock."
    )


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


def _doubts(
    missing: MissingDays, measure: Measure, counts: ReportCounts, zeros: UnlikelyZeros | None, history: ProductHistory
) -> list[str]:
    """Return the findings that require a review under any settings."""
    days, word = counts.days["history_days"], STEP_WORDS[history.step_days]
    absent, refund = counts.days["missing_days"] / days, counts.days["refund_days"] / days
    gap, empty = counts.days["gap_days"], counts.empty
    checks = [
        (absent > LARGEST_MISSING_SHARE, f"{absent:.0%} of {days} calendar {word}s have no row"),
        (bool(missing.doubt) and absent > 0, missing.doubt),
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
        (measure.whole_share < WHOLE_SHARE, "sales do not fit whole units; see Total Sales"),
    ]
    return [doubt for failed, doubt in checks if failed]
