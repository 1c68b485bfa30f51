"""Soft Actor-Critic as a LightningModule with agent and optimizers, independent of any environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.losses import polyak_update, value_bounds
from pricerl.sac.normalized import NormalizedAgent
from pricerl.sac.replay import Transition
from pricerl.sac.update import Optimizers, SACUpdate, SharedUpdate, average_together, make_optimizers
from pricerl.training.algorithm import TaskSpec
from pricerl.training.loop import OffPolicyModule
from pricerl.training.speed import Update, Wrap

MAX_ENTROPY_BONUS = 1.0
"""Allowance of the value bounds for ``alpha * log_prob`` per step; alpha settles far below 1."""


class SACModule(OffPolicyModule):
    """Soft Actor-Critic (arXiv:1812.05905) with manual optimization.

    Args:
        task: dimensions and reward bounds; linked from the data by the command line.
        algorithm: settings of the updates.
        network: architecture of actor and critics.
        compile: whether updates are compiled into one graph. ``auto`` compiles in a single process if the run is long
            enough to pay for it. Without a compiler, updates run uncompiled, with a warning. On a GPU, ``auto`` and
            ``on`` also record updates as a CUDA graph. ``auto`` leaves runs with an ``actor_horizon`` uncompiled.
    """

    algorithm: SACConfig

    def __init__(
        self,
        task: TaskSpec,
        algorithm: SACConfig = SACConfig(),
        network: NetworkConfig = NetworkConfig(),
        compile: Literal["auto", "off", "on"] = "auto",
    ) -> None:
        rates = {"critic": algorithm.critic_lr, "actor": algorithm.actor_lr, "alpha": algorithm.alpha_lr}
        if network.normalized and algorithm.actor_horizon:
            raise UsageError("model.network.normalized values scaled rewards; leave out model.algorithm.actor_horizon")
        discount = algorithm.gamma**task.days_per_step
        super().__init__(algorithm, discount, rates, algorithm.final_lr_share, compile)
        settings = {"algorithm": asdict(algorithm), "network": asdict(network), "compile": compile}
        self.save_hyperparameters({"task": task._asdict(), **settings}, logger=False)
        rewards = task.reward_low, task.reward_high
        bounds = value_bounds(*rewards, discount, MAX_ENTROPY_BONUS) if all(map(math.isfinite, rewards)) else None
        kind = NormalizedAgent if network.normalized else SACAgent
        self.agent = kind(task.observation_dim, task.action_dim, algorithm, network, bounds, task.privileged_dim)

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> SACModule:
        """Return the module of plain hyperparameters, as checkpoints store them."""
        known = {"task": TaskSpec, "algorithm": SACConfig, "network": NetworkConfig}
        return cls(**{name: known[name](**item) if name in known else item for name, item in values.items()})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return three Adam optimizers: critics, actor, temperature."""
        return list(make_optimizers(self.agent))

    def training_step(self, batch: Transition, batch_idx: int) -> dict[str, Tensor]:
        """Make one update (arXiv:1812.05905, Algorithm 1): critics, actor, temperature, target network.

        Each optimizer clips its gradients to ``max_grad_norm``. In an accelerated run ``batch`` is a stream of batches,
        see `pricerl.training.speed`.

        Returns:
            Metrics by name, ``()`` each.
        """
        if self.fast is not None:
            return self.make_fast_updates(iter(batch))  # type: ignore[arg-type]  # see `batch`
        updates = self.trainer.global_step
        agent = self.agent
        self.decay_learning_rates(updates)
        critic_optimizer, actor_optimizer, alpha_optimizer = self.optimizers()  # type: ignore[attr-defined]  # a list

        self.toggle_optimizer(critic_optimizer)
        critic_loss, q_mean = agent.critic_loss(batch)
        critic_optimizer.zero_grad()
        self.manual_backward(critic_loss)
        critic_optimizer.step()
        self.untoggle_optimizer(critic_optimizer)
        if self.ranks is not None:
            average_together(agent.statistics, self.ranks.average)

        self.toggle_optimizer(actor_optimizer)
        actor_loss, log_prob = agent.actor_loss(batch)
        actor_optimizer.zero_grad()
        self.manual_backward(actor_loss)
        actor_optimizer.step()
        self.untoggle_optimizer(actor_optimizer)

        alpha_loss = torch.zeros_like(actor_loss)
        if self.algorithm.learn_alpha:
            self.toggle_optimizer(alpha_optimizer)
            alpha_loss = agent.temperature_loss(log_prob)
            alpha_optimizer.zero_grad()
            self.manual_backward(alpha_loss)
            alpha_optimizer.step()
            self.untoggle_optimizer(alpha_optimizer)

        polyak_update(agent.target_critic, agent.critic, self.algorithm.tau)
        self.count_updates(updates + 1)
        return {
            "train/critic_loss": critic_loss.detach(),
            "train/q_mean": q_mean,
            "train/critic_grad_norm": critic_optimizer.grad_norm,
            "train/actor_loss": actor_loss.detach(),
            "train/entropy": -log_prob.mean(),
            "train/actor_grad_norm": actor_optimizer.grad_norm,
            "train/alpha_loss": alpha_loss.detach(),
            "train/alpha": agent.log_alpha.detach().exp(),
        }

    @property
    def normalization(self) -> InputNormalization | None:
        """Input statistics of actor and critics."""
        return self.agent.normalization

    @property
    def returns(self) -> InputNormalization | None:
        """Statistics of discounted returns, by which rewards are scaled."""
        return self.agent.returns if isinstance(self.agent, NormalizedAgent) else None

    @property
    def horizon(self) -> int:
        """Decisions over which the actor's gradient passes through the data's environment."""
        chosen = self.algorithm.actor_horizon
        if chosen is not None:
            return chosen
        return 0 if self.returns is not None else getattr(self._data, "actor_horizon", 0)

    def on_train_start(self) -> None:
        """Take the differentiable environment of the data if the actor looks ahead."""
        self.agent.horizon = self.horizon
        if self.horizon:
            self.agent.env = self._data.build_differentiable_env(self.step_discount)
            self._data.simulator = self.agent.env
        super().on_train_start()

    def on_fit_end(self) -> None:
        """Let go of the market."""
        self.agent.env = None

    def make_update(self, wrap: Wrap) -> Update:
        """Return the same update as a function that compiles as a whole, or in the parts between messages of ranks."""
        optimizers = Optimizers(*self.trainer.optimizers)  # type: ignore[arg-type]  # those of `configure_optimizers`
        if self.ranks is None:
            return wrap(SACUpdate(self.agent, optimizers).trace)
        return SharedUpdate(self.agent, optimizers, self.ranks.average, wrap).trace

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.agent.act(observation, deterministic)
