"""Valuation of prices and paths where profit follows by hand, and the curves of the page, which are made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from advising import moving
from shops.sellers import ShopConfig

from pricerl.advice.describe import gather_details
from pricerl.advice.result import Details
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.price_path import approach_path
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.price_curves import PriceCurves, draw_curves
from pricerl.evaluation.scores import score_paths
from pricerl.evaluation.valuation import (
    expect_path,
    find_break_even,
    value_at_risk,
    value_paths,
    would_raising_pay,
)
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market, elasticity_at
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import value_average_day
from pricerl.simulation.seller import SellerConfig

PROFIT_AT_TEN = 20.0 * (10 - 6)
PROFIT_AT_TWELVE = 20.0 / 1.2**2 * (12 - 6)


def logged(known_demand, prices):
    return Dynamics(known_demand(price=prices), RewardConfig())


def _product(market):
    return Product(Dynamics(market, RewardConfig("profit")), 0)


@pytest.fixture(scope="module")
def remembering(fitted):
    """A market whose buyers remember prices."""
    return fitted(ShopConfig(market="reference", days=200, units=30.0, seed=2), DemandConfig())


def over_keep(dynamics, path, index=0):
    """Return the value of a path and its uplift over keeping the price."""
    product = Product(dynamics, index)
    own, keep = value_paths(product, torch.stack([path, torch.full_like(path, product.current_price)]))
    return own, own.over(keep)


def test_a_path_is_valued_against_the_current_price(known_demand):
    own, gain = over_keep(logged(known_demand, np.repeat([10.0, 12.0, 10.0], [53, 4, 3])), torch.full((7,), 12.0))
    assert own.outcome().profit.mean == pytest.approx(PROFIT_AT_TWELVE, rel=1e-3)
    assert gain.profit.mean == pytest.approx(PROFIT_AT_TWELVE - PROFIT_AT_TEN, rel=1e-2)
    assert gain.probability_better == 1.0


def test_paths_meet_the_same_posterior_draws(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig())
    one, other = value_paths(_product(market), torch.full((2, 14), 10.0))
    assert one.profit.shape == (DemandConfig().num_draws,)
    assert (one.profit == other.profit).all() and one.profit.std() > 0
    assert one.over(other).profit == (0.0, 0.0, 0.0) and one.beats(other) == 0.0


def test_a_path_is_worth_the_days_of_the_env_with_weekdays_and_the_buyers_memory(remembering):
    market = remembering
    assert (market.memory_loss > 0).any() and market.weekday.std() > 0
    dynamics = Dynamics(market, RewardConfig())
    current = float(market.preprocessor.products[0].price[-1])
    path = torch.tensor([1.0, 1.0, 1.04, 1.04, 1.04, 0.98, 0.98, 0.98, 1.0, 1.0]) * current
    draw = torch.arange(market.num_draws)
    product = torch.zeros_like(draw)
    state = dynamics.start(product, dynamics.history.num_days[product] - 1, draw)
    days = []
    for price in path:
        state, outcome = dynamics.advance(state, price.expand(len(draw)), 1, None)
        days.append(torch.stack([outcome.expected_units[:, 0], outcome.sales[:, 0], outcome.profit[:, 0]]))
    (value,) = value_paths(_product(market), path[None])
    by_day = torch.stack(days).double().mean(0).numpy()
    np.testing.assert_allclose([value.units, value.sales, value.profit], by_day, rtol=1e-4)


def test_a_constant_price_is_valued_like_the_path_that_repeats_it(remembering):
    product = _product(remembering)
    prices = product.current_price * torch.tensor([[0.97], [1.0], [1.05]])
    once, daily = value_paths(product, prices, 10), value_paths(product, prices.expand(3, 10))
    for constant, path in zip(once, daily, strict=True):
        for name in ("units", "sales", "profit"):
            np.testing.assert_allclose(getattr(constant, name), getattr(path, name), rtol=1e-6)


def test_paths_are_worth_the_mean_of_their_days_and_the_same_in_any_batch(remembering):
    product = _product(remembering)
    factors = [[1.0] * 10, [1.0, 1.0, 1.04, 1.04, 1.04, 0.98, 0.98, 0.98, 1.0, 1.0], [0.97] * 5 + [0.94] * 5]
    paths = product.current_price * torch.tensor(factors)
    for path, value in zip(paths, value_paths(product, paths), strict=True):
        expected = [days.double().mean(1).numpy() for days in expect_path(product, path)[:3]]
        np.testing.assert_allclose([value.units, value.sales, value.profit], expected, rtol=1e-5)
        (alone,) = value_paths(product, path[None])
        assert (alone.earned == value.earned).all()


def test_unknown_costs_hide_profit_and_what_is_made_of_it(known_demand):
    market = known_demand(price=10.0)
    product = replace(market.products[0], cost=replace(market.products[0].cost, known=False))
    one, other = value_paths(_product(replace(market, products=(product,))), torch.tensor([[10.0], [12.0]]))
    assert one.outcome().profit is None
    uplift = other.over(one)
    assert (uplift.profit, uplift.probability_better, uplift.cvar) == (None, None, None)
    assert uplift.units.mean == pytest.approx(20 * (1.2**-2 - 1), rel=1e-2)


def test_a_week_earns_the_mean_of_an_average_day(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig())
    none = torch.zeros_like(market.memory_loss)
    forgetful = (replace(market.products[0], memory=None),)
    weekday = market.weekday / market.weekday.mean(1, keepdim=True)
    level = torch.ones_like(market.ahead)
    even = replace(market, products=forgetful, weekday=weekday, ahead=level, memory_gain=none, memory_loss=none)
    dynamics = Dynamics(even, RewardConfig())
    price = float(market.preprocessor.products[0].price[-1])
    _, day = value_average_day(Product(dynamics, 0), torch.tensor([price]))
    (week,) = value_paths(_product(even), torch.full((1, 7), price))
    assert week.profit == pytest.approx(day.profit[:, 0].numpy(), rel=1e-4)


def test_the_value_at_risk_is_the_mean_of_the_worst_tenth():
    assert value_at_risk(np.arange(-5.0, 15.0)) == -4.5
    assert value_at_risk(np.array([3.0])) == 3.0


def test_every_products_path_is_scored_as_one_alone(fitted):
    dynamics = Dynamics(fitted(SellerConfig(days=130, units=30.0, products=3, seed=5), DemandConfig()), RewardConfig())
    climb = moving(1.0)
    scores = score_paths(climb, dynamics)
    halves = [score_paths(climb, dynamics, (part, 2)) for part in range(2)]
    assert [len(half.policy_gain_mean) for half in halves] == [2, 1]
    assert scores.policy_gain_mean.tolist()[1] == pytest.approx(float(halves[1].policy_gain_mean))
    product, index = dynamics.history.latest()
    state = dynamics.start(product, index, torch.full_like(product, dynamics.market.mean_draw))
    path = []
    while len(path) < 28:
        price = dynamics.decide(state, climb(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        path += [price] * dynamics.days_per_step
    _, gain = over_keep(dynamics, torch.stack(path[:28], 1)[1], 1)
    assert scores.policy_gain_mean.tolist()[1] == pytest.approx(gain.profit.mean, rel=1e-4)
    assert scores.policy_gain_cvar.tolist()[1] == pytest.approx(gain.cvar, rel=1e-4)


def test_a_rank_without_a_product_scores_none(known_demand):
    scores = score_paths(moving(0.0), logged(known_demand, 10.0), (1, 2))
    assert all(len(values) == 0 for values in scores)


def product_market(known_demand, elasticity):
    return known_demand(price=np.repeat([8.0, 10.0, 14.0], 20), elasticity=elasticity).products[0]


def in_two(product, factor):
    """The product in its own market and in one whose elasticity is ``factor`` times that."""
    logs = product.units.log_value
    cost = product.cost
    twice = {name: np.repeat(getattr(cost, name), 2) for name in ("share_kept", "unit_cost", "fixed_cost")}
    units = replace(product.units, log_value=np.concatenate([logs, factor * logs]))
    return replace(product, units=units, cost=replace(cost, **twice))


@pytest.mark.parametrize(
    ("elasticity", "price", "probability", "break_even"),
    [
        pytest.param(-2.0, 10.0, 1.0, 10 / (10 - 6), id="at the price over the margin"),
        pytest.param(-2.0, 11.0, 1.0, 11 / (11 - 6), id="pays below the best price"),
        pytest.param(-2.0, 13.0, 0.0, 13 / (13 - 6), id="does not pay above it"),
        pytest.param(-9.0, 5.5, 1.0, None, id="a unit sold at a loss should cost more"),
    ],
)
def test_raising_the_price(known_demand, elasticity, price, probability, break_even):
    found = would_raising_pay(product_market(known_demand, elasticity), price)
    assert found.probability_better == probability and found.break_even == pytest.approx(break_even)


def test_raising_counts_posterior_draws_and_is_not_judged_without_costs(known_demand):
    product = product_market(known_demand, -2.0)
    assert would_raising_pay(in_two(product, 1.5), 10.0).probability_better == 0.5
    assert would_raising_pay(in_two(product, 1.2), 10.0).probability_better == 1.0
    assert would_raising_pay(replace(product, cost=replace(product.cost, known=False)), 10.0) is None


def with_fees(product, share_kept, fees_known):
    """The product with a share kept and unknown unit cost."""
    kept = np.full_like(product.cost.share_kept, share_kept)
    return replace(product, cost=replace(product.cost, share_kept=kept, known=False, fees_known=fees_known))


def test_a_rise_pays_above_the_break_even_cost_and_a_cut_below_it(known_demand):
    product = product_market(known_demand, -2.5)
    found = find_break_even(with_fees(product, 0.8, True), 10.0)
    assert found.cost == pytest.approx([0.8 * 10 * (1 - 1 / 2.5)] * 3) and found.fees_known
    assert found.left == pytest.approx([(0.8 * 10 - found.cost.mean) / 10] * 3), "what cost and fees leave of the price"
    for cost, pays in [(found.cost.mean + 0.1, 1.0), (found.cost.mean - 0.1, 0.0)]:
        costs = replace(product.cost, share_kept=np.array([0.8]), unit_cost=np.array([cost]))
        assert would_raising_pay(replace(product, cost=costs), 10.0).probability_better == pays


def test_without_fees_the_break_even_depends_on_demand_alone_and_spreads_over_the_posterior_draws(known_demand):
    product = product_market(known_demand, -2.5)
    found, other = (find_break_even(with_fees(product, share, False), 10.0) for share in (0.8, 0.6))
    assert found == other and found.cost.mean == pytest.approx(10 * (1 - 1 / 2.5)) and not found.fees_known
    assert found.left.mean == pytest.approx(1 / 2.5)
    found = find_break_even(in_two(product_market(known_demand, -2.0), 2.0), 10.0)
    ends = 10 * (1 - 1 / 2), 10 * (1 - 1 / 4)
    assert found.cost.mean == pytest.approx(np.mean(ends))
    assert ends[0] <= found.cost.low < found.cost.high <= ends[1]


@pytest.mark.parametrize("elasticity", [-0.7, 0.3])
def test_a_rise_that_brings_more_revenue_pays_at_any_cost(known_demand, elasticity):
    product = product_market(known_demand, elasticity)
    found = find_break_even(product, 10.0)
    assert found.cost == (0.0, 0.0, 0.0) and found.raises_revenue == 1.0
    free = replace(product, cost=replace(product.cost, unit_cost=np.zeros(1)))
    assert would_raising_pay(free, 10.0).probability_better == 1.0
    assert find_break_even(product_market(known_demand, -1.3), 10.0).raises_revenue == 0.0


def test_the_elasticity_is_the_slope_of_log_units_between_two_prices(known_demand):
    product = in_two(product_market(known_demand, -2.0), 1.5)
    np.testing.assert_allclose(elasticity_at(product, 10.0), [-2.0, -3.0], rtol=1e-6)


PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def product_of(market: Market) -> Product:
    return Product(Dynamics(market), 0)


@pytest.fixture
def known(known_demand: Callable[..., Market]) -> Product:
    """Units ``20 (p / 10)^-2`` at a unit cost of 6."""
    return product_of(known_demand(PRICES))


@pytest.fixture(scope="module")
def drawn(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Product:
    return product_of(fitted(SellerConfig(), DemandConfig(num_draws=32)))


def _gather(product: Product, target: float) -> Details:
    return gather_details(product, approach_path(target, product, 7).price.double().numpy())


def test_the_curves_are_the_markets_own_and_the_details_hold_own_days_and_bounds(known: Product) -> None:
    prices = np.array([9.0, 10.0, 12.0])
    curves = draw_curves(known, prices, 7)
    units = 20 * (prices / 10) ** -2
    np.testing.assert_allclose([row[0] for row in curves.units], units, rtol=1e-3)
    assert curves.profit is not None and curves.price.tolist() == [9.0, 10.0, 12.0]
    np.testing.assert_allclose([row[0] for row in curves.profit], (prices - 6) * units, rtol=2e-3)
    details = _gather(known, 10.0)
    assert details.own_days.total == len(details.own_days.price) == 60
    assert (details.bounds.lowest, details.bounds.highest) == pytest.approx((9.5, 10.5))


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
    details = _gather(product_of(market), 25.0)
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
    assert all(low < mean < high for mean, low, high in (*details.curves.units, *details.curves.profit))


def test_a_curve_is_worth_at_the_current_price_what_keeping_it_is_and_differences_are_paired(drawn: Product) -> None:
    now = float(drawn.market.preprocessor.products[0].price[-1])
    curves = draw_curves(drawn, np.array([now, 1.03 * now]), 14)
    keep, new = value_paths(drawn, torch.tensor([[now], [1.03 * now]]).expand(2, 14))
    for at, value in enumerate((keep, new)):
        assert curves.profit[at] == pytest.approx(value.outcome().profit, rel=1e-5)
        assert curves.units[at] == pytest.approx(value.outcome().units, rel=1e-5)
    paths = torch.stack([torch.full((7,), now), approach_path(1.03 * now, drawn, 7).price])
    before, after = value_paths(drawn, paths)
    keep, new, between = before.outcome(), after.outcome(), after.over(before)
    assert between.units.mean == pytest.approx(new.units.mean - keep.units.mean)
    assert between.units.high - between.units.low < 0.5 * (keep.units.high - keep.units.low)


@pytest.mark.parametrize(("profit", "side"), [((1, 2, 3), "above"), ((3, 2, 1), "below"), ((1, 3, 1), ""), (None, "")])
def test_the_best_may_lie_beyond_where_profit_rises_at_the_edge(profit: tuple[int, ...] | None, side: str) -> None:
    intervals = None if profit is None else np.array([[float(value), 0.0, 9.0] for value in profit])
    curves = PriceCurves(np.array([9.0, 10.0, 11.0]), np.ones((3, 3)), intervals, np.ones((3, 3)))
    assert curves.beyond("profit", 9.5, 10.5) == side
