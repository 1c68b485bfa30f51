"""Numbers, chances and dates as a person reads them."""

from __future__ import annotations

import datetime
import math

MINUS = "\N{MINUS SIGN}"
PERCENT = "\N{NO-BREAK SPACE}%"
UNKNOWN = "–"
LARGE, MIDDLE, SMALL = 1000.0, 100.0, 10.0
"""Sizes from which on a number needs fewer digits after the point."""


def number(value: float | None, digits: int = 2) -> str:
    """Thousands separated, with a true minus; never a minus before a zero."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and _shows_something(text) else text


def signed(value: float | None, digits: int = 2) -> str:
    """The same with a plus before what is gained; a zero has no sign."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and _shows_something(text) else text


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent."""
    return UNKNOWN if share is None else f"{number(100 * share, digits)}{PERCENT}"


def chance(share: float, markets: int) -> str:
    """A share of so many posterior draws; what all of them agree on is still no certainty.

    With 64 markets the last of them is worth 1.6 %, so 64 of 64 is "more than 98 %".
    """
    resolution = 100 / markets
    if share * markets > markets - 0.5:
        return f"more than {min(99, math.floor(100 - resolution))}{PERCENT}"
    if share * markets < 0.5:
        return f"less than {max(1, math.ceil(resolution))}{PERCENT}"
    return f"{min(99, max(1, round(100 * share)))}{PERCENT}"


def counted(share: float, markets: int) -> str:
    """The same as a count, such as 61 of 64."""
    return f"{round(share * markets)} of {markets}"


def short_date(day: str) -> str:
    """``2026-01-01`` as ``Thu 1 Jan``."""
    date = datetime.date.fromisoformat(day)
    return f"{date:%a} {date.day} {date:%b}"


def long_date(day: str) -> str:
    """``2026-01-01`` as ``1 Jan 2026``."""
    date = datetime.date.fromisoformat(day)
    return f"{date.day} {date:%b %Y}"


def money_digits(*values: float | None) -> int:
    """Cents, unless an amount of a thousand or more stands in the same column."""
    return 0 if _largest(values) >= LARGE else 2


def unit_digits(*values: float | None) -> int:
    """Two digits for a few units a day, fewer for many."""
    largest = _largest(values)
    return 0 if largest >= MIDDLE else 1 if largest >= SMALL else 2


def _largest(values: tuple[float | None, ...]) -> float:
    return max((abs(value) for value in values if value is not None), default=0.0)


def _shows_something(text: str) -> bool:
    return any(digit in text for digit in "123456789")
