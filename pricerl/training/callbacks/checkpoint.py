"""The saver of a run: its best and its last update with all states, as plain checkpoints of Lightning's."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, Timer

from pricerl import __version__
from pricerl.errors import InterruptedRunError, NonFiniteError, signals_handled
from pricerl.runs.checkpoint import CHECKPOINT_KEY, FORMAT, SAVER, Checkpoint, rank_file, save
from pricerl.runs.folder import BEST, LAST, Generation, RunFolder
from pricerl.runs.names import RUNS
from pricerl.writing import explained

STOPPING = (signal.SIGTERM, signal.SIGINT)
"""Signals after which a run saves its state and ends."""

ASK_RANKS_EVERY = 10
"""Updates after which several ranks ask each other whether one received a signal, which takes a message."""


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning's own reader and writer, in one durable step and without anything executable."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint."""
        save(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint onto the CPU."""
        return Checkpoint.read(path).content


class RunCheckpoint(ModelCheckpoint):
    """Saver of a run at every evaluation: ``last.ckpt`` is the newest, ``best.ckpt`` has the highest metric.

    A run that has to stop (SIGTERM, Ctrl-C, a time limit, another callback) saves after the current item of the
    train loader. A diverged run saves nothing, so that it never replaces a good one.

    Args:
        monitor: metric of the best checkpoint.
        generation: where to save; a new one below the trainer's ``default_root_dir`` if absent.
        about: settings and fingerprints of the run, stored in every checkpoint.
    """

    best_score: float | None = None
    best_update: int | None = None
    last_update = -1
    finished = False
    _epochs: int | None = None
    _turn = 0
    _signal: int | None = None

    def __init__(
        self, monitor: str, generation: Generation | None = None, about: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(monitor=monitor, mode="max", save_last=True)
        self.generation = generation
        self.about = dict(about or {})
        self._catching = ExitStack()

    @property
    def state_key(self) -> str:
        """Key of the saver's state in a checkpoint."""
        return SAVER

    @property
    def last(self) -> Path | None:
        """Path of the last checkpoint, None before the first save."""
        return None if self.generation is None or self.last_update < 0 else self.generation.path / LAST

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Write checkpoints durably, and open a generation unless one is given."""
        trainer.strategy.checkpoint_io = DurableCheckpointIO()
        if stage != "fit" or trainer.fast_dev_run:
            return
        if self.generation is None:
            run = RunFolder(Path(trainer.default_root_dir) / RUNS / trainer.datamodule.run_name)
            made = run.start() if trainer.is_global_zero else None
            self.generation = trainer.strategy.broadcast(made)
        self.dirpath = str(self.generation.path)

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Catch the signals to stop, from here on until training ends."""
        if self.generation is not None:
            self._catching.enter_context(signals_handled(dict.fromkeys(STOPPING, self._note_signal)))

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop if that was asked for; at the end of an epoch only after its evaluation."""
        if self.generation is None or trainer.datamodule.epoch_end <= trainer.global_step:
            return
        stopping = self._should_stop(trainer)
        if stopping or trainer.should_stop:
            self._save(trainer, evaluated=False)
        if stopping:
            self._stop(trainer)

    def on_validation_end(self, trainer: Any, pl_module: LightningModule) -> None:
        """Save, and note whether this evaluation is the best so far."""
        if self.generation is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        known = trainer.callback_metrics.get(self.monitor)
        is_best = known is not None and (self.best_score is None or float(known) > self.best_score)
        if self.last_update == trainer.global_step:  # saved before this evaluation, by a run that has to stop
            if is_best and trainer.is_global_zero:
                self.generation.take_over(self.generation.path / LAST, BEST)
            return
        if known is not None and is_best:
            self.best_score = float(known)
            self.best_update = trainer.global_step
        self._save(trainer, evaluated=True)
        if self._should_stop(trainer):
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: LightningModule) -> None:
        """Save an epoch that had no evaluation."""
        if self.generation is not None and self.last_update < trainer.global_step:
            self._save(trainer, evaluated=True, epochs=trainer.current_epoch)

    def on_train_end(self, trainer: Any, pl_module: LightningModule) -> None:
        """Hand the signals back."""
        self._catching.close()

    def on_exception(self, trainer: Any, pl_module: LightningModule, exception: BaseException) -> None:
        """Hand the signals back; a failed run saves nothing."""
        self._catching.close()

    def state_dict(self) -> dict[str, Any]:
        """Return score and update of the best evaluation, and whether training has ended."""
        return {"best_score": self.best_score, "best_update": self.best_update, "finished": self.finished}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; a best checkpoint that this generation lacks is forgotten."""
        if self.generation is not None and (self.generation.path / BEST).exists():
            self.best_score = state_dict["best_score"]
            self.best_update = state_dict["best_update"]
            self.best_model_path = str(self.generation.path / BEST)

    def on_save_checkpoint(self, trainer: Any, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store format, version, settings and fingerprints; a time limit counts anew, for the process that resumes."""
        checkpoint[CHECKPOINT_KEY] = {"format": FORMAT, "version": __version__, **self.about}
        checkpoint.pop(LightningDataModule.CHECKPOINT_HYPER_PARAMS_KEY, None)  # the settings hold them, as plain values
        checkpoint["callbacks"].pop(Timer.__name__, None)
        if self._epochs is not None:
            _start_at_epoch(checkpoint["loops"]["fit_loop"], self._epochs)

    def _save(self, trainer: Any, evaluated: bool, epochs: int | None = None) -> None:
        """Save the state after the current update; ``epochs`` are complete, if the trainer has counted this one."""
        assert self.generation is not None
        data = trainer.datamodule
        update = trainer.global_step
        for name, value in trainer.lightning_module.named_parameters():  # a diverged run saves nothing
            if not value.isfinite().all():
                raise_diverged(trainer, update, f"{name} contains NaN or infinity")
        complete = evaluated and data.epoch_end <= update
        # A time limit ends the process, not the training.
        stopped = trainer.should_stop and seconds_left(trainer) > 0
        self.finished = evaluated and (stopped or 0 < trainer.max_steps <= update)
        data.evaluated = evaluated
        for logger in trainer.loggers:
            logger.save()
        folder = self.generation.path
        self._epochs = epochs if epochs is not None else trainer.current_epoch + complete
        with explained(folder, self.stands()):
            if trainer.global_rank:
                save(rank_file(folder, trainer.global_rank, update), data.process_state())
            trainer.strategy.barrier()
            trainer.save_checkpoint(folder / LAST)  # ends with a barrier
            if trainer.is_global_zero:
                if self.best_update == update:
                    self.generation.take_over(folder / LAST, BEST)
                self.generation.keep_ranks({update, self.best_update})
        self._epochs = None
        self.last_update = update
        self.best_model_path = "" if self.best_update is None else str(folder / BEST)
        if trainer.is_global_zero:
            RunFolder(folder.parent).show(self.generation)

    def stands(self) -> str:
        """Return what a run that ends here leaves behind, as a part of a sentence."""
        if self.last_update < 0:
            return "this run has saved no checkpoint yet"
        return f"the last save is {self.last}, of update {self.last_update}; go on with fit --ckpt_path last"

    def _note_signal(self, number: int, frame: Any) -> None:
        """Stop at the next opportunity; at once if the signal comes a second time."""
        if self._signal is not None:
            self._catching.close()
            raise InterruptedRunError(f"interrupted at once; {self.stands()}", number)
        self._signal = number

    def _should_stop(self, trainer: Any) -> bool:
        """Return whether any process received a signal."""
        received = self._signal is not None
        if trainer.world_size == 1:
            return received
        before = self._turn
        self._turn = trainer.global_step // ASK_RANKS_EVERY
        return self._turn > before and trainer.strategy.reduce_boolean_decision(received, all=False)

    def _stop(self, trainer: Any) -> NoReturn:
        number = self._signal or int(signal.SIGTERM)
        done = f"{signal.Signals(number).name} after {trainer.global_step:,} updates"
        raise InterruptedRunError(f"{done}; {self.last} is saved, resume with fit --ckpt_path last", number)


def seconds_left(trainer: Any) -> float:
    """Return the seconds that the time limits of a run leave, infinite without one."""
    limits = [callback.time_remaining() for callback in trainer.callbacks if isinstance(callback, Timer)]
    return min((seconds for seconds in limits if seconds is not None), default=math.inf)


def own_saver(trainer: Any) -> RunCheckpoint | None:
    """Return the callback that saves the run's checkpoints, unless it is turned off."""
    return next((saver for saver in trainer.checkpoint_callbacks if isinstance(saver, RunCheckpoint)), None)


def raise_diverged(trainer: Any, update: int, finding: str) -> NoReturn:
    """Raise a ``NonFiniteError`` with update, finding, remedy and the last good checkpoint."""
    saved = own_saver(trainer)
    good = (
        f"the last good checkpoint is {saved.last}, of update {saved.last_update}"
        if saved is not None and saved.last_update > 0
        else "this run has saved no checkpoint yet"
    )
    raise NonFiniteError(
        f"training stopped at update {update}: {finding}. Lower model.algorithm.critic_lr and actor_lr; {good}"
    )


def _start_at_epoch(loop: dict[str, Any], epochs: int) -> None:
    """Rewrite the counters of Lightning's loops, so that a resumed run begins an epoch with what was left of one."""
    for counter in ("total", "current"):
        loop["epoch_progress"][counter].update(dict.fromkeys(("ready", "started", "processed", "completed"), epochs))
        validated = loop["epoch_loop.val_loop.batch_progress"][counter]
        validated.update(dict.fromkeys(validated, 0))
    batches = loop["epoch_loop.batch_progress"]
    batches["current"].update(dict.fromkeys(batches["current"], 0))
    batches["total"].update(dict.fromkeys(batches["total"], batches["total"]["ready"]))
    batches["is_last_batch"] = False
