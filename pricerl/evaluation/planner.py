"""The planner: the best constant price of a market, found by looking at every price of the box."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pricerl.env import Dynamics
from pricerl.market import price_box
from pricerl.market.guardrails import PriceLimits

NUM_PRICES = 201


class Plan(NamedTuple):
    """A best constant price for every product, ``(P,)`` each."""

    price: Tensor
    """Money."""
    value: Tensor
    """Mean daily reward or profit at that price over the drawn markets."""


class Plans(NamedTuple):
    """Best constant prices of all products, by objective."""

    reward: Plan
    profit: Plan


def plan_all(dynamics: Dynamics) -> Plans:
    """Search the best constant prices for the configured reward and for profit alone."""
    return Plans(best_constant_price(dynamics, "reward"), best_constant_price(dynamics, "profit"))


@torch.no_grad()
def best_constant_price(dynamics: Dynamics, objective: Literal["reward", "profit"]) -> Plan:
    """Search the price box of every product for the price with the highest mean value over the drawn markets.

    Without demand memory no policy can earn more a day than this price, so it is what SAC must match.

    Args:
        dynamics: the market with its reward and guardrails.
        objective: the configured reward, or profit alone.
    """
    market = dynamics.market
    prices, values = [], []
    for index in range(market.num_products):
        prices.append(candidate_prices(dynamics, index))
        values.append(mean_values(dynamics, index, prices[-1], objective))
    value = torch.stack(values)
    best = value.argmax(1, keepdim=True)
    return Plan(torch.stack(prices).gather(1, best)[:, 0], value.gather(1, best)[:, 0])


def candidate_prices(dynamics: Dynamics, product: int) -> Tensor:
    """Prices ``(201,)`` from the lowest to the highest that the product's guardrails ever allow."""
    now = dynamics.history.price[dynamics.history.offset[product] + dynamics.history.num_days[product] - 1]
    limits = PriceLimits(*(limit[product].reshape(1) for limit in dynamics.limits))
    band = price_box(now.reshape(1), limits, dynamics.guardrails)
    return torch.lerp(band.low, band.high, torch.linspace(0, 1, NUM_PRICES, device=now.device))


def mean_values(dynamics: Dynamics, product: int, prices: Tensor, objective: Literal["reward", "profit"]) -> Tensor:
    """Mean over the drawn markets of the daily reward or profit at each price ``(G,)``."""
    num_draws = dynamics.market.num_draws
    draw = torch.arange(num_draws, device=prices.device).repeat_interleave(len(prices))
    rows = torch.full_like(draw, product)
    reward, response = dynamics.constant_price(prices.repeat(num_draws), rows, draw)
    value = reward if objective == "reward" else response.profit
    return value.view(num_draws, len(prices)).mean(0)
