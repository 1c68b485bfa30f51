"""Actor and ensemble of critics.

Shapes: ``B`` batch, ``O`` observation, ``A`` action, ``N`` critics; others raise a ValueError. Initial weights and
sampled actions are drawn from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.arrays import check_shapes
from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import EnsembleHead, EnsembleLayerNorm, EnsembleLinear, InputNormalization, Linear
from pricerl.sac.losses import tanh_gaussian_log_prob


class HiddenLayer(nn.Module):
    """Linear, dropout, LayerNorm, ReLU, in the order of DroQ (arXiv:2110.02034), with an optional skip connection."""

    def __init__(self, linear: nn.Module, norm: nn.Module, skip: bool) -> None:
        super().__init__()
        self.linear = linear
        self.norm = norm
        self.skip = skip

    def forward(self, features: Tensor, dropout: float) -> Tensor:
        """Map ``(..., I)`` to ``(..., H)``, dropping units at rate ``dropout``."""
        hidden = F.relu(self.norm(F.dropout(self.linear(features), dropout)), inplace=True)
        return hidden + features if self.skip else hidden


class Trunk(nn.Module):
    """Hidden layers of one network or, with the factories ``linear`` and ``norm`` of one, of a whole ensemble.

    With ``residual``, layers after the first add their input to their output where both have the same width.
    """

    def __init__(
        self,
        in_dim: int,
        config: NetworkConfig,
        linear: Callable[[int, int], nn.Module],
        norm: Callable[[int], nn.Module],
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            HiddenLayer(
                linear(before, width),
                norm(width) if config.layer_norm else nn.Identity(),
                skip=residual and layer > 0 and before == width,
            )
            for layer, (before, width) in enumerate(pairwise((in_dim, *config.hidden)))
        )

    def forward(self, features: Tensor, dropout: float) -> Tensor:
        """Map ``(..., in_dim)`` to features ``(..., H)``, dropping hidden units at rate ``dropout``."""
        for block in self.blocks:
            features = block(features, dropout)
        return features


class Actor(nn.Module):
    """A Gaussian policy squashed by tanh into the open interval (-1, 1).

    Observations end in ``P`` privileged columns that it never reads, so it acts with or without them.

    Args:
        observation_dim: ``O``, with the privileged columns.
        action_dim: ``A``.
        config: widths, switches and limits of the log standard deviation.
        normalization: input statistics, shared with the critics; None for raw observations.
        privileged_dim: ``P``.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: NetworkConfig,
        normalization: InputNormalization | None = None,
        privileged_dim: int = 0,
    ) -> None:
        super().__init__()
        self.observation_dim = observation_dim
        self.config = config
        self.normalization = normalization
        self.visible_dim = observation_dim - privileged_dim
        self.trunk: Callable[..., Tensor] = Trunk(self.visible_dim, config, Linear, nn.LayerNorm)
        self.head = nn.Linear(config.hidden[-1], 2 * action_dim)
        for parameter in self.head.parameters():
            parameter.data.mul_(config.small_init)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation, ``(B, A)`` each, of the action before the tanh.

        The latter is squashed by another tanh into the config's limits. Observations are ``(B, O)``, or ``(B, O - P)``
        without the privileged columns; so below.
        """
        return self._gaussian(observation, dropout=self.training)

    def sample(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions ``(B, A)`` by reparameterization (arXiv:1812.05905, Eq. 8); return their log probabilities too.

        Gradients flow through actions and log probabilities ``(B,)``.
        """
        mean, log_std = self(observation)
        pre_tanh = _draw(mean, log_std)
        return torch.tanh(pre_tanh), tanh_gaussian_log_prob(pre_tanh, mean, log_std)

    @torch.no_grad()
    def act(self, observation: Tensor, deterministic: bool) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] without gradients: samples, or ``tanh(mean)`` without dropout."""
        mean, log_std = self._gaussian(observation, dropout=self.training and not deterministic)
        return torch.tanh(mean if deterministic else _draw(mean, log_std))

    def features(self, observation: Tensor, dropout: bool, *products: int) -> Tensor:
        """Return the last hidden features ``(B, H)``; a trunk of categories also needs their number of products."""
        columns = self.visible_dim if observation.shape[-1] == self.visible_dim else self.observation_dim
        check_shapes(("observation", observation, "BO"), sizes={"B": observation.shape[0], "O": columns})
        observation = observation[:, : self.visible_dim]
        normalized = observation if self.normalization is None else self.normalization(observation)
        return self.trunk(normalized, self.config.actor_dropout if dropout else 0.0, *products)

    def _gaussian(self, observation: Tensor, dropout: bool) -> tuple[Tensor, Tensor]:
        features = self.features(observation, dropout)
        with torch.autocast(features.device.type, enabled=False):  # samples and log probabilities need all digits
            mean, raw_log_std = self.head(features.to(self.head.weight.dtype)).chunk(2, dim=-1)
        low, high = self.config.log_std_min, self.config.log_std_max
        log_std = low + 0.5 * (high - low) * (torch.tanh(raw_log_std) + 1.0)
        return mean.flatten(1), log_std.flatten(1)


class Critic(nn.Module):
    """An ensemble of ``N`` Q-networks that share only the input statistics, computed as batched products.

    Between bounds the head's output is squashed softly: ``q = mid + half * tanh(raw / half)``, whose slope at the
    middle is 1, so values far from the bounds hardly change.

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        config: widths and switches.
        bounds: lowest and highest possible value, see `pricerl.sac.losses.value_bounds`; None for unbounded values.
        normalization: input statistics, shared with the actor; None for raw observations.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        config: NetworkConfig,
        bounds: tuple[float, float] | None = None,
        normalization: InputNormalization | None = None,
    ) -> None:
        super().__init__()
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.config = config
        self.bounds = bounds
        self.normalization = normalization
        members = config.num_critics
        self.trunk: Callable[..., Tensor] = Trunk(
            observation_dim + action_dim,
            config,
            partial(EnsembleLinear, members),
            partial(EnsembleLayerNorm, members),
            residual=config.residual,
        )
        self.head = EnsembleHead(members, config.hidden[-1], init_scale=config.small_init)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return every critic's value, ``q (N, B)``, of actions ``(B, A)`` given observations ``(B, O)``."""
        raw: Tensor = self.head(self.features(observation, action))
        if self.bounds is None:
            return raw
        low, high = self.bounds
        middle = 0.5 * (low + high)
        half = 0.5 * (high - low)
        return middle + half * torch.tanh(raw / half)

    def features(self, observation: Tensor, action: Tensor, *products: int) -> Tensor:
        """Return the last hidden features ``(N, B, H)``; a trunk of categories also needs their number of products."""
        sizes = {"B": len(observation), "O": self.observation_dim, "A": self.action_dim}
        check_shapes(("observation", observation, "BO"), ("action", action, "BA"), sizes=sizes)
        normalized = observation if self.normalization is None else self.normalization(observation)
        inputs = torch.cat([normalized, action], dim=-1).expand(self.config.num_critics, -1, -1)
        return self.trunk(inputs, self.config.critic_dropout if self.training else 0.0, *products)


def _draw(mean: Tensor, log_std: Tensor) -> Tensor:
    return mean + log_std.exp() * torch.randn(mean.shape, device=mean.device, dtype=mean.dtype)
