"""The market: what the history says a price will bring, as tensors that thousands of env rows can read at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricerl.data import DataPreprocessor, ProductHistory, weekday_of
from pricerl.market.cost import CostConfig, CostPosterior, decode_cost
from pricerl.market.curves import Curves
from pricerl.market.demand import find_model
from pricerl.market.demand.causes import holiday_factors, past_multiplier
from pricerl.market.level import recent_level
from pricerl.market.rows import MarketRows, Place, Response
from pricerl.market.similar import Days, SimilarConfig, fit_curves, plain_days

FloatArray = NDArray[np.float64]

GRID_MARGIN = 1.35
"""The grid reaches this factor beyond the lowest and highest tried price: further than any guardrail lets go."""

CONVERSION_ELASTICITY = (-1.0, 0.75)
"""Prior mean and sd of a conversion's own price elasticity."""
CONVERSION_CURVATURE = (0.0, 1.0)
"""The same for its curvature."""

MIN_CONVERSION_DAYS = 7
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
    trades_on: NDArray[np.bool_]
    """``(7,)`` weekdays on which the history has any recorded day."""
    cost: CostPosterior
    holiday: FloatArray = field(default_factory=lambda: holiday_factors({}))
    """``(3,)`` demand by kind of date over that of an ordinary one; see ``data.kinds_of_dates``."""


