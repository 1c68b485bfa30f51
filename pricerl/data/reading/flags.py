"""The ``In Stock`` column: days on which nothing could be sold, or not all day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import IN_STOCK
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem

IN, OUT = ("yes", "y", "true", "in stock", "in"), ("no", "n", "false", "out of stock", "out")


def read_stock(texts: Sequence[str], lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Read yes or no, or how many were in stock.

    Args:
        texts: cells of the column.
        lines: of the file, one a cell.

    Returns:
        ``(N,)`` 1 in stock, 0 out of stock, NaN where blank; and a problem for each cell that is neither.
    """
    values, problems = np.full(len(texts), np.nan), []
    for row, (text, line) in enumerate(zip(texts, lines, strict=True)):
        word = text.strip().casefold()
        if is_blank(word):
            continue
        count = _count(word)
        if word not in IN + OUT and not (count is not None and 0 <= count < np.inf):
            problems.append(Problem(line, IN_STOCK, f"must be yes, no or the units in stock, found {text.strip()}"))
        values[row] = float(word in IN or bool(count))
    return values, problems


def _count(word: str) -> float | None:
    try:
        return float(word.replace(",", "."))
    except ValueError:
        return None
