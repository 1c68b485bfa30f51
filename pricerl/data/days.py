"""Spans of the calendar that many models share."""

from __future__ import annotations

WEEK = 7
"""Days; means over it cancel the weekday pattern."""

DAYS_PER_YEAR = 365.25
"""Days, leap years included."""

RECENT_DAYS = 28
"""Four weeks: long enough to outlast a promotion, short enough to follow the seller."""
