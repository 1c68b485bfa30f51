"""Base DataModule: a vector env, its collector, and the stream of sampled batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.sac import Demonstrations, ReplayBuffer
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.collector import CollectingEnv, Collector
from pricerl.training.loop import Episodes, OffPolicyModule, SampleStream, updates_per_epoch

RANK_SEED_STRIDE = 1_000_003
"""Distance between the seeds of two ranks, so that each has its own episodes, noise and samples."""


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
    has_plan = False
    """Whether a planner can teach the policy, see `demonstrate`."""
    saves_buffer = False
    """Whether the replay buffer is saved next to ``last.ckpt``, which pays if env steps are slow. Otherwise a
    resumed run refills it."""

    def __init__(self, num_envs: int, eval_every: int, seed: int) -> None:
        super().__init__()
        if num_envs < 1 or eval_every < 1:
            raise UsageError(f"data.num_envs and data.eval_every must be positive, found {num_envs} and {eval_every}")
        self.num_envs, self.eval_every, self.seed = num_envs, eval_every, seed
        self.collector: Collector | None = None
        self._saved_counts: dict[str, Any] | None = None

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

    def train_dataloader(self) -> SampleStream:
        """Return the next epoch's stream of collected and sampled batches."""
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, OffPolicyModule)
        length = updates_per_epoch(self.eval_every, self.trainer.max_steps - self.trainer.global_step)
        self.trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]  # epochs differ in length
        if self.trainer.current_epoch == 0 and module.starts_from_plan:
            length = 0  # the clone of the plan is evaluated before the first update
        return SampleStream(self.start_collector, module, length)

    def val_dataloader(self) -> EpisodeLoader:
        """Return the loader of this rank's evaluation episodes."""
        assert self.trainer is not None
        return EpisodeLoader([partial(self.score, rank=self.trainer.global_rank, num_ranks=self.trainer.world_size)])

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged: it was sampled on the device."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the collector's counters; before collection starts, those of the checkpoint."""
        return {"counts": self._saved_counts if self.collector is None else self.collector.counts()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters of a saved run."""
        self._saved_counts = state_dict["counts"]

    def start_collector(self, policy: Algorithm) -> Collector:
        """Build env and buffer and warm up at the first call; a resumed run restores its counters.

        If its buffer was not saved, the policy refills it, and these steps are not counted.
        """
        if self.collector is None:
            self.collector = Collector(self.build_env(), policy.algorithm, self.rank_seed)
            self._load_buffer(self.collector.buffer)
            self.collector.warm_up(policy, random=self._saved_counts is None and not policy.starts_from_plan)
            if self._saved_counts is not None:
                self.collector.load_counts(self._saved_counts)
        return self.collector

    def save_buffer(self, folder: Path) -> None:
        """Write this rank's replay buffer next to the checkpoint if ``saves_buffer`` is set."""
        if self.saves_buffer and self.collector is not None:
            written = folder / f"{self._buffer_file}.part"
            buffer = self.collector.buffer
            rows = buffer.rows(buffer.added - len(buffer), buffer.added)
            torch.save({"rows": rows, "added": buffer.added, "generator_state": buffer.generator_state}, written)
            written.replace(folder / self._buffer_file)

    def _load_buffer(self, buffer: ReplayBuffer) -> None:
        """Load the buffer written by `save_buffer` if the run is resumed and the file exists."""
        resumed = None if self.trainer is None or self._saved_counts is None else self.trainer.ckpt_path
        if resumed is not None and (path := Path(resumed).parent / self._buffer_file).exists():
            saved = torch.load(path, map_location="cpu", weights_only=True)
            buffer.restore([saved["rows"]], saved["added"], saved["generator_state"])

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

    @property
    def _buffer_file(self) -> str:
        return f"replay-{self._rank}.pt"
