"""Half a year of a product with stock: its planned prices, and what any prices earn on the shelf with orders to suit.

Orders follow a base stock: every week they raise what is on hand and on the way to a quantile of what buyers want until
the next order can arrive, the newsvendor's critical ratio (Arrow, Harris and Marschak 1951), at the level of demand of
the week before. Sales that will be lost before an order of today can arrive are not ordered.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import Day, Interval, Share, interval_of, limits_of
from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import cell_of
from pricerl.env.product import Product
from pricerl.env.stock.shelf import LEVEL_DRIFT, Shelf, ShelfState, count_profit, move_units
from pricerl.evaluation.valuation import PathValue, value_once
from pricerl.market.stock_tensors import project_order
from pricerl.planner.stock_planner import plan_prices, plan_weeks

PATHS = 2
"""Paths of luck per posterior draw: a random one and its mirror image."""
MOST_SERVICE = 0.98
"""Highest quantile of a base stock; where holding a unit costs nothing, only this limits orders."""


class Played(NamedTuple):
    """Weeks of ``R`` price paths on ``M`` paths of demand, ``(T, R, M)``; the last one is the mean, without luck."""

    wanted: Tensor
    target: Tensor  # units on hand and on the way that an order aims at
    order: Tensor
    sold: Tensor
    lost: Tensor
    held: Tensor  # units on hand and on the way at the end of the week
    profit: Tensor  # money, before fixed cost


class StockOutlook(NamedTuple):
    """Stock of one product and its orders at the supplier, at given prices, until the season or half a year ends."""

    on_hand: float
    """Units."""
    inbound: tuple[tuple[Day, float], ...]
    """Day and units of each delivery on the way."""
    awaited: bool
    """Whether the units on hand hardly last longer than until the first one."""
    cover: float | None
    """Weeks for which the units on hand last; None to the end."""
    order: Interval
    """Units to order now, with limits over those that each posterior draw alone calls for."""
    no_order: str
    """Why nothing is ordered now, as a clause; empty if something is."""
    orders: tuple[tuple[Day, float, Day], ...]
    """Day, units and arrival of each planned order; later ones depend on sales."""
    order_by: Day | None
    """Latest day of an order that prevents a likely stock-out, or None if it is too late or not needed."""
    stock_out: Share
    """Chance of a stock-out before an order of today can arrive."""
    lost: tuple[float, float]
    """Units that buyers are expected to miss: with these orders, and without any."""
    cash: tuple[float, float]
    """Mean and highest expected cost of the units on hand and on the way, in money."""
    profit: Interval
    """Profit until the end, in money."""
    left: float
    """Units expected to be left at the end."""
    ends: Day
    """Last day."""


@dataclass(frozen=True, eq=False)
class StockedProduct:
    """A product with stock, the shelf of all products, and its planned prices."""

    product: Product
    stock: Stock
    shelf: Shelf
    weeks: Tensor
    """``(26,)`` money, inside the guardrails."""
    valued: dict[tuple[float, ...], PathValue] = field(default_factory=dict)
    """Values by weekly prices: the kept price's and the plan's are needed again and again."""

    def path(self, horizon: int, wait: int = 0) -> Tensor:
        """Return the prices of the next rows in money ``(H,)``, if the plan begins after some rows of ``wait``."""
        row = torch.arange(-wait, horizon - wait)
        price = self.weeks[(row * self.product.market.step_days // WEEK).clamp(0, MOST_WEEKS - 1)]
        return torch.where(row < 0, self.product.current_price, price)

    def weekly(self, prices: Tensor) -> Tensor:
        """Return the prices in the middle of each week ``(26, R)`` of paths ``(R, H)``, in money.

        A path that changes the price and ends as planned goes on as planned; any other keeps its last price.
        """
        rows = WEEK // self.product.market.step_days
        head = prices[:, rows // 2 :: rows].T[:MOST_WEEKS]
        last = prices[:, -1]
        planned = torch.isclose(last, self.path(prices.shape[1])[-1], rtol=1e-4)
        planned &= (prices != self.product.current_price).any(1)
        return torch.cat([head, torch.where(planned, self.weeks[len(head) :, None], last)])

    def value(self, prices: Tensor) -> list[PathValue]:
        """Value the paths ``(R, H)``, in money, per day until the season ends, each with orders to suit."""
        return value_once(self.valued, lambda weeks: self._value(weeks.T.contiguous()), self.weekly(prices).T)

    def _value(self, weeks: Tensor) -> list[PathValue]:
        """Value prices ``(26, R)``, in money."""
        market = self.product.market
        cost = self.product.fitted.cost
        played = self.play(weeks)
        sales = played.sold * weeks[: len(played.sold), :, None] * market.share_paid[self.product.index]
        sums = torch.stack([played.sold, sales, played.profit]).sum(1, dtype=torch.float64)[..., :-1]
        means = sums.view(*sums.shape[:2], PATHS, -1).mean(2).cpu().numpy()
        means *= market.step_days / (WEEK * self.stock.season_end)
        means[2] -= cost.fixed_cost
        return [
            PathValue(units, earned, profit, np.zeros_like(profit), profit, cost.known, market.measure)
            for units, earned, profit in means.swapaxes(0, 1)
        ]

    @cached_property
    def _start(self) -> tuple[ShelfState, Tensor]:
        """State of ``M`` paths, and their luck ``(3, T, M)``: standard normal shocks of level and units, and delays."""
        market = self.shelf.market
        draw = torch.tensor([*range(market.num_draws)] * PATHS + [market.mean_draw], device=market.device)
        half = torch.randn(3, MOST_WEEKS, market.num_draws, generator=torch.Generator().manual_seed(0))
        luck = torch.cat([half, -half, torch.zeros_like(half[..., :1])], 2)
        return self.shelf.start(torch.full_like(draw, self.product.index), draw), luck.to(market.device)

    @torch.inference_mode()
    def play(self, weeks: Tensor, orders: Tensor | float = 1.0) -> Played:
        """Play prices in money ``(26, R)`` until the season ends; base-stock ``orders`` are 1 or 0, ``(R,)``."""
        start, luck = self._start
        weeks = weeks[: self.stock.season_end]
        luck = luck[:, : len(weeks)]
        shape = (*weeks.shape, luck.shape[2])
        ordering = torch.as_tensor(orders, device=weeks.device).expand(shape[1]).repeat_interleave(shape[2])
        state = _repeat(start, shape[1])
        rows = state.rows
        stock = self.shelf.stock.rows(self.product.rows()[0])
        lead = self.stock.lead_weeks
        price = weeks.repeat_interleave(shape[2], 1)
        drift, shock, delay = luck.repeat(1, 1, shape[1])
        level = (LEVEL_DRIFT * drift.cumsum(0)).exp()
        known = torch.cat([torch.ones_like(level[:1]), level[:-1]])
        wanted = self.shelf.expect(state, price, rows.market)
        units = self.shelf.quantiles.units((wanted * level).clamp(min=1e-9), cell_of(shock), state.product)
        demand = torch.where((shock != 0) & (wanted > 0), units.floor(), wanted)
        late = torch.special.ndtr(delay) < stock.late_share
        target = self._base_stock(weeks, (demand / known).view(shape), late.view(shape))
        target = target.repeat_interleave(shape[2], 1) * known
        mean = wanted.view(shape)[..., -1].repeat_interleave(shape[2], 1)
        later = torch.cat([mean, mean.new_zeros(lead - 1, mean.shape[1])]).unfold(0, lead, 1)
        ahead = later.cumsum(2).movedim(2, 1) * known[:, None]
        week = torch.arange(len(weeks), device=weeks.device)[:, None]
        arrives = stock.season_end > week + lead
        on_hand, inbound, held = state.on_hand, state.inbound, state.held
        found = []
        for now in range(len(weeks)):
            supply = torch.cat([on_hand[None], inbound]).cumsum(0)[:lead]
            goal = target[now] - (ahead[now] - supply).amax(0).clamp(min=0)
            order = project_order((goal - held) * ordering, held, rows.believed.unit_cost, stock, arrives[now])
            before = on_hand
            on_hand, inbound, sold = move_units(on_hand, inbound, order, demand[now], late[now], stock)
            held = on_hand + inbound.sum(0)
            found.append((goal, order, sold, before - sold, held))
        goal, order, sold, left, held = (torch.stack(values) for values in zip(*found, strict=True))
        profit = count_profit(rows.market, stock, price, sold, left, held, week)
        return Played(*(values.view(shape) for values in (wanted, goal, order, sold, demand - sold, held, profit)))

    def _base_stock(self, weeks: Tensor, demand: Tensor, late: Tensor) -> Tensor:
        """Return the base stock ``(T, R)`` at prices ``(T, R)``; ``demand (T, R, M)`` is at today's level."""
        stock = self.shelf.stock.rows(self.product.rows()[0])
        believed = self.shelf.market.rows(self.product.rows()[0], torch.tensor(self.shelf.market.mean_draw))
        lead = int(stock.lead_weeks)
        week = torch.arange(len(weeks), device=weeks.device)
        total = torch.cat([torch.zeros_like(demand[:1]), demand.cumsum(0)])
        needed, longer = (total[(week + lead + more).clamp(max=len(weeks))] - total[:-1] for more in (1, 2))
        at_arrival = weeks[(week + lead).clamp(max=len(weeks) - 1)]
        margin = believed.contribution(believed.share_paid * at_arrival, torch.ones_like(at_arrival)).clamp(min=0)
        last = (week + lead + 1 >= stock.season_end)[:, None]
        over = stock.storage_fee + stock.spoilage * believed.unit_cost + last * stock.write_off(believed.unit_cost)
        ratio = (margin / (margin + over).clamp(min=1e-9)).clamp(max=MOST_SERVICE)
        place = (ratio * (needed.shape[2] - 1)).round().long()[..., None]
        return torch.where(late, longer, needed).sort(2).values.gather(2, place)[..., 0] * (margin > 0)

    @torch.no_grad()
    def look_ahead(self, path: Tensor) -> StockOutlook:
        """Return the outlook from the end of the history at a path ``(H,)``, in money."""
        start, _ = self._start
        stock = self.stock
        plan = self.play(self.weekly(path.expand(2, -1)), torch.tensor([1.0, 0.0], device=path.device))
        weeks = stock.season_end
        lead = stock.lead_weeks

        def day(week: int, before: int = 0) -> str:
            return (self.product.first_day + timedelta(WEEK * week - before)).isoformat()

        empty = ((plan.lost[:, 1, :-1] > 0).cumsum(0) > 0).float()
        likely = next((week for week, is_empty in enumerate(empty.median(1).values.tolist()) if is_empty), 0)
        wanted = np.append(0.0, plan.wanted[:, 0, -1].cumsum(0).cpu().numpy())
        cover = float(np.interp(stock.on_hand, wanted, np.arange(weeks + 1)))
        inbound = [(week, units) for week, units in enumerate(stock.inbound, 1) if units]
        orders = plan.order[:, 0, -1].tolist()
        ahead = plan.wanted[: lead + 1, 0].sum(0)
        missing = orders[0] + plan.target[0, 0] * (ahead / ahead[-1].clamp(min=1e-9) - 1)
        rows = start.rows
        drawn = project_order(missing, start.held, rows.believed.unit_cost, rows.stock, rows.stock.season_end > lead)
        held = [stock.on_hand + sum(stock.inbound) + orders[0], *plan.held[:, 0, :-1].mean(1).tolist()]
        wants = float(plan.target[0, 0, -1]) - held[0] >= max(stock.smallest_order, stock.pack_size) / 2
        why = "your largest order or your budget leaves no room" if wants else "a later order is early enough"
        cost = self.product.fitted.cost.means[1]
        return StockOutlook(
            on_hand=stock.on_hand,
            inbound=stock.due or tuple((day(week), units) for week, units in inbound),
            awaited=any(cover < week + 1 for week, _ in inbound[:1]),
            cover=cover if cover < weeks else None,
            order=Interval(orders[0], *limits_of(drawn[:-1].cpu().numpy()).tolist()),
            no_order="" if orders[0] else "it would arrive after the season ends" if lead >= weeks else why,
            orders=tuple((day(week), units, day(week + lead)) for week, units in enumerate(orders) if units),
            order_by=day(likely - lead) if likely >= lead else None,
            stock_out=float(empty[min(lead, weeks) - 1].mean()),
            lost=(float(plan.lost[:, 0, :-1].sum(0).mean()), float(plan.lost[:, 1, :-1].sum(0).mean())),
            cash=(cost * float(np.mean(held[1:])), cost * max(held)),
            profit=interval_of(self.value(path[None])[0].profit * weeks * WEEK / self.product.market.step_days),
            left=held[-1],
            ends=day(weeks, before=1),
        )


