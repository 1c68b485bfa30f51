"""Valuation of prices and paths in markets whose profit follows by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shops.sellers import ShopConfig

from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.scores import score_paths, with_rivals
from pricerl.evaluation.valuation import (
    elasticity_at,
    expect_path,
    find_break_even,
    value_at_risk,
    value_paths,
    would_raising_pay,
)
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import value_average_day
from pricerl.simulation.seller import SellerConfig

PROFIT_AT_TEN = 20.0 * (10 - 6)
PROFIT_AT_TWELVE = 20.0 / 1.2**2 * (12 - 6)


def logged(known_demand, prices):
    return Dynamics(known_demand(price=prices), RewardConfig())


def _product(market):
    return Product(Dynamics(market, RewardConfig("profit")), 0)


def rivals(dynamics, path):
    """The uplifts of a path over keeping the price and over the seller's own last prices."""
    own, keep, log = value_paths(Product(dynamics, 0), with_rivals(Product(dynamics, 0), path))
    return own, own.over(keep), own.over(log)


def test_a_path_is_valued_against_the_prices_of_the_last_days_and_against_the_current_price(known_demand):
    dynamics = logged(known_demand, np.repeat([10.0, 12.0, 10.0], [53, 4, 3]))
    own, over_keep, over_log = rivals(dynamics, torch.full((7,), 12.0))
    assert own.outcome().profit.mean == pytest.approx(PROFIT_AT_TWELVE, rel=1e-3)
    assert over_keep.profit.mean == pytest.approx(PROFIT_AT_TWELVE - PROFIT_AT_TEN, rel=1e-2)
    assert over_log.profit.mean == pytest.approx(3 / 7 * (PROFIT_AT_TWELVE - PROFIT_AT_TEN), rel=1e-2)
    assert over_log.probability_better == over_keep.probability_better == 1.0


def test_replaying_the_log_gains_nothing_over_it(known_demand):
    prices = np.repeat([10.0, 12.0, 9.0, 10.0], 15)
    _, over_keep, over_log = rivals(logged(known_demand, prices), torch.tensor(prices[-28:], dtype=torch.float32))
    assert over_log.profit.mean == 0 and over_log.probability_better == 0
    assert over_keep.profit.mean != 0


def test_a_horizon_longer_than_the_history_repeats_its_prices(known_demand):
    prices = np.repeat([10.0, 12.0], 15)
    dynamics = logged(lambda price: known_demand(price=price, num_days=30), prices)
    own, _, over_log = rivals(dynamics, torch.full((60,), 12.0))
    replayed = own.outcome().profit.mean - over_log.profit.mean
    assert replayed == pytest.approx(0.5 * (PROFIT_AT_TEN + PROFIT_AT_TWELVE), rel=1e-3)


def test_paths_meet_the_same_posterior_draws(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig())
    one, other = value_paths(_product(market), torch.full((2, 14), 10.0))
    assert one.profit.shape == (DemandConfig().num_draws,)
    assert (one.profit == other.profit).all() and one.profit.std() > 0
    assert one.over(other).profit == (0.0, 0.0, 0.0) and one.beats(other) == 0.0


