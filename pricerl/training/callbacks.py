"""Lightning callbacks: metrics, progress bar, checkpoints and configuration of a run."""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.progress import BarColumn, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch import Tensor

from pricerl import __version__
from pricerl.errors import NonFiniteError
from pricerl.training.checkpointing import BEST, CHECKPOINT_KEY, FORMAT, LAST, Checkpoint

LOG_EVERY = 50
"""Updates between two rows of metrics."""

REDRAWS_PER_SECOND = 2
"""Redraws of the progress bar; each takes some milliseconds of training time."""


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


class TrainingBar(RichProgressBar):
    """Rich progress bar on stderr: share of ``max_steps``, time left, return, price and updates per second.

    Args:
        metrics: writer of the run's metrics, whose last row is shown.
    """

    def __init__(self, metrics: RunMetrics) -> None:
        super().__init__(refresh_rate=REDRAWS_PER_SECOND, leave=False, console_kwargs={"stderr": True})
        self._metrics, self._updated_at = metrics, 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar only when it is redrawn; it counts updates."""
        now = time.monotonic()
        if trainer.is_last_batch or now - self._updated_at >= 1 / REDRAWS_PER_SECOND:
            self._updated_at = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, trainer.global_step - 1)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add one bar for the whole run, in updates; Lightning's starts again with every epoch."""
        if self.progress is not None and self.train_progress_bar_id is None:
            total = trainer.max_steps if trainer.max_steps > 0 else math.inf
            self.train_progress_bar_id = self.progress.add_task("training", total=total, completed=trainer.global_step)
        self.refresh()

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        """Return label, bar, percentage and time left."""
        left = TextColumn("left at most" if trainer.early_stopping_callbacks else "left", style="dim")
        return [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), left]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say why a run ended early."""
        super().on_train_end(trainer, pl_module)
        if any(stopper.wait_count >= stopper.patience for stopper in trainer.early_stopping_callbacks):
            done, limit = f"{trainer.global_step:,}", f"{trainer.max_steps:,}"
            print(f"training: {done} of {limit} updates, as evaluations no longer improved", file=sys.stderr)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return the numbers next to the bar: return and price of the last evaluation, if there is one."""
        known: dict[str, Any] = {**self._metrics.latest, **trainer.callback_metrics}
        wanted = {
            "return": ("eval/episode_return", "train/episode_return"),
            "price": ("eval/price_mean", "train/price_mean"),
            "updates/s": ("time/updates_per_second",),
        }
        found = {label: next((known[name] for name in names if name in known), None) for label, names in wanted.items()}
        return {label: f"{float(value):.4g}" for label, value in found.items() if value is not None}


class RunCheckpoint(ModelCheckpoint):
    """Checkpoints ``best.ckpt`` (highest value of a metric) and ``last.ckpt``, overwritten in place.

    An interrupted run saves ``last.ckpt`` at its last update; a failed run saves nothing, so that a diverged model
    never replaces a good one.

    Args:
        run_dir: the run's folder.
        monitor: metric of the best checkpoint.
    """

    def __init__(self, run_dir: Path, monitor: str) -> None:
        super().__init__(
            dirpath=run_dir,
            filename=Path(BEST).stem,
            monitor=monitor,
            mode="max",
            every_n_epochs=1,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
        self.last, self.last_step = run_dir / LAST, -1
        self._last_global_step_saved = -1  # Lightning would not save the clone of a plan, before any update

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save ``best.ckpt`` if this evaluation is the best so far, and ``last.ckpt`` in any case.

        Raises:
            NonFiniteError: a weight is NaN or infinite; nothing is saved.
        """
        _refuse_diverged(trainer, pl_module)
        super().on_validation_end(trainer, pl_module)
        self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the updates made since the last evaluation."""
        _refuse_diverged(trainer, pl_module)
        self._save_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save an interrupted run's last update."""
        if isinstance(exception, KeyboardInterrupt) and first_bad_weight(pl_module) is None:
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        """Save ``last.ckpt`` unless this update is already saved or no training is running."""
        trial: bool = trainer.fast_dev_run  # type: ignore[attr-defined]  # Lightning sets it while it is constructed
        if trainer.state.fn == "fit" and not trial and trainer.global_step > self.last_step:
            trainer.save_checkpoint(self.last)
            data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run
            data.save_buffer(self.last.parent)
            self.last_step = trainer.global_step


def own_saver(trainer: Trainer) -> RunCheckpoint | None:
    """Return the callback that saves the run's checkpoints, None if it is turned off."""
    savers: list[Any] = trainer.checkpoint_callbacks
    return next((saver for saver in savers if isinstance(saver, RunCheckpoint)), None)


def _refuse_diverged(trainer: Trainer, module: LightningModule) -> None:
    bad = first_bad_weight(module)
    if bad is not None:
        raise_diverged(trainer, trainer.global_step, f"{bad} contains NaN or infinity")


def first_bad_weight(module: LightningModule) -> str | None:
    """Return the name of the first parameter that contains a NaN or an infinity."""
    return next((name for name, value in module.named_parameters() if not value.isfinite().all()), None)


def raise_diverged(trainer: Trainer, update: int, finding: str) -> NoReturn:
    """Stop a diverged training run.

    Raises:
        NonFiniteError: always, with update, finding, remedy and the last good checkpoint.
    """
    saved, good = own_saver(trainer), "this run has saved no checkpoint yet"
    if saved is not None and saved.last_step:
        good = f"the last good checkpoint is {saved.last}, of update {saved.last_step}"
    raise NonFiniteError(
        f"training stopped at update {update}: {finding}. Lower model.algorithm.critic_lr and actor_lr; {good}"
    )


class GivenCheckpoint(TorchCheckpointIO):
    """Lightning's checkpoint files, except that a run resumes from the checkpoint already read by the command.

    Args:
        given: checkpoint to resume from.
    """

    def __init__(self, given: Checkpoint) -> None:
        super().__init__()
        self._given = given

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Return the given checkpoint."""
        return self._given.content


class RunConfig(SaveConfigCallback):
    """Callback that writes ``config.yaml`` when ``fit`` starts and stores the configuration in every checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the configuration, in training only."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store version and configuration under pricerl's key."""
        config = self.parser.dump(self.config, skip_unset=False)
        checkpoint[CHECKPOINT_KEY] = {"format": FORMAT, "version": __version__, "config": config}


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
