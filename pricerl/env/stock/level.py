"""Belief over the log level of demand and its slope, seen through sales that a stock-out cuts off."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_POINTS, _WEIGHTS = (torch.as_tensor(part, dtype=torch.float32) for part in np.polynomial.hermite_e.hermegauss(9))


@torch.no_grad()
def update_level(
    mean: Tensor, variance: Tensor, sold: Tensor, expected: Tensor, size: Tensor, sold_out: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the log level after a week, ``(B,)`` each, by nine-point Gauss-Hermite quadrature.

    Its points lie around the prior or, if units were left, around prior and sales together. Demand is negative binomial
    of ``size`` around ``expected * exp(level)`` units (Harvey and Fernandes 1989). A week that sold out shows only that
    demand was at least as large; its probability is that of a Poisson number scaled to the same variance, a regularized
    gamma function. All arguments are ``(B,)``.
    """
    spread = 1 / (sold + 0.5) + 1 / size
    both = variance * spread / (variance + spread)
    seen = ((sold + 0.5) / expected).log()
    centre = torch.where(sold_out, mean, both * (mean / variance + seen / spread))
    sd = torch.where(sold_out, variance, both).sqrt()
    points = _POINTS.to(mean)[:, None]
    level = centre + sd * points
    due = expected * level.exp()
    dispersion = 1 + due / size
    at_least = torch.special.gammainc((sold / dispersion).clamp(min=1e-6), due / dispersion).clamp(min=1e-30).log()
    exactly = sold * level - (sold + size) * (size + due).log()
    prior = points**2 / 2 - (level - mean) ** 2 / (2 * variance)
    weight = (torch.where(sold_out, at_least, exactly) + prior + _WEIGHTS.to(mean)[:, None].log()).softmax(0)
    after = (weight * level).sum(0)
    return after, (weight * (level - after) ** 2).sum(0)


@torch.no_grad()
def update_belief(
    mean: Tensor, variance: Tensor, slope: Tensor, move: Tensor, *seen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of the log level at a new price, ``(B,)`` each, and its slope, after a week there.

    The slope by the log price has mean, variance, and covariance with the level, ``(3, B)``; it is learned as in a
    Kalman filter from what `update_level` learns. ``move (B,)`` is the log of the new price over the old one, and
    ``seen`` is that function's sales, expectation, size and stock-out.
    """
    centre, spread, shared = slope
    prior = mean + move * centre
    wide = variance + move * (2 * shared + move * spread)
    mean, variance = update_level(prior, wide, *seen)
    gain = (shared + move * spread) / wide
    learned = [centre + gain * (mean - prior), spread + gain**2 * (variance - wide), gain * variance]
    return mean, variance, torch.stack(learned)