@dataclass(frozen=True)
class Market:
    """Demand, conversions and costs of ``P`` products in ``K`` drawn markets plus their mean (index ``K``).

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
    """``(P, 3)`` factors by kind of date."""
    share_kept: Tensor
    """``(P, K + 1)``."""
    unit_cost: Tensor
    """``(P, K + 1)`` money."""
    fixed_cost: Tensor
    """``(P, K + 1)`` money a day."""
    size: Tensor
    """``(P,)`` negative-binomial size of a day's units."""

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

    def to(self, device: torch.device | str) -> Market:
        """Return the same market on another device."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)

    def respond(
        self, price: Tensor, product: Tensor, draw: Tensor, weekday: Tensor, kind: Tensor | int = 0
    ) -> Response:
        """Expected outcome of charging ``price`` for one day; cost per row does not depend on the history's length.

        Linear interpolation in logs, so a constant elasticity is exact; prices off the grid continue its edge slope.

        Args:
            price: ``(B,)`` money, positive.
            product: ``(B,)`` product index.
            draw: ``(B,)`` which drawn market, ``K`` for the mean.
            weekday: ``(B,)`` Monday 0 to Sunday 6.
            kind: ``(B,)`` kind of date as ``data.kinds_of_dates`` has it, 0 for ordinary ones.
        """
        factor = self.weekday[product, weekday] * self.holiday[product, kind]
        level = self.average_day(price, product, draw)
        units, sales = level.expected_units * factor, level.sales * factor
        return Response(units, sales, self.profit(sales, units, product, draw), level.organic, level.ad)

    def average_day(self, price: Tensor, product: Tensor, draw: Tensor) -> Response:
        """Expected outcome of charging ``price`` on an average weekday; any shape, the same for all three."""
        rows = self.rows(product, draw)
        return self.average_day_at(price, self.place(price, rows), rows)

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
        )

    def place(self, price: Tensor, rows: MarketRows) -> Place:
        """Where ``price (B,)`` lies on the grid of its row."""
        distance = (price.log() - rows.log_price_low) / rows.log_step
        left = distance.floor().clamp(0, self.log_curves.shape[2] - 2)
        return Place(left.long(), distance - left)

    def average_day_at(self, price: Tensor, place: Place, rows: MarketRows) -> Response:
        """Expected outcome of an average weekday at ``price (B,)``, whose place is known."""
        left = (rows.first_point + place.left).flatten()
        below, above = self._curves.index_select(1, left), self._curves.index_select(1, left + 1)
        values = torch.lerp(below, above, place.share.flatten()).exp_().view(3, *price.shape)
        units, sales = values[UNITS], values[UNITS] * price
        organic, ad = values[ORGANIC:].clamp(max=100)
        return Response(units, sales, rows.profit(sales, units), organic, ad)

    @cached_property
    def _curves(self) -> Tensor:
        """``(3, P * (K + 1) * G)`` the curves behind one another: one lookup reads all three kinds."""
        return self.log_curves.movedim(3, 0).reshape(3, -1).contiguous()


def fit_market(
    preprocessor: DataPreprocessor,
    similar: SimilarConfig | None = None,
    cost: CostConfig | None = None,
    seed: int = 0,
) -> Market:
    """Learn every product's market from its whole history.

    Args:
        preprocessor: the fitted preprocessor, which carries the history.
        similar: settings of the similar-price search.
        cost: costs the seller supplies.
        seed: of the draws; the same seed and history give the same market.
    """
    similar, cost = similar or SimilarConfig(), cost or CostConfig()
    fitted = [
        _fit_product(product, similar, cost, np.random.default_rng([seed, index]))
        for index, product in enumerate(preprocessor.products)
    ]
    return _assemble(preprocessor, fitted)


def known_market(preprocessor: DataPreprocessor, units: Callable[[FloatArray], FloatArray], cost: CostConfig) -> Market:
    """Build a market whose demand is known exactly, for tests, planners and benchmarks.

    Args:
        preprocessor: history for the windows; its products keep their prices and days.
        units: expected units a day at each price, ``(G,) -> (G,)``.
        cost: unit cost, share kept (1 if absent) and fixed cost (0 if absent).
    """
    share_kept = 1.0 if cost.share_kept is None else cost.share_kept
    share, unit_cost, fixed = (
        np.array([value]) for value in (share_kept, cost.unit_cost or 0.0, cost.fixed_cost or 0.0)
    )
    fitted = []
    for product in preprocessor.products:
        log_grid = _log_grid(product, 257)
        log_units = np.log(np.maximum(units(np.exp(log_grid)), 1e-9))[None]
        curves = Curves(log_units, np.full(len(log_grid), np.inf), 1.0, 1e4, 0)
        posterior = CostPosterior(share, unit_cost, fixed, known=True, profit_days=0)
        fitted.append(ProductMarket(log_grid, curves, None, None, np.ones(7), np.ones(7, dtype=bool), posterior))
    return _assemble(preprocessor, fitted)


def _fit_product(
    product: ProductHistory, similar: SimilarConfig, cost: CostConfig, rng: np.random.Generator
) -> ProductMarket:
    usable, log_grid = product.observed, _log_grid(product, similar.grid_size)
    demand = find_model(similar.demand)(product, log_grid, similar, rng)
    plain = plain_days(product)
    weekday = demand.weekday[weekday_of(product.dates.astype(np.int64))]
    days = replace(plain, offset=weekday * past_multiplier(product, demand.effects))
    level, level_sd = recent_level(days.keep(usable), demand.curves, log_grid, similar.outlier_sds)
    shift = level + level_sd * rng.normal(size=(similar.num_draws, 1))
    units = replace(demand.curves, log_value=demand.curves.log_value + shift)
    conversions = replace(
        similar,
        prior_elasticity=CONVERSION_ELASTICITY[0],
        prior_elasticity_sd=CONVERSION_ELASTICITY[1],
        prior_curvature=CONVERSION_CURVATURE[0],
        prior_curvature_sd=CONVERSION_CURVATURE[1],
    )
    return ProductMarket(
        log_grid=log_grid,
        units=units,
        organic=_fit_conversion(plain, product.organic, usable, log_grid, conversions, rng),
        ad=_fit_conversion(plain, product.ad, usable, log_grid, conversions, rng),
        weekday=demand.weekday,
        trades_on=np.bincount(weekday_of(product.dates[usable].astype(np.int64)), minlength=7) > 0,
        cost=decode_cost(product, cost, similar.num_draws, rng),
        holiday=holiday_factors(demand.effects),
    )


def _fit_conversion(
    days: Days,
    percent: FloatArray,
    usable: NDArray[np.bool_],
    log_grid: FloatArray,
    config: SimilarConfig,
    rng: np.random.Generator,
) -> Curves | None:
    """Curves of a conversion percentage, or None where it was hardly ever reported."""
    reported = usable & np.isfinite(percent)
    if reported.sum() < MIN_CONVERSION_DAYS or not percent[reported].any():
        return None
    return fit_curves(replace(days, value=np.nan_to_num(percent)).keep(reported), log_grid, config, rng)


def _log_grid(product: ProductHistory, size: int) -> FloatArray:
    low, high = product.price.min() / GRID_MARGIN, product.price.max() * GRID_MARGIN
    return np.linspace(np.log(low), np.log(high), size)


def _with_mean(draws: FloatArray) -> FloatArray:
    """Append the mean over draws (the first axis) as the last draw."""
    return np.concatenate([draws, draws.mean(0, keepdims=True)])


def _log_with_mean(log_draws: FloatArray) -> FloatArray:
    return np.log(np.maximum(_with_mean(np.exp(log_draws)), 1e-12))


def _assemble(preprocessor: DataPreprocessor, products: list[ProductMarket]) -> Market:
    def stack(arrays: list[FloatArray]) -> Tensor:
        return torch.as_tensor(np.stack(arrays), dtype=torch.float32)

    curves = []
    for item in products:
        silent = np.full_like(item.units.log_value, -np.inf)
        logs = [silent if part is None else part.log_value for part in (item.units, item.organic, item.ad)]
        curves.append(np.stack([_log_with_mean(part) for part in logs], axis=-1))
    return Market(
        preprocessor=preprocessor,
        products=tuple(products),
        log_price_low=stack([item.log_grid[0] for item in products]),
        log_step=stack([item.log_grid[1] - item.log_grid[0] for item in products]),
        log_curves=stack(curves),
        weekday=stack([item.weekday for item in products]),
        holiday=stack([item.holiday for item in products]),
        share_kept=stack([_with_mean(item.cost.share_kept) for item in products]),
        unit_cost=stack([_with_mean(item.cost.unit_cost) for item in products]),
        fixed_cost=stack([_with_mean(item.cost.fixed_cost) for item in products]),
        size=stack([np.asarray(item.units.size) for item in products]),
    )
