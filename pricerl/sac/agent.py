"""All that SAC learns in one module: actor, critics, their target network and the temperature."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from pricerl.errors import UsageError
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.networks import Actor, Critic


class SACAgent(nn.Module):
    """Networks and temperature of Soft Actor-Critic (arXiv:1812.05905); `pricerl.sac.update` moves them.

    Actor, critic and target_critic share one set of input statistics.

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: where alpha starts, which entropy it seeks.
        network: shape of actor and critics.
        value_bounds: lowest and highest value possible; None if unknown, or where the network's bounds are off.

    Raises:
        UsageError: if more critics are to be drawn for a target than there are.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: SACConfig,
        network: NetworkConfig,
        value_bounds: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if config.target_critics is not None and config.target_critics > network.num_critics:
            raise UsageError(
                f"algorithm.target_critics is {config.target_critics}, but there are {network.num_critics} critics; "
                "lower it or raise network.num_critics"
            )
        self.config = config
        self.target_entropy = config.resolve_target_entropy(action_dim)
        self.value_bounds = value_bounds if network.value_bounds else None
        shared = InputNormalization(observation_dim) if network.input_normalization else None
        low, high = self.value_bounds or (None, None)
        self.actor = Actor(observation_dim, action_dim, network, shared)
        self.critic = Critic(observation_dim, action_dim, network, low, high, normalization=shared)
        not_copied = {id(shared): shared}
        self.target_critic = copy.deepcopy(self.critic, not_copied).requires_grad_(False)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(config.alpha)))
        self.normalization = shared

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.actor.act(observation, deterministic)

    def observe(self, observation: Tensor) -> None:
        """Merge observations ``(B, O)`` into the input statistics; does nothing where these are off."""
        if self.normalization is not None:
            self.normalization.update(observation)
