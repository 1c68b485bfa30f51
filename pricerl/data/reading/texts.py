"""Tables and columns of text: each different text once, and the rows that have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pricerl.arrays import BoolArray, IntArray
from pricerl.data.reading.problems import Problem, quote

Cells = Sequence[str] | pd.Series | pd.Categorical
"""Cells of one column: a plain sequence of texts, or a categorical of them."""

Result = TypeVar("Result")


class RaggedRow(NamedTuple):
    """Row whose number of cells is not that of the header, with its line in the seller's file."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of a file, as text."""

    frame: pd.DataFrame
    """One categorical column of text per column of the file, under the names in its header, which may repeat."""

    source: str
    """Name of the file as the user wrote it."""

    separator: str

    lines: Sequence[int]
    """``(N,)`` line on which each row starts in the seller's file; of several files, with `FILE_STEP` per file."""

    header_line: int = 1

    notes: tuple[str, ...] = ()
    """Notes on how the file was read."""

    ragged: tuple[RaggedRow, ...] = ()
    """Rows that the frame does not hold, as they have another number of cells than the header."""

    files: tuple[str, ...] = ()
    """Names of several files that were read as one; the first has number 1."""

    @property
    def header(self) -> tuple[str, ...]:
        """Names in the header."""
        return tuple(map(str, self.frame.columns))


def text_frame(names: Sequence[str], columns: Iterable[Cells]) -> pd.DataFrame:
    """Return a frame of categorical columns of text, whose names may repeat."""
    frame = pd.DataFrame(dict(enumerate(map(as_categorical, columns))))
    frame.columns = pd.Index(list(names), dtype=object)
    return frame


def as_categorical(cells: Cells) -> pd.Categorical[Any]:
    """Return the cells of a column as a categorical."""
    known = cells.array if isinstance(cells, pd.Series) else cells
    return known if isinstance(known, pd.Categorical) else pd.Categorical(pd.Series(list(known), dtype="str"))


def match_texts(texts: pa.Array, pattern: str) -> BoolArray:
    """Return in which texts ``(U,)`` a regular expression is found."""
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=np.bool_)


class TextColumn:
    """Cells of one column, so that each different text is read once.

    Args:
        cells: ``N`` texts. Categories of a categorical that no row has are ignored by all methods.
    """

    def __init__(self, cells: Cells) -> None:
        known = as_categorical(cells)
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

    def map(self, read: Callable[[str], Result]) -> dict[str, Result]:
        """Return what a function makes of each different text."""
        return {text: read(text) for text in self.texts.to_pylist()}

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
        rows = self.rows(marked)
        texts = {int(code): self.texts[int(code)].as_py() for code in np.unique(self.codes[rows])}
        reasons = {code: (explain(text), "", quote(text)) for code, text in texts.items()}
        return [Problem(lines[int(row)], column, *reasons[int(self.codes[row])]) for row in rows]
