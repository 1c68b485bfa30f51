"""Dynamics of price and stock: pure functions over batched state, in the market of ``env.dynamics``.

A row is one product in one posterior draw; steps are weeks. ``decide`` turns an action into a price and an order inside
the guardrails, ``charge`` draws the week's demand, ``settle`` sells what the shelf holds. Projections and whole units
pass gradients straight through, so profit has a derivative by every action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, WEEK
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import cell_of, tabulate_units
from pricerl.env.stock.level import update_belief
from pricerl.errors import UsageError
from pricerl.guardrails.limits import PriceLimits, recent_prices
from pricerl.guardrails.projection import feasible_band, pass_through, project
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift
from pricerl.market.market import MarketRows
from pricerl.market.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock, StockRows, project_order, stack_stocks

LEVEL_DRIFT = 0.05
"""Sd of the weekly change of the log demand level: 0.25 in half a year, as for goods whose fashion passes slowly."""
SLOPE_RANGE = torch.tensor([1.1, 0.9, 1.0])
"""Prices over today's between which the slope of every draw is taken, and today's."""
SCALE_WEEKS = 4
"""Weeks of demand, in addition to the lead time, that half of the largest order action covers."""


def check_settings(measure: str, hold: int) -> None:
    """Raise a ``UsageError`` if the measure of a gain counts no costs, or prices must be held beyond a week."""
    if measure != "profit":
        raise UsageError("stock: orders need unit costs; choose an objective that counts profit")
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
    """Current price at the start, money."""
    usual: Tensor
    """Units that the mean draw expects in an average week at that price."""
    factor: Tensor
    """``(26, B)`` units of a week over those of an average row of the history; 0 after the season."""


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
    """``(4, B)`` weekly prices, money, newest last."""
    log_reference_price: Tensor
    level: Tensor
    """True log level of demand over the row's own draw, which no seller sees."""
    mean: Tensor
    variance: Tensor
    """Belief over the log level of demand over the mean draw, at the price charged last."""
    slope: Tensor
    """``(3, B)`` how that level changes with the log price: mean, variance, and covariance with the level."""

    @property
    def price(self) -> Tensor:
        """``(B,)`` price charged last, money."""
        return self.prices[-1]

    @property
    def held(self) -> Tensor:
        """``(B,)`` units on hand and on the way."""
        return self.on_hand + self.inbound.sum(0)


class Week(NamedTuple):
    """Outcome of a week, each ``(B,)``: money, and units."""

    profit: Tensor
    """Contribution of the units sold, less storage, spoiled units at cost and, at the end, what leftovers lose."""
    sold: Tensor
    lost: Tensor
    """Demand that the shelf could not serve."""
    spoiled: Tensor


def move_units(
    on_hand: Tensor, inbound: Tensor, order: Tensor, demand: Tensor, late: Tensor | float, stock: StockRows
) -> tuple[Tensor, Tensor, Tensor]:
    """Return units on hand ``(B,)`` and on the way ``(6, B)`` after a week, and those sold; see `Shelf.settle`."""
    sold = torch.minimum(demand, on_hand)
    slots = torch.arange(1, MOST_LEAD_WEEKS + 1, device=order.device)[:, None]
    due = inbound + (slots == stock.lead_weeks) * order
    put_off = due[0] * late
    after = torch.cat([(due[1] + put_off)[None], due[2:], torch.zeros_like(due[:1])])
    return (on_hand - sold) * (1 - stock.spoilage) + due[0] - put_off, after, sold


def count_profit(
    market: MarketRows, stock: StockRows, price: Tensor, sold: Tensor, left: Tensor, held: Tensor, week: int | Tensor
) -> Tensor:
    """Return `Week.profit` of an open week ``(B,)``, or of several ``(T, B)``, from its price, money, and units.

    ``left`` units are on hand before any spoil or arrive, and ``held`` on hand and on the way after it.
    """
    cost = market.counted_cost
    kept = stock.storage_fee + cost * stock.spoilage
    loss = torch.where(stock.season_end == week + 1, stock.write_off(cost) * held, 0.0)
    return market.contribution(sold * price * market.share_paid, sold) - kept * left - loss


