"""Categories: substitutes that share buyers, each with a shelf of its own, as pure functions over batched state.

A row is a category of ``K`` products; steps are weeks. Buyers choose by a multinomial logit with an outside option
(McFadden 1974). A product that is sold out sends its buyers next door, once: they choose again among what is left. The
level of each product and a weekly shock common to all are known through sales only. Stock, orders and money are those
of ``env.stock.shelf``, so that a product with stock is a category of one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS
from pricerl.env.noise import UnitQuantiles, cell_of
from pricerl.env.stock.shelf import LEVEL_DRIFT, count_profit, move_units
from pricerl.guardrails.limits import PriceLimits, recent_prices
from pricerl.guardrails.projection import feasible_band, pass_through, project
from pricerl.market.stock_tensors import StockRows, project_order

SIZE = 20.0
"""Size of the negative binomial of a week's units."""
COMMON_KEPT = 0.7
"""Share of the common log shock that is left after a week."""
COVER_WEEKS = 4
"""Weeks of demand, in addition to the lead time, up to which an order action of 0 fills the shelf."""
FEATURES = (
    *("price", "margin", "supply", "on_hand", "is_open", "share", "inside_share", "level", "level_sd", "common"),
    *("weeks_left", "season", "slope", "clearing", "best", "best_clearance", "leftover"),
    *("room_down", "room_up", "can_order", "lead_weeks", "held", "holding_cost", "arriving"),
)
"""Columns of a product in an observation, each in [0, 1]."""
LAYOUT = f"category: {', '.join(FEATURES)}; price, order"
"""Columns of a product in an observation and meaning of its actions, to which shipped weights must fit."""
FARTHEST = 0.6
"""Largest log distance of an action's price from the first one."""
LEAST_SLOPE = 1.2
"""Slope below which no best price is finite."""
MOST_SOLD = 0.95
"""Largest share of buyers whom clearing prices sell to."""


class CategoryRows(NamedTuple):
    """Constants of ``B`` categories of ``K`` products, ``(B, K)`` unless stated."""

    price: Tensor
    """Current price at the start, in money."""
    appeal: Tensor
    """Log attraction at that price."""
    slope: Tensor
    """Loss of log attraction per log price."""
    outside: Tensor
    """``(B,)`` attraction of buying nothing here."""
    buyers: Tensor
    """``(B,)`` per week."""
    common_sd: Tensor
    """``(B,)`` sd of the weekly change of the common log shock."""
    level_sd: Tensor
    """Sd of the log level of demand at the start."""
    share_paid: Tensor
    """Share of the price that is left after fees."""
    counted_cost: Tensor
    """Cost of a unit, in money."""
    limits: PriceLimits
    stock: StockRows
    scale: Tensor
    """``(B,)`` money per week that counts as a reward of 1."""

    def contribution(self, price: Tensor, units: Tensor) -> Tensor:
        """Return sales after fees less unit costs, in money ``(B, K)``."""
        return units * price * self.share_paid - self.counted_cost * units


class CategoryState(NamedTuple):
    """Everything the next week depends on, ``(B, K)`` unless stated."""

    rows: CategoryRows
    week: int
    """Weeks elapsed."""
    on_hand: Tensor
    inbound: Tensor
    """``(6, B, K)`` units that arrive in one week, two weeks, and so on."""
    prices: Tensor
    """``(4, B, K)`` weekly prices, in money, newest last."""
    mean: Tensor
    variance: Tensor
    """Belief over the log level."""
    common: Tensor
    """``(2, B, 1)`` belief over next week's common log shock: mean and variance."""
    level: Tensor
    """True log level, which no seller sees."""
    shock: Tensor
    """``(B, 1)`` true common log shock of the last week."""

    @property
    def price(self) -> Tensor:
        """Price charged last, in money ``(B, K)``."""
        return self.prices[-1]

    @property
    def held(self) -> Tensor:
        """Units on hand and on the way ``(B, K)``."""
        return self.on_hand + self.inbound.sum(0)

    @property
    def observation(self) -> Tensor:
        """Columns of `FEATURES` of one product after the other, ``(B, K * F)``."""
        return observe(self).flatten(1)


class Week(NamedTuple):
    """Outcome of a week, ``(B, K)``: money, and units."""

    profit: Tensor
    sold: Tensor
    lost: Tensor
    """Units of buyers who found a shelf empty and bought nothing."""


