"""Base DataModule: a vector env, its collector, and the stream of sampled batches."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor
from typing_extensions import Self

from pricerl.errors import CheckpointError, UsageError, refuse
from pricerl.runs.checkpoint import Checkpoint, rank_file, read_saved
from pricerl.sac.value_gradient import DifferentiableEnv
from pricerl.terminal import print_notes
from pricerl.training.algorithm import Algorithm, TaskSpec, settings_of
from pricerl.training.callbacks.checkpoint import RunCheckpoint, raise_diverged
from pricerl.training.callbacks.metrics import RunMetrics
from pricerl.training.collector import CollectingEnv, Collector, SampleStream
from pricerl.training.devices import ReplicatedStrategy
from pricerl.training.off_policy import Episodes, OffPolicyModule

RANK_SEED_STRIDE = 1_000_003
"""Distance between the seeds of two ranks, so that each has its own episodes, noise and samples."""


WHOLE_EPOCHS = {"limit_train_batches": 1.0, "val_check_interval": 1.0, "overfit_batches": 0.0}
"""Settings of a trainer that leave the length of epochs alone."""

PROCESS = "process"
"""Key of the state of a process in the data's."""

EVALUATION_SEED = 1_000_000
"""Seed of the first evaluation episode, the same in every run, so that all runs share their initial states."""


class EpisodeLoader(tuple[Episodes]):
    """Validation loader of one item, this rank's episodes; Lightning takes a plain tuple for several loaders."""


