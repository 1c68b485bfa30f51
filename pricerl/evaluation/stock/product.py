"""A product with stock: its planned prices, the value of any others, and the outlook of its shelf."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import Day, FloatArray, Interval, Share, interval_of, limits_of
from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.product import Product
from pricerl.env.stock.market_shelves import NEVER_EMPTY
from pricerl.evaluation.stock.half_year import PATHS, HalfYear, Played
from pricerl.evaluation.valuation import PathValue, value_once
from pricerl.market.stock_tensors import project_order


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
    """A product with stock, and those that share its buyers."""

    product: Product
    half_year: HalfYear
    """Of its category alone."""
    place: int
    """Its number among the products there."""
    planned: Tensor
    """``(26, K)`` planned prices of all of them in money, inside the guardrails."""
    by_policy: bool
    """Whether the learned policy proposed them."""
    charged: Tensor
    """``(26, K)`` prices in money with which the others count: planned, then decided ones; the products share it."""
    valued: dict[tuple[float, ...], PathValue] = field(default_factory=dict)
    """Values by weekly prices: the kept price's and the plan's are needed again and again."""

    @property
    def stock(self) -> Stock:
        """Its stock as the seller stated it."""
        return self.product.fitted.stock or NEVER_EMPTY

    @property
    def weeks(self) -> Tensor:
        """``(26,)`` planned prices in money."""
        return self.planned[:, self.place]

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

    def charge(self, path: Tensor) -> None:
        """Let the other products count with a decided path ``(H,)``, in money."""
        self.charged[:, self.place] = self.weekly(path[None])[:, 0]

    def among(self, weeks: Tensor) -> Tensor:
        """Return prices ``(26, R)`` of this product with the others' prices, in money, ``(26, R, 1, K)``."""
        prices = self.charged[:, None, None].repeat(1, weeks.shape[1], 1, 1)
        prices[..., 0, self.place] = weeks
        return prices

    def value(self, prices: Tensor) -> list[PathValue]:
        """Value the paths ``(R, H)``, in money, per day until the season ends, each with orders to suit."""
        return value_once(self.valued, lambda weeks: self._value(weeks.T.contiguous()), self.weekly(prices).T)

    def _value(self, weeks: Tensor) -> list[PathValue]:
        """Value prices ``(26, R)``, in money; what others earn more than at this product's current price counts."""
        market = self.product.market
        cost = self.product.fitted.cost
        count = weeks.shape[1]
        alone = self.charged.shape[1] == 1
        kept = torch.full_like(weeks[:, : not alone], self.product.current_price)
        played = self.half_year.play(self.among(torch.cat([weeks, kept], 1)))
        sold = played.sold[..., 0, self.place]
        profit = played.profit[..., 0, self.place]
        sales = sold[..., :count] * weeks[: len(sold), None] * market.share_paid[self.product.index]
        others = played.profit.sum((-1, -2)) - profit
        sums = [sold[..., :count], sales, profit[..., :count], (others - others[..., -1:])[..., :count]]
        totals = torch.stack([part.sum(0, dtype=torch.float64)[:-1] for part in sums])
        means = totals.view(len(totals), PATHS, -1, count).mean(1).movedim(2, 0).cpu().numpy()
        means *= market.step_days / (WEEK * self.stock.season_end)
        opportunity = self.product.draws.opportunity[:, 0].cpu().numpy() * alone
        found = []
        for units, earned, own, elsewhere in means:
            own = own - cost.fixed_cost
            elsewhere = elsewhere - opportunity * units
            found.append(PathValue(units, earned, own, elsewhere, own + elsewhere, cost.known, market.measure))
        return found

    def add_up(self) -> FloatArray:
        """Return the gain of its decided prices per day ``(D,)``, in money, such that gains of a category add up.

        The products before it have changed their prices already, those after it not yet.
        """
        now = self.half_year.shelves.price[self.half_year.index[0]]
        place = torch.arange(len(now), device=now.device)
        prices = [torch.where(place < self.place + more, self.charged, now) for more in (0, 1)]
        profit = self.half_year.play(torch.stack(prices, 1)[:, :, None]).profit.sum((0, -1, -2), dtype=torch.float64)
        gain = profit.diff(dim=1)[:-1, 0].view(PATHS, -1).mean(0).cpu().numpy()
        return np.asarray(gain * self.product.market.step_days / (WEEK * self.stock.season_end))

    @torch.no_grad()
    def look_ahead(self, path: Tensor) -> StockOutlook:
        """Return the outlook from the end of the history at a path ``(H,)``, in money."""
        stock = self.stock
        ordering = torch.tensor([[[1.0]], [[0.0]]], device=path.device)
        whole = self.half_year.play(self.among(self.weekly(path.expand(2, -1))), ordering)
        plan = Played(*(values[..., 0, self.place] for values in whole))
        weeks = stock.season_end
        lead = stock.lead_weeks

        def day(week: int, before: int = 0) -> str:
            return (self.product.first_day + timedelta(WEEK * week - before)).isoformat()

        empty = ((plan.lost[:, :-1, 1] > 0).cumsum(0) > 0).float()
        likely = next((week for week, is_empty in enumerate(empty.median(1).values.tolist()) if is_empty), 0)
        mean = plan.wanted[:weeks, -1, 0]
        cover = float(np.interp(stock.on_hand, np.append(0.0, mean.cumsum(0).cpu().numpy()), np.arange(weeks + 1)))
        inbound = [(week, units) for week, units in enumerate(stock.inbound, 1) if units]
        orders = plan.order[:weeks, -1, 0].tolist()
        ahead = plan.wanted[: lead + 1, :, 0].sum(0)
        missing = orders[0] + plan.target[0, :, 0] * (ahead / ahead[-1].clamp(min=1e-9) - 1)
        rows = self.half_year.shelves.stock.rows(self.half_year.index[0, self.place])
        cost = self.product.fitted.cost.means[1]
        before = stock.on_hand + sum(stock.inbound)
        unit_cost = self.half_year.believed.unit_cost[0, self.place]
        drawn = project_order(missing, missing.new_tensor(before), unit_cost, rows, rows.season_end > lead)
        held = [before + orders[0], *plan.held[:weeks, :-1, 0].mean(1).tolist()]
        wants = float(plan.target[0, -1, 0]) - held[0] >= max(stock.smallest_order, stock.pack_size) / 2
        room = "the stock is cleared" if stock.is_cleared else "your largest order or your budget leaves no room"
        why = room if wants or stock.is_cleared else "a later order is early enough"
        return StockOutlook(
            on_hand=stock.on_hand,
            inbound=stock.due or tuple((day(week), units) for week, units in inbound),
            awaited=any(cover < week + 1 for week, _ in inbound[:1]),
            cover=cover if cover < weeks else None,
            order=Interval(orders[0], *limits_of(drawn[:-1].cpu().numpy()).tolist()),
            no_order="" if orders[0] else "it would arrive after the season ends" if lead >= weeks else why,
            orders=tuple((day(week), units, day(week + lead)) for week, units in enumerate(orders) if units),
            order_by=day(likely - lead) if likely >= lead and not stock.is_cleared else None,
            stock_out=float(empty[min(lead, weeks) - 1].mean()),
            lost=(float(plan.lost[:, :-1, 0].sum(0).mean()), float(plan.lost[:, :-1, 1].sum(0).mean())),
            cash=(cost * float(np.mean(held[1:])), cost * max(held)),
            profit=interval_of(self.value(path[None])[0].profit * weeks * WEEK / self.product.market.step_days),
            left=held[-1],
            ends=day(weeks, before=1),
        )
