"""Stages of a command in words, on standard error; results go to standard output.

They are off until a command turns them on.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_state = {"shown": False, "busy": False}
"""Whether stages are shown, and whether one is in progress: those inside it are part of it."""


def show_stages(shown: bool) -> None:
    """Turn the stages of this process on or off; they are off at first."""
    _state["shown"] = shown


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Show what a command is doing, and then how long it took.

    On a terminal the line appears when the stage starts, elsewhere when it ends. A stage that fails leaves no line.
    """
    if _state["busy"]:
        yield
        return
    shown = _state["shown"]
    start = time.perf_counter()
    terminal = shown and sys.stderr.isatty()
    _state["busy"] = True
    if terminal:
        print(f"{text} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        _state["busy"] = False
        if terminal:
            print("\r\x1b[2K", end="", file=sys.stderr)  # clears the line
    line = f"{text}: {time.perf_counter() - start:.1f} s"
    logging.getLogger(__name__).info(line)
    if shown:
        print(line, file=sys.stderr, flush=True)
