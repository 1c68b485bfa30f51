"""Building blocks: input normalization, and layers that compute a whole ensemble in one call.

Shapes: ``N`` ensemble members, ``B`` batch, ``O`` observation, ``I`` inputs (``in_dim``) and ``H`` outputs
(``out_dim``) of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.arrays import check_shapes
from pricerl.runtime import COMPUTE

NORMALIZED_LIMIT = 10.0
"""Normalized observations are clipped to plus and minus this many standard deviations."""

CONSTANT_VARIANCE = 1e-8
"""Variance below which a column counts as constant: it is centered but not scaled."""


class InputNormalization(nn.Module):
    """Observations centered and scaled by the running mean and variance of all observations so far.

    A constant column is centered but not scaled: if it first changes after training, its output moves by that change,
    not by a thousand standard deviations.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("var", torch.ones(dim))
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def update(self, observation: Tensor, gather: Callable[[Tensor], Sequence[Tensor]] | None = None) -> None:
        """Merge observations ``(B, O)``, one or more, into the statistics.

        ``gather`` maps mean and variance ``(2, O)`` of this batch to a list with the ones of every process, in order.
        """
        rows = len(observation)
        check_shapes(("observation", observation, "BO"), sizes={"B": rows, "O": len(self.mean)})
        var, mean = torch.var_mean(observation, dim=0, correction=0)
        moments = torch.stack([mean, var])
        for batch_mean, batch_var in [moments] if gather is None else gather(moments):
            self._merge(rows, batch_mean, batch_var)

    def _merge(self, rows: int, batch_mean: Tensor, batch_var: Tensor) -> None:
        """Merge mean and variance ``(O,)`` of rows by Chan, Golub and LeVeque's update (STAN-CS-79-773).

        The variance is the mean square of deviations.
        """
        total = self.count + rows
        delta = batch_mean - self.mean
        new_share = rows / total
        old_share = self.count / total
        spread = self.var * old_share + batch_var * new_share
        self.var.copy_(spread + delta.square() * old_share * new_share)
        self.mean.add_(delta * new_share)
        self.count.copy_(total)

    def forward(self, observation: Tensor) -> Tensor:
        """Return normalized observations ``(B, O)``, or their first columns, clipped at `NORMALIZED_LIMIT`."""
        columns = observation.shape[-1]
        variance = F.threshold(self.var[:columns], CONSTANT_VARIANCE, 1.0)
        normalized = F.batch_norm(observation, self.mean[:columns], variance, eps=CONSTANT_VARIANCE)
        return normalized.clamp(-NORMALIZED_LIMIT, NORMALIZED_LIMIT)


def _factor(tensor: Tensor) -> Tensor:
    """Return a factor of a product, rounded to bfloat16 if this process does so."""
    return tensor.bfloat16() if COMPUTE.rounds_factors else tensor


class Linear(nn.Linear):
    """A linear layer whose product has the precision of this process."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(..., I)`` to ``(..., H)``."""
        if not COMPUTE.rounds_factors:
            return super().forward(input)
        return F.linear(_factor(input), _factor(self.weight)).to(input.dtype).add_(self.bias)


class EnsembleLinear(nn.Module):
    """``N`` independent linear layers as one batched product, each initialized like a `torch.nn.Linear`."""

    def __init__(self, num_members: int, in_dim: int, out_dim: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(_default_init(in_dim, num_members, in_dim, out_dim))
        self.bias = nn.Parameter(_default_init(in_dim, num_members, 1, out_dim)) if bias else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(N, B, I)`` to ``(N, B, H)``."""
        # Not baddbmm: it first copies the bias into its result, and a compiler cannot fuse it with the next operation.
        product = torch.bmm(_factor(inputs), _factor(self.weight)).to(inputs.dtype)
        return product if self.bias is None else product.add_(self.bias)


class EnsembleHead(nn.Module):
    """``N`` independent linear layers with one output each, initialized at ``init_scale`` times the usual size.

    A batched product of width 1 is about ten times slower than this product and sum.
    """

    def __init__(self, num_members: int, in_dim: int, init_scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(init_scale * _default_init(in_dim, num_members, 1, in_dim))
        self.bias = nn.Parameter(init_scale * _default_init(in_dim, num_members, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(N, B, I)`` to ``(N, B)``."""
        return (inputs * self.weight).sum(dim=-1) + self.bias


class EnsembleLayerNorm(nn.Module):
    """Layer normalization over the features, with a scale and shift per member (arXiv:1607.06450, Eq. 4)."""

    def __init__(self, num_members: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_members, 1, dim))
        self.bias = nn.Parameter(torch.zeros(num_members, 1, dim))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(N, B, H)`` to ``(N, B, H)``."""
        return torch.addcmul(self.bias, F.layer_norm(inputs, inputs.shape[-1:]), self.weight)


def _default_init(in_dim: int, *shape: int) -> Tensor:
    """Draw weights or biases as `torch.nn.Linear` does: uniform within plus and minus ``1 / sqrt(in_dim)``."""
    bound = 1.0 / math.sqrt(in_dim)
    return torch.empty(*shape).uniform_(-bound, bound)
