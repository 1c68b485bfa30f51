"""Reading, checking and cleaning of a seller's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, IntArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.cleaning import clean
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS
from pricerl.data.history import UNNAMED_PRODUCT, History
from pricerl.data.reading import columns
from pricerl.data.reading.columns import check_values
from pricerl.data.reading.csv_file import TextTable, read_text, split_rows
from pricerl.data.reading.dates import read_dates
from pricerl.data.reading.flags import read_flags
from pricerl.data.reading.numbers import is_blank, read_number_columns
from pricerl.data.reading.problems import Problem, refuse

LONGEST_SPAN_DAYS = 20_000
"""A span of more than 54 years is a typo in a year."""

LONGEST_GAP_DAYS = 1_000
"""A longer gap between two rows is a typo in a year, or separates the history from an outdated one."""

LARGEST_DAILY_SPACING = 5
"""Rows at least this far apart (median) are not days; unless all are whole weeks apart, they are refused."""


def read_history(path: str | Path, config: DataConfig | None = None) -> History:
    """Read, check and clean a seller's file.

    >>> history = pricerl.read_history("sales.csv")
    >>> [(item.product, len(item.dates)) for item in history.products]
    [('product', 90)]

    Args:
        path: CSV file; errors name it as written here.
        config: how to read ambiguous values.

    Returns:
        The cleaned history of every product in the file.

    Raises:
        DataError: the file cannot be used; lists every problem with the line of the seller's own file.
    """
    text, notes = read_text(path)
    return history_from_text(text, str(path), config or DataConfig(), notes)


def history_from_text(text: str, source: str, config: DataConfig, notes: Sequence[str] = ()) -> History:
    """Check and clean the text of a seller's file as `read_history` does; errors and reports name its ``source``."""
    table = split_rows(text, source)
    frame, problems = _parse(table, config)
    blanked = _blank_zero_prices(frame)
    problems += [*check_values(frame, table.columns), *_check_calendar(frame)]
    if problems:
        refuse(source, set(problems))
    return clean(frame, source, config, (*notes, *table.notes, *blanked))


def _parse(table: TextTable, config: DataConfig) -> tuple[pd.DataFrame, list[Problem]]:
    """Parse the text columns into dates and numbers, indexed by line."""
    cells, lines = table.columns, table.lines
    texts = {name: cells[name] for name in columns.NUMERIC if name in cells}
    values, problems = read_number_columns(texts, lines, config.decimal, table.separator)
    problems = [*table.problems, *problems]
    frame = pd.DataFrame(values, index=pd.Index(lines))
    frame[columns.PRODUCT] = [name.strip() for name in cells.get(columns.PRODUCT, [UNNAMED_PRODUCT] * len(lines))]
    blank = (line for line, name in zip(lines, frame[columns.PRODUCT], strict=True) if is_blank(name))
    problems += [Problem(line, columns.PRODUCT, "is blank; every row needs a product") for line in blank]
    for name in columns.FLAGS:
        if name in cells:
            frame[name], trouble = read_flags(name, cells[name], lines)
            problems += trouble
    if columns.REPORT_DATE in cells:
        days, trouble = read_dates(cells[columns.REPORT_DATE], lines, config.date_format)
        frame[columns.REPORT_DATE] = days.astype("datetime64[s]")
        problems += trouble
    return frame, problems


def _blank_zero_prices(frame: pd.DataFrame) -> tuple[str, ...]:
    """Treat a price of 0 on a day without sales as blank; return a note if any exist."""
    if not {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns):
        return ()
    price, sales = frame[columns.PRODUCT_PRICE].to_numpy(), frame[columns.TOTAL_SALES].to_numpy()
    zero = (price == 0) & ~(sales > 0)
    frame[columns.PRODUCT_PRICE] = np.where(zero, np.nan, price)
    if columns.UNITS in frame.columns:
        frame[columns.UNITS] = np.where(sales < 0, np.nan, frame[columns.UNITS].to_numpy())
    return (f"Product Price is 0 on {zero.sum()} rows without sales; read as blank.",) if zero.any() else ()


def _check_calendar(frame: pd.DataFrame) -> list[Problem]:
    """Check each product's dates: no day twice, no impossible span, rows of days or of weeks."""
    if columns.REPORT_DATE not in frame.columns:
        return []
    in_range = frame[columns.REPORT_DATE].dt.year.between(columns.FIRST_YEAR, columns.LAST_YEAR)
    dated = frame[in_range].sort_values(columns.REPORT_DATE, kind="stable")
    products = list(dated.groupby(columns.PRODUCT, sort=False))
    problems: list[Problem] = []
    steps: dict[int, str] = {}
    for name, rows in products:
        whose = "" if len(products) == 1 else f" of product {name!r}"
        days = rows[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
        problems += _check_days(days, rows.index.to_numpy(), whose)
        steps.setdefault(find_step_days(days), str(name))
    if not problems and len(steps) > 1:
        listed = " and ".join(f"those of {name!r} are {STEP_WORDS[step]}s" for step, name in steps.items())
        problems.append(Problem(0, columns.REPORT_DATE, f"rows of products differ: {listed}; use one file for each"))
    return problems


def _check_days(days: DateArray, lines: IntArray, whose: str) -> list[Problem]:
    """Check one product's rows, sorted by day and then by line."""
    steps = np.diff(days).astype(np.int64)
    found = [
        (int(lines[at + 1]), f"{days[at + 1]}{whose} is already on line {lines[at]}; keep one row per day")
        for at in np.flatnonzero(steps == 0)
    ]
    if (span := int(steps.sum())) > LONGEST_SPAN_DAYS:
        middle = days[len(days) // 2]  # the end farther from the middle row has the typo
        odd, other = (-1, 0) if days[-1] - middle > middle - days[0] else (0, -1)
        far = f"is {span:,} days from {days[other]} on line {lines[other]}; is the year right?"
        found.append((int(lines[odd]), f"{days[odd]}{whose} {far}"))
    elif len(steps) and (gap := int(steps.max())) > LONGEST_GAP_DAYS:
        at = int(steps.argmax())  # the side with fewer rows has the typo
        odd, other = (at, at + 1) if at + 1 < len(days) / 2 else (at + 1, at)
        far = f"is {gap:,} days from the nearest row, {days[other]} on line {lines[other]}; is the year right?"
        found.append((int(lines[odd]), f"{days[odd]}{whose} {far} Otherwise keep the rows after the gap"))
    gaps = steps[steps > 0]
    if len(gaps) and np.median(gaps) >= LARGEST_DAILY_SPACING and find_step_days(days) == 1:
        apart = f"rows{whose} are {np.median(gaps):g} days apart (median)"
        found.append((0, f"{apart}; export one row per day, or one per week with all dates on one weekday"))
    return [Problem(line, columns.REPORT_DATE, text) for line, text in found]
