"""The off-policy estimate, on logs whose truth is known and with models that are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shops.known_market import known_market

from pricerl.evaluation.off_policy import estimate_off_policy, mean_kernel, similarity
from pricerl.market.cost import CostConfig

COST = 6.0
DAYS = 364


def truth(price):
    """Contribution a day at elasticity -2 and 20 units at 10.00."""
    return (price - COST) * 20 * (price / 10) ** -2.0


@pytest.fixture
def log(make_product, prepare):
    """Return a log of random prices, and a market that believes in ``believed`` units."""

    def build(seed, believed, prices=None, cost=CostConfig(unit_cost=COST)):
        rng = np.random.default_rng(seed)
        price = np.round(10 * np.exp(rng.uniform(-0.2, 0.25, DAYS)), 2) if prices is None else prices
        history = make_product(price, rng.poisson(20 * (price / 10) ** -2.0).astype(float))
        return history, known_market(prepare(history), believed, cost).products[0]

    return build


def flat_and_low(price):
    """Units of a model that is wrong in level and slope."""
    return np.full_like(price, 14.0)


def estimates(log, believed, price, count=60):
    return [estimate_off_policy(*log(seed, believed), price, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("price", [9.5, 10.0, 11.0])
def test_randomised_prices_mend_a_model_that_is_wrong(log, price):
    found = estimates(log, flat_and_low, price)
    values = np.array([item.value.mean for item in found])
    assert abs(values.mean() - truth(price)) < 0.015 * truth(price)
    assert abs(found[0].model - truth(price)) > 0.1 * truth(price)


def test_a_right_model_is_confirmed(log):
    values = np.array([item.value.mean for item in estimates(log, lambda at: 20 * (at / 10) ** -2.0, 11.0)])
    assert values.mean() == pytest.approx(truth(11.0), rel=0.01)


def test_nine_in_ten_intervals_hold_the_truth(log):
    held = [item.value.low <= truth(10.5) <= item.value.high for item in estimates(log, flat_and_low, 10.5, 120)]
    assert 0.83 <= np.mean(held) <= 0.97


def test_a_price_that_was_never_charged_is_not_identifiable(log):
    found = estimate_off_policy(*log(0, flat_and_low), 16.0, np.random.default_rng(0))
    assert (found.value, found.model) == (None, None)
    assert found.effective_days == 0
    assert found.reason == "0 effective days in 0 weeks at similar prices; 20 days and 4 weeks are needed"


def test_a_price_charged_in_three_weeks_alone_is_not_identifiable(log):
    prices = np.where(np.arange(DAYS) // 21 == 5, 12.0, 10.0)
    history, market = log(0, flat_and_low, prices)
    found = estimate_off_policy(history, market, 12.0, np.random.default_rng(0))
    assert found.value is None and found.reason.startswith("21 effective days in 3 weeks")
    assert estimate_off_policy(history, market, 10.0, np.random.default_rng(0)).value is not None


def test_unknown_costs_are_a_reason(log):
    history, market = log(0, flat_and_low)
    blind = replace(market, cost=replace(market.cost, known=False))
    found = estimate_off_policy(history, blind, 10.0, np.random.default_rng(0))
    assert found.value is None and found.reason == "costs are unknown"


def test_days_without_sales_figures_do_not_count(log):
    history, market = log(0, flat_and_low)
    hidden = np.arange(DAYS) % 2 == 0
    spoiled = replace(history, observed=~hidden, units=np.where(hidden, 1e6, history.units))
    found = estimate_off_policy(spoiled, market, 10.0, np.random.default_rng(0))
    assert found.value.mean == pytest.approx(truth(10.0), rel=0.06)


def test_days_of_a_weekend_discount_weigh_alike():
    weekday = np.arange(70) % 7
    price = np.where(weekday >= 5, 9.0, 10.0)
    weight, effective = similarity(np.log(price), weekday, np.log(9.0))
    assert (weight > 0).tolist() == (weekday >= 5).tolist()
    assert effective == pytest.approx(20)
    assert np.ptp(weight[weekday >= 5]) == pytest.approx(0)


def test_effective_days_by_hand():
    prices = np.log(np.repeat([10.0, 11.0], 14))
    weekday = np.arange(28) % 7
    assert similarity(prices, weekday, np.log(10.0))[1] == pytest.approx(14)
    width = 2.34 * prices.std() * 28**-0.2
    assert similarity(prices, weekday, np.log(10.0) - 0.5 * width)[1] == pytest.approx(14 * 0.75)


@pytest.mark.parametrize("width", [0.01, 0.05, 1.0])
def test_the_mean_kernel_in_sorted_order_is_that_of_all_pairs(width):
    values = np.round(np.random.default_rng(0).normal(0.5, 0.05, 400), 3)
    pairs = np.maximum(1 - ((values[:, None] - values) / width) ** 2, 0).mean(1)
    np.testing.assert_allclose(mean_kernel(values, width), pairs, rtol=1e-9, atol=1e-12)
