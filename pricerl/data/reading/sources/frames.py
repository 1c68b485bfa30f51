"""DataFrames as tables of text, and as the file that commands read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import pyarrow as pa

from pricerl.data.reading.sources.sizes import check_size
from pricerl.data.reading.sources.typed_files import table_of_arrow, to_text
from pricerl.data.reading.tables import TextTable
from pricerl.writing import write_text


@runtime_checkable
class Frame(Protocol):
    """Table in memory with Arrow's stream interface: a DataFrame of pandas or Polars, a table of Arrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a stream in Arrow's C interface."""


def read_frame(frame: Frame, source: str) -> TextTable:
    """Return a frame as a table of text, a named index of pandas as columns; raise a ``DataError`` without rows."""
    if isinstance(frame, pd.DataFrame):
        flat = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
        table = pa.table([_arrow_of(cells) for _, cells in flat.items()], names=list(map(str, flat.columns)))
    else:
        table = pa.table(frame)
    check_size(source, table.num_rows, table.num_columns)
    return table_of_arrow(source, table.schema, table.column)


def write_frame(frame: Frame, path: Path) -> None:
    """Write a frame as a seller's CSV file; it raises the errors of `read_frame`."""
    write_text(path, read_frame(frame, path.stem).frame.to_csv(index=False, lineterminator="\n"))


def _arrow_of(cells: pd.Series[Any]) -> pa.ChunkedArray:
    """Return a column of pandas in Arrow's types, one of several types as texts."""
    try:
        return pa.Table.from_pandas(cells.to_frame("cells"), preserve_index=False).column(0)
    except pa.ArrowException:
        return pa.chunked_array([pa.array(list(map(to_text, cells)))])
