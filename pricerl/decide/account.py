"""Account of a quarter: the gain of a product's prices over keeping, and the plan for the days left.

The first advice on a product opens an account that lasts 91 days. While it is open, later advice plans with it: among
the prices within reach it aims at the one of the highest expected utility of the account's end, inside the loss budget.
Losses weigh several times as much as gains (Tversky and Kahneman 1992, with linear sides). Each advice plans again, in
a market fitted to all days so far, so that a losing change is undone once sales show it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, interval_of
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.evidence import at_worse_price
from pricerl.decide.price_path import approach_path
from pricerl.decide.standing import Account, AccountPlan
from pricerl.env.product import Product
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.pricing_rules import HARM, candidate_prices
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.valuation import (
    DAYS_PER_QUARTER,
    DAYS_TO_UNDO,
    TAIL_PROBABILITY,
    expect_paths,
    gains_over,
)

NUM_TARGETS = 41
"""Prices within reach that a plan compares."""


def plan_quarter(case: Case, course: Course) -> Course | None:
    """Plan the rest of an open account instead of judging the proposal alone, unless the gate is off or stock known."""
    account = case.standing.account
    proposed = course.proposed
    if account is None or proposed.failed or case.config.min_chance == 0 or at_worse_price(case) or case.stocked:
        return None
    plan = plan_account(account, proposed.path.price, case.product, case.config, case.passed)
    if not plan.proposed:
        path = approach_path(plan.target, case.product, case.horizon)
        proposed = proposed._replace(by="planner", path=path)
    return replace(course, proposed=proposed, aim=proposed.path, path=proposed.path, account=plan)


def days_left(account: Account, passed: date) -> int:
    """Return the days of an account after a day that has passed."""
    return max(DAYS_PER_QUARTER - (passed - date.fromisoformat(account.opened)).days, 0)


@torch.no_grad()
def plan_account(
    account: Account, proposed: Tensor, product: Product, config: DecisionConfig, passed: date | None = None
) -> AccountPlan:
    """Choose the price to approach and hold for the rest of an account: the current, the proposed, or one within reach.

    The path ``proposed (H,)``, money, stays at its end. The last day that has ``passed`` is by default the history's.
    """
    left = days_left(account, passed or product.history.last_day)
    step = product.history.step_days
    allowed = candidate_prices(product)
    spaced = allowed[torch.linspace(0, len(allowed) - 1, NUM_TARGETS, device=allowed.device).round().long()]
    target = torch.cat([spaced.new_tensor([product.current_price]), proposed[-1:], spaced])
    days = max(left, DAYS_TO_UNDO) // step
    paths = approach_prices(target, product, days)
    paths[0] = product.current_price
    paths[1, : len(proposed)] = proposed[:days]
    outcome = expect_paths(product, torch.cat([torch.full_like(paths[:1], account.price), paths]))
    earned = (outcome.profit if product.market.measure == "profit" else outcome.sales).double().sum(-1).cpu()
    daily = float(earned[0].mean()) / days
    kept = max(daily, MIN_MARGIN * float(outcome.sales[0].mean()), 1e-9) * DAYS_PER_QUARTER / step
    budget = config.loss_budget * kept
    so_far = torch.as_tensor(gain_so_far(account, product))
    total = so_far + (earned[1:] - earned[:1])
    utility = total.mean(1) + (config.loss_weight - 1) * total.clamp_max(0).mean(1)
    floor = total.kthvalue(math.ceil(TAIL_PROBABILITY * total.shape[1]), 1).values
    inside = floor >= -budget
    best = int(utility.masked_fill(~inside, -torch.inf).argmax() if inside.any() else floor.argmax())
    at_end = total[best].numpy()
    return AccountPlan(
        account=account,
        target=float(target[best]),
        proposed=best == 1,
        so_far=interval_of(so_far.numpy()),
        at_end=interval_of(at_end),
        budget=budget,
        probability_loss=float((at_end < -HARM * kept).mean()),
        days_left=left,
        inside_budget=bool(inside[best]),
        loss_weight=config.loss_weight,
    )


def gain_so_far(account: Account, product: Product) -> FloatArray:
    """Return what the prices since an account was opened have earned over keeping, ``(K,)`` money in all draws."""
    history = product.history
    own = history.dates.astype("datetime64[D]") > np.datetime64(account.opened)
    days = np.flatnonzero(history.observed & own)
    return np.asarray(gains_over(history, product.fitted, days, account.price, product.market.measure).sum(1))
