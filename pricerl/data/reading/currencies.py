"""Currencies of the columns of money: one in the whole file, which outputs then show, or a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc
from babel.numbers import list_currencies

from pricerl.data.reading import columns
from pricerl.data.reading.numbers import currency_of
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.texts import Cells, TextColumn, as_flags

MONEY = (
    columns.PRODUCT_PRICE,
    columns.TOTAL_SALES,
    columns.TOTAL_PROFIT,
    columns.PREDICTED_SALES,
    columns.UNIT_COST,
    columns.COMPETITOR_PRICE,
)
"""Columns of money, or of money or units."""

CODES = {
    "€": "EUR",
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
    "FR.": "CHF",
}
"""ISO 4217 codes of the signs and words that belong to one currency; ``$``, ``¥`` and ``kr`` belong to several."""


SHARED = {
    "$": frozenset({"CAD", "AUD", "NZD", "HKD", "SGD", "CA$", "C$", "AU$", "A$", "NZ$", "HK$"}),
    "KR": frozenset({"SEK", "NOK", "DKK"}),
}
"""Currencies that a sign may stand for, as `currency_of` returns them."""


def check_currencies(texts: Mapping[str, Cells], lines: Sequence[int]) -> list[Problem]:
    """Return a problem per column of money with two currencies, or one if the columns have different ones.

    Args:
        texts: columns as written in the file.
        lines: line of each row in the seller's file.
    """
    problems: list[Problem] = []
    seen: dict[str, tuple[int, str, str]] = {}
    for name in MONEY:
        column = TextColumn(texts[name]) if name in texts else None
        if column is None or not as_flags(pc.match_substring_regex(column.texts, r"[^0-9.,+\-\s]")).any():
            continue
        found = np.array(list(column.judge(currency_of).values()), dtype=object)
        first = column.first_rows({currency: found == currency for currency in sorted(set(found) - {""})})
        if len(first) > 1:
            one, other = sorted(first.values())[:2]
            text = f"{column.text_of(other)} and {column.text_of(one)} on line {lines[one]} are two currencies; use one"
            problems.append(Problem(lines[other], name, text, everywhere=True))
        for currency, row in first.items():
            seen.setdefault(currency, (lines[row], name, column.text_of(row)))
    named, signs = set(seen) - set(SHARED), set(seen) & set(SHARED)
    fits = len(named) == 1 and any(named <= SHARED[sign] for sign in signs)
    if problems or len(seen) < 2 or fits:
        return problems
    here, there = sorted(seen.values(), key=lambda place: MONEY.index(place[1]))[:2]
    words = f"{there[2]} and {here[2]} in {here[1]} on line {here[0]} are two currencies; convert all amounts to one"
    return [Problem(there[0], there[1], words, everywhere=True)]


def find_currency(texts: Mapping[str, Cells]) -> str:
    """Return the ISO 4217 code of the currency that every price in the file is written with; empty if there is none."""
    if columns.PRODUCT_PRICE not in texts:
        return ""
    written = TextColumn(texts[columns.PRODUCT_PRICE]).texts
    if not as_flags(pc.match_substring_regex(written, r"[^0-9.,+\-\s]")).any():
        return ""
    found = {currency_of(text, CODES) for text in written.to_pylist() if any(map(str.isdigit, text))}
    code = found.pop() if len(found) == 1 else ""
    return code if code in list_currencies() else ""
