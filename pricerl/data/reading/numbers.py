"""Numbers as people write them: currency signs, thousands separators, decimal commas."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.problems import Problem

BLANK_WORDS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "–", "—"})

_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_THOUSANDS_SPACE = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
_SIGN_SPACE = re.compile(r"^([+-])\s+")
_SIGNED = r"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
_PATTERNS = {
    ".": re.compile(_SIGNED.format(decimal=r"\.", group=",")),
    ",": re.compile(_SIGNED.format(decimal=",", group=r"\.")),
}
_SETTING = "set --data.reading.decimal"


class Reading(NamedTuple):
    """Value of a cell with a decimal point and with a decimal comma; None if it is not a number then."""

    point: float | None
    comma: float | None

    def vote(self) -> str | None:
        """Return the only decimal sign that makes it a number, or None if both or neither do."""
        if (self.point is None) == (self.comma is None):
            return None
        return "," if self.point is None else "."

    def under(self, sign: str | None) -> float | None:
        """Return the value under a decimal sign; NaN for a number while the sign is undecided."""
        if sign is None:
            return None if self.point is None and self.comma is None else math.nan
        return self.point if sign == "." else self.comma

    def is_ambiguous(self) -> bool:
        """Return True if both signs make it a number, but not the same one."""
        return self.point is not None and self.comma is not None and self.point != self.comma


class _Column(NamedTuple):
    name: str
    texts: Sequence[str]
    readings: dict[str, Reading]
    """By text, without the blank ones."""

    def first_votes(self, lines: Sequence[int]) -> dict[str, tuple[int, str]]:
        """Return line and text of the first cell that allows only one decimal sign, by sign."""
        first: dict[str, tuple[int, str]] = {}
        votes = {text: vote for text, reading in self.readings.items() if (vote := reading.vote())}
        for line, text in zip(lines, self.texts, strict=True) if votes else ():
            if text in votes:
                first.setdefault(votes[text], (line, text.strip()))
        return first


def is_blank(text: str) -> bool:
    """Return True for an empty cell and for the usual words for "no value"."""
    return text.strip().casefold() in BLANK_WORDS


def read_number(text: str) -> Reading:
    """Read one cell that is not blank, under both decimal signs."""
    bare = _strip_decoration(text)
    if _INFINITE.fullmatch(bare):
        return Reading(float(bare), float(bare))
    return Reading(_value(bare, "."), _value(bare, ","))


def read_number_columns(
    columns: Mapping[str, Sequence[str]], lines: Sequence[int], decimal: str, separator: str
) -> tuple[dict[str, FloatArray], list[Problem]]:
    """Turn columns of text into numbers.

    Args:
        columns: cells by column name, one per row.
        lines: line of each row in the seller's file.
        decimal: ``.``, ``,`` or ``auto``.
        separator: cell separator of the file; with ``;`` a lone ``1.234`` is ambiguous too.

    Returns:
        ``(rows,)`` values by column, NaN where blank or unreadable, and the problems found.
    """
    parsed = [
        _Column(name, texts, {text: read_number(text) for text in set(texts) if not is_blank(text)})
        for name, texts in columns.items()
    ]
    votes = {column.name: column.first_votes(lines) for column in parsed}
    doubt_point = separator == ";" or any("," in signs for signs in votes.values())
    values: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for column in parsed:
        sign: str | None = decimal
        if decimal == "auto":
            sign, trouble = _decide(column, lines, votes[column.name], doubt_point)
            problems += trouble
        values[column.name], bad = _convert(column, lines, sign)
        problems += bad
    return values, problems


def _strip_decoration(text: str) -> str:
    bare = "".join(sign for sign in text if unicodedata.category(sign) != "Sc").replace("−", "-").strip()
    bare = bare.removesuffix("%").strip()
    if bare.startswith("(") and bare.endswith(")"):
        bare = "-" + bare[1:-1].strip()
    return _SIGN_SPACE.sub(r"\1", _THOUSANDS_SPACE.sub("", bare))


def _value(bare: str, decimal: str) -> float | None:
    if not _PATTERNS[decimal].fullmatch(bare):
        return None
    group = "," if decimal == "." else "."
    return float(bare.replace(group, "").replace(decimal, "."))


def _decide(
    column: _Column, lines: Sequence[int], votes: Mapping[str, tuple[int, str]], doubt_point: bool
) -> tuple[str | None, list[Problem]]:
    """Choose the decimal sign of a column; None with the reason if it cannot be chosen."""
    if len(votes) == 2:
        (point_line, point), (line, comma) = votes["."], votes[","]
        found = f"{comma} has a decimal comma, {point} on line {point_line} a decimal point; use one"
        return None, [Problem(line, column.name, found)]
    if votes:
        return next(iter(votes)), []
    for line, text in zip(lines, column.texts, strict=True):
        reading = column.readings.get(text)
        if reading and reading.is_ambiguous() and ("," in text or doubt_point):
            found = f"{text.strip()} can be {reading.point:.10g} or {reading.comma:.10g}; {_SETTING}"
            return None, [Problem(line, column.name, found)]
    return ".", []


def _convert(column: _Column, lines: Sequence[int], sign: str | None) -> tuple[FloatArray, list[Problem]]:
    """Return the values under a decimal sign, and a problem per cell that is not a number under it."""
    picked = {text: reading.under(sign) for text, reading in column.readings.items()}
    values = np.array([picked.get(text, math.nan) for text in column.texts], dtype=np.float64)
    bad = {text for text, value in picked.items() if value is None}
    rows = zip(lines, column.texts, strict=True) if bad else ()
    return values, [Problem(line, column.name, _not_a_number(column, text, sign)) for line, text in rows if text in bad]


def _not_a_number(column: _Column, text: str, sign: str | None) -> str:
    if column.readings[text].vote():
        return f"{text.strip()} is not a number with decimal sign {sign!r}; {_SETTING}"
    return f"must be a number, found {text.strip()!r}"
