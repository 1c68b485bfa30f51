"""Findings of cleaning in the rows of several products, with the histories and the data reports that they yield."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import (
    HIGHEST_CONVERSION,
    Bounds,
    DayMasks,
    carry_forward,
    fill_conversion,
    find_runs,
    impute_trailing_mean,
)
from pricerl.data.cleaning.missing_days import SETTING, MissingDays
from pricerl.data.cleaning.product_rows import Calendar, ProductRows
from pricerl.data.cleaning.quality import LARGEST_ZERO_SHARE, ProductReport
from pricerl.data.cleaning.sales_unit import Measure
from pricerl.data.cleaning.zero_sales import StockOuts, UnlikelyZeros, find_unlikely_zeros, improbable_runs
from pricerl.data.config import DataConfig
from pricerl.data.days import FEWEST_HOLIDAYS, HOLIDAY, STEP_WORDS, day_types
from pricerl.data.forecasters import OWN_MEAN
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import find_prices_in_force
from pricerl.data.reading import columns
from pricerl.formatting import plural
from pricerl.reasons import Reason

NOTED = (*columns.CONVERSIONS, columns.TOTAL_PROFIT, columns.PREDICTED_SALES)
"""Columns whose absence is noted."""

HIGHEST_SHARES = {**dict.fromkeys(columns.CONVERSIONS, 1.0), columns.COUPONS: 0.5}
"""Highest value of a column of percent that may be one of shares; coupons rarely take more than half."""

RUNS_SHOWN = 5
"""Maximum number of zero-sales runs listed; the rest are counted."""

EXCLUDED = {
    "stock_out": "{Day}s out of stock, excluded from demand",
    "short": "{Day}s before stock-outs or on weekdays which often sell out, excluded from demand",
    "refund_days": "Refund {day}s, included in profit and excluded from demand",
    "unpriced_sale": "{Day}s with sales but no price, excluded from demand",
    "padding": "Trailing priced {day}s without sales, taken for future {day}s",
    "gap_days": "{Day}s in long runs without price and sales, excluded from demand",
    "unfinished": "{Day}s not over yet, as they are today, excluded from demand",
}
"""Notes on days that are excluded from demand, by their count."""

LARGEST_MISSING_SHARE = 0.25
LARGEST_REFUND_SHARE = 0.05
"""Thresholds above which the file needs a manual review before its advice can be trusted."""

Counts = dict[Any, Any]
"""Counts of one product, by field of the data report or by the name of the mark of its days."""


class Context(NamedTuple):
    """Settings and findings that all products of one file share."""

    config: DataConfig
    step: int
    """Days from row to row."""
    missing: MissingDays
    """Meaning of the days without a row."""
    holidays: DateArray | None
    """Public holidays, if a country is set and rows are days."""


class CleaningFindings(NamedTuple):
    """Findings of cleaning in the rows of ``P`` products, with the days of all of them one after another."""

    context: Context
    rows: ProductRows
    bounds: Bounds
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


def build_histories(findings: CleaningFindings) -> list[ProductHistory]:
    """Return the history of each product; absent columns are all NaN."""
    config, step, _, holidays = findings.context
    days, dates, _, grid = findings.calendar
    rows = findings.rows
    are_units = days.spread([measure.kind == "units" for measure in findings.measures])
    to_revenue = np.where(are_units, findings.price * (1 - np.nan_to_num(grid[columns.COUPONS]) / 100), 1.0)
    sales = np.where(are_units, findings.units * to_revenue, np.fmax(grid[columns.TOTAL_SALES], 0.0))
    units, sales = impute_trailing_mean(np.array([findings.units, sales]), findings.masks.unknown, days)
    known = {
        "dates": dates,
        "price": findings.price,
        "units": units,
        "sales": sales,
        "profit": np.nan_to_num(grid[columns.TOTAL_PROFIT]),
        "organic": fill_conversion(grid[columns.ORGANIC_CONVERSION], days),
        "ad": fill_conversion(grid[columns.AD_CONVERSION], days),
        "predicted": grid[columns.PREDICTED_SALES] * to_revenue,
        "observed": findings.masks.observed,
        "sold_out": findings.masks.stock_out | findings.stock_outs.empty,
        "profit_known": np.isfinite(grid[columns.TOTAL_PROFIT]) & findings.masks.observed,
    }
    promotion = grid[columns.PROMOTION]
    by_day = {name: grid[name] for name in columns.BY_DAY if np.isfinite(grid[name]).any()}
    costs = rows.cells[columns.UNIT_COST]
    last = rows.segments.last(np.isfinite(costs))
    last_costs = np.where(last >= rows.segments.starts, costs[last], np.nan).tolist()
    return [
        ProductHistory(
            product=name,
            **{field: values[part] for field, values in known.items()},
            future_dates=findings.future.dates[later],
            future_predicted=findings.future.grid[columns.PREDICTED_SALES][later] * to_revenue[part.stop - 1],
            unit_cost=cost if np.isfinite(cost) else None,
            **_fill_optional(by_day, part),
            step_days=step,
            group=group,
            in_force=find_prices_in_force(
                grid[columns.PRODUCT_PRICE][part], step, promotion[part] == 1, promotion[part] == 0
            )
            if config.current_price != "last"
            else None,
            asks=config.current_price == "ask",
            holidays=holidays,
        )
        for name, group, part, later, cost in zip(
            rows.names, rows.groups, days, findings.future.days, last_costs, strict=True
        )
    ]


def _shares(percent: FloatArray) -> FloatArray:
    """Return percentages ``(D,)`` as shares, on days without a sale the mean, as 0 would mark these days."""
    share = percent / 100
    return np.where(np.isfinite(share), share, np.nanmean(share))


def _are_true(flags: FloatArray) -> BoolArray:
    return flags > 0


OPTIONAL: dict[str, tuple[str, Callable[[FloatArray], Any]]] = {
    "costs": (columns.UNIT_COST, carry_forward),
    "competitor": (columns.COMPETITOR_PRICE, carry_forward),
    "promotion": (columns.PROMOTION, _are_true),
    "in_stock": (columns.IN_STOCK, _are_true),
    "coupons": (columns.COUPONS, _shares),
    "ad_spend": (columns.AD_SPEND, np.nan_to_num),
}
"""Optional column by field of a history, and how its blank days are filled."""


def _fill_optional(grid: Mapping[str, FloatArray], part: slice) -> dict[str, Any]:
    """Return the optional columns that a product has on its days ``part``, by field of its history."""
    cells = {name: values[part] for name, values in grid.items() if np.isfinite(values[part]).any()}
    found = {field: fill(cells[name]) for field, (name, fill) in OPTIONAL.items() if name in cells}
    stock = cells.get(columns.IN_STOCK, np.zeros(1))
    return found | ({"stock_units": stock} if np.nanmax(stock) > 1 else {})


def summarize(histories: Sequence[ProductHistory], findings: CleaningFindings) -> list[ProductReport]:
    """Return the data report of each product, forecasts not yet scored, as training days are not known."""
    counted: list[Counts] = pd.DataFrame(_count_days(findings)).to_dict("records")
    filled: list[Counts] = pd.DataFrame(_count_filled(findings)).to_dict("records")
    remarks = _note_columns(findings)
    missing = findings.context.missing
    days, dates, _, grid = findings.calendar
    known = findings.masks.observed & ~(grid[columns.IN_STOCK] > 0)
    unlikely = find_unlikely_zeros(dates, findings.units, known, days)
    runs = find_runs(findings.stock_outs.empty, days), improbable_runs(findings.units, known, days)
    empty, idle = (np.split(found, np.searchsorted(found[:, 0], days.edges[1:-1])) for found in runs)
    return [
        ProductReport(
            product=history.product,
            first_day=str(history.dates[0]),
            last_day=str(history.dates[-1]),
            **{name: count for name, count in counts.items() if name in ProductReport.__dataclass_fields__},
            filled=filled[number],
            sales_measure=measure.kind,
            whole_unit_share=measure.whole_share,
            forecast_used=OWN_MEAN,
            forecast_errors={},
            notes=(
                *(text for text, flags in remarks.items() if flags[number]),
                *_note_days(history, missing, counts, zeros, empty[number] - part.start, idle[number] - part.start),
            ),
            doubts=_doubts(missing, measure, counts, zeros, history),
            step_days=history.step_days,
        )
        for number, (history, measure, counts, zeros, part) in enumerate(
            zip(histories, findings.measures, counted, unlikely, days, strict=True)
        )
    ]


def _count_days(findings: CleaningFindings) -> dict[str, NDArray[Any]]:
    """Return the numbers of rows, prices and days so marked, ``(P,)``, and the range of prices."""
    days, _, present, grid = findings.calendar
    masks = findings.masks
    price = grid[columns.PRODUCT_PRICE]
    sales = grid[columns.TOTAL_SALES]
    priced = np.isfinite(price) & np.isfinite(sales)
    zero = masks.observed & ~(sales > 0)
    charged = np.where(np.isfinite(sales), price, np.nan)
    marked = {
        "usable_days": masks.observed,
        "priced_days": priced,
        "zero_sale_days": zero,
        "blank_price_days": zero & np.isnan(price) & present,
        "refund_days": masks.refund,
        "missing_days": masks.missing,
        "gap_days": masks.gap,
        "short": findings.stock_outs.short,
        "empty": findings.stock_outs.empty,
        "stock_out": masks.stock_out,
        "unpriced_sale": masks.unpriced_sale,
        "no_sale": masks.no_sale,
        "unfinished": masks.unfinished,
    }
    return {
        **{name: days.count(flags) for name, flags in marked.items()},
        "rows": findings.rows.segments.sizes,
        "history_rows": findings.bounds.end + 1,
        "history_days": days.sizes,
        "future_days": findings.future.days.sizes,
        "dropped_leading_days": findings.bounds.start,
        "padding": findings.bounds.padding,
        "distinct_prices": pd.Series(price).where(priced).groupby(days.owners).nunique().to_numpy(),
        "price_min": np.fmin.reduceat(charged, days.starts),
        "price_max": np.fmax.reduceat(charged, days.starts),
    }


def _count_filled(findings: CleaningFindings) -> dict[str, IntArray]:
    """Return the blank cells that were filled, ``(P,)`` by column: none in a column without a value."""
    days, _, present, grid = findings.calendar
    return {
        name: np.where(days.any(np.isfinite(grid[name])), days.count(present & np.isnan(grid[name])), 0)
        for name in columns.FILLED
    }


def _note_columns(findings: CleaningFindings) -> dict[str, BoolArray]:
    """Return notes on columns without a value and on unusual conversions, each with its products ``(P,)``."""
    grid = findings.calendar.grid
    found = findings.calendar.days.any
    return {
        **{
            f"{name}: absent or blank throughout the history; not used.": ~found(np.isfinite(grid[name]))
            for name in NOTED
        },
        **{
            f"{name}: no value above {most:g}; read as percent. Multiply by 100 if these are shares.": (
                found(grid[name] > 0) & ~found(grid[name] > most)
            )
            for name, most in HIGHEST_SHARES.items()
        },
        **{
            f"{name}: values above {HIGHEST_CONVERSION:g} count as {HIGHEST_CONVERSION:g}.": found(
                grid[name] > HIGHEST_CONVERSION
            )
            for name in columns.CONVERSIONS
        },
    }


def _note_days(
    history: ProductHistory,
    missing: MissingDays,
    counts: Counts,
    zeros: UnlikelyZeros | None,
    empty: IntArray,
    idle: IntArray,
) -> Iterator[str]:
    """Return notes on the days that are excluded from demand, or that have no sales.

    Runs of days are taken for stock-outs, ``empty (R, 2)``, or are too long for chance, ``idle (R, 2)``.
    """
    period = STEP_WORDS[history.step_days]
    words = {"Day": period.capitalize(), "day": period}
    mark = f"Mark days out of stock or off sale in an {columns.IN_STOCK} column"
    on_holidays = day_types(history.dates, history.holidays) == HOLIDAY
    met = int((on_holidays & history.observed).sum())
    few = "" if met >= FEWEST_HOLIDAYS else f"; at least {FEWEST_HOLIDAYS} are needed to estimate their effect"
    notes = (
        *(f"{text.format(**words)}: {counts[name]}." for name, text in EXCLUDED.items() if counts[name]),
        _missing_days(counts, missing, period),
        f"Nothing sold on {plural(counts['empty'], period)}, unlike usual demand: {_listed(history, empty)}. Taken for "
        f"stock-outs and excluded from demand. Mark them in an {columns.IN_STOCK} column: no to confirm, yes if there "
        "was stock."
        if len(empty)
        else "",
        f"Nothing sold from {_listed(history, idle)}: too long for chance. {mark}; until then they count as days "
        "without demand."
        if len(idle)
        else "",
        f"Nothing sold on {zeros.days} of {plural(zeros.known, period)}, usual demand explains {zeros.expected:.0f}. "
        f"{mark}."
        if zeros is not None and zeros.share <= LARGEST_ZERO_SHARE
        else "",
        f"Public holidays in the history: {on_holidays.sum()}, {met} of them with known price and sales{few}."
        if history.holidays is not None
        else "",
    )
    return filter(None, notes)


def _missing_days(counts: Counts, missing: MissingDays, word: str) -> str:
    """Return a note on the product's days without a row; empty without any."""
    left = counts["missing_days"]
    reason = f", because {missing.evidence}" if missing.evidence else ""
    if sale := counts["no_sale"]:
        rest = f" ({left} more in longer gaps: as unknown)" if left else ""
        remedy = f" If they are unknown, set {SETTING} unknown." if reason else ""
        return f"{plural(sale, word)} without a row: read as {word}s without a sale{rest}{reason}.{remedy}"
    return (
        f"{plural(left, word)} without a row: read as unknown{reason}. If nothing was sold on them, set {SETTING} zero."
        if left and reason
        else ""
    )


