"""Days of time stamps: the date that the export wrote, or the date in the seller's time zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.reading.dates import read_dates
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.texts import Cells, TextColumn, as_floats

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
