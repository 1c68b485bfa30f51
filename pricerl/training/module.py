"""SAC as a LightningModule: owns agent and optimizers, knows no environment.

One ``training_step`` receives a stream of sampled batches and makes one gradient update with each;
``trainer.global_step``, and with it ``trainer.max_steps``, counts these updates.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.runtime import CompiledFunction
from pricerl.sac import (
    Adam,
    NetworkConfig,
    Optimizers,
    SACAgent,
    SACConfig,
    SACUpdate,
    Transition,
    check_finite,
    make_optimizers,
    value_bounds,
)
from pricerl.training.strategies import average_tensors

MAX_ENTROPY_BONUS = 1.0
"""Room that the value bounds leave for ``alpha * log_prob`` of one step; alpha settles far below 1."""

COMPILE_FROM = 10_000
"""Updates from which compiling pays: it takes 10 to 20 seconds and saves about 3 milliseconds an update."""


@dataclass(frozen=True)
class TaskSpec:
    """What the networks must know of the task."""

    observation_dim: int
    """O."""
    action_dim: int
    """A."""
    reward_low: float = -math.inf
    """Lowest reward of one env step."""
    reward_high: float = math.inf
    """Highest reward of one env step."""
    days_per_step: int = 1
    """Days, or other units of time, of one env step; its discount is gamma to this number."""


class SACModule(LightningModule):
    """Soft Actor-Critic (arXiv:1812.05905) with manual optimization.

    Args:
        task: dimensions and reward bounds; linked from the data by the command line.
        algorithm: settings of the updates.
        network: shape of actor and critics.
        compile: whether updates are compiled into one graph. ``auto`` compiles where the run is long enough to pay for
            it, in one process. Where there is no compiler, updates run as they are, with a warning.
    """

    def __init__(
        self,
        task: TaskSpec,
        algorithm: SACConfig = SACConfig(),
        network: NetworkConfig = NetworkConfig(),
        compile: Literal["auto", "off", "on"] = "auto",
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        if compile not in ("auto", "off", "on"):
            raise UsageError(f"model.compile must be one of auto, off, on; found {compile!r}")
        self.task, self.algorithm, self.network, self.compile_mode = task, algorithm, network, compile
        self.step_discount = algorithm.gamma**task.days_per_step
        bounds = _bounds(task, self.step_discount)
        self.agent = SACAgent(task.observation_dim, task.action_dim, algorithm, network, bounds)
        self._rates = algorithm.critic_lr, algorithm.actor_lr, algorithm.alpha_lr

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Three Adam optimizers: critics, actor, temperature."""
        return list(make_optimizers(self.agent))

    def on_train_start(self) -> None:
        """Wire the update, once weights and optimizers are where and what they shall be; seed every rank."""
        several = self.trainer.world_size > 1
        if several:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)
        reduce = partial(average_tensors, self.trainer.strategy) if several else None
        update = SACUpdate(self.agent, self._optimizers(), reduce)
        wrap = partial(CompiledFunction, name="updates") if self.compiles else _plain
        self._update = wrap(update.update)

    @property
    def compiles(self) -> bool:
        """Whether this run's updates are to be compiled.

        Raises:
            UsageError: they shall be, but gradients have to be averaged over processes in between.
        """
        several, left = self.trainer.world_size > 1, self.trainer.max_steps - self.trainer.global_step
        if self.compile_mode == "on" and several:
            raise UsageError("--model.compile on works in one process; use auto or off with several devices")
        long_enough = self.trainer.max_steps < 0 or left >= COMPILE_FROM
        return self.compile_mode == "on" or (self.compile_mode == "auto" and long_enough and not several)

    def training_step(self, batches: Iterator[Transition], batch_idx: int) -> dict[str, list[Tensor]]:
        """Make one gradient update with each batch, while ``trainer.max_steps`` allows.

        Returns:
            Metrics by name, one number ``()`` an update that tells of them.
        """
        self._share_normalization()
        done, limit = self.trainer.global_step, self.trainer.max_steps
        left = None if limit < 0 else max(0, limit - done)
        metrics: dict[str, list[Tensor]] = defaultdict(list)
        made = 0
        try:
            for batch in islice(batches, left):
                if not made:
                    self._check_batch(batch)
                self._decay_learning_rates(done + made)
                told = self.update(batch)
                made += 1
                for name, value in told.items():
                    metrics[f"train/{name}"].append(value)
        finally:  # after Ctrl-C, too: what was made is saved
            self._count_updates(made)
        self._share_normalization()
        return metrics

    def update(self, batch: Transition) -> dict[str, Tensor]:
        """Make one gradient update; return its metrics by name."""
        return {**self._update(batch)._asdict()}

    def _count_updates(self, updates: int) -> None:
        """Count gradient updates for ``trainer.global_step``.

        Lightning counts steps of its optimizer wrappers, which cost a tenth of a millisecond each.
        """
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        for counter in (progress.total, progress.current):
            counter.ready += updates
            counter.completed += updates

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.agent.act(observation, deterministic)

    def policy(self, observation: Tensor) -> Tensor:
        """The deterministic policy ``tanh(mean)``, ``(B, O) -> (B, A)``."""
        return self.agent.act(observation, deterministic=True)

    def observe(self, observation: Tensor) -> None:
        """Update the input normalization with observations ``(B, O)``."""
        self.agent.observe(observation)

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Nothing to do: the ``Evaluation`` callback runs the episodes."""

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Nothing to do: the ``Evaluation`` callback runs the episodes."""

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Deterministic actions for a batch of observations ``(B, O)``."""
        return self.policy(batch)

    def _decay_learning_rates(self, updates: int) -> None:
        """Lower the rates in a straight line to ``final_lr_share`` at ``trainer.max_steps``, if there is one."""
        config, total = self.algorithm, self.trainer.max_steps
        if total <= 0 or config.final_lr_share == 1.0:
            return
        share = 1.0 - (1.0 - config.final_lr_share) * min(1.0, updates / total)
        for optimizer, rate in zip(self._optimizers(), self._rates, strict=True):
            optimizer.set_learning_rate(rate * share)

    def _share_normalization(self) -> None:
        """Average the input statistics over the ranks: each has seen other observations."""
        if self.trainer.world_size > 1 and self.agent.normalization is not None:
            average_tensors(self.trainer.strategy, list(self.agent.normalization.buffers()))

    def _check_batch(self, batch: Transition) -> None:
        """Look through one batch; not on other devices than the CPU, which would have to be waited for."""
        if self.algorithm.finite_checks and self.device.type == "cpu":
            for name, tensor in zip(Transition._fields, batch, strict=True):
                check_finite(f"{name} in the replay buffer at update {self.trainer.global_step}", tensor)

    def _optimizers(self) -> Optimizers:
        """Critics', actor's and temperature's optimizer."""
        wrapped = self.optimizers()
        assert isinstance(wrapped, list)
        found = [optimizer.optimizer for optimizer in wrapped]
        return Optimizers(*(optimizer for optimizer in found if isinstance(optimizer, Adam)))


def _plain(function: Callable[[Transition], Any]) -> Callable[[Transition], Any]:
    return function


def _bounds(task: TaskSpec, discount: float) -> tuple[float, float] | None:
    """Value bounds from the reward's, or none where the reward is unbounded."""
    if not (math.isfinite(task.reward_low) and math.isfinite(task.reward_high)):
        return None
    return value_bounds(task.reward_low, task.reward_high, discount, MAX_ENTROPY_BONUS)
