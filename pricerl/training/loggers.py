"""Where metrics go: always a CSV in the run's folder, and Weights & Biases when asked for."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import wandb
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

METRICS_FILE = "metrics.csv"
X_AXIS = "env_steps"


def build_loggers(run_dir: Path, use_wandb: bool) -> list[Logger]:
    """The CSV logger first: its folder is the run's folder."""
    loggers: list[Logger] = [_csv_logger(run_dir)]
    if use_wandb:
        loggers.append(_wandb_logger(run_dir))
    return loggers


def _csv_logger(run_dir: Path) -> CSVLogger:
    logger = CSVLogger(save_dir=run_dir.parent, name=run_dir.name, version="")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory")  # one folder a run; a rerun starts anew
        _ = logger.experiment
    return logger


def _wandb_logger(run_dir: Path) -> WandbLogger:
    """Weights & Biases, offline where no key is known: nothing prompts, nothing fails."""
    os.environ.setdefault("WANDB_SILENT", "true")
    run_dir.mkdir(parents=True, exist_ok=True)
    offline = os.environ.get("WANDB_MODE") == "offline" or not wandb.api.api_key
    logger = WandbLogger(project="pricerl", name=run_dir.name, save_dir=run_dir, offline=offline)
    logger.experiment.define_metric("*", step_metric=X_AXIS, step_sync=True)
    return logger
