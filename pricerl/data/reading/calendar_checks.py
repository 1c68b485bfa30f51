"""Checks of the rows' dates: no day twice, no impossible span, rows of days or of weeks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pricerl.arrays import BoolArray, DateArray, IntArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.missing_days import SETTING, Setting, find_missing_days
from pricerl.data.cleaning.product_rows import Segments, order_rows
from pricerl.data.days import STEP_WORDS
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.tables import Parsed

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


def check_calendar(parsed: Parsed, setting: Setting) -> list[Problem]:
    """Check each product's dates; rows may be far apart where the file lists sales only, as ``setting`` says."""
    frame = parsed.frame
    if columns.REPORT_DATE not in frame.columns:
        return []
    days = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    first, after = (np.datetime64(f"{year}-01-01") for year in (columns.FIRST_YEAR, columns.LAST_YEAR + 1))
    dated = np.flatnonzero((days >= first) & (days < after))
    products = frame[columns.PRODUCT].array
    codes = np.asarray(products.codes)[dated]
    order = order_rows(codes, days[dated])
    rows = dated[order]
    days = days[rows]
    codes = codes[order]
    segments = Segments(np.diff(np.flatnonzero(np.diff(codes, prepend=-1, append=-1))))
    unusual = _unusual_products(days, segments)
    problems: list[Problem] = []
    apart: list[Problem] = []
    steps = {} if unusual.all() else {1: int(np.argmin(unusual))}
    for place in map(int, np.flatnonzero(unusual)):
        part = segments.part(place)
        name = str(products.categories[codes[part.start]])
        whose = f" of product {name!r}" if len(segments) > 1 else ""
        problems += [item._replace(product=name) for item in _check_days(days[part], rows[part], parsed.lines, whose)]
        spacing = [item._replace(product=name) for item in _check_spacing(days[part], whose)]
        gaps = np.diff(days[part]).astype(np.int64)
        regular = len(gaps) >= FEWEST_STEPS and gaps.std() < LARGEST_VARIATION * gaps.mean()
        if setting != "zero" and regular:
            problems += spacing
        else:
            apart += spacing
        step = find_step_days(days[part])
        if step > 1 and segments.sizes[place] < FEWEST_WEEKS and 1 in steps:
            found = f"rows{whose} are too few to be {STEP_WORDS[step]}s, as those of other products are days"
            problems.append(Problem(0, columns.REPORT_DATE, found, name))
            continue
        steps[step] = min(place, steps.get(step, place))
    if not problems and len(steps) > 1:
        firsts = sorted((place, step) for step, place in steps.items())
        named = [(products.categories[codes[segments.starts[place]]], step) for place, step in firsts]
        listed = " and ".join(f"those of {name!r} are {STEP_WORDS[step]}s" for name, step in named)
        problems.append(Problem(0, columns.REPORT_DATE, f"rows of products differ: {listed}; use one file for each"))
    meaning: str = setting
    if apart and setting == "auto" and {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns):
        meaning = find_missing_days(frame.iloc[dated], setting).meaning
    return problems if meaning == "zero" else [*problems, *apart]


def _unusual_products(days: DateArray, segments: Segments) -> BoolArray:
    """Return the products ``(P,)`` whose days ``(N,)``, ascending, are not plainly days in a possible order."""
    steps = np.diff(days, prepend=days[:1]).astype(np.int64)
    steps[segments.starts] = 1  # from product to product
    wide = segments.count(steps >= LARGEST_DAILY_SPACING)
    span = (days[segments.edges[1:] - 1] - days[segments.starts]).astype(np.int64)
    impossible = segments.any((steps == 0) | (steps > LONGEST_GAP_DAYS)) | (span > LONGEST_SPAN_DAYS)
    return np.asarray(impossible | ((2 * wide >= segments.sizes - 1) & (wide > 0)))


def _check_days(days: DateArray, rows: IntArray, lines: Sequence[int], whose: str) -> list[Problem]:
    """Check one product's rows, sorted by day and then by line."""
    steps = np.diff(days).astype(np.int64)
    found = [
        (at + 1, f"{days[at + 1]}{whose} is already on line {lines[rows[at]]}; keep one row per day")
        for at in map(int, np.flatnonzero(steps == 0))
    ]
    if (span := int(steps.sum())) > LONGEST_SPAN_DAYS:
        middle = days[len(days) // 2]  # the end farther from the middle row has the typo
        odd, other = (-1, 0) if days[-1] - middle > middle - days[0] else (0, -1)
        far = f"is {span:,} days from {days[other]} on line {lines[rows[other]]}; is the year right?"
        found.append((odd, f"{days[odd]}{whose} {far}"))
    elif len(steps) and (gap := int(steps.max())) > LONGEST_GAP_DAYS:
        at = int(steps.argmax())  # the side with fewer rows has the typo
        odd, other = (at, at + 1) if at + 1 < len(days) / 2 else (at + 1, at)
        far = f"is {gap:,} days from the nearest row, {days[other]} on line {lines[rows[other]]}; is the year right?"
        found.append((odd, f"{days[odd]}{whose} {far} Otherwise keep the rows after the gap"))
    return [Problem(lines[rows[at]], columns.REPORT_DATE, text) for at, text in found]


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
