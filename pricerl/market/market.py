"""The fitted market: expected units, sales, profit and conversions at a price, as tensors for thousands of env rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import Stock
from pricerl.guardrails.round_prices import NO_UNIT, WHOLE_ERROR, overlooked
from pricerl.market.cost import CostPosterior, Measure, add_fees
from pricerl.market.cross_effects import Diversion
from pricerl.market.demand.curves import DemandPosterior
from pricerl.market.visitor_tests import VisitorTest

NO_EDGE = NO_UNIT
"""In place of an edge that a product lacks."""
JUST_UNDER = 1e-4
"""Distance of a price that is just below a whole one, as a share of it: less than a cent."""
MAX_CONVERSION = 100
"""Percent."""


class Response(NamedTuple):
    """Expected outcome of one row at a price, each ``(B,)``; money, and conversions in percent, 0 if never reported."""

    expected_units: Tensor
    sales: Tensor
    profit: Tensor
    organic: Tensor
    ad: Tensor


class GridPosition(NamedTuple):
    """Positions of prices on the price grids of their products, each ``(B,)``."""

    left: Tensor
    """Grid point at or below the price, counted from 0."""
    share: Tensor
    """Grid steps from there to the price; outside 0 to 1 only off the grid."""


class MarketRows(NamedTuple):
    """Constants of ``B`` rows, each ``(B,)``, of the same name as in ``Market``: looked up once per episode."""

    first_point: Tensor
    """Position of the row's first grid point among the points of all curves."""
    lower_edge: Tensor
    upper_edge: Tensor
    log_price_low: Tensor
    log_step: Tensor
    share_paid: Tensor
    share_kept: Tensor
    unit_cost: Tensor
    opportunity: Tensor
    fixed_cost: Tensor
    size: Tensor
    memory_gain: Tensor
    memory_loss: Tensor
    overlooked: Tensor
    whole_unit: Tensor
    counted_share: Tensor
    counted_cost: Tensor
    fee_steps: Tensor | None
    """``(3, M, B)``: see ``Market``."""
    counted_fees: Tensor | None

    def contribution(self, price: Tensor, units: Tensor) -> Tensor:
        """Return the share of sales that counts less unit costs that count, in money, ``(B,)`` or ``(n, B)``."""
        sales = units * price * self.share_paid
        return self.counted_share * sales - self._with_fees(self.counted_cost, self.counted_fees, price) * units

    def profit(self, price: Tensor, units: Tensor) -> Tensor:
        """Return the share kept of sales less unit costs and a day's fixed cost, in money, ``(B,)`` or ``(n, B)``."""
        return self.share_kept * (units * price * self.share_paid) - (
            self._with_fees(self.unit_cost, self.fee_steps, price) * units + self.fixed_cost
        )

    def _with_fees(self, cost: Tensor, steps: Tensor | None, price: Tensor) -> Tensor:
        return cost if steps is None else cost + add_fees(steps.unbind(1), self.share_paid, price)


@dataclass(frozen=True, kw_only=True)
class ProductMarket(DemandPosterior):
    """One product's fitted market in numpy, for reports and checks."""

    log_grid: FloatArray
    """``(G,)`` log prices of the curves."""
    organic: FloatArray | None = None
    """``(K, G)`` log conversion in percent, like that from advertising; None where it was never reported."""
    ad: FloatArray | None = None
    trades_on: BoolArray
    """``(7,)`` weekdays on which the history has any recorded day."""
    cost: CostPosterior
    edges: FloatArray = field(default_factory=lambda: np.full(2, NO_EDGE))
    """``(2,)`` prices at which demand may fall at once, in money, ascending; there the grid has two points."""
    diversion: Diversion | None = None
    """Buyers whom a higher price loses to the rest of the category, if that shows any."""
    stock: Stock | None = None
    """Stock and terms of supply as the seller knows them, or None if nothing about them is known."""
    tests: Sequence[VisitorTest] = ()
    """Tests made elsewhere, from which the curves follow, too."""

    def whole_above(self, price: float) -> float | None:
        """Return the first whole price above one, in money; None where buyers see all of a price."""
        return None if self.whole_unit == NO_UNIT else float(np.floor(price / self.whole_unit + 1) * self.whole_unit)


def log_units_at(product: ProductMarket, prices: FloatArray) -> FloatArray:
    """Return log units of an average day at ``prices (G,)``, ``(K, G)``, interpolated as in ``Market.average_day``."""
    log_price = np.log(prices)[None]
    if product.overlooked is not None:
        log_price = log_price - product.overlooked[:, None] * overlooked(prices, product.whole_unit)
    return _read_curves(product, log_price)


