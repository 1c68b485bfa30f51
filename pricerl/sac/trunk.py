"""The hidden layers between input and head, the same for one network and for an ensemble at once.

Which kind of layer carries out a product (`torch.nn.Linear` or the ensemble's) is handed in, so that actor and critics
share the order of things.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import drop

MakeLinear = Callable[[int, int], nn.Module]
"""``(in_dim, out_dim)`` to a layer."""

MakeNorm = Callable[[int], nn.Module]
"""``dim`` to a layer normalisation."""

SIMBA_EXPANSION = 4
"""How much wider a SimBa block is inside (arXiv:2410.09754, section 4)."""


class HiddenLayer(nn.Module):
    """Linear, dropout, LayerNorm, ReLU, in the order of DroQ (arXiv:2110.02034), perhaps added to its input."""

    def __init__(self, linear: nn.Module, norm: nn.Module, skip: bool) -> None:
        super().__init__()
        self.linear, self.norm, self.skip = linear, norm, skip

    def forward(self, features: Tensor, share: float, active: bool) -> Tensor:
        """Map ``(..., I)`` to ``(..., H)``, dropping ``share`` of the units if ``active``."""
        hidden = F.relu(self.norm(drop(self.linear(features), share, active)))
        return hidden + features if self.skip else hidden


class SimbaBlock(nn.Module):
    """``x + down(relu(up(norm(x))))`` (arXiv:2410.09754, Eq. 5): the straight line through it stays linear."""

    def __init__(self, width: int, linear: MakeLinear, norm: MakeNorm) -> None:
        super().__init__()
        self.norm = norm(width)
        self.up, self.down = linear(width, SIMBA_EXPANSION * width), linear(SIMBA_EXPANSION * width, width)

    def forward(self, features: Tensor, share: float, active: bool) -> Tensor:
        """Map ``(..., H)`` to ``(..., H)``, dropping ``share`` of the inner units if ``active``."""
        inner = F.relu(self.up(self.norm(features)))
        residual: Tensor = features + self.down(drop(inner, share, active))
        return residual


class Trunk(nn.Module):
    """All hidden layers of a network.

    Args:
        in_dim: number of inputs.
        config: widths and switches.
        linear: makes the layers' products.
        norm: makes their normalisations.
        residual: whether a hidden layer adds its input to its output where both are equally wide; the first never does.
    """

    def __init__(
        self, in_dim: int, config: NetworkConfig, linear: MakeLinear, norm: MakeNorm, residual: bool = False
    ) -> None:
        super().__init__()
        self.embed: nn.Module = nn.Identity()
        self.final_norm: nn.Module = nn.Identity()
        if config.block == "simba":
            width = config.hidden[-1]
            self.embed, self.final_norm = linear(in_dim, width), norm(width)
            self.blocks = nn.ModuleList(SimbaBlock(width, linear, norm) for _ in config.hidden)
            return
        in_dims = (in_dim, *config.hidden[:-1])
        self.blocks = nn.ModuleList(
            HiddenLayer(
                linear(before, width),
                norm(width) if config.layer_norm else nn.Identity(),
                skip=residual and layer > 0 and before == width,
            )
            for layer, (before, width) in enumerate(zip(in_dims, config.hidden, strict=True))
        )

    def forward(self, inputs: Tensor, share: float, active: bool) -> Tensor:
        """Map ``(..., in_dim)`` to features ``(..., H)``, dropping ``share`` of the hidden units if ``active``."""
        features: Tensor = self.embed(inputs)
        for block in self.blocks:
            features = block(features, share, active)
        normed: Tensor = self.final_norm(features)
        return normed
