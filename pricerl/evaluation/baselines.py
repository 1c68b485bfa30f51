"""Simple rules to stand beside the policy: keep the price, the best price so far, the planner."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pricerl.data import ProductHistory
from pricerl.env import Dynamics
from pricerl.evaluation.planner import Plans

MIN_DAYS_AT_PRICE = 3
"""A past price counts only when it was charged on this many recorded days."""

COARSEST_GRID = 0.01
"""Money: past prices are told apart to a cent, or to the price step where that is finer."""


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
    """Value the policy's settled price beside the simple rules, all in the same drawn markets.

    Args:
        dynamics: the market with its reward and guardrails.
        product: product index.
        policy_price: price at which the policy settles, money.
        plans: the planner's best constant prices.
    """
    history = dynamics.market.preprocessor.products[product]
    prices = {
        "keep the price": float(history.price[-1]),
        "best past price": best_past_price(history, dynamics),
        "planner, this objective": float(plans.reward.price[product]),
        "planner, profit alone": float(plans.profit.price[product]),
        "policy (SAC)": policy_price,
    }
    return [_value_price(dynamics, product, rule, price) for rule, price in prices.items()]


def best_past_price(history: ProductHistory, dynamics: Dynamics) -> float:
    """Tried price with the highest mean daily profit on its days (sales where costs are unknown), money."""
    index = [item.product for item in dynamics.market.preprocessor.products].index(history.product)
    cost = dynamics.market.products[index].cost
    price = history.price[history.observed]
    units = history.units[history.observed]
    share, unit_cost = (cost.share_kept.mean(), cost.unit_cost.mean()) if cost.known else (1.0, 0.0)
    grid = min(COARSEST_GRID, dynamics.guardrails.price_step)
    tried, which, days = np.unique((price / grid).round() * grid, return_inverse=True, return_counts=True)
    earned = np.bincount(which, (share * price - unit_cost) * units) / days
    earned[days < min(MIN_DAYS_AT_PRICE, days.max())] = -np.inf
    return float(tried[earned.argmax()])


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
