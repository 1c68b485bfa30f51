"""Backtests of a run, kept in its folder as long as history, settings and code are the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy
import torch

from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.errors import UsageError
from pricerl.evaluation.backtest import Backtest, HorizonScore, run_backtests
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import Pool
from pricerl.operations.engine import Engine
from pricerl.operations.log.provenance import hash_code, hash_history, hash_own_code, hash_settings
from pricerl.progress import stage
from pricerl.runtime import MatmulPrecision, idle_cores
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.runs.run import Run

BACKTESTS_FILE = "backtests.json"
"""File of the backtests in a run's folder. It may be deleted: it is only an answer computed before."""


class BacktestTask(NamedTuple):
    """Everything that backtests depend on, the settings of the processor included."""

    preprocessor: DataPreprocessor
    demand: DemandConfig
    cost: CostConfig
    seed: int
    threads: int
    precision: MatmulPrecision
    pool: Pool | None
    """Evidence on the elasticities of the catalogue."""

    def run(self) -> Mapping[str, Backtest]:
        """Compute the backtests."""
        return run_backtests(self.preprocessor, self.demand, self.cost, self.seed, pool=self.pool)


def find_backtests(run: Run) -> Mapping[str, Backtest] | None:
    """Return a run's backtests from its folder or from another process; None if they are to be computed."""
    key = fingerprint(backtest_task(run))
    stored = read_backtests(run.folder / BACKTESTS_FILE, key)
    if stored is not None or key not in run.backtests:
        return stored
    with stage("testing the forecast on past days"):
        found = run.backtests[key]()
    return None if isinstance(found, Exception) else found


def keep_backtests(run: Run, found: Mapping[str, Backtest]) -> None:
    """Write backtests to the run's folder, unless they are there."""
    path = run.folder / BACKTESTS_FILE
    key = fingerprint(backtest_task(run))
    if run.is_global_zero and read_backtests(path, key) is None:
        with contextlib.suppress(UsageError):  # a folder that cannot be written costs time, and nothing else
            write_backtests(path, key, found)


def start_backtests(run: Run) -> Mapping[str, Callable[[], Mapping[str, Backtest] | Exception]]:
    """Start a run's backtests in another process if they are not in its folder and there are idle cores."""
    task = backtest_task(run)
    key = fingerprint(task)
    known = read_backtests(run.folder / BACKTESTS_FILE, key) is not None
    return {} if known or idle_cores() < 2 * task.threads else {key: Engine.of(run).submit(BacktestTask.run, task)}


def backtest_task(run: Run) -> BacktestTask:
    """Return the task of a run."""
    data = run.pricing
    options = run.options
    settings = data.market_config, data.cost, data.seed, options.threads, options.matmul_precision
    return BacktestTask(data.preprocessor, *settings, data.pool)


def fingerprint(task: BacktestTask) -> str:
    """Hash the histories, the settings, the code, a user's own included, and the libraries that determine backtests."""
    modules = {type(item).__module__ for item in (task.preprocessor, task.demand, task.cost)}
    return hash_settings(
        {
            "history": hash_history(task.preprocessor.products),
            "window": task.preprocessor.config.window,
            "demand": asdict(task.demand),
            "cost": asdict(task.cost),
            "seed": task.seed,
            "evidence": describe_pool(task.pool),
            "compute": [task.threads, task.precision],
            "code": hash_code(),
            "own_code": hash_own_code(modules),
            "versions": [python_version(), np.__version__, scipy.__version__, str(torch.__version__)],
        }
    )


def describe_pool(pool: Pool | None) -> dict[str, list[Any]]:
    """Return the evidence of a catalogue as plain values, by product."""
    return {} if pool is None else {name: list(item) for name, item in pool.evidence.items()}


def write_backtests(path: Path, key: str, backtests: Mapping[str, Backtest]) -> None:
    """Write backtests with their fingerprint and a hash of the content, or raise a ``UsageError``."""
    content = {"fingerprint": key, "backtests": dict(backtests)}
    write_text(path, json.dumps({**content, "hash": hash_settings(content)}, indent=1) + "\n")


def read_backtests(path: Path, key: str) -> dict[str, Backtest] | None:
    """Return the backtests in a file, None if it is absent, damaged or not of this fingerprint."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("hash")
        if content["fingerprint"] != key or digest != hash_settings(content):
            return None
        return {
            name: Backtest(origins, tuple(HorizonScore(*score) for score in scores))
            for name, (origins, scores) in content["backtests"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
