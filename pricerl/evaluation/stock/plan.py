"""Planned half-years: the policy of categories proposes prices, and a search over posterior draws improves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, grouped
from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_WEEKS
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.stock.category import CategoryState, decide, expect, settle
from pricerl.env.stock.market_shelves import Shelves
from pricerl.evaluation.stock.half_year import MOST_INSIDE, HalfYear
from pricerl.evaluation.stock.product import StockedProduct
from pricerl.guardrails.limits import recent_prices
from pricerl.guardrails.projection import feasible_band, project
from pricerl.market.market import Market, log_units_at
from pricerl.planner.rollout import Policy

STEPS = (0.06, 0.06, 0.03, 0.03, 0.015)
"""Log price by which each round of the search moves the best prices so far."""
SEARCHED = 32
"""Posterior draws by which the search values prices."""
LARGEST = 12
"""Most products of a category that share a half-year; in a larger one each is planned alone."""


def find_categories(market: Market) -> Iterator[tuple[int, ...]]:
    """Yield the products of known unit cost that share buyers, or one alone, by number; any of them has stock."""
    groups = grouped(
        (market.preprocessor.products[row].group if item.diversion is not None else row, row)
        for row, item in enumerate(market.products)
        if item.cost.known
    )
    for group in groups.values():
        for rows in [group] if len(group) <= LARGEST else [[row] for row in group]:
            if any(market.products[row].stock is not None for row in rows):
                yield tuple(rows)


def find_inside(market: Market, rows: Sequence[int]) -> FloatArray:
    """Return the share of buyers who take a product of a category ``(D + 1,)``, in each draw and their mean.

    A logit of total share ``S`` in which a product has the part ``w`` diverts ``(S - S w) / (1 - S w)`` of its buyers.
    """
    products = [market.products[row] for row in rows]
    if len(rows) == 1:
        return np.zeros(market.num_draws + 1)
    price = [market.preprocessor.products[row].current_price for row in rows]
    units = [np.exp(log_units_at(item, np.array([at]))).mean() for item, at in zip(products, price, strict=True)]
    part = np.array(units)[:, None] / sum(units)
    diverted = np.stack([item.diversion.share for item in products if item.diversion is not None])
    inside = (part * diverted / (1 - part + diverted * part)).sum(0).clip(0, MOST_INSIDE)
    return np.append(inside, inside.mean())


def roll_policy(policy: Policy, state: CategoryState) -> Tensor:
    """Return the prices of 26 weeks ``(26, B, K)`` in money if buyers want what is expected.

    An action that is not finite is 0, the first price.
    """
    weeks = []
    for _ in range(MOST_WEEKS):
        action = torch.nan_to_num(policy(state.observation)).view(*state.price.shape, 2)
        price, order = decide(state, action)
        demand = expect(state.rows, state.week, price, state.on_hand, state.mean)
        after, _ = settle(state, price, order, demand)
        state = after._replace(mean=state.mean, common=state.common)
        weeks.append(price)
    return torch.stack(weeks)


def walk_weeks(state: CategoryState, goals: Tensor) -> Tensor:
    """Return the prices ``(26, R, B, K)`` nearest to goals in money that the guardrails allow week by week."""
    prices = state.prices[:, None].expand(-1, goals.shape[1], -1, -1)
    weeks = []
    for goal in goals:
        band = feasible_band(state.rows.limits, recent_prices(prices, prices, WEEK))
        weeks.append(project(goal, prices[-1], band))
        prices = torch.cat([prices[1:], weeks[-1][None]])
    return torch.stack(weeks)


def search(half_year: HalfYear, state: CategoryState, proposed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best prices found ``(26, B, K)``, in money, and whether they go back to the proposed ones, ``(B,)``.

    They start as the best of the current prices, the proposed ones and the way half between. Then each product's
    prices move by ever smaller steps: for good, this week, until an order of today can arrive, from then on, or ever
    more towards the season's end. What helps alone is tried for all products together, by half, and for the best
    product alone; at last, keeping the current prices for this week. The mean profit over posterior draws decides.
    """
    now = state.price.expand(MOST_WEEKS, 1, -1, -1)
    plan = proposed[:, None]
    best, most, start = _choose(half_year, state, torch.cat([now, plan, (now * plan).sqrt()], 1))
    week = torch.arange(MOST_WEEKS, device=now.device)[:, None, None]
    stock = half_year.stock
    waits = (week < stock.lead_weeks).float()
    tilt = (2 * (week + 0.5) / stock.season_end - 1).clamp(max=1)
    ways = torch.stack([torch.ones_like(waits), (week == 0).expand_as(waits), waits, 1 - waits, tilt], 1)
    ways = torch.cat([ways, -ways], 1)
    single = torch.eye(now.shape[-1], device=now.device)[:, None]
    for step in STEPS:
        alone = (ways[:, :, None] * single).flatten(1, 2)
        value = _earn(half_year, walk_weeks(state, best * (step * alone).exp()))
        earned, way = (part.T for part in value.view(ways.shape[1], -1, value.shape[1]).max(0))
        move = ways.gather(1, way.expand_as(now)) * (earned > most[:, None])
        leader = earned == earned.amax(1, keepdim=True)
        tried = torch.cat([torch.zeros_like(move), move, move / 2, move * leader], 1)
        best, most, _ = _choose(half_year, state, best * (step * tried).exp())
    best, _, _ = _choose(half_year, state, torch.cat([best, torch.where(week[:, None] == 0, now, best)], 1))
    return best[:, 0], start > 0


def _earn(half_year: HalfYear, weeks: Tensor) -> Tensor:
    """Return the mean profit of categories ``(R, B)`` at prices ``(26, R, B, K)``, in money."""
    return half_year.play(weeks).profit[:, :-1].sum((0, -1)).mean(0)


def _choose(half_year: HalfYear, state: CategoryState, goals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best prices ``(26, 1, B, K)`` on the way to goals ``(26, R, B, K)``, their profit and number."""
    weeks = walk_weeks(state, goals)
    most, number = _earn(half_year, weeks).max(0)
    return weeks.gather(1, number[None, None, :, None].expand_as(weeks[:, :1])), most, number


@torch.no_grad()
def plan_half_years(dynamics: Dynamics, policy: Policy) -> dict[int, StockedProduct]:
    """Plan the half-year of every product with stock and unit cost, by number.

    The policy is made for categories, ``(B, K * F) -> (B, K * 2)``.
    """
    market = dynamics.market
    categories = list(find_categories(market))
    if not categories:
        return {}
    shelves = Shelves(dynamics)
    found = {}
    single = [rows for rows in categories if len(rows) == 1]
    for chosen in ([single] if single else []) + [[rows] for rows in categories if len(rows) > 1]:
        inside = market.size.new_tensor(np.stack([find_inside(market, rows) for rows in chosen], 1))
        half_year = HalfYear(shelves, torch.tensor(chosen, device=market.device), inside, market.num_draws)
        state = shelves.open(half_year.index, inside[-1])
        searched = replace(half_year, draws=min(SEARCHED, market.num_draws))
        weeks, own = search(searched, state, roll_policy(policy, state))
        for number, rows in enumerate(chosen):
            alone = half_year.pick(number)
            plan = weeks[:, number]
            limited = [place for place, row in enumerate(rows) if market.products[row].stock is not None]
            charged = state.price[number].repeat(MOST_WEEKS, 1)
            charged[:, limited] = plan[:, limited]
            for place in limited:
                product = Product(dynamics, rows[place])
                found[product.index] = StockedProduct(product, alone, place, plan, bool(own[number]), charged)
    return found
