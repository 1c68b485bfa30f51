"""Metric loggers: a CSV in the run's folder, and Weights & Biases on request."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from pricerl.runs.folder import METRICS_FILE
from pricerl.training.wandb_logging import RunLogger, TrackedRun, TrackingConfig
from pricerl.writing import naming, write_file


def build_loggers(
    run_dir: Path, resumed: Resumed | None, tracked: TrackedRun | None = None, tracking: TrackingConfig | None = None
) -> list[Logger]:
    """Return the loggers of a run, with the CSV logger first because its folder is the run's.

    Args:
        run_dir: the run's folder.
        resumed: place from which the run goes on; earlier rows are kept.
        tracked: facts for Weights & Biases; None to leave it alone.
        tracking: place of the run in Weights & Biases.
    """
    loggers: list[Logger] = [_csv_logger(run_dir, resumed)]
    if tracked is not None:
        best = best_evaluation(run_dir / METRICS_FILE, tracked.monitor)
        loggers.append(logger := RunLogger(replace(tracked, best=best), tracking or TrackingConfig()))
        logger.start()
    return loggers


def best_evaluation(path: Path, monitor: str) -> dict[str, float]:
    """Return the evaluation with the highest value of a metric in a file of metrics; empty if there is none."""
    rows = _read_rows(path) if path.exists() else []
    found = [{name: float(value) for name, value in row.items() if value} for row in rows if row.get(monitor)]
    best = max(found, key=lambda row: row[monitor], default={})
    return {name: value for name, value in best.items() if name.startswith("eval/") or name in ("updates", "env_steps")}


class Resumed(NamedTuple):
    """Place in a run from which another process goes on."""

    update: int
    """Gradient updates made."""
    evaluated: bool
    """Whether this update was evaluated before the state was saved."""


class MetricsLogger(CSVLogger):
    """CSV logger that goes on with an existing file."""

    @property
    @rank_zero_experiment
    def experiment(self) -> MetricsWriter:
        """Writer of the file."""
        if self._experiment is None:
            Path(self.log_dir).mkdir(parents=True, exist_ok=True)
            self._experiment = MetricsWriter(self.log_dir)
        return self._experiment  # type: ignore[return-value]  # Lightning declares it by its base class


class MetricsWriter(ExperimentWriter):
    """Writer of ``metrics.csv``: rows that were written stay, whenever the process dies."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = list(next(csv.reader(file), []))

    def _check_log_dir_exists(self) -> None:
        """Keep the existing file, which Lightning's writer would delete."""

    def save(self) -> None:
        """Append the new rows and flush them to the disk."""
        path = Path(self.metrics_file_path)
        with naming(path):
            super().save()
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        write_file(path, _render(fieldnames, _read_rows(path)))


def _csv_logger(run_dir: Path, resumed: Resumed | None) -> CSVLogger:
    path = run_dir / METRICS_FILE
    if path.exists() and getattr(rank_zero_only, "rank", 0) == 0:
        rows = [] if resumed is None else [row for row in _read_rows(path) if _is_before(row, resumed)]
        write_file(path, _render(list(rows[0]), rows)) if rows else path.unlink()
    return MetricsLogger(save_dir=run_dir.parent, name=run_dir.name, version="")


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the complete rows of a file of metrics, without remains of interrupted writes."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    complete = lines if not lines or lines[-1].endswith("\n") else lines[:-1]
    return [row for row in csv.DictReader(complete) if None not in row and None not in row.values()]


def _is_before(row: Mapping[str, str], resumed: Resumed) -> bool:
    """Return whether a row was written before the place from which a run goes on."""
    updates = float(row["updates"] or 0.0)
    is_evaluation = any(value and name.startswith("eval/") for name, value in row.items())
    return updates < resumed.update or (updates == resumed.update and (resumed.evaluated or not is_evaluation))


def _render(fieldnames: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=fieldnames)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