class Shelf:
    """Market, guardrails and stock of all products: the constants of the functions, on the market's device.

    Raises:
        UsageError: stocks and products differ in number, costs do not count, or prices must be held beyond a week.
    """

    def __init__(self, dynamics: Dynamics, stocks: Sequence[Stock], learns: bool = True) -> None:
        self.learns = learns  # whether settle updates the belief
        self.dynamics = dynamics
        self.market = market = dynamics.market
        if len(stocks) != market.num_products:
            raise UsageError(f"stock: {market.num_products} products need as many stocks, found {len(stocks)}")
        check_settings(market.measure, dynamics.guardrails.min_hold_days)
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
        nearby = (SLOPE_RANGE.to(past.price)[:, None] * past.price)[..., None]
        units = market.average_day(nearby, product[:, None], draws).expected_units
        above, below, level = (units[..., :-1] / units[..., -1:]).log()
        slope = (above - below) / (SLOPE_RANGE[0] / SLOPE_RANGE[1]).log()
        covariance = ((slope - slope.mean(1, keepdim=True)) * level).sum(1) / (market.num_draws - 1)
        stock = self.stock.rows(product)
        factor = self.factor[:, product]
        rows = ShelfRows(
            market=market.rows(product, draw),
            believed=market.rows(product, torch.full_like(product, market.mean_draw)),
            limits=self.dynamics.limits.rows(product),
            stock=stock,
            price=past.price,
            usual=units[-1, :, -1] * factor.sum(0) / stock.season_end,
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
            level=torch.zeros_like(past.price),
            mean=level.mean(1),
            variance=level.var(1) + LEVEL_DRIFT**2,
            slope=torch.stack([torch.zeros_like(covariance), slope.var(1), covariance]),
        )

    def decide(self, state: ShelfState, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return price, money, and order, units, of an action ``(B, 2)`` in [-1, 1], projected by the guardrails."""
        rows = state.rows
        change, share = action.clamp(-1, 1).unbind(1)
        largest = torch.minimum(2 * (rows.stock.lead_weeks + SCALE_WEEKS) * rows.usual, rows.stock.largest_order)
        return self.allow(state, state.price * (1 + rows.limits.change(change)), (share + 1) / 2 * largest)

    def allow(self, state: ShelfState, price: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        """Project a proposed price, money, and order, units, ``(B,)`` each, onto the guardrails."""
        rows = state.rows
        recent = recent_prices(state.prices, state.prices, WEEK)
        allowed = project(price, state.price, feasible_band(rows.limits, recent))
        arrives = rows.stock.season_end > state.week + rows.stock.lead_weeks
        ordered = project_order(order, state.held, rows.believed.unit_cost, rows.stock, arrives)
        return pass_through(price, allowed), pass_through(order, ordered)

    def expect(self, state: ShelfState, price: Tensor, rows: MarketRows) -> Tensor:
        """Return the units ``(T, B)`` that a draw expects at level 1 and prices ``(T, B)`` of the next weeks, money."""
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
        """Return what the mean draw expects at prices ``(T, B)``, money, at the believed slope of its level."""
        return self.expect(state, price, state.rows.believed) * (price / state.price) ** state.slope[0]

    def charge(self, state: ShelfState, price: Tensor, order: Tensor, noise: Tensor) -> tuple[ShelfState, Week]:
        """Settle demand at an allowed price, for ``noise (3, B)`` in the level, the units and the next delivery."""
        level = state.level + LEVEL_DRIFT * noise[0]
        expected = self.expect(state, price[None], state.rows.market)[0] * level.exp()
        units = self.quantiles.units(expected.clamp(min=1e-9)[None], cell_of(noise[1:2]), state.product)[0]
        demand = torch.where(expected > 0, units, 0.0)
        late = torch.special.ndtr(noise[2]) < state.rows.stock.late_share
        return self.settle(state._replace(level=level), price, order, demand, late)

    def settle(
        self, state: ShelfState, price: Tensor, order: Tensor, demand: Tensor, late: Tensor | float = 0.0
    ) -> tuple[ShelfState, Week]:
        """Sell a week's ``demand`` from the shelf, place the ``order``, update the belief: ``(B,)`` each.

        The next delivery is put off by a week where it is ``late``. For a real week, ``demand`` is what was sold, or
        anything larger if the shelf emptied.
        """
        rows = state.rows
        stock = rows.stock
        on_hand, inbound, sold = move_units(state.on_hand, state.inbound, order, demand, late, stock)
        left = state.on_hand - sold
        profit = count_profit(rows.market, stock, price, sold, left, on_hand + inbound.sum(0), state.week)
        is_open = stock.season_end > state.week
        belief = state.mean, state.variance, state.slope
        if self.learns:
            expected = self.expect(state, price[None], rows.believed)[0].clamp(min=1e-9)
            sold_out = demand >= state.on_hand
            move = (price / state.price).log()
            belief = update_belief(*belief, move, sold, expected, self.size[state.product], sold_out)
        after = state._replace(
            week=state.week + 1,
            on_hand=on_hand,
            inbound=inbound,
            prices=torch.cat([state.prices[1:], price[None]]),
            log_reference_price=torch.lerp(price.log(), state.log_reference_price, REFERENCE_MEMORY**WEEK),
            mean=torch.where(is_open, belief[0], state.mean),
            variance=torch.where(is_open, belief[1], state.variance) + LEVEL_DRIFT**2,
            slope=torch.where(is_open, belief[2], state.slope),
        )
        return after, Week(torch.where(is_open, profit, 0.0), sold, demand - sold, stock.spoilage * left)
