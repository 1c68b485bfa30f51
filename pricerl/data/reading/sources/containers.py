"""Containers of a seller's data: files of several formats, compressed or not, dated files, databases, input."""

from __future__ import annotations

import functools
import glob
import gzip
import io
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, takewhile
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

import numpy as np
import pandas as pd

from pricerl.data.reading.columns import fold
from pricerl.data.reading.problems import FILE_STEP, Problem, list_names, refuse, refuse_if
from pricerl.data.reading.sources import sizes
from pricerl.data.reading.sources.csv_file import split_rows, to_utf8
from pricerl.data.reading.sources.database import is_url, read_query
from pricerl.data.reading.sources.sizes import check_bytes, check_size, unpack
from pricerl.data.reading.sources.typed_files import read_json, read_parquet, read_workbook, starts_json
from pricerl.data.reading.tables import Cells, TextTable, as_categorical, text_frame
from pricerl.errors import DataError, UsageError, did_you_mean, named
from pricerl.formatting import plural

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PARQUET = b"PAR1"
_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_DEEPEST = 2
"""Compressed files inside of compressed ones, such as a workbook in a zip archive."""


def open_tables(paths: Sequence[str | Path], query: str | None = None) -> list[TextTable]:
    """Read each source as one table of text; nothing is parsed yet.

    A source is a file, a folder or pattern of files, ``-`` for standard input, or the URL of a database, which needs a
    query in SQL. Errors name it as written here.

    Raises:
        DataError: a source is missing, damaged, too large or no table.
        UsageError: query and database do not come together, or a package is missing.
    """
    if query is not None and not any(is_url(str(path)) for path in paths):
        raise UsageError("data.reading.query needs a database: set --data.path to its URL, such as sqlite:///shop.db")
    return [_open(str(path), query) for path in paths]


def is_present(path: str) -> bool:
    """Return whether a source can be read again: a file, a folder or pattern of some, or a database."""
    return is_url(path) or (path != STANDARD_INPUT and (Path(path).exists() or bool(_files(path))))


def _open(source: str, query: str | None) -> TextTable:
    if is_url(source):
        return read_query(source, query)
    if source == STANDARD_INPUT:
        return _open_bytes(_read_stdin(), "standard input")
    with named(source):
        files = _files(source)
        if not files:
            return _open_bytes(_read_file(source, Path(source)), source)
        tables = {}
        unread = {}
        for name, file in files.items():
            try:
                with named(str(file)):
                    tables[name] = _add_partitions(_open_bytes(_read_file(str(file), file), str(file)), name)
            except DataError as error:
                unread[name] = "; ".join(error.problems)
        return join_files(source, tables, unread)


def _files(source: str) -> dict[str, Path]:
    """Return the files of a folder or pattern, and of partitions such as ``month=2025-01``, by name; none for a file.

    Names inside of folders that begin with a point or an underscore, such as ``_SUCCESS``, are no data.
    """
    path = Path(source)
    if path.is_file():
        return {}
    base = path if path.is_dir() else Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    found = {
        file.relative_to(base).as_posix(): file
        for entry in ([path] if base == path else base.glob(str(path.relative_to(base))))
        for file in (entry.rglob("*") if entry.is_dir() else [entry])
        if file.is_file() and _is_data(file.relative_to(entry).parts)
    }
    return dict(sorted(found.items()))


def _is_data(parts: Sequence[str]) -> bool:
    """Return whether a file inside of a folder, the folders and its name being the ``parts``, holds data."""
    return not any(part.startswith((".", "_")) for part in parts) and all("=" in part for part in parts[:-1])


def _add_partitions(table: TextTable, name: str) -> TextTable:
    """Add the columns that a file's folders name, such as ``product=Mug``, and the file does not have itself."""
    known = {fold(column) for column in table.header}
    pairs = [unquote(part).partition("=") for part in name.split("/")[:-1]]
    added = {key: "" if value == _NO_VALUE else value for key, mark, value in pairs if mark and fold(key) not in known}
    columns: Iterable[Cells] = chain(
        (cells for _, cells in table.frame.items()),
        (as_categorical([value]).repeat(len(table.frame)) for value in added.values()),
    )
    ragged = tuple(row._replace(cells=(*row.cells, *added.values())) for row in table.ragged)
    return replace(table, frame=text_frame([*table.header, *added], columns), ragged=ragged) if added else table


def _read_file(source: str, path: Path) -> bytes:
    if not path.is_file():
        neighbours = (entry.name for entry in path.parent.glob("*") if entry.is_file())
        refuse_if(
            source,
            {
                f"there is no such file{did_you_mean(path.name, neighbours)}": not path.exists(),
                "is a folder without files": path.is_dir(),
                "is not a regular file; name a file or folder": path.exists() and not path.is_dir(),
            },
        )
    check_bytes(source, path.stat().st_size)
    return path.read_bytes()


@functools.cache
def _read_stdin() -> bytes:
    """Return standard input, which can be read only once in a process."""
    data = sys.stdin.buffer.read(sizes.MAX_BYTES + 1)
    check_bytes("standard input", len(data))
    return data


