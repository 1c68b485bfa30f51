"""Signals that end a command where nothing else handles them, such as while packages are imported."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pricerl.errors import InterruptedRunError
from pricerl.terminal import write_lines

IMPORTS = "importlib._bootstrap"
"""Part of the file name of Python's import system, as its frames have it."""

WORDS = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}
"""Message of a command that a signal ended."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the process with one sentence and exit code 130 or 143 on SIGINT and SIGTERM.

    Parts of a command that save something replace these handlers by their own. Signals whose handling the program
    that started this one has turned off, or changed, stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    taken = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, usual[number])


def _end(number: int, frame: Any) -> None:
    """Raise an error that the command line prints; within an import, which may swallow errors, end at once."""
    while frame is not None:
        if IMPORTS in frame.f_code.co_filename:
            write_lines([f"error: {WORDS[number]}"], problems=True)
            os._exit(128 + number)
        frame = frame.f_back
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise InterruptedRunError(WORDS[number], number)
