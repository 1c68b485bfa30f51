"""Price and stock: pure functions over batched state, in the market of ``env.dynamics``.

A row is one product in one posterior draw; steps are weeks. ``allow`` projects a price and an order onto the
guardrails, ``expect`` says what buyers want, `move_units` sells what the shelf holds. Projections pass gradients
straight through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, WEEK
from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import tabulate_units
from pricerl.errors import UsageError
from pricerl.guardrails.limits import PriceLimits, recent_prices
from pricerl.guardrails.projection import feasible_band, pass_through, project
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift
from pricerl.market.market import MarketRows
from pricerl.market.reward import ResolvedReward
from pricerl.market.stock_tensors import StockRows, project_order, stack_stocks

LEVEL_DRIFT = 0.05
"""Sd of the weekly change of the log demand level: 0.25 in half a year, as for goods whose fashion passes slowly."""


def check_stocked(reward: ResolvedReward, hold: int) -> None:
    """Raise a ``UsageError`` if the objective is not profit alone, or prices must be held beyond a week."""
    if reward.measure != "profit" or not reward.is_measure:
        raise UsageError(f"stock: prices and orders seek profit alone; choose preset profit, not {reward.name}")
    if hold > WEEK:
        raise UsageError(f"stock: prices change weekly; set guardrails.min_hold_days to 7 or less, found {hold}")


class ShelfRows(NamedTuple):
    """Constants of ``B`` rows, each ``(B,)`` unless stated."""

    market: MarketRows
    believed: MarketRows
    """The same products in the mean draw, on which the seller's belief rests."""
    limits: PriceLimits
    stock: StockRows
    price: Tensor
    """Current price at the start, in money."""
    usual: Tensor
    """Units that the mean draw expects in an average week at that price."""
    factor: Tensor
    """``(26, B)`` units of a week over the units of an average row of the history; 0 after the season."""


class ShelfState(NamedTuple):
    """Everything the next week depends on, for ``B`` rows, each ``(B,)`` unless stated."""

    product: Tensor
    rows: ShelfRows
    week: int
    """Weeks elapsed."""
    on_hand: Tensor
    inbound: Tensor
    """``(6, B)`` units that arrive in one week, two weeks, and so on."""
    prices: Tensor
    """``(4, B)`` weekly prices, in money, newest last."""
    log_reference_price: Tensor
    mean: Tensor
    variance: Tensor
    """Belief over the log level of demand over the mean draw."""

    @property
    def price(self) -> Tensor:
        """``(B,)`` price charged last, in money."""
        return self.prices[-1]

    @property
    def held(self) -> Tensor:
        """``(B,)`` units on hand and on the way."""
        return self.on_hand + self.inbound.sum(0)


def move_units(
    on_hand: Tensor, inbound: Tensor, order: Tensor, demand: Tensor, late: Tensor | float, stock: StockRows
) -> tuple[Tensor, Tensor, Tensor]:
    """Return units on hand ``(B,)`` and on the way ``(6, B)`` after a week, and those sold of a ``demand (B,)``.

    The next delivery is put off by a week where it is ``late``. All may have further axes.
    """
    sold = torch.minimum(demand, on_hand)
    slots = torch.arange(1, MOST_LEAD_WEEKS + 1, device=order.device).view(-1, *[1] * order.dim())
    due = inbound + (slots == stock.lead_weeks) * order
    put_off = due[0] * late
    after = torch.cat([(due[1] + put_off)[None], due[2:], torch.zeros_like(due[:1])])
    return (on_hand - sold) * (1 - stock.spoilage) + due[0] - put_off, after, sold


class Earnings(Protocol):
    """Earnings of a unit, as in a `MarketRows`."""

    @property
    def share_paid(self) -> Tensor:
        """Share of the price that buyers pay."""

    @property
    def counted_cost(self) -> Tensor:
        """Cost of a unit that counts, in money."""

    def contribution(self, sales: Tensor, units: Tensor) -> Tensor:
        """Return what counts of sales less unit costs, in money."""


def count_profit(
    market: Earnings, stock: StockRows, price: Tensor, sold: Tensor, left: Tensor, held: Tensor, week: int | Tensor
) -> Tensor:
    """Return the profit of an open week ``(B,)``, or of several ``(T, B)``, from its price, in money, and units.

    It is the contribution of the units sold, less storage, spoiled units at cost and, at the end, what leftovers lose.
    ``left`` units are on hand before any spoil or arrive, and ``held`` on hand and on the way after it.
    """
    cost = market.counted_cost
    kept = stock.storage_fee + cost * stock.spoilage
    loss = torch.where(stock.season_end == week + 1, stock.write_off(cost) * held, 0.0)
    return market.contribution(sold * price * market.share_paid, sold) - kept * left - loss


