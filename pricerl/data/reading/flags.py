"""Flag columns: ``In Stock`` and ``Promotion``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import IN_STOCK, LARGEST_NUMBER, PROMOTION
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem, find_problems


class _Flag(NamedTuple):
    """Cells that a flag column accepts."""

    yes: tuple[str, ...]
    no: tuple[str, ...]
    largest: float
    """Largest accepted number; 0 means no, any other number yes."""
    expected: str
    """Description of the accepted cells."""


ACCEPTED = {
    IN_STOCK: _Flag(("in stock", "in"), ("out of stock", "out"), LARGEST_NUMBER, "yes, no or the units in stock"),
    PROMOTION: _Flag(("on",), ("off",), 1, "yes, no, 1 or 0"),
}
YES, NO = ("yes", "y", "true"), ("no", "n", "false")


def read_flags(name: str, texts: Sequence[str], lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Read a flag column.

    Args:
        name: a flag column.
        texts: cells of the column.
        lines: line of each cell in the seller's file.

    Returns:
        ``(N,)`` 1 for yes, 0 for no, NaN where blank; and a problem per invalid cell.
    """
    values = {text: _read_flag(text.strip().casefold(), ACCEPTED[name]) for text in set(texts)}
    expected = ACCEPTED[name].expected
    faults = {text: f"must be {expected}, found {text.strip()}" for text, value in values.items() if value is None}
    return np.array([values[text] for text in texts], dtype=np.float64), find_problems(name, texts, lines, faults)


def _read_flag(word: str, flag: _Flag) -> float | None:
    """Return 1, 0, NaN for a blank cell, or None for a cell that the column does not accept."""
    if is_blank(word):
        return np.nan
    if word in YES + flag.yes:
        return 1.0
    if word in NO + flag.no:
        return 0.0
    try:
        count = float(word.replace(",", "."))
    except ValueError:
        return None
    whole = count.is_integer() or flag.largest > 1
    return float(count > 0) if whole and 0 <= count <= flag.largest else None