def start(rows: CategoryRows, level: Tensor) -> CategoryState:
    """Return the state before the first week, at log levels ``(B, K)``."""
    return CategoryState(
        rows=rows,
        week=0,
        on_hand=rows.stock.on_hand,
        inbound=rows.stock.inbound,
        prices=rows.price.expand(4, -1, -1),
        mean=torch.zeros_like(level),
        variance=rows.level_sd**2 + LEVEL_DRIFT**2,
        common=torch.stack([torch.zeros_like(rows.common_sd), rows.common_sd**2])[..., None],
        level=level,
        shock=torch.zeros_like(rows.common_sd)[:, None],
    )


def attract(rows: CategoryRows, price: Tensor) -> Tensor:
    """Return the attraction of products ``(B, K)`` at prices in money ``(B, K)``."""
    return (rows.appeal - rows.slope * (price / rows.price).log()).exp()


def choose(rows: CategoryRows, attraction: Tensor, week: int) -> Tensor:
    """Return the units ``(B, K)`` that buyers of a week want where nothing is sold out, at level 1."""
    share = attraction / (rows.outside[:, None] + attraction.sum(-1, keepdim=True))
    return rows.buyers[:, None] * share * rows.stock.season[week] * (rows.stock.season_end > week)


def spill(outside: Tensor, attraction: Tensor, demand: Tensor, on_hand: Tensor) -> Tensor:
    """Return a demand ``(B, K)`` with the buyers whom sold-out products send to those that have units left.

    ``outside (B, 1)`` is the attraction of buying nothing here; all may have further axes in front.
    """
    lost = (demand - on_hand).clamp(min=0).sum(-1, keepdim=True)
    left = torch.where(on_hand > demand, attraction, 0.0)
    return demand + lost * left / (outside + left.sum(-1, keepdim=True))


def expect(rows: CategoryRows, week: int, price: Tensor, on_hand: Tensor, log_demand: Tensor) -> Tensor:
    """Return the expected units ``(B, K)`` of all who ask for a product in a week, at prices in money ``(B, K)``.

    ``log_demand (B, K)`` is the log of demand over `choose`.
    """
    attraction = attract(rows, price)
    return spill(rows.outside[:, None], attraction, choose(rows, attraction, week) * log_demand.exp(), on_hand)


def sell(
    rows: CategoryRows,
    week: int,
    shelf: tuple[Tensor, Tensor],
    price: Tensor,
    order: Tensor,
    demand: Tensor,
    late: Tensor | float = 0.0,
) -> tuple[tuple[Tensor, Tensor], Week]:
    """Sell a week's demand and place orders, units ``(B, K)`` each; return the shelf after it and the outcome.

    The shelf is units on hand ``(B, K)`` and on the way ``(6, B, K)``; the next delivery is put off where it is
    ``late``. All may have further axes in front.
    """
    on_hand, inbound = shelf
    after, inbound, sold = move_units(on_hand, inbound, order, demand, late, rows.stock)
    profit = count_profit(rows, rows.stock, price, sold, on_hand - sold, after + inbound.sum(0), week)
    return (after, inbound), Week(profit * (rows.stock.season_end > week), sold, demand - sold)


def walk(limits: PriceLimits, price: Tensor, goal: Tensor) -> Tensor:
    """Return the prices next to a goal that one step reaches inside the fixed guardrails, in money ``(B, K)`` each."""
    near = goal.clamp(price * (1 - limits.drop), price * (1 + limits.rise))
    low = torch.maximum(limits.floor, limits.support_low)
    return near.clamp(low, torch.minimum(limits.ceiling, limits.support_high))


def fill(rows: CategoryRows, week: int, held: Tensor, order: Tensor) -> Tensor:
    """Return orders in units ``(B, K)``, cut to the largest order and the budget; none that arrives too late."""
    stock = rows.stock
    room = torch.minimum(stock.largest_order, stock.budget / rows.counted_cost - held).clamp(min=0)
    return torch.minimum(order, torch.where(stock.season_end > week + stock.lead_weeks, room, 0.0))


