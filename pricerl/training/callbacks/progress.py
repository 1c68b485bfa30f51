"""Progress bar on stderr."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from pricerl.training.loop import RunMetrics

REFRESHES_PER_SECOND = 2
"""Redraws per second; each takes some milliseconds of training time."""


class TrainingBar(RichProgressBar):
    """Rich progress bar on stderr with return, price and updates per second.

    Args:
        metrics: writer of the run's metrics, whose last row is shown.
    """

    def __init__(self, metrics: RunMetrics) -> None:
        super().__init__(refresh_rate=REFRESHES_PER_SECOND, leave=False, console_kwargs={"stderr": True})
        self._metrics, self._updated_at = metrics, 0.0

    def on_train_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        """Update the bar only when it is redrawn."""
        now = time.monotonic()
        if trainer.is_last_batch or now - self._updated_at >= 1 / REFRESHES_PER_SECOND:
            self._updated_at = now
            super().on_train_batch_end(trainer, *arguments)

    def _get_train_description(self, current_epoch: int) -> str:
        """Return the bar's label: an epoch ends with an evaluation, and ``max_steps`` limits their number."""
        return f"To evaluation {current_epoch + 1}"

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
