"""One gradient update: critics, actor, temperature, target network."""

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
"""Function that replaces gradients in place by their means over several processes."""


class UpdateMetrics(NamedTuple):
    """Metrics of one update, ``()`` each."""

    critic_loss: Tensor
    q_mean: Tensor
    actor_loss: Tensor
    entropy: Tensor
    alpha: Tensor


class Optimizers(NamedTuple):
    """Adam optimizers of critics, actor and temperature."""

    critic: Adam
    actor: Adam
    alpha: Adam


def make_optimizers(agent: SACAgent) -> Optimizers:
    """Build the three optimizers of an agent that is already on its final device."""
    config = agent.config
    return Optimizers(
        Adam(agent.critic.parameters(), config.critic_lr),
        Adam(agent.actor.parameters(), config.actor_lr),
        Adam([agent.log_alpha], config.alpha_lr),
    )


class SACUpdate:
    """Soft Actor-Critic's update (arXiv:1812.05905, Algorithm 1) as a function of a batch.

    It never synchronizes with the device and holds no state of its own, so it compiles as a whole.

    Args:
        agent: networks and temperature to update.
        optimizers: optimizers of the agent's parts.
        reduce: function that averages gradients over processes; None in a single process.
    """

    def __init__(self, agent: SACAgent, optimizers: Optimizers, reduce: Reduce | None = None) -> None:
        self.agent, self.optimizers, self.reduce, self.config = agent, optimizers, reduce, agent.config

    def update(self, batch: Transition) -> UpdateMetrics:
        """Update critics, actor, temperature and target network."""
        alpha = self.agent.log_alpha.detach().exp()
        critic_loss_value, q_mean = self.update_critic(batch, alpha)
        actor_loss_value, log_prob = self.update_actor(batch, alpha)
        self.update_temperature(log_prob)
        self.update_target()
        new_alpha = self.agent.log_alpha.detach().exp()
        return UpdateMetrics(critic_loss_value, q_mean, actor_loss_value, -log_prob.mean(), new_alpha)

    def update_critic(self, batch: Transition, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Fit every critic to the TD target; return the loss and the mean of q, ``()`` each."""
        agent = self.agent
        with torch.no_grad():
            next_action, next_log_prob = agent.actor.sample(batch.next_observation)
            next_q = agent.target_critic(batch.next_observation, next_action)
            target = td_target(batch.reward, batch.discount, next_q, next_log_prob, alpha, agent.value_bounds)
        q = agent.critic(batch.observation, batch.action)
        loss = critic_loss(q, target)
        self._descend(loss, self.optimizers.critic, self.config.max_grad_norm)
        return loss.detach(), q.detach().mean()

    def update_actor(self, batch: Transition, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Move the actor towards actions of high soft value; return the loss ``()`` and log probabilities ``(B,)``."""
        action, log_prob = self.agent.actor.sample(batch.observation)
        q = self.agent.critic(batch.observation, action)
        loss = actor_loss(log_prob, q, alpha)
        self._descend(loss, self.optimizers.actor, self.config.max_grad_norm)
        return loss.detach(), log_prob.detach()

    def update_temperature(self, log_prob: Tensor) -> None:
        """Move the temperature so that the policy's entropy approaches the target entropy."""
        if self.config.learn_alpha:
            loss = temperature_loss(self.agent.log_alpha, log_prob, self.agent.target_entropy)
            self._descend(loss, self.optimizers.alpha, max_norm=0.0)

    def update_target(self) -> None:
        """Move the target network towards the critics."""
        polyak_update(self.agent.target_critic, self.agent.critic, self.config.tau)

    def _descend(self, loss: Tensor, optimizer: Adam, max_norm: float) -> None:
        """Make one optimizer step; compute gradients only for the optimizer's own parameters."""
        gradients: Sequence[Tensor] = torch.autograd.grad(loss, optimizer.params)
        if self.reduce is not None:
            self.reduce(list(gradients))
        optimizer.descend(gradients, max_norm)
