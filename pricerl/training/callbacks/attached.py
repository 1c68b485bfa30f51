"""Callbacks that data and learner attach to a trainer, so that a plain ``Trainer(...).fit(module, data)`` has them."""

from __future__ import annotations

from types import MethodType
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.model_helpers import is_overridden

from pricerl.errors import UsageError
from pricerl.training.arguments import settings_of
from pricerl.training.callbacks.checkpoint import RunCheckpoint
from pricerl.training.callbacks.metrics import RunMetrics
from pricerl.training.loop import OffPolicyModule
from pricerl.training.strategies import ReplicatedStrategy


def attach(trainer: Trainer, module: LightningModule, data: LightningDataModule, monitor: str) -> None:
    """Add the writer of metrics and the saver, unless the trainer has them or saves nothing, and evaluations.

    Args:
        trainer: trainer that is about to fit.
        module: learner; one without a ``validation_step`` gets that of `OffPolicyModule`.
        data: data that it learns from.
        monitor: metric of the best checkpoint.

    Raises:
        UsageError: there are several processes, under a strategy that does not average the gradients of our learners.
    """
    several = trainer.world_size > 1 and isinstance(module, OffPolicyModule)
    if several and not isinstance(trainer.strategy, ReplicatedStrategy):
        raise UsageError(
            f"trainer.strategy {type(trainer.strategy).__name__} averages no gradients here: it expects one backward "
            "pass per step, and an update has three; use pricerl.training.strategies.ReplicatedStrategy"
        )
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set while it is constructed
    if not any(isinstance(item, RunMetrics) for item in callbacks):
        callbacks.append(RunMetrics())
    if trainer.checkpoint_callbacks and not any(isinstance(item, RunCheckpoint) for item in callbacks):
        about = {"settings": settings_of(data, module), "limits": {"max_steps": trainer.max_steps}}
        callbacks.append(RunCheckpoint(monitor, about=about))
    if not is_overridden("validation_step", module):
        module.validation_step = MethodType(OffPolicyModule.validation_step, module)  # type: ignore[method-assign]


class PlanStopping(Callback):
    """Early stopping of a run that began with a plan.

    It is not an ``EarlyStopping`` but has one: Lightning would remove those of the user in favour of this one.

    Args:
        monitor: metric of an evaluation that should rise.
        patience: evaluations without improvement after which the run ends.
    """

    def __init__(self, monitor: str, patience: int) -> None:
        self.stopper = EarlyStopping(monitor, patience=patience, mode="max", check_on_train_epoch_end=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if this evaluation is not better than the best for ``patience`` times."""
        self.stopper.on_validation_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the best evaluation and the number of those since."""
        return self.stopper.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.stopper.load_state_dict(state_dict)


def stoppers(trainer: Trainer) -> list[EarlyStopping]:
    """Return everything that may end a run early."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # as above
    own = [item.stopper for item in callbacks if isinstance(item, PlanStopping)]
    return [*trainer.early_stopping_callbacks, *own]
