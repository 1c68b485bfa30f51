"""Checks of the rows' dates: no day twice, no impossible span, rows of days or of weeks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np

from pricerl.arrays import BoolArray, DateArray, IntArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.missing_days import SETTING, Setting, find_missing_days
from pricerl.data.cleaning.product_rows import Segments, codes_of, order_rows
from pricerl.data.days import STEP_WORDS
from pricerl.data.platforms.presets import ORDER_LINES
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem, list_names
from pricerl.data.reading.tables import Parsed
from pricerl.data.reading.value_checks import YEARS

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

ROWS_PER_PART = 5
"""Fewest rows per text of a column that separates shops: the number of an order is on one or a few rows."""


FAR_APART = (
    "rows{} are {:g} days apart (median); export one row per day, or one per week with all dates on one weekday; "
    f"if the file has a row only for days with a sale, set {SETTING} zero"
)
OTHER_STEP = "rows of product {!r} are {}s, other products' rows are not; use a file of its own for it"
NOT_APART = (
    "which no column separates; add orders up, leave returns out, delete copies, name several products in a column "
    f"Product; of order lines, set --data.reading.preset {ORDER_LINES}"
)


def check_calendar(parsed: Parsed, setting: Setting) -> list[Problem]:
    """Check each product's dates; rows may be far apart where the file lists sales only, as ``setting`` says."""
    frame = parsed.frame
    if columns.REPORT_DATE not in frame.columns:
        return []
    every = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    dated = np.flatnonzero((every >= YEARS[0]) & (every < YEARS[1]))
    codes = codes_of(frame[columns.PRODUCT])
    rows = dated[order_rows(codes[dated], every[dated])]
    days = every[rows]
    segments = Segments(np.diff(np.flatnonzero(np.diff(codes[rows], prepend=-1, append=-1))))
    names = frame[columns.PRODUCT].iloc[rows[segments.starts]].astype(str).tolist()
    problems = _find_repeats(parsed, rows, segments)
    apart: list[Problem] = []
    steps = np.ones(len(segments), dtype=np.int64)
    unusual = _unusual_products(days, segments)
    for place, (name, part) in compress(enumerate(zip(names, segments, strict=True)), unusual):
        whose = f" of product {name!r}" if len(segments) > 1 else ""
        gaps = np.diff(days[part]).astype(np.int64)
        steps[place] = find_step_days(days[part])
        problems += [item._replace(product=name) for item in _check_years(days[part], rows[part], parsed.lines, whose)]
        usual = np.median(gaps[gaps > 0]) if gaps.any() else 1
        if usual >= LARGEST_DAILY_SPACING and steps[place] == 1:
            regular = len(gaps) >= FEWEST_STEPS and gaps.std() < LARGEST_VARIATION * gaps.mean()
            problem = Problem(0, columns.REPORT_DATE, FAR_APART.format(whose, usual), name)
            (problems if setting != "zero" and regular else apart).append(problem)
    problems += _check_steps(steps, segments.sizes, names)
    unclear = apart and setting == "auto" and {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns)
    meaning = find_missing_days(frame.iloc[dated], setting).meaning if unclear else setting
    return problems if meaning == "zero" else [*problems, *apart]


def _unusual_products(days: DateArray, segments: Segments) -> BoolArray:
    """Return the products ``(P,)`` whose days ``(N,)``, ascending, are not plainly days in a possible order."""
    steps = np.diff(days, prepend=days[:1]).astype(np.int64)
    steps[segments.starts] = 1  # from product to product
    wide = segments.count(steps >= LARGEST_DAILY_SPACING)
    odd = segments.any((steps == 0) | (steps > LONGEST_GAP_DAYS))
    return np.asarray((2 * wide >= segments.sizes - 1) & (wide > 0) | odd)


