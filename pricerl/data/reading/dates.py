"""Parsing of dates and time stamps; an ambiguous order of day and month is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from babel.dates import get_month_names

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.reading.columns import REPORT_DATE
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.texts import Cells, TextColumn, as_floats

_TIME = r"(?:[T ]+(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(r"(?P<year>\d{4})(?P<mark>[-/])(?P<second>\d{1,2})(?P=mark)(?P<third>\d{1,2})" + _TIME)
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<second>\d{2})(?P<third>\d{2})(?P<time>)")
_NUMERIC = re.compile(r"(?P<first>\d{1,2})(?P<mark>[-./])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _TIME)
_DAY_NAME = re.compile(
    r"(?P<day>\d{1,2})(?:\.|st|nd|rd|th|º|er)?(?: de)? (?P<month>[^\W\d]+)\.?,?(?: de)? (?P<year>\d{4})"
)
_NAME_DAY = re.compile(r"(?P<month>[^\W\d]+)\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})")
_DASHED = re.compile(r"(?<=[\w.])[-/](?=\w)")
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt")
_SETTING = "set --data.reading.date_format"

CENTURY = 2000
"""Century of years of two digits: no seller's file is older."""

Outcome = date | str | None
"""A date, the reason why there is none, or None if the order of day and month is reported once for the column."""


def read_dates(cells: Cells, lines: Sequence[int], date_format: str | None) -> tuple[DateArray, list[Problem]]:
    """Return the days ``(N,)`` of the date column, NaT where unreadable, and the problems found.

    A strptime ``date_format`` is tried before ISO; without one, unambiguous orders of day and month are read, too.
    """
    column = TextColumn(cells)
    order, problems = (None, []) if date_format else _decide_order(column, lines)
    outcomes = column.judge(lambda text: _read_one(text.strip(), date_format, order))
    faulty = np.array([isinstance(outcome, str) for outcome in outcomes.values()], dtype=bool)
    days = [outcome if isinstance(outcome, date) else "NaT" for outcome in outcomes.values()]
    problems += column.find_problems(REPORT_DATE, lines, faulty, lambda text: str(outcomes[text]))
    return column.spread(np.array(days, dtype="datetime64[D]")), problems


def note_forms(cells: Cells) -> tuple[str, ...]:
    """Return a note if the dates of a column have several forms, of which each reveals the order of day and month."""
    column = TextColumn(cells)
    first: dict[str, str] = {}
    for text in column.texts.to_pylist() if len(column) else ():
        first.setdefault(_form_of(text.strip()), text.strip())
    first.pop("", None)
    listed = " and ".join(map(quote, first.values()))
    return (
        (f"{REPORT_DATE}: dates have {len(first)} forms, such as {listed}; all were read.",) if len(first) > 1 else ()
    )


def _form_of(text: str) -> str:
    """Return the form of a date; an empty string for a cell without one."""
    if is_blank(text):
        return ""
    forms = {"year first": _ISO, "digits only": _COMPACT, "year last": _NUMERIC}
    return next((form for form, pattern in forms.items() if pattern.fullmatch(text)), "name of a month")


def _decide_order(column: TextColumn, lines: Sequence[int]) -> tuple[str | None, list[Problem]]:
    """Return whether day or month comes first, based on the values that allow only one order."""
    orders = list(column.judge(_order_in).values())
    kinds = {kind: np.array([order == kind for order in orders], dtype=bool) for kind in ("day", "month", "open")}
    first = {kind: (lines[row], column.text_of(row)) for kind, row in column.first_rows(kinds).items()}
    if "day" in first and "month" in first:
        line, text = first["month"]
        other_line, other = first["day"]
        found = f"{text} has the month first, {other} on line {other_line} the day; use one order"
        return None, [Problem(line, REPORT_DATE, found, everywhere=True)]
    if "open" in first and not {"day", "month"} & set(first):
        line, text = first["open"]
        return None, [Problem(line, REPORT_DATE, _two_ways(text), everywhere=True)]
    return "month" if "month" in first else "day", []


def _order_in(text: str) -> str | None:
    match = _NUMERIC.fullmatch(text.strip())
    return _order_of(match) if match else None


def _order_of(match: re.Match[str]) -> str:
    """Return ``day`` or ``month`` for the one that must come first, ``either`` if they are equal, else ``open``."""
    first = int(match["first"])
    second = int(match["second"])
    if first == second:
        return "either"
    return "day" if first > 12 >= second else "month" if second > 12 >= first else "open"


def _two_ways(text: str) -> str:
    first, second = (int(number) for number in re.split(r"\D", text)[:2])
    if max(first, second) > 12 or min(first, second) < 1:
        return f"{text} is not a day of the calendar"
    names = [date(2000, month, 1).strftime("%b") for month in (second, first)]
    return f"{text} can be {first} {names[0]} or {second} {names[1]}; {_SETTING}"


def _read_one(text: str, date_format: str | None, order: str | None) -> Outcome:
    if is_blank(text):
        return "is blank; every row needs a date"
    iso = _ISO.fullmatch(text) or _COMPACT.fullmatch(text)
    if date_format:
        try:
            return datetime.strptime(text, date_format).date()
        except ValueError:
            # A year-first format could disagree with ISO about day and month, so ISO is no fallback for it.
            if not iso or date_format.startswith("%Y"):
                return f"{quote(text)!r} does not fit the date format {date_format!r}"
    if iso:
        return _calendar_day(text, iso, int(iso["second"]), int(iso["third"]))
    match = _NUMERIC.fullmatch(text)
    if not match:
        return _read_names(text)
    if order is None:
        return None
    first = int(match["first"])
    second = int(match["second"])
    month, day = (second, first) if order == "day" else (first, second)
    return _calendar_day(text, match, month, day)


