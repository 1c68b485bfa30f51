"""Workers of joblib's backends, started on this machine or reached: loky, Dask, Ray and Spark."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from pricerl.errors import UsageError, did_you_mean, import_extra, refuse, signals_handled

WORKERS = {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore"}
"""Environment of workers: they import nothing from the working folder, and leave warnings to this process."""
IDLE_SECONDS = 5
"""Time after which a process without a call ends and frees its memory; starting one takes two seconds."""
CONNECT_SECONDS = 10.0
"""Time in which a cluster must answer."""
DASK = {
    **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in WORKERS.items()},
    "distributed.nanny.pre-spawn-environ.DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
    **{f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")},
}
"""Dask's configuration: quiet processes without a page."""
SPARK = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
SPARK_ENCRYPTION = ("spark.authenticate", "spark.network.crypto.enabled")


@contextlib.contextmanager
def worker_environment() -> Iterator[None]:
    """Give processes that are started their environment, unless the user has set it."""
    added = WORKERS.keys() - os.environ.keys()
    os.environ.update({name: WORKERS[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@cache
def connect(name: str, workers: int) -> dict[str, Any]:
    """Return the settings of joblib's backend for an engine, whose workers are started or reached.

    ``local`` means processes of this machine. ``dask``, ``ray`` and ``spark`` start workers on it; with
    ``://HOST:PORT`` they belong to a cluster with this version of pricerl. An unknown engine, one out of reach, or one
    to which calls would cross a network unencrypted, is a ``UsageError``.
    """
    if name == "local":
        return {
            "backend": "loky",
            "n_jobs": max(2, workers),
            "idle_worker_timeout": IDLE_SECONDS,
            "initializer": _follow,
            "initargs": (os.getpid(),),
        }
    kind, _, place = name.partition("://")
    if kind not in CLUSTERS:
        known = f"local, {', '.join(CLUSTERS)} or a cluster such as dask://localhost:8786"
        raise UsageError(f"--engine must be {known}; found {name!r}{did_you_mean(kind, ['local', *CLUSTERS])}")
    module, start = CLUSTERS[kind]
    library = import_extra(module, f'--engine {kind} needs an extra: pip install -e ".[{kind}]"')
    try:
        with worker_environment():
            return {"backend": kind, **start(library, place, workers)}
    except UsageError as error:
        raise UsageError(f"--engine {name}: {error}") from error
    except Exception as error:
        raise UsageError(f"--engine {name}: {error!r}; check that it runs at this address") from error


def _follow(parent: int) -> None:
    """Leave Ctrl-C to the parent of this process, and end with it, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _start_dask(distributed: Any, place: str, workers: int) -> dict[str, Any]:
    warnings.filterwarnings("ignore", "Sending large graph")  # a chunk with its markets has some 20 MB
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    settings: dict[str, Any] = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "security": True,
        "dashboard_address": None,
    }
    if place:
        security = distributed.Security()
        encrypted = security.tls_client_cert is not None
        _check_path(place, encrypted, "name the certificates in distributed.comm.tls of Dask's configuration")
        settings = {"address": f"{'tls' if encrypted else 'tcp'}://{place}", "security": security}
    with import_module("dask").config.set(DASK):
        return {"client": distributed.Client(timeout=CONNECT_SECONDS, **settings)}


def report_failures(backend: Any) -> None:
    """Let joblib see at once that Dask has given a call up; its backend passes results on, and leaves these to wait."""
    submit = backend.submit

    def reported(function: Callable[[], Any], callback: Callable[[Any], Any]) -> Any:
        call = submit(function, callback)
        call.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
        return call

    backend.submit = reported


def _start_ray(joblib_of_ray: Any, place: str, workers: int) -> dict[str, Any]:
    ray = import_module("ray")
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "logging_level": logging.ERROR}
    if place:
        _check_path(place, os.environ.get("RAY_USE_TLS") == "1", "set RAY_USE_TLS=1 and Ray's certificates")
        settings = {"address": f"ray://{place}"}
    ray.init(**settings, ignore_reinit_error=True, log_to_driver=False)
    joblib_of_ray.register_ray()
    return {"n_jobs": int(ray.cluster_resources()["CPU"])}


def _start_spark(joblibspark: Any, place: str, workers: int) -> dict[str, Any]:
    warnings.filterwarnings("ignore", "Spark (local|version|session)|`apply_async` is deprecated")  # joblibspark
    spark = import_module("pyspark")
    home = dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
    where = {"spark.master": f"spark://{place}"} if place else {"spark.master": f"local[{workers},4]", **home}
    with signals_handled({signal.SIGINT: signal.getsignal(signal.SIGINT)}):  # Spark handles it its own way
        context = spark.SparkContext.getOrCreate(spark.SparkConf().setAll({**SPARK, **where}.items()))
    context.setLogLevel("OFF")
    encrypted = all(context.getConf().get(name) == "true" for name in SPARK_ENCRYPTION)
    _check_path(place, encrypted, f"set {' and '.join(SPARK_ENCRYPTION)} to true in Spark's configuration")
    joblibspark.register_spark()
    return {"n_jobs": context.defaultParallelism}


def _check_path(place: str, encrypted: bool, remedy: str) -> None:
    """Refuse unencrypted connections beyond this computer; a place may be several addresses, joined by commas."""
    hosts = [urlsplit(f"//{address}").hostname or "" for address in place.split(",") if place]
    here = [host for host in hosts if re.fullmatch(r"localhost|127(\.\d+){3}|::1", host)]
    is_open = not encrypted and here != hosts
    refuse({f"calls would cross the network unencrypted; {remedy}, or name a cluster on this computer": is_open})


CLUSTERS = {
    "dask": ("distributed", _start_dask),
    "ray": ("ray.util.joblib", _start_ray),
    "spark": ("joblibspark", _start_spark),
}
"""Module of each library, and the function that connects to it: ``(module, place, local workers)``."""
