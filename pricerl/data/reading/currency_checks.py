"""Currency of a file's columns of money: one in the whole file, which outputs then show, or a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from babel.numbers import list_currencies

from pricerl.data.reading import columns
from pricerl.data.reading.currencies import USUAL, agree, currency_of, split_currency
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.texts import Cells, TextColumn, as_flags


class Mention(NamedTuple):
    """A place at which a file names a currency, the first one."""

    line: int
    column: str
    text: str
    """The cell as written, or the column's name in quotes."""

    in_header: bool = False

    def __str__(self) -> str:
        column = "" if self.in_header else f" in {self.column}"
        return f"{self.text}{column}" + (f" on line {self.line}" if self.line else "")


def currencies_of_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return the currency in the file's name of each column of money; columns whose name has none are left out.

    Args:
        names: name in the file by known column.
    """
    found = {name: split_currency(names[name]).currency for name in columns.MONEY if name in names}
    return {name: currency for name, currency in found.items() if currency}


def check_currencies(
    texts: Mapping[str, Cells], lines: Sequence[int], names: Mapping[str, str], header_line: int
) -> list[Problem]:
    """Return a problem per column of money with two currencies, or one if the columns have different ones.

    Args:
        texts: columns as written in the file.
        lines: line of each row in the seller's file.
        names: name in the file by known column.
        header_line: line of these names, 0 if they stand on no line.
    """
    problems: list[Problem] = []
    seen: dict[str, Mention] = {}
    stated = currencies_of_names(names)
    for name in columns.MONEY:
        cells = _first_cells(name, texts[name], lines) if name in texts else {}
        one, other = (*sorted(cells.values()), None, None)[:2]
        if one and other and not agree(cells, USUAL):
            text = f"{other.text} and {one.text} on line {one.line} are two currencies; use one"
            problems.append(Problem(other.line, name, text, everywhere=True))
        elif one and name in stated and not agree({*cells, stated[name]}):
            text = f"{one.text} contradicts the name of the column, {names[name]!r}; correct the name, or convert"
            problems.append(Problem(one.line, name, f"{text} the amounts", everywhere=True))
        if name in stated:
            seen.setdefault(stated[name], Mention(header_line, name, repr(names[name]), in_header=True))
        seen = {**cells, **seen}
    if problems or agree(seen):
        return problems
    pairs = combinations(sorted(seen, key=lambda currency: columns.MONEY.index(seen[currency].column)), 2)
    here, there = next(pair for pair in pairs if not agree(pair))
    words = f"{seen[there].text} and {seen[here]} are two currencies; convert all amounts to one"
    return [Problem(seen[there].line, seen[there].column, words, everywhere=True)]


def find_currency(texts: Mapping[str, Cells], names: Mapping[str, str]) -> str:
    """Return the ISO 4217 code in the names of columns, else that with which every price of the file is written.

    Args:
        texts: columns as written in the file, of one currency.
        names: name in the file by known column.

    Returns:
        The code, or an empty string if there is none.
    """
    stated = set(currencies_of_names(names).values()) & list_currencies()
    if stated or columns.PRODUCT_PRICE not in texts:
        return min(stated, default="")
    prices = TextColumn(texts[columns.PRODUCT_PRICE])
    if not _has_words(prices):
        return ""
    found = {currency_of(text) for text in prices.texts.to_pylist() if any(map(str.isdigit, text))}
    code = found.pop() if len(found) == 1 else ""
    return code if code in list_currencies() else ""


def _first_cells(name: str, cells: Cells, lines: Sequence[int]) -> dict[str, Mention]:
    """Return the first cell with each currency of a column."""
    column = TextColumn(cells)
    if not _has_words(column):
        return {}
    found = np.array(list(column.judge(currency_of).values()), dtype=object)
    first = column.first_rows({currency: found == currency for currency in sorted(set(found) - {""})})
    return {currency: Mention(lines[row], name, column.text_of(row)) for currency, row in first.items()}


def _has_words(column: TextColumn) -> bool:
    """Return whether a column has more than plain numbers."""
    return bool(as_flags(pc.match_substring_regex(column.texts, r"[^0-9.,+\-\s]")).any())