def _open_bytes(data: bytes, source: str, depth: int = 0, packed: int = 0) -> TextTable:
    """Read the content of a file by its first bytes, whatever its name; inside of ``packed`` bytes if compressed."""
    if data.startswith(_OLD_WORKBOOK):
        return read_workbook(data, source, len(data))
    if data.startswith(_PARQUET):
        return read_parquet(data, source)
    if data.startswith((_GZIP, _ZIP)) and depth < _DEEPEST:
        return _open_packed(data, source, depth, packed or len(data))
    text, notes = to_utf8(source, data)
    refuse_if(source, {"is a web page or XML, not a table; download it again, as CSV": _MARKUP.match(text)})
    return read_json(text, source) if starts_json(text) else split_rows(text, source, notes)


def _open_packed(data: bytes, source: str, depth: int, packed: int) -> TextTable:
    """Read a compressed file, a workbook, or the only file of a zip archive, inside of a file of ``packed`` bytes."""
    unpacked = io.BytesIO()
    try:
        if data.startswith(_GZIP):
            unpacked.writelines(unpack(source, [gzip.GzipFile(fileobj=io.BytesIO(data))], packed))
        else:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [item for item in archive.infolist() if not item.is_dir()]
                if {"[Content_Types].xml", "mimetype"} & {item.filename for item in members}:
                    return read_workbook(
                        data, source, sum(map(len, unpack(source, map(archive.open, members), packed)))
                    )
                files = [item.filename for item in members if not item.filename.startswith(("__MACOSX/", "."))]
                listed = f"{len(files)} files ({', '.join(map(repr, files[:5])) or 'none'})"
                refuse_if(source, {f"is a zip archive of {listed}; one is needed: unpack it": len(files) != 1})
                unpacked.writelines(unpack(source, [archive.open(files[0])], packed))
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error):
        kind = "compressed file (gzip)" if data.startswith(_GZIP) else "zip archive or Excel workbook"
        raise DataError(source, [f"is not a whole {kind}; export or copy it again"]) from None
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(source, [f"cannot be unpacked: {error}"]) from None
    return _open_bytes(unpacked.getvalue(), source, depth + 1, packed)


def join_files(
    source: str, tables: Mapping[str, TextTable], unread: Mapping[str, str] = MappingProxyType({})
) -> TextTable:
    """Join the tables of several files, by their names, in this order; one of them may be a folder's.

    Files that cannot be read, ``unread`` with their problems, are noted if they are fewer than the others.

    A row that two files have in common, equal in all columns, is kept once; one that a single file repeats is kept as
    often as that file has it.

    Raises:
        DataError: files have other columns than the first one; names them.
    """
    bad = [Problem(0, "", text, file=name) for name, text in unread.items()]
    if len(bad) >= len(tables):
        refuse(source, bad)
    first = next(iter(tables.values()))
    places = {name: _places(first.header, part) for name, part in tables.items()}
    other = f"has other columns than {[*first.files, *tables][0]}; read files of one report together"
    refuse_if(source, {f"{name} {other}": not found for name, found in places.items()})
    parts = tables.values()
    frames = [
        part.frame.iloc[:, places[name]].set_axis(range(len(first.header)), axis=1) for name, part in tables.items()
    ]
    files = [*chain.from_iterable(part.files or [name] for name, part in tables.items())]
    before = accumulate((len(part.files) or 1 for part in parts), initial=0)
    shifts = [(count + (not part.files)) * FILE_STEP for count, part in zip(before, parts, strict=False)]
    lines = [shift + np.asarray(part.lines) for shift, part in zip(shifts, parts, strict=True)]
    check_size(source, sum(map(len, frames)), len(first.header))
    owner = np.repeat(np.arange(len(frames)), [len(part) for part in frames])
    frame = text_frame(
        list(frames[0]), (pd.api.types.union_categoricals([part[at] for part in frames]) for at in frames[0])
    )
    copy = frame.groupby([*frame, owner], observed=True, sort=False).cumcount()  # number of a row's copy in its file
    kept = ~frame.assign(copy=copy).duplicated().to_numpy()
    notes = {
        f"{plural(len(files), 'file')} were read as one: {files[0]} to {files[-1]}.": len(files) > 1,
        f"Skipped, as they cannot be read: {len(unread)} of {plural(len(files) + len(unread), 'file')} "
        f"({list_names(unread)}). check FILE lists the problems.": unread,
        f"Rows that files have in common, read once: {(~kept).sum()}.": not kept.all(),
    }
    return TextTable(
        frame[kept].reset_index(drop=True).set_axis(list(first.header), axis=1),
        source,
        ";" if any(part.separator == ";" for part in parts) else first.separator,
        np.concatenate(lines)[kept].tolist(),
        first.header_line + (not first.files) * FILE_STEP,
        tuple(dict.fromkeys(chain((text for text, holds in notes.items() if holds), *(part.notes for part in parts)))),
        tuple(row._replace(line=at + row.line) for at, part in zip(shifts, parts, strict=True) for row in part.ragged),
        tuple(files),
        (*bad, *chain.from_iterable(part.unread for part in parts)),
    )


def _places(names: Sequence[str], table: TextTable) -> list[int]:
    """Return the place of each name in a table; nothing if it has other columns."""
    own = list(map(fold, table.header))
    wanted = list(map(fold, names))
    if own == wanted:
        return list(range(len(own)))
    return [own.index(name) for name in wanted] if len({*own}) == len(own) and {*own} == {*wanted} else []
