"""Callbacks that save checkpoints and the configuration of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from pricerl import __version__
from pricerl.errors import NonFiniteError
from pricerl.training.checkpointing import BEST, CHECKPOINT_KEY, FORMAT, LAST, Checkpoint


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
