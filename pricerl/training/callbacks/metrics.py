"""Callback that logs the metrics of training, and the logger of their table in the run's folder."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from pricerl.formatting import csv_text
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import METRICS_FILE
from pricerl.training.callbacks.checkpoint import raise_diverged
from pricerl.writing import naming, write_file, write_through

ROW_EVERY = 50
"""Updates between two rows where ``log_every_n_steps`` is 0: loggers get none, but callbacks can read the metrics."""


class RunMetrics(Callback):
    """Callback that writes a row of metrics every ``trainer.log_every_n_steps`` updates, and one per evaluation.

    Rows go straight to the loggers, with the number of the update as ``step``: Lightning's ``log`` takes some 0.3 ms
    per name and repeats old values at every step.
    """

    _mark: tuple[float, int, int] | None = None

    def __init__(self) -> None:
        self._recent: dict[str, list[Tensor]] = defaultdict(list)

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics of updates since the last row, ``(N,)`` each."""
        return {"recent": {name: torch.cat(values) for name, values in self._recent.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._recent.update({name: [values] for name, values in state_dict["recent"].items()})

    def on_train_epoch_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Restart the clock: warm-up and evaluation do not count as training time."""
        self._mark = None if trainer.datamodule.collector is None else _clock(trainer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log a row whenever it is due, for loggers and for callbacks that monitor a metric."""
        if self._mark is None:
            self._mark = _clock(trainer)
        for name, values in outputs.items() if isinstance(outputs, Mapping) else ():
            if name.startswith("train/") and isinstance(values, Tensor):
                self._recent[name].append(values.detach().reshape(-1))
        due = trainer.global_step % (trainer.log_every_n_steps or ROW_EVERY) == 0
        if not (due or trainer.is_last_batch):
            return
        row = self.take_means(trainer)  # before an evaluation in any case
        if due:
            named = zip(pl_module.learning_rates, trainer.optimizers, strict=False)
            rates = {f"train/{name}_lr": float(optimizer.param_groups[0]["lr"]) for name, optimizer in named}
            row = {**_counters(trainer), **row, **rates, **self._speed(trainer)}
            if trainer.log_every_n_steps:
                _write_row(trainer, row)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in row.items()})

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last losses before a checkpoint is saved."""
        if trainer.state.fn == "fit":
            self.take_means(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of an evaluation."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            place = {name: value for name, value in _counters(trainer).items() if "/" not in name}
            scores = {
                name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("eval/")
            }
            _write_row(trainer, {"epoch": trainer.current_epoch, **place, **scores})

    def take_means(self, trainer: Trainer) -> dict[str, float]:
        """Return the means since the last call, or raise a ``NonFiniteError`` that names the update."""
        series = {name: torch.cat(values) for name, values in self._recent.items()}
        self._recent.clear()
        for name, values in series.items():
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                first = int(bad[0])
                raise_diverged(trainer, trainer.global_step - len(values) + first + 1, f"{name} is {values[first]:g}")
        return {name: float(values.mean()) for name, values in series.items()}

    def _speed(self, trainer: Trainer) -> dict[str, float]:
        """Return updates and env steps per second since the last row or the start of this epoch."""
        before = self._mark
        self._mark = _clock(trainer)
        if before is None or before[1] == self._mark[1]:
            return {}
        elapsed, updates, env_steps = (now - then for now, then in zip(self._mark, before, strict=True))
        return {"time/updates_per_second": updates / elapsed, "time/env_steps_per_second": env_steps / elapsed}


def _write_row(trainer: Trainer, row: Mapping[str, float]) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(dict(row), step=trainer.global_step)
        logger.save()


def _clock(trainer: Any) -> tuple[float, int, int]:
    """Return seconds, updates and env steps so far."""
    return time.perf_counter(), trainer.global_step, trainer.datamodule.collector.env_steps * trainer.world_size


def _counters(trainer: Any) -> dict[str, float]:
    collector = trainer.datamodule.collector
    ranks = trainer.world_size
    return {
        "env_steps": float(collector.env_steps * ranks),
        "updates": float(trainer.global_step),
        "episodes": float(collector.episodes * ranks),
        "train/buffer_size": float(len(collector.buffer) * ranks),
        **({"train/episode_return": float(collector.last_return)} if collector.episodes else {}),
        **({} if collector.mean_price is None else {"train/price_mean": float(collector.mean_price)}),
    }


class MetricsLogger(Logger):
    """Logger of ``metrics.csv`` in a folder, which keeps its rows from before a ``resumed`` checkpoint.

    Rows that were written stay, whenever the process dies.
    """

    def __init__(self, folder: Path, resumed: Checkpoint | None = None) -> None:
        super().__init__()
        self._path = folder / METRICS_FILE
        self._resumed = resumed
        self._columns: list[str] = []

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
        """Append a row and flush it to the disk; new columns, and the first row of a process, rewrite the file."""
        values = {**metrics, "step": step}.items()
        row = {name: str(value.item() if isinstance(value, Tensor) else value) for name, value in values}
        columns = sorted({*self._columns, *row})
        with naming(self._path):
            if columns == self._columns:
                write_through(self._path, _render(columns, [row], headed=False), "ab")
                return
            # Of rows that this process has not written, only those before the checkpoint stay.
            known = [old for old in _read_rows(self._path) if self._columns or _is_before(old, self._resumed)]
            self._columns = sorted({*columns, *(name for old in known[:1] for name in old)})
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, _render(self._columns, [*known, row]))


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the complete rows of a file of metrics, without remains of interrupted writes; none of an absent file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    complete = (line for line in lines if line.endswith("\n"))
    return [row for row in csv.DictReader(complete) if None not in row and None not in row.values()]


def _is_before(row: Mapping[str, str], resumed: Checkpoint | None) -> bool:
    """Return whether a row was written before a checkpoint, if any, which may have been saved before its evaluation."""
    if resumed is None:
        return False
    updates = float(row["updates"] or 0.0)
    is_evaluation = any(value and name.startswith("eval/") for name, value in row.items())
    states = (state for state in resumed.content.values() if isinstance(state, dict))
    evaluated = next((state["evaluated"] for state in states if "evaluated" in state), True)
    return updates < resumed.update or (updates == resumed.update and (evaluated or not is_evaluation))


def _render(columns: Sequence[str], rows: Iterable[Mapping[str, str]], headed: bool = True) -> bytes:
    lines = [[row.get(name, "") for name in columns] for row in rows]
    return csv_text([columns, *lines] if headed else lines, "\r\n").encode()
