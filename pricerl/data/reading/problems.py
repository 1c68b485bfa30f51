"""Problems of a file, collected first and told all at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from pricerl.errors import DataError


class Problem(NamedTuple):
    """One thing to mend in the seller's file."""

    line: int
    """Line in the seller's own file, the header being line 1; 0 where no single line is at fault."""

    column: str
    """Name of the column, or an empty string where the whole line is at fault."""

    text: str
    """What was found and how to mend it."""

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [self.column] if self.column else []
        return f"{', '.join(where)}: {self.text}" if where else self.text


def refuse(source: str, problems: Iterable[Problem]) -> NoReturn:
    """Raise one error that tells every problem, in the order of the file's lines.

    Args:
        source: name of the file as the user wrote it.
        problems: what was found, in any order.

    Raises:
        DataError: always.
    """
    raise DataError(source, [str(problem) for problem in sorted(problems)])
