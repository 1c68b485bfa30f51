"""Fast reading of well-formed CSV text by pyarrow; anything else is left to the exact reader."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pricerl.arrays import BoolArray, count_true
from pricerl.data.reading.ragged_rows import RaggedRow
from pricerl.data.reading.sizes import LONGEST_CELL
from pricerl.data.reading.texts import as_flags

BLOCK_BYTES = 2**22
"""Bytes that are parsed at a time."""

CACHED_BYTES = 2**16
"""Bytes that are compared at a time, which fit a processor's cache."""

_NO_LETTER = "^[^!-~]*$"
"""Texts without visible ASCII characters, which may be blank."""
_QUOTE, _LINE_ENDS = ord('"'), b"\r\n"


Rows = tuple[list[pd.Categorical], Sequence[int], list[RaggedRow]]
"""Columns of text, the line of each row in the seller's file, and the rows of another width than the header."""


def read_fast(data: bytes, separator: str, first_line: int, width: int) -> Rows | None:
    """Return columns, lines and no ragged rows of the rows from a line on; None if the exact reader must read them.

    Args:
        data: text of a file, in UTF-8.
        separator: the cell separator.
        first_line: line after the header.
        width: number of cells of the header, which every row must have.
    """
    start = _offset_of(data, first_line)
    has_quotes = data.find(b'"', start) >= 0
    if start >= len(data) or (has_quotes and not _has_plain_quotes(data, start, separator)):
        return None
    names = [str(place) for place in range(width)]
    types = dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string()))
    try:
        table = pyarrow.csv.open_csv(
            pa.BufferReader(pa.py_buffer(memoryview(data)[start:])),
            pyarrow.csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=has_quotes),
            pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        ).read_all()
    except pa.ArrowInvalid:
        return None
    arrays = [column.unify_dictionaries().combine_chunks() for column in table.columns]
    arrays = [array.chunk(0) if isinstance(array, pa.ChunkedArray) else array for array in arrays]
    if any((pc.max(pc.utf8_length(array.dictionary)).as_py() or 0) > LONGEST_CELL for array in arrays):
        return None
    lines = _lines_of(data, start, separator, first_line, table.num_rows)
    if lines is None:
        return None
    filled = ~_blank_rows(arrays)
    if not filled.all():
        arrays, lines = [array.filter(pa.array(filled)) for array in arrays], np.asarray(lines)[filled].tolist()
    return [_to_categorical(array) for array in arrays], lines, []


def _to_categorical(array: pa.DictionaryArray) -> pd.Categorical:
    categories = pd.Index(array.dictionary.to_pandas())
    return pd.Categorical.from_codes(array.indices.to_numpy(), categories=categories)


def _offset_of(data: bytes, line: int) -> int:
    """Return the byte at which a line starts, the first being line 1."""
    ends = re.finditer(rb"\r\n|\r|\n", data)
    start = 0
    for _ in range(line - 1):
        end = next(ends, None)
        if end is None:
            return len(data)
        start = end.end()
    return start


def _has_plain_quotes(data: bytes, start: int, separator: str) -> bool:
    """Return whether quotes only enclose whole cells, doubled ones inside them, so that all readers agree on them."""
    text = np.frombuffer(data, np.uint8, offset=start)
    edge = np.zeros(256, dtype=bool)
    edge[[*_LINE_ENDS, ord(separator), _QUOTE]] = True
    count = 0
    for block in range(0, len(text), BLOCK_BYTES):
        quotes = block + np.flatnonzero(text[block : block + BLOCK_BYTES] == _QUOTE)
        opening = (count + np.arange(len(quotes))) % 2 == 0
        count += len(quotes)
        before, after = np.maximum(quotes - 1, 0), np.minimum(quotes + 1, len(text) - 1)
        opened, closed = edge[text[before]] | (quotes == 0), edge[text[after]] | (quotes == len(text) - 1)
        if not np.where(opening, opened, closed).all():
            return False
    return count % 2 == 0


def _lines_of(data: bytes, start: int, separator: str, first_line: int, rows: int) -> Sequence[int] | None:
    """Return the line of each row; None if the exact reader counts another number of rows."""
    tail = data[-1024:]
    end = len(data) - len(tail) + len(tail.rstrip(_LINE_ENDS))
    returns = data.count(b"\r", start, end) if data.find(b"\r", start, end) >= 0 else 0
    pairs = data.count(b"\r\n", start, end) if returns else 0
    if 1 + returns + _count_newlines(data, start, end) - pairs == rows:  # each line is a row
        return range(first_line, first_line + rows)
    text = io.TextIOWrapper(io.BytesIO(memoryview(data)[start:]), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    lines, line = [], first_line
    for cells in reader:
        if cells:
            lines.append(line)
        line = first_line + reader.line_num
    return lines if len(lines) == rows else None


def _count_newlines(data: bytes, start: int, end: int) -> int:
    """Return the number of line feeds, several times faster than ``bytes.count``."""
    text = np.frombuffer(data, np.uint8, end - start, start)
    blocks = (text[at : at + CACHED_BYTES] for at in range(0, len(text), CACHED_BYTES))
    return sum(count_true(block == ord("\n")) for block in blocks)


def _blank_rows(arrays: Sequence[pa.DictionaryArray]) -> BoolArray:
    """Return which rows have no cell with text."""
    blank = np.ones(len(arrays[0]), dtype=bool)
    for array in arrays:
        empty = as_flags(pc.match_substring_regex(array.dictionary, _NO_LETTER))
        for place in np.flatnonzero(empty):
            empty[place] = not array.dictionary[int(place)].as_py().strip()
        if not empty.any():
            return np.zeros(len(blank), dtype=bool)
        blank &= empty[array.indices.to_numpy()]
        if not blank.any():
            break
    return blank
