"""Calls spread over processes: each works on one call at a time, and this process works on them, too.

Workers are fresh interpreters: a fork is unsafe once torch has started threads, and ``multiprocessing`` would run an
unguarded script a second time. They end with their input, and so with this process however that one ends; those of
joblib outlive a kill by half a minute, and delay Ctrl-C until their calls end.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from pricerl.market import DEMAND_MODELS
from pricerl.runtime import MatmulPrecision, claim_compute, usable_cores

if TYPE_CHECKING:
    from pricerl.training.run import Run

START = "import sys; sys.path[:] = sys.argv[1:]; from pricerl.operations.processes import work; work()"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Processes that help this one; they start with the first calls, and end with this object.

    Args:
        threads: CPU threads of torch in each.
        precision: precision of matrix products.
        demand: name of the demand model, which its package registers only where a command imports it.
    """

    def __init__(self, threads: int, precision: MatmulPrecision, demand: str) -> None:
        self._settings = threads, precision, demand, DEMAND_MODELS[demand]
        self._idle: deque[_Worker] = deque()

    @classmethod
    def of(cls, run: Run) -> Workers:
        """Return the workers for a run's data."""
        return cls(run.options.threads, run.options.matmul_precision, run.pricing.market_config.demand)

    @property
    def most(self) -> int:
        """Number of workers for which there are cores."""
        return usable_cores() // self._settings[0] - 1

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call a function of a module with each item, in workers and here, and return the results in order."""
        return self._start(function, items, len(items) - 1)()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Start a call in a worker, and return a function that waits for its result."""
        finish = self._start(function, [item], 1)
        return lambda: finish()[0]

    def _start(
        self, function: Callable[[Item], Result], items: Sequence[Item], most: int
    ) -> Callable[[], list[Result]]:
        """Start calls in at most so many workers, and return a function that makes the others and waits for all."""
        left = deque(enumerate(items))
        found: dict[int, Result] = {}
        failed: dict[int, str] = {}

        def delegate() -> None:
            worker = None
            for number, item in _take(left):
                try:
                    worker = worker or self._get()
                    found[number] = worker.call(function, item)
                except Exception as error:  # it is reported, and the call is made here
                    failed[number] = str(error) or repr(error)  # and not with its frames, which keep the process
                    return
            if worker is not None:
                self._idle.append(worker)

        threads = [threading.Thread(target=delegate, daemon=True) for _ in range(min(most, self.most))]
        for thread in threads:
            thread.start()

        def finish() -> list[Result]:
            try:
                found.update((number, function(item)) for number, item in _take(left))
            finally:
                left.clear()  # after an error nobody waits for them
            for thread in threads:
                thread.join()
            if failed:
                reason = failed[min(failed)]
                warnings.warn(f"work is done a second time, its own process failed: {reason}", stacklevel=3)
            found.update((number, function(items[number])) for number in failed)
            return [found[number] for number in range(len(items))]

        return finish

    def _get(self) -> _Worker:
        """Return an idle worker or a new one."""
        with suppress(IndexError):
            return self._idle.pop()
        worker = _Worker()
        worker.call(_prepare, self._settings)
        return worker


def _take(left: deque[Item]) -> Iterator[Item]:
    """Take items until none is left; several threads may do so at once."""
    with suppress(IndexError):
        while True:
            yield left.popleft()


class _Worker:
    """Process that makes one call at a time; it ends with this object."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", START, *sys.path]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        weakref.finalize(self, _end, self._process)

    def call(self, function: Callable[[Item], Result], item: Item) -> Result:
        """Return the result of a call.

        Raises:
            ChildProcessError: the call failed, or the process ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            pickle.dump(pickle.dumps((function, item)), self._process.stdin)
            self._process.stdin.flush()
            answer: tuple[Result, str] = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError):
            raise ChildProcessError(f"it ended with code {self._process.wait()}") from None
        if answer[1]:
            raise ChildProcessError(answer[1])
        return answer[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(BrokenPipeError), process:  # a call that it never read
        process.kill()


def work() -> None:
    """Make the calls on standard input, and write each result and a text about an error to standard output."""
    results, sys.stdout = sys.stdout.buffer, sys.stderr
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(calls,), daemon=True).start()
    while True:
        content = calls.get()
        try:
            function, item = pickle.loads(content)
            answer = pickle.dumps((function(item), ""))
        except Exception as error:  # the parent makes the call itself
            answer = pickle.dumps((None, f"{type(error).__name__}: {error}"))
        results.write(answer)
        results.flush()


def _receive(calls: SimpleQueue[bytes]) -> None:
    """Receive calls while others are made, and end this process when the parent's end of standard input is closed."""
    try:
        while True:
            calls.put(pickle.load(sys.stdin.buffer))
    finally:
        os._exit(0)


def _prepare(settings: tuple[int, MatmulPrecision, str, Any]) -> None:
    """Make the settings of this process, on which the last bits of results depend, those of its parent."""
    threads, precision, demand, model = settings
    claim_compute(threads, precision)
    DEMAND_MODELS[demand] = model
