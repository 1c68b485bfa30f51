"""The actor and the ensemble of critics.

Letters: ``B`` batch, ``O`` observation, ``A`` action, ``N`` critics. A hidden layer is, in the order of DroQ
(arXiv:2110.02034): linear, dropout, LayerNorm, ReLU. Initial weights are drawn from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.sac.checks import check_shape
from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import EnsembleHead, EnsembleLayerNorm, EnsembleLinear, InputNormalization
from pricerl.sac.losses import tanh_gaussian_log_prob


class Actor(nn.Module):
    """A Gaussian policy squashed by tanh into the open interval (-1, 1).

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: widths, switches and limits of the log standard deviation.
    """

    def __init__(self, observation_dim: int, action_dim: int, config: NetworkConfig) -> None:
        super().__init__()
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.config = config
        self.normalization = InputNormalization(observation_dim) if config.input_normalization else None
        in_dims = (observation_dim, *config.hidden[:-1])
        self.linears = nn.ModuleList(nn.Linear(i, h) for i, h in zip(in_dims, config.hidden, strict=True))
        self.norms = nn.ModuleList(nn.LayerNorm(h) if config.layer_norm else nn.Identity() for h in config.hidden)
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

    def update_normalization(self, observation: Tensor) -> None:
        """Merge observations ``(B, O)`` into the input statistics; does nothing where these are off."""
        if self.normalization is not None:
            self.normalization.update(observation)

    def _gaussian(self, observation: Tensor, dropout: bool) -> tuple[Tensor, Tensor]:
        check_shape("observation", observation, (observation.shape[0], self.observation_dim), "BO")
        features = observation if self.normalization is None else self.normalization(observation)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            features = F.relu(norm(_drop(linear(features), self.config.actor_dropout, dropout)))
        mean, raw_log_std = self.head(features).chunk(2, dim=-1)
        low, high = self.config.log_std_min, self.config.log_std_max
        return mean, low + 0.5 * (high - low) * (torch.tanh(raw_log_std) + 1.0)


class Critic(nn.Module):
    """An ensemble of ``N`` q-networks that share nothing but the input statistics, run as batched products.

    The head's output is multiplied by ``value_scale``. Between bounds it is then squashed softly:
    ``q = mid + half * tanh(raw / half)``, whose slope at the middle is 1, so far from the bounds nothing changes.
    A hidden layer adds its input to its output where both are equally wide; the first one never does.

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: widths and switches.
        value_low: smallest value possible, see `pricerl.sac.losses.value_bounds`; None if unknown.
        value_high: largest value possible; None if unknown.
        value_scale: the size of a typical value: what the head's output of 1 is worth.

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
    ) -> None:
        super().__init__()
        if not value_scale > 0.0:
            raise ValueError(f"value_scale must be above 0; found {value_scale}")
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.config = config
        self.value_scale = value_scale
        self.bounds = _ordered_bounds(value_low, value_high) if config.value_bounds else None
        self.normalization = InputNormalization(observation_dim) if config.input_normalization else None
        in_dims, members = (observation_dim + action_dim, *config.hidden[:-1]), config.num_critics
        self.linears = nn.ModuleList(EnsembleLinear(members, i, h) for i, h in zip(in_dims, config.hidden, strict=True))
        self.norms = nn.ModuleList(
            EnsembleLayerNorm(members, h) if config.layer_norm else nn.Identity() for h in config.hidden
        )
        self.skips = tuple(
            config.residual and layer > 0 and in_dim == width
            for layer, (in_dim, width) in enumerate(zip(in_dims, config.hidden, strict=True))
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
        features = torch.cat([normalized, action], dim=-1).expand(self.config.num_critics, -1, -1)
        for linear, norm, skip in zip(self.linears, self.norms, self.skips, strict=True):
            hidden = F.relu(norm(_drop(linear(features), self.config.critic_dropout, self.training)))
            features = hidden + features if skip else hidden
        return self._bounded(self.value_scale * self.head(features))

    def update_normalization(self, observation: Tensor) -> None:
        """Merge observations ``(B, O)`` into the input statistics; does nothing where these are off."""
        if self.normalization is not None:
            self.normalization.update(observation)

    def _bounded(self, raw: Tensor) -> Tensor:
        if self.bounds is None:
            return raw
        low, high = self.bounds
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        return middle + half * torch.tanh(raw / half)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Compute no gradients for a module's parameters inside the block; those of its inputs still flow.

    The actor's loss runs through the critic and must not pay for the critic's weight gradients. What each parameter
    required before is restored afterwards, also after an error.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _drop(features: Tensor, share: float, active: bool) -> Tensor:
    return F.dropout(features, share) if active and share > 0.0 else features


def _draw(mean: Tensor, log_std: Tensor, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + log_std.exp() * noise


def _ordered_bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    if low is None or high is None or not low < high:
        raise ValueError(f"value_low must be below value_high, or both None; found {low} and {high}")
    return low, high
