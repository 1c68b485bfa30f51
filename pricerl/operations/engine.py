"""Engines: where joblib runs calls for a catalogue. Processes of this machine, Dask, Ray and Spark give the same.

An engine starts calls and no more: the decision log, relations between products and the outbox stay in this process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from joblib import Parallel, delayed, parallel_config

from pricerl.errors import InterruptedRunError, UsageError
from pricerl.operations.clusters import connect, report_failures, worker_environment
from pricerl.runtime import MatmulPrecision, claim_compute, return_freed_memory, usable_cores
from pricerl.terminal import print_notes

if TYPE_CHECKING:
    from pricerl.runs.run import Run

CHUNK = 25
"""Products computed together: some 60 MB of markets and plans."""
MOST_SECONDS = 300.0
"""Time without any result after which workers are lost; a chunk of products takes some ten seconds."""
COSTLY = "its calculation has ended two processes, perhaps for lack of memory or time; shorten the history"
"""Reason of a product without advice."""
ONE_BY_ONE = ("loky", "dask")
"""Backends that return each result when it is there; other backends lose all of them with one worker."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Part = tuple[range, list[Any]]
"""Rows of items, and their results or exceptions."""


class Engine:
    """Calls pure functions in workers, which have this process's ``threads`` of torch and ``precision`` of products.

    The last bits of results depend on them. `connect` describes the ``name``. Processes of this machine start with the
    first calls and end when they are idle, or with this process.
    """

    def __init__(self, threads: int, precision: MatmulPrecision, name: str = "local") -> None:
        self._workers = usable_cores() // threads
        self._prepare = partial(claim_compute, threads, precision)
        self._name = name
        connect(name, self._workers)

    @classmethod
    def of(cls, run: Run) -> Engine:
        """Return the engine for a run's data."""
        return cls(run.options.threads, run.options.matmul_precision, run.options.engine)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], size: int = 1) -> list[Result | Exception]:
        """Call a function of a module with each item, ``size`` of them at once; return results or exceptions in order.

        Calls that a lost worker leaves undone are repeated in ever smaller parts; one that has cost a worker on its own
        is an exception. Those that a cluster leaves undone are repeated on this computer.
        """
        found: dict[range, list[Any]] = {}
        groups = [[range(len(items))[row : row + size] for row in range(0, len(items), size)]]
        if self._name == "local" and min(self._workers, len(groups[0])) < 2:
            # here, as starting a process would take longer
            found.update(_work(rows, function, items[rows.start : rows.stop]) for rows in groups.pop())
        was_lost = False
        while groups:
            group = groups.pop()
            try:
                found.update(self._spread(function, items, group))
            except InterruptedRunError:
                raise
            except Exception as error:
                logging.getLogger(__name__).error("a worker was lost: %r", error)
            left = [rows for rows in group if rows not in found]
            if left and self._name != "local":
                print_notes([f"--engine {self._name} was lost; the catalogue goes on on this computer"])
                connect.cache_clear()
                self._name = "local"
                groups.append(left)
            elif was_lost and sum(map(len, left)) == 1:
                found[left[0]] = [UsageError(COSTLY)]
            elif left:
                was_lost = True
                single = left if len(left) > 1 else [range(row, row + 1) for row in left[0]]
                groups += filter(None, (single[::2], single[1::2]))
        results = [result for rows in sorted(found, key=lambda rows: rows.start) for result in found[rows]]
        for failure in (item for item in results if isinstance(item, Exception)):
            logging.getLogger(__name__).error("a call has failed: %r", failure, exc_info=failure)
        return results

    def _spread(self, function: Callable[[Any], Any], items: Sequence[Any], group: Sequence[range]) -> Iterator[Part]:
        """Yield the results of rows of items as workers return them; an error means that one was lost."""
        backend = connect(self._name, self._workers)
        one_by_one = {"return_as": "generator_unordered", "timeout": MOST_SECONDS}
        with worker_environment(), parallel_config(**backend) as config:
            if backend["backend"] == "dask":
                report_failures(config["backend"])
            spread = Parallel(batch_size=1, max_nbytes=None, **one_by_one if backend["backend"] in ONE_BY_ONE else {})
            work = delayed(_work)
            yield from spread(work(rows, function, items[rows.start : rows.stop], self._prepare) for rows in group)


def _work(
    rows: range, function: Callable[[Any], Any], items: Sequence[Any], prepare: Callable[[], object] = lambda: None
) -> Part:
    """Return rows with a function's result or exception for each of their items; a worker is prepared before."""
    prepare()
    results: list[Any] = []
    for item in items:
        try:
            results.append(function(item))
        except InterruptedRunError:
            raise
        except Exception as error:
            results.append(error)
    return_freed_memory()
    return rows, results
