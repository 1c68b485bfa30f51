"""Rules for price and order that react to the cover, their tuning per product, and a seller who foresees demand.

The cover is what is on hand and on the way over the base stock: the demand expected until an order of today has arrived
and a week later, times a cushion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.env.stock.shelf import LEVEL_DRIFT
from pricerl.evaluation.stock.stock_planner import (
    count_units,
    improve_plan,
    plan_orders,
    plan_prices,
)
from pricerl.guardrails.projection import price_box
from shops.weekly_shelf import Week, WeeklyShelf, WeeklyState

CUSHIONS = (0.8, 1.0, 1.2, 1.5, 1.9, 2.4)
REACTIONS = (0.0, 0.1, 0.2, 0.4)
CAPS = (1.2, 1.6, 2.5, float("inf"))
SETTINGS = torch.tensor(list(itertools.product(CUSHIONS, REACTIONS, CAPS)))
"""96 settings: cushion, log price per log of the cover, largest order over a week's demand (capped base stock)."""


ShelfPolicy = Callable[[WeeklyState], tuple[Tensor, Tensor]]
"""``state -> (price, order)`` before the guardrails, ``(B,)`` money and units."""


class ShelfRollout(NamedTuple):
    """Decisions and outcomes of ``T`` weeks, each ``(T, B)``."""

    price: Tensor
    order: Tensor
    week: Week

    @property
    def profit(self) -> Tensor:
        """``(B,)`` profit of all weeks, money."""
        return self.week.profit.sum(0)


@torch.no_grad()
def roll_shelf(shelf: WeeklyShelf, state: WeeklyState, policy: ShelfPolicy, noise: Tensor) -> ShelfRollout:
    """Play a policy inside the guardrails for the ``T`` weeks of standard normal ``noise (T, 3, B)``."""
    weeks = []
    for shock in noise:
        price, order = shelf.allow(state, *policy(state))
        state, week = shelf.charge(state, price, order, shock)
        weeks.append((price, order, *week))
    price, order, *outcome = (torch.stack(values) for values in zip(*weeks, strict=True))
    return ShelfRollout(price, order, Week(*outcome))


@torch.no_grad()
def blind_price(shelf: WeeklyShelf, state: WeeklyState) -> Tensor:
    """Return the price of the highest expected contribution if the shelf never empties, money ``(B,)``."""
    rows = state.rows
    box = price_box(rows.limits, state.price)
    prices = torch.lerp(box.low, box.high, torch.linspace(0, 1, 201, device=box.low.device)[:, None])
    day = shelf.market.average_day_at(prices, shelf.market.grid_position(prices, rows.believed), rows.believed)
    best = rows.believed.contribution(day.sales, day.expected_units).argmax(0, keepdim=True)
    return prices.gather(0, best)[0]


@dataclass(frozen=True)
class CoverRule:
    """Base stock, perhaps capped, with a price that reacts to the cover; settings are numbers or ``(B,)``."""

    shelf: WeeklyShelf
    price: Tensor
    """``(B,)`` price that is blind to stock, money."""
    cushion: Tensor | float = 1.5
    reaction: Tensor | float = 0.0
    cap: Tensor | float = torch.inf

    def __call__(self, state: WeeklyState) -> tuple[Tensor, Tensor]:
        """Return price and order."""
        rows = state.rows
        factor = rows.factor[state.week :]
        weeks = torch.arange(len(factor), device=factor.device)[:, None]
        ahead = torch.where(weeks <= rows.stock.lead_weeks, factor, 0.0).sum(0)
        weekly = self.shelf.expect(state, state.price[None], rows.believed)[0] * state.mean.exp()
        target = self.cushion * weekly * ahead / factor[0].clamp(min=1e-9)
        cover = (state.held / target.clamp(min=1e-9)).clamp(0.25, 4)
        return self.price * cover**-self.reaction, torch.minimum(target - state.held, self.cap * weekly).clamp(min=0)


def tune_rules(shelf: WeeklyShelf, generator: torch.Generator, grid: Tensor = SETTINGS, paths: int = 32) -> Tensor:
    """Return the best settings ``(3, P)`` of a grid ``(N, 3)`` per product, by the mean profit over posterior draws."""
    draw = torch.arange(paths) % shelf.market.num_draws
    noise = torch.randn(MOST_WEEKS, 3, paths, generator=generator).repeat(1, 1, len(grid))
    settings = grid.repeat_interleave(paths, 0).T
    found = []
    for index in range(shelf.market.num_products):
        state = shelf.start(torch.full((settings.shape[1],), index), draw.repeat(len(grid)))
        rule = CoverRule(shelf, blind_price(shelf, state), *settings)
        profit = roll_shelf(shelf, state, rule, noise).profit.view(-1, paths).mean(1)
        found.append(grid[profit.argmax()])
    return torch.stack(found, 1)


@torch.no_grad()
def foresee(
    shelf: WeeklyShelf, state: WeeklyState, noise: Tensor, known: Sequence[ShelfRollout], rounds: int = 5
) -> Tensor:
    """Return the profit ``(B,)`` of a seller who foresees all demand, at least that of every known roll-out.

    The bound is climbed by gradient from each row's best roll-out, so it may lie below the exact one. Between rounds of
    60 steps the units are counted again at the new prices.
    """
    profits = torch.stack([item.profit for item in known])
    row = profits.argmax(0)
    price, order = (
        torch.stack([getattr(item, name) for item in known]).gather(0, row.expand(1, MOST_WEEKS, -1))[0]
        for name in ("price", "order")
    )
    truth = state._replace(rows=state.rows._replace(believed=state.rows.market))
    change = price / torch.cat([state.price[None], price[:-1]]) - 1
    largest = state.rows.limits.change(change.sign()).abs().clamp(min=1e-9)
    plan = torch.stack([(change / largest).clamp(-1, 1), order / state.rows.usual])
    level = LEVEL_DRIFT * noise[:, :1].cumsum(0)
    best = profits.amax(0)
    for _ in range(rounds):
        paths = count_units(shelf, truth, plan, level, noise[:, 1:].movedim(1, 0)[:, :, None])
        plan = improve_plan(shelf, truth, plan, paths, 60, 1)
        best = torch.maximum(best, roll_shelf(shelf, state, _follow(state, plan), noise).profit)
    return best


def _follow(state: WeeklyState, plan: Tensor):  # type: ignore[no-untyped-def]
    prices = plan_prices(state, plan).exp()
    orders = plan_orders(state, plan)
    return lambda now: (prices[now.week], orders[now.week])
