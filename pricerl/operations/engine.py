"""Engines: where calls for a catalogue run. Processes of this machine, Dask, Ray and Spark give the same results.

An engine starts calls and no more: the decision log, relations between products and the outbox stay in this process.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from loky import ProcessPoolExecutor

from pricerl.errors import InterruptedRunError, UsageError, did_you_mean, import_extra
from pricerl.market.demand.models import DEMAND_MODELS
from pricerl.runs.run_log import logger
from pricerl.runtime import MatmulPrecision, claim_compute, return_freed_memory, usable_cores

if TYPE_CHECKING:
    from pricerl.training.run import Run

CHUNK = 25
"""Products computed together: some 60 MB of markets and plans."""

MOST_SECONDS = 300.0
"""Time limit of a call; a chunk of products takes some ten seconds."""

IDLE_SECONDS = 30
"""Time after which a process without a call ends and frees its memory; starting one takes two seconds."""

CONNECT_SECONDS = 10.0
"""Time in which Dask's scheduler must answer."""

WATCH_SECONDS = 1.0
"""Time between two looks of a process at its parent."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine:
    """Calls pure functions in workers, which have this process's threads of torch, precision and demand model.

    On the first two the last bits of results depend; the last is registered only where a command imports its package.
    Processes of this machine help this one: they start with the first calls and end with this object or this process.

    Args:
        threads: of torch, per worker.
        precision: of matrix products.
        demand: name of the demand model.
        name: ``local``, or a cluster as `connect` describes it.
    """

    def __init__(self, threads: int, precision: MatmulPrecision, demand: str, name: str = "local") -> None:
        self._threads = threads
        self._prepare = partial(_prepare, threads, precision, demand, DEMAND_MODELS[demand])
        self._submit, self._workers = connect(name, threads)
        self._pool: Any = None

    @classmethod
    def of(cls, run: Run) -> Engine:
        """Return the engine for a run's data."""
        options = run.options
        return cls(options.threads, options.matmul_precision, run.pricing.market_config.demand, options.engine)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], size: int = 1) -> list[Result | Exception]:
        """Call a function of a module with each item, ``size`` of them at once; return results or exceptions in order.

        Calls whose worker was lost are repeated, and made here if that happens again.
        """
        left = deque((first, items[first : first + size]) for first in range(0, len(items), size))
        running: dict[Future[Any], tuple[int, Sequence[Item]]] = {}
        found: dict[int, list[Result | Exception]] = {}
        lost: set[int] = set()
        here = self._submit is None
        slots = min(usable_cores() // self._threads, len(left)) - 1 if here else 2 * self._workers
        try:
            while left or running:
                while left and len(running) < slots:
                    first, some = left.popleft()
                    running[self._start(function, some, slots)] = (first, some)
                if here and left:
                    first, some = left.popleft()
                    found[first] = attempt(function, some)
                for future in wait(running, 0 if here and left else None, FIRST_COMPLETED).done:
                    first, some = running.pop(future)
                    if first in lost or not (future.cancelled() or future.exception()):
                        found[first] = self._finish(future, function, some)
                    else:
                        lost.add(first)
                        left.append((first, some))
        except BaseException:
            self._end()
            raise
        results = [item for first in sorted(found) for item in found[first]]
        for error in (item for item in results if isinstance(item, Exception)):
            logger().error("a call has failed: %r", error, exc_info=error)
        return results

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result | Exception]:
        """Start a call in a worker, and return a function that waits for its result or exception."""
        future = self._start(function, [item], 1)
        return lambda: self._finish(future, function, [item])[0]

    def _start(self, function: Callable[[Item], Result], items: Sequence[Item], helpers: int) -> Future[Any]:
        """Start calls in a worker; the first ones on this machine start so many processes as ``helpers``."""
        for _ in range(2):  # a pool that has lost a process is replaced
            try:
                if self._submit is None and self._pool is None:
                    initial = {"initializer": _follow, "initargs": (os.getpid(),)}
                    self._pool = ProcessPoolExecutor(helpers, timeout=IDLE_SECONDS, **initial)
                    weakref.finalize(self, self._pool.shutdown, kill_workers=True)
                submit: Callable[..., Future[Any]] = self._submit or self._pool.submit
                return submit(attempt, function, items, self._prepare)
            except (OSError, RuntimeError) as error:
                self._end()
                future: Future[Any] = Future()
                future.set_exception(error)
        return future

    def _finish(
        self, future: Future[list[Result | Exception]], function: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Result | Exception]:
        """Wait for calls in a worker, or make them here if it was lost."""
        try:
            return future.result()
        except InterruptedRunError:
            raise
        except Exception as error:
            warnings.warn(f"work is done a second time, its own process failed: {error!r}", stacklevel=2)
            return attempt(function, items)

    def _end(self) -> None:
        """End the processes on this machine, busy or not."""
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
            self._pool = None


