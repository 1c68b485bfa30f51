"""Calendar: spans in days, steps from row to row, weekdays, and public holidays from the library ``holidays``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from pricerl.arrays import DateArray, IntArray
from pricerl.errors import UsageError, import_extra

DAY = np.timedelta64(1, "D")

WEEK = 7
"""Days; averages over a week cancel the weekday pattern."""

YEAR = 52 * WEEK
"""Days of a year in whole weeks."""

DAYS_PER_YEAR = 365.25
"""Mean length of a year, leap years included."""

STEP_WORDS = {1: "day", WEEK: "week"}
"""Word for a row by the days from row to row."""

RECENT_DAYS = 28
"""Four weeks: long enough to outlast a promotion, short enough to follow the seller."""


PRIOR_DAYS = 30
"""Days whose lowest price an announced cut names (Directive 98/6/EC, Article 6a)."""


def lowest_before(day: str, lows: Sequence[Sequence[Any]], current_price: float) -> float:
    """Return the lowest price, in money, of the 30 days before a day, ISO format.

    ``lows`` are as in ``ProductHistory.lowest_prices``; on later days the current price is charged.
    """
    first, yesterday = (str(date.fromisoformat(day) - timedelta(days=back)) for back in (PRIOR_DAYS, 1))
    later = [current_price] if lows[-1][0] < yesterday else []
    return min(*later, *(float(price) for last, price in lows if last >= first), float("inf"))


def day_texts(dates: Any) -> list[str]:
    """Return dates ``(N,)`` of any precision as days in ISO format."""
    return list(np.datetime_as_string(np.asarray(dates, dtype="datetime64[D]")).tolist())


def steps_in(days: int, step_days: int) -> int:
    """Return the number of rows that cover a number of days, at least one, for rows ``step_days`` apart."""
    return max(1, -(-days // step_days))


MONDAY = 3
"""Days from a Monday to 1970-01-01, a Thursday."""


def weekday_of(day: Any) -> Any:
    """Return Monday 0 to Sunday 6 for days since 1970-01-01, given as number, array or tensor."""
    return (day + MONDAY) % WEEK


ORDINARY, DAY_BEFORE, HOLIDAY = range(3)
"""Types of days."""

FEWEST_HOLIDAYS = 3
"""Minimum number of holidays with known sales for estimating their effect on demand."""

YEARS_AHEAD = 4
"""Calendar years after a file's last row whose holidays are looked up, beyond the end of any episode."""


NEEDED = 'country needs the package holidays, which is not installed; pip install -e ".[holidays]" or omit it'


def find_holidays(country: str, first: np.datetime64, last: np.datetime64) -> DateArray:
    """Return the public holidays ``(N,)`` from the year of a file's first day to ``YEARS_AHEAD`` after its last.

    A ``UsageError`` refuses a country without a calendar; codes are ISO such as ``GB`` or ``DE-BY``.
    """
    library = import_extra("holidays", NEEDED)
    begin, end = (int(str(day.astype("datetime64[Y]"))) for day in (first, last))
    code, _, part = country.upper().partition("-")
    try:
        found = library.country_holidays(code, subdiv=part or None, years=range(begin, end + YEARS_AHEAD + 1))
    except NotImplementedError as error:
        raise UsageError(
            f"country must be an ISO code such as GB, or with a part such as DE-BY, found {country!r}: {error}"
        ) from None
    return np.array(sorted(found), dtype="datetime64[D]")


def day_types(dates: DateArray, holidays: DateArray | None) -> IntArray:
    """Return ``ORDINARY``, ``DAY_BEFORE`` a holiday or ``HOLIDAY`` for each date ``(D,)``; ordinary for None."""
    if holidays is None:
        return np.zeros(len(dates), dtype=np.int64)
    return np.select([np.isin(dates, holidays), np.isin(dates + DAY, holidays)], [HOLIDAY, DAY_BEFORE], ORDINARY)


def read_day(text: str, option: str = "--today") -> date:
    """Return the value of an option, or raise a ``UsageError`` if it is not a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: must be a day such as 2026-01-31, found {text!r}") from None