def allow(state: CategoryState, price: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Project proposed prices, in money, and orders, units, ``(B, K)`` each, onto the guardrails.

    Limits have their true gradients; price grid and lots pass them straight through.
    """
    rows = state.rows
    with torch.no_grad():
        band = feasible_band(rows.limits, recent_prices(state.prices, state.prices, WEEK))
        allowed = project(price, state.price, band)
        arrives = rows.stock.season_end > state.week + rows.stock.lead_weeks
        ordered = project_order(order, state.held, rows.counted_cost, rows.stock, arrives)
    near = walk(rows.limits, state.price, price)
    return pass_through(near, allowed), pass_through(fill(rows, state.week, state.held, order), ordered)


def decide(state: CategoryState, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return allowed prices and orders ``(B, K)`` of an action in [-1, 1], ``(B, K)`` or ``(B, K, 2)``.

    The first number is a price: -1 the lowest and 1 the highest that the fixed guardrails allow within a log distance
    of `FARTHEST`, 0 the first one. The second fills the shelf: -1 orders nothing, 0 up to what buyers want during the
    lead time and `COVER_WEEKS` more, 1 to twice that. Without it an order is as if it were 0.
    """
    rows = state.rows
    limits = rows.limits
    goal, cover = action.unbind(2) if action.dim() == 3 else (action, torch.zeros_like(action))
    up = (torch.minimum(limits.ceiling, limits.support_high) / rows.price).log().clamp(max=FARTHEST)
    down = (rows.price / torch.maximum(limits.floor, limits.support_low)).log().clamp(max=FARTHEST)
    price = rows.price * (goal * torch.where(goal > 0, up, down)).exp()
    target = (cover + 1) * (rows.stock.lead_weeks + COVER_WEEKS) * believe(state)
    return allow(state, price, (target - state.held).clamp(min=0))


def believe(state: CategoryState) -> Tensor:
    """Return the units that buyers are believed to want next week at the current prices, ``(B, K)``."""
    wanted = choose(state.rows, attract(state.rows, state.price), min(state.week, MOST_WEEKS - 1))
    return wanted * (state.mean + state.common[0]).exp()


def step(
    state: CategoryState, price: Tensor, order: Tensor, noise: Tensor, table: UnitQuantiles
) -> tuple[CategoryState, Week]:
    """Charge allowed prices for a week of standard normal ``noise (4, B, K)``; return the next state and the outcome.

    The noise moves levels, units, deliveries and, in its first column, the common shock. Profit has a
    derivative by every price and order; the belief has none.
    """
    rows = state.rows
    level = state.level + LEVEL_DRIFT * noise[0]
    shock = COMMON_KEPT * state.shock + rows.common_sd[:, None] * noise[3, :, :1]
    attraction = attract(rows, price)
    mean = choose(rows, attraction, state.week) * (level + shock).exp()
    drawn = table.units(mean.clamp(min=1e-9), cell_of(noise[1]), torch.zeros_like(mean[:1, :1], dtype=torch.long))
    demand = spill(rows.outside[:, None], attraction, torch.where(mean > 0, drawn, mean), state.on_hand)
    late = torch.special.ndtr(noise[2]) < rows.stock.late_share
    return settle(state._replace(level=level, shock=shock), price, order, demand, late)


def settle(
    state: CategoryState, price: Tensor, order: Tensor, demand: Tensor, late: Tensor | float = 0.0
) -> tuple[CategoryState, Week]:
    """Sell a week's demand at allowed prices, place orders, update the belief: ``(B, K)`` each."""
    rows = state.rows
    (on_hand, inbound), outcome = sell(rows, state.week, (state.on_hand, state.inbound), price, order, demand, late)
    mean, variance, common = learn(state, price, outcome.sold)
    after = state._replace(
        week=state.week + 1,
        on_hand=on_hand,
        inbound=inbound,
        prices=torch.cat([state.prices[1:], price[None]]),
        mean=mean,
        variance=variance + LEVEL_DRIFT**2,
        common=torch.stack([COMMON_KEPT * common[0], COMMON_KEPT**2 * common[1] + rows.common_sd[:, None] ** 2]),
    )
    return after, outcome


@torch.no_grad()
def learn(state: CategoryState, price: Tensor, sold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of the log levels ``(B, K)`` and the common shock ``(2, B, 1)`` after a week's sales.

    Log sales are normal around what was expected, next door's buyers included. A shelf that emptied shows only that
    demand was at least as large (Tobit Kalman filter, Allik et al. 2016). The common shock is learned first, from all
    products, then each level from what it leaves.
    """
    rows = state.rows
    common, spread = state.common
    expected = expect(rows, state.week, price, state.on_hand, state.mean + common).clamp(min=1e-6)
    noise = 1 / (sold + 0.5) + 1 / SIZE
    sd = (state.variance + spread + noise).sqrt()
    found = ((sold + 0.5) / expected).log()
    at = found / sd
    hazard = (-(at**2) / 2 - 0.5 * math.log(2 * math.pi) - torch.special.log_ndtr(-at)).exp()
    sold_out = sold >= state.on_hand
    worth = torch.where(sold_out, hazard * (hazard - at), 1.0).clamp(1e-4, 1)
    surprise = torch.where(sold_out, sd * hazard, found) / worth
    noise = noise + sd**2 * (1 - worth) / worth
    seen = (rows.stock.season_end > state.week) & (state.on_hand > 0)
    weight = seen / (state.variance + noise)
    after = 1 / (1 / spread.clamp(min=1e-9) + weight.sum(1, keepdim=True))
    moved = after * (weight * surprise).sum(1, keepdim=True)
    gain = seen * state.variance / (state.variance + noise + after)
    mean = state.mean + gain * (surprise - moved)
    return mean, state.variance * (1 - gain), torch.stack([common + moved, after])


def clear_shelves(rows: CategoryRows, supply: Tensor, buyers: Tensor) -> Tensor:
    """Return the log prices over the first ones at which buyers of the season take all supply, ``(B, K)`` each.

    A logit has them in closed form; if supply exceeds buyers, it is cut to `MOST_SOLD` of them.
    """
    share = (supply + 0.5) / (buyers + 1e-6)
    share = share / (share.sum(1, keepdim=True) / MOST_SOLD).clamp(min=1)
    return (rows.appeal - (share * rows.outside[:, None] / (1 - share.sum(1, keepdim=True))).log()) / rows.slope


def match_margins(rows: CategoryRows, price: Tensor, share: Tensor, value: Tensor) -> Tensor:
    """Return log prices over the first ones that earn most per buyer where a unit costs ``value``, ``(B, K)`` each.

    There the margin is ``1 / slope`` of the price more than a buyer earns in the whole category (Anderson, de Palma and
    Thisse 1992), here at the present prices, in money, and shares.
    """
    earned = (share * (rows.share_paid * price - value)).sum(1, keepdim=True).clamp(min=0)
    slope = rows.slope.clamp(min=LEAST_SLOPE)
    return ((value + earned) / rows.share_paid * slope / (slope - 1) / rows.price).log()


def observe(state: CategoryState) -> Tensor:
    """Return the columns of `FEATURES` ``(B, K, F)``, each in [0, 1].

    ``clearing`` is the price of `clear_shelves`, ``best`` and ``best_clearance`` are prices of `match_margins` at unit
    cost and at the value of leftovers.
    """
    rows = state.rows
    stock = rows.stock
    limits = rows.limits
    price = state.price
    week = min(state.week, MOST_WEEKS - 1)
    attraction = attract(rows, price)
    share = attraction / (rows.outside[:, None] + attraction.sum(1, keepdim=True))
    weekly = believe(state).clamp(min=1e-6)
    weeks = torch.arange(MOST_WEEKS, device=price.device)[:, None, None]
    season = (stock.season * (weeks >= state.week) * (weeks < stock.season_end)).sum(0)
    season = season / stock.season[week].clamp(min=1e-6)
    due = torch.arange(1, MOST_LEAD_WEEKS + 1, device=price.device)[:, None, None] + state.week < stock.season_end
    supply = state.on_hand + (state.inbound * due).sum(0)
    cost = rows.counted_cost
    salvage = cost - stock.write_off(cost)
    buyers = rows.buyers[:, None] * season * stock.season[week] * (state.mean + state.common[0]).exp()
    columns = (
        _squash(2 * (price / rows.price).log()),
        (1 - cost / rows.share_paid / price).clamp(0, 1),
        supply / (supply + weekly * season + 1e-6),
        state.on_hand / (state.on_hand + 4 * weekly),
        (state.on_hand > 0).float(),
        share,
        share.sum(1, keepdim=True).expand_as(share),
        _squash(state.mean),
        state.variance.sqrt().clamp(max=1),
        _squash(2 * state.common[0]).expand_as(price),
        (stock.season_end - state.week).clamp(min=0) / MOST_WEEKS,
        season / (season + 8),
        rows.slope / (rows.slope + 4),
        _squash(2 * clear_shelves(rows, supply, buyers)),
        _squash(2 * match_margins(rows, price, share, cost)),
        _squash(2 * match_margins(rows, price, share, salvage)),
        (salvage / price).clamp(0, 1),
        (1 - limits.floor / price).clamp(0, 1),
        (1 - price / limits.ceiling).clamp(0, 1),
        ((stock.largest_order > 0) & (stock.season_end > state.week + stock.lead_weeks)).float(),
        stock.lead_weeks / MOST_LEAD_WEEKS,
        state.held / (state.held + (stock.lead_weeks + COVER_WEEKS) * weekly),
        (10 * (stock.storage_fee + cost * stock.spoilage) / price).clamp(0, 1),
        state.inbound[0] / (state.inbound[0] + weekly),
    )
    return torch.stack(columns, 2)


def _squash(value: Tensor) -> Tensor:
    """Return any number as one in [0, 1], with slope one half at 0."""
    return (1 + value / (1 + value.abs())) / 2
