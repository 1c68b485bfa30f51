"""The market: what the history says a price will bring, as tensors that thousands of env rows can read at once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data import DataPreprocessor
from pricerl.market.cost import CostPosterior
from pricerl.market.demand.causes import holiday_factors
from pricerl.market.demand.curves import Curves
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.rows import GridPosition, MarketRows, Response

UNITS, ORGANIC, AD = range(3)


@dataclass(frozen=True)
class ProductMarket:
    """One product's fitted market in numpy, for reports and checks."""

    log_grid: FloatArray
    """``(G,)`` log prices of the curves."""
    units: Curves
    """Demand of an average weekday."""
    organic: Curves | None
    ad: Curves | None
    weekday: FloatArray
    """``(7,)`` demand of each weekday over the average."""
    trades_on: BoolArray
    """``(7,)`` weekdays on which the history has any recorded day."""
    cost: CostPosterior
    memory: PriceMemory | None = None
    """What buyers make of a price they are not used to; None where they do not care."""
    holiday: FloatArray = field(default_factory=lambda: holiday_factors({}))
    """``(3,)`` demand by type of date over that of an ordinary one; see ``data.day_types``."""


@dataclass(frozen=True)
class Market:
    """Demand, conversions and costs of ``P`` products in ``K`` posterior draws plus their mean (index ``K``).

    Built by ``fit_market`` from a ``DataPreprocessor``; immutable; ``to`` moves it between devices.
    """

    preprocessor: DataPreprocessor
    products: tuple[ProductMarket, ...]
    log_price_low: Tensor
    """``(P,)`` first log price of the grid."""
    log_step: Tensor
    """``(P,)`` distance between log prices."""
    log_curves: Tensor
    """``(P, K + 1, G, 3)`` logs of expected units, organic and ad conversion."""
    weekday: Tensor
    """``(P, 7)`` weekday factors."""
    holiday: Tensor
    """``(P, 3)`` factors by type of date."""
    share_kept: Tensor
    """``(P, K + 1)``."""
    unit_cost: Tensor
    """``(P, K + 1)`` money."""
    fixed_cost: Tensor
    """``(P, K + 1)`` money a day."""
    size: Tensor
    """``(P,)`` negative-binomial size of a day's units."""
    memory_gain: Tensor
    """``(P, K + 1)`` log units won a log price below the price buyers are used to."""
    memory_loss: Tensor
    """``(P, K + 1)`` log units lost a log price above it."""

    @property
    def num_products(self) -> int:
        """P."""
        return len(self.products)

    @property
    def num_draws(self) -> int:
        """K, without the mean market."""
        return self.log_curves.shape[1] - 1

    @property
    def mean_draw(self) -> int:
        """Index of the posterior-mean market."""
        return self.num_draws

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.log_curves.device

    @cached_property
    def remembers(self) -> bool:
        """Whether buyers remember prices in any of the markets."""
        return bool((self.memory_loss > 0).any())

    def to(self, device: torch.device | str) -> Market:
        """Return the same market on another device."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)

    def respond(
        self, price: Tensor, product: Tensor, draw: Tensor, weekday: Tensor, day_type: Tensor | int = 0
    ) -> Response:
        """Expected outcome of charging ``price`` for one day; cost per row does not depend on the history's length.

        Linear interpolation in logs, so a constant elasticity is exact; prices off the grid continue its edge slope.

        Args:
            price: ``(B,)`` money, positive.
            product: ``(B,)`` product index.
            draw: ``(B,)`` which posterior draw, ``K`` for the mean.
            weekday: ``(B,)`` Monday 0 to Sunday 6.
            day_type: ``(B,)`` type of date as ``data.day_types`` has it, 0 for ordinary ones.
        """
        factor = self.weekday[product, weekday] * self.holiday[product, day_type]
        level = self.average_day(price, product, draw)
        units, sales = level.expected_units * factor, level.sales * factor
        return Response(units, sales, self.profit(sales, units, product, draw), level.organic, level.ad)

    def average_day(self, price: Tensor, product: Tensor, draw: Tensor) -> Response:
        """Expected outcome of charging ``price`` on an average weekday; any shape, the same for all three."""
        rows = self.rows(product, draw)
        return self.average_day_at(price, self.grid_position(price, rows), rows)

    def profit(self, sales: Tensor, units: Tensor, product: Tensor, draw: Tensor) -> Tensor:
        """Profit of a day, money: share kept of its sales less unit costs and fixed cost."""
        return self.rows(product, draw).profit(sales, units)

    def rows(self, product: Tensor, draw: Tensor) -> MarketRows:
        """Constants of the rows of ``product (B,)`` in ``draw (B,)``, for callers that charge them many prices."""
        num_draws, grid = self.log_curves.shape[1:3]
        return MarketRows(
            first_point=(product * num_draws + draw) * grid,
            log_price_low=self.log_price_low[product],
            log_step=self.log_step[product],
            share_kept=self.share_kept[product, draw],
            unit_cost=self.unit_cost[product, draw],
            fixed_cost=self.fixed_cost[product, draw],
            size=self.size[product],
            memory_gain=self.memory_gain[product, draw],
            memory_loss=self.memory_loss[product, draw],
        )

    def grid_position(self, price: Tensor, rows: MarketRows) -> GridPosition:
        """Where ``price (B,)`` lies on the grid of its row."""
        distance = (price.log() - rows.log_price_low) / rows.log_step
        left = distance.floor().clamp(0, self.log_curves.shape[2] - 2)
        return GridPosition(left.long(), distance - left)

    def average_day_at(self, price: Tensor, position: GridPosition, rows: MarketRows) -> Response:
        """Expected outcome of an average weekday at ``price (B,)``, whose grid position is known."""
        left = (rows.first_point + position.left).flatten()
        below, above = self._curves.index_select(1, left), self._curves.index_select(1, left + 1)
        values = torch.lerp(below, above, position.share.flatten()).exp_().view(3, *price.shape)
        units, sales = values[UNITS], values[UNITS] * price
        organic, ad = values[ORGANIC:].clamp(max=100)
        return Response(units, sales, rows.profit(sales, units), organic, ad)

    @cached_property
    def _curves(self) -> Tensor:
        """``(3, P * (K + 1) * G)`` the curves behind one another: one lookup reads all three kinds."""
        return self.log_curves.movedim(3, 0).reshape(3, -1).contiguous()
