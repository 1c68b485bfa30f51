"""Account of a quarter: the gain of a product's prices over keeping, and the plan for the days left.

The first advice on a product opens an account that lasts 91 days. While it is open, later advice plans with it: among
the prices within reach it aims at the one of the highest expected utility of the account's end, losses weighed several
times (`pricerl.market.utility`), inside the loss budget. Each advice plans again, in a market fitted to all
days so far, so that a losing change is undone once sales show it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.advice.config import DecisionConfig
from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.data import ProductHistory
from pricerl.env import Dynamics
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.planner import candidate_prices
from pricerl.evaluation.pricing_rules import HARM
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import DAYS_PER_QUARTER, DAYS_TO_UNDO, expect_paths, gains_over
from pricerl.market import Market, Response
from pricerl.market.utility import choose_plan, floor_of, value_plans

NUM_TARGETS = 41
"""Prices within reach that a plan compares."""

PERCENT = 0.01


class Account(NamedTuple):
    """Account of one product."""

    opened: str
    """Last day of the history when it was opened, ISO format; it counts the days after."""
    price: float
    """Price that would have been kept, money."""

    def days_left(self, history: ProductHistory) -> int:
        """Return the days of the account after a history."""
        since = history.dates[-1].astype("datetime64[D]") - np.datetime64(self.opened)
        return max(DAYS_PER_QUARTER - int(since.astype(int)), 0)


class AccountPlan(NamedTuple):
    """State of an account and the price that its plan aims at; all amounts are money."""

    account: Account
    target: float
    """The current price if no change is worth its risk."""
    proposed: bool
    """Whether the best candidate is the path that planner or policy proposed, rather than the way to another price."""
    so_far: Interval
    """Gain over keeping of the prices charged since it was opened."""
    at_end: Interval
    """The same at its end, if the plan is followed."""
    budget: float
    """Largest loss that the account may show at its end with 90 % confidence."""
    probability_loss: float
    """Share of the posterior draws in which it ends more than 1 % of a quarter's profit below keeping."""
    days_left: int
    """Days until it ends."""
    inside_budget: bool
    """Whether the budget holds, as it does for no price within reach if not: then the plan risks the least."""
    loss_weight: float
    """How much worse losing 1 counts than missing a gain of 1: ``decision.loss_weight``."""


class Candidates(NamedTuple):
    """Prices to approach and hold for the rest of an account, on the CPU, with their gains over keeping, money."""

    target: Tensor
    """``(J,)`` prices: the current one, the last one of the proposed path, and some within reach."""
    so_far: Tensor
    """``(K,)`` gain since the account was opened, per posterior draw."""
    future: Tensor
    """``(J, K)`` gain over the days left."""
    percent: Tensor
    """``()`` a percent of what keeping the first price earns in a quarter."""


@torch.no_grad()
def plan_account(
    account: Account, proposed: Tensor, dynamics: Dynamics, product: int, config: DecisionConfig
) -> AccountPlan:
    """Choose the price that a product approaches for the rest of its account.

    Args:
        account: of the product.
        proposed: ``(H,)`` path of planner or policy, money; its last price is taken to stay.
        dynamics: market of the fresh history, with reward and guardrails.
        product: product index.
        config: weight of losses and loss budget.
    """
    left = account.days_left(dynamics.market.preprocessor.products[product])
    candidates = value_candidates(account, proposed, dynamics, product)
    total = candidates.so_far + candidates.future
    weight = torch.full_like(total[:1], 1 / total.shape[1])
    utility = value_plans(total[None], weight).utility(torch.tensor([[config.loss_weight]]))
    floor = floor_of(total[None], weight)
    budget = config.loss_budget / PERCENT * candidates.percent
    best = int(choose_plan(utility, floor, budget, floor.argmax(-1)))
    inside = bool(floor[0, best] >= -budget)
    at_end = total[best].numpy()
    kept = float(candidates.percent) / PERCENT
    return AccountPlan(
        account=account,
        target=float(candidates.target[best]),
        proposed=best == 1,
        so_far=interval_of(candidates.so_far.numpy()),
        at_end=interval_of(at_end),
        budget=config.loss_budget * kept,
        probability_loss=float((at_end < -HARM * kept).mean()),
        days_left=left,
        inside_budget=inside,
        loss_weight=config.loss_weight,
    )


def value_candidates(account: Account, proposed: Tensor, dynamics: Dynamics, product: int) -> Candidates:
    """Value the prices that an account may aim at; arguments as in `plan_account`."""
    market = dynamics.market
    history = market.preprocessor.products[product]
    left = account.days_left(history)
    target = _targets(dynamics, product, proposed[-1])
    days = max(left, DAYS_TO_UNDO) // history.step_days
    paths = approach_prices(target, dynamics, product, days)
    paths[0] = history.current_price
    paths[1, : len(proposed)] = proposed[:days]
    outcome = expect_paths(market, product, torch.cat([torch.full_like(paths[:1], account.price), paths]))
    earned = _earned(outcome, dynamics).cpu()
    daily = float(earned[0].mean()) / days
    scale = max(daily, MIN_MARGIN * float(outcome.sales[0].mean()), 1e-9) * DAYS_PER_QUARTER / history.step_days
    so_far = torch.as_tensor(gain_so_far(account, market, product))
    return Candidates(target.cpu(), so_far, earned[1:] - earned[:1], torch.tensor(PERCENT * scale))


def gain_so_far(account: Account, market: Market, product: int) -> FloatArray:
    """Return what the prices since an account was opened have earned over keeping, ``(K,)`` money in all draws."""
    history = market.preprocessor.products[product]
    own = history.dates.astype("datetime64[D]") > np.datetime64(account.opened)
    days = np.flatnonzero(history.observed & own)
    return np.asarray(gains_over(market, product, days, account.price, market.measure).sum(1))


def _targets(dynamics: Dynamics, product: int, proposed: Tensor) -> Tensor:
    """Return the prices that a plan may aim at, money: the current price, the proposed one, and some within reach."""
    allowed = candidate_prices(dynamics, product)
    spaced = allowed[torch.linspace(0, len(allowed) - 1, NUM_TARGETS, device=allowed.device).round().long()]
    now = dynamics.market.preprocessor.products[product].current_price
    return torch.cat([spaced.new_tensor([now]), proposed[None], spaced])


def _earned(days: Response, dynamics: Dynamics) -> Tensor:
    """Return the measure, summed over the days ``(N, K, H)`` of paths, money ``(N, K)``."""
    return (days.profit if dynamics.market.measure == "profit" else days.sales).double().sum(-1)
