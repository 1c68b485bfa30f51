"""Backtests of a run, kept in its folder as long as history, settings and code are the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import scipy
import torch

from pricerl.cores import Watch
from pricerl.errors import UsageError
from pricerl.evaluation.backtest import Backtest, HorizonScore
from pricerl.evaluation.backtest_process import BacktestProcess, BacktestTask
from pricerl.market import DEMAND_MODELS
from pricerl.operations.provenance import hash_code, hash_history, hash_own_code, hash_settings
from pricerl.progress import stage
from pricerl.training.run import Run
from pricerl.writing import write_text

BACKTESTS_FILE = "backtests.json"
"""File of the backtests in a run's folder. It may be deleted: it is only an answer computed before."""


def find_backtests(run: Run) -> dict[str, Backtest] | None:
    """Return a run's backtests from its folder or from its second process; None if they are to be computed."""
    task, path = backtest_task(run), run.folder / BACKTESTS_FILE
    key = fingerprint(task)
    if (stored := read_backtests(path, key)) is not None:
        return stored
    process = run.backtests
    if process is None or process.key != key:
        return None
    with stage("testing the forecast on past days"):
        return process.result()


def keep_backtests(run: Run, found: Mapping[str, Backtest]) -> None:
    """Write backtests to the run's folder, unless they are there."""
    path, key = run.folder / BACKTESTS_FILE, fingerprint(backtest_task(run))
    if run.is_global_zero and read_backtests(path, key) is None:
        with contextlib.suppress(UsageError):  # a folder that cannot be written costs time, and nothing else
            write_backtests(path, key, found)


def start_backtests(run: Run, watch: Watch) -> BacktestProcess | None:
    """Start a run's backtests in a second process if they are not in its folder and enough cores are idle."""
    if not watch.has_room(run.options.threads):
        return None
    task = backtest_task(run)
    key = fingerprint(task)
    if read_backtests(run.folder / BACKTESTS_FILE, key) is not None:
        return None
    try:
        return BacktestProcess(task, key)
    except OSError:  # no memory or no process left
        return None


def backtest_task(run: Run) -> BacktestTask:
    """Return everything that a run's backtests depend on."""
    data, options = run.pricing, run.options
    settings = data.market_config, data.cost, data.seed, options.threads, options.matmul_precision
    return BacktestTask(data.preprocessor, *settings, data.evidence)


def fingerprint(task: BacktestTask) -> str:
    """Hash the histories, the settings, the code, a user's own included, and the libraries that determine backtests."""
    return hash_settings(
        {
            "history": hash_history(task.preprocessor.products),
            "window": task.preprocessor.config.window,
            "demand": asdict(task.demand),
            "cost": asdict(task.cost),
            "seed": task.seed,
            "evidence": {name: list(item) for name, item in task.evidence.items()},
            "compute": [task.threads, task.precision],
            "code": hash_code(),
            "own_code": hash_own_code(_modules(task)),
            "versions": [python_version(), np.__version__, scipy.__version__, str(torch.__version__)],
        }
    )


def _modules(task: BacktestTask) -> set[str]:
    """Return the modules that define the demand model, the settings and the history of a task."""
    model: Any = DEMAND_MODELS[task.demand.demand]
    while isinstance(model, partial):
        model = model.func
    return {model.__module__, *(type(item).__module__ for item in (task.preprocessor, task.demand, task.cost))}


def write_backtests(path: Path, key: str, backtests: Mapping[str, Backtest]) -> None:
    """Write backtests with their fingerprint and a hash of the content.

    Raises:
        UsageError: the file cannot be written.
    """
    content = {
        "fingerprint": key,
        "backtests": {
            name: {"origins": item.origins, "scores": [score._asdict() for score in item.scores]}
            for name, item in backtests.items()
        },
    }
    write_text(path, json.dumps({**content, "hash": hash_settings(content)}, indent=1) + "\n")


def read_backtests(path: Path, key: str) -> dict[str, Backtest] | None:
    """Return the backtests in a file, None if it is absent, damaged or not of this fingerprint."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("hash")
        if content["fingerprint"] != key or digest != hash_settings(content):
            return None
        return {
            name: Backtest(item["origins"], tuple(HorizonScore(**score) for score in item["scores"]))
            for name, item in content["backtests"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
