"""The planner: the best constant price of a market, found by looking at every price of the box."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pricerl.env import Dynamics
from pricerl.evaluation.pricing_rules import LOWER_QUANTILE
from pricerl.guardrails.price_grid import FLOAT32_SLACK
from pricerl.guardrails.projection import PriceBand, lasting_band, project, spread_prices

NUM_PRICES = 201


class Plan(NamedTuple):
    """A best constant price for every product, ``(P,)`` each."""

    price: Tensor
    """Money."""
    value: Tensor
    """Mean daily reward or profit at that price over the posterior draws."""


class Plans(NamedTuple):
    """Best constant prices of all products, by objective."""

    reward: Plan
    profit: Plan


def plan_all(dynamics: Dynamics) -> Plans:
    """Search the best constant prices for the configured reward and for profit alone."""
    return Plans(best_constant_price(dynamics, "reward"), best_constant_price(dynamics, "profit"))


@torch.no_grad()
def best_constant_price(dynamics: Dynamics, objective: Literal["reward", "profit"]) -> Plan:
    """Search the price box of every product for the price with the highest mean value over the posterior draws.

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


@torch.no_grad()
def cautious_price(dynamics: Dynamics, product: int, chance: float) -> float:
    """Return the price that gains most reward in an unlucky market; the current price if none gains for sure enough.

    Candidates must earn more than the current price in a share ``chance`` of the posterior draws, and are compared
    by the
    ``LOWER_QUANTILE`` of their daily gain over them.

    Args:
        dynamics: the market with its reward and guardrails.
        product: product index.
        chance: between 0 and 1.
    """
    now = _current_price(dynamics, product)
    prices = candidate_prices(dynamics, product)
    reward, _ = _draw_values(dynamics, product, torch.cat([now.reshape(1), prices]))
    gain = reward[:, 1:] - reward[:, :1]
    sure = (gain > 0).float().mean(0) >= chance - FLOAT32_SLACK
    bound = torch.where(sure, torch.quantile(gain, LOWER_QUANTILE, dim=0), 0.0)
    return float(prices[bound.argmax()] if bound.max() > 0 else now)


def alternatives(dynamics: Dynamics, product: int) -> PriceBand:
    """Return the prices that the guardrails in force allow one product in time, ``(1,)`` each.

    Every price shown next to the current one obeys them: candidates of planners and rules come from
    ``candidate_prices``, a price from elsewhere passes ``nearest_alternative``.
    """
    row = torch.tensor([product], device=dynamics.market.device)
    return lasting_band(dynamics.limits.rows(row), _current_price(dynamics, product).reshape(1))


def candidate_prices(dynamics: Dynamics, product: int) -> Tensor:
    """Return prices ``(201,)`` from the lowest to the highest that the product's guardrails allow in time, money.

    With a price ladder or charm endings they are prices of those, repeated where there are fewer.
    """
    return spread_prices(alternatives(dynamics, product), NUM_PRICES)


def nearest_alternative(dynamics: Dynamics, product: int, price: float) -> float:
    """Return the price nearest to one, money, that the guardrails allow in time, or the current price if that is it."""
    now = _current_price(dynamics, product).reshape(1)
    return float(project(torch.full_like(now, price), now, alternatives(dynamics, product)))


def mean_values(dynamics: Dynamics, product: int, prices: Tensor, objective: Literal["reward", "profit"]) -> Tensor:
    """Mean over the posterior draws of the daily reward or profit at each price ``(G,)``."""
    reward, profit = _draw_values(dynamics, product, prices)
    return (reward if objective == "reward" else profit).mean(0)


def _draw_values(dynamics: Dynamics, product: int, prices: Tensor) -> tuple[Tensor, Tensor]:
    """Daily reward and profit ``(K, G)`` in every posterior draw at each price ``(G,)``."""
    num_draws = dynamics.market.num_draws
    draw = torch.arange(num_draws, device=prices.device).repeat_interleave(len(prices))
    rows = torch.full_like(draw, product)
    reward, response = dynamics.constant_price(prices.repeat(num_draws), rows, draw)
    return reward.view(num_draws, -1), response.profit.view(num_draws, -1)


def _current_price(dynamics: Dynamics, product: int) -> Tensor:
    history = dynamics.history
    return history.price[history.offset[product] + history.num_days[product] - 1]
