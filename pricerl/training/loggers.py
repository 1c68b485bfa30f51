"""Loggers of metrics: a table in the run's folder, and on request one run of Weights & Biases per run."""

from __future__ import annotations

import csv
import json
import math
import netrc
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from pricerl.errors import NonFiniteError
from pricerl.formatting import csv_text
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import METRICS_FILE
from pricerl.writing import naming, write_file, write_through

WANDB_FILE = "wandb.json"
"""File in a generation with the id of its run in Weights & Biases."""


@dataclass(frozen=True)
class TrackingConfig:
    """Place of the run in Weights & Biases; read with ``--wandb true`` only."""

    project: str | None = None
    """Project; if absent that of ``WANDB_PROJECT``, else ``pricerl``."""
    entity: str | None = None
    """User or team; if absent that of ``WANDB_ENTITY``, else the account's default."""
    group: str | None = None
    """Group of runs; if absent that of ``WANDB_RUN_GROUP``."""
    tags: tuple[str, ...] = ()
    """Tags; if absent those of ``WANDB_TAGS``, separated by commas."""
    mode: Literal["online", "offline", "disabled"] | None = None
    """Whether anything is uploaded; if absent that of ``WANDB_MODE``, else online where a key is known."""


@dataclass(frozen=True)
class TrackedRun:
    """Facts about a run that Weights & Biases shows."""

    name: str
    folder: Path
    """Folder of the service's own files; ``WANDB_DIR`` has priority."""
    id: str
    monitor: str
    """Metric whose highest value makes the best evaluation."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters by name: every setting, data fingerprint, version."""
    best: Mapping[str, float] = field(default_factory=dict)
    """Best evaluation so far, in a resumed run."""


def build_loggers(
    run_dir: Path, resumed: Checkpoint | None, tracked: TrackedRun | None = None, tracking: TrackingConfig | None = None
) -> list[Logger]:
    """Return a run's loggers, that of ``metrics.csv`` first, which keeps its rows from before ``resumed``."""
    path = run_dir / METRICS_FILE
    if path.exists() and getattr(rank_zero_only, "rank", 0) == 0:
        rows = [] if resumed is None else [row for row in _read_rows(path) if _is_before(row, resumed)]
        write_file(path, _render(list(rows[0]), rows)) if rows else path.unlink()
    loggers: list[Logger] = [MetricsLogger(run_dir)]
    if tracked is not None:
        best = best_evaluation(path, tracked.monitor)
        loggers.append(logger := RunLogger(replace(tracked, best=best), tracking or TrackingConfig()))
        logger.start()
    return loggers


def best_evaluation(path: Path, monitor: str) -> dict[str, float]:
    """Return the evaluation with the highest value of a metric in a file of metrics; empty if there is none."""
    found = [_scores(row) for row in _read_rows(path) if row.get(monitor)]
    return max(found, key=lambda row: row[monitor], default={})