def _check_steps(steps: IntArray, sizes: IntArray, names: Sequence[str]) -> list[Problem]:
    """Return a problem per product whose ``steps (P,)`` from row to row differ from most, which have more rows."""
    weekly = steps > 1
    daily = ~weekly & (sizes > 1)
    if not (weekly.any() and daily.any()):
        return []
    surely = weekly & (sizes >= FEWEST_WEEKS)
    balance = int(surely.sum() - daily.sum())
    odd = (weekly & (~surely | (balance <= 0))) | (daily & (balance >= 0))
    return [
        Problem(0, columns.REPORT_DATE, OTHER_STEP.format(name, STEP_WORDS[step]), name)
        for name, step, is_odd in zip(names, steps.tolist(), odd, strict=True)
        if is_odd
    ]


def _find_repeats(parsed: Parsed, rows: IntArray, segments: Segments) -> list[Problem]:
    """Return one problem on all ``rows (N,)``, by product and day, that repeat these, or one per product if few do."""
    days = parsed.frame[columns.REPORT_DATE].to_numpy()[rows]
    owner = segments.owners
    second = np.flatnonzero((days[1:] == days[:-1]) & (owner[1:] == owner[:-1])) + 1
    affected = np.unique(owner[second])
    if 2 * len(affected) > len(segments):
        return [_explain_repeats(parsed, rows, second)._replace(product="", everywhere=True)]
    return [_explain_repeats(parsed, rows, second[owner[second] == place]) for place in affected]


def _explain_repeats(parsed: Parsed, rows: IntArray, second: IntArray) -> Problem:
    """Return the problem of the rows at ``second (R,)``, each of the same product and day as the one before."""
    frame = parsed.frame.iloc[rows]
    line, before = (parsed.lines[int(rows[place])] for place in (second[0], second[0] - 1))
    name = str(frame[columns.PRODUCT].iloc[second[0]])
    if len(second) == 1 or parsed.texts is None:
        whose = f" of product {name!r}" if frame[columns.PRODUCT].nunique() > 1 else ""
        found = f"{frame[columns.REPORT_DATE].iloc[second[0]].date()}{whose} is already on line {before}"
        return Problem(line, columns.REPORT_DATE, f"{found}; keep one row per day", name)
    texts = parsed.texts.iloc[rows]
    same = (texts.iloc[second].to_numpy() == texts.iloc[second - 1].to_numpy()).all(axis=1)
    known = {name for ours, name in parsed.names.items() if ours != columns.GROUP}
    keys = frame[[columns.PRODUCT, columns.REPORT_DATE]]
    apart = [
        f"which column {title!r} separates ({list_names(map(str, part.unique()))}); split the file, or add them up"
        for title, part in texts.items()
        if title not in known and ROWS_PER_PART * part.nunique() <= len(rows)
        if not keys.assign(part=part.to_numpy()).duplicated().any()
    ]
    if keys.groupby(list(keys), observed=True).size().max() == 2 and 2 * same.sum() > len(second):
        apart = ["cell by cell; delete what is there twice"]
    found = f"{len(second):,} rows repeat product and day, such as line {line} and line {before}"
    return Problem(line, columns.REPORT_DATE, f"{found}, {[*apart, NOT_APART][0]}", name)


def _check_years(days: DateArray, rows: IntArray, lines: Sequence[int], whose: str) -> list[Problem]:
    """Return a problem if one product's days, in order, have a gap that a typo in a year explains."""
    gaps = np.diff(days).astype(np.int64)
    if not len(gaps) or gaps.max() <= LONGEST_GAP_DAYS:
        return []
    at = int(gaps.argmax())  # the side with fewer rows has the typo
    odd, other = (at, at + 1) if at + 1 < len(days) / 2 else (at + 1, at)
    return [
        Problem(
            lines[rows[odd]],
            columns.REPORT_DATE,
            f"{days[odd]}{whose} is {gaps[at]:,} days from the nearest row, {days[other]} on line "
            f"{lines[rows[other]]}; is the year right? Otherwise keep the rows after the gap",
        )
    ]
