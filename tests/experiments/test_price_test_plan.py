"""Plan of a price test: prices that the gate lets pass, its length, its cost, and its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.next_steps import price_test_words
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.experiments.plan import MOST_DAYS, Budget, plan_price_test
from pricerl.experiments.prices import find_reachable_prices, gate_blocks
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.gate import pass_gate
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig

TRIED = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def _product(market: Market, **guardrails: Any) -> Product:
    return Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig()), 0)


@pytest.fixture(scope="module")
def fitted_product(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Product:
    return _product(fitted(SellerConfig(), DemandConfig(num_draws=32)))


def test_every_way_leads_to_a_price_and_back_through_the_gate(fitted_product: Product) -> None:
    today = fitted_product.today
    ways = find_reachable_prices(fitted_product)
    assert {way.price > today.now for way in ways} == {True, False}
    for way in ways:
        wanted = [way.price] * 7 + [way.current] * 7
        charged = gate_blocks(fitted_product, way.wait, wanted)
        assert charged[way.rows : 7] == wanted[way.rows : 7] and charged[7 + way.rows :] == wanted[7 + way.rows :]
        log = today.log
        for price in [way.current] * way.wait + charged:
            assert pass_gate(price, log.prices[-1], log, today.costs, today.config).price == pytest.approx(price)
            log = log.charge(price)


def test_no_price_has_a_way_between_tight_limits_or_when_paused(known_demand: Callable[..., Market]) -> None:
    market = known_demand(TRIED)
    assert find_reachable_prices(_product(market))
    for guardrails in ({"floor": 9.9, "ceiling": 10.1}, {"pause": True}):
        assert plan_price_test(_product(market, **guardrails)) is None


@pytest.fixture(scope="module")
def two_sizes(make_product: Callable[..., Any], prepare: Callable[..., Any]) -> Market:
    """Small at 10.00 and large at 10.30, after 9.00 to 11.00 and 9.27 to 11.33."""
    units = np.random.default_rng(0).poisson(30, 60).astype(float)
    small, large = make_product(TRIED, units, product="S"), make_product(1.03 * TRIED, units, product="L")
    return fit_market(prepare(small, large), DemandConfig(num_draws=8))


def _relate(market: Market, kind: str, **more: Any) -> Product:
    return _product(market, relations=[{"kind": kind, "products": ["S", "L"], **more}])


def test_a_price_that_would_break_a_relation_gives_way_to_the_nearest_that_does_not(two_sizes: Market) -> None:
    free, ordered = _product(two_sizes), _relate(two_sizes, "size_order")
    small, large = ([way.price for way in find_reachable_prices(Product(free.dynamics, index))] for index in (0, 1))
    assert max(small) > 10.3 and min(large) < 10.0
    assert {way.price for way in find_reachable_prices(ordered)} == {*(price for price in small if price < 10), 10.3}
    assert {way.price for way in find_reachable_prices(Product(ordered.dynamics, 1))} == {
        *(price for price in large if price > 10.3),
        10.0,
    }
    planned = plan_price_test(ordered, "sales", Budget(730, 1e9))
    assert planned is not None and planned.test.price <= 10.3


def test_prices_of_other_markets_count_and_a_line_of_one_price_has_no_test(two_sizes: Market) -> None:
    alone = _relate(two_sizes.select([0]), "size_order")
    assert max(way.price for way in find_reachable_prices(alone)) > 10.3
    assert max(way.price for way in find_reachable_prices(alone, {"L": 10.3})) == 10.3
    assert max(way.price for way in find_reachable_prices(alone, {"L": 10.3049})) == 10.3  # the next price step inside
    assert max(way.price for way in find_reachable_prices(alone, {"L": 10.1})) < 10  # 10.10 is too near to distinguish
    line = _relate(two_sizes.select([0]), "one_price")
    assert find_reachable_prices(line, {"L": 10.0}) == [] and plan_price_test(line, current={"L": 10.0}) is None


def test_a_multipack_bounds_the_test_of_its_single_from_below(two_sizes: Market) -> None:
    packed = _relate(two_sizes, "multipack", count=2)
    assert min(way.price for way in find_reachable_prices(packed)) < 9.7
    alone = _relate(two_sizes.select([0]), "multipack", count=2)
    assert min(way.price for way in find_reachable_prices(alone, {"L": 19.47})) == 9.74


def test_the_plan_takes_the_price_and_the_length_that_earn_most_and_pays_only_above_what_matters(
    fitted_product: Product,
) -> None:
    """Elasticity -1.8 to -2.6 and a best price 6 to 12 % away: a history of a year leaves little to be learned."""
    planned = plan_price_test(fitted_product, "profit", Budget(182, 1e9))
    assert planned is not None
    test, design = planned.test, planned.design
    assert test.days == design.rows == 2 * design.pairs * design.block
    assert test.block % 7 == 0 and test.washout >= 1 and design.pairs >= 6
    assert test.cost <= test.worst_cost and test.expected_cost <= test.worst_cost
    assert test.pays == (test.gain >= planned.rule.loss) and planned.rule.year == 364
    assert test.mean_days <= test.days <= 182 and test.wrong <= min(test.decides, 0.10)
    assert 0.02 <= abs(test.price / test.regular_price - 1) <= 0.2
    short = plan_price_test(fitted_product, "profit", Budget(28, 1e9))
    assert short is not None and not short.test.pays
    capped = plan_price_test(fitted_product, "profit", Budget(182, 0.0))
    assert capped is not None and (capped.test.cost == 0 or not capped.test.pays)


def test_where_demand_is_known_a_test_only_costs(known_demand: Callable[..., Market]) -> None:
    """Elasticity -2 and unit cost 6: the best price is 12, and no draw doubts it, so that only waiting costs."""
    planned = plan_price_test(_product(known_demand(TRIED)), "profit", Budget(182, 1e9), keeps=False)
    assert planned is not None
    test = planned.test
    earned = {price: (price - 6) * 20 * (price / 10) ** -2 for price in (test.price, test.regular_price)}
    assert test.uplift.mean == pytest.approx(earned[test.price] - earned[test.regular_price], rel=0.02)
    assert test.expected_cost == pytest.approx(-test.uplift.mean * test.days / 2, rel=0.05)
    assert test.gain < 0 and not test.pays


def test_limits_that_allow_larger_steps_let_the_test_take_them(known_demand: Callable[..., Market]) -> None:
    market = known_demand(np.repeat([8.0, 10.0, 12.0, 10.0], 15))
    steps = [abs(way.price / 10 - 1) for way in find_reachable_prices(_product(market))]
    assert max(steps) > 0.15 and min(steps) == pytest.approx(0.05, abs=0.01)
    assert max(abs(way.price / 10 - 1) for way in find_reachable_prices(_product(market, max_week_change=0.06))) < 0.13


def test_without_costs_only_sales_can_be_compared(
    prepare: Callable[..., Any], make_product: Callable[..., Any]
) -> None:
    from pricerl.market.fitting import fit_market

    units = np.random.default_rng(1).poisson(400 * (TRIED / 10) ** -2.0).astype(float)
    dynamics = _product(fit_market(prepare(make_product(TRIED, units)), DemandConfig(num_draws=16)))
    assert plan_price_test(dynamics) is None
    planned = plan_price_test(dynamics, "sales", Budget(MOST_DAYS, 1e9))
    assert planned is not None and planned.test.question == "sales"
    assert planned.sales.values == (planned.test.regular_price, planned.test.price)


TEST = {"price": 33.9, "days": 84, "block": 7, "cost": 21.0, "gain": 310.0, "pays": True}


def test_a_test_in_words_states_length_worth_and_cost() -> None:
    assert price_test_words(TEST, 36.91, PLAIN) == [
        "Test 33.90: up to 84 days, blocks of 7 days at 33.90 and at 36.91 in random order (price-test plan).",
        "Net of its cost, it is expected to earn 310.00 profit more within a year than no test.",
        "In 19 of 20 plausible scenarios it costs at most 21.00 profit.",
    ]
    assert price_test_words({**TEST, "pays": False, "gain": -12.0}, 36.91, PLAIN) == [
        "No price test pays: within a year the best one, of 33.90, would earn 12.00 profit less than no test."
    ]