def _read_curves(product: ProductMarket, seen: FloatArray) -> FloatArray:
    """Return log units ``(K, G)`` at log prices that buyers see, ``(K, G)`` or ``(1, G)``."""
    grid = product.log_grid
    curves = product.units.log_value
    left = np.clip(np.searchsorted(grid, seen, side="right") - 1, 0, len(grid) - 2)
    share = (seen - grid[left]) / (grid[left + 1] - grid[left])
    rows = np.arange(len(curves))[:, None]
    return np.asarray(curves[rows, left] + share * (curves[rows, left + 1] - curves[rows, left]))


def elasticity_at(product: ProductMarket, price: float) -> FloatArray:
    """Return the price elasticity of demand from 5 % below to 5 % above a price in every posterior draw, ``(K,)``."""
    ends = np.array([price * (1 - 0.05), price * (1 + 0.05)])
    return np.asarray(np.diff(_read_curves(product, np.log(ends)[None]), axis=1)[:, 0] / np.diff(np.log(ends)))


def lost_at(product: ProductMarket, whole: float) -> float:
    """Return the mean share of the buyers who are lost at once at a ``whole`` price, in money."""
    below, at = np.exp(log_units_at(product, whole * np.array([1 - JUST_UNDER, 1.0]))).mean(0)
    return float(1 - at / below)


