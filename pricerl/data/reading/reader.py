"""The one way from a seller's file to its history: read, check, clean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, IntArray
from pricerl.data.cleaning.cleaning import clean
from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT, History
from pricerl.data.reading.columns import (
    FIRST_YEAR,
    IN_STOCK,
    LAST_YEAR,
    NUMERIC,
    PRODUCT,
    PRODUCT_PRICE,
    PROMOTION,
    REPORT_DATE,
    TOTAL_SALES,
    UNITS,
    check_values,
)
from pricerl.data.reading.csv_file import TextTable, read_text, split_rows
from pricerl.data.reading.dates import read_dates
from pricerl.data.reading.flags import read_stock
from pricerl.data.reading.numbers import is_blank, read_number_columns
from pricerl.data.reading.problems import Problem, refuse
from pricerl.data.reading.promotion import read_promotion

LONGEST_SPAN_DAYS = 20_000
"""More than 54 years between two rows is a typo in a year, not a history."""

LONGEST_GAP_DAYS = 1_000
"""So long without any row is a typo in a year as well, or two histories of which the first says nothing any more."""

WEEKLY_SPACING_DAYS = 5
"""Rows at least this far apart (median) are weekly or monthly sums, not days."""


def read_history(path: str | Path, config: DataConfig) -> History:
    """Read, check and clean a seller's file.

    Args:
        path: CSV file; its name appears in errors as written here.
        config: how to read what can be read in more than one way.

    Returns:
        The cleaned history of every product in the file.

    Raises:
        DataError: the file cannot be used; tells every problem with the line of the seller's own file.
    """
    text, notes = read_text(path)
    return history_from_text(text, str(path), config, notes)


def history_from_text(text: str, source: str, config: DataConfig, notes: Sequence[str] = ()) -> History:
    """Check and clean the text of a seller's file.

    Args:
        text: the whole file.
        source: name under which errors and reports speak of it.
        config: how to read what can be read in more than one way.
        notes: what is already known about the file, for the reports.

    Returns:
        The cleaned history of every product in the text.

    Raises:
        DataError: the text cannot be used; tells every problem with its line.
    """
    table = split_rows(text, source)
    frame, problems = _parse(table, config)
    blanked = _blank_zero_prices(frame)
    problems += check_values(frame, table.columns)
    problems += _check_calendar(frame)
    if problems:
        refuse(source, set(problems))
    return clean(frame, source, config, (*notes, *table.notes, *blanked))


def _parse(table: TextTable, config: DataConfig) -> tuple[pd.DataFrame, list[Problem]]:
    """Turn the text columns into dates and numbers, indexed by line."""
    texts = {name: table.columns[name] for name in NUMERIC if name in table.columns}
    values, problems = read_number_columns(texts, table.lines, config.decimal, table.separator)
    frame = pd.DataFrame(values, index=pd.Index(table.lines))
    names, blank_names = _product_names(table)
    frame[PRODUCT] = names
    problems = [*table.problems, *problems, *blank_names]
    for name, read in ((IN_STOCK, read_stock), (PROMOTION, read_promotion)):
        if name in table.columns:
            frame[name], trouble = read(table.columns[name], table.lines)
            problems += trouble
    if REPORT_DATE in table.columns:
        days, trouble = read_dates(table.columns[REPORT_DATE], table.lines, config.date_format)
        frame[REPORT_DATE] = days.astype("datetime64[s]")
        problems += trouble
    return frame, problems


def _product_names(table: TextTable) -> tuple[list[str], list[Problem]]:
    if PRODUCT not in table.columns:
        return [UNNAMED_PRODUCT] * len(table.lines), []
    names = [name.strip() for name in table.columns[PRODUCT]]
    blank = [line for line, name in zip(table.lines, names, strict=True) if is_blank(name)]
    return names, [Problem(line, PRODUCT, "is blank; every row needs a product") for line in blank]


def _blank_zero_prices(frame: pd.DataFrame) -> tuple[str, ...]:
    """Treat a price of 0 on a day without sales as a blank price; returns a note if there was one."""
    if not {PRODUCT_PRICE, TOTAL_SALES} <= set(frame.columns):
        return ()
    price, sales = frame[PRODUCT_PRICE].to_numpy(), frame[TOTAL_SALES].to_numpy()
    zero = (price == 0) & ~(sales > 0)
    frame[PRODUCT_PRICE] = np.where(zero, np.nan, price)
    if UNITS in frame.columns:
        frame[UNITS] = np.where(sales < 0, np.nan, frame[UNITS].to_numpy())
    count = int(zero.sum())
    return (f"Product Price is 0 on {count} rows without sales; read as blank.",) if count else ()


def _check_calendar(frame: pd.DataFrame) -> list[Problem]:
    """Check each product's dates: no day twice, no impossible span, daily rows."""
    if REPORT_DATE not in frame.columns:
        return []
    dated = frame[frame[REPORT_DATE].dt.year.between(FIRST_YEAR, LAST_YEAR)]
    days = dated[REPORT_DATE].to_numpy().astype("datetime64[D]")
    lines, (codes, names) = dated.index.to_numpy(), pd.factorize(dated[PRODUCT].to_numpy())
    order = np.lexsort((lines, days, codes))
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    problems: list[Problem] = []
    for rows in np.split(order, cuts) if len(order) else []:
        whose = "" if len(names) == 1 else f" of product {names[codes[rows[0]]]!r}"
        problems += _check_days(days[rows], lines[rows], whose)
    return problems


def _check_days(days: DateArray, lines: IntArray, whose: str) -> list[Problem]:
    steps = np.diff(days).astype(np.int64)
    problems = [
        Problem(
            int(lines[at + 1]), REPORT_DATE, f"{days[at + 1]}{whose} is already on line {lines[at]}; keep one row a day"
        )
        for at in np.flatnonzero(steps == 0)
    ]
    if int(steps.sum()) > LONGEST_SPAN_DAYS:
        problems.append(_span_problem(days, lines, whose))
    elif len(steps) and steps.max() > LONGEST_GAP_DAYS:
        problems.append(_gap_problem(days, lines, int(steps.argmax()), whose))
    gaps = steps[steps > 0]
    if len(gaps) and np.median(gaps) >= WEEKLY_SPACING_DAYS:
        text = f"rows{whose} are {np.median(gaps):g} days apart (median); daily rows are needed, one row a day"
        problems.append(Problem(0, REPORT_DATE, text))
    return problems


def _span_problem(days: DateArray, lines: IntArray, whose: str) -> Problem:
    """Name the end of the calendar that lies farther from the middle row: it holds the typo."""
    middle = days[len(days) // 2]
    at, other = (-1, 0) if days[-1] - middle > middle - days[0] else (0, -1)
    span = int((days[-1] - days[0]).astype(np.int64))
    text = f"{days[at]}{whose} is {span:,} days from {days[other]} on line {lines[other]}; is the year right?"
    return Problem(int(lines[at]), REPORT_DATE, text)


def _gap_problem(days: DateArray, lines: IntArray, at: int, whose: str) -> Problem:
    """Name the row beside the gap that has fewer rows behind it."""
    odd, other = (at, at + 1) if at + 1 < len(days) / 2 else (at + 1, at)
    gap = int((days[at + 1] - days[at]).astype(np.int64))
    text = f"{days[odd]}{whose} is {gap:,} days from the nearest row, {days[other]} on line {lines[other]}"
    return Problem(int(lines[odd]), REPORT_DATE, f"{text}; is the year right? Otherwise keep the rows after the gap")
