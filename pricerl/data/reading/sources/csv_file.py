"""Conversion of a CSV file into rows of text: encoding, separator, header, lines."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pricerl.arrays import BoolArray
from pricerl.data.reading.header import count_known
from pricerl.data.reading.problems import Problem, refuse
from pricerl.data.reading.ragged_rows import SEPARATORS, RaggedRow, check_share
from pricerl.data.reading.sources import sizes
from pricerl.data.reading.sources.sizes import LONGEST_CELL, check_cells, check_size
from pricerl.data.reading.texts import as_flags
from pricerl.errors import DataError

HEAD_BYTES = 2**16
HEAD_ROWS = 50
"""Size of a file's head, in which separator and header are found."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of a file, as text."""

    frame: pd.DataFrame
    """One categorical column of text per column of the file, under the names in its header."""

    source: str
    """Name of the file as the user wrote it."""

    separator: str
    """Cell separator found in the header."""

    lines: Sequence[int]
    """``(N,)`` line on which each row starts in the seller's file; of several files, with `FILE_STEP` per file."""

    header_line: int = 1
    """Line of the header."""

    preamble: tuple[str, ...] = ()
    """Lines above the header."""

    notes: tuple[str, ...] = ()
    """Notes on how the file was read."""

    ragged: tuple[RaggedRow, ...] = ()
    """Rows whose number of cells is not that of the header; the frame does not hold them."""

    files: tuple[str, ...] = ()
    """Names of several files that were read as one; the first has number 1."""

    @property
    def header(self) -> tuple[str, ...]:
        """Names in the header."""
        return tuple(map(str, self.frame.columns))


class Record(NamedTuple):
    """One record of a CSV file that is not blank."""

    line: int
    """Line on which it starts."""

    after: int
    """Line after its last one."""

    cells: list[str]