@dataclass(frozen=True)
class Market:
    """Demand, conversions and costs of ``P`` products in ``K`` posterior draws plus their mean (index ``K``).

    Built by ``fit_market`` from a ``DataPreprocessor``; immutable; ``to`` moves it between devices.
    """

    preprocessor: DataPreprocessor
    products: tuple[ProductMarket, ...]
    lower_edge: Tensor
    """``(P,)`` price at which demand may fall at once, in money, where the grid has two points; or `NO_EDGE`."""
    upper_edge: Tensor
    """``(P,)`` another one above it."""
    log_price_low: Tensor
    """``(P,)`` first log price of the grid."""
    log_step: Tensor
    """``(P,)`` distance between log prices."""
    log_curves: Tensor
    """``(P, K + 1, G, 3)`` logs of expected units, organic and ad conversion."""
    weekday: Tensor
    """``(P, 7)`` weekday factors."""
    holiday: Tensor
    """``(P, 3)`` factors by day type."""
    ahead: Tensor
    """``(P, FUTURE_ROWS)`` factors of the days after the last one."""
    share_paid: Tensor
    """``(P,)`` share of the posted price that buyers pay after coupons."""
    share_kept: Tensor
    """``(P, K + 1)`` share of revenue kept after fees."""
    unit_cost: Tensor
    """``(P, K + 1)`` money."""
    opportunity: Tensor
    """``(P, K + 1)`` what a unit that is not sold earns in the rest of the category, in money."""
    fixed_cost: Tensor
    """``(P, K + 1)`` money per day."""
    size: Tensor
    """``(P,)`` negative-binomial size of a day's units."""
    memory_gain: Tensor
    """``(P, K + 1)`` log units gained per log price below the reference price."""
    memory_loss: Tensor
    """``(P, K + 1)`` log units lost per log price above it."""
    overlooked: Tensor
    """``(P, K + 1)`` share of what follows a price's whole units that buyers overlook."""
    whole_unit: Tensor
    """``(P,)`` that unit, in money; `NO_UNIT` if they see all of it."""
    fee_steps: Tensor | None = None
    """``(P, M, 3)`` what fees take beyond the share kept, by price; see ``CostConfig.fee_steps``. None without any."""
    measure: Measure = "profit"
    """Measure of a gain, as in the reward."""
    fall_width: float = 0.0
    """Log distance below a price at which demand falls over which it falls gradually; 0 lets it fall at once."""

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
        """Device of the tensors."""
        return self.log_curves.device

    @property
    def step_days(self) -> int:
        """Days per step of a path, those from row to row of the history: 1, or 7 for weekly rows."""
        return self.preprocessor.step_days

    @cached_property
    def remembers(self) -> bool:
        """Whether any posterior draw has a reference-price effect."""
        return bool((self.memory_loss > 0).any())

    @cached_property
    def counted_share(self) -> Tensor:
        """``(P, K + 1)`` share of revenue that counts: the share kept, or all of it if revenue is the measure."""
        return self.share_kept if self.measure == "profit" else torch.ones_like(self.share_kept)

    @cached_property
    def counted_cost(self) -> Tensor:
        """``(P, K + 1)`` cost of a unit that counts, in money: none of its own if revenue is the measure."""
        return self.opportunity + (self.unit_cost if self.measure == "profit" else 0.0)

    @property
    def counted_fees(self) -> Tensor | None:
        """``(P, M, 3)`` steps of fees that count: none if revenue is the measure."""
        return self.fee_steps if self.measure == "profit" else None

    def counted(self, product: int) -> ProductMarket:
        """Return a product's market with the costs that count."""
        fitted = self.products[product]
        cost = fitted.cost.counted(self.measure)
        if fitted.diversion is not None:
            cost = replace(cost, unit_cost=cost.unit_cost + fitted.diversion.worth)
        return replace(fitted, cost=cost)

    def at_unit_cost(self, unit_cost: float) -> Market:
        """Return the same market in which a unit of every product costs this, in money, in all draws."""
        known = (replace(item, cost=item.cost.at_unit_cost(unit_cost)) for item in self.products)
        return replace(self, products=tuple(known), unit_cost=torch.full_like(self.unit_cost, unit_cost))

    def to(self, device: torch.device | str) -> Market:
        """Return the same market on another device."""
        return replace(self, **self._tensors(lambda value: value.to(device)))

    def select(self, products: Sequence[int]) -> Market:
        """Return the market of some of the products, in the order given."""
        rows = list(products)
        known = tuple(self.products[row] for row in rows)
        chosen = self._tensors(lambda value: value[rows])
        return replace(self, preprocessor=self.preprocessor.select(rows), products=known, **chosen)

    def _tensors(self, change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}

    def average_day(self, price: Tensor, product: Tensor, draw: Tensor) -> Response:
        """Return the expected outcome of charging ``price``, positive money, on an average weekday.

        Curves are interpolated linearly in logs, so a constant elasticity is exact; off the grid they are
        extrapolated at their edge slopes. The arguments ``(B,)`` broadcast; draw ``K`` is the mean.
        """
        rows = self.rows(product, draw)
        return self.average_day_at(price, self.grid_position(price, rows), rows)

    def rows(self, product: Tensor, draw: Tensor) -> MarketRows:
        """Return the constants of the rows of ``product (B,)`` in ``draw (B,)``, for evaluating many prices."""
        return self._constants(
            product, draw, lambda value: value[product] if value.dim() == 1 else value[product, draw]
        )

    def draws(self, product: int) -> MarketRows:
        """Return the constants of a product in all posterior draws, ``(K, 1)`` or ``(1, 1)`` each."""
        draw = torch.arange(self.num_draws, device=self.device)[:, None]
        own = torch.full_like(draw[:1], product)
        return self._constants(own, draw, lambda value: value[product].view(-1, 1)[: self.num_draws])

    def _constants(self, product: Tensor, draw: Tensor, pick: Callable[[Tensor], Tensor]) -> MarketRows:
        num_draws, grid = self.log_curves.shape[1:3]
        constants = (pick(getattr(self, name)) for name in MarketRows._fields[1:-2])
        fees = (
            None if steps is None else steps[product].movedim((-1, -2), (0, 1))
            for steps in (self.fee_steps, self.counted_fees)
        )
        return MarketRows((product * num_draws + draw) * grid, *constants, *fees)

    def grid_position(self, price: Tensor, rows: MarketRows) -> GridPosition:
        """Return the position of ``price (B,)`` on the grid of its row."""
        log_price = price.log()
        seen = log_price
        if self.fall_width:
            edges = rows.lower_edge, rows.upper_edge
            passed = sum(((log_price - edge.log()) / self.fall_width + 1).clamp(0, 1) for edge in edges)
        else:
            passed = (price >= rows.lower_edge).to(price.dtype) + (price >= rows.upper_edge)
            units = price / rows.whole_unit
            seen = log_price - rows.overlooked * (units / (units + WHOLE_ERROR).floor().clamp(min=1)).log().clamp(min=0)
        distance = (seen - rows.log_price_low) / rows.log_step + passed
        left = distance.floor().clamp(0, self.log_curves.shape[2] - 2)
        return GridPosition(left.long(), distance - left)

    def average_day_at(self, price: Tensor, position: GridPosition, rows: MarketRows) -> Response:
        """Return the expected outcome of an average weekday at ``price (B,)`` with a known grid position."""
        values = self.values_at(position, rows)
        units = values[0]
        sales = units * price * rows.share_paid
        organic, ad = values[1:].clamp(max=MAX_CONVERSION)
        return Response(units, sales, rows.profit(price, units), organic, ad)

    def values_at(self, position: GridPosition, rows: MarketRows, count: int = 3) -> Tensor:
        """Return the first ``count`` of expected units, organic and ad conversion at a position, ``(count, B)``."""
        points = rows.first_point + position.left
        left = points.flatten()
        share = position.share.expand_as(points).flatten()
        below = self._curves[:count].index_select(1, left)
        above = self._curves[:count].index_select(1, left + 1)
        return torch.lerp(below, above, share).exp_().view(count, *points.shape)

    @cached_property
    def _curves(self) -> Tensor:
        """All curves concatenated, ``(3, P * (K + 1) * G)``: one lookup reads all three quantities."""
        return self.log_curves.movedim(3, 0).reshape(3, -1).contiguous()
