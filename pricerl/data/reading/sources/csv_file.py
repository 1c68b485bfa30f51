"""Conversion of a CSV file into rows of text: encoding, separator, header, lines."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pricerl.data.reading.header import count_known
from pricerl.data.reading.problems import refuse, refuse_if
from pricerl.data.reading.ragged_rows import check_share
from pricerl.data.reading.sources import sizes
from pricerl.data.reading.sources.sizes import check_cells, check_size
from pricerl.data.reading.tables import RaggedRow, TextColumn, TextTable, match_texts, text_frame
from pricerl.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
HEAD_BYTES = 2**16
HEAD_ROWS = 50
"""Size of a file's head, in which separator and header are found."""

BLOCK_BYTES = 2**22
"""Bytes that are parsed at a time."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


class Record(NamedTuple):
    """One record of a CSV file, with the line on which it starts and that after its last one."""

    line: int
    after: int
    cells: list[str]


Rows = tuple[Sequence[Sequence[str] | pd.Categorical], Sequence[int], list[RaggedRow]]
"""Columns of text, the line of each row in the seller's file, and the rows of another width than the header."""


def to_utf8(source: str, data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return text as UTF-8 without byte order mark, and a note on another encoding, or raise a ``DataError``."""
    text = data.removeprefix(codecs.BOM_UTF8)
    has_mark = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if has_mark else "utf-8" if _is_utf8(text) else "cp1252"
    try:
        text = text if encoding == "utf-8" else data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise DataError(source, [f"byte {error.start:,} is not text; export the file as CSV in UTF-8"]) from None
    refuse_if(source, {"contains binary data, not text; export it as CSV in UTF-8": b"\0" in text})
    return text, ("The file is not UTF-8; it was read as Windows-1252 text.",) if encoding == "cp1252" else ()


def _is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8, without a copy of a large file."""
    edges = pa.array([0, len(data)], pa.int64()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, edges, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def split_rows(data: bytes, source: str, notes: tuple[str, ...] = ()) -> TextTable:
    """Split the text of a file, in UTF-8, into cells, or raise a ``DataError`` if it has none or too much."""
    separator = _sniff_separator(data[:HEAD_BYTES].decode(errors="ignore"))
    return replace(split_records(_records(data, separator, source), source, separator, data), notes=notes)


def split_records(records: Iterator[Record], source: str, separator: str = ",", data: bytes = b"") -> TextTable:
    """Return the table of records, read from ``data`` if possible, or raise a ``DataError`` as `split_rows`."""
    filled = (record for record in records if any(map(str.strip, record.cells)))
    first = list(islice(filled, HEAD_ROWS))
    refuse_if(source, {"is empty; a header line and one row per day are needed": not first})
    at = _find_header([record.cells for record in first])
    header = first[at]
    names = [cell.strip() for cell in header.cells]
    check_size(source, 0, len(names))
    columns, lines, ragged = read_fast(data, separator, header.after, len(names)) or _read_exactly(
        chain(first[at + 1 :], filled), len(names)
    )
    check_size(source, len(lines), len(names))
    table = TextTable(text_frame(names, columns), source, separator, lines, header.line, ragged=tuple(ragged))
    if not len(lines):
        refuse(source, check_share(table) or ["has a header but no rows; one row per day is needed"])
    return table


def _sniff_separator(head: str) -> str:
    """Return the separator that yields the most known columns in a line, else the most lines of one width."""
    lines = [line for line in re.split(r"[\r\n]+", head) if line.strip()][:HEAD_ROWS]

    def score(separator: str) -> tuple[int, int, int]:
        rows = [next(csv.reader([line], delimiter=separator), []) for line in lines]
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
        return max(map(count_known, rows), default=0), count if width > 1 else 0, width

    return max(SEPARATORS, key=score)


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
    """Yield the records, blank ones included."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    lines = iter(partial(text.readline, sizes.LONGEST_LINE), "")  # a longer one is cut into ragged rows
    reader = csv.reader(lines, delimiter=separator, strict=True)
    start = 1
    num_cells = 0
    try:
        for cells in reader:
            num_cells += len(cells)
            check_cells(source, num_cells, sizes.MAX_SINGLE_CELLS)
            yield Record(start, reader.line_num + 1, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(source, [f"line {start}: malformed quotes or cells ({error}); check the quotes"]) from None


def _read_exactly(records: Iterator[Record], width: int) -> Rows:
    """Return the rows below a header with ``width`` cells, record by record."""
    whole: list[Record] = []
    ragged: list[Record] = []
    for record in records:  # trailing blank cells are harmless
        fits = len(record.cells) >= width and not any(map(str.strip, record.cells[width:]))
        (whole if fits else ragged).append(record)
    columns = [[record.cells[at] for record in whole] for at in range(width)]
    return columns, [record.line for record in whole], [RaggedRow(it.line, tuple(it.cells)) for it in ragged]


def read_fast(data: bytes, separator: str, first_line: int, width: int) -> Rows | None:
    """Return the rows from a line on, each of ``width`` cells on one line, or None: the exact reader must read them."""
    start = next((end.end() for end in islice(_LINE_END.finditer(data), first_line - 2, None)), len(data))
    has_quotes = data.find(b'"', start) >= 0
    if has_quotes and not _has_plain_quotes(data, start, separator):
        return None
    tail = data[-1024:]
    body = memoryview(data)[start : len(data) - len(tail) + len(tail.rstrip(b"\r\n"))]
    types = dict.fromkeys(map(str, range(width)), pa.dictionary(pa.int32(), pa.string()))
    pool = pa.system_memory_pool()  # the default one commits more than it needs
    try:
        table = pyarrow.csv.open_csv(
            pa.BufferReader(pa.py_buffer(body)),
            pyarrow.csv.ReadOptions(column_names=list(types), block_size=BLOCK_BYTES),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=has_quotes, ignore_empty_lines=False),
            pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
            memory_pool=pool,
        ).read_all()
    except pa.ArrowInvalid:
        return None
    columns = [_categorical_of(column.unify_dictionaries(pool)) for column in table.columns]
    texts = [TextColumn(column).texts for column in columns]
    blank = [np.asarray(pc.equal(pc.utf8_trim_whitespace(known), "")) for known in texts]
    odd = (
        max(pc.max(pc.utf8_length(known)).as_py() for known in texts) > sizes.LONGEST_CELL,
        has_quotes and any(match_texts(known, r"[\r\n]").any() for known in texts),
        all(map(np.any, blank))
        and np.all([flags[column.codes] for flags, column in zip(blank, columns, strict=True)], axis=0).any(),
    )
    return None if any(odd) else (columns, range(first_line, first_line + table.num_rows), [])


def _categorical_of(column: pa.ChunkedArray) -> pd.Categorical[Any]:
    """Return a column whose parts share a dictionary, with codes as small as these texts allow."""
    texts = pd.Index(column.chunk(0).dictionary.to_pandas())
    parts = [part.indices.to_numpy() for part in column.chunks]
    codes = np.concatenate(parts, dtype=np.min_scalar_type(-len(texts)), casting="unsafe")
    return pd.Categorical.from_codes(codes, texts)


def _has_plain_quotes(data: bytes, start: int, separator: str) -> bool:
    """Return whether quotes only enclose whole cells, doubled ones inside them, so that all readers agree on them."""
    text = np.frombuffer(data, np.uint8, offset=start)
    edge = np.zeros(256, dtype=bool)
    edge[[*b"\r\n", ord(separator), ord('"')]] = True
    count = 0
    for block in range(0, len(text), BLOCK_BYTES):
        quotes = block + np.flatnonzero(text[block : block + BLOCK_BYTES] == ord('"'))
        before = (count + np.arange(len(quotes))) % 2 == 0
        outside = quotes + np.where(before, -1, 1)  # the character on the side of a quote that is not in its cell
        if not (edge[text.take(outside, mode="clip")] | (outside < 0) | (outside == len(text))).all():
            return False
        count += len(quotes)
    return count % 2 == 0
