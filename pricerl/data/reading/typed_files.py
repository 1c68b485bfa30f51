"""Excel workbooks, Parquet and JSON files as tables of text: numbers as plain text, dates as ISO."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pricerl.data.reading import csv_file
from pricerl.data.reading.columns import has_required
from pricerl.data.reading.csv_file import Record, TextTable, check_size, split_records, text_frame
from pricerl.data.reading.preset_files import own_presets
from pricerl.data.reading.presets import recognise
from pricerl.data.reading.problems import Problem, refuse
from pricerl.errors import DataError

NO_ROWS = "has no rows; one row per day is needed"


def to_text(value: Any) -> str:
    """Return a cell's value as the text that a person would write: plain numbers, ISO dates, nothing for no value.

    Numbers are rounded to 15 digits, which every decimal number of that many digits survives.
    """
    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else format(value, ".15g")
    if isinstance(value, Decimal):
        return "" if value.is_nan() else format(value, "f")
    if isinstance(value, datetime):
        is_day = value.tzinfo is None and value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return value if isinstance(value, str) else str(value)


def table_of(
    source: str,
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    lines: Sequence[int] | None = None,
) -> TextTable:
    """Return the table of columns of text; without ``lines``, a row's line is its number, the first being 1.

    Raises:
        DataError: there are no rows.
    """
    if not columns or not columns[0]:
        raise DataError(source, [NO_ROWS])
    texts = [pd.Series(list(cells), dtype=object) for cells in columns]
    frame = text_frame(names, list(map(pd.Categorical, texts)))
    known = range(1, len(columns[0]) + 1) if lines is None else lines
    return TextTable(frame, source, ",", known, header_line=0, notes=tuple(notes))


def read_workbook(data: bytes, source: str) -> TextTable:
    """Read the sheet of a workbook, or the only one with the required columns, or with those of a preset.

    Raises:
        DataError: the workbook is damaged, or there is no such sheet.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except (CalamineError, ValueError, OSError) as error:
        raise DataError(source, [f"is not an Excel workbook that can be read ({error}); export it as CSV"]) from None
    tables, errors = {}, []
    for name, rows in sheets.items():
        try:
            tables[name] = split_records(_records(rows), source)
        except DataError as error:
            errors.append(error)
    if not tables:
        raise errors[0]
    headers = {name: list(map(str, table.frame.columns)) for name, table in tables.items()}
    fitting = {name: tables[name] for name, header in headers.items() if has_required(header)}
    known = [name for name, header in headers.items() if recognise(header, own_presets())]
    fitting = fitting or {name: tables[name] for name in known}
    if len(tables) > 1 and len(fitting) != 1:
        listed = ", ".join(map(repr, fitting or tables))
        raise DataError(source, [f"has several sheets ({listed}); keep the one with the sales, or save it as CSV"])
    ((name, table),) = (fitting if len(tables) > 1 else tables).items()
    note = () if len(tables) == 1 else (f"Sheet {name!r} was read, the others were not.",)
    return replace(table, notes=note)


def _records(rows: Sequence[Sequence[Any]]) -> Iterator[Record]:
    for line, row in enumerate(rows, 1):
        cells = list(map(to_text, row))
        if any(cell.strip() for cell in cells):
            yield Record(line, line + 1, cells)


def read_parquet(data: bytes, source: str) -> TextTable:
    """Read a Parquet file; nested columns are left out, with a note.

    Raises:
        DataError: the file is damaged or too large.
    """
    # Imported here, as python-calamine above: few files need it.
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        about = file.metadata
        check_size(source, about.num_rows, about.num_columns)
        unpacked = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        if not about.num_rows:
            raise DataError(source, [NO_ROWS])
        if unpacked > csv_file.MAX_BYTES:
            raise DataError(source, [f"is too large: {unpacked / 2**20:,.0f} MiB unpacked; split the file"])
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(source, [f"is not a whole Parquet file ({reason}); export or copy it again"]) from None
    columns, notes = {}, []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_nested(column.type):
            notes.append(f"Column {name!r} holds nested values and was ignored.")
        else:
            columns[name] = _texts_of(column)
    return table_of(source, list(columns), list(columns.values()), notes)


def _texts_of(column: pa.ChunkedArray) -> Sequence[str]:
    """Return the texts of a pyarrow column; each different value is converted once."""
    if pa.types.is_null(column.type):
        return [""] * len(column)
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        column = column.cast(pa.string())  # in the digits that such a number has
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    values = np.array([*map(to_text, encoded.dictionary.to_pylist()), ""], dtype=object)
    return list(values[encoded.indices.fill_null(len(values) - 1).to_numpy()])


def starts_json(text: bytes) -> bool:
    """Return whether a text starts like JSON lines or a JSON list of objects."""
    head = text[:1024].lstrip()
    return head.startswith(b"{") or (head.startswith(b"[") and head[1:].lstrip().startswith(b"{"))


def read_json(text: bytes, source: str) -> TextTable:
    """Read JSON lines, or a list of objects; numbers keep the digits that the file has.

    Raises:
        DataError: a line is no JSON object; names all such lines.
    """
    rows, problems = [], []
    for line, found in _parse_json(text.decode()):
        if isinstance(found, dict):
            rows.append((line, found))
        else:
            problems.append(Problem(line, "", "is not a JSON object; write one object per line"))
    if problems:
        refuse(source, problems)
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    check_size(source, len(rows), len(names))
    columns = [[to_text(row.get(name)) for _, row in rows] for name in names]
    return table_of(source, names, columns, lines=[line for line, _ in rows])


def _parse_json(text: str) -> Iterator[tuple[int, Any]]:
    """Yield line and value of each object, or number and value if the text is one list; None for malformed ones."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)

    def decode(part: str) -> Any:
        try:
            return decoder.decode(part)
        except (ValueError, RecursionError):
            return None

    if text.lstrip().startswith("["):
        found = decode(text.strip())
        yield from enumerate(found if isinstance(found, list) else [None], 1)
    else:
        yield from ((line, decode(part.strip())) for line, part in enumerate(text.split("\n"), 1) if part.strip())
