"""Actor and critics of categories: the same network for every product, with all products' features pooled.

After the first hidden layer each further one reads a product's own features and the mean and the maximum over the
category (Deep Sets, arXiv:1703.06114). So products may stand in any order, and there may be any number of them.

Shapes: ``B`` batch, ``K`` products, ``F`` columns and ``A`` actions of a product. Observations are ``(B, K * F)`` and
actions ``(B, K * A)``, one product after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import EnsembleLayerNorm, EnsembleLinear, InputNormalization, Linear
from pricerl.sac.networks import Actor, Critic


class PooledTrunk(nn.Module):
    """Hidden layers of every product, which read the category from the second layer on.

    The factories ``linear`` and ``norm`` make one network or a whole ensemble.
    """

    def __init__(
        self,
        in_dim: int,
        config: NetworkConfig,
        linear: Callable[[int, int], nn.Module],
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.own = nn.ModuleList(linear(before, width) for before, width in pairwise((in_dim, *config.hidden)))
        self.all = nn.ModuleList(linear(2 * before, width) for before, width in pairwise(config.hidden))
        self.norms = nn.ModuleList(norm(width) if config.layer_norm else nn.Identity() for width in config.hidden)

    def forward(self, features: Tensor, dropout: float, products: int) -> Tensor:
        """Map ``(..., B * K, in_dim)`` to ``(..., B, K, H)``."""
        for layer, (own, norm) in enumerate(zip(self.own, self.norms, strict=True)):
            hidden = per_product(own(features), products)
            if layer:
                seen = per_product(features, products)
                pooled = torch.cat([seen.mean(-2), seen.amax(-2)], -1)
                hidden = hidden + self.all[layer - 1](pooled).unsqueeze(-2)
            features = F.relu(norm(F.dropout(hidden.flatten(-3, -2), dropout)))
        return per_product(features, products)


def per_product(features: Tensor, products: int) -> Tensor:
    """Return features ``(..., B * K, H)`` as ``(..., B, K, H)``."""
    return features.reshape(*features.shape[:-2], -1, products, features.shape[-1])


class PooledActor(Actor):
    """An `Actor` of every product of a category."""

    def __init__(
        self, columns: int, action_dim: int, config: NetworkConfig, normalization: InputNormalization | None
    ) -> None:
        super().__init__(columns, action_dim, config, normalization)
        self.trunk = PooledTrunk(columns, config, Linear, nn.LayerNorm)

    def features(self, observation: Tensor, dropout: bool, *products: int) -> Tensor:
        """Return the last hidden features of each product, ``(B, K, H)``."""
        rows = observation.reshape(-1, self.observation_dim)
        return super().features(rows, dropout, len(rows) // len(observation))


class PooledCritic(Critic):
    """A `Critic` of whole categories."""

    def __init__(
        self, columns: int, action_dim: int, config: NetworkConfig, normalization: InputNormalization | None
    ) -> None:
        super().__init__(columns, action_dim, config, None, normalization)
        members = config.num_critics
        self.trunk = PooledTrunk(
            columns + action_dim, config, partial(EnsembleLinear, members), partial(EnsembleLayerNorm, members)
        )

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return every critic's value, ``q (N, B)``, of actions ``(B, K * A)`` given observations ``(B, K * F)``."""
        rows = observation.reshape(-1, self.observation_dim)
        acted = action.reshape(-1, self.action_dim)
        value: Tensor = self.head(self.features(rows, acted, len(rows) // len(observation)).mean(-2))
        return value
