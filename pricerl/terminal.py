"""Text on the terminal: the only place that prints lines, none of which can hide, reverse or overwrite another."""

from __future__ import annotations

import json
import logging
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories of invisible characters that can reverse, hide or break a line."""

JOINERS = {"\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"}
"""Invisible characters that are kept, as emoji and some scripts need them."""

MOST_CHARACTERS = 1000
"""Most characters of a text, more than any sentence has."""


def clean(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text on one line, of at most ``most`` characters, without control and direction characters."""
    if len(text) <= most and text.isprintable():  # the common case: no invisible character
        return text
    spaced = re.sub(r"[\t\r\n]+", " ", text)
    kept = "".join(char for char in spaced if char in JOINERS or unicodedata.category(char) not in INVISIBLE)
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def shown(text: str, most: int = 160) -> str:
    """Return a text that a person typed, cleaned and without repeated spaces, to be quoted in a sentence."""
    return clean(" ".join(clean(text).split()), most)


def list_first(texts: Sequence[str], most: int, gap: str = ", ") -> str:
    """Return the first texts, and the number of the others."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{gap.join(texts[:most])}{more}"


def write_lines(lines: Iterable[str], problems: bool = False) -> None:
    """Print lines, each of them cleaned, to standard output, or ``problems`` to standard error."""
    if cleaned := list(map(clean, lines)):
        print("\n".join(cleaned), file=sys.stderr if problems else sys.stdout, flush=problems)


def confirm(question: str) -> bool:
    """Return whether a person at the terminal answers yes; False without one."""
    if not sys.stdin.isatty():
        return False
    print(question, end="", flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def table(rows: Sequence[Sequence[str]], numbers: bool = True) -> list[str]:
    """Return rows of equal length, the header first, as lines with aligned columns: ``numbers`` to the right."""
    if not rows:
        return []
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.rjust if numbers else str.ljust
    return ["  ".join(["", name.ljust(first), *map(pad, cells, others)]).rstrip() for name, *cells in rows]


def write_json(document: object) -> None:
    """Print plain values as JSON for programs, in ASCII, so that no character can hide another."""
    print(json.dumps(document, indent=2))


def print_notes(notes: Iterable[str]) -> None:
    """Print remarks on standard error."""
    for note in notes:
        logging.getLogger(__name__).info("note: %s", note)
        write_lines([f"note: {note}"], problems=True)
