"""A catalogue advised by every engine, in chunks of any size: the same files, though a worker is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
from command_line import FAST, entries_of, run

from pricerl.operations import catalogue, engine
from pricerl.operations.catalogue import Chunk
from pricerl.operations.clusters import connect
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.simulation.seller import SellerConfig, simulate

FILES = ("advice.csv", "advice.json", "prices.csv")
CATALOGUE = ("--data.path", "sales.csv", "--run_name", "shop")


ENGINES = {
    "local": True,
    "dask": find_spec("distributed"),
    "ray": find_spec("ray"),
    "spark": find_spec("joblibspark") and shutil.which("java"),
}
"""Whether each engine is installed."""


@contextlib.contextmanager
def two_workers(name: str) -> Iterator[None]:
    """Let an engine start two workers on this machine, and end them."""
    connect.cache_clear()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(engine, "usable_cores", lambda: 2)
        changed.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Spark's workers know nothing else
        try:
            yield
        finally:
            connect.cache_clear()
            if name == "dask":
                client = import_module("distributed").default_client()
                client.cluster.close()
                client.close()
            elif name == "ray":
                import_module("ray").shutdown()
            elif name == "spark":
                import_module("pyspark").SparkContext.getOrCreate().stop()


@contextlib.contextmanager
def stopped_clock() -> Iterator[None]:
    """Stop the clock of the decision log, whose head is in every row of ``prices.csv``."""
    with patch("pricerl.operations.log.decision_log.datetime") as clock:
        clock.now.return_value = datetime(2025, 3, 2, tzinfo=timezone.utc)
        yield


def killed_once(mark: Path, here: int, function: Callable[[Any], Any], item: Any) -> Any:
    """Kill the first worker that gets here, and call the function in others."""
    if os.getpid() != here:
        with contextlib.suppress(FileNotFoundError):
            mark.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    with stopped_clock():
        return function(item)


def is_closed_to_others() -> bool:
    """Whether Dask's scheduler asks for certificates, and all of this process's ports are this computer's."""
    scheduler = import_module("distributed").default_client().cluster.scheduler
    found = import_module("psutil").Process().net_connections()
    ports = {connection.laddr.ip for connection in found if connection.status == "LISTEN"}
    routes = scheduler.http_application.applications
    return ports == {"127.0.0.1"} and scheduler.address.startswith("tls://127.0.0.1:") and not routes


def wrap_chunks(monkeypatch: pytest.MonkeyPatch, wrapped: Callable[..., Any], map_: Any = engine.Engine.map) -> None:
    """Let an engine call a function with the work of a chunk and the chunk, instead of that work."""

    def map_wrapped(self: Any, function: Any, items: Any, size: int = 1) -> Any:
        return map_(self, partial(wrapped, function) if function is Chunk.run else function, items, size)

    monkeypatch.setattr(engine.Engine, "map", map_wrapped)


def fatal_to(product: str, here: int, function: Callable[[Any], Any], item: Any) -> Any:
    """End the worker that gets a product."""
    if product in item.preprocessor.names:
        assert os.getpid() != here
        os._exit(3)
    return function(item)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "dask"])
def test_a_product_that_ends_its_workers_is_a_problem_and_the_others_get_advice(
    name: str, shop: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ENGINES[name]:
        pytest.skip("not installed")
    shutil.copytree(shop(8) / "before", tmp_path, dirs_exist_ok=True)
    wrap_chunks(monkeypatch, partial(fatal_to, "product-2", os.getpid()))
    monkeypatch.setattr(catalogue, "CHUNK", 3)
    with two_workers(name):
        result = predict(tmp_path, "--engine", name)
    assert result.code == 7 and "Traceback" not in result.err, result.err
    problems = (tmp_path / "checkpoints/shop/problems.csv").read_text(encoding="utf-8")
    assert "product-2" in problems and "has ended two processes" in problems
    advised = [entry["product"] for entry in entries_of(tmp_path, "shop")[8:]]
    assert sorted(advised) == [f"product-{number}" for number in range(1, 9) if number != 2]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Function of a number of products: a run before and after this process alone has advised on a catalogue."""

    @cache
    def make(products: int) -> Path:
        folder = tmp_path_factory.mktemp("catalogue")
        table = simulate(SellerConfig(days=60, units=30.0, products=products, seed=5))[0]
        (folder / "before").mkdir()
        table.to_csv(folder / "before/sales.csv", index=False)
        assert run(folder / "before", "fit", *FAST, *CATALOGUE, "--decision.min_chance", "0").code == 0
        shutil.copytree(folder / "before", folder / "after")
        assert predict(folder / "after").code == 0
        assert len(Shop.open(RunFolder(folder / "after/checkpoints/shop")).outbox.notes) > products / 3
        return folder

    return make


def predict(folder: Path, *words: str) -> Any:
    """Advise with a floor at the median of the current prices, so that many changes wait for an approval."""
    prices = pd.read_csv(folder / "sales.csv").groupby("Product")["Product Price"].last()
    limits = ("--data.guardrails.floor", f"{prices.median():.2f}")
    with stopped_clock():
        return run(folder, "predict", *CATALOGUE, *limits, "--today", "2025-03-02", *words)


def read(folder: Path) -> dict[str, bytes]:
    return {file: (folder / "checkpoints/shop" / file).read_bytes() for file in FILES}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_the_same_files_for_any_partition(
    name: str, shop: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ENGINES[name]:
        pytest.skip("not installed")
    products = 50
    with two_workers(name):
        for size in (products, ceil(products / 7), 1):
            monkeypatch.setattr(catalogue, "CHUNK", size)
            folder = tmp_path / str(size)
            mark = folder / "kill"
            shutil.copytree(shop(products) / "before", folder)
            mark.touch()
            wrap_chunks(monkeypatch, partial(killed_once, mark, os.getpid()))
            result = predict(folder, "--engine", name)
            assert result.code == 0, result.err
            assert name != "dask" or is_closed_to_others()
            assert mark.exists() == (name == "local" and size == products)  # one chunk needs no other process
            assert read(folder) == read(shop(products) / "after"), size
