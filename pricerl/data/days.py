"""Calendar spans in days, and weekdays."""

from __future__ import annotations

from typing import Any

WEEK = 7
"""Days; averages over a week cancel the weekday pattern."""

DAYS_PER_YEAR = 365.25
"""Mean length of a year, leap years included."""

RECENT_DAYS = 28
"""Four weeks: long enough to outlast a promotion, short enough to follow the seller."""


def weekday_of(day: Any) -> Any:
    """Return Monday 0 to Sunday 6 for days since 1970-01-01, a Thursday, given as number, array or tensor."""
    return (day + 3) % WEEK
