"""Callback that writes the metrics of training."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from pricerl.training.callbacks.checkpoint import raise_diverged

LOG_EVERY = 50
"""Updates between two rows of metrics."""


class RunMetrics(Callback):
    """Callback that writes a row of metrics every ``LOG_EVERY`` updates: losses, counters and speed."""

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._recent: dict[str, list[Tensor]] = defaultdict(list)
        self._mark: tuple[float, int, int] | None = None
        self._rows = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue with the next row in a resumed run."""
        self._rows = trainer.global_step // LOG_EVERY

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock: warm-up and evaluation do not count as training time."""
        self._mark = None if _collector(trainer) is None else _clock(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a row whenever another ``LOG_EVERY`` updates are complete."""
        if self._mark is None:
            self._mark = _clock(trainer)
        for name, values in (outputs or {}).items():
            self._recent[name].extend(values)
        before, self._rows = self._rows, trainer.global_step // LOG_EVERY
        if not outputs or self._rows == before:
            return
        self.latest = {**_counters(trainer), **self._means(trainer), **self._speed(trainer)}
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, step=trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last losses before a checkpoint is saved."""
        if trainer.state.fn == "fit":
            self._means(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the x-axis, ``env_steps``, with each evaluation."""
        if trainer.state.fn == "fit":
            counters = _counters(trainer)
            x_axis = {name: counters[name] for name in ("env_steps", "updates", "episodes")}
            pl_module.log_dict({**x_axis, "step": counters["updates"]})

    def _means(self, trainer: Trainer) -> dict[str, float]:
        """Return the means of the metrics since the last call.

        Raises:
            NonFiniteError: a mean is NaN or infinite; the message names the update and the last good checkpoint.
        """
        series = {name: torch.stack(values) for name, values in self._recent.items()}
        self._recent.clear()
        for name, values in series.items():
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                first = int(bad[0])
                raise_diverged(trainer, trainer.global_step - len(values) + first + 1, f"{name} is {values[first]:g}")
        return {name: float(values.mean()) for name, values in series.items()}

    def _speed(self, trainer: Trainer) -> dict[str, float]:
        """Return updates and env steps per second since the last row or the start of this epoch."""
        before, self._mark = self._mark, _clock(trainer)
        if before is None or before[1] == self._mark[1]:
            return {}
        elapsed, updates, env_steps = (now - then for now, then in zip(self._mark, before, strict=True))
        return {"time/updates_per_second": updates / elapsed, "time/env_steps_per_second": env_steps / elapsed}


def _collector(trainer: Trainer) -> Any:
    """Return the collector of the run's data, None before collection starts."""
    return trainer.datamodule.collector  # type: ignore[attr-defined]  # Lightning sets it in every run


def _clock(trainer: Trainer) -> tuple[float, int, int]:
    """Return seconds, updates and env steps so far."""
    return time.perf_counter(), trainer.global_step, _collector(trainer).env_steps * trainer.world_size


def _counters(trainer: Trainer) -> dict[str, float]:
    collector, ranks = _collector(trainer), trainer.world_size
    counters = {
        "env_steps": float(collector.env_steps * ranks),
        "updates": float(trainer.global_step),
        "episodes": float(collector.episodes * ranks),
    }
    if collector.episodes:
        counters["train/episode_return"] = float(collector.last_return)
    if collector.mean_price is not None:
        counters["train/price_mean"] = float(collector.mean_price)
    return counters
