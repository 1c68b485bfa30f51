"""Dated files of one report, read as one table; rows that they share are read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

import numpy as np
import pandas as pd

from pricerl.arrays import IntArray
from pricerl.data.reading.columns import fold
from pricerl.data.reading.csv_file import TextTable, text_frame
from pricerl.data.reading.problems import FILE_STEP
from pricerl.data.reading.sizes import check_size
from pricerl.errors import DataError
from pricerl.formatting import plural


def join_files(source: str, tables: Mapping[str, TextTable]) -> TextTable:
    """Join the tables of several files, by their names, in this order; one of them may be that of a folder.

    A row that two files have in common, equal in all columns, is kept once; one that a single file repeats is kept as
    often as that file has it.

    Raises:
        DataError: files have other columns than the first one; names them.
    """
    parts = list(tables.values())
    files = [name for file, part in tables.items() for name in part.files or [file]]
    before = [0, *accumulate(max(len(part.files), 1) for part in parts)]  # files before those of each part
    names = [str(name) for name in parts[0].frame.columns]
    places = {file: _places(names, table) for file, table in tables.items()}
    if other := [file for file, found in places.items() if found is None]:
        first = f"has other columns than {files[0]}; read files of one report together"
        raise DataError(source, [f"{file} {first}" for file in other])
    check_size(source, sum(len(part.lines) for part in parts), len(names))
    columns = [
        pd.api.types.union_categoricals(
            [part.frame.iloc[:, found[at]] for part, found in zip(parts, places.values(), strict=True) if found]
        )
        for at in range(len(names))
    ]
    shifts = [(count + (not part.files)) * FILE_STEP for count, part in zip(before, parts, strict=False)]
    lines = [shift + np.asarray(part.lines) for shift, part in zip(shifts, parts, strict=True)]
    ragged = [
        row._replace(line=shift + row.line) for shift, part in zip(shifts, parts, strict=True) for row in part.ragged
    ]
    owner = np.repeat(np.arange(len(parts)), [len(part.lines) for part in parts])
    kept = _first_copies(columns, owner)
    notes = [f"{plural(len(files), 'file')} were read as one: {files[0]} to {files[-1]}."] if len(files) > 1 else []
    if dropped := len(owner) - len(kept):
        notes.append(f"Rows that files have in common, read once: {dropped}.")
    return TextTable(
        text_frame(names, [column[kept] for column in columns]),
        source,
        ";" if any(part.separator == ";" for part in parts) else parts[0].separator,
        np.concatenate(lines)[kept].tolist(),
        shifts[0] + parts[0].header_line,
        parts[0].preamble,
        tuple(dict.fromkeys(chain(notes, *(part.notes for part in parts)))),
        tuple(ragged),
        tuple(files),
    )


def _places(names: Sequence[str], table: TextTable) -> list[int] | None:
    """Return the place of each name in a table, or None if it has other columns."""
    own = [fold(str(name)) for name in table.frame.columns]
    wanted = list(map(fold, names))
    if own == wanted:
        return list(range(len(own)))
    if len(set(own)) < len(own) or set(own) != set(wanted):
        return None
    return [own.index(name) for name in wanted]


def _first_copies(columns: Sequence[pd.Categorical], owner: IntArray) -> IntArray:
    """Return the rows to keep: the ``n``-th copy of a row, if no earlier file has ``n`` copies of it.

    Args:
        columns: ``(N,)`` cells of each column.
        owner: ``(N,)`` number of each row's file, ascending.
    """
    same = np.zeros(len(owner), dtype=np.int64)
    for column in columns:
        same, _ = pd.factorize(same * (len(column.categories) + 1) + column.codes)
    copy = pd.Series(same).groupby([same, owner]).cumcount().to_numpy()
    twice = pd.DataFrame({"same": same, "copy": copy}).duplicated().to_numpy()
    return np.flatnonzero(~twice)
