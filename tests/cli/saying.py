"""Commands whose exit codes and texts are known."""

from __future__ import annotations

import shlex
from pathlib import Path

from command_line import FAST, listing, run

QUICK = " ".join(FAST)
"""Options of a small and short training."""
REFUSALS = (2, 3, 5)


def says(folder: Path, words: str, *parts: str, code: int | None = None) -> str:
    """Run a command with an exit code, 0 or 4 by default, and return its text, which contains the parts.

    The text is what it printed, or the one line of a refusal, which prints nothing else.
    """
    result = run(folder, *shlex.split(words))
    assert result.code in ((0, 4) if code is None else (code,)), result
    text = result.err if code in REFUSALS else result.out
    assert code not in REFUSALS or (text.startswith("error: ") and text.count("\n") == 1 and not result.out), result
    assert [part for part in parts if part not in text] == [], text
    return text


def refuses(folder: Path, words: str, *parts: str, code: int = 2) -> None:
    """Run a command that is refused in one line with these parts, and changes no file."""
    before = listing(folder)
    says(folder, words, *parts, code=code)
    assert listing(folder) == before
