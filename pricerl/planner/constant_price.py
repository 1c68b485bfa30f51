"""The best constant price: the candidates that the guardrails allow, and the one of the highest expected reward."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.projection import lasting_band, spread_prices
from pricerl.market.market import Response


def candidate_prices(product: Product) -> Tensor:
    """Return the prices ``(201,)`` that guardrails allow in time, in money, ascending; on a ladder with repetitions."""
    return find_candidates(product.dynamics)[product.index]


@lru_cache(maxsize=2)  # plan, quarter and rules choose among them
def find_candidates(dynamics: Dynamics) -> Tensor:
    """Return the same of every product, ``(P, 201)``."""
    return spread_prices(lasting_band(dynamics.limits, dynamics.history.current_price()), 201)


@torch.no_grad()
def value_average_day(product: Product, prices: Tensor) -> tuple[Tensor, Response]:
    """Return reward and outcome of an average day at ``prices (G,)``, in money, in all draws, ``(K, G)`` each."""
    draw = torch.arange(product.market.num_draws, device=prices.device)[:, None]
    return product.dynamics.constant_price(prices[None], product.rows()[None], draw)


class Plan(NamedTuple):
    """Best constant price per product, in money, and the posterior-mean daily reward there, ``(P,)`` each."""

    price: Tensor
    value: Tensor


@lru_cache(maxsize=2)  # every evaluation during training needs the same one
def best_constant_price(dynamics: Dynamics) -> Plan:
    """Search each product's candidate prices for the highest posterior-mean reward: the benchmark without memory."""
    return Plan(*dynamics.best_among(find_candidates(dynamics)))


def planner_gaps(
    dynamics: Dynamics, best: Tensor, product: Tensor, draw: Tensor, price: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gaps of a kept price to the best one, ``(B,)``: relative profit before fixed cost, and reward."""
    rows = dynamics.market.rows(product, draw)
    reward, response = dynamics.constant_price(price, product, draw)
    best_reward, best_response = dynamics.constant_price(best, product, draw)
    earned = rows.contribution(price, response.expected_units)
    best_earned = rows.contribution(best, best_response.expected_units)
    return (best_earned - earned) / best_earned.abs().clamp(min=1e-9), best_reward - reward
