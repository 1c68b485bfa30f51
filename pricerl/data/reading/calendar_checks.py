"""Checks of the rows' dates: no day twice, no impossible span, rows of days or of weeks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, IntArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.missing_days import SETTING, Setting, find_missing_days
from pricerl.data.cleaning.product_rows import order_rows
from pricerl.data.days import STEP_WORDS
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem

LONGEST_SPAN_DAYS = 20_000
"""A span of more than 54 years is a typo in a year."""

LONGEST_GAP_DAYS = 1_000
"""A longer gap between two rows is a typo in a year, or separates the history from an outdated one."""

LARGEST_DAILY_SPACING = 5
"""Rows at least this far apart (median) are not days; unless all are whole weeks apart, they are refused."""


FEWEST_STEPS = 6
LARGEST_VARIATION = 0.4
"""Fewest steps between rows, and their largest coefficient of variation, that are a period of a report; it is about 1
between days with sales."""

FEWEST_WEEKS = 8
"""Fewest rows whole weeks apart that are surely weeks in a file of days."""


def check_calendar(frame: pd.DataFrame, lines: Sequence[int], setting: Setting = "auto") -> list[Problem]:
    """Check each product's dates. Rows may be far apart where the file lists sales only.

    Args:
        frame: parsed columns, products as a categorical.
        lines: line of each row in the seller's file.
        setting: meaning of days without a row, or ``auto``.
    """
    if columns.REPORT_DATE not in frame.columns:
        return []
    days = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    first, after = (np.datetime64(f"{year}-01-01") for year in (columns.FIRST_YEAR, columns.LAST_YEAR + 1))
    dated = np.flatnonzero((days >= first) & (days < after))
    days = days[dated]
    products = frame[columns.PRODUCT].array
    codes = np.asarray(products.codes)[dated]
    order = order_rows(codes, days)
    rows = dated[order]
    days = days[order]
    codes = codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))
    unusual = _unusual_products(days, starts, ends)
    problems: list[Problem] = []
    apart: list[Problem] = []
    steps = {} if unusual.all() else {1: int(np.argmin(unusual))}
    for place in map(int, np.flatnonzero(unusual)):
        part = slice(starts[place], ends[place])
        name = str(products.categories[codes[starts[place]]])
        whose = "" if len(starts) == 1 else f" of product {name!r}"
        problems += [item._replace(product=name) for item in _check_days(days[part], rows[part], lines, whose)]
        step = find_step_days(days[part])
        regular = setting != "zero" and _are_regular(days[part])
        (problems if regular else apart).extend(
            item._replace(product=name) for item in _check_spacing(days[part], whose)
        )
        if step > 1 and ends[place] - starts[place] < FEWEST_WEEKS and 1 in steps:
            found = f"rows{whose} are too few to be {STEP_WORDS[step]}s, as those of other products are days"
            problems.append(Problem(0, columns.REPORT_DATE, found, name))
            continue
        steps[step] = min(place, steps.get(step, place))
    if not problems and len(steps) > 1:
        names = {step: products.categories[codes[starts[steps[step]]]] for step in sorted(steps, key=steps.__getitem__)}
        listed = " and ".join(f"those of {name!r} are {STEP_WORDS[step]}s" for step, name in names.items())
        problems.append(Problem(0, columns.REPORT_DATE, f"rows of products differ: {listed}; use one file for each"))
    if apart and not _lists_sales_only(frame.iloc[dated], setting):
        problems += apart
    return problems


def _lists_sales_only(frame: pd.DataFrame, setting: Setting) -> bool:
    """Return whether a day without a row is a day without a sale in the rows of a file."""
    if setting != "auto" or not {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns):
        return setting == "zero"
    return find_missing_days(frame, setting).meaning == "zero"


def _unusual_products(days: DateArray, starts: IntArray, ends: IntArray) -> BoolArray:
    """Return the products ``(P,)`` whose rows are not plainly days in a possible order.

    Args:
        days: ``(N,)`` days by product, ascending within each.
        starts: ``(P,)`` first row of each product.
        ends: ``(P,)`` row after the last one of each product.
    """
    if not len(days):
        return np.empty(0, dtype=bool)
    steps = np.diff(days, prepend=days[0]).astype(np.int64)
    steps[starts] = 1  # from product to product
    twice = np.add.reduceat(steps == 0, starts) > 0
    wide = np.add.reduceat(steps >= LARGEST_DAILY_SPACING, starts)
    far = np.maximum.reduceat(steps, starts) > LONGEST_GAP_DAYS
    span = (days[ends - 1] - days[starts]).astype(np.int64)
    return twice | far | (span > LONGEST_SPAN_DAYS) | (2 * wide >= ends - starts - 1) & (wide > 0)


def _check_days(days: DateArray, rows: IntArray, lines: Sequence[int], whose: str) -> list[Problem]:
    """Check one product's rows, sorted by day and then by line."""
    steps = np.diff(days).astype(np.int64)
    found = [
        (lines[rows[at + 1]], f"{days[at + 1]}{whose} is already on line {lines[rows[at]]}; keep one row per day")
        for at in np.flatnonzero(steps == 0)
    ]
    if (span := int(steps.sum())) > LONGEST_SPAN_DAYS:
        middle = days[len(days) // 2]  # the end farther from the middle row has the typo
        odd, other = (-1, 0) if days[-1] - middle > middle - days[0] else (0, -1)
        far = f"is {span:,} days from {days[other]} on line {lines[rows[other]]}; is the year right?"
        found.append((lines[rows[odd]], f"{days[odd]}{whose} {far}"))
    elif len(steps) and (gap := int(steps.max())) > LONGEST_GAP_DAYS:
        at = int(steps.argmax())  # the side with fewer rows has the typo
        odd, other = (at, at + 1) if at + 1 < len(days) / 2 else (at + 1, at)
        far = f"is {gap:,} days from the nearest row, {days[other]} on line {lines[rows[other]]}; is the year right?"
        found.append((lines[rows[odd]], f"{days[odd]}{whose} {far} Otherwise keep the rows after the gap"))
    return [Problem(line, columns.REPORT_DATE, text) for line, text in found]


def _are_regular(days: DateArray) -> bool:
    """Return whether one product's rows are as regular as those of ten days or months, and sales are not."""
    steps = np.diff(days).astype(np.int64)
    return len(steps) >= FEWEST_STEPS and float(steps.std()) < LARGEST_VARIATION * float(steps.mean())


def _check_spacing(days: DateArray, whose: str) -> list[Problem]:
    """Return a problem if one product's rows are neither days nor weeks, unless the file lists sales only."""
    steps = np.diff(days).astype(np.int64)
    gaps = steps[steps > 0]
    if not len(gaps) or np.median(gaps) < LARGEST_DAILY_SPACING or find_step_days(days) > 1:
        return []
    found = f"rows{whose} are {np.median(gaps):g} days apart (median)"
    remedy = "export one row per day, or one per week with all dates on one weekday"
    only = f"if the file has a row only for days with a sale, set {SETTING} zero"
    return [Problem(0, columns.REPORT_DATE, f"{found}; {remedy}; {only}")]
