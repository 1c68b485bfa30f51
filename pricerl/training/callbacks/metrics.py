"""Callback that writes the metrics of training."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from pricerl.training.callbacks.checkpoint import raise_diverged

ROW_EVERY = 50
"""Updates between two rows where ``log_every_n_steps`` is 0: loggers get none, but callbacks can read the metrics."""


class RunMetrics(Callback):
    """Callback that writes a row of metrics every ``trainer.log_every_n_steps`` updates, and one per evaluation.

    Rows go straight to the loggers, with the number of the update as ``step``: Lightning's ``log`` takes some 0.3 ms
    per name and repeats old values at every step.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._recent: dict[str, list[Tensor]] = defaultdict(list)
        self._mark: tuple[float, int, int] | None = None
        self._rows = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics of updates since the last row, ``(N,)`` each."""
        return {"recent": {name: torch.cat(values) for name, values in self._recent.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._recent.update({name: [values] for name, values in state_dict["recent"].items()})

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Continue with the next row in a resumed run."""
        self._rows = trainer.global_step // (trainer.log_every_n_steps or ROW_EVERY)

    def on_train_epoch_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Restart the clock: warm-up and evaluation do not count as training time."""
        self._mark = None if trainer.datamodule.collector is None else _clock(trainer)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a row whenever it is due, for loggers and for callbacks that monitor a metric."""
        if self._mark is None:
            self._mark = _clock(trainer)
        for name, values in outputs.items() if isinstance(outputs, Mapping) else ():
            if name.startswith("train/") and isinstance(values, Tensor):
                self._recent[name].append(values.detach().reshape(-1))
        every = trainer.log_every_n_steps
        before = self._rows
        self._rows = trainer.global_step // (every or ROW_EVERY)
        due = self._rows > before
        if not (due or trainer.is_last_batch):
            return
        means = self.take_means(trainer)  # before an evaluation in any case
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in means.items()})
        if due:
            named = zip(getattr(pl_module, "learning_rates", ()), trainer.optimizers, strict=False)
            rates = {f"train/{name}_lr": float(optimizer.param_groups[0]["lr"]) for name, optimizer in named}
            self.latest = {**_counters(trainer), **means, **rates, **self._speed(trainer)}
            if every:
                _write_row(trainer, self.latest)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last losses before a checkpoint is saved."""
        if trainer.state.fn == "fit":
            self.take_means(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of an evaluation."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            counters = _counters(trainer)
            place = {name: counters[name] for name in ("env_steps", "updates", "episodes")}
            known = trainer.callback_metrics.items()
            scores = {name: float(value) for name, value in known if name.startswith("eval/")}
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
    counters = {
        "env_steps": float(collector.env_steps * ranks),
        "updates": float(trainer.global_step),
        "episodes": float(collector.episodes * ranks),
        "train/buffer_size": float(len(collector.buffer) * ranks),
    }
    if collector.episodes:
        counters["train/episode_return"] = float(collector.last_return)
    if collector.mean_price is not None:
        counters["train/price_mean"] = float(collector.mean_price)
    return counters
