"""Fast training loop: departures from Lightning's defaults, and the time that each saves.

Measured on two CPU cores, where one gradient update takes 5 to 12 ms:

- A ``training_step`` makes many updates from a stream of batches: Lightning's loop takes 0.2 to 1 ms per step.
- Updates step the bare optimizers: Lightning's wrappers and ``manual_backward`` take 0.2 ms per update. Lightning
  counts the steps of its wrappers, so ``global_step`` (and with it ``max_steps``) is set here, through
  ``fit_loop.epoch_loop.manual_optimization.optim_step_progress``, which is undocumented.
- Rows of metrics go straight to the loggers, see `pricerl.training.callbacks.metrics.RunMetrics`: ``log`` repeats old
  values at every step. It is called once per row, for callbacks that monitor a metric.
- The train loader is a plain sized iterable, not a ``DataLoader``: no batch is prefetched under a stale policy.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from typing_extensions import Self

from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.rank_state import preserved_randomness
from pricerl.sac.checks import check_finite
from pricerl.sac.config import ReplayConfig
from pricerl.sac.replay import Transition
from pricerl.training.algorithm import Algorithm
from pricerl.training.arguments import KeepsArguments
from pricerl.training.collector import Collector

UPDATES_PER_ITEM = 50
"""Gradient updates per item of the train loader, and so per ``training_step``; more if a turn is longer."""

Episodes = Callable[[Algorithm], Mapping[str, Tensor]]
"""Function that runs one rank's evaluation episodes with a learner's policy and returns metrics ``(E,)`` by name."""


class SampleStream:
    """One epoch of the train loader: each item is a stream of batches, between which env steps are collected.

    Collector and updates take turns: some env steps, then their batches. An item holds several turns.

    Args:
        start: function from a policy to the collector, which is built and warmed up at the first call.
        policy: learner that acts and updates.
        length: gradient updates per epoch; without any, the epoch has one empty item.
        log_every: gradient updates between two rows of metrics, 0 for none; items are not longer.
    """

    def __init__(
        self, start: Callable[[Algorithm], Collector], policy: Algorithm, length: int, log_every: int = UPDATES_PER_ITEM
    ) -> None:
        config = policy.algorithm
        self._start, self._policy, self._batch_size = start, policy, config.batch_size
        self._vector_steps = max(1, round(config.updates_per_iteration / config.utd_ratio))
        self._updates = self._vector_steps * config.utd_ratio
        self._turns = math.ceil(length / self._updates)
        self._turns_per_item = max(1, min(UPDATES_PER_ITEM, log_every or UPDATES_PER_ITEM) // self._updates)

    def __len__(self) -> int:
        return max(1, math.ceil(self._turns / self._turns_per_item))

    def __iter__(self) -> Iterator[Iterator[Transition]]:
        collector = self._start(self._policy)
        for first in range(0, max(1, self._turns), self._turns_per_item):
            yield self._take_turns(collector, min(self._turns_per_item, self._turns - first))

    def _take_turns(self, collector: Collector, turns: int) -> Iterator[Transition]:
        for _ in range(turns):
            collector.collect(self._policy, self._vector_steps)
            yield from collector.buffer.sample_many(self._updates, self._batch_size)


def updates_per_epoch(eval_every: int, left: int) -> int:
    """Return the updates per epoch: at most ``eval_every``, evened out so that the last epoch ends the run.

    Args:
        eval_every: updates between two evaluations.
        left: updates until the end of the run; 0 or less without a limit.
    """
    return eval_every if left <= 0 else math.ceil(left / math.ceil(left / eval_every))


class OffPolicyModule(KeepsArguments, LightningModule, Algorithm):
    """LightningModule of an `Algorithm`: a subclass supplies networks, optimizers and ``update``.

    ``trainer.global_step``, and with it ``trainer.max_steps``, counts gradient updates.

    Args:
        algorithm: settings of the updates.
        step_discount: discount of one env step.
    """

    warm_start: Literal["planner", "none"] = "none"
    """Start of training: a clone of the data's plan, which may then speak for the policy, or random weights."""

    def __init__(self, algorithm: ReplayConfig, step_discount: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.algorithm, self.step_discount = algorithm, step_discount

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> Self:
        """Return the module of plain hyperparameters, as checkpoints store them."""
        return cls(**values)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # without Lightning's switches, which concern pickles
        cls, checkpoint_path: str | Path, map_location: Any = None, strict: bool | None = None, **changes: Any
    ) -> Self:
        """Return the module in a checkpoint, with its weights.

        Args:
            checkpoint_path: a checkpoint of pricerl.
            map_location: device of the module; the CPU if absent.
            strict: whether all weights must be there, as by default.
            changes: hyperparameters that replace stored ones.

        Raises:
            CheckpointError: the file is not a usable checkpoint.
        """
        checkpoint = Checkpoint.read(checkpoint_path)
        module = cls.from_hyperparameters({**checkpoint.content["hyper_parameters"], **changes})
        checkpoint.restore_weights(module, strict=strict is not False)
        return module.to(map_location or "cpu")

    def on_train_start(self) -> None:
        """Seed each rank's random numbers differently."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)

    def training_step(self, batches: Iterator[Transition], batch_idx: int) -> dict[str, list[Tensor]]:
        """Make one gradient update per batch, up to ``trainer.max_steps``.

        Returns:
            Metrics by name, one scalar ``()`` per update that reports it.
        """
        done, limit = self.trainer.global_step, self.trainer.max_steps
        metrics: dict[str, list[Tensor]] = defaultdict(list)
        made = 0
        try:
            for batch in islice(batches, None if limit < 0 else max(0, limit - done)):
                if not made:
                    self._check_batch(batch)
                results = self.update(batch, done + made + 1)
                made += 1
                for name, value in results.items():
                    metrics[f"train/{name}"].append(value)
        finally:  # also after Ctrl-C: every update is counted and saved
            progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
            for counter in (progress.total, progress.current):
                counter.ready += made
                counter.completed += made
        return metrics

    @preserved_randomness()
    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Run this rank's episodes, if any, and log the means over all ranks as ``eval/…``."""
        for name, values in episodes(self).items():
            mean = values.float().mean() if len(values) else values.new_zeros(())
            self.log(
                f"eval/{name}",
                mean,
                batch_size=len(values),
                sync_dist=True,
                prog_bar=name in ("episode_return", "price_mean"),
            )

    test_step = validation_step

    def _check_batch(self, batch: Transition) -> None:
        """Check one batch for NaN; only on the CPU, because other devices would have to synchronize."""
        if self.algorithm.finite_checks and self.device.type == "cpu":
            for name, tensor in zip(Transition._fields, batch, strict=True):
                check_finite(f"{name} in the replay buffer at update {self.trainer.global_step}", tensor)