def test_a_path_is_worth_the_days_of_the_env_with_weekdays_and_the_buyers_memory(fitted):
    market = fitted(ShopConfig(market="reference", days=200, units=30.0, seed=2), DemandConfig())
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
    for found, expected in zip((value.units, value.sales, value.profit), by_day, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_constant_price_is_valued_like_the_path_that_repeats_it(fitted):
    market = fitted(ShopConfig(market="reference", days=200, units=30.0, seed=2), DemandConfig())
    prices = market.preprocessor.products[0].current_price * torch.tensor([[0.97], [1.0], [1.05]])
    once, daily = value_paths(_product(market), prices, 10), value_paths(_product(market), prices.expand(3, 10))
    for constant, path in zip(once, daily, strict=True):
        for name in ("units", "sales", "profit"):
            np.testing.assert_allclose(getattr(constant, name), getattr(path, name), rtol=1e-6)


def test_paths_are_worth_the_mean_of_their_days_and_the_same_in_any_batch(fitted):
    product = _product(fitted(ShopConfig(market="reference", days=200, units=30.0, seed=2), DemandConfig()))
    factors = [[1.0] * 10, [1.0, 1.0, 1.04, 1.04, 1.04, 0.98, 0.98, 0.98, 1.0, 1.0], [0.97] * 5 + [0.94] * 5]
    paths = product.current_price * torch.tensor(factors)
    values = value_paths(product, paths)
    for path, value in zip(paths, values, strict=True):
        units, sales, profit, _, _ = (days.double().mean(1).numpy() for days in expect_path(product, path))
        for found, expected in zip((value.units, value.sales, value.profit), (units, sales, profit), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5)
        (alone,) = value_paths(product, path[None])
        assert (alone.earned == value.earned).all()


def test_a_tilt_widens_demand_at_other_prices_alone(fitted):
    product = _product(fitted(SellerConfig(days=100, units=30.0), DemandConfig()))
    prices = product.current_price * torch.tensor([[1.0], [1.1]])
    keep, dearer = value_paths(product, prices)
    same, wider = value_paths(product, prices, tilt=np.tile([-1.5, 1.5], product.market.num_draws // 2))
    assert same.units == pytest.approx(keep.units)
    ratio = wider.units / dearer.units
    assert ratio[1::2] / ratio[::2] == pytest.approx(1.1**3.0)
    assert wider.units.mean() == pytest.approx(dearer.units.mean())


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

    def climb(observation):
        return torch.ones(len(observation), 1)

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
    own, keep, _ = value_paths(Product(dynamics, 1), with_rivals(Product(dynamics, 1), torch.stack(path[:28], 1)[1]))
    assert scores.policy_gain_mean.tolist()[1] == pytest.approx(own.over(keep).profit.mean, rel=1e-4)
    assert scores.policy_gain_cvar.tolist()[1] == pytest.approx(own.over(keep).cvar, rel=1e-4)


def test_a_rank_without_a_product_scores_none(known_demand):
    scores = score_paths(lambda observation: torch.zeros(len(observation), 1), logged(known_demand, 10.0), (1, 2))
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


@pytest.mark.parametrize(("price", "probability"), [(11.0, 1.0), (13.0, 0.0)])
def test_raising_pays_below_the_best_price_and_not_above_it(known_demand, price, probability):
    assert would_raising_pay(product_market(known_demand, -2.0), price).probability_better == probability


def test_the_break_even_is_the_price_over_the_margin(known_demand):
    assert would_raising_pay(product_market(known_demand, -2.0), 10.0).break_even == pytest.approx(10 / (10 - 6))


def test_posterior_draws_are_counted(known_demand):
    assert would_raising_pay(in_two(product_market(known_demand, -2.0), 1.5), 10.0).probability_better == 0.5
    assert would_raising_pay(in_two(product_market(known_demand, -2.0), 1.2), 10.0).probability_better == 1.0


def test_a_unit_sold_at_a_loss_should_cost_more(known_demand):
    found = would_raising_pay(product_market(known_demand, -9.0), 5.5)
    assert found.probability_better == 1.0 and found.break_even is None


def test_without_costs_raising_is_not_judged(known_demand):
    product = product_market(known_demand, -2.0)
    assert would_raising_pay(replace(product, cost=replace(product.cost, known=False)), 10.0) is None


def with_fees(product, share_kept, fees_known):
    """The product with a share kept and unknown unit cost."""
    kept = np.full_like(product.cost.share_kept, share_kept)
    return replace(product, cost=replace(product.cost, share_kept=kept, known=False, fees_known=fees_known))


def test_a_rise_pays_above_the_break_even_cost_and_a_cut_below_it(known_demand):
    product = product_market(known_demand, -2.5)
    found = find_break_even(with_fees(product, 0.8, True), 10.0)
    assert found.cost == pytest.approx([0.8 * 10 * (1 - 1 / 2.5)] * 3) and found.fees_known
    for cost, pays in [(found.cost.mean + 0.1, 1.0), (found.cost.mean - 0.1, 0.0)]:
        costs = replace(product.cost, share_kept=np.array([0.8]), unit_cost=np.array([cost]))
        assert would_raising_pay(replace(product, cost=costs), 10.0).probability_better == pays


def test_the_break_even_share_is_what_fees_and_unit_cost_leave_of_the_price(known_demand):
    found = find_break_even(with_fees(product_market(known_demand, -2.5), 0.8, True), 10.0)
    assert found.left == pytest.approx([(0.8 * 10 - found.cost.mean) / 10] * 3)


def test_without_fees_the_break_even_depends_on_demand_alone(known_demand):
    product = product_market(known_demand, -2.5)
    found, other = (find_break_even(with_fees(product, share, False), 10.0) for share in (0.8, 0.6))
    assert found == other and found.cost.mean == pytest.approx(10 * (1 - 1 / 2.5)) and not found.fees_known
    assert found.left.mean == pytest.approx(1 / 2.5)


def test_the_break_even_spreads_over_the_posterior_draws(known_demand):
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
