"""What every DataModule here has in common: an env, a collector, and a stream of sampled batches."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.evaluation import Policy
from pricerl.sac import ReplayBuffer, SACConfig, Transition
from pricerl.training.collector import CollectingEnv, CollectingPolicy, Collector
from pricerl.training.module import SACModule, TaskSpec

UPDATES_AN_ITEM = 50
"""Gradient updates of one item of the train loader, and so of one ``training_step``; more where a turn is longer."""

RANK_SEED_STRIDE = 1_000_003
"""Distance between the seeds of two ranks: each has its own episodes, noise and samples."""


class ReplayDataModule(LightningDataModule, ABC):
    """Streams batches from a replay buffer that an env fills; a subclass says which env.

    Args:
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        seed: of the env and the sampling.
    """

    saves_buffer = False
    """Whether the replay buffer is saved beside ``last.ckpt``: where experience is dear. Otherwise a resumed run fills
    it again."""

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
        """What the networks must know."""

    @abstractmethod
    def build_env(self) -> CollectingEnv:
        """The vector env that training runs in, on the trainer's device."""

    @abstractmethod
    def score(self, policy: Policy, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Run this rank's share of the deterministic evaluation episodes.

        Args:
            policy: deterministic policy.
            rank: which share.
            num_ranks: into how many shares the episodes are dealt.

        Returns:
            One number an episode by name, ``episode_return`` among them.
        """

    @property
    def device(self) -> torch.device:
        """The trainer's device; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def train_dataloader(self) -> SampleStream:
        """The stream that collects and samples."""
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, SACModule)
        length = updates_per_epoch(self.eval_every, self.trainer.max_steps - self.trainer.global_step)
        return SampleStream(self, module, module.algorithm, length)

    def val_dataloader(self) -> list[int]:
        """One item, so that Lightning opens an evaluation; the callback runs the episodes."""
        return [0]

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Batches are sampled where they are used; nothing moves."""
        return batch

    def counts(self) -> dict[str, Any] | None:
        """The collector's counters, those of a checkpoint before there is one."""
        return self.collector.state_dict() if self.collector is not None else self._saved_counts

    def start_collector(self, policy: CollectingPolicy, config: SACConfig) -> Collector:
        """Build env and buffer and warm up; a resumed run goes on counting.

        Where its buffer was not saved, it is filled with the policy, which does not count.
        """
        if self.collector is None:
            self.collector = Collector(self.build_env(), config, self.seed + RANK_SEED_STRIDE * self._rank)
            self._load_buffer(self.collector.buffer)
            self.collector.warm_up(policy, random=self._saved_counts is None)
            if self._saved_counts is not None:
                self.collector.load_state_dict(self._saved_counts)
        return self.collector

    def save_buffer(self, folder: Path) -> None:
        """Write this rank's replay buffer beside the checkpoint, where ``saves_buffer`` says so."""
        if self.saves_buffer and self.collector is not None:
            written = folder / f"{self._buffer_file}.part"
            torch.save(self.collector.buffer.state_dict(), written)
            written.replace(folder / self._buffer_file)

    def _load_buffer(self, buffer: ReplayBuffer) -> None:
        """On resume, take over what `save_buffer` wrote, if it is there."""
        resumed = None if self.trainer is None or self._saved_counts is None else self.trainer.ckpt_path
        if resumed is not None and (path := Path(resumed).parent / self._buffer_file).exists():
            buffer.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def _buffer_file(self) -> str:
        return f"replay-{self._rank}.pt"


def replay_data(trainer: Trainer) -> ReplayDataModule:
    """Return the trainer's DataModule."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run
    assert isinstance(data, ReplayDataModule)
    return data


def updates_per_epoch(eval_every: int, left: int) -> int:
    """Updates to the next evaluation: at most ``eval_every``, evened out so that the last one ends the run.

    Args:
        eval_every: updates between two evaluations.
        left: updates that the run has still to make; 0 or less without a limit.
    """
    return eval_every if left <= 0 else math.ceil(left / math.ceil(left / eval_every))


class SampleStream:
    """One epoch of the train loader: each item is a stream of batches, between which env steps are collected.

    The collector and the updates take turns: so many env steps, then so many batches. An item holds several turns,
    because Lightning takes a millisecond an item. A plain sized iterable, no ``DataLoader``: nothing is prefetched from
    a stale policy.

    Args:
        data: owner of env and buffer.
        policy: acts and learns.
        config: batch size and updates an env step.
        length: gradient updates in an epoch.
    """

    def __init__(self, data: ReplayDataModule, policy: CollectingPolicy, config: SACConfig, length: int) -> None:
        self._data, self._policy, self._config = data, policy, config
        self._vector_steps = max(1, round(config.updates_per_iteration / config.utd_ratio))
        self._updates = self._vector_steps * config.utd_ratio
        self._turns = math.ceil(length / self._updates)
        self._turns_an_item = max(1, UPDATES_AN_ITEM // self._updates)

    def __len__(self) -> int:
        return math.ceil(self._turns / self._turns_an_item)

    def __iter__(self) -> Iterator[Iterator[Transition]]:
        collector = self._data.start_collector(self._policy, self._config)
        for first in range(0, self._turns, self._turns_an_item):
            yield self._take_turns(collector, min(self._turns_an_item, self._turns - first))

    def _take_turns(self, collector: Collector, turns: int) -> Iterator[Transition]:
        for _ in range(turns):
            collector.collect(self._policy, self._vector_steps)
            yield from collector.buffer.sample_many(self._updates, self._config.batch_size)
