"""One gradient update: critics, actor, temperature, target network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.sac.losses import actor_loss, critic_loss, polyak_update, td_target, temperature_loss
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import Transition


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


class Gradients(NamedTuple):
    """Gradients of one update as applied: averaged over processes and clipped; one per parameter."""

    critic: list[Tensor]
    actor: list[Tensor]
    alpha: list[Tensor]
    """Empty if alpha is constant."""


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

    def update(self, batch: Transition) -> UpdateMetrics:
        """Update critics, actor, temperature and target network."""
        return self.trace(batch)[0]

    def trace(self, batch: Transition) -> tuple[UpdateMetrics, Gradients]:
        """Update critics, actor, temperature and target network; return also the gradients."""
        critic_gradients, critic_loss_value, q_mean = self.differentiate_critic(batch)
        critic_gradients = self.update_critic(critic_gradients)
        actor_gradients, actor_loss_value, log_prob = self.differentiate_actor(batch)
        alpha_gradients = self.differentiate_temperature(log_prob)
        actor_gradients = self.update_actor(actor_gradients)
        alpha_gradients = self.update_temperature(alpha_gradients)
        self.update_target()
        new_alpha = self.agent.log_alpha.detach().exp()
        metrics = UpdateMetrics(critic_loss_value, q_mean, actor_loss_value, -log_prob.mean(), new_alpha)
        return metrics, Gradients(critic_gradients, actor_gradients, alpha_gradients)

    def differentiate_critic(self, batch: Transition) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return gradients of the critics' distance to the TD target, the loss and the mean of q, ``()`` each."""
        agent = self.agent
        with torch.no_grad():
            next_action, next_log_prob = agent.actor.sample(batch.next_observation)
            next_q = agent.target_critic(batch.next_observation, next_action)
            alpha = agent.log_alpha.exp()
            target = td_target(batch.reward, batch.discount, next_q, next_log_prob, alpha, agent.value_bounds)
        q = agent.critic(batch.observation, batch.action)
        loss = critic_loss(q, target)
        return self._differentiate(loss, self.optimizers.critic), loss.detach(), q.detach().mean()

    def update_critic(self, gradients: list[Tensor]) -> list[Tensor]:
        """Fit every critic to the TD target; return the gradients as applied."""
        return self.optimizers.critic.descend(gradients, self.config.max_grad_norm)

    def differentiate_actor(self, batch: Transition) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return gradients of the actor, the loss ``()`` and log probabilities ``(B,)``."""
        action, log_prob = self.agent.actor.sample(batch.observation)
        q = self.agent.critic(batch.observation, action)
        loss = actor_loss(log_prob, q, self.agent.log_alpha.detach().exp())
        return self._differentiate(loss, self.optimizers.actor), loss.detach(), log_prob.detach()

    def update_actor(self, gradients: list[Tensor]) -> list[Tensor]:
        """Move the actor towards actions of high soft value; return the gradients as applied."""
        return self.optimizers.actor.descend(gradients, self.config.max_grad_norm)

    def differentiate_temperature(self, log_prob: Tensor) -> list[Tensor]:
        """Return the gradient of the temperature, or nothing if it is constant."""
        if not self.config.learn_alpha:
            return []
        loss = temperature_loss(self.agent.log_alpha, log_prob, self.agent.target_entropy)
        return self._differentiate(loss, self.optimizers.alpha)

    def update_temperature(self, gradients: list[Tensor]) -> list[Tensor]:
        """Move the temperature so that the policy's entropy approaches the target entropy, unless it is constant."""
        return self.optimizers.alpha.descend(gradients) if gradients else []

    def update_target(self) -> None:
        """Move the target network towards the critics."""
        polyak_update(self.agent.target_critic, self.agent.critic, self.config.tau)

    @staticmethod
    def _differentiate(loss: Tensor, optimizer: Adam) -> list[Tensor]:
        """Return gradients only for the optimizer's own parameters."""
        return list(torch.autograd.grad(loss, optimizer.params))


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
        message, critic_loss_value, q_mean = self._begin(batch)
        self.average(message)
        critic_gradients, message, actor_loss_value, entropy = self._continue(batch, message)
        self.average(message)
        actor_gradients, alpha_gradients, alpha = self._finish(message)
        metrics = UpdateMetrics(critic_loss_value, q_mean, actor_loss_value, entropy, alpha)
        return metrics, Gradients(critic_gradients, actor_gradients, alpha_gradients)

    def _before(self, batch: Transition) -> tuple[Tensor, Tensor, Tensor]:
        gradients, loss, q_mean = self.differentiate_critic(batch)
        return _flatten(gradients), loss, q_mean

    def _between(self, batch: Transition, message: Tensor) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
        critic_gradients = self.update_critic(_unflatten(message, self.optimizers.critic.params))
        gradients, loss, log_prob = self.differentiate_actor(batch)
        gradients += self.differentiate_temperature(log_prob)
        return critic_gradients, _flatten(gradients), loss, -log_prob.mean()

    def _after(self, message: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        actor = self.optimizers.actor.params
        alpha = self.optimizers.alpha.params if self.config.learn_alpha else []
        gradients = _unflatten(message, [*actor, *alpha])
        actor_gradients = self.update_actor(gradients[: len(actor)])
        alpha_gradients = self.update_temperature(gradients[len(actor) :])
        self.update_target()
        return actor_gradients, alpha_gradients, self.agent.log_alpha.detach().exp()


def _flatten(tensors: list[Tensor]) -> Tensor:
    """Return a vector of all elements."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a vector in the shapes of other tensors."""
    parts = torch.split(flat, [tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