def attempt(
    function: Callable[[Item], Result], items: Sequence[Item], prepare: Callable[[], None] | None = None
) -> list[Result | Exception]:
    """Return a function's result for each item, or its exception; one that takes `MOST_SECONDS` is interrupted."""
    if prepare is not None:
        prepare()
    results = [_limited(function, item) for item in items]
    return_freed_memory()
    return results


def _limited(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    thread = ctypes.c_ulong(threading.get_ident())
    interrupt = partial(ctypes.pythonapi.PyThreadState_SetAsyncExc, thread, ctypes.py_object(TimeoutError))
    timer = threading.Timer(MOST_SECONDS, interrupt)
    timer.daemon = True
    timer.start()
    try:
        try:
            return function(item)
        finally:
            timer.cancel()
    except InterruptedRunError:
        raise
    except TimeoutError:
        return UsageError(f"took longer than {MOST_SECONDS:g} s; shorten the history")
    except Exception as error:
        return error


def _prepare(threads: int, precision: MatmulPrecision, demand: str, model: Any) -> None:
    """Make the settings of a worker those of the process that sends the calls."""
    claim_compute(threads, precision)
    DEMAND_MODELS[demand] = model


def _follow(parent: int) -> None:
    """End this process with its parent, and leave warnings to it."""
    warnings.simplefilter("ignore")

    def end_with_parent() -> NoReturn:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()


@cache
def connect(name: str, threads: int) -> tuple[Callable[..., Any] | None, int]:
    """Return ``submit(function, *arguments) -> future`` of an engine and its number of workers; None for ``local``.

    ``dask``, ``ray`` and ``spark`` start workers on this machine, each with ``threads`` cores; with ``://HOST:PORT``
    they are those of a cluster with this version of pricerl. An unknown engine, or one out of reach, is a
    ``UsageError``.
    """
    kind = name.partition("://")[0]
    if name == "local":
        return None, 0
    if kind not in CLUSTERS:
        known = f"local, {', '.join(CLUSTERS)} or a cluster such as dask://localhost:8786"
        raise UsageError(f"--engine must be {known}; found {name!r}{did_you_mean(kind, ['local', *CLUSTERS])}")
    module, start = CLUSTERS[kind]
    library = import_extra(module, f'--engine {kind} needs an extra: pip install -e ".[{kind}]"')
    try:
        return start(library, "" if name == kind else name, usable_cores() // threads)
    except Exception as error:
        raise UsageError(f"--engine {name}: {error!r}; check that it runs at this address") from error


def _start_dask(distributed: Any, address: str, workers: int) -> tuple[Callable[..., Any], int]:
    warnings.filterwarnings("ignore", "Sending large graph")  # a chunk with its markets has some 20 MB
    here = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    there = {"address": address.replace("dask://", "tcp://"), "timeout": CONNECT_SECONDS}
    client = distributed.Client(**(there if address else here))
    return client.get_executor(pure=False).submit, max(1, sum(client.nthreads().values()))


def _start_ray(ray: Any, address: str, workers: int) -> tuple[Callable[..., Any], int]:
    here = {"num_cpus": workers, "include_dashboard": False}
    ray.init(**({"address": address} if address else here), ignore_reinit_error=True, log_to_driver=False)
    call = ray.remote(attempt)
    return lambda _, *arguments: call.remote(*arguments).future(), int(ray.cluster_resources()["CPU"])


def _start_spark(pyspark: Any, address: str, workers: int) -> tuple[Callable[..., Any], int]:
    usual = address or f"local[{workers},4]"  # as often as Dask and Ray it repeats what is lost
    context = pyspark.SparkContext.getOrCreate(pyspark.SparkConf().setIfMissing("spark.master", usual))
    jobs = ThreadPoolExecutor(2 * context.defaultParallelism)

    def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        job = context.parallelize([arguments], 1).map(lambda given: function(*given))
        return jobs.submit(lambda: job.collect()[0])

    return submit, context.defaultParallelism


CLUSTERS = {"dask": ("distributed", _start_dask), "ray": ("ray", _start_ray), "spark": ("pyspark", _start_spark)}
"""Module of each library, and the function that connects to it: ``(module, address, local workers)``."""
