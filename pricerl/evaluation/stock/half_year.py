"""Half a year of products with stock: what any prices earn with orders to suit.

Products that replace each other share a half-year, as buyers who find one dear or sold out take another. Orders follow
a base stock: every week they raise what is on hand and on the way to a quantile of what buyers want until the next
order can arrive, the newsvendor's critical ratio (Arrow, Harris and Marschak 1951), at the level of demand of the week
before. Sales that will be lost before an order of today can arrive are not ordered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.env.noise import cell_of
from pricerl.env.stock.category import spill
from pricerl.env.stock.market_shelves import Shelves
from pricerl.env.stock.shelf import LEVEL_DRIFT, count_profit, move_units
from pricerl.market.market import MarketRows
from pricerl.market.stock_tensors import StockRows, project_order

PATHS = 2
"""Paths of luck per posterior draw: a random one and its mirror image."""
MOST_SERVICE = 0.98
"""Highest quantile of a base stock; where holding a unit costs nothing, only this limits orders."""
MOST_INSIDE = 0.95
"""Largest share of a category's buyers who take one of its products."""


class Played(NamedTuple):
    """Weeks of ``R`` prices of ``B`` categories of ``K`` products on ``M`` paths, ``(T, M, R, B, K)``.

    The last path is the mean, without luck.
    """

    wanted: Tensor  # at level 1
    target: Tensor  # units on hand and on the way that an order aims at
    order: Tensor
    sold: Tensor
    lost: Tensor  # by buyers who found the product's shelf empty
    held: Tensor  # units on hand and on the way at the end of the week
    profit: Tensor  # money, before fixed cost


