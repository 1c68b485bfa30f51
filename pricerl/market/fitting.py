"""Fitting of the market: posterior draws of demand, conversions and costs from the products' histories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.data.costs import CostConfig
from pricerl.data.days import weekday_of
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import Stocks, find_stock
from pricerl.guardrails.price_grid import FLOAT32_SLACK
from pricerl.guardrails.round_prices import overlooked
from pricerl.market.cost import decode_cost
from pricerl.market.cross_effects import CrossEffect
from pricerl.market.demand.config import GRID_MARGIN, GRID_SIZE, DemandConfig
from pricerl.market.demand.models import fit_mixture
from pricerl.market.demand.pooling import FEWEST_POOLED, NO_EVIDENCE, Evidence, Pool, find_evidence
from pricerl.market.demand.priors import CrossPrior, Tabulated, find_own_price, find_round_prices, settings_of_prior
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.market import NO_EDGE, Market, ProductMarket
from pricerl.market.similar_prices import DailyValues, fit_curves
from pricerl.market.visitor_tests import VisitorTest

EDGE_GAP = 1e-9
"""Log distance between the two points of a price grid at a price at which demand may fall at once."""
MIN_VALUE = 1e-12
"""Smallest expected value, so that its log is finite: an unreported conversion counts as this."""
MIN_CONVERSION_DAYS = 7
"""Minimum number of days with a reported conversion for fitting it; it is not fitted if it was never above 0."""

Spread = Callable[[Callable[..., Any], Sequence[Any]], Iterable[Any]]
"""Function that calls a function with each item, perhaps elsewhere, and returns the results in order, as ``map``."""


def fit_market(
    preprocessor: DataPreprocessor,
    demand: DemandConfig | None = None,
    cost: CostConfig | None = None,
    seed: int = 0,
    conversions: bool = True,
    priors: Sequence[Tabulated | None] | None = None,
    stocks: Stocks = MappingProxyType({}),
    spread: Spread = map,
    cross: Mapping[str, CrossEffect] = MappingProxyType({}),
    tests: Mapping[str, Sequence[VisitorTest]] = MappingProxyType({}),
) -> Market:
    """Fit every product's market to its whole history.

    Args:
        preprocessor: fitted, with the history.
        demand: model of demand and its settings.
        cost: costs supplied by the seller.
        seed: seed of the draws; the same seed and history give the same market.
        conversions: whether to fit conversions, too; units alone take half the time.
        priors: pooled prior of each product; they follow from the products at hand if absent.
        stocks: stock known to the seller; it counts where the unit cost is known, too.
        spread: makes the calls; products for which it returns exceptions are left out, unless all are.
        cross: effects of products on the rest of their categories, by product.
        tests: tests of prices that the seller made elsewhere, by product.
    """
    config = demand or DemandConfig()
    cost = cost or CostConfig()
    pooled = find_priors(preprocessor.products, config) if priors is None else priors
    fit = partial(_fit_product, config=config, cost=cost, seed=seed, conversions=conversions, tests=tests)
    effects = [cross.get(name) for name in preprocessor.names]
    terms = [None if effect is None else effect.prior for effect in effects]
    found = list(spread(fit, list(zip(preprocessor.products, preprocessor.numbers, pooled, terms, strict=True))))
    rows = [row for row, item in enumerate(found) if not isinstance(item, Exception)]
    if not rows:
        raise found[0]
    kept = preprocessor if len(rows) == len(found) else preprocessor.select(rows)
    complete = []
    for row, product in zip(rows, kept.products, strict=True):
        effect = effects[row]
        diversion = None if effect is None else effect.divert(config.num_draws, seed, preprocessor.numbers[row])
        complete.append(replace(found[row], stock=find_stock(stocks, product)[0], diversion=diversion))
    return assemble(kept, complete)


def find_priors(products: Sequence[ProductHistory], config: DemandConfig) -> list[Tabulated | None]:
    """Return the pooled prior of each product's elasticity, if one is wanted and there are enough products."""
    pool = find_pool(products, config)
    return [None if pool is None else pool.prior(product.product) for product in products]


def find_pool(
    products: Sequence[ProductHistory],
    config: DemandConfig,
    known: Mapping[str, Evidence] = MappingProxyType({}),
    spread: Spread = map,
) -> Pool | None:
    """Return the evidence on elasticities, if a pooled prior is wanted and possible.

    It is what is ``known`` from training, so that a product's prior does not change with the others' newest days, or
    else of the ``products``, found by ``spread``. There is none from a product whose call returns an exception.
    """
    if not config.pool or len({*known, *(product.product for product in products)}) < FEWEST_POOLED:
        return None
    settings = config.resolved(max(product.step_days for product in products))
    new = [product for product in products if product.product not in known]
    called = spread(partial(find_evidence, settings=settings), new)
    evidence = [NO_EVIDENCE if isinstance(item, Exception) else item for item in called]
    found = {product.product: item for product, item in zip(new, evidence, strict=True)}
    return Pool(known or found, settings, found)