class Shelf:
    """Market, guardrails and stock of all products: the constants of the functions, on the market's device.

    Reward and guardrails are those that `check_stocked` accepts.
    """

    def __init__(self, dynamics: Dynamics, stocks: Sequence[Stock]) -> None:
        self.dynamics = dynamics
        self.market = market = dynamics.market
        self.stock = stack_stocks(stocks, market.device)
        self.size = market.size * WEEK / market.step_days
        self.quantiles = tabulate_units(self.size)
        history = dynamics.history
        rows = WEEK // market.step_days
        product, _ = history.latest()
        first = history.first_date(product) + history.first_day + history.num_days
        column = first[:, None] + torch.arange(MOST_WEEKS * rows, device=market.device)
        weeks = torch.arange(MOST_WEEKS, device=market.device)[:, None]
        calendar = dynamics.calendar[0][column].view(-1, MOST_WEEKS, rows).sum(-1).T
        self.factor = calendar * self.stock.season * (weeks < self.stock.season_end)

    def start(self, product: Tensor, draw: Tensor) -> ShelfState:
        """Return the state of ``product (B,)`` in ``draw (B,)`` at the end of its history; the belief is all draws'."""
        market = self.market
        history = self.dynamics.history
        past = self.dynamics.start(product, history.num_days[product] - 1)
        prices = past.price.expand(RECENT_DAYS // WEEK, -1)
        if past.trail is not None:
            prices = past.trail.view(len(prices), -1, len(product))[:, -1]
        draws = torch.arange(market.num_draws + 1, device=market.device)
        units = market.average_day(past.price[:, None], product[:, None], draws).expected_units
        level = (units[:, :-1] / units[:, -1:]).log()
        stock = self.stock.rows(product)
        factor = self.factor[:, product]
        rows = ShelfRows(
            market=market.rows(product, draw),
            believed=market.rows(product, torch.full_like(product, market.mean_draw)),
            limits=self.dynamics.limits.rows(product),
            stock=stock,
            price=past.price,
            usual=units[:, -1] * factor.sum(0) / stock.season_end,
            factor=factor,
        )
        return ShelfState(
            product=product,
            rows=rows,
            week=0,
            on_hand=stock.on_hand,
            inbound=stock.inbound,
            prices=prices,
            log_reference_price=past.log_reference_price,
            mean=level.mean(1),
            variance=level.var(1) + LEVEL_DRIFT**2,
        )

    def allow(self, state: ShelfState, price: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        """Project a proposed price, in money, and order, units, ``(B,)`` each, onto the guardrails."""
        rows = state.rows
        recent = recent_prices(state.prices, state.prices, WEEK)
        allowed = project(price, state.price, feasible_band(rows.limits, recent))
        arrives = rows.stock.season_end > state.week + rows.stock.lead_weeks
        ordered = project_order(order, state.held, rows.believed.unit_cost, rows.stock, arrives)
        return pass_through(price, allowed), pass_through(order, ordered)

    def expect(self, state: ShelfState, price: Tensor, rows: MarketRows) -> Tensor:
        """Return the units ``(T, B)`` that a draw expects at level 1 and prices in money ``(T, B)`` of next weeks."""
        units = self.market.average_day_at(price, self.market.grid_position(price, rows), rows).expected_units
        if self.market.remembers:
            kept = REFERENCE_MEMORY**WEEK
            weeks = torch.arange(len(price), device=price.device)[:, None]
            age = weeks - weeks.T - 1
            weight = torch.where(age >= 0, (1 - kept) * kept ** age.clamp(min=0), 0.0)
            reference = weight @ price.log() + kept**weeks * state.log_reference_price
            step_days = self.market.step_days
            faded = fade(WEEK // step_days, price.device, step_days)[..., None]
            units = units * lift((price.log() - reference) * faded, rows.memory_gain, rows.memory_loss).mean(0)
        return units * state.rows.factor[state.week : state.week + len(price)]

    def believe(self, state: ShelfState, price: Tensor) -> Tensor:
        """Return what the mean draw expects at prices ``(T, B)`` of the next weeks, in money."""
        return self.expect(state, price, state.rows.believed)
