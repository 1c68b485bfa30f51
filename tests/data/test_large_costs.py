"""Small files that would take much memory or time are refused with one sentence, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from test_containers import refuse_file

from pricerl.data.reading.sources import sizes, workbooks

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell its memory")

MEMORY = 1.5 * 2**20
"""Most memory that a command may take for a refused file, KiB."""

CHECK = """
import sys
from pricerl.cli.main import main
code = main(["check", sys.argv[1]])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""
"""Command that also prints the most memory that it took, KiB."""


def sheet_of(*places: str) -> bytes:
    """Workbook of one sheet with the number 1 in these cells."""
    book = pytest.importorskip("openpyxl").Workbook()
    for place in places:
        book.active[place] = 1
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet_of(columns: dict[str, pa.Array], **settings: object) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), out, compression="zstd", **settings)
    return out.getvalue()


def lines_of(rows: int, columns: int) -> Callable[[], bytes]:
    """JSON lines of one cell each, in some of these columns."""
    return lambda: "\n".join(json.dumps({f"c{at % columns}": 1}) for at in range(rows)).encode()


def constant(value: object, rows: int, kind: pa.DataType) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), pa.array([value], kind))


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "far cell.xlsx": (
        lambda: sheet_of("XFD1048576"),
        "it spans 17,179,869,184 cells, of which at most 40,000,000",
    ),
    "two corners.xlsx": (lambda: sheet_of("A1", "XFD1048576"), "or takes more than 512 MiB of memory"),
    "two cells.xlsx": (lambda: sheet_of("A1", "ALK39000"), "has cells far from all others, or takes more"),
    "wide rows.xlsx": (
        lambda: sheet_of(*(f"ZZ{row}" for row in range(1, 60_001, 500))),
        "is not an Excel workbook that can be read (it spans 41,",
    ),
    "long text.parquet": (
        lambda: parquet_of({"Product": constant("x" * 2**20, 10_000, pa.string())}),
        "Product: has a cell of 1,048,576 characters; at most 131,072 are read",
    ),
    "shared beginnings.parquet": (
        lambda: parquet_of(
            {"Product": constant("x" * 2**22, 300, pa.string()).cast(pa.string())},
            use_dictionary=False,
            column_encoding={"Product": "DELTA_BYTE_ARRAY"},
        ),
        "is too large: more than 1024 MiB unpacked; split the file",
    ),
    "many cells.parquet": (
        lambda: parquet_of({f"c{at}": constant("x", 600_000, pa.string()) for at in range(1000)}),
        "has more than 536,870,912 cells; remove columns or split the file",
    ),
    "a column per row.jsonl": (lines_of(100_000, 100_000), "has 1,001 columns; at most 1,000 are read; remove some"),
    "one cell per row.jsonl": (lines_of(60_000, 1000), "has more than 40,000,000 cells; remove columns or split"),
    "deep.jsonl": (lambda: b'{"a":' + b"[" * 750_000 + b"]" * 750_000 + b"}", "line 1: is not a JSON object"),
    "deep.json": (lambda: b"[{" + b'"a":[{' * 300_000, "line 1: is not a JSON object"),
    "broken lines.jsonl": (lambda: b"{\n" * 750_000, "line 20: is not a JSON object"),
}
"""Files that took gigabytes, minutes or the process."""


SLOW = ("many cells.parquet", "shared beginnings.parquet", "broken lines.jsonl", "one cell per row.jsonl")
"""Files that take seconds to make or to refuse."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in FILES])
def test_a_small_file_of_large_cost_is_refused_in_bounded_memory_and_time(name: str, tmp_path: Path) -> None:
    make, said = FILES[name]
    path = tmp_path / name
    path.write_bytes(make())
    assert path.stat().st_size < 2 * 2**20
    done = subprocess.run([sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert said in done.stderr
    assert int(done.stdout.split()[-1]) < MEMORY


SMALLER: dict[str, tuple[bytes, str, int, str]] = {
    "line.jsonl": (b'{"a":1}\n{"a":' + b"1" * 2**20 + b"}", "LONGEST_LINE", 2**20, "line 2: is longer than 1 MiB"),
    "list.json": (
        b"[" + b'{"a":1},' * 2**17 + b"{}]",
        "LONGEST_LIST",
        2**20,
        "is a JSON list of more than 1 MiB; write",
    ),
    "wide rows.csv": (
        b"a,b\n" + b"1,2\n" * 100 + (b"1," * 999 + b"\n") * 10,
        "MAX_SINGLE_CELLS",
        10_000,
        "has more than 10,000 cells",
    ),
}


@pytest.mark.parametrize("name", SMALLER)
def test_what_is_parsed_at_once_is_bounded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, limit, value, said = SMALLER[name]
    monkeypatch.setattr(sizes, limit, value)
    assert said in refuse_file(tmp_path / f"{name}.gz", gzip.compress(data))


@pytest.mark.parametrize(
    ("length", "said"), [(2**17, "is too large: more than 1024 MiB unpacked"), (2**10, "'Product Price' is missing")]
)
def test_values_of_fixed_width_count_once_per_row(length: int, said: str, tmp_path: Path) -> None:
    data = parquet_of({"a": constant(b"x" * length, 10_000, pa.binary(length))})
    assert said in refuse_file(tmp_path / "a.parquet", data)


def test_blank_rows_up_to_a_far_cell_are_left_out_of_a_sheet() -> None:
    rows = workbooks.read_sheets(sheet_of("A1", "B99999"), "a.xlsx", 1000)["Sheet"]
    assert rows == [(1, [1.0, ""]), (99999, ["", 1.0])]


def test_a_workbook_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "SECONDS", 0.01)
    assert "takes more than 0.01 s); export it as CSV" in refuse_file(tmp_path / "a.xlsx", sheet_of("A1"))
