"""Tables of a seller's file as text and as parsed columns, and columns that hold each different text once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """Row with more or fewer cells than the header, with its line in the seller's file."""

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

    unread: tuple[Problem, ...] = ()
    """Problems of other files that could not be read."""

    @property
    def header(self) -> tuple[str, ...]:
        """Names in the header."""
        return tuple(map(str, self.frame.columns))


class LostRow(NamedTuple):
    """Row that cannot be read, with what is known of it."""

    line: int
    finding: str

    day: np.datetime64
    """Its day; NaT if that is not clear."""

    names: Sequence[str]
    """Texts that can be its product, likeliest first."""

    remedy: str


ORDER = ["product", "day", "number"]
AMOUNTS = ["units", "revenue"]
"""Columns of the lines of orders."""


class Orders(NamedTuple):
    """Orders on the first and the last day of a file, of which another file may have other ones."""

    lines: pd.DataFrame
    """Units and revenue by product, day and number."""
    numbers: Collection[str]
    """Numbers of all orders in the file, cancelled ones included."""
    parts: Collection[Any] = ()
    """Days of the file of which earlier files had perhaps a part."""


@dataclass(frozen=True, eq=False)
class Parsed:
    """Columns of a history as numbers and dates, before they are checked."""

    frame: pd.DataFrame
    """Canonical columns, products as a categorical."""

    lines: Sequence[int]
    """``(N,)`` line of each row in the seller's file; of sums, the line of the first row of each product and day."""

    notes: Sequence[str]
    """Notes on how the file was read."""

    problems: Sequence[Problem] = ()
    """Problems of header and cells."""

    lost: Sequence[LostRow] = ()

    cells: Mapping[str, Cells] = field(default_factory=dict)
    """Columns as written in the file; computed ones are absent."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the file by column."""

    texts: pd.DataFrame | None = None
    """All columns as written in the file; None for sums of its rows."""

    currency: str = ""
    """ISO 4217 code in the currency column of an export, or in the name of its column of prices; empty without any."""

    orders: Orders | None = None
    """Orders of an export that has their numbers."""


def text_frame(names: Sequence[Any], columns: Iterable[Cells]) -> pd.DataFrame:
    """Return a frame of categorical columns of text, whose names may repeat."""
    return pd.DataFrame(dict(enumerate(map(as_categorical, columns)))).set_axis(pd.Index(names, dtype=object), axis=1)


def as_categorical(cells: Cells) -> pd.Categorical[Any]:
    """Return the cells of a column as a categorical."""
    known = cells.array if isinstance(cells, pd.Series) else cells
    return known if isinstance(known, pd.Categorical) else pd.Categorical(pd.Series(list(known), dtype="str"))


def match_texts(texts: pa.Array, pattern: str) -> BoolArray:
    """Return in which texts ``(U,)`` a regular expression is found."""
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=np.bool_)


class TextColumn:
    """Cells ``(N,)`` of one column, so that each different text is read once; unused categories are ignored."""

    def __init__(self, cells: Cells) -> None:
        known = as_categorical(cells)
        self.texts: pa.Array = pa.array(known.categories, type=pa.large_string())
        """``(U,)`` different texts."""
        self.codes: NDArray[np.integer[Any]] = np.asarray(known.codes)
        """``(N,)`` place of each row's text among the different ones."""

    def text_of(self, row: int) -> str:
        """Return the text of a row, without surrounding spaces and cut to 80 characters."""
        return quote(str(self.texts[int(self.codes[row])].as_py()))

    def spread(self, values: Any) -> Any:
        """Return the values ``(N,)`` of the rows from the values of the different texts ``(U,)``."""
        return np.asarray(values)[self.codes] if len(self.texts) else np.asarray(values)[:0]

    def map(self, read: Callable[[str], Result]) -> dict[str, Result]:
        """Return what a function makes of each different text."""
        return {text: read(text) for text in self.texts.to_pylist()}

    def choose(self, choose: Callable[[str], object]) -> BoolArray:
        """Return the rows ``(N,)`` whose text a function chooses."""
        return np.asarray(self.spread(np.array([*map(choose, self.texts.to_pylist())], dtype=bool)))

    def match(self, pattern: str) -> BoolArray:
        """Return the rows ``(N,)`` in whose text a regular expression is found."""
        return np.asarray(self.spread(match_texts(self.texts, pattern)))

    def rows(self, marked: BoolArray) -> IntArray:
        """Return the rows whose text is marked, in ascending order; ``marked (U,)``."""
        return np.flatnonzero(marked[self.codes]) if marked.any() else np.empty(0, np.int64)

    def first_cells(self, kinds: Mapping[str, BoolArray], lines: Sequence[int]) -> dict[str, tuple[int, str]]:
        """Return line and text of the first row of each kind that occurs, from the marked texts ``(U,)`` of each."""
        found = {kind: self.rows(marked) for kind, marked in kinds.items()}
        return {kind: (lines[int(rows[0])], self.text_of(int(rows[0]))) for kind, rows in found.items() if len(rows)}

    def find_problems(self, column: str, lines: Sequence[int], reasons: Mapping[str, str]) -> list[Problem]:
        """Return a problem per row whose text has a reason, which is finding and remedy."""
        rows = self.rows(np.asarray(pc.is_in(self.texts, pa.array(list(reasons), type=pa.large_string()))))
        texts = self.texts.take(pa.array(self.codes[rows])).to_pylist()
        return [
            Problem(lines[row], column, reasons[text], "", quote(text))
            for row, text in zip(rows.tolist(), texts, strict=True)
        ]
