"""Callback that ends a run once SAC no longer improves on the plan that it began with."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


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
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set while it is constructed
    own = [item.stopper for item in callbacks if isinstance(item, PlanStopping)]
    return [*trainer.early_stopping_callbacks, *own]
