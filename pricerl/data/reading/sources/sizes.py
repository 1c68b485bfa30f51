"""Limits on the size of a seller's file, whatever its format, which bound the memory and time that reading takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from gzip import GzipFile
from typing import IO

from pricerl.data.reading.problems import refuse_if

MAX_BYTES = 1024 * 2**20
"""Bytes, also unpacked."""
FREE_BYTES = 64 * 2**20
MOST_TIMES = 100
"""Bytes to which any compressed file may unpack, and beyond them the largest multiple of its own size. Tables stay
below it, while bytes made to fill the memory reach a thousand times per layer."""
MAX_COLUMNS = 1_000
MAX_CELLS = MAX_BYTES // 2
"""Cells of a table that is read by column, where each different text is held once and a cell takes one to four bytes:
as many as that many bytes of text have. There is no limit of rows."""
MAX_SINGLE_CELLS = 40_000_000
"""Cells of a table that is read cell by cell: workbooks, JSON, and CSV with rows of other widths."""
LONGEST_LINE = 2**24
"""Bytes of a line of JSON, characters of a line of CSV."""
LONGEST_LIST = 2**26
"""Bytes of a JSON list, which is parsed at once."""
LONGEST_CELL = 131_072
"""Characters, as in Python's CSV reader."""


def check_bytes(source: str, size: int, state: str = "") -> None:
    """Raise a ``DataError`` if a file is too large; ``state`` says how it was measured, such as "unpacked"."""
    refuse_if(source, {f"is too large: more than {MAX_BYTES // 2**20} MiB{state}; split the file": size > MAX_BYTES})


def unpack(source: str, files: Iterable[IO[bytes] | GzipFile], packed: int) -> Iterator[bytes]:
    """Yield the parts of unpacked files; a ``DataError`` if they are too many so far for a file of ``packed`` bytes."""
    size = 0
    most = max(FREE_BYTES, MOST_TIMES * packed)
    for file in files:
        while part := file.read(2**20):
            size += len(part)
            check_bytes(source, size, " unpacked")
            refuse_if(source, {f"unpacks to more than {MOST_TIMES} times its size; unpack it yourself": size > most})
            yield part


def check_size(source: str, num_rows: int, num_columns: int, most: int = MAX_CELLS) -> None:
    """Raise a ``DataError`` if a table has too many columns or cells (more than ``most``)."""
    refuse_if(
        source,
        {f"has {num_columns:,} columns; at most {MAX_COLUMNS:,} are read; remove some": num_columns > MAX_COLUMNS},
    )
    check_cells(source, num_rows * num_columns, most)


def check_cells(source: str, num_cells: int, most: int) -> None:
    """Raise a ``DataError`` if a table has too many cells."""
    refuse_if(source, {f"has more than {most:,} cells; remove columns or split the file": num_cells > most})
