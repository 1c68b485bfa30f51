"""Conversion of a CSV file into rows of text: encoding, separator, lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pricerl.data.reading.columns import count_known, match_header
from pricerl.data.reading.problems import Problem, refuse
from pricerl.errors import DataError, did_you_mean

MAX_BYTES = 512 * 2**20
MAX_ROWS = 20_000_000
MAX_COLUMNS = 1_000

_FOREIGN_FORMATS = {
    b"PK\x03\x04": "looks like an Excel workbook or a zip archive; export it as CSV",
    b"PAR1": "looks like a Parquet file; export it as CSV",
    b"\x1f\x8b": "is compressed; unpack it first",
}


@dataclass(frozen=True)
class TextTable:
    """Known columns of a file, as text."""

    separator: str
    """Cell separator found in the header."""

    columns: dict[str, list[str]]
    """Cells by known column, one per row."""

    lines: list[int]
    """Line on which each row starts in the seller's file; the header is usually line 1."""

    notes: tuple[str, ...]
    """Notes on ignored columns."""

    problems: tuple[Problem, ...]
    """Problems of the header and of the rows' shape."""


def read_text(path: str | Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of the file at a path as the user wrote it, and a note if it is not Unicode.

    Raises:
        DataError: the file is missing, unreadable, too large or not text.
    """
    source, path = str(path), Path(path)
    try:
        _check_kind(source, path)
        size = path.stat().st_size
        if size > MAX_BYTES:
            found = f"{size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are read"
            raise DataError(source, [f"is too large: {found}; split the file"])
        data = path.read_bytes()
    except PermissionError:
        raise DataError(source, ["permission denied; ask for read permission or copy the file"]) from None
    except (OSError, ValueError) as error:
        raise DataError(source, [f"cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if remedy := next((words for mark, words in _FOREIGN_FORMATS.items() if data.startswith(mark)), None):
        raise DataError(source, [remedy])
    text, notes = _decode(source, data)
    if "\0" in text:
        raise DataError(source, ["contains binary data, not text; export it as CSV in UTF-8"])
    return text, notes


def split_rows(text: str, source: str) -> TextTable:
    """Split the text of a file into the known columns, with the problems of header and rows; values are not checked.

    Raises:
        DataError: the text has no row, or too many rows or columns.
    """
    separator = _sniff_separator(text)
    records = _records(text, separator, source)
    header_line, cells = next(records, (1, []))
    if not cells:
        raise DataError(source, ["is empty; a header line and one row per day are needed"])
    if len(cells) > MAX_COLUMNS:
        raise DataError(source, [f"has {len(cells)} columns; at most {MAX_COLUMNS:,} are read; remove some"])
    positions, notes, problems = match_header(cells, header_line)
    columns: dict[str, list[str]] = {name: [] for name in positions}
    lines: list[int] = []
    width, num_header_problems = len(cells), len(problems)
    for line, cells in records:
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):  # trailing blank cells are harmless
            found = f"has {len(cells)} cells where the header has {width}; check quotes and separators"
            problems.append(Problem(line, "", found))
            continue
        lines.append(line)
        if len(lines) > MAX_ROWS:
            raise DataError(source, [f"has more than {MAX_ROWS:,} rows; split the file"])
        for name, position in positions.items():
            columns[name].append(cells[position])
    if not lines and len(problems) == num_header_problems:
        refuse(source, [*problems, Problem(0, "", "has a header but no rows; one row per day is needed")])
    return TextTable(separator, columns, lines, notes, tuple(problems))


def _check_kind(source: str, path: Path) -> None:
    if path.is_dir():
        raise DataError(source, ["is a folder; name a CSV file in it"])
    if path.is_file():
        return
    if path.exists():
        raise DataError(source, ["is not a regular file; name a CSV file"])
    if not path.parent.is_dir():
        raise DataError(source, [f"there is no such file, nor a folder {str(path.parent)!r}"])
    neighbours = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    raise DataError(source, [f"there is no such file{did_you_mean(path.name, neighbours)}"])


def _decode(source: str, data: bytes) -> tuple[str, tuple[str, ...]]:
    position, note = 0, "The file is not UTF-8; it was read as Windows-1252 text."
    for encoding in ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), (note,) if encoding == "cp1252" else ()
        except UnicodeDecodeError as error:
            position = error.start
    raise DataError(source, [f"byte {position:,} is not text; export the file as CSV in UTF-8"])


def _sniff_separator(text: str) -> str:
    """Return the separator that yields the most known columns in the first line."""
    first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0].replace('"', "")
    cells = {separator: first.split(separator) for separator in (",", ";", "\t")}
    return max(cells, key=lambda separator: (count_known(cells[separator]), len(cells[separator])))


def _records(text: str, separator: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record starts and its cells; blank records are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(source, [f"line {start}: malformed quotes or cells ({error}); check the quotes"]) from None