def _scores(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of an evaluation with their place in the run."""
    known = {name: value for name, value in row.items() if name.startswith("eval/") or name in ("updates", "env_steps")}
    return {name: float(value) for name, value in known.items() if value != ""}


class MetricsLogger(Logger):
    """Logger of ``metrics.csv`` in a folder: rows that were written stay, whenever the process dies."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / METRICS_FILE
        self._columns: list[str] = []
        self._rows: list[dict[str, float]] = []

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self._path.parent.name

    @property
    def version(self) -> str:
        """Empty: the folder is the run's own."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder."""
        return str(self._path.parent)

    def log_hyperparams(self, params: Any) -> None:
        """Leave the settings to ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Take a row."""
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self._rows.append({**values, "step": len(self._rows) if step is None else step})

    @rank_zero_only
    def save(self) -> None:
        """Append the new rows and flush them to the disk; new columns rewrite the file."""
        if not self._rows:
            return
        rows = [{name: str(value) for name, value in row.items()} for row in self._rows]
        with naming(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            known = self._columns or list(next(iter(_read_rows(self._path)), ()))
            columns = sorted({*known, *(name for row in rows for name in row)})
            if columns != known:
                write_file(self._path, _render(columns, [*_read_rows(self._path), *rows]))
            else:
                write_through(self._path, _render(columns, rows, headed=False), "ab")
        self._columns = columns
        self._rows.clear()

    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the complete rows of a file of metrics, without remains of interrupted writes; none of an absent file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    complete = (line for line in lines if line.endswith("\n"))
    return [row for row in csv.DictReader(complete) if None not in row and None not in row.values()]


def _is_before(row: Mapping[str, str], resumed: Checkpoint) -> bool:
    """Return whether a row was written before a checkpoint, which may have been saved before its evaluation."""
    updates = float(row["updates"] or 0.0)
    is_evaluation = any(value and name.startswith("eval/") for name, value in row.items())
    states = [state for state in resumed.content.values() if isinstance(state, dict) and "evaluated" in state]
    evaluated = not states or states[0]["evaluated"]
    return updates < resumed.update or (updates == resumed.update and (evaluated or not is_evaluation))


def _render(columns: Sequence[str], rows: Iterable[Mapping[str, str]], headed: bool = True) -> bytes:
    lines = [[row.get(name, "") for name in columns] for row in rows]
    return csv_text([columns, *lines] if headed else lines, "\r\n").encode()


class RunLogger(WandbLogger):
    """Logger of settings, best evaluation and divergence; offline without a key, so that it never prompts."""

    def __init__(self, run: TrackedRun, config: TrackingConfig) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        folder = Path(os.environ.get("WANDB_DIR") or run.folder)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            name=os.environ.get("WANDB_NAME") or run.name,
            project=config.project or os.environ.get("WANDB_PROJECT") or "pricerl",
            save_dir=folder,
            id=run.id,
            mode=config.mode or os.environ.get("WANDB_MODE") or ("online" if _knows_key() else "offline"),
            entity=config.entity,
            group=config.group,
            tags=list(config.tags) or None,
        )
        self._tracked = run
        self._best = dict(run.best)

    @rank_zero_only
    def start(self) -> None:
        """Start or resume the run in the service."""
        self.experiment.define_metric("*", step_metric="env_steps", step_sync=True)
        self.experiment.config.update(dict(self._tracked.facts), allow_val_change=True)
        self._summarize()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row, and note the best evaluation in the summary."""
        super().log_metrics(metrics, step)
        value = metrics.get(self._tracked.monitor)
        if value is not None and float(value) > self._best.get(self._tracked.monitor, -math.inf):
            self._best = _scores(metrics)
            self._summarize()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the logging of a training; a diverged one sends an alert first."""
        error = sys.exc_info()[1]  # Lightning calls this while it handles the exception
        if isinstance(error, NonFiniteError):
            self.experiment.alert("training diverged", str(error), level="ERROR")
            self.experiment.finish(exit_code=1)
        super().finalize(status)

    def _summarize(self) -> None:
        self.experiment.summary.update({f"best/{name}": value for name, value in self._best.items()})


def keep_id(folder: Path, source: Path | None) -> str:
    """Return the id of a generation's run in the service, that of ``source`` if resumed from there, and store it."""
    known = stored_id(folder / WANDB_FILE) or (source and stored_id(source / WANDB_FILE))
    found = known or os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)
    if getattr(rank_zero_only, "rank", 0) == 0 and stored_id(folder / WANDB_FILE) != found:
        write_file(folder / WANDB_FILE, (json.dumps({"id": found}) + "\n").encode())
    return found


def stored_id(path: Path) -> str | None:
    """Return the id in a file, None if the file is absent or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 64 and found.isalnum() else None


def _knows_key() -> bool:
    """Return whether a Weights & Biases key is set or stored by its login."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
