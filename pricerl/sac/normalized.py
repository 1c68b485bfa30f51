"""SAC with a normalized, categorical critic: about the cost of plain SAC, more return per update.

Sources:
    https://openreview.net/forum?id=PczQtTsTIX  Bhatt et al., CrossQ (statistics of a batch with its next states)
    arXiv:2509.25174  Palenicek et al., XQC (batch normalization, weights of norm 1 and cross-entropy)
    arXiv:2405.16158  Nauman et al., BRO, and arXiv:2410.09754  Lee et al., SimBa (residual critics)
    arXiv:2403.03950  Farebrother et al., Stop Regressing (HL-Gauss)
    arXiv:1910.07467  Zhang and Sennrich, Root Mean Square Layer Normalization

Shapes as in `pricerl.sac.networks`, and ``K`` bins, ``I`` inputs of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import EnsembleLinear, InputNormalization
from pricerl.sac.losses import categorical_loss, hl_gauss, td_target
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import Transition

WIDTH = 256
"""Units of each of the two layers of a critic."""

NUM_BINS = 51
"""Bins of a critic's values."""

LARGEST_VALUE = 5.0
"""Outer edge of the bins, in spreads of the returns."""

BLUR = 0.75
"""Spread of a target's histogram in bins, as arXiv:2403.03950 recommends."""

MOMENTUM = 0.1
"""Weight of a batch in the running statistics: they follow weights that turn by a hundredth per step."""

EPSILON = 1e-5
"""Variance added before a division."""

SMALLEST_SPREAD = 1e-4
"""Smallest spread of returns by which rewards are divided."""


