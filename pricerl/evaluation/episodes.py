"""Run a policy through deterministic episodes and score it against keeping the price and the planner."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.env import Dynamics, Outcome, State
from pricerl.evaluation.planner import Plan, best_constant_price
from pricerl.evaluation.rollout import roll_out

Policy = Callable[[Tensor], Tensor]
"""``observation (B, O) -> action (B, 1)``."""

MAX_EPISODES = 512
SETTLED_DAYS = 7
"""The last days of an episode, when a policy has had time to go where it wants."""


class EpisodeScores(NamedTuple):
    """One number an episode, each ``(B,)``."""

    episode_return: Tensor
    """Sum of rewards."""
    price_mean: Tensor
    """Mean price over all days, money."""
    profit_uplift: Tensor
    """Profit over that of keeping the starting price, minus 1; measured before fixed cost."""
    sales_ratio: Tensor
    """Sales over those of keeping the starting price."""
    planner_gap: Tensor
    """1 minus profit before fixed cost at the settled price over that at the planner's best constant price."""
    reward_gap: Tensor
    """Daily reward of the planner's best constant price minus that of the settled price."""


@torch.no_grad()
def score_episodes(
    policy: Policy, dynamics: Dynamics, days: int | None = None, share: tuple[int, int] = (0, 1)
) -> EpisodeScores:
    """Roll a policy forward from every held-out day in the posterior-mean market, without noise.

    Args:
        policy: deterministic policy.
        dynamics: the market with its reward and guardrails.
        days: length of an episode; the configured horizon by default.
        share: ``(k, n)`` runs every n-th of the episodes, from the k-th on.
    """
    state = holdout_states(dynamics, share)
    length = days or dynamics.config.horizon
    price, outcome = roll_out(lambda now: dynamics.decide(now, policy(now.observation)[:, 0]), dynamics, state, length)
    kept = roll_out(lambda now: now.price, dynamics, state, length)
    settled = price[:, -max(1, SETTLED_DAYS // dynamics.days_per_step) :].mean(1)
    earned, baseline = _totals(dynamics, state, outcome), _totals(dynamics, state, kept.outcome)
    planner_gap, reward_gap = planner_gaps(
        dynamics, best_constant_price(dynamics, "reward"), state.product, state.draw, settled
    )
    return EpisodeScores(
        episode_return=outcome.reward.sum(1),
        price_mean=price.mean(1),
        profit_uplift=(earned[1] - baseline[1]) / baseline[1].abs().clamp(min=1e-9),
        sales_ratio=earned[0] / baseline[0].clamp(min=1e-9),
        planner_gap=planner_gap,
        reward_gap=reward_gap,
    )


def holdout_states(dynamics: Dynamics, share: tuple[int, int] = (0, 1)) -> State:
    """Starting states of the evaluation: the held-out days in the posterior-mean market, thinned evenly."""
    product, index = dynamics.history.holdout_starts()
    rows = torch.linspace(0, len(product) - 1, min(len(product), MAX_EPISODES), device=product.device).long()
    rows = rows[share[0] :: share[1]]
    draw = torch.full_like(rows, dynamics.market.mean_draw)
    return dynamics.start(product[rows], index[rows], draw)


def _totals(dynamics: Dynamics, state: State, outcome: Outcome) -> tuple[Tensor, Tensor]:
    """Sales and profit before fixed cost over the episode, ``(B,)`` each."""
    fixed = dynamics.market.fixed_cost[state.product, state.draw]
    return outcome.sales.sum(1), (outcome.profit + fixed[:, None]).sum(1)


def planner_gaps(dynamics: Dynamics, plan: Plan, product: Tensor, draw: Tensor, price: Tensor) -> tuple[Tensor, Tensor]:
    """How far a kept price is from the planner's best constant price, in profit and in reward, ``(B,)`` each.

    Profit is measured before fixed cost and relative to the planner's; below 0 the price earns more than the
    planner's, whose objective is the reward.

    Args:
        dynamics: the market with its reward.
        plan: the planner's best constant price for the reward.
        product: ``(B,)``.
        draw: ``(B,)``.
        price: ``(B,)`` money.
    """
    best = plan.price[product]
    fixed = dynamics.market.fixed_cost[product, draw]
    reward, response = dynamics.constant_price(price, product, draw)
    best_reward, best_response = dynamics.constant_price(best, product, draw)
    best_profit = best_response.profit + fixed
    gap = (best_profit - response.profit - fixed) / best_profit.abs().clamp(min=1e-9)
    return gap, best_reward - reward
