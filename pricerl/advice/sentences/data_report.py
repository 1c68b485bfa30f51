"""Words on how a file was read: the data report of a product."""

from __future__ import annotations

from pricerl.advice.sentences.answers import say
from pricerl.data.cleaning.quality import ProductReport
from pricerl.formatting import Formatter, plural


def reasons_of(report: ProductReport) -> list[str]:
    """Return the reasons to look at the data of a product, as clauses."""
    return [say(reason, Formatter(step_days=report.step_days)) for reason in report.judge().findings]


def summary_of(report: ProductReport) -> str:
    """Return the report on one line: verdict, length of the history, number of prices and reasons."""
    size = f"{plural(report.history_days, report.period)}, {plural(report.distinct_prices, 'price')}"
    return "; ".join([f"{report.product}: {report.judge().quality}, {size}", *reasons_of(report)])


def report_lines(report: ProductReport) -> list[str]:
    """Return reasons, counts and notes of a report, one line each."""
    word = report.period
    errors = ", ".join(f"{name} {error:,.2f}" for name, error in report.forecast_errors.items())
    score = f"mean absolute error on training {word}s: {errors}" if errors else f"too few {word}s to score it"
    facts = {
        "history": f"{report.first_day} to {report.last_day}, {plural(report.history_days, word)}",
        "rows": f"{report.rows}: {report.history_rows} history, {report.rows - report.history_rows} future",
        f"future {word}s": str(report.future_days),
        f"usable {word}s": str(report.usable_days),
        f"priced {word}s": str(report.priced_days),
        "prices": f"{report.distinct_prices} distinct, {report.price_min:,.2f} to {report.price_max:,.2f}",
        f"zero-sale {word}s": f"{report.zero_sale_days}, {report.blank_price_days} of them with a blank price",
        f"refund {word}s": str(report.refund_days),
        f"missing {word}s": str(report.missing_days),
        "before launch": f"{plural(report.dropped_leading_days, 'row')} dropped",
        "long gaps": f"{plural(report.gap_days, word)} left out",
        "Total Sales": f"{report.sales_measure}; whole units on {report.whole_unit_share:.0%} of {word}s with sales",
        "forecast": f"{report.forecast_used}; {score}",
        "filled cells": ", ".join(f"{name} {count}" for name, count in report.filled.items() if count) or "none",
    }
    return [
        f"{report.product}: {report.judge().quality}",
        *(f"  {reason}" for reason in reasons_of(report)),
        *(f"  {label:<16} {value}" for label, value in facts.items()),
        *(f"  note: {note}" for note in report.notes),
    ]
