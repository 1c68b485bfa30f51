"""Account of a quarter: the gain of a product's prices over keeping, and the plan for the days left.

The first advice on a product opens an account that lasts 91 days. While it is open, later advice plans with it: among
the prices within reach it aims at the one of the highest expected utility of the account's end, losses weighed several
times (`pricerl.market.utility`), inside the loss budget. Each advice plans again, in a market fitted to all
days so far, so that a losing change is undone once sales show it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.decide.case import Case, Course
from pricerl.decide.config import DecisionConfig
from pricerl.decide.evidence import at_worse_price
from pricerl.decide.price_path import approach_path
from pricerl.decide.standing import Account
from pricerl.env import Product
from pricerl.env.account_view import PERCENT, AccountView
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.planner import candidate_prices
from pricerl.evaluation.pricing_rules import HARM
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import DAYS_PER_QUARTER, DAYS_TO_UNDO, elasticity_at, expect_paths, gains_over
from pricerl.market import Response
from pricerl.market.cost import Measure
from pricerl.training.account_policy import read_account_policy

NUM_TARGETS = 41
"""Prices within reach that a plan compares."""

FEWEST_UNITS = 0.1
"""Smallest number of daily units that the policy of accounts is shown."""


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


def plan_quarter(case: Case, course: Course) -> Course | None:
    """Plan the rest of an open account instead of judging the proposal alone, unless the gate is off."""
    account, proposed = case.standing.account, course.proposed
    if account is None or proposed.failed or case.config.min_chance == 0 or at_worse_price(case):
        return None
    plan = plan_account(account, proposed.path.price, case.product, case.config, case.passed)
    if not plan.proposed:
        path = approach_path(plan.target, case.product, case.horizon)
        proposed = proposed._replace(speaker="planner", path=path)
    return replace(course, proposed=proposed, aim=proposed.path, path=proposed.path, account=plan)


def days_left(account: Account, passed: date) -> int:
    """Return the days of an account after a day that has passed."""
    return max(DAYS_PER_QUARTER - (passed - date.fromisoformat(account.opened)).days, 0)


@torch.no_grad()
def plan_account(
    account: Account, proposed: Tensor, product: Product, config: DecisionConfig, passed: date | None = None
) -> AccountPlan:
    """Choose the price that a product approaches for the rest of its account.

    Args:
        account: of the product.
        proposed: ``(H,)`` path of planner or policy, money; its last price is taken to stay.
        product: with the market of the fresh history.
        config: weight of losses, loss budget, and whether the policy of accounts changes the former.
        passed: last day that has passed, that of the history if absent.
    """
    left = days_left(account, passed or product.history.last_day)
    view, targets = view_account(account, proposed, product, left)
    valued, loss_weight, action = view.value(), torch.tensor([config.loss_weight]), torch.zeros(1)
    if config.account_policy and product.market.measure == "profit":
        action = read_account_policy()(view.observe(*valued, loss_weight))[:, 0]
    chosen = view.choose(*valued, loss_weight, action, config.loss_budget)
    best, scale = int(chosen.target), float(view.percent) / PERCENT
    at_end = valued[0][0, best].numpy()
    shown = interval_of(view.so_far[0].numpy()), interval_of(at_end)
    lost = float((at_end < -HARM * scale).mean())
    budget, weight = config.loss_budget * scale, float(chosen.loss_weight)
    inside = bool(chosen.inside)
    return AccountPlan(account, float(targets[best]), best == 1, *shown, budget, lost, left, inside, weight)


def view_account(account: Account, proposed: Tensor, product: Product, left: int) -> tuple[AccountView, Tensor]:
    """Return what is known of an account, on the CPU, and the prices ``(J,)`` to aim at, money.

    The first price is the current one, the second the last one of the proposed path. Arguments as in `plan_account`.
    """
    history, fitted = product.history, product.fitted
    targets = _targets(product, proposed[-1])
    days = max(left, DAYS_TO_UNDO) // history.step_days
    paths = approach_prices(targets, product, days)
    paths[0] = history.current_price
    paths[1, : len(proposed)] = proposed[:days]
    outcome = expect_paths(product, torch.cat([torch.full_like(paths[:1], account.price), paths]))
    earned = _earned(outcome, product.market.measure).cpu()
    daily, units = float(earned[0].mean()) / days, float(outcome.expected_units[0].mean()) / history.step_days
    scale = max(daily, MIN_MARGIN * float(outcome.sales[0].mean()), 1e-9) * DAYS_PER_QUARTER / history.step_days
    so_far = torch.as_tensor(gain_so_far(account, product))
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


def gain_so_far(account: Account, product: Product) -> FloatArray:
    """Return what the prices since an account was opened have earned over keeping, ``(K,)`` money in all draws."""
    history, measure = product.history, product.market.measure
    own = history.dates.astype("datetime64[D]") > np.datetime64(account.opened)
    days = np.flatnonzero(history.observed & own)
    return np.asarray(gains_over(history, product.fitted, days, account.price, measure).sum(1))


def _targets(product: Product, proposed: Tensor) -> Tensor:
    """Return the prices that a plan may aim at, money: the current price, the proposed one, and some within reach."""
    allowed = candidate_prices(product)
    spaced = allowed[torch.linspace(0, len(allowed) - 1, NUM_TARGETS, device=allowed.device).round().long()]
    return torch.cat([spaced.new_tensor([product.current_price]), proposed[None], spaced])


def _earned(days: Response, measure: Measure) -> Tensor:
    """Return the measure, summed over the days ``(N, K, H)`` of paths, money ``(N, K)``."""
    return (days.profit if measure == "profit" else days.sales).double().sum(-1)
