"""Engines: where calls for a catalogue run. Processes of this machine, Dask, Ray and Spark give the same results.

An engine starts calls and no more: the decision log, relations between products and the outbox stay in this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import signal
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from loky import ProcessPoolExecutor

from pricerl.errors import InterruptedRunError, UsageError, did_you_mean, import_extra, signals_handled
from pricerl.runtime import MatmulPrecision, claim_compute, return_freed_memory, usable_cores
from pricerl.terminal import print_notes

if TYPE_CHECKING:
    from pricerl.runs.run import Run

CHUNK = 25
"""Products computed together: some 60 MB of markets and plans."""

MOST_SECONDS = 300.0
"""Time limit of a call; a chunk of products takes some ten seconds."""

IDLE_SECONDS = 30
"""Time after which a process without a call ends and frees its memory; starting one takes two seconds."""

CONNECT_SECONDS = 10.0
"""Time in which a cluster must answer, and after which one is asked again if no call has ended."""

COSTLY = "its calculation has ended two processes, perhaps for lack of memory; shorten the history"
"""Reason of a product without advice."""

WATCH_SECONDS = 1.0
"""Time between two looks of a process at its parent."""

SAFE = {"PYTHONSAFEPATH": "1"}
"""Environment in which Python imports no module of the working folder, such as a stranger's ``json.py``."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Cluster(NamedTuple):
    """Connection to an engine outside this process."""

    submit: Callable[..., Future[Any]]
    """``submit(function, *arguments) -> future``."""
    workers: int
    ask: Callable[[], object]
    """It raises an error, or does not return, if the cluster is lost."""
    close: Callable[[], object]


