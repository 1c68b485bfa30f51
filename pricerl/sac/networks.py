"""The actor and the ensemble of critics.

Letters: ``B`` batch, ``O`` observation, ``A`` action, ``N`` critics. Initial weights are drawn from torch's global
generator.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pricerl.sac.checks import check_shape
from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import EnsembleHead, EnsembleLayerNorm, EnsembleLinear, InputNormalization
from pricerl.sac.losses import tanh_gaussian_log_prob
from pricerl.sac.trunk import Trunk


class Actor(nn.Module):
    """A Gaussian policy squashed by tanh into the open interval (-1, 1).

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: widths, switches and limits of the log standard deviation.
        normalization: input statistics shared with other networks; of its own if absent and the config wants them.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: NetworkConfig,
        normalization: InputNormalization | None = None,
    ) -> None:
        super().__init__()
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.config = config
        self.normalization = _normalization(observation_dim, config, normalization)
        self.trunk = Trunk(observation_dim, config, nn.Linear, nn.LayerNorm)
        self.head = nn.Linear(config.hidden[-1], 2 * action_dim)
        with torch.no_grad():
            self.head.weight.mul_(config.small_init)
            self.head.bias.mul_(config.small_init)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of the action before the tanh.

        Args:
            observation: ``(B, O)``.

        Returns:
            ``mean (B, A)`` and ``log_std (B, A)``; the latter bounded smoothly, by a tanh, to the config's limits.

        Raises:
            ValueError: if the shape is not as documented.
        """
        return self._gaussian(observation, dropout=self.training)

    def sample(self, observation: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw an action by reparameterisation (arXiv:1812.05905, Eq. 8); gradients flow through both results.

        Args:
            observation: ``(B, O)``.
            generator: source of the noise; torch's global one if missing.

        Returns:
            ``action (B, A)`` and its log probability ``(B,)``.

        Raises:
            ValueError: if the shape is not as documented.
        """
        mean, log_std = self(observation)
        pre_tanh = _draw(mean, log_std, generator)
        return torch.tanh(pre_tanh), tanh_gaussian_log_prob(pre_tanh, mean, log_std)

    @torch.no_grad()
    def act(self, observation: Tensor, deterministic: bool, generator: torch.Generator | None = None) -> Tensor:
        """Choose actions without gradients.

        Args:
            observation: ``(B, O)``.
            deterministic: take ``tanh(mean)``, with dropout off whatever the module's mode; else draw.
            generator: source of the noise of a draw; torch's global one if missing.

        Returns:
            Actions ``(B, A)`` within [-1, 1].

        Raises:
            ValueError: if the shape is not as documented.
        """
        mean, log_std = self._gaussian(observation, dropout=self.training and not deterministic)
        return torch.tanh(mean if deterministic else _draw(mean, log_std, generator))

    def _gaussian(self, observation: Tensor, dropout: bool) -> tuple[Tensor, Tensor]:
        check_shape("observation", observation, (observation.shape[0], self.observation_dim), "BO")
        normalized = observation if self.normalization is None else self.normalization(observation)
        features = self.trunk(normalized, self.config.actor_dropout, dropout)
        mean, raw_log_std = self.head(features).chunk(2, dim=-1)
        low, high = self.config.log_std_min, self.config.log_std_max
        return mean, low + 0.5 * (high - low) * (torch.tanh(raw_log_std) + 1.0)


class Critic(nn.Module):
    """An ensemble of ``N`` q-networks that share nothing but the input statistics, run as batched products.

    The head's output is multiplied by ``value_scale``. Between bounds it is then squashed softly:
    ``q = mid + half * tanh(raw / half)``, whose slope at the middle is 1, so far from the bounds nothing changes.

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: widths and switches.
        value_low: smallest value possible, see `pricerl.sac.losses.value_bounds`; None if unknown.
        value_high: largest value possible; None if unknown.
        value_scale: the size of a typical value: what the head's output of 1 is worth.
        normalization: input statistics shared with other networks; of its own if absent and the config wants them.

    Raises:
        ValueError: if only one bound is given, the bounds are not in order or the scale is not above 0.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: NetworkConfig,
        value_low: float | None = None,
        value_high: float | None = None,
        value_scale: float = 1.0,
        normalization: InputNormalization | None = None,
    ) -> None:
        super().__init__()
        if not value_scale > 0.0:
            raise ValueError(f"value_scale must be above 0; found {value_scale}")
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.config = config
        self.value_scale = value_scale
        self.bounds = _ordered_bounds(value_low, value_high) if config.value_bounds else None
        self.normalization = _normalization(observation_dim, config, normalization)
        members = config.num_critics
        self.trunk = Trunk(
            observation_dim + action_dim,
            config,
            partial(EnsembleLinear, members),
            partial(EnsembleLayerNorm, members),
            residual=config.residual,
        )
        self.head = EnsembleHead(members, config.hidden[-1], init_scale=config.small_init)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return every critic's value of taking an action after an observation.

        Args:
            observation: ``(B, O)``.
            action: ``(B, A)``.

        Returns:
            ``q (N, B)``.

        Raises:
            ValueError: if a shape is not as documented.
        """
        check_shape("observation", observation, (observation.shape[0], self.observation_dim), "BO")
        check_shape("action", action, (observation.shape[0], self.action_dim), "BA")
        normalized = observation if self.normalization is None else self.normalization(observation)
        inputs = torch.cat([normalized, action], dim=-1).expand(self.config.num_critics, -1, -1)
        features = self.trunk(inputs, self.config.critic_dropout, self.training)
        return self._bounded(self.value_scale * self.head(features))

    def _bounded(self, raw: Tensor) -> Tensor:
        if self.bounds is None:
            return raw
        low, high = self.bounds
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        return middle + half * torch.tanh(raw / half)


def _normalization(
    observation_dim: int, config: NetworkConfig, shared: InputNormalization | None
) -> InputNormalization | None:
    if not config.input_normalization:
        return None
    return InputNormalization(observation_dim) if shared is None else shared


def _draw(mean: Tensor, log_std: Tensor, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + log_std.exp() * noise


def _ordered_bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    if low is None or high is None or not low < high:
        raise ValueError(f"value_low must be below value_high, or both None; found {low} and {high}")
    return low, high
