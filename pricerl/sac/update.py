"""One gradient update of everything: critics, actor, temperature, target network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.sac.losses import actor_loss, critic_loss, polyak_update, td_target, temperature_loss
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import Transition

Reduce = Callable[[list[Tensor]], None]
"""Replaces gradients by their means over several processes, in place."""


class CriticMetrics(NamedTuple):
    """What a critic update tells, ``()`` each."""

    critic_loss: Tensor
    q_mean: Tensor


class ActorMetrics(NamedTuple):
    """What an update of actor and temperature tells, ``()`` each."""

    actor_loss: Tensor
    entropy: Tensor
    alpha: Tensor


class Optimizers(NamedTuple):
    """One Adam for each of the three."""

    critic: Adam
    actor: Adam
    alpha: Adam


def make_optimizers(agent: SACAgent) -> Optimizers:
    """Build the three optimizers for an agent that lies on its final device."""
    config = agent.config
    return Optimizers(
        Adam(agent.critic.parameters(), config.critic_lr),
        Adam(agent.actor.parameters(), config.actor_lr),
        Adam([agent.log_alpha], config.alpha_lr),
    )


class SACUpdate:
    """Soft Actor-Critic's update (arXiv:1812.05905, Algorithm 1) as a function of a batch.

    It neither waits for the device nor keeps anything between calls, so it can be compiled whole.

    Args:
        agent: what is learned.
        optimizers: of the agent's parts.
        reduce: averages gradients over several processes; None with one.
    """

    def __init__(self, agent: SACAgent, optimizers: Optimizers, reduce: Reduce | None = None) -> None:
        self.agent, self.optimizers, self.reduce, self.config = agent, optimizers, reduce, agent.config

    def full(self, batch: Transition) -> tuple[CriticMetrics, ActorMetrics]:
        """Update critics, actor, temperature and target network."""
        alpha = self.agent.log_alpha.detach().exp()
        critic_metrics = self.update_critic(batch, alpha)
        log_prob, loss = self.update_actor(batch, alpha)
        self.update_temperature(log_prob)
        self.update_target()
        actor_metrics = ActorMetrics(loss, -log_prob.mean(), self.agent.log_alpha.detach().exp())
        return critic_metrics, actor_metrics

    def critic_only(self, batch: Transition) -> CriticMetrics:
        """Update critics and target network, as most updates do where ``actor_interval`` is above 1."""
        metrics = self.update_critic(batch, self.agent.log_alpha.detach().exp())
        self.update_target()
        return metrics

    def update_critic(self, batch: Transition, alpha: Tensor) -> CriticMetrics:
        """Fit every critic to the td_target."""
        agent = self.agent
        with torch.no_grad():
            next_action, next_log_prob = agent.actor.sample(batch.next_observation)
            next_q = self._drawn(agent.target_critic(batch.next_observation, next_action))
            target = td_target(batch.reward, batch.discount, next_q, next_log_prob, alpha, agent.value_bounds)
        q = agent.critic(batch.observation, batch.action)
        loss = critic_loss(q, target)
        self._descend(loss, self.optimizers.critic, self.config.max_grad_norm)
        return CriticMetrics(loss.detach(), q.detach().mean())

    def update_actor(self, batch: Transition, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Move the actor towards actions the critics value; returns log probabilities ``(B,)`` and the loss."""
        action, log_prob = self.agent.actor.sample(batch.observation)
        q = self.agent.critic(batch.observation, action)
        loss = actor_loss(log_prob, q, alpha, self.config.actor_q)
        self._descend(loss, self.optimizers.actor, self.config.max_grad_norm)
        return log_prob.detach(), loss.detach()

    def update_temperature(self, log_prob: Tensor) -> None:
        """Move the temperature towards the target entropy."""
        if self.config.learn_alpha:
            loss = temperature_loss(self.agent.log_alpha, log_prob, self.agent.target_entropy)
            self._descend(loss, self.optimizers.alpha, max_norm=0.0)

    def update_target(self) -> None:
        """Let the target network follow."""
        polyak_update(self.agent.target_critic, self.agent.critic, self.config.tau)

    def _drawn(self, q: Tensor) -> Tensor:
        """Keep the critics drawn for this target, ``(N, B)`` to ``(M, B)``."""
        count = self.config.target_critics
        return q if count is None else q[torch.randperm(len(q), device=q.device)[:count]]

    def _descend(self, loss: Tensor, optimizer: Adam, max_norm: float) -> None:
        """One optimizer step; only the optimizer's own parameters get gradients, those of the others cost nothing."""
        gradients: Sequence[Tensor] = torch.autograd.grad(loss, optimizer.params)
        if self.reduce is not None:
            self.reduce(list(gradients))
        optimizer.descend(gradients, max_norm)
