"""Calendar spans in days, steps from row to row, and weekdays."""

from __future__ import annotations

from typing import Any

WEEK = 7
"""Days; averages over a week cancel the weekday pattern."""

DAYS_PER_YEAR = 365.25
"""Mean length of a year, leap years included."""

STEP_WORDS = {1: "day", WEEK: "week"}
"""Word for a row by the days from row to row."""

RECENT_DAYS = 28
"""Four weeks: long enough to outlast a promotion, short enough to follow the seller."""


def steps_in(days: int, step_days: int) -> int:
    """Return the number of rows that cover a number of days, at least one, for rows ``step_days`` apart."""
    return max(1, -(-days // step_days))


def weekday_of(day: Any) -> Any:
    """Return Monday 0 to Sunday 6 for days since 1970-01-01, a Thursday, given as number, array or tensor."""
    return (day + 3) % WEEK