def _fit_product(
    given: tuple[ProductHistory, int, Tabulated | None, CrossPrior | None],
    config: DemandConfig,
    cost: CostConfig,
    seed: int,
    conversions: bool,
    tests: Mapping[str, Sequence[VisitorTest]],
) -> ProductMarket:
    product, number, prior, cross = given
    rng = np.random.default_rng([seed, number])
    usable = product.observed
    age = (product.dates[-1] - product.dates).astype(np.float64)
    span = product.price.min() / GRID_MARGIN, product.price.max() * GRID_MARGIN
    settings = replace(config.resolved(product.step_days, product.setting.kind), cross=cross)
    if config.model is None:
        settings = replace(settings, rounds=find_round_prices(product, prior), tests=tests.get(product.product, ()))
    edges, even, log_grid = _price_grids(*span, GRID_SIZE, settings.rounds.around(product.current_price))
    if prior is not None:
        elasticity, sd = settings_of_prior(prior.mean, prior.sd)
        settings = replace(settings, prior_elasticity=elasticity, prior_elasticity_sd=sd, pooled=prior)
    costs = decode_cost(product, cost, config.num_draws, rng)
    settings = replace(settings, own_price=find_own_price(product, costs, config.prior_informed))
    demand = (config.model or fit_mixture)(product, log_grid, settings, rng)

    seen = np.log(product.price)
    if demand.overlooked is not None:
        seen = seen - demand.overlooked.mean() * overlooked(product.price, demand.whole_unit)

    def fit_conversion(percent: FloatArray) -> FloatArray | None:
        reported = usable & np.isfinite(percent)
        if not conversions or reported.sum() < MIN_CONVERSION_DAYS or not percent[reported].any():
            return None
        known = DailyValues(seen, np.nan_to_num(percent), age).keep(reported)
        point = np.searchsorted(even, log_grid - 0.5 * (even[1] - even[0]))  # both sides of an edge are one point
        return fit_curves(known, even, config.for_conversions(), rng)[:, point]

    return ProductMarket(
        **vars(demand),
        log_grid=log_grid,
        organic=fit_conversion(product.organic),
        ad=fit_conversion(product.ad),
        trades_on=np.bincount(weekday_of(product.dates[usable].astype(np.int64)), minlength=7) > 0,
        cost=costs,
        edges=edges,
        tests=settings.tests,
    )


def _price_grids(low: float, high: float, size: int, edges: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return edges, evenly spaced log prices from ``low`` to ``high``, and ``(size,)`` with both sides of edges.

    At most two ``edges``, at which demand may fall, become points of the first grid; of two too close, the upper one.
    """
    if not len(edges):
        even = np.linspace(np.log(low), np.log(high), size)
        return np.full(2, NO_EDGE), even, even
    place = np.log(edges)
    step = np.log(high / low) / (size - 2 - len(edges))  # one step more than needed, to move the grid onto the edge
    parts = int(np.ptp(place) / step)
    if parts:
        step = np.ptp(place) / parts
    else:
        place = place[-1:]
    first = place[0] - np.ceil((place[0] - np.log(low)) / step) * step
    even = first + step * np.arange(size - len(place))
    edges = np.append(np.exp(place) * (1 - FLOAT32_SLACK), NO_EDGE)[:2]
    return edges, even, np.sort(np.append(even, place - EDGE_GAP))


def assemble(preprocessor: DataPreprocessor, products: Sequence[ProductMarket]) -> Market:
    """Assemble fitted products with equal numbers of draws and grid points, in the order of their histories."""

    def stack(arrays: list[FloatArray]) -> Tensor:
        return torch.as_tensor(np.stack(arrays), dtype=torch.float32)

    def with_mean(draws: FloatArray) -> FloatArray:
        return np.concatenate([draws, draws.mean(0, keepdims=True)])

    unreported = np.full_like(products[0].units.log_value, -np.inf)
    logs = [
        [unreported if part is None else part for part in (item.units.log_value, item.organic, item.ad)]
        for item in products
    ]
    values = [np.stack([with_mean(np.exp(part)) for part in parts], axis=-1) for parts in logs]
    most = max(len(item.cost.fee_steps) for item in products)
    padded = [np.pad(item.cost.fee_steps, ((0, most - len(item.cost.fee_steps)), (0, 0))) for item in products]
    none = np.zeros(len(products[0].cost.share_kept))
    memories = [item.memory or PriceMemory(none, none) for item in products]
    return Market(
        preprocessor=preprocessor,
        products=tuple(products),
        lower_edge=stack([item.edges[0] for item in products]),
        upper_edge=stack([item.edges[1] for item in products]),
        log_price_low=stack([item.log_grid[0] for item in products]),
        log_step=stack([item.log_grid[1] - item.log_grid[0] for item in products]),
        log_curves=stack([np.log(np.maximum(value, MIN_VALUE)) for value in values]),
        weekday=stack([item.weekday for item in products]),
        holiday=stack([item.holiday for item in products]),
        ahead=stack([item.ahead.path for item in products]),
        share_paid=stack([np.asarray(item.cost.share_paid) for item in products]),
        share_kept=stack([with_mean(item.cost.share_kept) for item in products]),
        unit_cost=stack([with_mean(item.cost.unit_cost) for item in products]),
        opportunity=stack([with_mean(none if item.diversion is None else item.diversion.worth) for item in products]),
        fixed_cost=stack([with_mean(item.cost.fixed_cost) for item in products]),
        size=stack([np.asarray(item.units.size) for item in products]),
        memory_gain=stack([with_mean(memory.gain) for memory in memories]),
        memory_loss=stack([with_mean(memory.loss) for memory in memories]),
        overlooked=stack([with_mean(none if item.overlooked is None else item.overlooked) for item in products]),
        whole_unit=stack([np.asarray(item.whole_unit) for item in products]),
        fee_steps=stack(padded) if most else None,
    )
