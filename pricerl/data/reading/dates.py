"""Parsing of dates and time stamps; an ambiguous order of day and month is refused, never guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from babel.dates import get_month_names

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.platforms.presets import Dates
from pricerl.data.reading.columns import REPORT_DATE
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.tables import Cells, TextColumn

_TIME = r"(?:[T ]+(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + _TIME)
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})")
_NUMERIC = {
    first: re.compile(
        rf"(?P<{first}>\d{{1,2}})(?P<mark>[-./])(?P<{second}>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}})" + _TIME
    )
    for first, second in (("day", "month"), ("month", "day"))
}
_DAY_NAME = re.compile(
    r"(?P<day>\d{1,2})(?:\.|st|nd|rd|th|º|er)?(?: de)? (?P<month>[^\W\d]+)\.?,?(?: de)? (?P<year>\d{4}|\d{2})"
)
_NAME_DAY = re.compile(r"(?P<month>[^\W\d]+)\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4}|\d{2})")
_DASHED = re.compile(r"(?<=[\w.])[-/](?=\w)|(?<=\w)\.(?=\w)")
_SETTING = "set --data.reading.date_format"

FEWEST_UNREADABLE = 20
"""Fewest rows that are one problem, of another column perhaps, if none has a date."""

CENTURY = 2000
"""Century of years of two digits: no seller's file is older."""

Outcome = date | str | None
"""A date, the reason why there is none, or None if the order of day and month is reported once for the column."""


def read_dates(
    cells: Cells, lines: Sequence[int], date_format: str | None, usual: str = "auto"
) -> tuple[DateArray, list[Problem]]:
    """Return days ``(N,)``, NaT where unreadable, and problems.

    Without ``date_format`` only clear orders are read, and others in the ``usual`` order of day and month, if any.
    """
    column = TextColumn(cells)
    order, problems = (None, []) if date_format else _decide_order(column, lines, usual)
    outcomes = column.map(lambda text: _read_one(text.strip(), date_format, order))
    days = np.array([it if isinstance(it, date) else "NaT" for it in outcomes.values()], dtype="datetime64[D]")
    reasons = {text: outcome for text, outcome in outcomes.items() if isinstance(outcome, str)}
    found = column.find_problems(REPORT_DATE, lines, reasons)
    if len(found) == len(lines) > FEWEST_UNREADABLE:
        found = [found[0]._replace(text=f"{found[0].text}; nor is any other cell of the column", everywhere=True)]
    return column.spread(days), [*problems, *found]


def _decide_order(column: TextColumn, lines: Sequence[int], usual: str) -> tuple[str | None, list[Problem]]:
    """Return whether day or month comes first, based on the values that allow only one order."""
    orders = np.array([*column.map(_order_in).values()], dtype=object)
    first = column.first_cells({kind: orders == kind for kind in ("day", "month", "open")}, lines)
    clear = first.keys() & {"day", "month"}
    if len(clear) == 2:
        line, text = first["month"]
        found = f"{text} has the month first, {first['day'][1]} on line {first['day'][0]} the day; use one order"
    elif clear or usual != "auto" or "open" not in first:
        return min(clear, default="day" if usual == "auto" else usual), []
    else:
        line, text = first["open"]
        one, two = (int(number) for number in re.split(r"\D", text)[:2])
        found = (
            f"{text} can be {one} {date(2000, two, 1):%b} or {two} {date(2000, one, 1):%b}; {_SETTING}"
            if min(one, two) >= 1 and max(one, two) <= 12
            else f"{text} is not a day of the calendar"
        )
    return None, [Problem(line, REPORT_DATE, found, everywhere=True)]


def find_order(cells: Cells | None, usual: Literal["auto", "day", "month"]) -> Literal["auto", "day", "month"]:
    """Return which of day and month comes first in a column of dates; the ``usual`` one if none of them shows it."""
    shown = set() if cells is None else {*TextColumn(cells).map(_order_in).values()}
    return "month" if "month" in shown else "day" if "day" in shown else usual


def open_readings(cells: Cells) -> list[date]:
    """Return a day as read with the day first and with the month first; nothing if a date shows the order."""
    orders = TextColumn(cells).map(_order_in)
    text = next((text.strip() for text, order in orders.items() if order == "open"), "")
    read = [] if {"day", "month"} & {*orders.values()} else [_read_one(text, None, order) for order in ("day", "month")]
    return [day for day in read if isinstance(day, date)]


def _order_in(text: str) -> str | None:
    """Return ``day`` or ``month`` if that must come first, ``open`` if either can, nothing if they are equal."""
    match = _NUMERIC["day"].fullmatch(text.strip())
    if match is None or int(match["day"]) == int(match["month"]):
        return None
    first, second = (int(match[name]) > 12 for name in ("day", "month"))
    return "open" if first == second else "day" if first else "month"