class BatchNorm(nn.Module):
    """Batch normalization (arXiv:1502.03167) of two halves of a batch, of which the second has no gradient.

    Args:
        shape: of the statistics: ``(1, H)``, or ``(N, 1, H)`` for an ensemble.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("var", torch.ones(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalize ``(..., B, H)`` by the running statistics."""
        return self._scale(inputs, self.mean, self.var)

    def join(self, inputs: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize two tensors ``(..., B, H)`` by their joint statistics, and update the running ones."""
        first_var, first_mean = torch.var_mean(inputs, dim=-2, correction=0, keepdim=True)
        second_var, second_mean = torch.var_mean(constant, dim=-2, correction=0, keepdim=True)
        mean = 0.5 * (first_mean + second_mean)
        var = 0.5 * (first_var + second_var) + 0.25 * (first_mean - second_mean).square()
        with torch.no_grad():
            self.mean.lerp_(mean, MOMENTUM)
            self.var.lerp_(var, MOMENTUM)
            normalized = self._scale(constant, mean, var)
        return self._scale(inputs, mean, var), normalized

    def _scale(self, inputs: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        factor = self.weight * torch.rsqrt(var + EPSILON)
        return inputs * factor + (self.bias - mean * factor)


class NormalizedCritic(nn.Module):
    """An ensemble of ``N`` critics: input layer, residual layer, and a histogram of the value over ``K`` bins.

    Values are in spreads of the returns.

    Args:
        observation_dim: ``O``.
        action_dim: ``A``.
        num_critics: ``N``.
    """

    edges: Tensor
    centers: Tensor

    def __init__(self, observation_dim: int, action_dim: int, num_critics: int) -> None:
        super().__init__()
        self.num_critics = num_critics
        in_dim = observation_dim + action_dim
        self.input_norm = BatchNorm(1, in_dim)
        self.first = EnsembleLinear(num_critics, in_dim, WIDTH, bias=False)
        self.first_norm = BatchNorm(num_critics, 1, WIDTH)
        self.second = EnsembleLinear(num_critics, WIDTH, WIDTH, bias=False)
        self.second_norm = BatchNorm(num_critics, 1, WIDTH)
        self.head = EnsembleLinear(num_critics, WIDTH, NUM_BINS)
        edges = torch.linspace(-LARGEST_VALUE, LARGEST_VALUE, NUM_BINS + 1)
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("centers", 0.5 * (edges[1:] + edges[:-1]), persistent=False)
        project_rows(list(self.parameters()))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return values ``(N, B)`` of actions ``(B, A)`` given observations ``(B, O)``, by the running statistics."""
        rows = self.input_norm(torch.cat([observation, action], dim=-1)).expand(self.num_critics, -1, -1)
        hidden = F.relu(self.first_norm(self.first(rows)))
        hidden = hidden + F.relu(self.second_norm(self.second(hidden)))
        return self.value(self._logits(hidden))

    def join(self, rows: Tensor, constant: Tensor) -> Tensor:
        """Return logits ``(N, B, K)`` of ``rows (B, O + A)``, normalized together with ``constant``, of the same shape.

        The latter shift the statistics of every layer and carry no gradient.
        """
        joined = (part.expand(self.num_critics, -1, -1) for part in self.input_norm.join(rows, constant))
        hidden, constant = _join(self.first, self.first_norm, *joined)
        change, _ = _join(self.second, self.second_norm, hidden, constant)
        return self._logits(hidden + change)

    def value(self, logits: Tensor) -> Tensor:
        """Return the mean ``(N, B)`` of the histograms ``(N, B, K)``."""
        return (F.softmax(logits, dim=-1) * self.centers).sum(dim=-1)

    def _logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(F.rms_norm(features, (WIDTH,)))
        return logits


def _join(linear: EnsembleLinear, norm: BatchNorm, rows: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer's output for rows and for constants, which carry no gradient."""
    with torch.no_grad():
        constant = linear(constant)
    rows, constant = norm.join(linear(rows), constant)
    return F.relu(rows), F.relu(constant)


@torch.no_grad()
def project_rows(parameters: Sequence[Tensor]) -> None:
    """Scale the weights of every unit to norm 1 (arXiv:2509.25174), in place.

    Weights are ``(N, I, H)``; parameters of other shapes, and ``(N, 1, H)`` ones, are left alone.
    """
    for weight in parameters:
        if weight.dim() == 3 and weight.shape[1] > 1:
            weight.div_(torch.linalg.vector_norm(weight, dim=1, keepdim=True))


class ProjectedAdam(Adam):
    """Adam whose steps end with `project_rows`."""

    @torch.no_grad()
    def descend(self, gradients: Sequence[Tensor]) -> Tensor:
        """Make one step, and project; as `Adam.descend` does."""
        norm = super().descend(gradients)
        project_rows(self.params)
        return norm


class NormalizedAgent(SACAgent):
    """Agent of SAC with `NormalizedCritic`: rewards are divided by the running spread of the discounted returns.

    The actor learns from every second row of a batch, half of the work. It takes the arguments of `SACAgent`.
    """

    critic: NormalizedCritic
    target_critic: NormalizedCritic
    critic_optimizer = ProjectedAdam

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.returns = InputNormalization(1)
        if self.config.target_entropy is None:
            self.target_entropy *= 0.5

    def make_critic(self, observation_dim: int, action_dim: int, network: NetworkConfig) -> nn.Module:
        """Return the critics."""
        return NormalizedCritic(observation_dim, action_dim, network.num_critics)

    @property
    def statistics(self) -> list[Tensor]:
        """Running statistics of the critics' batches, which processes average."""
        norms = (module for module in self.critic.modules() if isinstance(module, BatchNorm))
        return [tensor for norm in norms for tensor in (norm.mean, norm.var)]

    @property
    def spread(self) -> Tensor:
        """Root mean square ``()`` of the discounted returns so far."""
        square = self.returns.var + self.returns.mean.square()
        return square.sqrt().clamp(min=SMALLEST_SPREAD).squeeze()

    def critic_loss(self, batch: Transition) -> tuple[Tensor, Tensor]:
        """Return the loss of the critics against the TD target and the mean of their values as returns, ``()`` each."""
        rows = torch.cat([batch.observation, batch.action], dim=-1)
        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(batch.next_observation)
            next_rows = torch.cat([batch.next_observation, next_action], dim=-1)
            next_q = self.critic.value(self.target_critic.join(next_rows, rows))
            target = td_target(batch.reward / self.spread, batch.discount, next_q, next_log_prob, self.log_alpha.exp())
            histogram = hl_gauss(target, self.critic.edges, BLUR * 2.0 * LARGEST_VALUE / NUM_BINS)
        logits = self.critic.join(rows, next_rows)
        return categorical_loss(logits, histogram), self.critic.value(logits.detach()).mean() * self.spread

    def actor_loss(self, batch: Transition) -> tuple[Tensor, Tensor]:
        """Return the loss ``()`` of newly sampled actions, and their log probabilities ``(B / 2,)`` as constants."""
        return super().actor_loss(Transition(*(field[::2] for field in batch)))
