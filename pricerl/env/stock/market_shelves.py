"""Shelves of a fitted market: its products as categories for the policy, and what their buyers want at any prices."""

from __future__ import annotations

import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, WEEK
from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import CategoryRows, CategoryState, start
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift
from pricerl.market.market import MarketRows
from pricerl.market.stock_tensors import stack_stocks

NEVER_EMPTY = Stock(1e9)
"""Shelf of a product whose stock is unknown."""
NEAR = torch.tensor([1.1, 0.9])
"""Prices over the current one between which the slope of demand is taken."""
COMMON_SD = 0.1
"""Sd of the weekly change of the log shock that the products of a category share."""
ALONE = 0.001
"""Share of its buyers that a product without substitutes sells to; so its elasticity is constant."""


class Shelves:
    """Market, calendar and stock of all products, on the market's device.

    Reward and guardrails are those that `check_stocked` accepts.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self.dynamics = dynamics
        self.market = market = dynamics.market
        self.stock = stack_stocks([item.stock or NEVER_EMPTY for item in market.products], market.device)
        self.quantiles = tabulate_units(market.size * WEEK / market.step_days)
        past = dynamics.start(*dynamics.history.latest())
        rows = WEEK // market.step_days
        weeks = torch.arange(MOST_WEEKS, device=market.device)[:, None]
        calendar = dynamics.dates_after(past, MOST_WEEKS * rows)[0].T.reshape(-1, MOST_WEEKS, rows).sum(-1).T
        self.season = calendar * self.stock.season * (weeks < self.stock.season_end)
        """``(26, P)`` units of a week over the units of an average row of the history; 0 after the season."""
        self.price = past.price
        """``(P,)`` current price, in money."""
        self.log_reference_price = past.log_reference_price
        weekly = RECENT_DAYS // WEEK
        trail = past.price.expand(weekly, -1) if past.trail is None else past.trail
        self.prices = trail.view(weekly, -1, len(past.price))[:, -1]
        """``(4, P)`` weekly prices of the past, in money."""

    def open(self, products: Tensor, inside: Tensor) -> CategoryState:
        """Return categories of products ``(B, K)`` as the mean draw has them, with what is known today.

        ``inside (B,)`` is the share of all buyers who take a product of the category.
        """
        market = self.market
        price = self.price[products]
        believed = market.rows(products, torch.full_like(products, market.mean_draw))
        draws = torch.arange(market.num_draws + 1, device=price.device)
        units = market.average_day(price[..., None], products[..., None], draws).expected_units
        near = NEAR.to(price)[:, None, None] * price
        smooth = believed._replace(overlooked=torch.zeros_like(believed.overlooked))
        above, below = market.average_day_at(near, market.grid_position(near, smooth), smooth).expected_units
        elasticity = (below / above).log() / (NEAR[0] / NEAR[1]).log()
        weekly = units[..., -1]
        bought = inside.clamp(min=ALONE)
        share = bought[:, None] * weekly / weekly.sum(1, keepdim=True)
        kept = believed.share_paid * believed.counted_share
        margin = kept * price - believed.unit_cost
        rows = CategoryRows(
            price=price,
            appeal=share.log(),
            slope=elasticity / (1 - share),
            outside=1 - bought,
            buyers=weekly.sum(1) / bought,
            common_sd=torch.where(inside > 0, COMMON_SD, 0.0),
            level_sd=(units[..., :-1] / units[..., -1:]).log().std(-1),
            share_paid=kept,
            counted_cost=believed.unit_cost,
            limits=self.dynamics.limits.rows(products),
            stock=self.stock.rows(products)._replace(season=self.season[:, products]),
            scale=(margin.clamp(min=0.1 * price) * weekly * WEEK / market.step_days).sum(1),
        )
        return start(rows, torch.zeros_like(price))._replace(prices=self.prices[:, products])

    def want(self, price: Tensor, product: Tensor, rows: MarketRows) -> Tensor:
        """Return the units ``(T, B)`` that draws expect at level 1 and prices in money ``(T, B)`` of next weeks.

        An average row of the history sells them, with buyers' memory; `season` and other products' prices are
        left out. ``B`` may be several axes.
        """
        market = self.market
        units = market.values_at(market.grid_position(price, rows), rows, 1)[0]
        if market.remembers:
            kept = REFERENCE_MEMORY**WEEK
            weeks = torch.arange(len(price), device=price.device)
            age = weeks[:, None] - weeks - 1
            weight = torch.where(age >= 0, (1 - kept) * kept ** age.clamp(min=0), 0.0)
            past = kept ** weeks.view(-1, *[1] * (price.dim() - 1)) * self.log_reference_price[product]
            rise = price.log() - torch.tensordot(weight, price.log(), 1) - past
            days = fade(WEEK // market.step_days, price.device, market.step_days)[:, 0]
            lifts = [lift(rise * day, rows.memory_gain, rows.memory_loss) for day in days]
            units = units * torch.stack(lifts).mean(0)
        return units
