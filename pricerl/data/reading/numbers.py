"""Parsing of flags, and of numbers with currency signs, thousands separators and decimal commas."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.reading.columns import IN_STOCK, LARGEST_NUMBER, PROMOTION
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.tables import Cells, TextColumn, match_texts

NO_NAMES = frozenset({"", "#N/A", "-", "–", "—"})
"""Cells without a name: a product may be called None or NA."""
BLANK_WORDS = frozenset({*map(str.casefold, NO_NAMES), "na", "n/a", "nan", "null", "none", "not stocked"})

_BARE_FORMS = (
    (re.compile("−"), "-"),
    (re.compile("%$"), ""),
    (re.compile(r"^\(\s*(.*)\)$"), r"-\1"),
    (re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))"), ""),
    (re.compile(r"^([+-])\s+"), r"\1"),
)
"""Signs, parentheses and spaces around and in a number, one after another, and the plain form of each."""
_SIGNED = r"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
_LAKHS = r"[+-]?[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?"
"""Indian grouping, such as 1,23,456.00."""
_INFINITE = r"[+-]?(?i:inf(?:inity)?)"
_DECIMAL_FORMS = (
    (re.compile("|".join([_SIGNED.format(decimal=r"\.", group=","), _LAKHS, _INFINITE])), str.maketrans("", "", ",")),
    (re.compile("|".join([_SIGNED.format(decimal=",", group=r"\."), _INFINITE])), str.maketrans(",", ".", ".")),
)
"""Numbers with a decimal point and with a decimal comma, and the signs that Python writes them with."""
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
_GROUPED = r"[.,][0-9]{3}$"
"""Numbers whose value is certain without the other rules, unless their sign can separate thousands."""
_SETTING = "set --data.reading.decimal"
FEWEST_OPEN = 10
"""Fewest cells of a column such as 17.600, all of them, that thousands explain as well as three decimals."""


def is_blank(text: str) -> bool:
    """Return True for an empty cell and for the usual words for "no value"."""
    return text.strip().casefold() in BLANK_WORDS


def read_number(text: str) -> tuple[float | None, float | None]:
    """Return the value of a cell, not blank, under a decimal point and under a comma; None where it is no number."""
    if len(text.strip().splitlines()) > 1:  # two numbers in one cell
        return None, None
    if inside := _SIGN_INSIDE.fullmatch(text.strip()):
        value = float(f"{inside['whole']}.{inside['cents']}")
        return value, value
    if worded := WORDED.fullmatch(text.strip()):
        text = f"{worded['sign']}{worded['rest']}" if worded["before"] else worded["other"]
    bare = "".join(sign for sign in text if unicodedata.category(sign) != "Sc")
    for form, plain in _BARE_FORMS:
        bare = form.sub(plain, bare).strip()
    point, comma = (float(bare.translate(signs)) if form.fullmatch(bare) else None for form, signs in _DECIMAL_FORMS)
    return point, comma


def read_texts(texts: pa.Array) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Read texts ``(U,)``: values under a decimal point and a decimal comma, NaN for none, and which are blank."""
    bare = pc.ascii_trim_whitespace(texts)
    plain = match_texts(bare, _PLAIN) & ~match_texts(bare, _GROUPED)
    known = np.full(len(texts), math.nan)
    known[plain] = pc.cast(pc.replace_substring(bare.filter(pa.array(plain)), ",", "."), pa.float64())
    sides = np.array([np.where(pc.match_substring(bare, mark), math.nan, known) for mark in (",", ".")])
    blank = ~plain
    others = texts.filter(pa.array(blank)).to_pylist()
    sides[:, blank] = np.array(list(map(read_number, others)), dtype=np.float64).reshape(-1, 2).T
    blank[blank] = list(map(is_blank, others))
    return sides[0], sides[1], blank


def read_number_columns(
    columns: Mapping[str, Cells], lines: Sequence[int], decimal: str, separator: str
) -> tuple[dict[str, FloatArray], list[Problem]]:
    """Return the values ``(N,)`` by column, NaN where blank or unreadable, and the problems found.

    The decimal sign ``auto`` is decided per column. If cells are separated by ``;``, or the whole column has this form
    and no other column a decimal point, ``1.234`` is ambiguous too.
    """
    texts = {name: TextColumn(cells) for name, cells in columns.items()}
    readings = {name: read_texts(column.texts) for name, column in texts.items()}
    kinds = {name: _find_kinds(column, *readings[name][:2], lines) for name, column in texts.items()}
    doubt_point = separator == ";" or any("," in found for found in kinds.values())
    has_point = any("." in found for found in kinds.values())
    values: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for name, column in texts.items():
        point, comma, blank = readings[name]
        # after whole numbers of three digits, a lone 1.234 may be the next size
        has_hundreds = column.rows(match_texts(column.texts, r"^\s*[1-9][0-9]{2}\s*$")).size > 0
        doubt = doubt_point or has_hundreds or (not has_point and _is_open_throughout(column, point, comma))
        sign, undecided = _decide(name, kinds[name], doubt) if decimal == "auto" else (decimal, [])
        found = {".": point, ",": comma}.get(sign, np.fmax(point, comma))
        values[name] = column.spread(found if sign else np.full_like(found, math.nan))
        unreadable = column.texts.filter(pa.array(~blank & np.isnan(found)))
        reasons = {text: _explain(text, sign) for text in unreadable.to_pylist()}
        problems += [*undecided, *column.find_problems(name, lines, reasons)]
    return values, problems


