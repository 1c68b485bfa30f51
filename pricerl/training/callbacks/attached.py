"""Callbacks that data and learner attach to a trainer, so that a plain ``Trainer(...).fit(module, data)`` has them."""

from __future__ import annotations

from types import MethodType

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from pricerl.errors import UsageError
from pricerl.training.algorithm import settings_of
from pricerl.training.callbacks.checkpoint import RunCheckpoint
from pricerl.training.callbacks.metrics import RunMetrics
from pricerl.training.devices import ReplicatedStrategy
from pricerl.training.loop import OffPolicyModule


def attach(trainer: Trainer, module: LightningModule, data: LightningDataModule, monitor: str) -> None:
    """Add the writer of metrics and the saver, unless the trainer has them or saves nothing, and evaluations.

    A module without a ``validation_step`` gets that of `OffPolicyModule`. The metric ``monitor`` names the best
    checkpoint. Several processes under a strategy that does not average our learners' gradients are a ``UsageError``.
    """
    several = trainer.world_size > 1 and isinstance(module, OffPolicyModule)
    if several and not isinstance(trainer.strategy, ReplicatedStrategy):
        raise UsageError(
            f"trainer.strategy {type(trainer.strategy).__name__} averages no gradients here: it expects one backward "
            "pass per step, and an update has three; use pricerl.training.devices.ReplicatedStrategy"
        )
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set while it is constructed
    if not any(isinstance(item, RunMetrics) for item in callbacks):
        callbacks.append(RunMetrics())
    if trainer.checkpoint_callbacks and not any(isinstance(item, RunCheckpoint) for item in callbacks):
        about = {"settings": settings_of(data, module), "limits": {"max_steps": trainer.max_steps}}
        callbacks.append(RunCheckpoint(monitor, about=about))
    if not is_overridden("validation_step", module):
        module.validation_step = MethodType(OffPolicyModule.validation_step, module)  # type: ignore[method-assign]
