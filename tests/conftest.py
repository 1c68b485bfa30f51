"""Histories and markets that many tests share; each is built once a run."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advice_outputs import lowering_policy
from command_line import run, train
from hypothesis import settings
from shops.known_market import known_market

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.operations import engine
from pricerl.shop import database
from pricerl.simulation.seller import SellerConfig, simulated_history

engine.usable_cores = lambda: 1  # each process that helps takes seconds to start
os.fsync = lambda _: None  # the disk may be slow, and no test cuts the power
database.PRAGMAS = tuple(line.replace("synchronous = FULL", "synchronous = OFF") for line in database.PRAGMAS)
sys.dont_write_bytecode = False  # 600 files, the rewritten tests among them, take 10 s to compile in each process
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("quick", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=400)  # --hypothesis-profile thorough
settings.load_profile("quick")
torch.set_num_threads(1)  # two threads crawl as soon as anything else runs beside them

COMPILER = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)

BEST_PRICE_COST = 6.0
"""With elasticity -2 the best price is ``c e / (1 + e)`` = 12.00."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a compiler where there is none."""
    for item in items:
        if COMPILER is None and item.get_closest_marker("compiler"):
            item.add_marker(pytest.mark.skip(reason="no C++ compiler"))


def pytest_collection_finish() -> None:
    """Leave the collected tests, 700,000 objects, out of every garbage collection."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tokens in a folder of the tests, not in this user's."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("settings"))


@pytest.fixture(autouse=True)
def _tiny_numbers() -> Iterator[None]:
    """A training in this process counts tiny numbers as zero, which is not meant for the tests after it."""
    yield
    torch.set_flush_denormal(False)


@cache
def _simulated(seller: SellerConfig) -> DataPreprocessor:
    return DataPreprocessor.fit(simulated_history(seller, DataConfig()), DataConfig())


@cache
def _fitted(seller: SellerConfig, demand: DemandConfig) -> Market:
    return fit_market(_simulated(seller), demand)


def _product(price: Any, units: Any, **changes: Any) -> ProductHistory:
    units = np.asarray(units, dtype=np.float64)
    days, price = len(units), np.broadcast_to(np.asarray(price, dtype=np.float64), len(units)).copy()
    unknown, flags = np.full(days, np.nan), np.ones(days, dtype=bool)
    dates = np.datetime64("2025-01-06", "D") + np.arange(days)
    history = ProductHistory(
        product="product",
        dates=dates,
        price=price,
        units=units,
        sales=price * units,
        profit=np.zeros(days),
        organic=unknown,
        ad=unknown,
        predicted=unknown,
        observed=flags,
        profit_known=~flags,
        future_dates=dates[:0],
        future_predicted=unknown[:0],
        unit_cost=None,
    )
    return replace(history, **changes)


def _prepare(*products: ProductHistory) -> DataPreprocessor:
    report = _simulated(SellerConfig()).reports[0]
    reports = tuple(replace(report, product=item.product) for item in products)
    return DataPreprocessor.fit(History("made up", products, reports), DataConfig())


def _known(price: Any = 10.0, elasticity: float = -2.0, num_days: int = 60) -> Market:
    history = _product(price, np.full(num_days, 20.0))
    return known_market(
        _prepare(history),
        lambda at: 20.0 * (at / 10.0) ** elasticity,
        CostConfig(unit_cost=BEST_PRICE_COST),
    )


@pytest.fixture(scope="session")
def simulated() -> Callable[[SellerConfig], DataPreprocessor]:
    """Return the preprocessor of a simulated seller."""
    return _simulated


@pytest.fixture(scope="session")
def fitted() -> Callable[[SellerConfig, DemandConfig], Market]:
    """Return the market fitted to a simulated seller."""
    return _fitted


@pytest.fixture(scope="session")
def make_product() -> Callable[..., ProductHistory]:
    """Return a history from Monday 2025-01-06 on, from prices and units; keywords replace its fields."""
    return _product


@pytest.fixture(scope="session")
def prepare() -> Callable[..., DataPreprocessor]:
    """Return a preprocessor of made-up products."""
    return _prepare


@pytest.fixture(scope="session")
def known_demand() -> Callable[..., Market]:
    """Return a market with ``units = 20 (p / 10)^elasticity`` and a unit cost of 6, after a history at ``price``."""
    return _known


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the 90-day seller; what it advises next is kept in its log, so no test may advise with it."""
    return train(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture
def trained(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run of the 90-day seller, with one advice in its log."""
    return _copy(trained_once, tmp_path_factory)


def _copy(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(run_folder, folder / "checkpoints" / run_folder.name)
    shutil.copy(run_folder.parents[1] / "seller.csv", folder)
    return folder / "checkpoints" / run_folder.name


@pytest.fixture(scope="session")
def moved(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Advice of a policy that lowers the price whenever it may; the gate is off, so it is followed."""
    trained = _copy(trained_once, tmp_path_factory)
    folder = trained.parents[1]
    words = ["--data.path", "seller.csv", "--decision.min_chance", "0", "--out", "moved", "--horizon", "28"]
    with lowering_policy():
        result = run(folder, "predict", "--ckpt_path", str(trained / "best.ckpt"), *words)
    assert result.code == 0, result.err
    return folder / "moved"
