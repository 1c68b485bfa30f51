"""Currencies in cells and in names of columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import NamedTuple

from babel.numbers import list_currencies

from pricerl.data.reading.numbers import CURRENCY_WORDS, WORDED

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

LONGEST_NAME = 100
"""Characters of a column's name in which a currency is looked for."""

_WORDS_OF_HEADERS = frozenset(("ALL", "TOP"))
"""Codes that are English words in the name of a column."""

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


def split_currency(name: str) -> NamedColumn:
    """Split the currency off a column's name, at its end or its start.

    >>> split_currency("Umsatz in EUR")
    NamedColumn(name='Umsatz', currency='EUR')
    >>> split_currency("Sales £")
    NamedColumn(name='Sales', currency='GBP')
    """
    text = name.strip()
    for pattern in (_AT_END, _AT_START) if len(text) <= LONGEST_NAME else ():
        if found := pattern.fullmatch(text):
            mark = next(part for key, part in found.groupdict().items() if part and key != "name")
            code = _code_of(mark)
            if code in SHARED or (code in list_currencies() and code not in _WORDS_OF_HEADERS):
                return NamedColumn(found["name"].strip(), code)
    return NamedColumn(name, "")


def agree(currencies: Collection[str], shared: Mapping[str, frozenset[str]] = SHARED) -> bool:
    """Return whether currencies, as `currency_of` returns them, can all be the same one.

    Args:
        currencies: different codes and signs.
        shared: codes that each sign may stand for.
    """
    signs, codes = set(currencies) & set(SHARED), set(currencies) - set(SHARED)
    return len(signs) <= 1 and len(codes) <= 1 and all(codes <= shared.get(sign, frozenset()) for sign in signs)


def _code_of(mark: str) -> str:
    bare = mark.upper().rstrip(".")
    return CODES.get(bare, bare)
