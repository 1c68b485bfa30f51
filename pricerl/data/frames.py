"""A history in memory, written as the file that commands read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pricerl.errors import UsageError
from pricerl.writing import write_text

Frame = pd.DataFrame
"""Frame of a history, for the parts that import no pandas."""


def write_frame(frame: object, path: Path) -> None:
    """Write a frame as a seller's CSV file, a named index as a column; raise a ``UsageError`` if it is none."""
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"expected a path or a pandas DataFrame, found {type(frame).__name__}")
    named = any(name is not None for name in frame.index.names)
    write_text(path, frame.to_csv(index=named, lineterminator="\n"))
