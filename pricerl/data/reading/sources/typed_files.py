"""Excel workbooks, Parquet and JSON files as tables of text: numbers as plain text, dates as ISO."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pricerl.data.platforms.presets import find_order_lines, recognise
from pricerl.data.reading.header import has_required
from pricerl.data.reading.problems import Problem, refuse, refuse_if
from pricerl.data.reading.sources import sizes
from pricerl.data.reading.sources.csv_file import Record, split_records
from pricerl.data.reading.sources.sizes import check_bytes, check_size
from pricerl.data.reading.sources.workbooks import read_sheets
from pricerl.data.reading.tables import Cells, TextTable, text_frame
from pricerl.errors import DataError

MOST_PROBLEMS = 100_000
"""Most lines of a file that are named as malformed."""

NO_ROWS = "has no rows; one row per day is needed"


def to_text(value: Any) -> str:
    """Return a cell's value as a person would write it: numbers of 15 digits, ISO dates, nothing for no value."""
    if isinstance(value, str):
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, (float, Decimal)):
        return format(value, ".15g" if isinstance(value, float) else "f")
    if isinstance(value, datetime) and value.tzinfo is None and value.time() == time():
        return value.date().isoformat()
    return json.dumps(value) if isinstance(value, (bool, dict, list)) else str(value)


def table_of(
    source: str,
    names: Sequence[str],
    columns: Sequence[Cells],
    notes: Sequence[str] = (),
    lines: Sequence[int] | None = None,
) -> TextTable:
    """Return the table of columns of text, rows numbered from 1 by default; raise a ``DataError`` without rows."""
    refuse_if(source, {NO_ROWS: not columns or not len(columns[0])})
    frame = text_frame(names, columns)
    return TextTable(frame, source, ",", lines or range(1, len(frame) + 1), header_line=0, notes=tuple(notes))


def read_workbook(data: bytes, source: str, unpacked: int) -> TextTable:
    """Read the only sheet with the required columns or a preset's, or raise a ``DataError``."""
    tables = {}
    errors = []
    for name, rows in read_sheets(data, source, unpacked).items():
        records = (Record(line, line + 1, list(map(to_text, row))) for line, row in rows)
        try:
            tables[name] = split_records(records, source)
        except DataError as error:
            errors.append(error)
    if not tables:
        raise errors[0]
    if len(tables) == 1:
        return next(iter(tables.values()))
    fitting = [name for name, table in tables.items() if has_required(table.header)] or [
        name for name, table in tables.items() if recognise(table.header) or find_order_lines(table.header)
    ]
    listed = ", ".join(map(repr, fitting or tables))
    refuse_if(
        source,
        {f"has several sheets ({listed}); keep the one with the sales, or save it as CSV": len(fitting) != 1},
    )
    return replace(tables[fitting[0]], notes=(f"Sheet {fitting[0]!r} was read, the others were not.",))


def read_parquet(data: bytes, source: str) -> TextTable:
    """Read a Parquet file without nested columns, which are noted, or raise a ``DataError``."""
    import pyarrow.parquet  # here, as few files need it

    try:
        about = pyarrow.parquet.read_metadata(io.BytesIO(data))
        check_size(source, about.num_rows, about.num_columns)
        schema = about.schema.to_arrow_schema()
        texts = [field.name for field in schema if field.type in (pa.string(), pa.binary(), pa.large_string())]
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data), read_dictionary=texts)  # repeated texts are held once
        check_bytes(source, _unpacked_bytes(pyarrow.parquet.ParquetFile(io.BytesIO(data))), " unpacked")
        return table_of_arrow(source, schema, lambda at: file.read([schema[at].name]).column(0))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(source, [f"is not a whole Parquet file ({reason}); export or copy it again"]) from None


def table_of_arrow(source: str, schema: pa.Schema, read: Callable[[int], pa.ChunkedArray]) -> TextTable:
    """Return the table of the columns that ``read`` returns by place, but nested ones, which are noted."""
    nested = {at: field.name for at, field in enumerate(schema) if pa.types.is_nested(field.type)}
    kept = {at: field.name for at, field in enumerate(schema) if at not in nested}
    notes = [f"Column {name!r} holds nested values and was ignored." for name in nested.values()]
    return table_of(source, [*kept.values()], [_texts_of(read(at), source, name) for at, name in kept.items()], notes)