class ReplayDataModule(LightningDataModule, ABC):
    """DataModule that streams batches from a replay buffer; a subclass supplies the env that fills it.

    Args:
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        seed: seed of the env and the sampling.
    """

    monitor = "episode_return"
    """Metric of an evaluation that decides which weights are best."""
    actor_horizon = 0
    """Decisions over which an actor's gradient passes through the environment unless the learner chooses."""

    trainer: Any
    """Lightning's trainer, None without one."""
    collector: Collector | None = None
    simulator: DifferentiableEnv | None = None
    """Rows that carry gradients, if the learner uses them."""
    epoch_end = 0
    """Update at which this epoch ends."""
    evaluated = False
    """Whether the current update was evaluated, as of the last save."""
    changed: tuple[str, ...] = ()
    """Names of data and settings that the resumed run had otherwise."""
    _resumed: dict[str, Any] | None = None

    def __init__(self, num_envs: int, eval_every: int, seed: int) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        refuse(
            {
                f"data.num_envs and data.eval_every must be positive, found {num_envs} and {eval_every}": (
                    min(num_envs, eval_every) < 1
                )
            }
        )
        self.num_envs = num_envs
        self.eval_every = eval_every
        self.seed = seed

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's hparams_file does not exist here
        cls, checkpoint_path: str | Path, map_location: Any = None, weights_only: bool | None = None, **changes: Any
    ) -> Self:
        """Return the data of a checkpoint, with its settings and, of a seller, with the history.

        Arguments are Lightning's: ``changes`` are arguments of the constructor that replace stored ones, data are on
        the trainer's device in any case, and nothing in a checkpoint is ever executed.

        Raises:
            CheckpointError: the file is not a usable checkpoint, or one of other data.
        """
        checkpoint = Checkpoint.read(checkpoint_path)
        settings = checkpoint.settings
        data = settings["data"]
        stored = {**data.get("init_args", data), "seed": int(settings.get("seed_everything") or 0)}
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(cls, "data", fail_untyped=False, instantiate=False)
        weight = settings.get("decision", {}).get("loss_weight")
        if weight is not None and "data.reward.loss_weight" in parser.get_defaults():
            stored["reward"] = {**stored.get("reward", {}), "loss_weight": weight}
        checkpoint.check_settings(parser.get_defaults().as_dict())
        try:
            config = parser.parse_object({"data": stored})
        except ArgumentError as error:
            raise CheckpointError(f"{checkpoint.path} holds other data than {cls.__name__}") from error
        made = cls(**{**vars(parser.instantiate_classes(config).data), **changes})
        made.load_state_dict(checkpoint.data_state(cls))
        return made

    @property
    def run_name(self) -> str:
        """Name of a run that is given none."""
        return "run"

    @property
    def layout(self) -> str:
        """Columns of an observation and meaning of an action, to which shipped weights must fit; empty if to none."""
        return ""

    @property
    @abstractmethod
    def task(self) -> TaskSpec:
        """Dimensions and reward bounds for the networks."""

    advises = False
    """Whether a run advises a seller."""

    @abstractmethod
    def build_env(self) -> CollectingEnv:
        """Return the training vector env on the trainer's device."""

    @abstractmethod
    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Run this rank's share of the learner's deterministic evaluation episodes.

        Returns:
            Scores ``(E,)`` by name, one value per episode, including ``episode_return`` and ``monitor``.
        """

    def build_differentiable_env(self, step_discount: float) -> DifferentiableEnv:
        """Return rows that carry gradients, for a decision's discount, or raise a ``UsageError``."""
        raise UsageError(
            f"model.algorithm.actor_horizon must be 0 for {self.run_name}, whose steps carry no gradients; leave it out"
        )

    @property
    def device(self) -> torch.device:
        """The trainer's device; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def setup(self, stage: str) -> None:
        """Attach what a run needs to a trainer that lacks it: metrics, checkpoints, evaluations."""
        if stage == "fit" and self.trainer is not None:
            attach(self.trainer, self.trainer.lightning_module, self, f"eval/{self.monitor}")

    def train_dataloader(self) -> SampleStream:
        """Return the next epoch's stream of collected and sampled batches."""
        trainer = self.trainer
        done = trainer.global_step
        trainer.reload_dataloaders_every_n_epochs = 1  # epochs differ in length
        given = {} if trainer.fast_dev_run else {name: getattr(trainer, name) for name in WHOLE_EPOCHS}
        refuse(
            {
                f"trainer.{name} {value} is not supported: batches are sampled from a replay buffer, and "
                "data.eval_every is the number of updates between two evaluations": (
                    value != WHOLE_EPOCHS[name] or type(value) is int  # the number 1 is one batch, 1.0 means all
                )
                for name, value in given.items()
            }
        )
        if self.epoch_end <= done:  # a resumed run ends the epoch that it was saved in
            self.epoch_end = done + updates_per_epoch(self.eval_every, trainer.max_steps - done)
        return SampleStream(self.start_collector, trainer.lightning_module, self.epoch_end - done, self._stop_diverged)

    def val_dataloader(self) -> EpisodeLoader:
        """Return the loader of this rank's evaluation episodes."""
        return EpisodeLoader([lambda module: self.score(module, self._rank, self.trainer.world_size)])

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged: it was sampled on the device."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the counters, the place in the epoch and the state of this process.

        Before collection starts, the counters are the checkpoint's.
        """
        resumed = self._resumed and self._resumed["counts"]
        return {
            "counts": resumed if self.collector is None else self.collector.counts(),
            "epoch_end": self.epoch_end,
            "evaluated": self.evaluated,
            PROCESS: {} if self.collector is None else self.process_state(),
        }

    def process_state(self) -> dict[str, Any]:
        """Return what goes on in this process alone: env, rows for gradients, replay buffer and generators."""
        collector: Any = self.collector
        return {"world_size": self.trainer.world_size, "collector": collector.state_dict(), "random": random_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters of a saved run."""
        self._resumed = state_dict
        self.epoch_end = state_dict["epoch_end"]
        self.evaluated = state_dict["evaluated"]

    def start_collector(self, policy: Algorithm) -> Collector:
        """Build env and buffer and warm up at the first call; a resumed run continues its own, or says why not."""
        if self.collector is not None:
            return self.collector
        resumed = self._resumed
        done = 0 if self.trainer is None or resumed is None else self.trainer.global_step
        seed = self.seed + RANK_SEED_STRIDE * self._rank + done
        self.collector = collector = Collector(self.build_env(), policy.algorithm, seed)
        collector.simulator = self.simulator
        if resumed is None or resumed["counts"] is None:
            collector.warm_up(policy)
            return collector
        if why := self._restore(collector, resumed[PROCESS]):
            if self._rank == 0:
                print_notes([f"resumed at update {done:,}; statistical, not exact: {why}"])
            collector.warm_up(policy, resumed=True)
            collector.load_counts(resumed["counts"])
        return collector

    def _stop_diverged(self, finding: str) -> NoReturn:
        """Stop training: a loss that is not finite is named rather than its consequence."""
        for callback in self.trainer.callbacks:
            if isinstance(callback, RunMetrics):
                callback.take_means(self.trainer)
        raise_diverged(self.trainer, self.trainer.global_step, finding)

    def _restore(self, collector: Collector, state: Mapping[str, Any]) -> str:
        """Continue the saved state of a process; return why that is not exact, empty if it is."""
        trainer = self.trainer
        before = state.get("world_size")
        reasons = {
            f"{', '.join(self.changed)} changed": self.changed,
            "the checkpoint holds no states of processes": not state,
            f"it was saved by {before} processes and goes on with {trainer.world_size}": before != trainer.world_size,
        }
        if why := next((reason for reason, is_so in reasons.items() if is_so), ""):
            return why
        if self._rank:
            state = read_saved(rank_file(Path(str(trainer.ckpt_path)).parent, self._rank, trainer.global_step))
        try:
            exact = collector.load_state_dict(state["collector"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{trainer.ckpt_path} holds the state of another training: {error}") from error
        restore_random_state(state["random"])
        return "" if exact else "the environment's state cannot be saved, so its episodes start anew"

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank


def random_state() -> dict[str, Any]:
    """Return the state of torch's global generators, the only ones that training draws from."""
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if in_use else []}


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` returned, from any device; states of GPUs that this machine lacks are skipped."""
    torch.set_rng_state(state["torch"].cpu())
    for index, own in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(own.cpu(), index)


def attach(trainer: Trainer, module: LightningModule, data: LightningDataModule, monitor: str) -> None:
    """Add the writer of metrics and the saver, unless the trainer has them or saves nothing.

    The metric ``monitor`` names the best checkpoint. A module that is no `OffPolicyModule`, and several processes under
    a strategy that does not average its gradients, are a ``UsageError``.
    """
    refuse(
        {
            f"{type(module).__name__} must be a subclass of {OffPolicyModule.__module__}.OffPolicyModule": (
                not isinstance(module, OffPolicyModule)
            ),
            f"trainer.strategy {type(trainer.strategy).__name__} averages no gradients here: it expects one backward "
            "pass per step, and an update has three; use pricerl.training.devices.ReplicatedStrategy": (
                trainer.world_size > 1 and not isinstance(trainer.strategy, ReplicatedStrategy)
            ),
        }
    )
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set while it is constructed
    if not any(isinstance(item, RunMetrics) for item in callbacks):
        callbacks.append(RunMetrics())
    if trainer.checkpoint_callbacks and not any(isinstance(item, RunCheckpoint) for item in callbacks):
        limits = {"max_steps": trainer.max_steps}
        callbacks.append(RunCheckpoint(monitor, about={"settings": settings_of(data, module), "limits": limits}))


def updates_per_epoch(longest: int, left: int) -> int:
    """Return the updates per epoch, at most ``longest``, the ``left`` ones split evenly; 0 or less is no limit."""
    return longest if left <= 0 else math.ceil(left / math.ceil(left / longest))
