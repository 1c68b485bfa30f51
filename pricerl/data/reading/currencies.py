"""Currencies in cells and names of columns: one in the whole file, which outputs then show, or a problem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain, combinations, islice
from typing import NamedTuple

import numpy as np
from babel.numbers import list_currencies

from pricerl.data.reading import columns
from pricerl.data.reading.numbers import CURRENCY_WORDS, WORDED
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.tables import Cells, TextColumn, match_texts

CODES = {
    "€": "EUR",
    "EURO": "EUR",
    "EUROS": "EUR",
    "£": "GBP",
    "₹": "INR",
    "US$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "AU$": "AUD",
    "A$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "R$": "BRL",
    "ZŁ": "PLN",
    "KČ": "CZK",
    "FT": "HUF",
    "FR": "CHF",
}
"""ISO 4217 codes of the signs and words that belong to one currency."""

SHARED = {
    "$": frozenset(("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU")),
    "¥": frozenset(("JPY", "CNY")),
    "KR": frozenset(("SEK", "NOK", "DKK", "ISK")),
    "RS": frozenset(("INR", "PKR", "LKR", "NPR")),
    "LEI": frozenset(("RON", "MDL")),
}
"""Currencies that a sign or word may stand for."""

USUAL = {"$": frozenset(("USD",)), "¥": frozenset(("JPY",)), "RS": frozenset(("INR",))}
"""Those for which it may stand among cells that name the currency."""

_SIGN = r"[$£¥฿\u20a0-\u20cf]"
_MARK = rf"{CURRENCY_WORDS}|[a-z]{{3}}|[Ee]uros?|{_SIGN}"
_AT_END = re.compile(
    rf"(?P<name>.+?)(?:\s*\((?:in )?(?P<round>{_MARK})\)|\s*\[(?:in )?(?P<square>{_MARK})\]"
    rf"|[\s_,/-]+(?:(?:in|en)[\s_]+)?(?P<bare>{_MARK})|(?P<sign>{_SIGN}))"
)
_AT_START = re.compile(
    rf"(?:\((?P<round>{_MARK})\)|\[(?P<square>{_MARK})\]|(?P<bare>{CURRENCY_WORDS})(?=[\s_-])"
    rf"|(?P<lower>[a-z]{{3}})(?=_)|(?P<sign>{_SIGN}))[\s_-]*(?P<name>.+)"
)


class NamedColumn(NamedTuple):
    """Name of a column without the currency in it."""

    name: str
    currency: str
    """As `currency_of` returns it; empty if the name has none."""


def currency_of(text: str) -> str:
    """Return the currency in a cell: its ISO 4217 code, the sign or word if several use it, or an empty string."""
    worded = WORDED.fullmatch(text.strip())
    signs = "".join(dict.fromkeys(sign for sign in text if unicodedata.category(sign) == "Sc"))
    return _code_of(worded["before"] or worded["after"] or "" if worded else signs)


def _code_of(mark: str) -> str:
    bare = mark.upper().rstrip(".")
    return CODES.get(bare, bare)


def split_currency(name: str) -> NamedColumn:
    """Split the currency off a column's name of at most 100 characters, at its end or its start.

    >>> split_currency("Umsatz in EUR")
    NamedColumn(name='Umsatz', currency='EUR')
    >>> split_currency("Sales £")
    NamedColumn(name='Sales', currency='GBP')
    """
    text = name.strip()
    for pattern in (_AT_END, _AT_START) if len(text) <= 100 else ():
        if found := pattern.fullmatch(text):
            code = _code_of(next(part for key, part in found.groupdict().items() if part and key != "name"))
            if code in SHARED or (code in list_currencies() and code not in ("ALL", "TOP")):  # English words
                return NamedColumn(found["name"].strip(), code)
    return NamedColumn(name, "")


class Mention(NamedTuple):
    """First place at which a file names a currency, in a column of cells or in its header."""

    line: int
    column: str
    currency: str
    text: str
    """The cell as written, or the column's name in quotes."""

    in_header: bool = False

    def agrees(self, other: Mention) -> bool:
        """Return whether two can be one currency; within cells a sign is the usual one of those that it stands for."""
        among_cells = self.column == other.column and not (self.in_header or other.in_header)
        shared = USUAL if among_cells else SHARED
        return (
            self.currency == other.currency
            or self.currency in shared.get(other.currency, ())
            or other.currency in shared.get(self.currency, ())
        )


def check_currencies(
    texts: Mapping[str, Cells], lines: Sequence[int], names: Mapping[str, str], header_line: int
) -> list[Problem]:
    """Return a problem per column of money with two currencies, or one if the columns have different ones.

    ``names`` are the columns' names in the file, on its ``header_line`` or, if 0, on none.
    """
    mentions = [
        [
            *_mention_in_header(name, names.get(name, ""), header_line),
            *_first_mentions(name, texts.get(name, ()), lines),
        ]
        for name in columns.MONEY
    ]
    return list(chain(*map(_find_clash, mentions))) or _find_clash([*chain(*mentions)])


def _mention_in_header(name: str, written: str, line: int) -> list[Mention]:
    """Return the currency in the name of a column as ``written``, if any."""
    stated = split_currency(written).currency
    return [Mention(line, name, stated, repr(written), in_header=True)] if stated else []


def _first_mentions(name: str, cells: Cells, lines: Sequence[int]) -> list[Mention]:
    """Return the first cell with each currency of a column, in the order of lines."""
    column = TextColumn(cells)
    found = np.array([*_currencies_in(column).values()], dtype=object)
    first = column.first_cells({currency: found == currency for currency in {*found} - {""}}, lines)
    return sorted(Mention(line, name, currency, text) for currency, (line, text) in first.items())


def _currencies_in(column: TextColumn) -> dict[str, str]:
    """Return the currency of each different text as `currency_of` does, without a look at plain numbers."""
    has_words = match_texts(column.texts, r"[^0-9.,+\-\s]").any()
    return column.map(currency_of) if has_words else dict.fromkeys(column.texts.to_pylist(), "")


def _find_clash(mentions: Sequence[Mention]) -> list[Problem]:
    """Return the problem of the first two mentions that cannot be one currency, if any."""
    clashes = ((one, other) for one, other in combinations(mentions, 2) if not one.agrees(other))
    return [
        Problem(
            other.line,
            other.column,
            f"{other.text} and {one.text}"
            f"{f' in {one.column}' if one.column != other.column and not one.in_header else ''}"
            f"{f' on line {one.line}' if one.line else ''} are two currencies; convert all amounts to one",
            everywhere=True,
        )
        for one, other in islice(clashes, 1)
    ]


def find_currency(texts: Mapping[str, Cells], names: Mapping[str, str]) -> str:
    """Return the ISO 4217 code in the names of columns, or else of every price as written; empty without any."""
    stated = {split_currency(names.get(name, "")).currency for name in columns.MONEY} & list_currencies()
    prices = _currencies_in(TextColumn(texts.get(columns.PRODUCT_PRICE, ())))
    found = {currency for text, currency in prices.items() if any(map(str.isdigit, text))}
    return min(stated or (found & list_currencies() if len(found) == 1 else ()), default="")
