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
from pricerl.env.account_view import PERCENT, AccountView
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.planner import candidate_prices
from pricerl.evaluation.pricing_rules import HARM
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import DAYS_PER_QUARTER, DAYS_TO_UNDO, elasticity_at, expect_paths, gains_over
from pricerl.market import Market, Response
from pricerl.training.account_policy import read_account_policy

NUM_TARGETS = 41
"""Prices within reach that a plan compares."""

FEWEST_UNITS = 0.1
"""Smallest number of daily units that the policy of accounts is shown."""


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
    """By which it was chosen: ``decision.loss_weight``, changed by the policy of accounts."""


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
        config: weight of losses, loss budget, and whether the policy of accounts changes the former.
    """
    market = dynamics.market
    left = account.days_left(market.preprocessor.products[product])
    view, targets = view_account(account, proposed, dynamics, product)
    valued, loss_weight, action = view.value(), torch.tensor([config.loss_weight]), torch.zeros(1)
    if config.account_policy and market.measure == "profit":
        action = read_account_policy()(view.observe(*valued, loss_weight))[:, 0]
    chosen = view.choose(*valued, loss_weight, action, config.loss_budget)
    best, scale = int(chosen.target), float(view.percent) / PERCENT
    at_end = valued[0][0, best].numpy()
    shown = interval_of(view.so_far[0].numpy()), interval_of(at_end)
    lost = float((at_end < -HARM * scale).mean())
    budget, weight = config.loss_budget * scale, float(chosen.loss_weight)
    inside = bool(chosen.inside)
    return AccountPlan(account, float(targets[best]), best == 1, *shown, budget, lost, left, inside, weight)


def view_account(account: Account, proposed: Tensor, dynamics: Dynamics, product: int) -> tuple[AccountView, Tensor]:
    """Return what is known of an account, on the CPU, and the prices ``(J,)`` to aim at, money.

    The first price is the current one, the second the last one of the proposed path. Arguments as in `plan_account`.
    """
    market = dynamics.market
    history, fitted = market.preprocessor.products[product], market.products[product]
    left = account.days_left(history)
    targets = _targets(dynamics, product, proposed[-1])
    days = max(left, DAYS_TO_UNDO) // history.step_days
    paths = approach_prices(targets, dynamics, product, days)
    paths[0] = history.current_price
    paths[1, : len(proposed)] = proposed[:days]
    outcome = expect_paths(market, product, torch.cat([torch.full_like(paths[:1], account.price), paths]))
    earned = _earned(outcome, dynamics).cpu()
    daily, units = float(earned[0].mean()) / days, float(outcome.expected_units[0].mean()) / history.step_days
    scale = max(daily, MIN_MARGIN * float(outcome.sales[0].mean()), 1e-9) * DAYS_PER_QUARTER / history.step_days
    so_far = torch.as_tensor(gain_so_far(account, market, product))
    margin = 1 - fitted.cost.unit_cost.mean() / (fitted.cost.share_kept.mean() * account.price)
    view = AccountView(
        weight=torch.full((1, len(so_far)), 1 / len(so_far), dtype=so_far.dtype),
        elasticity=torch.as_tensor(elasticity_at(fitted, account.price)),
        so_far=so_far[None],
        future=(earned[1:] - earned[:1])[None],
        log_price=(targets / account.price).log().cpu(),
        stays=torch.zeros(1, dtype=torch.long),
        margin=torch.tensor([margin]),
        units=torch.tensor([max(units, FEWEST_UNITS)]),
        left=torch.tensor([left / DAYS_PER_QUARTER]),
        percent=torch.tensor([PERCENT * scale]),
    )
    return view, targets


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
