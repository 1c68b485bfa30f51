"""Excel workbooks and OpenDocument sheets, read by a process with limits: the reader aborts it without memory."""

from __future__ import annotations

import contextlib
import io
import pickle
import subprocess
import sys
from typing import Any

from pricerl.data.reading.sources.sizes import MAX_SINGLE_CELLS
from pricerl.errors import DataError

START = "import sys; sys.path[:] = sys.argv[1:]; from pricerl.data.reading.sources.workbooks import answer; answer()"
MEMORY = 4 * 2**30
SECONDS = 300
"""Largest address space of the process in bytes, where the system can limit it, and longest time."""


def read_sheets(data: bytes, source: str) -> dict[str, list[list[Any]]]:
    """Return the rows of cells of each sheet, or raise a ``DataError`` if damaged or beyond memory or time."""
    found: dict[str, list[list[Any]]] | str = f"it is damaged, or takes more than {MEMORY // 2**30} GiB of memory"
    try:
        done = subprocess.run(
            [sys.executable, "-c", START, *sys.path], input=data, capture_output=True, timeout=SECONDS, check=False
        )
        if done.returncode == 0:
            found = pickle.loads(done.stdout)
    except subprocess.TimeoutExpired:
        found = f"it takes more than {SECONDS} s"
    if isinstance(found, str):
        raise DataError(source, [f"is not an Excel workbook that can be read ({found}); export it as CSV"])
    return found


def answer() -> None:
    """Read a workbook from standard input, and write its sheets to standard output, or why there are none."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows limits no memory, and some systems refuse
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from python_calamine import CalamineError, CalamineWorkbook

    found: dict[str, list[list[Any]]] | str
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        sheets = {name: book.get_sheet_by_name(name) for name in book.sheet_names}
        cells = sum((sheet.end[0] + 1) * (sheet.end[1] + 1) for sheet in sheets.values() if sheet.end)
        found = f"it spans {cells:,} cells, of which at most {MAX_SINGLE_CELLS:,} are read"
        if cells <= MAX_SINGLE_CELLS:
            found = {name: sheet.to_python(skip_empty_area=False) for name, sheet in sheets.items()}
    except (CalamineError, ValueError, OSError) as error:
        found = str(error)
    sys.stdout.buffer.write(pickle.dumps(found))
