"""Planner: the best constant price by grid search, and the other rules valued in the same posterior draws."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.env import Dynamics
from pricerl.evaluation.pricing_rules import (
    NUM_PRICES,
    RULES,
    WITHOUT_COSTS,
    Rule,
    Shop,
    best_for_objective,
)
from pricerl.evaluation.rollout import approach_prices
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, BEST_FOR_PROFIT, KEEP
from pricerl.evaluation.valuation import DailyOutcome, PathValue, value_average_day, value_paths
from pricerl.guardrails.projection import lasting_band, project, spread_prices


class Plan(NamedTuple):
    """Best constant price per product, ``(P,)`` each."""

    price: Tensor
    """Money."""
    value: Tensor
    """Posterior-mean daily reward at that price."""


class BaselineRow(NamedTuple):
    """Price of a rule, and the value of approaching it as fast as the guardrails allow."""

    rule: str
    price: float
    """Money, inside the guardrails."""
    outcome: DailyOutcome
    """Per day over the forecast horizon."""
    probability_better: float | None
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
    prices, values = [], []
    for product in range(dynamics.market.num_products):
        prices.append(candidate_prices(dynamics, product))
        values.append(value_average_day(dynamics, product, prices[-1])[0].mean(0))
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


def candidate_prices(dynamics: Dynamics, product: int) -> Tensor:
    """Return prices ``(201,)`` from the lowest to the highest that the product's guardrails allow in time, money.

    With a price ladder or charm endings, they are the nearest such prices, with repetitions. Planners and rules choose
    among these prices, and rules' prices are projected onto them, so every price shown obeys the guardrails.
    """
    row = torch.tensor([product], device=dynamics.market.device)
    return spread_prices(lasting_band(dynamics.limits.rows(row), _current_price(dynamics, product)), NUM_PRICES)


def open_shop(dynamics: Dynamics, product: int, gate: float) -> Shop:
    """Return the product's shop, with the reward as objective and candidates inside the guardrails."""
    market, device = dynamics.market, dynamics.market.device
    history = market.preprocessor.products[product]

    def reward(prices: FloatArray) -> FloatArray:
        money = torch.as_tensor(prices, dtype=torch.float32, device=device)
        return np.asarray(value_average_day(dynamics, product, money)[0].cpu().double().numpy())

    return Shop(
        history,
        market.counted(product),
        dynamics.guardrails.of(history.product),
        gate,
        candidate_prices(dynamics, product).cpu().double().numpy(),
        reward,
    )


def compare_baselines(dynamics: Dynamics, product: int, shop: Shop, keep: PathValue, days: int) -> list[BaselineRow]:
    """Value the prices of all other rules in the same posterior draws and over the same days as keeping the price.

    Each rule's price is projected onto the guardrails and approached as fast as they allow. If costs are unknown, only
    rules that need none are compared. If revenue is the measure, all rules seek it, and none profit.
    """
    left_out = (KEEP,) if dynamics.market.measure == "profit" else (KEEP, BEST_FOR_PROFIT)
    names = [name for name in (RULES if shop.market.cost.known else WITHOUT_COSTS) if name not in left_out]
    rules: dict[str, Rule] = {**{name: RULES[name] for name in names}, BEST_FOR_OBJECTIVE: best_for_objective}
    now = _current_price(dynamics, product)
    asked = torch.tensor([rule(shop) for rule in rules.values()], device=now.device)
    rows = dynamics.limits.rows(torch.full(asked.shape, product, device=now.device))
    prices = project(asked, now.expand(asked.shape), lasting_band(rows, now.expand(asked.shape)))
    values = value_paths(dynamics.market, product, approach_prices(prices, dynamics, product, days))
    return [
        BaselineRow(rule, round(price, 4), value.outcome(), _probability_better(value, keep))
        for rule, price, value in zip(rules, prices.double().tolist(), values, strict=True)
    ]


def _probability_better(value: PathValue, keep: PathValue) -> float | None:
    same = bool((value.units == keep.units).all())
    return None if same else value.over(keep).probability_better


def _current_price(dynamics: Dynamics, product: int) -> Tensor:
    """Return the current price ``(1,)``, money."""
    history = dynamics.history
    return history.price[history.offset[product] + history.num_days[product] - 1].reshape(1)
