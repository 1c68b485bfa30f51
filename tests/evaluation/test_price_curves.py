"""Curves of the page: outcome by price, own days at the level of today, the edge of the tried prices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pricerl.advice.describe import gather_details
from pricerl.advice.result import Details
from pricerl.arrays import Interval
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.price_path import approach_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.price_curves import PriceCurves, draw_curves
from pricerl.evaluation.valuation import value_paths
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig

PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def _product(market: Market, guardrails: GuardrailConfig | None = None) -> Product:
    return Product(Dynamics(market, RewardConfig(), guardrails or GuardrailConfig(), EnvConfig()), 0)


@pytest.fixture
def known(known_demand: Callable[..., Market]) -> Product:
    """Units ``20 (p / 10)^-2`` at a unit cost of 6."""
    return _product(known_demand(PRICES))


@pytest.fixture(scope="module")
def drawn(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Product:
    return _product(fitted(SellerConfig(), DemandConfig(num_draws=32)))


def _gather(product: Product, target: float) -> Details:
    return gather_details(product, approach_path(target, product, 7).price.double().numpy())


def test_the_curves_are_the_markets_own(known: Product) -> None:
    prices = np.array([9.0, 10.0, 12.0])
    curves = draw_curves(known, prices, 7)
    units = 20 * (prices / 10) ** -2
    np.testing.assert_allclose([row[0] for row in curves.units], units, rtol=1e-3)
    assert curves.profit is not None and curves.price == (9.0, 10.0, 12.0)
    np.testing.assert_allclose([row[0] for row in curves.profit], (prices - 6) * units, rtol=2e-3)


SEASONS = {
    "season": lambda day: np.exp(0.4 * np.sin(2 * np.pi * day / 365)),
    "level": lambda day: np.where(day > 250, 0.5, 1.0),
    "both": lambda day: np.exp(0.3 * np.sin(2 * np.pi * day / 365)) * np.where(day > 250, 0.6, 1.0),
}
"""Level of demand by day of 300 days."""


@pytest.mark.parametrize("season", SEASONS)
def test_the_curve_passes_through_the_days_at_todays_season_and_level(
    season: str, make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    rng = np.random.default_rng(7)
    day = np.arange(300)
    price = np.repeat(np.round(25 * np.exp(rng.normal(0, 0.06, 30)), 2), 10)
    level = SEASONS[season](day) * np.array([0.8, 0.8, 0.9, 1.0, 1.1, 1.3, 1.1])[day % 7]
    units = rng.poisson(30 * level * (price / 25) ** -1.8)
    market = fit_market(prepare(make_product(price, units)), DemandConfig(num_draws=64), conversions=False)
    details = _gather(_product(market), 25.0)
    curve = np.interp(price, details.curves.price, [mean for mean, *_ in details.curves.units])
    over = units / details.own_days.level / curve
    assert np.median(over) == pytest.approx(1.0, abs=0.1)
    assert all(np.median(over[part]) == pytest.approx(1.0, abs=0.15) for part in (day < 100, day > 250))
    assert abs(np.median(units / curve) - 1) > 0.2, "as sold, the days are not at the curve"
    known = np.log(details.own_days.level) - np.log(level / level[-14:].mean())
    assert np.abs(known - known.mean()).mean() < 0.1


def test_limits_enclose_the_curves_and_their_prices_reach_beyond_those_tried(drawn: Product) -> None:
    details = _gather(drawn, 1.03 * float(drawn.market.preprocessor.products[0].price[-1]))
    tried = drawn.market.preprocessor.products[0].price
    assert details.curves.price[0] < tried.min() and details.curves.price[-1] > tried.max()
    assert details.curves.profit is not None
    assert all(low < mean < high for mean, low, high in (*details.curves.units, *details.curves.profit))


def test_a_curve_is_worth_at_the_current_price_what_keeping_it_is(drawn: Product) -> None:
    now = float(drawn.market.preprocessor.products[0].price[-1])
    curves = draw_curves(drawn, np.array([now, 1.03 * now]), 14)
    keep, new = value_paths(drawn, torch.tensor([[now], [1.03 * now]]).expand(2, 14))
    assert curves.profit is not None
    for at, value in enumerate((keep, new)):
        assert curves.profit[at] == pytest.approx(value.outcome().profit, rel=1e-5)
        assert curves.units[at] == pytest.approx(value.outcome().units, rel=1e-5)


def test_differences_are_paired_and_their_means_add_up(drawn: Product) -> None:
    now = float(drawn.market.preprocessor.products[0].price[-1])
    paths = torch.stack([torch.full((7,), now), approach_path(1.03 * now, drawn, 7).price])
    before, after = value_paths(drawn, paths)
    keep, new, between = before.outcome(), after.outcome(), after.over(before)
    assert between.units.mean == pytest.approx(new.units.mean - keep.units.mean)
    assert between.units.high - between.units.low < 0.5 * (keep.units.high - keep.units.low)


def test_the_details_hold_the_own_days_and_the_bounds(known: Product) -> None:
    details = _gather(known, 10.0)
    assert details.own_days.total == len(details.own_days.price) == 60
    assert (details.bounds.lowest, details.bounds.highest) == pytest.approx((9.5, 10.5))


@pytest.mark.parametrize(("profit", "side"), [((1, 2, 3), "above"), ((3, 2, 1), "below"), ((1, 3, 1), ""), (None, "")])
def test_the_best_may_lie_beyond_where_profit_rises_at_the_edge(profit: tuple[int, ...] | None, side: str) -> None:
    intervals = None if profit is None else tuple(Interval(float(value), 0.0, 9.0) for value in profit)
    flat = (Interval(1.0, 1.0, 1.0),) * 3
    curves = PriceCurves((9.0, 10.0, 11.0), flat, intervals, flat)
    assert curves.beyond("profit", 9.5, 10.5) == side
