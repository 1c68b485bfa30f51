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

START = "import sys; sys.path[:] = sys.argv[2:]; from pricerl.data.reading.sources.workbooks import answer; answer()"
MEMORY = 4 * 2**30
LEAST_MEMORY = 2**29
MEMORY_PER_BYTE = 50
SECONDS = 300
"""Largest address space of the process in bytes, where the system can limit it: in all, for the smallest workbook, and
further ones per byte of the unpacked workbook, as two far cells span millions of blank ones; and longest time."""

Sheets = dict[str, list[tuple[int, list[Any]]]]
"""Rows that are not blank, each with its number from 1, by the name of the sheet."""


def read_sheets(data: bytes, source: str, unpacked: int) -> Sheets:
    """Return the cells of each sheet, or raise a ``DataError`` if damaged or beyond memory or time."""
    memory = min(MEMORY, LEAST_MEMORY + MEMORY_PER_BYTE * unpacked)
    command = [sys.executable, "-c", START, str(memory), *sys.path]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=True)
        found: Sheets | str = pickle.loads(done.stdout)
    except subprocess.TimeoutExpired:
        found = f"it takes more than {SECONDS} s"
    except subprocess.CalledProcessError:
        found = (
            f"it is damaged, has cells far from all others, or takes more than {memory // 2**20:,} MiB of memory, more "
            "than its cells need"
        )
    if isinstance(found, str):
        raise DataError(source, [f"is not an Excel workbook that can be read ({found}); export it as CSV"])
    return found


def answer() -> None:
    """Read a workbook from standard input, and write its sheets to standard output, or why there are none."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows limits no memory, and some systems refuse
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        sheets = {name: book.get_sheet_by_name(name) for name in book.sheet_names}
        cells = sum((sheet.end[0] + 1) * (sheet.end[1] + 1) for sheet in sheets.values() if sheet.end)
        found: Sheets | str = f"it spans {cells:,} cells, of which at most {MAX_SINGLE_CELLS:,} are read"
        if cells <= MAX_SINGLE_CELLS:
            found = {
                name: [row for row in enumerate(sheet.iter_rows(), 1) if any(cell != "" for cell in row[1])]
                if sheet.end  # calamine before 0.9 panics at the rows of a sheet without cells
                else []
                for name, sheet in sheets.items()
            }
    except (CalamineError, ValueError, OSError) as error:
        found = str(error)
    sys.stdout.buffer.write(pickle.dumps(found))
