"""The ``Promotion`` column: days on which something beside the price called for buyers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import PROMOTION
from pricerl.data.reading.numbers import is_blank
from pricerl.data.reading.problems import Problem

ON, OFF = ("yes", "y", "true", "on", "1", "1.0"), ("no", "n", "false", "off", "0", "0.0")


def read_promotion(texts: Sequence[str], lines: Sequence[int]) -> tuple[FloatArray, list[Problem]]:
    """Read whether a promotion ran.

    Args:
        texts: cells of the column.
        lines: of the file, one a cell.

    Returns:
        ``(N,)`` 1 on days with a promotion, 0 without, NaN where blank; and a problem for each cell that says neither.
    """
    words = [text.strip().casefold() for text in texts]
    values = np.array([1.0 if word in ON else 0.0 if word in OFF else np.nan for word in words])
    odd = [not is_blank(word) and word not in ON + OFF for word in words]
    problems = [
        Problem(line, PROMOTION, f"must be yes, no, 1 or 0, found {text.strip()}")
        for text, line, wrong in zip(texts, lines, odd, strict=True)
        if wrong
    ]
    return values, problems