class Engine:
    """Calls pure functions in workers, which have this process's threads of torch and precision.

    The last bits of results depend on them. Processes of this machine start with the first calls and end with this
    object or this process.

    Args:
        threads: of torch, per worker.
        precision: of matrix products.
        name: ``local``, or a cluster as `connect` describes it.
    """

    def __init__(self, threads: int, precision: MatmulPrecision, name: str = "local") -> None:
        self._threads = threads
        self._prepare = partial(claim_compute, threads, precision)
        self._name = name
        self._cluster = connect(name, threads)
        self._pool: Any = None

    @classmethod
    def of(cls, run: Run) -> Engine:
        """Return the engine for a run's data."""
        options = run.options
        return cls(options.threads, options.matmul_precision, options.engine)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], size: int = 1) -> list[Result | Exception]:
        """Call a function of a module with each item, ``size`` of them at once; return results or exceptions in order.

        Calls whose worker was lost are repeated one by one; one that loses another worker is an exception.
        """
        left = deque(range(first, min(first + size, len(items))) for first in range(0, len(items), size))
        running: dict[Future[Any], range] = {}
        found: dict[int, Result | Exception] = {}
        suspects: list[int] = []
        slots = self._slots(len(left))
        try:
            while left or running:
                if slots < 2:  # starting a process for it would take longer
                    batch = left.popleft()
                    found.update(zip(batch, attempt(function, [items[row] for row in batch]), strict=True))
                    continue
                while left and len(running) < slots:
                    batch = left.popleft()
                    running[self._start(function, [items[row] for row in batch], slots)] = batch
                ended = self._wait(list(running), size)
                lost = [running.pop(future) for future in ended if _is_lost(future)]
                for future in ended & running.keys():
                    found.update(zip(running.pop(future), future.result(), strict=True))
                if (lost or not ended) and self._leave_lost():
                    left.extendleft([*lost, *running.values()])
                    running.clear()
                    slots = self._slots(len(left))
                else:
                    suspects += [row for batch in lost for row in batch]
            for row in suspects:
                found[row] = self._repeat(function, items[row])
            if suspects:
                self._end_pool()  # it has one process
        except BaseException:
            self._end()
            raise
        for error in (item for item in found.values() if isinstance(item, Exception)):
            logging.getLogger(__name__).error("a call has failed: %r", error, exc_info=error)
        return [found[row] for row in range(len(items))]

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result | Exception]:
        """Start a call in a worker, and return a function that waits for its result or exception."""
        future = self._start(function, [item], 1)

        def finish() -> Result | Exception:
            found = self._take(future)
            if found is None:
                self._leave_lost()
            return self._repeat(function, item) if found is None else found[0]

        return finish

    def _slots(self, batches: int) -> int:
        """Return the number of batches to have in workers at once; below 2, they are calls of this process."""
        cluster = self._cluster
        return min(usable_cores() // self._threads, batches) if cluster is None else 2 * cluster.workers

    def _start(self, function: Callable[[Item], Result], items: Sequence[Item], helpers: int) -> Future[Any]:
        """Start calls in a worker; the first ones on this machine start so many processes as ``helpers``."""
        for _ in range(2):  # a pool that has lost a process is replaced
            try:
                if self._cluster is None and self._pool is None:
                    initial = {"initializer": _follow, "initargs": (os.getpid(),), "env": SAFE}
                    self._pool = ProcessPoolExecutor(helpers, timeout=IDLE_SECONDS, **initial)
                    weakref.finalize(self, self._pool.shutdown, kill_workers=True)
                pool = self._pool if self._cluster is None else self._cluster
                submit: Callable[..., Future[Any]] = pool.submit
                with _safe_start():
                    return submit(attempt, function, items, self._prepare)
            except InterruptedRunError:
                raise
            except Exception as error:
                self._end_pool()
                future: Future[Any] = Future()
                future.set_exception(error)
        return future

    def _wait(self, futures: Sequence[Future[Any]], size: int = 1) -> set[Future[Any]]:
        """Wait for one of some calls, of up to ``size`` items each; return those that ended, or none if all seem lost.

        A cluster is asked now and then, and is lost as well if none ends in the time limit of a call.
        """
        until = time.monotonic() + size * MOST_SECONDS + CONNECT_SECONDS
        while not (ended := wait(futures, CONNECT_SECONDS, FIRST_COMPLETED).done):
            if self._cluster is not None and (time.monotonic() > until or not _within_limit(self._cluster.ask)):
                break
        return ended

    def _take(self, future: Future[list[Result | Exception]]) -> list[Result | Exception] | None:
        """Wait for the results of calls in a worker; return None if it was lost."""
        return future.result() if self._wait([future]) and not _is_lost(future) else None

    def _leave_lost(self, known: bool = False) -> bool:
        """Go on with processes of this machine if the cluster is ``known`` to be lost or does not answer."""
        lost = self._cluster is not None and (known or not _within_limit(self._cluster.ask))
        if lost:
            print_notes([f"--engine {self._name} was lost; the catalogue goes on on this computer"])
            self._end()
        return lost

    def _repeat(self, function: Callable[[Item], Result], item: Item) -> Result | Exception:
        """Repeat a call that has cost a worker while no other runs; one that costs another is an exception."""
        if self._take(self._start(abs, [0], 1)) is None:  # not the call's fault
            if self._cluster is None:
                warnings.warn("work is done here, as no process starts", stacklevel=2)
                return attempt(function, [item])[0]
            self._leave_lost(known=True)
        elif (found := self._take(self._start(function, [item], 1))) is not None:
            return found[0]
        elif not self._leave_lost():
            return UsageError(COSTLY)
        return self._repeat(function, item)

    def _end(self) -> None:
        """End the connection to a cluster, and the processes on this machine, busy or not."""
        if self._cluster is not None:
            connect.cache_clear()
            _within_limit(self._cluster.close)
            self._cluster = None
        self._end_pool()

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
            self._pool = None


def _is_lost(future: Future[Any]) -> bool:
    """Return whether the worker of calls that have ended was lost."""
    error = None if future.cancelled() else future.exception()
    if isinstance(error, InterruptedRunError):
        raise error
    return future.cancelled() or error is not None


def _within_limit(function: Callable[[], object]) -> bool:
    """Call a function, and return whether it ended without an error in `CONNECT_SECONDS`."""
    future: Future[object] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return bool(wait([future], CONNECT_SECONDS).done) and future.exception() is None


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


def _follow(parent: int) -> None:
    """End this process with its parent, and leave warnings and Ctrl-C to it."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> NoReturn:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()


@contextlib.contextmanager
def _safe_start() -> Iterator[None]:
    """Let processes that are started import nothing from the folder in which they start."""
    before = dict(os.environ)
    os.environ.update(SAFE)
    try:
        yield
    finally:
        for name in SAFE.keys() - before.keys():
            del os.environ[name]


@cache
def connect(name: str, threads: int) -> Cluster | None:
    """Return the connection to an engine; None for ``local``.

    ``dask``, ``ray`` and ``spark`` start workers on this machine, each with ``threads`` cores; with ``://HOST:PORT``
    they are those of a cluster with this version of pricerl. An unknown engine, one out of reach, or one to which
    calls would cross a network unencrypted, is a ``UsageError``.
    """
    kind, _, place = name.partition("://")
    if name == "local":
        return None
    if kind not in CLUSTERS:
        known = f"local, {', '.join(CLUSTERS)} or a cluster such as dask://localhost:8786"
        raise UsageError(f"--engine must be {known}; found {name!r}{did_you_mean(kind, ['local', *CLUSTERS])}")
    module, start = CLUSTERS[kind]
    library = import_extra(module, f'--engine {kind} needs an extra: pip install -e ".[{kind}]"')
    try:
        with _safe_start():
            return start(library, place, usable_cores() // threads)
    except UsageError as error:
        raise UsageError(f"--engine {name}: {error}") from error
    except Exception as error:
        raise UsageError(f"--engine {name}: {error!r}; check that it runs at this address") from error


def _start_dask(distributed: Any, place: str, workers: int) -> Cluster:
    warnings.filterwarnings("ignore", "Sending large graph|Port 8787")  # a chunk with its markets has some 20 MB
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    environ = SAFE | {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
    changed: dict[str, Any] = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in environ.items()}
    changed |= {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}
    changed |= {"distributed.scheduler.allowed-failures": 0}
    settings: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1"}
    settings |= {"security": True, "dashboard_address": None}
    if place:
        security = distributed.Security()
        encrypted = security.tls_client_cert is not None
        _check_path(place, encrypted, "name the certificates in distributed.comm.tls of Dask's configuration")
        address = f"{'tls' if encrypted else 'tcp'}://{place}"
        settings = {"address": address, "timeout": CONNECT_SECONDS, "security": security}
    with import_module("dask").config.set(changed):
        client = distributed.Client(**settings)
    ask = partial(client.sync, client.scheduler.identity)
    submit = client.get_executor(pure=False).submit
    return Cluster(submit, max(1, sum(client.nthreads().values())), ask, client.close)


def _start_ray(ray: Any, place: str, workers: int) -> Cluster:
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "logging_level": logging.ERROR}
    if place:
        _check_path(place, os.environ.get("RAY_USE_TLS") == "1", "set RAY_USE_TLS=1 and Ray's certificates")
        settings = {"address": f"ray://{place}"}
    ray.init(**settings, ignore_reinit_error=True, log_to_driver=False)
    call = ray.remote(max_retries=0)(attempt)
    submit = lambda _, *arguments: call.remote(*arguments).future()  # noqa: E731
    return Cluster(submit, int(ray.cluster_resources()["CPU"]), ray.cluster_resources, ray.shutdown)


def _start_spark(pyspark: Any, place: str, workers: int) -> Cluster:
    usual = {"spark.master": f"spark://{place}" if place else f"local[{workers},1]", "spark.ui.enabled": "false"}
    usual["spark.ui.showConsoleProgress"] = "false"
    usual |= {} if place else {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    settings = pyspark.SparkConf()
    for name, value in usual.items():
        settings.setIfMissing(name, value)
    with signals_handled({signal.SIGINT: signal.getsignal(signal.SIGINT)}):  # Spark handles it its own way
        context = pyspark.SparkContext.getOrCreate(settings)
    context.setLogLevel("OFF")
    known = ("spark.authenticate", "spark.network.crypto.enabled")
    encrypted = all(context.getConf().get(name) == "true" for name in known)
    _check_path(place or "localhost", encrypted, f"set {' and '.join(known)} to true in Spark's configuration")
    jobs = ThreadPoolExecutor(2 * context.defaultParallelism)

    def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        job = context.parallelize([arguments], 1).map(lambda given: function(*given))
        return jobs.submit(lambda: job.collect()[0])

    ask = context.statusTracker().getActiveJobsIds
    return Cluster(submit, context.defaultParallelism, ask, context.stop)


def _check_path(place: str, encrypted: bool, remedy: str) -> None:
    """Refuse unencrypted connections beyond this computer; a place may be several addresses, joined by commas."""
    hosts = [urlsplit(f"//{address}").hostname or "" for address in place.split(",")]
    here = {"localhost"}.union(host for host in hosts if re.fullmatch(r"127(\.\d+){3}|::1", host))
    if not encrypted and not here.issuperset(hosts):
        raise UsageError(f"calls would cross the network unencrypted; {remedy}, or name a cluster on this computer")


CLUSTERS = {"dask": ("distributed", _start_dask), "ray": ("ray", _start_ray), "spark": ("pyspark", _start_spark)}
"""Module of each library, and the function that connects to it: ``(module, place, local workers)``."""
