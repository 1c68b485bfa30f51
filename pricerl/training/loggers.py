"""Metric loggers: a CSV in the run's folder, and Weights & Biases on request."""

from __future__ import annotations

import csv
import netrc
import os
import warnings
from pathlib import Path
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

METRICS_FILE = "metrics.csv"


def build_loggers(run_dir: Path, use_wandb: bool, resumed_at: int | None) -> list[Logger]:
    """Return the loggers of a run, with the CSV logger first because its folder is the run's.

    Args:
        run_dir: the run's folder.
        use_wandb: whether to log to Weights & Biases as well.
        resumed_at: gradient updates of the checkpoint to resume from; earlier rows are kept.
    """
    return [_csv_logger(run_dir, resumed_at), *([_wandb_logger(run_dir)] if use_wandb else [])]


def _csv_logger(run_dir: Path, resumed_at: int | None) -> CSVLogger:
    logger = CSVLogger(save_dir=run_dir.parent, name=run_dir.name, version="")
    earlier = [] if resumed_at is None else _rows_until(run_dir / METRICS_FILE, resumed_at)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory")  # one folder per run
        experiment = logger.experiment
    for row in earlier:
        experiment.log_metrics(row, step=int(row.pop("step")))
    return logger


def _rows_until(path: Path, updates: int) -> list[dict[str, float]]:
    """Return the rows of an earlier part of the run, without empty cells."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [row for row in rows if row.get("updates", 0.0) <= updates]


def _wandb_logger(run_dir: Path) -> WandbLogger:
    """Return a Weights & Biases logger, offline without a known key, so that it neither prompts nor fails."""
    os.environ.setdefault("WANDB_SILENT", "true")
    run_dir.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE") or ("online" if _knows_key() else "offline")
    logger = WandbLogger(project="pricerl", name=run_dir.name, save_dir=run_dir, mode=mode)
    logger.experiment.define_metric("*", step_metric="env_steps", step_sync=True)
    return logger


def _knows_key() -> bool:
    """Return whether a Weights & Biases key is set or stored by its login."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
