"""Planner: the best constant price by grid search, and the other rules valued in the same posterior draws."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pricerl.arrays import Share
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import (
    RULES,
    WITHOUT_COSTS,
    Candidates,
    Rule,
    best_for_objective,
    candidate_prices,
)
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, BEST_FOR_PROFIT, KEEP
from pricerl.evaluation.valuation import DailyOutcome, PathValue, value_average_day, value_paths
from pricerl.guardrails.projection import lasting_band, project


class Plan(NamedTuple):
    """Best constant price per product, ``(P,)`` each."""

    price: Tensor
    """Money."""
    value: Tensor
    """Posterior-mean daily reward at that price."""


class BaselineRow(NamedTuple):
    """Price of a rule, and the value of approaching it as fast as the guardrails allow."""

    rule: str
    """Name of the rule."""
    price: float
    """Money, inside the guardrails."""
    outcome: DailyOutcome
    """Per day over the forecast horizon."""
    probability_better: Share | None
    """Share of the posterior draws in which it earns more than keeping the price; None if it keeps the price or costs
    are unknown."""


_PLANS: WeakKeyDictionary[Dynamics, Plan] = WeakKeyDictionary()
"""Plans found so far: every evaluation during training needs the same one."""


def best_constant_price(dynamics: Dynamics) -> Plan:
    """Search each product's candidate prices for the highest posterior-mean reward, once per dynamics.

    Without demand memory no policy can earn more per day than this price; it is the benchmark for SAC.
    """
    if dynamics not in _PLANS:
        _PLANS[dynamics] = _search_prices(dynamics)
    return _PLANS[dynamics]


@torch.no_grad()
def _search_prices(dynamics: Dynamics) -> Plan:
    prices = []
    values = []
    for index in range(dynamics.market.num_products):
        product = Product(dynamics, index)
        prices.append(candidate_prices(product))
        values.append(value_average_day(product, prices[-1])[0].mean(0))
    value = torch.stack(values)
    best = value.argmax(1, keepdim=True)
    return Plan(torch.stack(prices).gather(1, best)[:, 0], value.gather(1, best)[:, 0])


def planner_gaps(
    dynamics: Dynamics, best: Tensor, product: Tensor, draw: Tensor, price: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gaps of a kept price to the best constant price, in profit and in reward, ``(B,)`` like the arguments.

    Profit, or revenue if that is the measure, is taken before fixed cost and relative to that at the best price. Its
    gap can be negative, as the best price maximises the reward.
    """
    rows = dynamics.market.rows(product, draw)
    reward, response = dynamics.constant_price(price, product, draw)
    best_reward, best_response = dynamics.constant_price(best, product, draw)
    earned, best_earned = (rows.contribution(day.sales, day.expected_units) for day in (response, best_response))
    return (best_earned - earned) / best_earned.abs().clamp(min=1e-9), best_reward - reward


def compare_baselines(product: Product, candidates: Candidates, keep: PathValue, days: int) -> list[BaselineRow]:
    """Value the prices of all other rules in the same posterior draws and over the same days as keeping the price.

    Each rule's price is projected onto the guardrails and approached as fast as they allow. If costs are unknown, only
    rules that need none are compared. If revenue is the measure, all rules seek it, and none profit.
    """
    left_out = (KEEP,) if product.market.measure == "profit" else (KEEP, BEST_FOR_PROFIT)
    names = [name for name in (RULES if candidates.market.cost.known else WITHOUT_COSTS) if name not in left_out]
    rules: dict[str, Rule] = {**{name: RULES[name] for name in names}, BEST_FOR_OBJECTIVE: best_for_objective}
    asked = product.money([rule(candidates) for rule in rules.values()])
    now = torch.full_like(asked, product.current_price)
    limits = product.dynamics.limits.rows(product.rows(len(asked)))
    prices = project(asked, now, lasting_band(limits, now))
    values = value_paths(product, approach_prices(prices, product, days))
    return [
        BaselineRow(rule, round(price, 4), value.outcome(), _probability_better(value, keep))
        for rule, price, value in zip(rules, prices.double().tolist(), values, strict=True)
    ]


def _probability_better(value: PathValue, keep: PathValue) -> float | None:
    same = bool((value.units == keep.units).all())
    return None if same else value.over(keep).probability_better
