"""Soft Actor-Critic as a LightningModule with agent and optimizers, independent of any environment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pricerl.errors import refuse
from pricerl.sac.agent import held_constant
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import polyak_update
from pricerl.sac.normalized import NormalizedAgent
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import Transition
from pricerl.sac.start import SHIPPED, start_from
from pricerl.terminal import print_notes
from pricerl.training.algorithm import TaskSpec
from pricerl.training.devices import average
from pricerl.training.off_policy import Episodes, OffPolicyModule
from pricerl.training.saved_policy import build_agent, discount_of


class SACModule(OffPolicyModule):
    """Soft Actor-Critic (arXiv:1812.05905) with manual optimization.

    Args:
        task: dimensions and reward bounds; linked from the data by the command line.
        algorithm: settings of the updates.
        network: architecture of actor and critics.
        compile: whether each step, of loss, gradients and optimizer, is compiled. ``auto`` compiles in a single process
            if the run is long enough to pay for it. Without a compiler, updates run uncompiled, with a warning.
            ``auto`` leaves runs with an ``actor_horizon`` uncompiled.
        init: weights from which training starts: ``shipped`` with pricerl for a seller's data, ``scratch`` for random
            ones, or a file as ``export --format weights`` writes it.
    """

    algorithm: SACConfig

    _start: dict[str, Tensor] | None = None

    def __init__(
        self,
        task: TaskSpec,
        algorithm: SACConfig = SACConfig(),
        network: NetworkConfig = NetworkConfig(),
        compile: Literal["auto", "off", "on"] = "auto",
        init: str = "shipped",
    ) -> None:
        rates = {"critic": algorithm.critic_lr, "actor": algorithm.actor_lr, "alpha": algorithm.alpha_lr}
        super().__init__(algorithm, discount_of(task, algorithm), rates, algorithm.final_lr_share, compile)
        parts = {"task": task._asdict(), "algorithm": asdict(algorithm), "network": asdict(network)}
        self.save_hyperparameters({**parts, "compile": compile, "init": init}, logger=False)
        self.agent = build_agent(task, algorithm, network)
        self.network = network
        self.init = init

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> SACModule:
        """Return the module of plain hyperparameters, as checkpoints store them."""
        known = {"task": TaskSpec, "algorithm": SACConfig, "network": NetworkConfig}
        return cls(**{name: known[name](**item) if name in known else item for name, item in values.items()})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return three Adam optimizers: critics, actor, temperature."""
        agent = self.agent
        config = self.algorithm
        return [
            agent.critic_optimizer(agent.critic.parameters(), config.critic_lr, config.max_grad_norm),
            Adam(agent.actor.parameters(), config.actor_lr, config.max_grad_norm),
            Adam([agent.log_alpha], config.alpha_lr),
        ]

    def training_step(self, batch: Transition, batch_idx: int) -> dict[str, Tensor]:
        """Make one update (arXiv:1812.05905, Algorithm 1): critics, actor, temperature, target network.

        Each optimizer clips its gradients to ``max_grad_norm``.

        Returns:
            Metrics by name, ``()`` each.
        """
        updates = self.trainer.global_step
        agent = self.agent
        critic_optimizer, actor_optimizer, alpha_optimizer = self.optimizers()  # type: ignore[attr-defined]  # a list

        critic_loss, q_mean = self.descend(critic_optimizer, agent.critic_loss, batch)
        if self.averages:
            average(agent.statistics)

        with held_constant(critic_optimizer.params):
            actor_loss, log_prob = self.descend(actor_optimizer, agent.actor_loss, batch)

        (alpha_loss,) = self.descend(alpha_optimizer, agent.temperature_loss, log_prob)

        polyak_update(agent.target_critic, agent.critic, self.algorithm.tau)
        self.count_updates(updates + 1)
        return {
            "train/critic_loss": critic_loss,
            "train/q_mean": q_mean,
            "train/critic_grad_norm": critic_optimizer.grad_norm,
            "train/actor_loss": actor_loss,
            "train/entropy": -log_prob.mean(),
            "train/actor_grad_norm": actor_optimizer.grad_norm,
            "train/alpha_loss": alpha_loss,
            "train/alpha": agent.log_alpha.detach().exp(),
        }

    def observe(self, observation: Tensor) -> None:
        """Merge observations ``(B, O)`` of all ranks into the input statistics of actor and critics."""
        self.merge(observation, self.agent.normalization)

    def observe_returns(self, returns: Tensor) -> None:
        """Merge discounted returns ``(B,)`` of all ranks into the statistics by which rewards are scaled."""
        self.merge(returns.unsqueeze(1), getattr(self.agent, "returns", None))

    @property
    def worker_policy(self) -> Callable[[Tensor], Tensor]:
        """Deterministic policy on the CPU, which other processes load without Lightning."""
        return partial(self.cpu().agent.actor.act, deterministic=True)

    @property
    def horizon(self) -> int:
        """Decisions over which the actor's gradient passes through the data's environment."""
        chosen = self.algorithm.actor_horizon
        if chosen is not None:
            return chosen
        return 0 if isinstance(self.agent, NormalizedAgent) else getattr(self._data, "actor_horizon", 0)

    def setup(self, stage: str) -> None:
        """Load the weights from which a training starts; a run that goes on gets its own from Lightning."""
        layout = getattr(self._data, "layout", "")
        named = self.init != "shipped"
        if stage != "fit" or self.init == "scratch" or not (layout or named):
            return
        if misfit := start_from(Path(self.init) if named else SHIPPED, self.agent, self.network, layout):
            found = f"the weights of model.init {self.init} do not fit, {misfit}"
            refuse({f"{found}; leave it out, or train them with this network and data": named})
            print_notes([f"{found}; training starts from random weights"])
        elif getattr(self._data, "advises", False):
            self._start = copy.deepcopy(self.agent.state_dict())

    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Score the policy; at the end of a seller's training, take the start's weights back if these earn more."""
        super().validation_step(lambda learner: self._score_better(episodes), batch_idx)

    def _score_better(self, episodes: Episodes) -> Mapping[str, Tensor]:
        scores = episodes(self)
        trainer: Any = self.trainer
        ended = trainer.state.fn == "fit" and 0 < trainer.max_steps <= trainer.global_step
        if self._start is None or not ended:
            return scores
        learned = copy.deepcopy(self.agent.state_dict())
        self.agent.load_state_dict(self._start)
        benchmark = self._data.benchmark(self.step_discount, (trainer.global_rank, trainer.world_size))
        gained = scores[self._data.monitor].sum() - benchmark.measure(self.policy).sum()
        if float(trainer.strategy.reduce(gained, reduce_op="sum")) <= 0:
            return episodes(self)
        self.agent.load_state_dict(learned)
        return scores

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

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.agent.act(observation, deterministic)
