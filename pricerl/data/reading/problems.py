"""Problems of a seller's file, collected first and reported all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from pricerl.errors import DataError


class Problem(NamedTuple):
    """Problem to correct in the seller's file."""

    line: int
    """Line in the seller's own file, the header usually being line 1; 0 for a problem of the whole file."""

    column: str
    """Name of the column, or an empty string for a problem of the whole line."""

    text: str
    """Finding and remedy."""

    def __str__(self) -> str:
        place = ", ".join([*([f"line {self.line}"] if self.line else []), *([self.column] if self.column else [])])
        return f"{place}: {self.text}" if place else self.text


def find_problems(column: str, texts: Sequence[str], lines: Sequence[int], faults: Mapping[str, str]) -> list[Problem]:
    """Return a problem per cell of a column whose text is a key of ``faults``."""
    cells = zip(lines, texts, strict=True) if faults else ()
    return [Problem(line, column, faults[text]) for line, text in cells if text in faults]


def first_of_each(kinds: Mapping[str, str], texts: Sequence[str], lines: Sequence[int]) -> dict[str, tuple[int, str]]:
    """Return line and text of the first cell of each kind; ``kinds`` maps texts to kinds."""
    first: dict[str, tuple[int, str]] = {}
    for line, text in zip(lines, texts, strict=True) if kinds else ():
        if text in kinds:
            first.setdefault(kinds[text], (line, text.strip()))
    return first


def refuse(source: str, problems: Iterable[Problem]) -> NoReturn:
    """Raise a ``DataError`` on ``source``, a file as the user wrote it, that lists every problem in order of lines."""
    raise DataError(source, [str(problem) for problem in sorted(problems)])
