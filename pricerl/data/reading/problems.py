"""Problems of a seller's file, collected first and reported all at once."""

from __future__ import annotations

from collections.abc import Iterable
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


def refuse(source: str, problems: Iterable[Problem]) -> NoReturn:
    """Raise a ``DataError`` on ``source``, a file as the user wrote it, that lists every problem in order of lines."""
    raise DataError(source, [str(problem) for problem in sorted(problems)])
