"""Progress bar of a run."""

from __future__ import annotations

import math
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pricerl.terminal import write_lines

REDRAWS_PER_SECOND = 2
"""Redraws of the progress bar; each takes some milliseconds of training time."""


class TrainingBar(RichProgressBar):
    """Rich progress bar on stderr: share of ``max_steps``, time left and, for engineers, details of the last row."""

    _updated_at = 0.0

    def __init__(self, details: bool = True) -> None:
        super().__init__(refresh_rate=REDRAWS_PER_SECOND, leave=False, console_kwargs={"stderr": True})
        self._details = details

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
            done = f"{trainer.global_step:,} of {trainer.max_steps:,} updates"
            write_lines([f"training: {done}, as evaluations no longer improved"], problems=True)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return the numbers next to the bar: return and price of the last evaluation, if there is one."""
        if not self._details:
            return {}
        known = trainer.callback_metrics
        wanted = {
            "return": ("eval/episode_return", "train/episode_return"),
            "price": ("eval/price_mean", "train/price_mean"),
            "updates/s": ("time/updates_per_second",),
        }
        found = {label: next((known[name] for name in names if name in known), None) for label, names in wanted.items()}
        return {label: f"{float(value):.4g}" for label, value in found.items() if value is not None}
