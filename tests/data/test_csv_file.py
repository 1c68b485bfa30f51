from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.reading.reader import read_history
from pricerl.data.reading.sources import sizes
from pricerl.errors import EXIT_BAD_DATA, DataError

TEN_DAYS = ["10.00,20.00"] * 10


def refuse(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        read_history(path, DataConfig())
    assert caught.value.exit_code == EXIT_BAD_DATA
    return str(caught.value)


def test_missing_file_suggests_its_neighbour(write: Callable[..., Path], daily: Callable[..., list[str]]) -> None:
    path = write(daily(TEN_DAYS))
    assert refuse(path.with_name("sale.csv")).endswith("there is no such file; did you mean 'sales.csv'?")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert "there is no such file" in refuse(tmp_path / "nowhere" / "sales.csv")


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder without files" in refuse(tmp_path)


def test_file_without_permission_is_refused(
    write: Callable[..., Path], daily: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(daily(TEN_DAYS))

    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    assert "ask for read permission" in refuse(path)


def test_device_and_impossible_name_are_refused(tmp_path: Path) -> None:
    assert "not a regular file" in refuse("/dev/zero")
    assert "no such file" in refuse(str(tmp_path / "a\0b.csv"))
    assert "cannot be read" in refuse(str(tmp_path / ("a" * 400)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b",,,\n,,,\n", "is empty"),
        (b"Report Date,Product Price,Total Sales\n", "has a header but no rows"),
        (b"Report Date\0\x01\x02", "binary data"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary data"),
        (b"PK\x03\x04rest of a workbook", "Excel workbook"),
        (b"PAR1rest", "Parquet"),
        (b"\x1f\x8b\x08rest", "compressed"),
        (b"Report Date,\x81\x8d\n", "is not text"),
        (b"\xff\xfeR", "is not text"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    assert words in refuse(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_give_the_same_history(write: Callable[..., Path], encoding: str) -> None:
    rows = [f"2025-01-{day:02},10.00,20.00,Café" for day in range(1, 11)]
    lines = ["Report Date,Product Price,Total Sales,Product", *rows]
    if encoding == "utf-16-le":
        lines[0] = "\ufeff" + lines[0]
    history = read_history(write(lines, encoding=encoding), DataConfig())
    assert history.products[0].product == "Café"
    assert any("Windows-1252" in note for note in history.reports[0].notes) == (encoding == "cp1252")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_separators_and_line_endings_give_the_same_history(
    write: Callable[..., Path], daily: Callable[..., list[str]], sep: str, ending: str
) -> None:
    lines = daily([f"10.50{sep}21.00"] * 10, sep.join(["Report Date", "Product Price", "Total Sales"]), sep)
    product = read_history(write(lines, ending=ending), DataConfig()).products[0]
    np.testing.assert_array_equal(product.price, np.full(10, 10.5))
    np.testing.assert_array_equal(product.units, np.full(10, 2.0))


def test_files_above_a_limit_are_refused(
    write: Callable[..., Path], daily: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(daily(TEN_DAYS))
    monkeypatch.setattr(sizes, "MAX_ROWS", 9)
    assert "more than 9 rows" in refuse(path)
    monkeypatch.setattr(sizes, "MAX_COLUMNS", 2)
    assert "has 3 columns" in refuse(path)
    monkeypatch.setattr(sizes, "MAX_BYTES", 100)
    assert "too large" in refuse(path)


def test_trailing_blank_cells_do_no_harm(write: Callable[..., Path], daily: Callable[..., list[str]]) -> None:
    lines = daily(TEN_DAYS)
    lines[4] += ",,"
    assert len(read_history(write(lines), DataConfig()).products[0].dates) == 10


def test_broken_quote_is_refused_with_its_line(write: Callable[..., Path], daily: Callable[..., list[str]]) -> None:
    lines = daily(TEN_DAYS)
    lines[3] = '2025-01-03,"10.00,20.00'
    assert "line 4: malformed quotes or cells" in refuse(write(lines))


def test_line_numbers_are_those_of_the_users_own_file(problems: Callable[..., tuple[str, ...]]) -> None:
    lines = ["Report Date,Product Price,Total Sales,Memo", "2025-01-01,10,20,", "", '2025-01-02,10,20,"two', 'lines"']
    lines += [",,,", "2025-01-03,-1,20,", "2025-01-04,10,20,", "2025-01-05,10,x,"]
    assert problems(lines) == (
        "line 7, Product Price: must be positive, found -1",
        "line 9, Total Sales: must be a number, found 'x'",
    )