@cache
def _months() -> dict[str, int]:
    """Return the number of each month by its names and abbreviations in six languages, where they agree."""
    found: dict[str, set[int]] = {}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for form in ("format", "stand-alone"):
                for number, name in get_month_names(width, form, language).items():
                    found.setdefault(name.casefold().rstrip("."), set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1} | {"sept": 9}


def _read_names(text: str) -> Outcome:
    """Read a day with the name of its month, such as ``Sep 01, 2024`` or ``1. September 2024``."""
    bare = " ".join(_DASHED.sub(" ", text).split())
    match = _DAY_NAME.fullmatch(bare) or _NAME_DAY.fullmatch(bare)
    month = _months().get(match["month"].casefold()) if match else None
    if match is None or month is None:
        return f"{quote(text)!r} is not a date; write YYYY-MM-DD or {_SETTING}"
    try:
        return date(int(match["year"]), month, int(match["day"]))
    except ValueError:
        return f"{text} is not a day of the calendar"


def _calendar_day(text: str, match: re.Match[str], month: int, day: int) -> Outcome:
    if match["time"] and re.search(r"[1-9]", match["time"]):
        return f"{text} has a time of day; give one row per day, with the date alone"
    try:
        year = int(match["year"])
        return date(year + CENTURY if year < 100 else year, month, day)
    except ValueError:
        return f"{text} is not a day of the calendar"


_STAMP = (
    r"^\s*(?P<date>.*?\d),?[T ]+(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?| hs?\.?)?(?: ?(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Z]{3,4}(?:[+-]\d{1,2})?))?\s*$"
)
"""Date, time and zone; the date itself is left to the judge of dates."""

_HOURS = {
    **{"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "BST": 1, "WEST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2},
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "AEST": 10},
    **{"AEDT": 11, "EEST": 3},
}
"""Hours from UTC of the abbreviations that platforms write."""


def read_days(
    cells: Cells,
    lines: Sequence[int],
    formats: Sequence[str],
    date_format: str | None,
    zone: str | None,
    written_zone: str = "",
) -> tuple[DateArray, list[Problem], list[str]]:
    """Return the days ``(N,)`` of a column of dates or time stamps, the problems and notes.

    Args:
        cells: the column.
        lines: line of each row in the seller's file.
        formats: strptime formats of the date without its time; the only one that fits every cell is used.
        date_format: the user's own format, which overrides them.
        zone: time zone of the days; None keeps the dates as written.
        written_zone: zone of time stamps that do not write theirs, such as ``UTC``.
    """
    column = TextColumn(cells)
    parts = pc.extract_regex(column.texts, _STAMP)
    timed = np.asarray(parts.is_valid())
    dates = pc.if_else(parts.is_valid(), pc.struct_field(parts, "date"), pc.utf8_trim_whitespace(column.texts))
    known = pd.Index(dates.to_pandas().unique())
    places = known.get_indexer(pd.Index(dates.to_pandas()))[column.codes]
    used = known[np.unique(places)]
    fitting = [form for form in formats if all(_fits(date, form) for date in used)]
    chosen = date_format or (fitting[0] if len(fitting) == 1 else None)
    days, problems = read_dates(pd.Categorical.from_codes(places, categories=known), lines, chosen)
    zones = np.where(timed, pc.struct_field(parts, "zone").fill_null("").to_pandas(), "")
    zones = np.where(timed & (zones == ""), written_zone, zones)
    offsets = {name: _seconds(name) for name in np.unique(zones[np.unique(column.codes)])}
    if zone is None:
        in_utc = set(offsets.values()) == {0.0}
        return days, problems, ["Days are those of UTC; data.reading.time_zone sets another zone."] if in_utc else []
    ahead = np.array([offsets.get(name, np.nan) for name in zones])
    clock = np.where(timed, _clock(parts), np.nan)
    return _move(days, column.spread(clock - ahead), zone), problems, [f"Days are those of {zone}."]


def _fits(date: str, form: str) -> bool:
    try:
        datetime.strptime(date, form)
    except ValueError:
        return False
    return True


def _clock(parts: pa.StructArray) -> FloatArray:
    """Return the seconds since midnight of each text."""
    hour, minute, second = (
        as_floats(pc.cast(pc.replace_substring_regex(pc.struct_field(parts, name), "^$", "0"), pa.float64()))
        for name in ("hour", "minute", "second")
    )
    half = np.asarray(pc.utf8_lower(pc.struct_field(parts, "half")).fill_null("").to_pandas())
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    return hour * 3600 + minute * 60 + second


def _seconds(zone: str) -> float:
    """Return the seconds ahead of UTC of ``+02:00``, ``GMT+9`` or an abbreviation; NaN for an unknown one."""
    if match := re.fullmatch(r"([+-])(\d{2}):?(\d{2})", zone):
        return (int(match[2]) * 3600 + int(match[3]) * 60) * (-1 if match[1] == "-" else 1)
    match = re.fullmatch(r"([A-Z]+)([+-]\d+)?", zone)
    return (_HOURS.get(match[1], np.nan) + int(match[2] or 0)) * 3600.0 if match else np.nan


def _move(days: DateArray, seconds: FloatArray, zone: str) -> DateArray:
    """Return the days in a time zone of moments ``seconds`` after midnight UTC; days without a moment stay."""
    moved = days.copy()
    known = ~np.isnan(seconds) & ~np.isnat(days)
    moments = days[known].astype("datetime64[s]") + seconds[known].astype("timedelta64[s]")
    local = pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    moved[known] = local.to_numpy().astype("datetime64[D]")
    return moved
