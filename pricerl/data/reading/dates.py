"""Dates as people write them; what can be read two ways is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime

import numpy as np

from pricerl.arrays import DateArray
from pricerl.data.reading.columns import REPORT_DATE
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem

_TIME = r"(?:[T ]+(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?:Z|\+00:?00)?)?"
_ISO = re.compile(r"(?P<year>\d{4})(?P<mark>[-/])(?P<second>\d{1,2})(?P=mark)(?P<third>\d{1,2})" + _TIME)
_NUMERIC = re.compile(r"(?P<first>\d{1,2})(?P<mark>[-./])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})" + _TIME)
_SETTING = "set --data.reading.date_format"

Outcome = date | str | None
"""A date, the reason why there is none, or None where that is told once for the whole column."""


def read_dates(texts: Sequence[str], lines: Sequence[int], date_format: str | None) -> tuple[DateArray, list[Problem]]:
    """Turn the date column into days.

    Args:
        texts: cells, one a row.
        lines: line of each row in the seller's file.
        date_format: strptime format tried before ISO; None for ISO and unambiguous day and month orders.

    Returns:
        ``(rows,)`` days, NaT where unreadable, and the problems found.
    """
    order, trouble = (None, []) if date_format else _decide_order(texts, lines)
    outcomes = {text: _read_one(text.strip(), date_format, order) for text in set(texts)}
    days = {
        text: np.datetime64(outcome if isinstance(outcome, date) else "NaT", "D") for text, outcome in outcomes.items()
    }
    problems = trouble + [
        Problem(line, REPORT_DATE, str(outcomes[text]))
        for line, text in zip(lines, texts, strict=True)
        if isinstance(outcomes[text], str)
    ]
    return np.array([days[text] for text in texts], dtype="datetime64[D]"), problems


def _decide_order(texts: Sequence[str], lines: Sequence[int]) -> tuple[str | None, list[Problem]]:
    """Find out whether day or month comes first, from the values that allow only one of the two."""
    open_case: Problem | None = None
    day_first: tuple[int, str] | None = None
    month_first: tuple[int, str] | None = None
    for line, text in zip(lines, texts, strict=True):
        match = _NUMERIC.fullmatch(text.strip())
        if not match:
            continue
        first, second = int(match["first"]), int(match["second"])
        if first > 12 >= second:
            day_first = day_first or (line, text.strip())
        elif second > 12 >= first:
            month_first = month_first or (line, text.strip())
        elif first != second and open_case is None:
            open_case = Problem(line, REPORT_DATE, _two_ways(text.strip(), first, second))
    if day_first and month_first:
        return None, [_mixed_order(day_first, month_first)]
    if day_first or month_first or not open_case:
        return "month" if month_first else "day", []
    return None, [open_case]


def _two_ways(text: str, first: int, second: int) -> str:
    if max(first, second) > 12 or min(first, second) < 1:
        return f"{text} is not a day of the calendar"
    names = [date(2000, month, 1).strftime("%b") for month in (second, first)]
    return f"{text} can be {first} {names[0]} or {second} {names[1]}; {_SETTING}"


def _mixed_order(day_first: tuple[int, str], month_first: tuple[int, str]) -> Problem:
    (line, text), (other_line, other) = month_first, day_first
    return Problem(
        line, REPORT_DATE, f"{text} has the month first, {other} on line {other_line} the day; use one order"
    )


def _read_one(text: str, date_format: str | None, order: str | None) -> Outcome:
    if is_blank(text):
        return "is blank; every row needs a date"
    if date_format:
        return _read_stated(text, date_format)
    if match := _ISO.fullmatch(text):
        return _calendar_day(text, match, int(match["second"]), int(match["third"]))
    if match := _NUMERIC.fullmatch(text):
        if order is None:
            return None
        first, second = int(match["first"]), int(match["second"])
        month, day = (second, first) if order == "day" else (first, second)
        return _calendar_day(text, match, month, day)
    return f"{text!r} is not a date; write YYYY-MM-DD or {_SETTING}"


def _read_stated(text: str, date_format: str) -> Outcome:
    try:
        return datetime.strptime(text, date_format).date()
    except ValueError:
        # A year-first format could disagree with ISO about day and month, so ISO is no fallback for it.
        if not date_format.startswith("%Y") and (match := _ISO.fullmatch(text)):
            return _calendar_day(text, match, int(match["second"]), int(match["third"]))
        return f"{text!r} does not fit the date format {date_format!r}"


def _calendar_day(text: str, match: re.Match[str], month: int, day: int) -> Outcome:
    if match["time"] and re.search(r"[1-9]", match["time"]):
        return f"{text} has a time of day; give one row a day, with the date alone"
    return _or_reason(lambda: date(int(match["year"]), month, day), f"{text} is not a day of the calendar")


def _or_reason(make: Callable[[], date], reason: str) -> Outcome:
    try:
        return make()
    except ValueError:
        return reason