def _unpacked_bytes(file: Any) -> int:
    """Return the bytes of a Parquet file's content, as far as reading must hold them at once."""
    about = file.metadata
    total = 0
    columns = list(map(about.schema.column, range(about.num_columns)))
    for group in map(about.row_group, range(about.num_row_groups)):
        total += group.total_byte_size
        for at, column in enumerate(columns):
            shares = "DELTA_BYTE_ARRAY" in group.column(at).encodings and not column.max_repetition_level
            if shares and total <= sizes.MAX_BYTES:  # no page states how long texts with shared beginnings are
                rows = max(1, min(sizes.MAX_BYTES // 16 // (group.column(at).total_uncompressed_size + 1), 2**16))
                for batch in file.iter_batches(rows, columns=[column.path]):
                    total += batch.nbytes
                    if total > sizes.MAX_BYTES:
                        break
    return int(max(total, about.num_rows * max(column.length for column in columns)))


def _texts_of(column: pa.ChunkedArray, source: str, name: str) -> pd.Categorical[Any]:
    """Return the texts of a pyarrow column, each different value converted once; none may be too long."""
    if column.type in (pa.null(), pa.float16(), pa.float32()):
        column = column.cast(pa.string())  # in the digits that such a number has
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    values = [*map(to_text, encoded.dictionary.to_pylist()), ""]  # the last for no value
    if (longest := max(map(len, values))) > sizes.LONGEST_CELL:
        raise DataError(
            source, [f"{name}: has a cell of {longest:,} characters; at most {sizes.LONGEST_CELL:,} are read"]
        )
    codes, known = pd.factorize(np.array(values, dtype=object))
    rows = encoded.indices.cast(pa.int32()).fill_null(len(values) - 1).to_numpy()
    return pd.Categorical.from_codes(codes.astype(np.int32)[rows], pd.Index(known)).remove_unused_categories()


def starts_json(text: bytes) -> bool:
    """Return whether a text starts like JSON lines or a JSON list of objects."""
    head = text[:1024].lstrip()
    return head.startswith(b"{") or (head.startswith(b"[") and head[1:].lstrip().startswith(b"{"))


def read_json(text: bytes, source: str) -> TextTable:
    """Read JSON lines, or a list of objects, with all digits; raise a ``DataError`` that names other lines."""
    columns: dict[str, list[str]] = {}
    lines: list[int] = []
    problems = []
    for line, part in _split_json(text, source):
        try:
            found = _DECODER.decode(part.decode().strip()) if isinstance(part, bytes) else part
            row = {name: to_text(value) for name, value in found.items()}
            "".join([*row, *row.values()]).encode()  # fails at half of a surrogate pair
        except (ValueError, AttributeError, RecursionError):
            problems.append(Problem(line, "", "is not a JSON object; write one object per line"))
            if len(problems) == MOST_PROBLEMS:
                break
            continue
        columns |= {name: [""] * len(lines) for name in row if name not in columns}
        for name, column in columns.items():
            column.append(row.get(name, ""))
        lines.append(line)
        check_size(source, len(lines), len(columns), sizes.MAX_SINGLE_CELLS)
    if problems:
        refuse(source, problems)
    return table_of(source, list(columns), list(columns.values()), lines=lines)


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)


def _split_json(text: bytes, source: str) -> Iterator[tuple[int, Any]]:
    """Yield line and text of each line, or number and value of each item if the text is one list."""
    if text[:1024].lstrip().startswith(b"["):
        most = f"is a JSON list of more than {sizes.LONGEST_LIST // 2**20} MiB; write one object per line instead"
        refuse_if(source, {most: len(text) > sizes.LONGEST_LIST})
        try:
            yield from enumerate(_DECODER.decode(text.decode().strip()), 1)
        except (ValueError, RecursionError):
            yield 1, None
        return
    for line, part in enumerate(io.BytesIO(text), 1):
        most = f"line {line}: is longer than {sizes.LONGEST_LINE // 2**20} MiB; write one object per line"
        refuse_if(source, {most: len(part) > sizes.LONGEST_LINE})
        if part.strip():
            yield line, part
