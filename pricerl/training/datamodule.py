"""Base DataModule: a vector env, its collector, and the stream of sampled batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.runs.rank_state import RankState
from pricerl.sac.cloning import Demonstrations
from pricerl.sac.config import SACConfig
from pricerl.terminal import print_notes
from pricerl.training.algorithm import Algorithm, ForeignLearner, TaskSpec
from pricerl.training.arguments import KeepsArguments
from pricerl.training.collector import CollectingEnv, Collector
from pricerl.training.loop import Episodes, OffPolicyModule, SampleStream, updates_per_epoch

RANK_SEED_STRIDE = 1_000_003
"""Distance between the seeds of two ranks, so that each has its own episodes, noise and samples."""


EVALUATION_SEED = 1_000_000
"""Seed of the first evaluation episode, the same in every run, so that all runs share their initial states."""

STEP_DISCOUNT = SACConfig().gamma
"""Discount of one env step for a module that has none of its own."""


class EpisodeLoader(tuple[Episodes]):
    """Validation loader of one item, this rank's episodes; Lightning takes a plain tuple for several loaders."""


class ReplayDataModule(KeepsArguments, LightningDataModule, ABC):
    """DataModule that streams batches from a replay buffer; a subclass supplies the env that fills it.

    Args:
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        seed: seed of the env and the sampling.
    """

    monitor = "episode_return"
    """Metric of an evaluation that decides which weights are best."""
    has_plan = False
    """Whether a planner can teach the policy, see `demonstrate`."""

    def __init__(self, num_envs: int, eval_every: int, seed: int) -> None:
        super().__init__()
        if num_envs < 1 or eval_every < 1:
            raise UsageError(f"data.num_envs and data.eval_every must be positive, found {num_envs} and {eval_every}")
        self.num_envs, self.eval_every, self.seed = num_envs, eval_every, seed
        self.collector: Collector | None = None
        self.epoch_end = 0
        """Update at which this epoch ends."""
        self.evaluated = False
        """Whether the current update was evaluated, as of the last save."""
        self.changed: tuple[str, ...] = ()
        """Names of data and settings that differ from those of the resumed run."""
        self.rank_state: RankState | None = None
        """Files of this process in the run's generation."""
        self._resumed: dict[str, Any] | None = None

    @property
    def run_name(self) -> str:
        """Name of a run that is given none."""
        return "run"

    @property
    @abstractmethod
    def task(self) -> TaskSpec:
        """Dimensions and reward bounds for the networks."""

    @abstractmethod
    def build_env(self) -> CollectingEnv:
        """Return the training vector env on the trainer's device."""

    @abstractmethod
    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Run this rank's share of the deterministic evaluation episodes.

        Args:
            learner: owner of the deterministic policy.
            rank: index of the share.
            num_ranks: number of shares.

        Returns:
            Metrics ``(E,)`` by name, one value per episode, including ``episode_return`` and ``monitor``.
        """

    def demonstrate(self, learner: Algorithm) -> Demonstrations:
        """Return demonstrations of a plan for the learner's discount; only for data with a plan."""
        raise NotImplementedError

    def judge_clone(self, advantage: float) -> str:
        """Return a sentence if the clone scores much less than the plan, else nothing."""
        return ""

    @property
    def device(self) -> torch.device:
        """The trainer's device; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def setup(self, stage: str) -> None:
        """Attach what a run needs to a trainer that lacks it: metrics, checkpoints, evaluations."""
        if stage == "fit" and self.trainer is not None:
            from pricerl.training.callbacks.attached import attach

            attach(self.trainer, self.trainer.lightning_module, self, f"eval/{self.monitor}")

    def _learner(self, module: Any) -> Algorithm:
        return module if isinstance(module, OffPolicyModule) else ForeignLearner(module, STEP_DISCOUNT)

    def train_dataloader(self) -> SampleStream:
        """Return the next epoch's stream of collected and sampled batches."""
        assert self.trainer is not None
        module = self._learner(self.trainer.lightning_module)
        done = self.trainer.global_step
        self.trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]  # epochs differ in length
        if self._resumed is not None and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]  # set in its constructor
            _refuse_other_evaluations(self.trainer)
        if self._resumed is not None and self.epoch_end > done:  # a resumed run ends the epoch that it was saved in
            length = self.epoch_end - done
        elif self.trainer.current_epoch == 0 and module.starts_from_plan:
            length = 0  # the clone of the plan is evaluated before the first update
        else:
            length = updates_per_epoch(self.eval_every, self.trainer.max_steps - done)
        self.epoch_end = done + length
        log_every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set while it is constructed
        single = isinstance(module, ForeignLearner)
        return SampleStream(self.start_collector, module, length, 1 if single else log_every)

    def val_dataloader(self) -> EpisodeLoader:
        """Return the loader of this rank's evaluation episodes."""
        assert self.trainer is not None
        share = {"rank": self.trainer.global_rank, "num_ranks": self.trainer.world_size}
        return EpisodeLoader([lambda module: self.score(self._learner(module), **share)])

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged: it was sampled on the device."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the counters and the place in the epoch; before collection starts, the counters of the checkpoint."""
        counts = None if self._resumed is None else self._resumed["counts"]
        counts = counts if self.collector is None else self.collector.counts()
        return {"counts": counts, "epoch_end": self.epoch_end, "evaluated": self.evaluated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters of a saved run."""
        self._resumed = state_dict
        self.epoch_end, self.evaluated = state_dict["epoch_end"], state_dict["evaluated"]

    def start_collector(self, policy: Algorithm) -> Collector:
        """Build env and buffer and warm up at the first call; a resumed run continues its own.

        If its env or buffer cannot be restored, it says so, the policy refills the buffer, and these steps are not
        counted.
        """
        if self.collector is not None:
            return self.collector
        resumed = self._resumed
        done = 0 if self.trainer is None or resumed is None else self.trainer.global_step
        self.collector = collector = Collector(self.build_env(), policy.algorithm, self.rank_seed + done)
        if resumed is None or resumed["counts"] is None:
            collector.warm_up(policy, random=not policy.starts_from_plan)
            return collector
        if why := self._restore(collector):
            if self._rank == 0:
                print_notes([f"resumed at update {done:,}; statistical, not exact: {why}"])
            collector.load_counts(resumed["counts"])
            collector.warm_up(policy, random=False, observe=False)
            collector.load_counts(resumed["counts"])
        return collector

    def _restore(self, collector: Collector) -> str:
        """Continue a saved collector; return why that is not exact, empty if it is."""
        assert self.trainer is not None
        if self.changed:
            return f"{', '.join(self.changed)} changed"
        if self.rank_state is None or self.trainer.ckpt_path is None:
            return "this run writes no checkpoints"
        save = Path(self.trainer.ckpt_path).resolve().parent
        return self.rank_state.restore(save, collector, self.trainer.world_size)

    @property
    def choices(self) -> dict[str, Any]:
        """Settings that the data decided, by their names under ``data``; the run stores them."""
        return {}

    @property
    def rank_seed(self) -> int:
        """Seed of this rank."""
        return self.seed + RANK_SEED_STRIDE * self._rank

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank


def _refuse_other_evaluations(trainer: Trainer) -> None:
    """Refuse to resume a run whose evaluations would move: its other epochs end before, or after, an evaluation.

    Raises:
        UsageError: the trainer limits batches or evaluates within epochs.
    """
    for name in ("limit_train_batches", "val_check_interval"):
        value = getattr(trainer, name)
        if value != 1.0 or isinstance(value, int):
            raise UsageError(
                f"a run with Trainer({name}={value}) is not resumed: its evaluations, and with them the best "
                "checkpoint, would be others than those of an undisturbed run; use eval_every of the DataModule instead"
            )
