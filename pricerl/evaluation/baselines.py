"""Rules and the planner, valued beside the policy in the same drawn markets."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pricerl.env import Dynamics
from pricerl.evaluation.planner import Plans
from pricerl.evaluation.rules import RULES, WITHOUT_COSTS, Shop


class BaselineRow(NamedTuple):
    """A constant price and what a day at it brings in the drawn markets: mean and 90 % interval of the mean."""

    rule: str
    price: float
    units: float
    sales: float
    profit: float | None
    """Money; None where costs are unknown."""
    profit_low: float | None
    profit_high: float | None


@torch.no_grad()
def compare_baselines(dynamics: Dynamics, product: int, policy_price: float, plans: Plans) -> list[BaselineRow]:
    """Value the policy's settled price beside those of all rules and the planner, in the same drawn markets.

    Without costs only rules that need none are shown.

    Args:
        dynamics: the market with its reward and guardrails.
        product: product index.
        policy_price: price at which the policy settles, money.
        plans: the planner's best constant prices.
    """
    market = dynamics.market
    shop = Shop(market.preprocessor.products[product], market.products[product], dynamics.guardrails)
    rules = RULES if shop.market.cost.known else {name: RULES[name] for name in WITHOUT_COSTS}
    prices = {
        **{name: rule(shop) for name, rule in rules.items()},
        "planner, this objective": float(plans.reward.price[product]),
        "planner, profit alone": float(plans.profit.price[product]),
        "policy (SAC)": policy_price,
    }
    return [_value_price(dynamics, product, rule, price) for rule, price in prices.items()]


def _value_price(dynamics: Dynamics, product: int, rule: str, price: float) -> BaselineRow:
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device)
    _, response = dynamics.constant_price(
        torch.full_like(draw, price, dtype=torch.float32), torch.full_like(draw, product), draw
    )
    low, high = torch.quantile(response.profit, torch.tensor([0.05, 0.95], device=market.device)).tolist()
    units, sales, profit = (float(value.mean()) for value in (response.expected_units, response.sales, response.profit))
    if not market.products[product].cost.known:
        return BaselineRow(rule, price, units, sales, None, None, None)
    return BaselineRow(rule, price, units, sales, profit, low, high)