def _explain(text: str, sign: str) -> str:
    if read_number(text) == (None, None):
        return f"must be a number, found {quote(text)!r}"
    return f"{quote(text)} is not a number with decimal sign {sign!r}; {_SETTING}"


Place = tuple[int, str]
"""Line and text of a cell."""


def _find_kinds(column: TextColumn, point: FloatArray, comma: FloatArray, lines: Sequence[int]) -> dict[str, Place]:
    """Return the first cell that is a number under one decimal sign only, by sign, and the first ambiguous ones."""
    no_point = np.isnan(point)
    no_comma = np.isnan(comma)
    is_open = ~no_point & ~no_comma & (point != comma)
    has_comma = np.asarray(pc.match_substring(column.texts, ",")) if is_open.any() else is_open
    return column.first_cells(
        {
            ",": no_point & ~no_comma,
            ".": no_comma & ~no_point,
            "open comma": is_open & has_comma,
            "open point": is_open & ~has_comma,
        },
        lines,
    )


def _is_open_throughout(column: TextColumn, point: FloatArray, comma: FloatArray) -> bool:
    """Return whether all numbers of a column but 0 are others under the other decimal sign, and enough to show it."""
    used = column.spread(~np.isnan(point) & (point != 0))
    return bool(used.sum() >= FEWEST_OPEN and (column.spread(point != comma) | ~used).all())


def _decide(name: str, first: Mapping[str, Place], doubt_point: bool) -> tuple[str, list[Problem]]:
    """Choose the decimal sign of a column; none, with a problem, if it cannot be chosen."""
    unclear = ("open comma", "open point") if doubt_point else ("open comma",)
    cells = [first[kind] for kind in unclear if kind in first]
    if "." in first and "," in first:
        line, text = first[","]
        found = f"{text} has a decimal comma, {first['.'][1]} on line {first['.'][0]} a decimal point; use one"
    elif "." in first or "," in first or not cells:
        return "," if "," in first else ".", []
    else:
        line, text = min(cells)
        found = f"{text} can be {' or '.join(f'{value:.10g}' for value in read_number(text))}; {_SETTING}"
    return "", [Problem(line, name, found, everywhere=True)]


_FLAGS = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0, **dict.fromkeys(BLANK_WORDS, math.nan)}
_WORDS = {
    IN_STOCK: {**_FLAGS, "in stock": 1.0, "in": 1.0, "out of stock": 0.0, "out": 0.0},
    PROMOTION: {**_FLAGS, "on": 1.0, "off": 0.0},
}


def read_flags(name: str, cells: Cells, lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Return ``(N,)`` 1 for yes, 0 for no, NaN for a blank cell, or units in stock; and a problem per invalid cell."""
    column = TextColumn(cells)
    words = [text.strip().casefold() for text in column.texts.to_pylist()]
    known = pd.Series([_WORDS[name].get(word, word.replace(",", ".")) for word in words], dtype=object)
    values = pd.to_numeric(known, errors="coerce").to_numpy(np.float64)
    right = (values >= 0) & (values <= LARGEST_NUMBER) if name == IN_STOCK else np.isin(values, (0, 1))
    expected = "yes, no or the units in stock" if name == IN_STOCK else "yes, no, 1 or 0"
    faulty = column.texts.filter(pa.array(~right & ~np.isin(words, [*BLANK_WORDS]))).to_pylist()
    reasons = {text: f"must be {expected}, found {quote(text)}" for text in faulty}
    return column.spread(np.where(right, values, math.nan)), column.find_problems(name, lines, reasons)


def read_groups(cells: Cells) -> pd.Categorical[str]:
    """Return the group of each row ``(N,)``, missing where blank."""
    column = TextColumn(cells)
    groups = [None if is_blank(text) else text.strip() for text in column.texts.to_pylist()]
    return pd.Categorical(column.spread(np.array(groups, dtype=object)))
