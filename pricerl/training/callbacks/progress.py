"""What a run says while it trains: counters, speed, and a bar on stderr."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from torch import Tensor

from pricerl.training.callbacks.saving import raise_diverged
from pricerl.training.collector import Collector
from pricerl.training.datamodule import replay_data

LOG_EVERY = 50
"""Updates between two rows of metrics."""

REFRESHES_PER_SECOND = 2
"""Drawing the bar takes some milliseconds, in which nothing is trained."""


class RunMetrics(Callback):
    """Writes one row every ``LOG_EVERY`` updates: losses, counters (``env_steps`` is the x-axis) and speed.

    Rows go straight to the loggers: Lightning's ``log`` costs a third of a millisecond a key and repeats the last
    values at every step.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._recent: dict[str, list[Tensor]] = defaultdict(list)
        self._mark: tuple[float, int, int] | None = None
        self._rows = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A resumed run goes on with the next row."""
        self._rows = trainer.global_step // LOG_EVERY

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock anew, so that neither warm-up nor evaluation count as training time."""
        self._mark = None if replay_data(trainer).collector is None else _clock(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a row whenever another ``LOG_EVERY`` updates are complete."""
        if self._mark is None:
            self._mark = _clock(trainer)
        for name, values in (outputs or {}).items():
            self._recent[name].extend(values)
        rows, before = trainer.global_step // LOG_EVERY, self._rows
        self._rows = rows
        if not outputs or rows == before:
            return
        self.latest = {**_counters(trainer), **self._means(trainer), **self._speed(trainer)}
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, step=trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last losses before anything is saved."""
        if trainer.state.fn == "fit":
            self._means(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the x-axis beside an evaluation, too."""
        if trainer.state.fn == "fit":
            counters = _counters(trainer)
            x_axis = {name: counters[name] for name in ("env_steps", "updates", "episodes")}
            pl_module.log_dict({**x_axis, "step": counters["updates"]})

    def _means(self, trainer: Trainer) -> dict[str, float]:
        """Means of what updates told since the last call.

        Raises:
            NonFiniteError: one of them is NaN or infinite; names the update and the last good checkpoint.
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
        """Updates and env steps a second since the last row or the start of this epoch."""
        before, self._mark = self._mark, _clock(trainer)
        if before is None or before[1] == self._mark[1]:
            return {}
        elapsed, updates, env_steps = (now - then for now, then in zip(self._mark, before, strict=True))
        return {"time/updates_per_second": updates / elapsed, "time/env_steps_per_second": env_steps / elapsed}


class TrainingBar(RichProgressBar):
    """Rich progress bar on stderr with return, price and updates a second."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=REFRESHES_PER_SECOND, leave=False, console_kwargs={"stderr": True})
        self._told = 0.0

    def on_train_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        """Tell the bar where the run is as often as it is drawn."""
        now = time.monotonic()
        if trainer.is_last_batch or now - self._told >= 1 / REFRESHES_PER_SECOND:
            self._told = now
            super().on_train_batch_end(trainer, *arguments)

    def _get_train_description(self, current_epoch: int) -> str:
        """An epoch is the time between two evaluations; how many there are, ``max_steps`` decides."""
        return f"To evaluation {current_epoch + 1}"

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Choose what stands beside the bar: the evaluation's return and price, or the collector's before the first."""
        rows = [callback.latest for callback in _callbacks(trainer) if isinstance(callback, RunMetrics)]
        known: dict[str, Any] = {**(rows[0] if rows else {}), **trainer.callback_metrics}
        wanted = {
            "return": ("eval/episode_return", "train/episode_return"),
            "price": ("eval/price_mean", "train/price_mean"),
            "updates/s": ("time/updates_per_second",),
        }
        found = {label: next((known[name] for name in names if name in known), None) for label, names in wanted.items()}
        return {label: f"{float(value):.4g}" for label, value in found.items() if value is not None}


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning declares it elsewhere
    return callbacks


def _collector(trainer: Trainer) -> Collector:
    collector = replay_data(trainer).collector
    assert collector is not None
    return collector


def _clock(trainer: Trainer) -> tuple[float, int, int]:
    """Seconds, updates and env steps so far."""
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
    if "price" in collector.watched:
        counters["train/price_mean"] = float(collector.watched["price"])
    return counters
