"""User errors: place, finding and remedy, with one exit code per kind."""

from __future__ import annotations

import csv
import difflib
import shlex
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pricerl.terminal import clean

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_BAD_DATA = 3
EXIT_NOT_ENOUGH_EVIDENCE = 4
EXIT_BAD_CHECKPOINT = 5
EXIT_WARNING = 6
EXIT_ALARM = 7
EXIT_INTERRUPTED = 130

MAX_PROBLEMS_SHOWN = 20
PROBLEMS = "problems.csv"
"""Table of the problems of a seller's file."""


class PricerlError(Exception):
    """Base of all errors caused by the user's input; printed without a traceback."""

    exit_code = EXIT_BUG


class UsageError(PricerlError):
    """A command, option or setting is wrong."""

    exit_code = EXIT_USAGE


class NotAllowedError(UsageError):
    """The role of a token does not include what it was sent for."""

    status_code = 403


class DataError(PricerlError):
    """The seller's file cannot be used.

    Args:
        source: name of the file as the user wrote it.
        problems: all problems, one line each: place, finding, remedy. They may quote texts of the file.
        table: the same as a CSV with line, column, product, value and problem; empty if there is none.
        read: all sources that were read together, for the command that lists the problems; the source if absent.
    """

    exit_code = EXIT_BAD_DATA

    def __init__(self, source: str, problems: Sequence[str], table: str = "", read: Sequence[str] = ()) -> None:
        self.source = source
        self.table = table
        self.problems = tuple(map(clean, problems))
        super().__init__(_describe(clean(source), self.problems, (read or [source]) if table else []))

    def among(self, read: Sequence[str]) -> DataError:
        """Return the same error about one of several sources that were read together."""
        return DataError(self.source, self.problems, self.table, read)


@contextmanager
def named(source: str) -> Iterator[None]:
    """Turn an error of the system, or of a file's form, into a ``DataError`` that names a source."""
    try:
        yield
    except PermissionError:
        raise DataError(source, ["permission denied; ask for read permission or copy the file"]) from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(source, [f"cannot be read: {getattr(error, 'strerror', None) or error}"]) from None


class CheckpointError(PricerlError):
    """A file is not a usable pricerl checkpoint."""

    exit_code = EXIT_BAD_CHECKPOINT


class InterruptedRunError(PricerlError):
    """A signal ended the command; the message states what is saved. The exit code is 128 + number, as in shells."""

    def __init__(self, message: str, number: int = EXIT_INTERRUPTED - 128) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class NonFiniteError(PricerlError):
    """A tensor contains NaN or infinity; the message names the tensor and the place."""


@contextmanager
def signals_handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Handle signals by these functions until the body ends; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the closest known word, or an empty string."""
    by_folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f"; did you mean {by_folded[close[0]]!r}?" if close else ""


def check_settings(group: str, settings: object, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Raise a ``UsageError`` that names all settings that break their rules: whether each is kept, and its words."""
    refuse(
        {f"{group}{it} must {words}, found {getattr(settings, it)!r}": not kept for it, (kept, words) in rules.items()}
    )


def refuse(faults: Mapping[str, object], error: type[Exception] = UsageError) -> None:
    """Raise a ``UsageError``, or another ``error``, with all faults that are the case."""
    if found := [fault for fault, is_so in faults.items() if is_so]:
        raise error("; ".join(found))


def import_extra(module: str, remedy: str) -> Any:
    """Import a module of an optional package; if it is missing, raise a ``UsageError`` with the remedy."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(remedy) from error


def list_problems(problems: Sequence[str], read: Sequence[str]) -> list[str]:
    """Return the first problems, and the number of the others with the command that lists them, if sources are read."""
    shown = [f"  {problem}" for problem in problems[:MAX_PROBLEMS_SHOWN]]
    if (more := len(problems) - MAX_PROBLEMS_SHOWN) > 0:
        rest = f"; `check {shlex.join(map(clean, read))} --problems {PROBLEMS}` lists them" if read else ""
        shown.append(f"  … and {more} more{rest}")
    return shown


def _describe(source: str, problems: Sequence[str], read: Sequence[str]) -> str:
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    return "\n".join([f"{source} has {len(problems)} problems:", *list_problems(problems, read)])
