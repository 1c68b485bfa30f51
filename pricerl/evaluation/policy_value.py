"""What a price path is worth against going on as before, in the same posterior draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.env import Dynamics
from pricerl.evaluation.episodes import Policy

LIMITS = (0.05, 0.95)
TAIL = 0.10
"""Share of the markets, the unluckiest, whose mean is the conditional value at risk."""


MAX_PRODUCTS = 16
"""Products whose paths are valued in an evaluation while training, thinned evenly."""


class PathGain(NamedTuple):
    """Profit a day that one price path earns more than another, money, paired over the posterior draws."""

    mean: float
    low: float
    """5 % limit over the posterior draws."""
    high: float
    """95 % limit."""
    chance: float
    """Share of the posterior draws in which it gains."""
    cvar: float
    """Conditional value at risk: mean over the unluckiest tenth of the markets."""


class PathScores(NamedTuple):
    """One number a product, each ``(P,)``; money a day but for the chances."""

    policy_gain_mean: Tensor
    """Profit over that of keeping the price: mean over the posterior draws."""
    policy_gain_low: Tensor
    """5 % limit."""
    policy_gain_high: Tensor
    """95 % limit."""
    policy_gain_chance: Tensor
    """Share of the posterior draws in which it is above 0."""
    policy_gain_cvar: Tensor
    """Mean over the unluckiest tenth of the markets."""
    log_gain_mean: Tensor
    """Profit over that of the seller's own last prices; the rest as above."""
    log_gain_low: Tensor
    log_gain_high: Tensor
    log_gain_chance: Tensor
    log_gain_cvar: Tensor


class PolicyValue(NamedTuple):
    """A policy's price path valued in every posterior draw."""

    days: int
    """Days ahead."""
    markets: int
    """Drawn markets, the same for all paths."""
    profit: float
    """Mean profit a day on the policy's path, money."""
    over_log: PathGain
    """Against the seller's own prices of the last days, charged again."""
    over_keep: PathGain
    """Against the current price."""


def value_path(dynamics: Dynamics, product: int, price: Tensor) -> PolicyValue:
    """Value a price path against replaying the seller's own last prices and against keeping the current price.

    Args:
        dynamics: the market.
        product: product index.
        price: ``(H,)`` the policy's prices of the next days, money.
    """
    paths = _with_rivals(dynamics, product, price)
    rows = torch.full((len(paths),), product, device=dynamics.market.device)
    policy, log, keep = profit_by_market(dynamics, rows, paths)
    return PolicyValue(
        days=len(price),
        markets=dynamics.market.num_draws,
        profit=float(policy.mean()),
        over_log=summarise_gain(policy - log),
        over_keep=summarise_gain(policy - keep),
    )


@torch.no_grad()
def score_paths(policy: Policy, dynamics: Dynamics, share: tuple[int, int] = (0, 1)) -> PathScores:
    """Roll the policy forward from the end of every product's history and value its path in every posterior draw.

    Args:
        policy: deterministic policy.
        dynamics: the market with its reward and guardrails.
        share: ``(k, n)`` values every n-th of the products, from the k-th on.
    """
    product, index = dynamics.history.latest()
    few = torch.linspace(0, len(product) - 1, min(len(product), MAX_PRODUCTS), device=product.device).long()
    product, index = (values[few][share[0] :: share[1]] for values in (product, index))
    if not len(product):
        return PathScores(*[dynamics.history.price.new_zeros(0)] * len(PathScores._fields))
    path = _roll(policy, dynamics, product, index)
    paths = [_with_rivals(dynamics, int(item), row) for item, row in zip(product, path, strict=True)]
    profit = profit_by_market(dynamics, product.repeat_interleave(3), torch.cat(paths))
    rows = [
        [*summarise_gain(own - keep), *summarise_gain(own - log)]
        for own, log, keep in profit.reshape(len(product), 3, dynamics.market.num_draws)
    ]
    return PathScores(*path.new_tensor(rows).T)


def _roll(policy: Policy, dynamics: Dynamics, product: Tensor, index: Tensor) -> Tensor:
    """Prices ``(P, H)`` that the policy charges in the posterior-mean market after day ``index (P,)``."""
    state = dynamics.start(product, index, torch.full_like(product, dynamics.market.mean_draw))
    prices: list[Tensor] = []
    while len(prices) < dynamics.config.horizon:
        price = dynamics.decide(state, policy(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        prices.extend([price] * dynamics.days_per_step)
    return torch.stack(prices[: dynamics.config.horizon], 1)


def _with_rivals(dynamics: Dynamics, product: int, price: Tensor) -> Tensor:
    """A path ``(H,)``, the seller's own last prices and the current price, ``(3, H)``."""
    logged = dynamics.market.preprocessor.products[product].price[-len(price) :]
    replayed = price.new_tensor(np.resize(logged, len(price)))
    return torch.stack([price, replayed, torch.full_like(price, float(logged[-1]))])


@torch.no_grad()
def profit_by_market(dynamics: Dynamics, product: Tensor, paths: Tensor) -> FloatArray:
    """Expected profit a day ``(N, K)`` of price paths ``(N, H)`` after the history's end, in every posterior draw.

    Days follow one another as in training, so whatever a market remembers of earlier prices counts.

    Args:
        dynamics: the market.
        product: ``(N,)`` product index.
        paths: money.
    """
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device).repeat(len(paths))
    rows = product.repeat_interleave(market.num_draws)
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, draw)
    days = []
    for price in paths.to(market.device).T:
        state, outcome = dynamics.advance(state, price.repeat_interleave(market.num_draws), 1, None)
        days.append(outcome.profit[:, 0])
    mean = torch.stack(days).double().mean(0)
    return np.asarray(mean.view(len(paths), market.num_draws).cpu().numpy())


def summarise_gain(gain: FloatArray) -> PathGain:
    """Mean, 90 % limits, chance of a gain and conditional value at risk of ``gain (K,)``.

    ``CVaR = E[gain | gain among its lowest tenth]`` (Rockafellar and Uryasev 2000), over at least one market.
    """
    low, high = np.quantile(gain, LIMITS)
    worst = np.sort(gain)[: max(1, round(TAIL * len(gain)))]
    return PathGain(float(gain.mean()), float(low), float(high), float((gain > 0).mean()), float(worst.mean()))
