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
    """Callback that writes a row of metrics every ``trainer.log_every_n_steps`` updates: losses, counters and speed.

    Loggers get rows with the number of the update as ``step``, and so do other callbacks, through two attributes of the
    trainer that are set here: ``fit_loop.epoch_loop._batches_that_stepped``, which is undocumented and counts items of
    the train loader otherwise, and ``log_every_n_steps``, which is 1 where a row is due and 0 elsewhere.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._recent: dict[str, list[Tensor]] = defaultdict(list)
        self._mark: tuple[float, int, int] | None = None
        self._rows = 0
        self._every: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Move to the front of the callbacks, so that the others find the number of the update."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set while it is constructed
        callbacks.remove(self)
        callbacks.insert(0, self)

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics of updates since the last row, ``(N,)`` each."""
        return {"recent": {name: torch.stack(values) for name, values in self._recent.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._recent.update({name: list(values) for name, values in state_dict["recent"].items()})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue with the next row in a resumed run."""
        self._every = trainer.log_every_n_steps  # type: ignore[attr-defined]  # as above
        self._rows = trainer.global_step // (self._every or ROW_EVERY)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock: warm-up and evaluation do not count as training time."""
        self._mark = None if _collector(trainer) is None else _clock(trainer)
        _announce(trainer, due=bool(self._every))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Replace Lightning's count of items."""
        _announce(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a row whenever it is due, for loggers and for callbacks that monitor a metric."""
        assert self._every is not None
        if self._mark is None:
            self._mark = _clock(trainer)
        for name, values in _series(outputs).items():
            self._recent[name].extend(values)
        before, self._rows = self._rows, trainer.global_step // (self._every or ROW_EVERY)
        due = self._rows > before
        _announce(trainer, due=due and self._every > 0)
        if not (due or trainer.is_last_batch):
            return
        means = self._means(trainer)
        if means:  # before an evaluation in any case
            pl_module.log_dict(means, logger=False, on_step=True, on_epoch=False)
        if not due:
            return
        self.latest = {**_counters(trainer), **means, **self._speed(trainer)}
        for logger in trainer.loggers if self._every else []:
            logger.log_metrics(self.latest, step=trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last losses before a checkpoint is saved."""
        if trainer.state.fn == "fit":
            self._means(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the x-axis, ``env_steps``, with each evaluation."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            counters = _counters(trainer)
            pl_module.log_dict({name: counters[name] for name in ("env_steps", "updates", "episodes")})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the trainer its setting back, for the loader of the next epoch."""
        if self._every is not None:
            trainer.log_every_n_steps = self._every  # type: ignore[attr-defined]  # as above

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


def _announce(trainer: Trainer, due: bool | None = None) -> None:
    """Set the number of the update for loggers, and whether they get a row now, unless ``due`` is None."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
    if due is not None:
        trainer.log_every_n_steps = int(due)  # type: ignore[attr-defined]  # set while it is constructed


def _series(outputs: Any) -> dict[str, list[Tensor]]:
    """Return the metrics of a training step by name, one scalar per update; those of other modules are their own."""
    made = outputs if isinstance(outputs, Mapping) else {}
    return {name: values for name, values in made.items() if isinstance(values, list)}


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
