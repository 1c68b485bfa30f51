"""Rules for the price and the order of a product with stock, tuned in its fitted market.

Rules react to the cover: what is on hand and on the way over the base stock, the demand expected until an order of
today has arrived and a week later, times a cushion. States are categories of one product, ``(B, 1)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_WEEKS
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import CategoryState, allow, attract, believe, step
from pricerl.env.stock.market_shelves import Shelves
from pricerl.guardrails.projection import price_box

CUSHIONS = (0.8, 1.0, 1.2, 1.5, 1.9, 2.4)
REACTIONS = (0.0, 0.1, 0.2, 0.4)
CAPS = (1.2, 1.6, 2.5, float("inf"))
SETTINGS = torch.tensor(list(itertools.product(CUSHIONS, REACTIONS, CAPS)))
"""96 settings: cushion, log price per log of the cover, largest order over a week's demand (capped base stock)."""

ShelfPolicy = Callable[[CategoryState], tuple[Tensor, Tensor]]
"""``state -> (price, order)`` before the guardrails, ``(B, 1)`` money and units."""


def open_shelves(shelves: Shelves, product: Tensor) -> CategoryState:
    """Return products ``(B,)`` as categories of one."""
    return shelves.open(product[:, None], torch.zeros(len(product)))


@torch.no_grad()
def blind_price(shelves: Shelves, product: Tensor) -> Tensor:
    """Return the price of the highest expected contribution of products ``(B,)`` if no shelf ever empties, ``(B, 1)``.

    Demand is that of the fitted market's mean draw.
    """
    market = shelves.market
    believed = market.rows(product, torch.full_like(product, market.mean_draw))
    box = price_box(shelves.dynamics.limits.rows(product), shelves.price[product])
    prices = torch.lerp(box.low, box.high, torch.linspace(0, 1, 201)[:, None])
    day = market.average_day_at(prices, market.grid_position(prices, believed), believed)
    best = believed.contribution(prices, day.expected_units).argmax(0, keepdim=True)
    return prices.gather(0, best).T


@dataclass(frozen=True)
class CoverRule:
    """Base stock, perhaps capped, with a price that reacts to the cover; settings are numbers or ``(B, 1)``."""

    price: Tensor
    """``(B, 1)`` price that is blind to stock."""
    cushion: Tensor | float = 1.5
    reaction: Tensor | float = 0.0
    cap: Tensor | float = torch.inf

    def __call__(self, state: CategoryState) -> tuple[Tensor, Tensor]:
        """Return price and order."""
        stock = state.rows.stock
        season = stock.season[state.week :]
        ahead = (torch.arange(len(season))[:, None, None] <= stock.lead_weeks) * season
        weekly = believe(state)
        target = self.cushion * weekly * ahead.sum(0) / season[0].clamp(min=1e-9)
        cover = (state.held / target.clamp(min=1e-9)).clamp(0.25, 4)
        return self.price * cover**-self.reaction, torch.minimum(target - state.held, self.cap * weekly).clamp(min=0)


@torch.no_grad()
def tune_rules(shelves: Shelves, generator: torch.Generator, grid: Tensor = SETTINGS, paths: int = 32) -> Tensor:
    """Return the best settings ``(3, P)`` of a grid ``(N, 3)`` per product, by the mean profit over posterior draws."""
    draw = torch.arange(paths).remainder(shelves.market.num_draws).repeat(len(grid))
    noise = torch.randn(MOST_WEEKS, 4, paths, 1, generator=generator).repeat(1, 1, len(grid), 1)
    settings = grid.repeat_interleave(paths, 0).T[..., None]
    found = []
    for index in range(shelves.market.num_products):
        product = torch.full_like(draw, index)
        rule = CoverRule(blind_price(shelves, product), *settings)
        profit = roll_rule(shelves, product, draw, rule, noise).view(-1, paths).mean(1)
        found.append(grid[profit.argmax()])
    return torch.stack(found, 1)


def roll_rule(shelves: Shelves, product: Tensor, draw: Tensor, policy: ShelfPolicy, noise: Tensor) -> Tensor:
    """Return the profit of a policy ``(B,)`` in weeks of standard normal noise ``(T, 4, B, 1)``.

    All rows ``(B,)`` are one product, each in a draw of its own, whose demand the seller knows through sales only.
    """
    market = shelves.market
    truth = market.rows(product[:, None], draw[:, None])
    table = tabulate_units(market.size[product[:1]] * WEEK / market.step_days)
    state = open_shelves(shelves, product)
    rows = state.rows

    def find_level(price: Tensor) -> Tensor:
        units = market.average_day_at(price, market.grid_position(price, truth), truth).expected_units
        return (units / attract(rows, price) / rows.buyers[:, None]).log()

    state = state._replace(level=find_level(state.price))
    total = torch.zeros(len(product))
    for luck in noise:
        price, order = allow(state, *policy(state))
        moved = state.level + find_level(price) - find_level(state.price)
        state, week = step(state._replace(level=moved), price, order, luck, table)
        total += week.profit[:, 0]
    return total
