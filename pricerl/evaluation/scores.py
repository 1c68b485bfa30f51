"""Scores of a policy: episodes and price paths in the market, and returns in any Gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.arrays import FloatArray, interval_of
from pricerl.data.days import WEEK
from pricerl.env.dynamics import Dynamics
from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.env.product import Product
from pricerl.env.state import State
from pricerl.evaluation.valuation import value_at_risk, value_paths
from pricerl.planner.constant_price import best_constant_price, planner_gaps
from pricerl.planner.rollout import Policy, propose_by, roll_out, roll_path

MAX_EPISODES = 512
"""Most episodes per evaluation during training, evenly spaced."""
MAX_PRODUCTS = 16
"""Most products whose paths are valued per evaluation during training, evenly spaced."""

MAX_STEPS = 10_000
"""Time limit of environments without one, in steps: ten times the common limit."""
POLICY_ROWS = 16
"""Fixed batch size of the policy, padded with zeros, because a network's rounding depends on the batch size."""


class EpisodeScores(NamedTuple):
    """One number per episode, each ``(B,)``."""

    episode_return: Tensor
    """Sum of rewards."""
    price_mean: Tensor
    """Money."""
    profit_uplift: Tensor
    """Profit before fixed cost relative to keeping the initial price, minus 1."""
    sales_ratio: Tensor
    """Sales relative to keeping the initial price."""
    planner_gap: Tensor
    """1 minus the profit at the last week's mean price over that at the best constant one, both before fixed cost."""
    reward_gap: Tensor
    """Daily reward at the planner's best constant price minus that at the last week's mean price."""


@torch.no_grad()
def score_episodes(
    policy: Policy, dynamics: Dynamics, days: int | None = None, share: tuple[int, int] = (0, 1)
) -> EpisodeScores:
    """Roll a deterministic policy forward from every held-out day in the posterior-mean market, without noise.

    An episode has ``days``, by default the horizon. A share ``(k, n)`` runs every n-th episode, starting with the k-th.
    """
    state = holdout_states(dynamics, share)
    length = days or dynamics.config.horizon
    price, outcome = roll_out(lambda now: dynamics.decide(now, policy(now.observation)[:, 0]), dynamics, state, length)
    kept_price, kept = roll_out(lambda now: now.price, dynamics, state, length)
    settled = price[:, -max(1, WEEK // dynamics.days_per_step) :].mean(1)
    sales = outcome.sales.sum(1)
    kept_sales = kept.sales.sum(1)
    charged = (prices.T.repeat_interleave(dynamics.days_per_step, 0) for prices in (price, kept_price))
    units = outcome.expected_units.T, kept.expected_units.T
    earned, baseline = (state.rows.market.contribution(*days).sum(0) for days in zip(charged, units, strict=True))
    best = best_constant_price(dynamics).price[state.product]
    planner_gap, reward_gap = planner_gaps(dynamics, best, state.product, state.draw, settled)
    return EpisodeScores(
        episode_return=outcome.reward.sum(1),
        price_mean=price.mean(1),
        profit_uplift=(earned - baseline) / baseline.abs().clamp(min=1e-9),
        sales_ratio=sales / kept_sales.clamp(min=1e-9),
        planner_gap=planner_gap,
        reward_gap=reward_gap,
    )


def holdout_states(dynamics: Dynamics, share: tuple[int, int] = (0, 1)) -> State:
    """Return the initial states: evenly spaced held-out days in the posterior-mean market."""
    return dynamics.start(*_spread(dynamics.history.holdout_starts(), MAX_EPISODES, share))


def _spread(days: tuple[Tensor, Tensor], most: int, share: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the share ``(k, n)`` of at most ``most`` evenly spaced days, given by product and index."""
    count = len(days[0])
    rows = torch.linspace(0, count - 1, min(count, most), device=days[0].device).long()[share[0] :: share[1]]
    return days[0][rows], days[1][rows]


class PathScores(NamedTuple):
    """Gain per day over keeping the price in the posterior draws, each ``(P,)``, in money: mean and 90 % limits."""

    policy_gain_mean: Tensor
    policy_gain_low: Tensor
    policy_gain_high: Tensor
    policy_gain_chance: Tensor
    """Share of the draws in which it is positive."""
    policy_gain_cvar: Tensor
    """Conditional value at risk: its mean over their worst tenth."""


@torch.no_grad()
def score_paths(policy: Policy, dynamics: Dynamics, share: tuple[int, int] = (0, 1)) -> PathScores:
    """Roll a deterministic policy forward from the end of every history and value its path in every posterior draw.

    A share ``(k, n)`` values every n-th product, starting with the k-th.
    """
    product, index = _spread(dynamics.history.latest(), MAX_PRODUCTS, share)
    if not len(product):
        return PathScores(*[dynamics.history.price.new_zeros(0)] * len(PathScores._fields))
    state = dynamics.start(product, index)
    paths, _ = roll_path(propose_by(policy, dynamics), dynamics, state, dynamics.config.horizon)
    products = [Product(dynamics, index) for index in product.tolist()]
    gains = [_gain_over_keeping(item, path) for item, path in zip(products, paths, strict=True)]
    rows = [[*interval_of(gain), float((gain > 0).mean()), value_at_risk(gain)] for gain in gains]
    return PathScores(*paths.new_tensor(rows).T)


def _gain_over_keeping(product: Product, path: Tensor) -> FloatArray:
    """Return what a path ``(H,)`` earns more per day than the constant current price, in money ``(K,)``."""
    own, keep = value_paths(product, torch.stack([path, torch.full_like(path, product.current_price)]))
    return own.earned - keep.earned


class ReturnScores(NamedTuple):
    """One number per episode, each ``(E,)``."""

    episode_return: Tensor
    episode_length: Tensor
    """Steps."""


@torch.no_grad()
def score_returns(
    policy: Policy,
    env_id: str,
    settings: Mapping[str, Any] | None,
    seeds: Sequence[int],
    device: torch.device | str,
) -> ReturnScores:
    """Run one episode of a deterministic policy per seed in a ``GymVectorEnv``, independent of the other seeds."""
    episode_return = torch.zeros(len(seeds), device=device)
    episode_length = torch.zeros(len(seeds), dtype=torch.int64, device=device)
    if not seeds:
        return ReturnScores(episode_return, episode_length)
    with closing(GymVectorEnv(env_id, len(seeds), device, settings)) as env:
        observation, _ = env.reset(seed=list(seeds))
        running = torch.ones(len(seeds), dtype=torch.bool, device=device)
        for _ in range(env.max_episode_steps or MAX_STEPS):
            padded = torch.nn.functional.pad(observation, (0, 0, 0, -len(seeds) % POLICY_ROWS))
            action = torch.cat([policy(block) for block in torch.split(padded, POLICY_ROWS)])[: len(seeds)]
            observation, reward, terminated, truncated, _ = env.step(action)
            episode_return += reward * running
            episode_length += running
            running &= ~(terminated | truncated)
            if not running.any():
                break
    return ReturnScores(episode_return, episode_length)
