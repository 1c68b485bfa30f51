"""Tasks spread over processes: each works on one task at a time, and this process works on them, too.

The processes are fresh interpreters, for the reasons in `evaluation.backtest_process`. They end with their input, and
so with this process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from pricerl.cores import usable_cores
from pricerl.runtime import MatmulPrecision, claim_compute

START = "import sys; sys.path[:] = sys.argv[1:]; from pricerl.operations.processes import answer; answer()"

Result = TypeVar("Result", covariant=True)


class Task(Protocol[Result]):
    """Work that another process can do; it is pickled."""

    def run(self) -> Result:
        """Return the result, which is pickled, too."""
        ...


class Setup(NamedTuple):
    """Settings of a process on which the last bits of results depend, and the demand model that its task may need."""

    threads: int
    precision: MatmulPrecision
    model: tuple[str, Any]
    """Name and function of the demand model: its package registers it only where a command imports it."""


def run_tasks(tasks: Iterable[Task[Result]], count: int, setup: Setup) -> list[Result]:
    """Run ``count`` tasks, which are made one after the other when they are needed, and return their results in order.

    Other processes help on idle cores. A task whose process fails is run here, with a warning.
    """
    queue = _Queue(tasks)
    helpers = min(len(usable_cores()) // setup.threads, count) - 1
    found: dict[int, Result] = {}
    threads = [threading.Thread(target=_delegate, args=(queue, found, setup), daemon=True) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    for number, task in queue:
        found[number] = task.run()
    for thread in threads:
        thread.join()
    for number, task in queue.failed:
        found[number] = task.run()
    return [found[number] for number in sorted(found)]


class _Queue:
    """Numbered tasks that several threads take, and those that failed elsewhere."""

    def __init__(self, tasks: Iterable[Task[Any]]) -> None:
        self._left, self._lock = enumerate(tasks), threading.Lock()
        self.failed: list[tuple[int, Task[Any]]] = []

    def __iter__(self) -> Iterator[tuple[int, Task[Any]]]:
        while True:
            with self._lock:
                item = next(self._left, None)
            if item is None:
                return
            yield item


def _delegate(queue: _Queue, found: dict[int, Any], setup: Setup) -> None:
    """Have a process run tasks of the queue until there are none, or until it fails."""
    pipe = subprocess.PIPE
    command: Sequence[str] = [sys.executable, "-c", START, *sys.path]
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    except OSError:  # no memory or no process left
        return
    assert process.stdin is not None and process.stdout is not None
    try:
        for number, task in queue:
            try:
                pickle.dump((setup, task), process.stdin)
                process.stdin.flush()
                failure, found_there = pickle.load(process.stdout)
            except (OSError, EOFError, pickle.PickleError, AttributeError, TypeError) as error:
                failure, found_there = f"{type(error).__name__}: {error}", None
            if failure:
                queue.failed.append((number, task))
                warnings.warn(f"a task is run a second time, its own process failed: {failure}", stacklevel=2)
                return
            found[number] = found_there
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                stream.close()


def answer() -> None:
    """Run the tasks on standard input, and write each result, after a text about an error, to standard output."""
    results, sys.stdout = sys.stdout.buffer, sys.stderr
    claimed = False
    while True:
        try:
            setup, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            os._exit(0)
        try:
            if not claimed:
                _claim(setup)
                claimed = True
            content = pickle.dumps(("", task.run()))
        except Exception as error:  # it is reported, and the parent runs the task itself
            content = pickle.dumps((f"{type(error).__name__}: {error}", None))
        results.write(content)
        results.flush()


def _claim(setup: Setup) -> None:
    from pricerl.market import DEMAND_MODELS

    claim_compute(setup.threads, setup.precision)
    name, model = setup.model
    DEMAND_MODELS[name] = model
