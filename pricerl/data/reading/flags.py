"""Flag columns: ``In Stock`` and ``Promotion``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import IN_STOCK, LARGEST_NUMBER, PROMOTION
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem, quote
from pricerl.data.reading.texts import Cells, TextColumn

WORDS = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}
OWN_WORDS = {
    IN_STOCK: {"in stock": 1.0, "in": 1.0, "out of stock": 0.0, "out": 0.0},
    PROMOTION: {"on": 1.0, "off": 0.0},
}


def read_flags(name: str, cells: Cells, lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Return ``(N,)`` 1 for yes, 0 for no, NaN for a blank cell of a flag column; and a problem per invalid cell."""
    largest, expected = 1.0, "yes, no, 1 or 0"
    if name == IN_STOCK:
        largest, expected = LARGEST_NUMBER, "yes, no or the units in stock"
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
