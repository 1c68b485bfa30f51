"""Rules and the planner, valued beside the policy in the same posterior draws."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pricerl.env import Dynamics
from pricerl.evaluation.planner import Plans, nearest_alternative
from pricerl.evaluation.pricing_rules import RULES, WITHOUT_COSTS, Shop
from pricerl.market import Response


class BaselineRow(NamedTuple):
    """A constant price and what a day at it brings in the posterior draws: mean and 90 % interval of the mean."""

    rule: str
    price: float
    units: float
    sales: float
    profit: float | None
    """Money; None where costs are unknown."""
    profit_low: float | None
    profit_high: float | None
    probability_better: float | None = None
    """Share of the posterior draws in which it earns more than the current price; None where it is that one or costs
    are
    unknown."""


@torch.no_grad()
def compare_baselines(dynamics: Dynamics, product: int, policy_price: float, plans: Plans) -> list[BaselineRow]:
    """Value the policy's settled price beside those of all rules and the planner, in the same posterior draws.

    Without costs only rules that need none are shown.

    Args:
        dynamics: the market with its reward and guardrails.
        product: product index.
        policy_price: price at which the policy settles, money.
        plans: the planner's best constant prices.
    """
    market = dynamics.market
    history = market.preprocessor.products[product]
    shop = Shop(history, market.products[product], dynamics.guardrails.of(history.product))
    rules = RULES if shop.market.cost.known else {name: RULES[name] for name in WITHOUT_COSTS}
    prices = {
        **{name: nearest_alternative(dynamics, product, rule(shop)) for name, rule in rules.items()},
        "planner, this objective": float(plans.reward.price[product]),
        "planner, profit alone": float(plans.profit.price[product]),
        "policy (SAC)": policy_price,
    }
    prices["keep the price"] = shop.current_price
    keep = _respond(dynamics, product, shop.current_price)
    return [_value_price(dynamics, product, rule, price, keep) for rule, price in prices.items()]


def _respond(dynamics: Dynamics, product: int, price: float) -> Response:
    """What an average day at a price brings in every posterior draw, ``(K,)`` each."""
    draw = torch.arange(dynamics.market.num_draws, device=dynamics.market.device)
    money = torch.full_like(draw, price, dtype=torch.float32)
    return dynamics.constant_price(money, torch.full_like(draw, product), draw)[1]


def _value_price(dynamics: Dynamics, product: int, rule: str, price: float, keep: Response) -> BaselineRow:
    market = dynamics.market
    response = _respond(dynamics, product, price)
    low, high = torch.quantile(response.profit, torch.tensor([0.05, 0.95], device=market.device)).tolist()
    units, sales, profit = (float(value.mean()) for value in (response.expected_units, response.sales, response.profit))
    if not market.products[product].cost.known:
        return BaselineRow(rule, price, units, sales, None, None, None)
    same = bool((response.expected_units == keep.expected_units).all())
    chance = None if same else float((response.profit > keep.profit).double().mean())
    return BaselineRow(rule, price, units, sales, profit, low, high, chance)