@dataclass(frozen=True, eq=False)
class HalfYear:
    """Shelves of ``B`` categories of ``K`` products."""

    shelves: Shelves
    index: Tensor
    """``(B, K)`` products of the market."""
    inside: Tensor
    """``(D + 1, B)`` share of buyers who take one of a category's products, in each posterior draw and in the mean."""
    draws: int
    """Posterior draws that are played, the first of all."""

    def pick(self, number: int) -> HalfYear:
        """Return one of the categories."""
        return replace(self, index=self.index[[number]], inside=self.inside[:, [number]])

    @cached_property
    def stock(self) -> StockRows:
        """Stock of the products, ``(B, K)`` each."""
        return self.shelves.stock.rows(self.index)

    @cached_property
    def believed(self) -> MarketRows:
        """Constants of the mean draw, ``(B, K)`` each."""
        return self._rows(torch.tensor(self.shelves.market.mean_draw, device=self.index.device))

    def _rows(self, draw: Tensor) -> MarketRows:
        """Return constants in which a unit costs what it costs, as what others earn is counted by itself."""
        rows = self.shelves.market.rows(self.index, draw)
        return rows._replace(counted_cost=rows.unit_cost)

    @cached_property
    def _paths(self) -> tuple[Tensor, MarketRows]:
        """Luck ``(3, T, M, 1, 1, K)``, normal shocks of level, units and delays, and constants ``(M, 1, B, K)``."""
        market = self.shelves.market
        draw = torch.tensor([*range(self.draws)] * PATHS + [market.mean_draw], device=market.device)
        shape = 3, MOST_WEEKS, self.draws, 1, 1, self.index.shape[1]
        half = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        luck = torch.cat([half, -half, torch.zeros_like(half[:, :, :1])], 2)
        return luck.to(market.device), self._rows(draw.view(-1, 1, 1, 1))

    @cached_property
    def _first(self) -> tuple[Tensor, Tensor]:
        """Units of an average row at the current prices, and shares of buyers, ``(M, 1, B, K)`` each."""
        _, rows = self._paths
        market = self.shelves.market
        price = self.shelves.price[self.index]
        units = market.average_day_at(price, market.grid_position(price, rows), rows).expected_units
        inside = torch.cat([self.inside[: self.draws]] * PATHS + [self.inside[-1:]])[:, None, :, None]
        return units, inside * units[-1] / units[-1].sum(-1, keepdim=True)

    def _divide(self, ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return units and attraction ``(T, M, R, B, K)``, and the attraction of buying none of the products.

        ``ratio`` is what the price of each product alone makes of its units. In a logit choice it gives the attraction.
        """
        units, share = self._first
        pull = ratio * (1 - share) / (1 - (ratio * share).clamp(max=MOST_INSIDE))
        outside = 1 - share.sum(-1, keepdim=True)
        attraction = share * pull
        return units * pull / (outside + attraction.sum(-1, keepdim=True)), attraction, outside

    @torch.inference_mode()
    def play(self, weeks: Tensor, orders: Tensor | float = 1.0) -> Played:
        """Play prices in money ``(26, R, B, K)`` until all seasons end; ``orders (R, 1, 1)`` are base stocks or 0."""
        stock = self.stock
        weeks = weeks[: int(stock.season_end.max())]
        luck, rows = self._paths
        drift, shock, delay = luck[:, : len(weeks)]
        ratio = self.shelves.want(weeks[:, None], self.index, rows) / self._first[0]
        units, attraction, outside = self._divide(ratio)
        wanted = units * self.shelves.season[: len(weeks), self.index][:, None, None]
        level = (LEVEL_DRIFT * drift.cumsum(0)).exp()
        known = torch.cat([torch.ones_like(level[:1]), level[:-1]])
        cell = cell_of(shock).expand_as(wanted).flatten(1)
        product = self.index.expand_as(wanted[0]).flatten()
        drawn = self.shelves.quantiles.units((wanted * level).clamp(min=1e-9).flatten(1), cell, product)
        demand = torch.where((shock != 0) & (wanted > 0), drawn.view_as(wanted), wanted)
        late = torch.special.ndtr(delay) < stock.late_share
        target = self._base_stock(weeks, demand / known, late) * known
        lead = int(stock.lead_weeks.max())
        later = torch.cat([wanted[:, -1:], wanted.new_zeros(lead - 1, 1, *wanted.shape[2:])])
        ahead = later.unfold(0, lead, 1).cumsum(-1).movedim(-1, 1) * known[:, None]
        column = [-1, 1, 1, 1, 1]
        soon = torch.arange(lead, device=weeks.device).view(column) < stock.lead_weeks
        week = torch.arange(len(weeks), device=weeks.device).view(column)
        arrives = stock.season_end > week + stock.lead_weeks
        on_hand = stock.on_hand.expand_as(wanted[0])
        inbound = stock.inbound[:, None, None].expand(-1, *on_hand.shape)
        held = on_hand + inbound.sum(0)
        found = []
        for now in range(len(weeks)):
            supply = torch.cat([on_hand[None], inbound[: lead - 1]]).cumsum(0)
            goal = target[now] - ((ahead[now] - supply) * soon).amax(0).clamp(min=0)
            order = project_order((goal - held) * orders, held, self.believed.unit_cost, stock, arrives[now])
            asked = spill(outside, attraction[now], demand[now], on_hand)
            before = on_hand
            on_hand, inbound, sold = move_units(on_hand, inbound, order, asked, late[now], stock)
            held = on_hand + inbound.sum(0)
            found.append((goal, order, sold, asked - sold, before - sold, held))
        goal, order, sold, lost, left, held = (torch.stack(values) for values in zip(*found, strict=True))
        profit = count_profit(rows, stock, weeks[:, None], sold, left, held, week) * (stock.season_end > week)
        return Played(wanted, goal, order, sold, lost, held, profit)

    def _base_stock(self, weeks: Tensor, demand: Tensor, late: Tensor) -> Tensor:
        """Return base stocks ``(T, 1, R, B, K)`` for ``demand (T, M, R, B, K)`` at level 1."""
        stock = self.stock
        believed = self.believed
        arrival = torch.arange(len(weeks), device=weeks.device).view(-1, 1, 1) + stock.lead_weeks.long()
        total = torch.cat([torch.zeros_like(demand[:1]), demand.cumsum(0)])

        def ask(more: int) -> Tensor:
            place = (arrival + more).clamp(max=len(weeks))[:, None, None].expand_as(demand)
            return total.gather(0, place) - total[:-1]

        needed = torch.where(late, ask(2), ask(1)).sort(1).values
        at_arrival = weeks.gather(0, arrival.clamp(max=len(weeks) - 1)[:, None].expand_as(weeks))
        margin = believed.contribution(at_arrival, torch.ones_like(at_arrival)).clamp(min=0)
        last = (arrival + 1 >= stock.season_end)[:, None]
        over = stock.storage_fee + stock.spoilage * believed.unit_cost + last * stock.write_off(believed.unit_cost)
        ratio = (margin / (margin + over).clamp(min=1e-9)).clamp(max=MOST_SERVICE)
        place = (ratio * (needed.shape[1] - 1)).round().long()[:, None]
        return needed.gather(1, place) * (margin > 0)[:, None]
