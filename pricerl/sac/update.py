"""One gradient update: critics, actor, temperature, target network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.sac.losses import polyak_update
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import Transition


class UpdateMetrics(NamedTuple):
    """Metrics of one update, ``()`` each."""

    critic_loss: Tensor
    q_mean: Tensor
    critic_grad_norm: Tensor
    """Norm before clipping."""
    actor_loss: Tensor
    entropy: Tensor
    actor_grad_norm: Tensor
    """Norm before clipping."""
    alpha_loss: Tensor
    """0 if alpha is constant."""
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
        agent.critic_optimizer(agent.critic.parameters(), config.critic_lr, config.max_grad_norm),
        Adam(agent.actor.parameters(), config.actor_lr, config.max_grad_norm),
        Adam([agent.log_alpha], config.alpha_lr),
    )


class Gradients(NamedTuple):
    """Gradients of one update as applied: averaged over processes and clipped; one per parameter."""

    critic: list[Tensor]
    actor: list[Tensor]
    alpha: list[Tensor]
    """Empty if alpha is constant."""


Descent = tuple[list[Tensor], Tensor]
"""Gradients of an optimizer's step as applied, and their norm ``()`` before clipping."""


class SACUpdate:
    """Soft Actor-Critic's update (arXiv:1812.05905, Algorithm 1) as a function of a batch.

    It never synchronizes with the device and holds no state of its own, so it compiles as a whole.

    Args:
        agent: networks and temperature to update.
        optimizers: optimizers of the agent's parts.
    """

    def __init__(self, agent: SACAgent, optimizers: Optimizers) -> None:
        self.agent = agent
        self.optimizers = optimizers
        self.config = agent.config

    def trace(self, batch: Transition) -> tuple[UpdateMetrics, Gradients]:
        """Update critics, actor, temperature and target network; return also the gradients."""
        critic_gradients, critic_loss, q_mean = self.differentiate_critic(batch)
        critic_gradients, critic_norm = self.optimizers.critic.descend(critic_gradients)
        actor_gradients, alpha_gradients, actor_loss, alpha_loss, entropy = self.differentiate_actor(batch)
        actor_gradients, actor_norm = self.optimizers.actor.descend(actor_gradients)
        alpha_gradients, alpha = self.update_temperature_and_target(alpha_gradients)
        metrics = UpdateMetrics(critic_loss, q_mean, critic_norm, actor_loss, entropy, actor_norm, alpha_loss, alpha)
        return metrics, Gradients(critic_gradients, actor_gradients, alpha_gradients)

    def differentiate_critic(self, batch: Transition) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return gradients of the critics, their loss and the mean of q, ``()`` each."""
        loss, q_mean = self.agent.critic_loss(batch)
        return _differentiate(loss, self.optimizers.critic), loss.detach(), q_mean

    def differentiate_actor(self, batch: Transition) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor, Tensor]:
        """Return gradients of actor and temperature, their losses and the entropy, ``()`` each.

        A constant temperature has neither gradient nor loss.
        """
        loss, log_prob = self.agent.actor_loss(batch)
        gradients = _differentiate(loss, self.optimizers.actor)
        alpha_gradients: list[Tensor] = []
        alpha_loss = torch.zeros_like(loss)
        if self.config.learn_alpha:
            alpha_loss = self.agent.temperature_loss(log_prob)
            alpha_gradients = _differentiate(alpha_loss, self.optimizers.alpha)
        return gradients, alpha_gradients, loss.detach(), alpha_loss.detach(), -log_prob.mean()

    def update_temperature_and_target(self, gradients: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Update temperature, unless it is constant, and target network; return gradients as applied and alpha."""
        if gradients:
            gradients, _ = self.optimizers.alpha.descend(gradients)
        polyak_update(self.agent.target_critic, self.agent.critic, self.config.tau)
        return gradients, self.agent.log_alpha.detach().exp()


class SharedUpdate(SACUpdate):
    """SAC's update by several processes, which average their gradients in two messages.

    The temperature's gradient depends on the actor's sample only, so it travels with the actor's. Between the messages
    are three pieces that compile separately.

    Args:
        agent: networks and temperature to update, the same in every process.
        optimizers: optimizers of the agent's parts.
        average: function that replaces a tensor by its mean over the processes.
        wrap: function that compiles a piece.
    """

    def __init__(
        self,
        agent: SACAgent,
        optimizers: Optimizers,
        average: Callable[[Tensor], None],
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda piece: piece,
    ) -> None:
        super().__init__(agent, optimizers)
        self.average = average
        self._begin = wrap(self._before)
        self._continue = wrap(self._between)
        self._finish = wrap(self._after)

    def trace(self, batch: Transition) -> tuple[UpdateMetrics, Gradients]:
        """Update critics, actor, temperature and target network; return also the gradients."""
        message, critic_loss, q_mean = self._begin(batch)
        self.average(message)
        critic, message, actor_loss, alpha_loss, entropy = self._continue(batch, message)
        self.average(message)
        actor, alpha_gradients, alpha = self._finish(message)
        metrics = UpdateMetrics(critic_loss, q_mean, critic[1], actor_loss, entropy, actor[1], alpha_loss, alpha)
        return metrics, Gradients(critic[0], actor[0], alpha_gradients)

    def _before(self, batch: Transition) -> tuple[Tensor, Tensor, Tensor]:
        gradients, loss, q_mean = self.differentiate_critic(batch)
        return _flatten([*gradients, *self.agent.statistics]), loss, q_mean

    def _between(self, batch: Transition, message: Tensor) -> tuple[Descent, Tensor, Tensor, Tensor, Tensor]:
        params = self.optimizers.critic.params
        averaged = _unflatten(message, [*params, *self.agent.statistics])
        critic = self.optimizers.critic.descend(averaged[: len(params)])
        for statistic, value in zip(self.agent.statistics, averaged[len(params) :], strict=True):
            statistic.copy_(value)
        gradients, alpha_gradients, loss, alpha_loss, entropy = self.differentiate_actor(batch)
        return critic, _flatten([*gradients, *alpha_gradients]), loss, alpha_loss, entropy

    def _after(self, message: Tensor) -> tuple[Descent, list[Tensor], Tensor]:
        params = self.optimizers.actor.params
        alpha = self.optimizers.alpha.params if self.config.learn_alpha else []
        gradients = _unflatten(message, [*params, *alpha])
        actor = self.optimizers.actor.descend(gradients[: len(params)])
        return actor, *self.update_temperature_and_target(gradients[len(params) :])


def average_together(tensors: Sequence[Tensor], average: Callable[[Tensor], None]) -> None:
    """Replace tensors of any shapes by what ``average`` makes of them, in one message; without tensors in none."""
    if tensors:
        message = _flatten(list(tensors))
        average(message)
        for tensor, found in zip(tensors, _unflatten(message, tensors), strict=True):
            tensor.copy_(found)


def _differentiate(loss: Tensor, optimizer: Adam) -> list[Tensor]:
    """Return gradients only for the optimizer's own parameters."""
    return list(torch.autograd.grad(loss, optimizer.params))


def _flatten(tensors: list[Tensor]) -> Tensor:
    """Return a vector of all elements."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a vector in the shapes of other tensors."""
    parts = torch.split(flat, [tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
