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
    """What one cell is worth with a decimal point and with a decimal comma; None where it is then no number."""

    point: float | None
    comma: float | None

    def vote(self) -> str | None:
        """Return the only decimal sign that makes it a number, or None where both or neither do."""
        if (self.point is None) == (self.comma is None):
            return None
        return "," if self.point is None else "."

    def under(self, sign: str | None) -> float | None:
        """Return the value under a decimal sign; NaN for a number while the sign is open."""
        if sign is None:
            return None if self.point is None and self.comma is None else math.nan
        return self.point if sign == "." else self.comma

    def is_ambiguous(self) -> bool:
        """Return True where both signs make it a number, but not the same one."""
        return self.point is not None and self.comma is not None and self.point != self.comma


class _Column(NamedTuple):
    name: str
    texts: Sequence[str]
    readings: dict[str, Reading]

    def votes(self) -> set[str]:
        return {vote for vote in (reading.vote() for reading in self.readings.values()) if vote}


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
        columns: cells by column name, one a row.
        lines: line of each row in the seller's file.
        decimal: ``.``, ``,`` or ``auto``.
        separator: cell separator of the file; with ``;`` a lone ``1.234`` is ambiguous too.

    Returns:
        ``(rows,)`` values by column, NaN where blank or unreadable, and the problems found.
    """
    parsed = [_read_column(name, texts) for name, texts in columns.items()]
    comma_seen = any("," in column.votes() for column in parsed)
    values: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for column in parsed:
        sign, trouble = _decide(column, lines, decimal, suspicious_point=separator == ";" or comma_seen)
        values[column.name], bad = _convert(column, lines, sign)
        problems += trouble + bad
    return values, problems


def _read_column(name: str, texts: Sequence[str]) -> _Column:
    return _Column(name, texts, {text: read_number(text) for text in set(texts) if not is_blank(text)})


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
    column: _Column, lines: Sequence[int], decimal: str, suspicious_point: bool
) -> tuple[str | None, list[Problem]]:
    """Choose the decimal sign of a column; None with the reason where it cannot be chosen."""
    if decimal != "auto":
        return decimal, []
    votes = column.votes()
    if len(votes) == 2:
        return None, [_mixed_signs(column, lines)]
    if votes:
        return votes.pop(), []
    for line, text in zip(lines, column.texts, strict=True):
        reading = column.readings.get(text)
        if reading and reading.is_ambiguous() and ("," in text or suspicious_point):
            return None, [_ambiguous(column.name, line, text, reading)]
    return ".", []


def _ambiguous(name: str, line: int, text: str, reading: Reading) -> Problem:
    return Problem(line, name, f"{text.strip()} can be {reading.point:.10g} or {reading.comma:.10g}; {_SETTING}")


def _mixed_signs(column: _Column, lines: Sequence[int]) -> Problem:
    first: dict[str, tuple[int, str]] = {}
    for line, text in zip(lines, column.texts, strict=True):
        vote = column.readings[text].vote() if text in column.readings else None
        if vote:
            first.setdefault(vote, (line, text.strip()))
    (point_line, point), (comma_line, comma) = first["."], first[","]
    return Problem(
        comma_line, column.name, f"{comma} has a decimal comma, {point} on line {point_line} a decimal point; use one"
    )


def _convert(column: _Column, lines: Sequence[int], sign: str | None) -> tuple[FloatArray, list[Problem]]:
    """Return the values under a decimal sign, and what is no number under it (under neither, if it is open)."""
    picked = {text: reading.under(sign) for text, reading in column.readings.items()}
    numbers = {text: math.nan if value is None else value for text, value in picked.items()}
    values = np.array([numbers.get(text, math.nan) for text in column.texts], dtype=np.float64)
    bad = {text for text, value in picked.items() if value is None}
    if not bad:
        return values, []
    rows = zip(lines, column.texts, strict=True)
    return values, [Problem(line, column.name, _not_a_number(column, text, sign)) for line, text in rows if text in bad]


def _not_a_number(column: _Column, text: str, sign: str | None) -> str:
    if column.readings[text].vote():
        return f"{text.strip()} is not a number with decimal sign {sign!r}; {_SETTING}"
    return f"must be a number, found {text.strip()!r}"
