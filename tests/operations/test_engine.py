"""Calls spread over workers: the same results as here, no call lost, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from joblib._parallel_backends import ThreadingBackend

from pricerl.errors import InterruptedRunError, UsageError
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.operations import clusters, engine
from pricerl.operations.clusters import connect
from pricerl.operations.engine import Engine
from pricerl.simulation.seller import SellerConfig

UNUSED = {"lightning", "torchmetrics", "torch._dynamo", "scipy.signal", "scipy.stats", "pyarrow.parquet"}

ENDLESS = 10**6
"""Item with which a call does not end."""

NEEDS_DASK = pytest.mark.skipif(find_spec("distributed") is None, reason="no Dask")

SCRIPT = """
import os, time
from pricerl.operations import engine
engine.usable_cores = lambda: 2
workers = engine.Engine(1, "highest")
print(*workers.map(abs, [-3, -4]))
print(*workers.map(eval, ["__import__('os').getpid()"] * 2), flush=True)
{end}
"""
"""Unguarded script on standard input: it would fail if another process ran it, too."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Engine]:
    """Workers on two cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "usable_cores", lambda: 2)
        yield Engine(1, "high")


def process(_: object) -> int:
    """Process of a call, after some time in which others can take one, too."""
    time.sleep(0.2)
    return os.getpid()


def environment(_: None) -> dict[str, Any]:
    import pricerl.operations.catalogue  # noqa: F401  # with all that the advice on a catalogue needs

    return {
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "unused": UNUSED & set(sys.modules),
        "safe": getattr(sys.flags, "safe_path", True),
        "patient": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    }


def die_of_7(item: int) -> int:
    if item == 7:
        os._exit(3)
    return item


def work(item: int) -> int:
    while item == ENDLESS:
        time.sleep(0.01)
    return abs(item)


def interrupt(_: int) -> None:
    raise InterruptedRunError("terminated", signal.SIGTERM)


def lose() -> None:
    raise ConnectionError


def test_calls_run_in_processes_and_their_results_are_in_order(workers: Engine) -> None:
    found = workers.map(process, range(4))
    assert os.getpid() not in found and len(set(found)) == 2
    assert workers.map(abs, range(-9, 0)) == list(range(9, 0, -1))


def test_a_process_has_the_settings_and_the_demand_model_of_this_one_and_imports_little(workers: Engine) -> None:
    expected = {"threads": 1, "precision": "high", "unused": set(), "safe": True, "patient": True}
    assert workers.map(environment, [None, None]) == [expected, expected]


def test_processes_fit_the_same_markets_to_the_last_bit(workers: Engine, simulated) -> None:
    shop = simulated(SellerConfig(days=60, products=3))
    demand = DemandConfig(num_draws=16)
    shared = fit_market(shop, demand, spread=workers.map)
    assert torch.equal(shared.log_curves, fit_market(shop, demand).log_curves)


def test_a_call_that_ends_its_process_twice_is_an_exception_and_the_others_are_repeated(workers: Engine) -> None:
    *found, lost = workers.map(die_of_7, [1, 2, 3, 7], size=2)
    assert found == [1, 2, 3] and "has ended two processes" in str(lost)


def test_a_call_that_fails_is_data() -> None:
    first, failed, last = Engine(1, "highest").map(abs, [-1, "a", 2], size=3)
    assert (first, last) == (1, 2) and isinstance(failed, TypeError)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_one_core_computes_each_call_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "usable_cores", lambda: 1)
    asked: list[int] = []
    assert Engine(1, "highest").map(asked.append, range(5), size=size) == [None] * 5 and asked == [*range(5)]


@pytest.mark.slow
def test_a_process_that_returns_nothing_in_time_is_lost(workers: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.map(abs, range(2))
    monkeypatch.setattr(engine, "MOST_SECONDS", 8.0)
    *found, lost = workers.map(work, [1, 2, ENDLESS])
    assert found == [1, 2] and "perhaps for lack of memory or time" in str(lost)


def test_an_interruption_is_no_failure_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "usable_cores", lambda: 1)
    with pytest.raises(InterruptedRunError):
        Engine(1, "highest").map(interrupt, [0, 1])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dusk", r"must be local, dask, ray, spark or a cluster such as .*; found 'dusk'; did you mean 'dask'\?"),
        ("local://x", "must be local, dask"),
        pytest.param("dask://127.0.0.1:9", "check that it runs at this address", marks=NEEDS_DASK),
        pytest.param("dask://192.0.2.1:9", "unencrypted; name the certificates", marks=NEEDS_DASK),
    ],
)
def test_an_engine_that_is_unknown_or_out_of_reach_is_refused(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
    with pytest.raises(UsageError, match=words):
        Engine(1, "highest", name)


@pytest.mark.parametrize(
    ("place", "refused"),
    [
        *((place, False) for place in ("127.0.0.1:1", "localhost:1", "[::1]:1")),
        *((place, True) for place in ("10.0.0.1:1", "[fd00::1]:1", "localhost:1,shop.example:1", ":1")),
    ],
)
def test_an_address_beyond_this_computer_needs_encryption(place: str, refused: bool) -> None:
    clusters._check_path(place, True, "")
    with pytest.raises(UsageError, match="unencrypted; set TLS, or name") if refused else nullcontext():
        clusters._check_path(place, False, "set TLS")


class LostBackend(ThreadingBackend):
    """Cluster that has lost its workers."""

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        return super().submit(lose, callback)


def test_an_engine_that_is_lost_is_replaced_by_this_computer_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = {"dask://localhost:1": {"backend": LostBackend(), "n_jobs": 2}}
    monkeypatch.setattr(engine, "connect", cache(lambda name, workers: lost.get(name) or connect(name, workers)))
    assert Engine(1, "highest", "dask://localhost:1").map(abs, range(-9, 0)) == list(range(9, 0, -1))
    written = capsys.readouterr().err
    assert written == "note: --engine dask://localhost:1 was lost; the catalogue goes on on this computer\n"


def test_a_call_that_dask_gives_up_is_seen_at_once_and_a_result_once() -> None:
    seen: list[Any] = []
    calls: list[Future[int]] = []
    backend = SimpleNamespace(submit=lambda function, callback: calls.append(Future()) or calls[-1])
    clusters.report_failures(backend)
    for _ in range(2):
        backend.submit(int, callback=seen.append)
    lost = OSError("killed worker")
    calls[0].set_exception(lost)
    calls[1].set_result(3)  # the backend itself calls back with a result
    assert seen == [lost]


@pytest.mark.slow
@NEEDS_DASK
def test_a_running_cluster_is_used_by_its_address(workers: Engine) -> None:
    distributed = import_module("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        elsewhere = Engine(1, "high", cluster.scheduler_address.replace("tcp", "dask"))
        assert os.getpid() not in elsewhere.map(process, range(3))
        assert elsewhere.map(environment, [None])[0]["precision"] == "high"
        distributed.default_client().close()


def test_an_engine_whose_library_is_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r'--engine ray needs an extra: pip install -e "\.\[ray\]"'):
        connect("ray", 1)


@pytest.mark.parametrize("cores", [1, 2])
def test_one_call_and_one_core_start_no_process(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "usable_cores", lambda: cores)
    assert Engine(1, "highest").map(process, range(3 - cores)) == [os.getpid()] * (3 - cores)


@pytest.mark.parametrize("end", ["del workers", "os.kill(os.getpid(), 9)"])
@pytest.mark.slow
def test_the_processes_of_a_script_end_in_silence_with_it(end: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-"]
    errors = tmp_path / "stderr"
    with (
        errors.open("w") as file,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True) as script,
    ):
        assert script.stdin is not None and script.stdout is not None
        script.stdin.write(SCRIPT.format(end=end))
        script.stdin.close()
        result = script.stdout.readline()
        children = [int(word) for word in script.stdout.readline().split()]
        script.wait(timeout=30)
    assert result == "3 4\n" and not errors.read_text()
    until = time.monotonic() + 10
    while any(map(_runs, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_runs, children))


def _runs(process: int) -> bool:
    """Whether a process exists and has not ended; an orphan that has may wait for its reaper."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
