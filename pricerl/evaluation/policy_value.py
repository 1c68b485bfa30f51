"""What a price path is worth against going on as before, in the same drawn markets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricerl.env import Dynamics

FloatArray = NDArray[np.float64]

LIMITS = (0.05, 0.95)
TAIL = 0.10
"""Share of the markets, the unluckiest, whose mean is the conditional value at risk."""


class PathGain(NamedTuple):
    """Profit a day that one price path earns more than another, money, paired over the drawn markets."""

    mean: float
    low: float
    """5 % limit over the drawn markets."""
    high: float
    """95 % limit."""
    chance: float
    """Share of the drawn markets in which it gains."""
    cvar: float
    """Conditional value at risk: mean over the unluckiest tenth of the markets."""


class PolicyValue(NamedTuple):
    """A policy's price path valued in every drawn market."""

    days: int
    """Days ahead."""
    markets: int
    """Drawn markets, the same for all paths."""
    profit: float
    """Mean profit a day on the policy's path, money."""
    over_log: PathGain
    """Against the seller's own prices of the last days, charged again."""
    over_keep: PathGain
    """Against the price now."""


def value_path(dynamics: Dynamics, product: int, price: Tensor) -> PolicyValue:
    """Value a price path against replaying the seller's own last prices and against keeping the price now.

    Args:
        dynamics: the market.
        product: product index.
        price: ``(H,)`` the policy's prices of the coming days, money.
    """
    logged = dynamics.market.preprocessor.products[product].price[-len(price) :]
    replayed = price.new_tensor(np.resize(logged, len(price)))
    paths = torch.stack([price, replayed, torch.full_like(price, float(logged[-1]))])
    policy, log, keep = profit_by_market(dynamics, product, paths)
    return PolicyValue(
        days=len(price),
        markets=dynamics.market.num_draws,
        profit=float(policy.mean()),
        over_log=summarise_gain(policy - log),
        over_keep=summarise_gain(policy - keep),
    )


@torch.no_grad()
def profit_by_market(dynamics: Dynamics, product: int, paths: Tensor) -> FloatArray:
    """Expected profit a day ``(N, K)`` of price paths ``(N, H)`` after the history's end, in every drawn market.

    Days follow one another as in training, so whatever a market remembers of earlier prices counts.

    Args:
        dynamics: the market.
        product: product index.
        paths: money.
    """
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device).repeat(len(paths))
    rows = torch.full_like(draw, product)
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, draw)
    days = []
    for price in paths.to(market.device).T:
        state, outcome = dynamics.advance(state, price.repeat_interleave(market.num_draws), 1, None)
        days.append(outcome.profit[:, 0])
    mean = torch.stack(days).double().mean(0)
    return np.asarray(mean.view(len(paths), -1).cpu().numpy())


def summarise_gain(gain: FloatArray) -> PathGain:
    """Mean, 90 % limits, chance of a gain and conditional value at risk of ``gain (K,)``.

    ``CVaR = E[gain | gain among its lowest tenth]`` (Rockafellar and Uryasev 2000), over at least one market.
    """
    low, high = np.quantile(gain, LIMITS)
    worst = np.sort(gain)[: max(1, round(TAIL * len(gain)))]
    return PathGain(float(gain.mean()), float(low), float(high), float((gain > 0).mean()), float(worst.mean()))
