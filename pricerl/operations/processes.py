"""Pool of processes: calls run in them and here, and their results are those of this process alone."""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from loky import ProcessPoolExecutor

from pricerl.market.demand.models import DEMAND_MODELS
from pricerl.runtime import MatmulPrecision, claim_compute, usable_cores

if TYPE_CHECKING:
    from pricerl.training.run import Run

IDLE_SECONDS = 30
"""Time after which a process without a call ends and frees its memory; starting one takes two seconds."""

WATCH_SECONDS = 1.0
"""Time between two looks of a process at its parent."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Processes that help this one; they start with the first calls and end with this object or this process.

    Each is a fresh interpreter with this one's threads of torch, precision of matrix products, on which the last bits
    of results depend, and demand model, which its package registers only where a command imports it.
    """

    def __init__(self, threads: int, precision: MatmulPrecision, demand: str) -> None:
        self._threads = threads
        self._settings = (threads, precision, demand, DEMAND_MODELS[demand], os.getpid())
        self._pool: ProcessPoolExecutor | None = None

    @classmethod
    def of(cls, run: Run) -> Workers:
        """Return the workers for a run's data."""
        return cls(run.options.threads, run.options.matmul_precision, run.pricing.market_config.demand)

    @property
    def most(self) -> int:
        """Number of processes for which there are cores."""
        return usable_cores() // self._threads - 1

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call a function of a module with each item, in processes and here, and return the results in order."""
        return self._finish(function, enumerate(items), {}, min(self.most, len(items) - 1))

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Start a call in a process, and return a function that waits for its result."""
        if self.most < 1:
            return lambda: function(item)
        running = {self._start(function, item, 1): (0, item)}
        return lambda: self._finish(function, (), running, 0)[0]

    def _finish(
        self,
        function: Callable[[Item], Result],
        calls: Iterable[tuple[int, Item]],
        running: dict[Future[Result], tuple[int, Item]],
        helpers: int,
    ) -> list[Result]:
        """Make all numbered calls and return their results in order; a call that fails in its process is made here.

        Processes make those ``running`` already; ``helpers`` of them take others, one at a time.
        """
        left = deque(calls)
        found: dict[int, Result] = {}
        reason = ""
        try:
            while left or running:
                while left and len(running) < helpers:
                    number, item = left.popleft()
                    running[self._start(function, item, helpers)] = (number, item)
                if left:
                    number, item = left.popleft()
                    found[number] = function(item)
                for future in wait(running, 0 if left else None, FIRST_COMPLETED).done:
                    number, item = running.pop(future)
                    if (error := future.exception()) is None:
                        found[number] = future.result()
                    else:
                        reason = reason or f"{type(error).__name__}: {error}"
                        helpers = 0
                        left.append((number, item))
        except BaseException:
            self._end()
            raise
        if reason:
            self._end()
            warnings.warn(f"work is done a second time, its own process failed: {reason}", stacklevel=3)
        return [found[number] for number in range(len(found))]

    def _start(self, function: Callable[[Item], Result], item: Item, helpers: int) -> Future[Result]:
        """Start a call in one of the processes, of which the first call starts so many as ``helpers``."""
        try:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    helpers, timeout=IDLE_SECONDS, initializer=_prepare, initargs=self._settings
                )
                weakref.finalize(self, self._pool.shutdown, kill_workers=True)
            future: Future[Result] = self._pool.submit(function, item)
        except (OSError, RuntimeError) as error:  # no process can start
            future = Future()
            future.set_exception(error)
        return future

    def _end(self) -> None:
        """End the processes, busy or not."""
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
            self._pool = None


def _prepare(threads: int, precision: MatmulPrecision, demand: str, model: Any, parent: int) -> None:
    """Make the settings of this process those of its parent, end with it, and leave warnings to it."""
    warnings.simplefilter("ignore")

    def end_with_parent() -> NoReturn:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    claim_compute(threads, precision)
    DEMAND_MODELS[demand] = model
