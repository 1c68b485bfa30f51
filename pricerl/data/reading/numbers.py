"""Parsing of flags, and of numbers with currency signs, thousands separators and decimal commas."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.reading.columns import IN_STOCK, LARGEST_NUMBER, PROMOTION
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.texts import Cells, TextColumn, as_flags, as_floats

BLANK_WORDS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "–", "—"})

_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_THOUSANDS_SPACE = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
_SIGN_SPACE = re.compile(r"^([+-])\s+")
_SIGNED = r"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
_LAKHS = r"[+-]?[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?"
"""Indian grouping, such as 1,23,456.00."""
_PATTERNS = {
    ".": re.compile("|".join([_SIGNED.format(decimal=r"\.", group=","), _LAKHS])),
    ",": re.compile(_SIGNED.format(decimal=",", group=r"\.")),
}
_SIGN_INSIDE = re.compile(r"(?P<whole>[+-]?\d+)\s?[$€£¥₹]\s?(?P<cents>\d{1,2})")
"""A currency sign in place of the decimal sign, such as 12€50."""
CURRENCY_WORDS = r"[A-Z]{3}|(?:US|CA|AU|NZ|HK|C|A|R)\$|kr\.?|zł|Kč|Ft|lei|Fr\.|Rs\.?"
"""Codes and words of currencies in cells."""
WORDED = re.compile(
    rf"(?P<sign>[+-]?)(?P<before>{CURRENCY_WORDS})\s*(?P<rest>[+-]?[\d.,].*)"
    rf"|(?P<other>[+-]?[\d.,].*\d[.,]?)\s*(?P<after>{CURRENCY_WORDS})"
)
"""A number with one of these before or after it."""
_PLAIN = r"^-?[0-9]{1,18}([.,][0-9]{1,18})?$"
"""Numbers whose value is certain without the other rules."""
_PLAIN_GROUPS = r"^-?[1-9][0-9]{0,2}[.,][0-9]{3}$"
"""Those that are whole numbers if the sign separates thousands."""
_SETTING = "set --data.reading.decimal"


class Reading(NamedTuple):
    """Value of a cell under a decimal point and under a decimal comma; None where it is not a number."""

    point: float | None
    comma: float | None


class Readings(NamedTuple):
    """Values of different texts under both decimal signs, ``(U,)`` each; NaN where they are not numbers."""

    point: FloatArray
    comma: FloatArray
    blank: BoolArray
    """The text means "no value"."""


def is_blank(text: str) -> bool:
    """Return True for an empty cell and for the usual words for "no value"."""
    return text.strip().casefold() in BLANK_WORDS


def read_number(text: str) -> Reading:
    """Read one cell that is not blank, under both decimal signs."""
    if inside := _SIGN_INSIDE.fullmatch(text.strip()):
        value = float(f"{inside['whole']}.{inside['cents']}")
        return Reading(value, value)
    bare = _strip_decoration(text)
    if _INFINITE.fullmatch(bare):
        return Reading(float(bare), float(bare))
    return Reading(_value(bare, "."), _value(bare, ","))


def read_number_columns(
    columns: Mapping[str, Cells], lines: Sequence[int], decimal: str, separator: str
) -> tuple[dict[str, FloatArray], list[Problem]]:
    """Return the values ``(N,)`` by column, NaN where blank or unreadable, and the problems found.

    The decimal sign ``auto`` is decided per column; if cells are separated by ``;``, a lone ``1.234`` is ambiguous too.
    """
    texts = {name: TextColumn(cells) for name, cells in columns.items()}
    readings = {name: read_texts(column.texts) for name, column in texts.items()}
    first = {name: column.first_rows(_kinds(column.texts, readings[name])) for name, column in texts.items()}
    doubt_point = separator == ";" or any("," in kinds for kinds in first.values())
    values: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for name, column in texts.items():
        found = {kind: (lines[row], column.text_of(row)) for kind, row in first[name].items()}
        doubt = doubt_point or ("open point" in found and _has_hundreds(column))
        sign, undecided = _decide(found, doubt) if decimal == "auto" else (decimal, None)
        point, comma, blank = readings[name]
        picked = {".": point, ",": comma, None: np.full_like(point, math.nan)}[sign]
        unreadable = np.isnan(point) & np.isnan(comma) if sign is None else np.isnan(picked)
        values[name] = column.spread(picked)
        problems += [Problem(undecided[0], name, undecided[1], everywhere=True)] if undecided else []
        problems += column.find_problems(name, lines, unreadable & ~blank, partial(_fault, sign=sign))
    return values, problems


def read_texts(texts: pa.Array) -> Readings:
    """Read different texts ``(U,)`` under both decimal signs: plain numbers all at once, any other one by one."""
    bare = pc.ascii_trim_whitespace(texts)
    plain = as_flags(pc.match_substring_regex(bare, _PLAIN))
    grouped = as_flags(pc.match_substring_regex(bare, _PLAIN_GROUPS))
    has_comma, has_point = (as_flags(pc.match_substring(bare, sign)) for sign in ",.")
    value = np.full(len(texts), math.nan)
    whole = np.full(len(texts), math.nan)
    value[plain] = as_floats(pc.cast(pc.replace_substring(bare.filter(pa.array(plain)), ",", "."), pa.float64()))
    whole[grouped] = as_floats(
        pc.cast(pc.replace_substring_regex(bare.filter(pa.array(grouped)), "[,.]", ""), pa.float64())
    )
    point = np.where(has_comma, whole, value)
    comma = np.where(has_point, whole, value)
    blank = np.zeros(len(texts), dtype=bool)
    for place in np.flatnonzero(~plain):
        text = texts[int(place)].as_py()
        blank[place] = is_blank(text)
        if not blank[place]:
            point[place], comma[place] = (math.nan if side is None else side for side in read_number(text))
    return Readings(point, comma, blank)


def _strip_decoration(text: str) -> str:
    if code := WORDED.fullmatch(text.strip()):
        text = f"{code['sign']}{code['rest']}" if code["before"] else code["other"]
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


def _has_hundreds(column: TextColumn) -> bool:
    """Return whether the column has whole numbers of three digits, so that a lone ``1.234`` may be the next size."""
    return bool(column.rows(as_flags(pc.match_substring_regex(column.texts, r"^\s*[1-9][0-9]{2}\s*$"))).size)


def _kinds(texts: pa.Array, readings: Readings) -> dict[str, BoolArray]:
    """Return the texts ``(U,)`` that are numbers under one decimal sign only, by sign, and those that are ambiguous."""
    no_point = np.isnan(readings.point)
    no_comma = np.isnan(readings.comma)
    is_open = ~no_point & ~no_comma & (readings.point != readings.comma)
    has_comma = as_flags(pc.match_substring(texts, ",")) if is_open.any() else is_open
    return {
        ",": no_point & ~no_comma,
        ".": no_comma & ~no_point,
        "open comma": is_open & has_comma,
        "open point": is_open & ~has_comma,
    }


def _decide(first: Mapping[str, tuple[int, str]], doubt_point: bool) -> tuple[str | None, tuple[int, str] | None]:
    """Choose the decimal sign of a column; None with line and reason if it cannot be chosen."""
    if "." in first and "," in first:
        point_line, point = first["."]
        line, comma = first[","]
        return None, (line, f"{comma} has a decimal comma, {point} on line {point_line} a decimal point; use one")
    if "." in first or "," in first:
        return "." if "." in first else ",", None
    unclear = ("open comma", "open point") if doubt_point else ("open comma",)
    if cells := [first[kind] for kind in unclear if kind in first]:
        line, text = min(cells)
        reading = read_number(text)
        return None, (line, f"{text} can be {reading.point:.10g} or {reading.comma:.10g}; {_SETTING}")
    return ".", None


def _fault(text: str, sign: str | None) -> str:
    if read_number(text) == (None, None):
        return f"must be a number, found {quote(text)!r}"
    return f"{quote(text)} is not a number with decimal sign {sign!r}; {_SETTING}"


WORDS = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}
OWN_WORDS = {
    IN_STOCK: {"in stock": 1.0, "in": 1.0, "out of stock": 0.0, "out": 0.0},
    PROMOTION: {"on": 1.0, "off": 0.0},
}


def read_flags(name: str, cells: Cells, lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Return ``(N,)`` 1 for yes, 0 for no, NaN for a blank cell of a flag column; and a problem per invalid cell."""
    largest = 1.0
    expected = "yes, no, 1 or 0"
    if name == IN_STOCK:
        largest = LARGEST_NUMBER
        expected = "yes, no or the units in stock"
    words = WORDS | OWN_WORDS[name]
    column = TextColumn(cells)
    read = column.judge(lambda text: _read_flag(text.strip().casefold(), words, largest))
    faulty = np.array([value is None for value in read.values()], dtype=bool)
    problems = column.find_problems(name, lines, faulty, lambda text: f"must be {expected}, found {quote(text)}")
    return column.spread(np.array(list(read.values()), dtype=np.float64)), problems


def _read_flag(word: str, words: Mapping[str, float], largest: float) -> float | None:
    """Return 1, 0, NaN for a blank cell, or None for a cell that is neither a word nor a number up to ``largest``."""
    if is_blank(word):
        return np.nan
    if word in words:
        return words[word]
    try:
        count = float(word.replace(",", "."))
    except ValueError:
        return None
    whole = count.is_integer() or largest > 1
    return float(count > 0) if whole and 0 <= count <= largest else None
