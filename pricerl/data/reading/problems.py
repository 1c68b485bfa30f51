"""Problems of a seller's file, collected first and reported all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from pricerl.errors import DataError
from pricerl.formatting import csv_text, plural, safe_text

KEEP = "if it is right, set --data.reading.suspicious keep"
"""Remedy for values that cannot be meant."""

FILE_STEP = 10**9
"""Larger than any line: of several files read as one, line ``n`` of the ``k``-th one is ``k * FILE_STEP + n``."""

_LINE_OF_FILE = re.compile(r"\bline (\d{10,})")
_LONGEST_QUOTE = 80
_NAMES_SHOWN = 5
"""Characters of a cell, and products, that a message shows."""


class Problem(NamedTuple):
    """Problem to correct in the seller's file."""

    line: int
    """Line in the seller's own file, the header usually being line 1; 0 for a problem of the whole file."""

    column: str
    """Name of the column, or an empty string for a problem of the whole line."""

    text: str
    """Finding and remedy."""

    product: str = ""
    """The only product concerned; empty if unknown, or for a problem of the whole file."""

    value: str = ""
    """The cell as written, if one cell is concerned."""

    everywhere: bool = False
    """Whether the problem concerns all rows, and the line is an example."""

    file: str = ""
    """The file of the line, or with the problem, if several were read as one."""

    def __str__(self) -> str:
        place = ", ".join(filter(None, (f"line {self.where}" if self.line else self.file, self.column)))
        return f"{place}: {self.text}" if place else self.text

    @property
    def where(self) -> str:
        """Line, and its file if there are several; empty for a problem of the whole file."""
        return " of ".join(filter(None, (str(self.line or ""), self.file)))


def quote(cell: str) -> str:
    """Return a cell without surrounding spaces, cut to 80 characters."""
    bare = cell.strip()
    return bare if len(bare) <= _LONGEST_QUOTE else f"{bare[: _LONGEST_QUOTE - 1]}…"


def name_files(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """Return problems in order of lines, with the file of each line if several ``files`` were read as one."""

    def name(found: re.Match[str]) -> str:
        number, line = divmod(int(found[1]), FILE_STEP)
        return f"line {line} of {files[number - 1]}"

    if not files:
        return sorted(problems)
    return [
        item._replace(
            line=item.line % FILE_STEP,
            text=_LINE_OF_FILE.sub(name, item.text),
            file=files[item.line // FILE_STEP - 1] if item.line >= FILE_STEP else item.file,
        )
        for item in sorted(problems)
    ]


def refuse(source: str, problems: Iterable[Problem | str], files: Sequence[str] = ()) -> NoReturn:
    """Raise a ``DataError`` with all problems of ``source`` by line; ``files`` names several files read as one."""
    ordered = name_files((Problem(0, "", it) if isinstance(it, str) else it for it in problems), files)
    raise DataError(source, [str(problem) for problem in ordered], problem_table(ordered))


def refuse_if(source: str, faults: Mapping[str, object]) -> None:
    """Raise a ``DataError`` with all faults of ``source`` that are the case."""
    if found := [fault for fault, is_so in faults.items() if is_so]:
        raise DataError(source, found)


def problem_table(problems: Iterable[Problem]) -> str:
    """Return problems as a CSV whose cells no spreadsheet reads as formulas."""
    rows = (tuple(map(safe_text, (it.where, it.column, it.product, it.value, it.text))) for it in problems)
    return csv_text([("Line", "Column", "Product", "Value", "Problem"), *rows])


def describe_skipped(problems: Iterable[Problem], num_used: int) -> tuple[str, ...]:
    """Return a note on the products that were skipped for their problems, in addition to those used; or none."""
    names = dict.fromkeys(problem.product for problem in problems)
    note = (
        f"Skipped, as their rows cannot be used: {len(names)} of {plural(num_used + len(names), 'product')} "
        f"({list_names(names)}). check FILE lists the problems."
    )
    return (note,) if names else ()


def list_names(names: Iterable[str]) -> str:
    """Return the first names in quotes, and the number of the others."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - _NAMES_SHOWN} more" if len(different) > _NAMES_SHOWN else ""
    return ", ".join(map(repr, different[:_NAMES_SHOWN])) + more
