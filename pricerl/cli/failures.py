"""Exceptions that are not pricerl's: errors in a user's own package, and settings that Lightning refuses in a run."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from types import FrameType

from pricerl.errors import EXIT_BUG, EXIT_USAGE

REFUSING = ("callbacks", "loggers", "profilers", "plugins", "accelerators", "strategies", "trainer", "utilities")
"""Parts of ``lightning.pytorch`` and ``lightning.fabric`` whose errors concern the settings they were given."""


def explain_failure(error: Exception, words: Sequence[str]) -> tuple[str, int] | None:
    """Return a line and the exit code for an exception of somebody else's making; None for a bug in pricerl.

    An exception is that of an allowed package if the innermost frame outside pricerl and the libraries is in it.

    Args:
        error: exception that ended a command.
        words: the command and its options.
    """
    from pricerl.cli.imports import OWN, allowed_packages, is_allowed

    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    own = allowed_packages(words)[len(OWN) :]
    for frame, line in zip(reversed(frames), reversed(lines), strict=True):
        if is_allowed(_module(frame), own):
            what = str(error).partition("\n")[0] or "without a message"
            place = f"{_place(frame)} ({frame.f_code.co_filename}:{line})"
            return f"error in {place}: {type(error).__name__}: {what}", EXIT_BUG
    parts = _module(frames[-1]).split(".")
    if parts[0] == "lightning" and (isinstance(error, ImportError) or (parts[2:3] and parts[2] in REFUSING)):
        return f"error: trainer: {' '.join(str(error).split())}", EXIT_USAGE
    return None


def first_cause(error: BaseException) -> BaseException:
    """Return the exception from which others were raised, one after the other."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _place(frame: FrameType) -> str:
    """Return module, class and function of a frame."""
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # Python 3.10 has no qualified names
    return f"{_module(frame)}.{name}"