def _read_one(text: str, date_format: str | None, order: str | None) -> Outcome:
    if is_blank(text):
        return "is blank; every row needs a date"
    iso = _ISO.fullmatch(text) or _COMPACT.fullmatch(text)
    if date_format:
        if day_written := _read_form(text, date_format):
            return day_written
        # A year-first format could disagree with ISO about day and month, so ISO is no fallback for it.
        if not iso or date_format.startswith("%Y"):
            return f"{quote(text)!r} does not fit the date format {date_format!r}"
    numeric = _NUMERIC[order or "day"].fullmatch(text)
    if numeric and not order:
        return None
    bare = " ".join(_DASHED.sub(" ", text).split())
    found = iso or numeric or _DAY_NAME.fullmatch(bare) or _NAME_DAY.fullmatch(bare)
    if not found or not (found["month"].isdecimal() or found["month"].casefold() in _months()):
        return f"{quote(text)!r} is not a date; write YYYY-MM-DD or {_SETTING}"
    if re.search(r"[1-9]", found.groupdict().get("time") or ""):
        return f"{text} has a time of day; give one row per day, with the date alone"
    year, month = int(found["year"]), _months().get(found["month"].casefold(), found["month"])
    try:
        return date(year + CENTURY if year < 100 else year, int(month), int(found["day"]))
    except ValueError:
        return f"{text} is not a day of the calendar"


@cache
def _months() -> dict[str, int]:
    """Return the number of each month by its names and abbreviations in six languages, where they agree."""
    found = {
        (name.casefold().rstrip("."), number)
        for language in ("en", "de", "fr", "es", "it", "pt")
        for width in ("wide", "abbreviated")
        for form in ("format", "stand-alone")
        for number, name in get_month_names(width, form, language).items()
    }
    meanings = Counter(name for name, _ in found)
    return {name: number for name, number in found if meanings[name] == 1} | {"sept": 9}


_STAMP = (
    r"^\s*(?P<date>.*?\d),?[T ]+(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?| hs?\.?)?(?: ?(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Z]{3,4}(?:[+-]\d{1,2})?))?\s*$"
)
"""Date, time and zone; the date itself is read as in a history."""

_HOURS = {
    **{"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "BST": 1, "WEST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2},
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "AEST": 10},
    **{"AEDT": 11, "EEST": 3},
}
"""Hours from UTC of the abbreviations that platforms write."""


def read_days(
    cells: Cells, lines: Sequence[int], rule: Dates, config: DataConfig
) -> tuple[DateArray, list[Problem], list[str]]:
    """Return the days ``(N,)`` of an export's dates or time stamps in the seller's zone, the problems and notes."""
    column = TextColumn(cells)
    parts = pc.extract_regex(column.texts, _STAMP)
    dates = pc.if_else(parts.is_valid(), pc.struct_field(parts, "date"), pc.utf8_trim_whitespace(column.texts))
    codes, known = pd.factorize(dates.to_pandas())
    places = codes[column.codes]
    used = known[np.unique(places)]
    fitting = [form for form in rule.formats if all(_read_form(text, form) for text in used)]
    chosen = config.date_format or (fitting[0] if len(fitting) == 1 else None)
    days, problems = read_dates(pd.Categorical.from_codes(places, categories=known), lines, chosen)
    written = pc.struct_field(parts, "zone").fill_null("").to_pandas()
    zones = np.where(np.asarray(parts.is_valid()) & (written == ""), rule.zone, written)
    ahead = {name: _seconds_ahead(name) for name in np.unique(zones[np.unique(column.codes)])}
    if config.time_zone is None:
        in_utc = set(ahead.values()) == {0.0}
        return days, problems, ["Days are in UTC; data.reading.time_zone sets another zone."] if in_utc else []
    moments = column.spread(_seconds_of_day(parts) - np.array([ahead.get(name, np.nan) for name in zones]))
    exact = ~np.isnan(moments) & ~np.isnat(days)
    utc = pd.DatetimeIndex(days[exact].astype("datetime64[s]") + moments[exact].astype("timedelta64[s]"), tz="UTC")
    days[exact] = utc.tz_convert(config.time_zone).tz_localize(None).to_numpy().astype("datetime64[D]")
    return days, problems, [f"Days are in {config.time_zone}."]


def _read_form(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        return None


def _seconds_of_day(parts: pa.StructArray) -> FloatArray:
    """Return the seconds since midnight of texts with a time."""
    hour, minute, second = (
        np.asarray(pc.cast(pc.replace_substring_regex(pc.struct_field(parts, name), "^$", "0"), pa.float64()))
        for name in ("hour", "minute", "second")
    )
    half = np.asarray(pc.utf8_lower(pc.struct_field(parts, "half")).fill_null("").to_pandas())
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    return np.asarray(hour * 3600 + minute * 60 + second)


def _seconds_ahead(zone: str) -> float:
    """Return the seconds ahead of UTC of ``+02:00``, ``GMT+9`` or an abbreviation; NaN for an unknown one."""
    if match := re.fullmatch(r"([+-])(\d{2}):?(\d{2})", zone):
        return (int(match[2]) * 3600 + int(match[3]) * 60) * (-1 if match[1] == "-" else 1)
    match = re.fullmatch(r"([A-Z]+)([+-]\d+)?", zone)
    return (_HOURS.get(match[1], np.nan) + int(match[2] or 0)) * 3600.0 if match else np.nan