def _listed(history: ProductHistory, runs: Iterable[Sequence[int]]) -> str:
    """Return the dates of the first runs, each from its first day to the one before its second entry."""
    spans = [(history.dates[first], history.dates[after - 1]) for first, after in runs]
    listed = [f"{first} to {last}" if last > first else str(first) for first, last in spans[:RUNS_SHOWN]]
    return ", ".join([*listed, *([f"{len(spans) - RUNS_SHOWN} more"] if len(spans) > RUNS_SHOWN else [])])


def _doubts(
    missing: MissingDays, measure: Measure, counts: Counts, zeros: UnlikelyZeros | None, history: ProductHistory
) -> tuple[Reason, ...]:
    """Return the findings that require a review under any settings."""
    days = counts["history_days"]
    absent = counts["missing_days"] / days
    refund = counts["refund_days"] / days
    doubts = (
        history.price_doubt,
        Reason("missing_rows", {"share": absent, "days": days}) if absent > LARGEST_MISSING_SHARE else None,
        missing.doubt if absent > 0 else None,
        Reason("refunds", {"share": refund, "days": days}) if refund > LARGEST_REFUND_SHARE else None,
        Reason("long_gaps", {"days": counts["gap_days"]}) if counts["gap_days"] else None,
        zeros.reason if zeros is not None and zeros.share > LARGEST_ZERO_SHARE else None,
        Reason("taken_as_empty", {"days": counts["empty"]}) if counts["empty"] / days > LARGEST_ZERO_SHARE else None,
        measure.doubt,
    )
    return tuple(filter(None, doubts))