def to_utf8(source: str, data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return text as UTF-8 without byte order mark, and a note if it was not Unicode.

    Raises:
        DataError: the bytes are not text.
    """
    position = 0
    note = "The file is not UTF-8; it was read as Windows-1252 text."
    for encoding in ("utf-16",) if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ("utf-8", "cp1252"):
        try:
            text = data.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else data.decode(encoding).encode()
            if encoding == "utf-8":
                _check_utf8(text)
        except UnicodeDecodeError as error:
            position = error.start
            continue
        if b"\0" in text:
            raise DataError(source, ["contains binary data, not text; export it as CSV in UTF-8"])
        return text, (note,) if encoding == "cp1252" else ()
    raise DataError(source, [f"byte {position:,} is not text; export the file as CSV in UTF-8"])


def split_rows(data: bytes, source: str, notes: Sequence[str] = ()) -> TextTable:
    """Split the text of a file, in UTF-8, into cells, with the rows of another width; values are not checked.

    Raises:
        DataError: the text has no row, or too many lines, rows, columns or cells.
    """
    if len(data) > sizes.MAX_LINES and (lines := data.count(b"\n") + data.count(b"\r")) > sizes.MAX_LINES:
        raise DataError(source, [f"has {lines:,} lines; at most {sizes.MAX_LINES:,} are read; split the file"])
    separator = _sniff_separator(data[:HEAD_BYTES].decode(errors="ignore"))
    records = _records(data, separator, source)

    def read(first_line: int, width: int) -> Rows | None:
        if len(data) > sizes.MAX_CELLS:
            check_size(source, data.count(b"\n"), width)  # before they take memory
        return read_fast(data, separator, first_line, width)

    return replace(split_records(records, source, separator, read), notes=tuple(notes))


def split_records(
    records: Iterator[Record],
    source: str,
    separator: str = ",",
    read: Callable[[int, int], Rows | None] = lambda first_line, width: None,
) -> TextTable:
    """Return the table of records that are not blank.

    Args:
        records: all of them, in their order.
        source: name of the file as the user wrote it.
        separator: the cell separator, if there is one.
        read: reads the rows from a line on, of a number of cells, in another way, or returns None.

    Raises:
        DataError: there is no row, or there are too many rows, columns or cells.
    """
    first = list(islice(records, HEAD_ROWS))
    if not first:
        raise DataError(source, ["is empty; a header line and one row per day are needed"])
    at = _find_header([record.cells for record in first])
    header = first[at]
    names = [cell.strip() for cell in header.cells]
    check_size(source, 0, len(names))
    found = read(header.after, len(names))
    columns, lines, ragged = found or _read_exactly(chain(first[at + 1 :], records), len(names), source)
    check_size(source, len(lines), len(names))
    if not len(lines):
        nothing = Problem(0, "", "has a header but no rows; one row per day is needed")
        refuse(source, check_share(ragged, 0, len(names), separator) or [nothing])
    preamble = tuple(separator.join(record.cells) for record in first[:at])
    frame = text_frame(names, columns)
    return TextTable(frame, source, separator, lines, header.line, preamble, ragged=tuple(ragged))


def text_frame(names: Sequence[str], columns: Sequence[pd.Categorical]) -> pd.DataFrame:
    """Return a frame of columns, whose names may repeat."""
    frame = pd.DataFrame(dict(enumerate(columns)))
    frame.columns = pd.Index(list(names), dtype=object)
    return frame


def _check_utf8(data: bytes) -> None:
    """Raise a ``UnicodeDecodeError`` unless the bytes are UTF-8; large files are not copied at once."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), 2**24):
        decoder.decode(data[start : start + 2**24])
    decoder.decode(b"", final=True)


def _sniff_separator(head: str) -> str:
    """Return the separator that yields the most known columns in a line, else the most lines of one width."""
    lines = [line for line in re.split(r"[\r\n]+", head) if line.strip()][:HEAD_ROWS]

    def score(separator: str) -> tuple[int, int, int]:
        rows = [_cells_of(line, separator) for line in lines]
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
        return max(map(count_known, rows), default=0), count if width > 1 else 0, width

    return max(SEPARATORS, key=score)


def _cells_of(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def _find_header(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the header among the first records: the first one, unless narrower ones stand above it."""
    widths = [max((at for at, cell in enumerate(cells, 1) if cell.strip()), default=0) for cells in rows]
    usual = max(Counter(widths).items(), key=lambda item: (item[1], item[0]))[0]
    known = [count_known(cells) for cells in rows]
    if widths[0] >= usual or known[0] > 1:
        return 0
    widest = next(at for at, width in enumerate(widths) if width >= usual)
    return next((at for at, count in enumerate(known) if count > 1), widest)


def _records(data: bytes, separator: str, source: str) -> Iterator[Record]:
    """Yield the records that are not blank."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    start = 1
    size = 0
    num_cells = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := text.readline(sizes.LONGEST_LINE):
            size += len(line)
            if size >= sizes.LONGEST_LINE:
                longest = f"{sizes.LONGEST_LINE:,} characters"
                raise DataError(source, [f"line {start}: is a row of more than {longest}; check quotes and line ends"])
            yield line

    reader = csv.reader(lines(), delimiter=separator, strict=True)
    try:
        for cells in reader:
            after = reader.line_num + 1
            size = 0
            num_cells = num_cells + len(cells)
            check_cells(source, num_cells, sizes.MAX_SINGLE_CELLS)
            if any(cell.strip() for cell in cells):
                yield Record(start, after, cells)
            start = after
    except csv.Error as error:
        raise DataError(source, [f"line {start}: malformed quotes or cells ({error}); check the quotes"]) from None


def _read_exactly(records: Iterator[Record], width: int, source: str) -> Rows:
    """Return columns, lines and ragged rows below a header with ``width`` cells, record by record."""
    rows: list[list[str]] = []
    lines: list[int] = []
    ragged: list[RaggedRow] = []
    for number, (line, _, cells) in enumerate(records, 1):
        check_size(source, number, 1)
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):  # trailing blank cells are harmless
            ragged.append(RaggedRow(line, tuple(cells)))
            continue
        rows.append(cells)
        lines.append(line)
    texts = [pd.Series([cells[at] for cells in rows], dtype=object) for at in range(width)]
    return list(map(pd.Categorical, texts)), lines, ragged


BLOCK_BYTES = 2**22
"""Bytes that are parsed at a time."""

_NO_LETTER = "^[^!-~]*$"
"""Texts without visible ASCII characters, which may be blank."""
_QUOTE = ord('"')
_LINE_ENDS = b"\r\n"


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
        arrays = [array.filter(pa.array(filled)) for array in arrays]
        lines = np.asarray(lines)[filled].tolist()
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
        before = np.maximum(quotes - 1, 0)
        after = np.minimum(quotes + 1, len(text) - 1)
        opened = edge[text[before]] | (quotes == 0)
        closed = edge[text[after]] | (quotes == len(text) - 1)
        if not np.where(opening, opened, closed).all():
            return False
    return count % 2 == 0


def _lines_of(data: bytes, start: int, separator: str, first_line: int, rows: int) -> Sequence[int] | None:
    """Return the line of each row; None if the exact reader counts another number of rows."""
    tail = data[-1024:]
    end = len(data) - len(tail) + len(tail.rstrip(_LINE_ENDS))
    returns = data.count(b"\r", start, end) if data.find(b"\r", start, end) >= 0 else 0
    pairs = data.count(b"\r\n", start, end) if returns else 0
    if 1 + returns + data.count(b"\n", start, end) - pairs == rows:  # each line is a row
        return range(first_line, first_line + rows)
    text = io.TextIOWrapper(io.BytesIO(memoryview(data)[start:]), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    lines = []
    line = first_line
    for cells in reader:
        if cells:
            lines.append(line)
        line = first_line + reader.line_num
    return lines if len(lines) == rows else None


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
