"""Best and last checkpoint of a run, and its configuration, in the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback

from pricerl import __version__
from pricerl.training.checkpointing import BEST, CHECKPOINT_KEY, LAST, describe_run


class RunCheckpoint(ModelCheckpoint):
    """Keeps ``best.ckpt`` (highest ``eval/episode_return``) and ``last.ckpt``, one of each, overwritten in place.

    An interrupted run saves ``last.ckpt`` where it stands; a run that failed saves nothing, so that a diverged
    model never replaces a good one.

    Args:
        run_dir: the run's folder.
    """

    def __init__(self, run_dir: Path) -> None:
        super().__init__(
            dirpath=run_dir,
            filename=Path(BEST).stem,
            monitor="eval/episode_return",
            mode="max",
            every_n_epochs=1,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
        self._last, self._last_step = run_dir / LAST, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save ``best.ckpt`` if this evaluation is the best so far, and ``last.ckpt`` whatever it is."""
        super().on_validation_end(trainer, pl_module)
        self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the updates made since the last evaluation."""
        self._save_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save where an interrupted run stands."""
        if isinstance(exception, KeyboardInterrupt):
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        """Save ``last.ckpt`` unless it stands there already, or this is no training at all."""
        trial: bool = trainer.fast_dev_run  # type: ignore[attr-defined]  # Lightning sets it while it is constructed
        if trainer.state.fn == "fit" and not trial and trainer.global_step > self._last_step:
            trainer.save_checkpoint(self._last)
            self._last_step = trainer.global_step


class RunConfig(SaveConfigCallback):
    """Writes ``config.yaml`` when ``fit`` starts, and puts the configuration into every checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Only training writes a run's configuration."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Describe the run under pricerl's own key."""
        checkpoint[CHECKPOINT_KEY] = describe_run(self.parser.dump(self.config, skip_none=False), __version__)
