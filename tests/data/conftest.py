from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError

FOLDERS = [folder / "shared" / "data" for folder in Path(__file__).parents]

Lines = list[str]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to sales.csv and return its path."""

    def write_lines(lines: Lines, encoding: str = "utf-8", ending: str = "\n") -> Path:
        path = tmp_path / "sales.csv"
        path.write_bytes(ending.join([*lines, ""]).encode(encoding))
        return path

    return write_lines


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., History]:
    """Write lines to a file and read it with some settings."""

    def read_lines(lines: Lines, config: DataConfig | None = None) -> History:
        return read_history(write(lines), config or DataConfig())

    return read_lines


@pytest.fixture
def problems(write: Callable[..., Path]) -> Callable[..., tuple[str, ...]]:
    """Write lines to a file that must be refused and return the problems reported."""

    def read_problems(lines: Lines, config: DataConfig | None = None) -> tuple[str, ...]:
        path = write(lines)
        with pytest.raises(DataError) as caught:
            read_history(path, config or DataConfig())
        assert caught.value.source == str(path)
        return caught.value.problems

    return read_problems


@pytest.fixture
def daily() -> Callable[..., Lines]:
    """Return a CSV with one row per day from 2025-01-01 and the cells after the date as given."""

    def make(cells: list[str], header: str = "Report Date,Product Price,Total Sales", sep: str = ",") -> Lines:
        days = np.datetime64("2025-01-01", "D") + np.arange(len(cells))
        return [header, *(f"{day}{sep}{cell}" for day, cell in zip(days, cells, strict=True))]

    return make


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Return a real file, or skip where the folder is absent."""

    def find(name: str) -> Path:
        found = next((folder / name for folder in FOLDERS if (folder / name).is_file()), None)
        return found or pytest.skip(f"real data file {name} is not on this machine")

    return find
