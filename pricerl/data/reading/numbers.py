"""Parsing of numbers with currency signs, thousands separators and decimal commas."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.problems import Problem, find_problems, first_of_each

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
    """Value of a cell under a decimal point and under a decimal comma; None where it is not a number."""

    point: float | None
    comma: float | None

    def under(self, sign: str | None) -> float | None:
        """Return the value under a decimal sign; NaN for a number while the sign is undecided."""
        if sign is None:
            return None if self == (None, None) else math.nan
        return self.point if sign == "." else self.comma


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
    """Return the values ``(N,)`` by column, NaN where blank or unreadable, and the problems found.

    The decimal sign ``auto`` is decided per column; if cells are separated by ``;``, a lone ``1.234`` is ambiguous too.
    """
    readings = {
        name: {text: read_number(text) for text in set(texts) if not is_blank(text)} for name, texts in columns.items()
    }
    first = {name: first_of_each(_kinds(readings[name]), texts, lines) for name, texts in columns.items()}
    doubt_point = separator == ";" or any("," in kinds for kinds in first.values())
    values: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for name, texts in columns.items():
        sign, undecided = _decide(first[name], doubt_point) if decimal == "auto" else (decimal, None)
        picked = {text: reading.under(sign) for text, reading in readings[name].items()}
        faults = {text: _fault(text, readings[name][text], sign) for text, value in picked.items() if value is None}
        values[name] = np.array([picked.get(text, math.nan) for text in texts], dtype=np.float64)
        problems += [Problem(undecided[0], name, undecided[1])] if undecided else []
        problems += find_problems(name, texts, lines, faults)
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


def _kinds(readings: Mapping[str, Reading]) -> dict[str, str]:
    """Return, by text, the only decimal sign under which it is a number, or the ambiguous sign in it."""
    kinds = {}
    for text, (point, comma) in readings.items():
        if (point is None) != (comma is None):
            kinds[text] = "," if point is None else "."
        elif point != comma:
            kinds[text] = "open comma" if "," in text else "open point"
    return kinds


def _decide(first: Mapping[str, tuple[int, str]], doubt_point: bool) -> tuple[str | None, tuple[int, str] | None]:
    """Choose the decimal sign of a column; None with line and reason if it cannot be chosen."""
    if "." in first and "," in first:
        (point_line, point), (line, comma) = first["."], first[","]
        return None, (line, f"{comma} has a decimal comma, {point} on line {point_line} a decimal point; use one")
    if "." in first or "," in first:
        return "." if "." in first else ",", None
    unclear = ("open comma", "open point") if doubt_point else ("open comma",)
    if cells := [first[kind] for kind in unclear if kind in first]:
        line, text = min(cells)
        reading = read_number(text)
        return None, (line, f"{text} can be {reading.point:.10g} or {reading.comma:.10g}; {_SETTING}")
    return ".", None


def _fault(text: str, reading: Reading, sign: str | None) -> str:
    if reading == (None, None):
        return f"must be a number, found {text.strip()!r}"
    return f"{text.strip()} is not a number with decimal sign {sign!r}; {_SETTING}"
