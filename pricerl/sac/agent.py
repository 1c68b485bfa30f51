"""Learned parts of SAC in one module, with their losses: actor, critics, target network and temperature."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.losses import actor_loss, critic_loss, td_target, temperature_loss
from pricerl.sac.networks import Actor, Critic
from pricerl.sac.optimizer import Adam
from pricerl.sac.pooled import PooledActor, PooledCritic
from pricerl.sac.replay import Transition
from pricerl.sac.value_gradient import DifferentiableEnv, roll_out_actor


class SACAgent(nn.Module):
    """Networks and temperature of Soft Actor-Critic (arXiv:1812.05905), and their losses.

    Actor, critic and target_critic share one set of input statistics. Critics may see a truth that the actor does not:
    an asymmetric actor-critic (arXiv:1710.06542).

    Args:
        observation_dim: ``O``, with the privileged columns.
        action_dim: ``A``.
        config: settings, of which initial alpha and target entropy are read.
        network: architecture of actor and critics.
        value_bounds: lowest and highest possible value, if known; ignored if turned off in ``network``.
        privileged_dim: ``P``, last columns of an observation that only the critics read.
    """

    critic_optimizer = Adam
    """Optimizer of the critics."""

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: SACConfig,
        network: NetworkConfig,
        value_bounds: tuple[float, float] | None = None,
        privileged_dim: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.target_entropy = config.resolve_target_entropy(action_dim)
        self.value_bounds = value_bounds if network.value_bounds else None
        if network.columns:  # each product has its own, and its own actions
            action_dim = action_dim * network.columns // observation_dim
            observation_dim = network.columns
        self.normalization = InputNormalization(observation_dim) if network.input_normalization else None
        if network.columns:
            self.actor: Actor = PooledActor(observation_dim, action_dim, network, self.normalization)
        else:
            self.actor = Actor(observation_dim, action_dim, network, self.normalization, privileged_dim)
        self.critic = self.make_critic(observation_dim, action_dim, network)
        not_copied = {id(self.normalization): self.normalization}
        self.target_critic = copy.deepcopy(self.critic, not_copied).requires_grad_(False)
        self.env: DifferentiableEnv | None = None
        self.horizon = config.actor_horizon or 0
        self.log_alpha = nn.Parameter(torch.tensor(math.log(config.alpha)))

    def make_critic(self, observation_dim: int, action_dim: int, network: NetworkConfig) -> nn.Module:
        """Return the ensemble of critics, which maps observations ``(B, O)`` and actions ``(B, A)`` to ``(N, B)``."""
        if network.columns:
            return PooledCritic(observation_dim, action_dim, network, self.normalization)
        return Critic(observation_dim, action_dim, network, self.value_bounds, self.normalization)

    @property
    def statistics(self) -> list[Tensor]:
        """Statistics of batches that processes average after each update of the critics; plain ones have none."""
        return []

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``, or ``(B, O - P)``."""
        return self.actor.act(observation, deterministic)

    def critic_loss(self, batch: Transition) -> tuple[Tensor, Tensor]:
        """Return the loss of the critics against the TD target and the mean of their values, ``()`` each."""
        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(batch.next_observation)
            next_q = self.target_critic(batch.next_observation, next_action)
            alpha = self.log_alpha.exp()
            target = td_target(batch.reward, batch.discount, next_q, next_log_prob, alpha, self.value_bounds)
        q = self.critic(batch.observation, batch.action)
        return critic_loss(q, target), q.detach().mean()

    def actor_loss(self, batch: Transition) -> tuple[Tensor, Tensor]:
        """Return the loss ``()`` of newly sampled actions, and their log probabilities ``(B,)`` as constants."""
        if self.env is not None:
            return roll_out_actor(self.actor, self.critic, self.env, self.horizon, self.log_alpha.exp())
        action, log_prob = self.actor.sample(batch.observation)
        q = self.critic(batch.observation, action)
        return actor_loss(log_prob, q, self.log_alpha.detach().exp()), log_prob.detach()

    def temperature_loss(self, log_prob: Tensor) -> tuple[Tensor]:
        """Return the loss ``()`` of the temperature for the log probabilities ``(B,)`` of sampled actions."""
        return (temperature_loss(self.log_alpha, log_prob, self.target_entropy),)


@contextmanager
def held_constant(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Leave learned parameters out of the gradients of what is computed within."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    yield
    for parameter in parameters:
        parameter.requires_grad_(True)