def _repeat(record: Any, times: int) -> Any:
    """Return nested records of tensors ``(..., M)`` with their last axis repeated, ``(..., times * M)``."""
    if isinstance(record, Tensor):
        return torch.cat([record] * times, -1)
    return type(record)(*(_repeat(value, times) for value in record)) if isinstance(record, tuple) else record


@torch.no_grad()
def plan_half_years(dynamics: Dynamics, products: Collection[int] | None = None) -> dict[int, StockedProduct]:
    """Plan the half-year of every product with stock and unit cost, or of some, in one batch; return them by number."""
    market = dynamics.market
    chosen = range(market.num_products) if products is None else products
    rows = [row for row in chosen if market.products[row].stock is not None and market.products[row].cost.known]
    if not rows:
        return {}
    stocks = [item.stock or Stock(0.0) for item in market.products]
    shelf = Shelf(dynamics, stocks)
    product = torch.tensor(rows, device=market.device)
    state = shelf.start(product, torch.full_like(product, market.mean_draw))
    plan = plan_weeks(shelf, state, torch.Generator(market.device).manual_seed(0))
    weeks = []
    for wanted in plan_prices(state, plan).exp():
        weeks.append(shelf.allow(state, wanted, wanted)[0])
        state = state._replace(prices=torch.cat([state.prices[1:], weeks[-1][None]]))
    return {
        index: StockedProduct(Product(dynamics, index), stocks[index], shelf, prices)
        for index, prices in zip(rows, torch.stack(weeks, 1), strict=True)
    }
