"""SAC as a LightningModule: owns networks and optimizers, knows no environment.

One ``training_step`` receives several sampled batches and makes one gradient update with each. Only the critics'
optimizer counts in ``trainer.global_step``, so ``trainer.max_steps`` means gradient updates.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from pricerl.sac import (
    Actor,
    Critic,
    NetworkConfig,
    SACConfig,
    Transition,
    actor_loss,
    check_finite,
    critic_loss,
    frozen,
    polyak_update,
    td_target,
    temperature_loss,
    value_bounds,
)
from pricerl.training.strategies import average_gradients, average_tensors

FUSED_DEVICES = ("cpu", "cuda")
"""Where one fused kernel updates all parameters."""

MAX_ENTROPY_BONUS = 1.0
"""Room that the value bounds leave for ``alpha * log_prob`` of one step; alpha settles far below 1."""


@dataclass(frozen=True)
class TaskSpec:
    """What the networks must know of the task."""

    observation_dim: int
    """O."""
    action_dim: int
    """A."""
    reward_low: float
    """Lowest reward of one env step."""
    reward_high: float
    """Highest reward of one env step."""
    days_per_step: int
    """Days of one env step; its discount is gamma to this number."""


class SACModule(LightningModule):
    """Soft Actor-Critic (arXiv:1812.05905) with manual optimization.

    Args:
        task: dimensions and reward bounds; linked from the data by the command line.
        algorithm: settings of the updates.
        network: shape of actor and critics.
    """

    def __init__(
        self,
        task: TaskSpec,
        algorithm: SACConfig = SACConfig(),
        network: NetworkConfig = NetworkConfig(),
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.task, self.algorithm, self.network = task, algorithm, network
        self.step_discount = algorithm.gamma**task.days_per_step
        self.value_bounds = _bounds(task, self.step_discount) if network.value_bounds else None
        low, high = self.value_bounds or (None, None)
        self.actor = Actor(task.observation_dim, task.action_dim, network)
        self.critic = Critic(task.observation_dim, task.action_dim, network, low, high)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(algorithm.alpha)))
        self.target_entropy = algorithm.resolve_target_entropy(task.action_dim)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Three Adam optimizers: critics, actor, temperature."""
        config, fused = self.algorithm, self.device.type in FUSED_DEVICES
        return [
            torch.optim.Adam(self.critic.parameters(), lr=config.critic_lr, fused=fused),
            torch.optim.Adam(self.actor.parameters(), lr=config.actor_lr, fused=fused),
            torch.optim.Adam([self.log_alpha], lr=config.alpha_lr, fused=fused),
        ]

    def on_train_start(self) -> None:
        """Give every rank its own exploration."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)

    def training_step(self, batches: list[Transition], batch_idx: int) -> dict[str, Tensor]:
        """Make one gradient update with each batch, while ``trainer.max_steps`` allows; returns the last metrics."""
        self._decay_learning_rates()
        self._share_normalization()
        if self.algorithm.finite_checks:
            for name, tensor in zip(Transition._fields, batches[0], strict=True):
                check_finite(f"{name} in the replay buffer at update {self.trainer.global_step}", tensor)
        metrics: dict[str, Tensor] = {}
        for batch in batches:
            if 0 <= self.trainer.max_steps <= self.trainer.global_step:
                break
            metrics = self.update(batch)
        return metrics

    def update(self, batch: Transition) -> dict[str, Tensor]:
        """Critics, actor, temperature, slow copy: one gradient update of each; returns what to log."""
        metrics = self.update_critic(batch)
        log_prob = self.update_actor(batch, metrics)
        self.update_temperature(log_prob, metrics)
        polyak_update(self.target_critic, self.critic, self.algorithm.tau)
        return metrics

    def update_critic(self, batch: Transition) -> dict[str, Tensor]:
        """Fit every critic to the td_target."""
        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(batch.next_observation)
            next_q = self.target_critic(batch.next_observation, next_action)
            target = td_target(
                batch.reward, batch.discount, next_q, next_log_prob, self.log_alpha.exp(), self.value_bounds
            )
        q = self.critic(batch.observation, batch.action)
        loss = critic_loss(q, target)
        self._step(0, loss, self.critic)
        return {"train/critic_loss": loss.detach(), "train/q_mean": q.detach().mean()}

    def update_actor(self, batch: Transition, metrics: dict[str, Tensor]) -> Tensor:
        """Move the actor towards actions the critics value; returns the log probabilities ``(B,)``."""
        action, log_prob = self.actor.sample(batch.observation)
        with frozen(self.critic):
            loss = actor_loss(log_prob, self.critic(batch.observation, action), self.log_alpha.exp())
            self._step(1, loss, self.actor)
        metrics["train/actor_loss"] = loss.detach()
        metrics["train/entropy"] = -log_prob.detach().mean()
        return log_prob

    def update_temperature(self, log_prob: Tensor, metrics: dict[str, Tensor]) -> None:
        """Move the temperature towards the target entropy."""
        if self.algorithm.learn_alpha:
            self._step(2, temperature_loss(self.log_alpha, log_prob, self.target_entropy), None)
        metrics["train/alpha"] = self.log_alpha.detach().exp()

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.actor.act(observation, deterministic)

    def policy(self, observation: Tensor) -> Tensor:
        """The deterministic policy ``tanh(mean)``, ``(B, O) -> (B, A)``."""
        return self.actor.act(observation, deterministic=True)

    def observe(self, observation: Tensor) -> None:
        """Update the input normalization with observations ``(B, O)``; the slow copy gets it with the weights."""
        self.actor.update_normalization(observation)
        self.critic.update_normalization(observation)

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Nothing to do: the ``Evaluation`` callback runs the episodes."""

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Nothing to do: the ``Evaluation`` callback runs the episodes."""

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Deterministic actions for a batch of observations ``(B, O)``."""
        return self.policy(batch)

    def _decay_learning_rates(self) -> None:
        """Lower the rates in a straight line to ``final_lr_share`` at ``trainer.max_steps``, if there is one."""
        config, total = self.algorithm, self.trainer.max_steps
        if total <= 0 or config.final_lr_share == 1.0:
            return
        share = 1.0 - (1.0 - config.final_lr_share) * min(1.0, self.trainer.global_step / total)
        for optimizer, rate in zip(
            self._optimizers(), (config.critic_lr, config.actor_lr, config.alpha_lr), strict=True
        ):
            for group in optimizer.optimizer.param_groups:
                group["lr"] = rate * share

    def _share_normalization(self) -> None:
        """Average the input statistics over the ranks: each has seen other observations."""
        buffers = [*self.actor.buffers(), *self.critic.buffers()]
        if self.trainer.world_size > 1 and buffers:
            average_tensors(self.trainer.strategy, buffers)

    def _optimizers(self) -> list[LightningOptimizer]:
        """Critics', actor's and temperature's optimizer."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers

    def _step(self, index: int, loss: Tensor, network: nn.Module | None) -> None:
        """One optimizer step on ``loss``; only the critics' (index 0) goes through Lightning's counter."""
        optimizer = self._optimizers()[index]
        optimizer.optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        if self.trainer.world_size > 1:
            average_gradients(self.trainer.strategy, optimizer.optimizer.param_groups[0]["params"])
        if network is not None and self.algorithm.max_grad_norm > 0:
            nn.utils.clip_grad_norm_(network.parameters(), self.algorithm.max_grad_norm, foreach=True)
        if index == 0:
            optimizer.step()
        else:
            optimizer.optimizer.step()


def _bounds(task: TaskSpec, discount: float) -> tuple[float, float] | None:
    """Value bounds from the reward's, or none where the reward is unbounded."""
    if not (math.isfinite(task.reward_low) and math.isfinite(task.reward_high)):
        return None
    return value_bounds(task.reward_low, task.reward_high, discount, MAX_ENTROPY_BONUS)
