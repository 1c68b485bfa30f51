"""Columns of text: each different text once, and the rows that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.reading.problems import Problem, quote

Cells = Sequence[str] | pd.Series | pd.Categorical
"""Cells of one column: a plain sequence of texts, or a categorical of them."""

Key = TypeVar("Key")


class TextColumn:
    """Cells of one column, so that each different text is judged once.

    Args:
        cells: ``N`` texts. Categories of a categorical that no row has are ignored by all methods.
    """

    def __init__(self, cells: Cells) -> None:
        known = cells.array if isinstance(cells, pd.Series) else cells
        if not isinstance(known, pd.Categorical):
            known = pd.Categorical(pd.Series(list(known), dtype=object))
        self.texts: pa.Array = pa.array(known.categories, type=pa.large_string())
        """``(U,)`` different texts."""
        self.codes: NDArray[np.integer[Any]] = np.asarray(known.codes)
        """``(N,)`` place of each row's text among the different ones."""

    def __len__(self) -> int:
        return len(self.codes)

    def text_of(self, row: int) -> str:
        """Return the text of a row, without surrounding spaces and cut to 80 characters."""
        return quote(str(self.texts[int(self.codes[row])].as_py()))

    def spread(self, values: Any) -> Any:
        """Return the values ``(N,)`` of the rows from those of the different texts ``(U,)``."""
        return np.asarray(values)[self.codes] if len(self.texts) else np.asarray(values)[:0]

    def judge(self, judge: Callable[[str], Key]) -> dict[str, Key]:
        """Return what a function makes of each different text."""
        return {text: judge(text) for text in self.texts.to_pylist()}

    def rows(self, marked: BoolArray) -> IntArray:
        """Return the rows whose text is marked, in ascending order; ``marked (U,)``."""
        return np.flatnonzero(marked[self.codes]) if marked.any() else np.empty(0, np.int64)

    def first_rows(self, kinds: Mapping[str, BoolArray]) -> dict[str, int]:
        """Return the first row of each kind that occurs, from the marked texts ``(U,)`` of each kind."""
        found = {kind: self.rows(marked) for kind, marked in kinds.items()}
        return {kind: int(rows[0]) for kind, rows in found.items() if len(rows)}

    def find_problems(
        self, column: str, lines: Sequence[int], marked: BoolArray, explain: Callable[[str], str]
    ) -> list[Problem]:
        """Return a problem per row whose text is marked.

        Args:
            column: name of the column.
            lines: line of each of the ``N`` rows in the seller's file.
            marked: ``(U,)`` True for texts with a problem.
            explain: returns finding and remedy for a text.
        """
        at = np.flatnonzero(marked)
        texts = {int(code): self.texts[int(code)].as_py() for code in at if len(self.codes)}
        reasons = {code: (explain(text), "", quote(text)) for code, text in texts.items()}
        return [Problem(lines[int(row)], column, *reasons[int(self.codes[row])]) for row in self.rows(marked)]


def as_floats(values: pa.Array | pa.ChunkedArray) -> FloatArray:
    """Return numbers as float64, NaN where there is none."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def as_flags(values: pa.Array | pa.ChunkedArray) -> BoolArray:
    """Return the answers of a test of texts."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
