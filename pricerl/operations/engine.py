"""Engines: where joblib runs calls for a catalogue. Processes of this machine, Dask, Ray and Spark give the same.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from joblib import Parallel, delayed, parallel_config

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
Results = dict[range, list[Any]]
"""Results or exceptions of rows of items."""
Work = Callable[[], tuple[range, Any]]
"""Function that returns rows with their results, or with None if their worker was lost."""
Call = Callable[[range, Callable[[], object] | None], Work]
"""Function that makes the work on rows of items, which begins with another function in a worker."""


class Cluster(NamedTuple):
    """Connection to an engine outside this process."""

    call: Callable[[Work], Any]
    """It returns the result of work in a worker; an error means that the worker was lost."""
    workers: int
    ask: Callable[[], object]
    """It raises an error, or does not return, if the cluster is lost."""
    close: Callable[[], object]


class Engine:
    """Calls pure functions in workers, which have this process's threads of torch and precision.

    The last bits of results depend on them. Processes of this machine start with the first calls and end when they are
    idle, or with this process.

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

    @classmethod
    def of(cls, run: Run) -> Engine:
        """Return the engine for a run's data."""
        options = run.options
        return cls(options.threads, options.matmul_precision, options.engine)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], size: int = 1) -> list[Result | Exception]:
        """Call a function of a module with each item, ``size`` of them at once; return results or exceptions in order.

        Calls that a lost worker leaves undone are repeated in ever smaller parts; one that has cost a worker on its own
        is an exception.
        """

        def call(part: range, prepare: Callable[[], object] | None) -> Work:
            return partial(_work, part, function, items[part.start : part.stop], prepare)

        found: Results = {}
        try:
            self._find(call, [range(row, min(row + size, len(items))) for row in range(0, len(items), size)], found)
        except BaseException:
            self._end()
            raise
        results = [result for part in sorted(found, key=lambda part: part.start) for result in found[part]]
        for error in (item for item in results if isinstance(item, Exception)):
            logging.getLogger(__name__).error("a call has failed: %r", error, exc_info=error)
        return results

    def _find(self, call: Call, rows: Sequence[range], found: Results, again: bool = False) -> None:
        """Add the results of calls for groups of rows, ``again`` if a worker was lost with one of them."""
        slots = min(usable_cores() // self._threads, len(rows))
        if self._cluster is None and slots < 2 and not again:  # starting a process would take longer
            found.update(call(part, None)() for part in rows)
            return
        spread = partial(self._spread, call, rows, found)
        try:
            spread() if self._cluster is None else self._watch(spread)
        except InterruptedRunError:
            raise
        except Exception as error:
            logging.getLogger(__name__).error("a worker was lost: %r", error)
        left = [part for part in rows if part not in found]
        if not left:
            return
        if self._cluster is not None and not _within_limit(self._cluster.ask):
            print_notes([f"--engine {self._name} was lost; the catalogue goes on on this computer"])
            self._end()
            self._find(call, left, found, again)
        elif not again and self._cluster is None and not self._starts():
            warnings.warn("work is done here, as no process starts", stacklevel=2)
            found.update(call(part, None)() for part in left)
        elif again and sum(map(len, left)) == 1:
            found[left[0]] = [UsageError(COSTLY)]
        else:
            single = left if len(left) > 1 else [range(row, row + 1) for row in left[0]]
            middle = (len(single) + 1) // 2
            for half in filter(None, (single[:middle], single[middle:])):
                self._find(call, half, found, again=True)

    def _spread(self, call: Call, rows: Sequence[range], found: Results) -> None:
        """Add the results of calls in workers; those are missing that a lost worker leaves undone."""
        works: Iterable[Work] = (call(part, self._prepare) for part in rows)
        if (cluster := self._cluster) is None:
            workers = max(2, usable_cores() // self._threads)  # a single one would be this process
            backend = {"backend": "loky", "n_jobs": workers, "idle_worker_timeout": IDLE_SECONDS}
            backend |= {"initializer": _follow, "initargs": (os.getpid(),)}
        else:
            backend = {"backend": "threading", "n_jobs": 2 * cluster.workers}  # each waits for a call
            works = (partial(_wait_for, cluster.call, work) for work in works)
        with _safe_start(), parallel_config(**backend):
            spread = Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
            found.update(item for item in spread(delayed(work)() for work in works) if item[1] is not None)

    def _starts(self) -> bool:
        """Return whether a process of this machine starts."""
        try:
            self._spread(lambda part, prepare: partial(_work, part, abs, part, prepare), [range(1)], {})
        except InterruptedRunError:
            raise
        except Exception:
            return False
        return True

    def _watch(self, work: Callable[[], None]) -> None:
        """Do work on the cluster; a cluster that does not answer is a ``ConnectionError``."""
        assert self._cluster is not None
        future = _in_thread(work)
        while not wait([future], CONNECT_SECONDS).done:
            if not _within_limit(self._cluster.ask):
                raise ConnectionError("the cluster does not answer")
        future.result()

    def _end(self) -> None:
        """End the connection to a cluster."""
        if self._cluster is not None:
            connect.cache_clear()
            _within_limit(self._cluster.close)
            self._cluster = None


def _in_thread(function: Callable[[], object]) -> Future[object]:
    """Call a function in a thread of its own that holds up nobody."""
    future: Future[object] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


def _within_limit(function: Callable[[], object]) -> bool:
    """Call a function, and return whether it ended without an error in `CONNECT_SECONDS`."""
    future = _in_thread(function)
    return bool(wait([future], CONNECT_SECONDS).done) and future.exception() is None


def _wait_for(call: Callable[[Work], Any], work: Work) -> Any:
    """Return what work returns in a worker, or its rows without results if the worker is lost."""
    try:
        return call(work)
    except InterruptedRunError:
        raise
    except Exception as error:
        logging.getLogger(__name__).error("a worker was lost: %r", error)
        return range(0), None


def _work(
    part: range, function: Callable[[Any], Any], items: Sequence[Any], prepare: Callable[[], object] | None
) -> tuple[range, list[Any]]:
    """Return rows with a function's result or exception for each item; one that takes too long is interrupted."""
    if prepare is not None:
        prepare()
    results = [_limited(function, item) for item in items]
    return_freed_memory()
    return part, results


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
    they belong to a cluster with this version of pricerl. An unknown engine, one out of reach, or one to which
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
    workers = max(1, sum(client.nthreads().values()))
    ask = partial(client.wait_for_workers, 1)  # Dask may fail to replace those that ended one after the other
    return Cluster(lambda work: client.submit(work, pure=False).result(), workers, ask, client.close)


def _start_ray(ray: Any, place: str, workers: int) -> Cluster:
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "logging_level": logging.ERROR}
    if place:
        _check_path(place, os.environ.get("RAY_USE_TLS") == "1", "set RAY_USE_TLS=1 and Ray's certificates")
        settings = {"address": f"ray://{place}"}
    ray.init(**settings, ignore_reinit_error=True, log_to_driver=False)
    start = ray.remote(max_retries=0)(lambda work: work())
    workers = int(ray.cluster_resources()["CPU"])
    return Cluster(lambda work: ray.get(start.remote(work)), workers, ray.cluster_resources, ray.shutdown)


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
    ask = context.statusTracker().getActiveJobsIds
    call = lambda work: context.parallelize([0], 1).map(lambda _: work()).collect()[0]  # noqa: E731
    return Cluster(call, context.defaultParallelism, ask, context.stop)


def _check_path(place: str, encrypted: bool, remedy: str) -> None:
    """Refuse unencrypted connections beyond this computer; a place may be several addresses, joined by commas."""
    hosts = [urlsplit(f"//{address}").hostname or "" for address in place.split(",")]
    here = {"localhost"}.union(host for host in hosts if re.fullmatch(r"127(\.\d+){3}|::1", host))
    if not encrypted and not here.issuperset(hosts):
        raise UsageError(f"calls would cross the network unencrypted; {remedy}, or name a cluster on this computer")


CLUSTERS = {"dask": ("distributed", _start_dask), "ray": ("ray", _start_ray), "spark": ("pyspark", _start_spark)}
"""Module of each library, and the function that connects to it: ``(module, place, local workers)``."""
