"""Plan of a price test: prices that the gate lets pass, its length, its cost, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from pricerl.advice.sentences.next_steps import price_test_words
from pricerl.cli.experiments.price_test_words import refusal_lines
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.valuation import value_paths
from pricerl.experiments.plan import Budget, gate_schedule, make_order, plan_price_test, remaining_value
from pricerl.experiments.prices import find_arm_prices, gate_blocks
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.gate import pass_gate
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.planner.constant_price import candidate_prices
from pricerl.simulation.seller import SellerConfig

TRIED = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def _product(market: Market, **guardrails: Any) -> Product:
    return Product(Dynamics(market, guardrails=GuardrailConfig(**guardrails)), 0)


@pytest.fixture(scope="module")
def fitted_product(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Product:
    return _product(fitted(SellerConfig(), DemandConfig(num_draws=32)))


def test_every_way_leads_to_a_price_and_back_through_the_gate(fitted_product: Product) -> None:
    today = fitted_product.today
    ways = find_arm_prices(fitted_product)
    assert {way.price > today.now for way in ways} == {False, True}
    for way in ways:
        wanted = [way.price] * 7 + [way.current] * 7
        charged = gate_blocks(fitted_product, way.wait, wanted)
        assert charged[way.rows : 7] == wanted[way.rows : 7] and charged[7 + way.rows :] == wanted[7 + way.rows :]
        day = today
        for price in [way.current] * way.wait + charged:
            assert pass_gate(price, day).price == pytest.approx(price)
            day = day.charge(price)


def test_no_price_has_a_way_between_tight_limits_or_when_paused(known_demand: Callable[..., Market]) -> None:
    market = known_demand(TRIED)
    assert find_arm_prices(_product(market))
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


def _others(product: Product, current: dict[str, float] | None = None) -> set[float]:
    """Prices of the product's tests other than the current one."""
    return {arms.price for arms in find_arm_prices(product, current)}


def test_a_price_that_would_break_a_relation_gives_way_to_the_nearest_that_does_not(two_sizes: Market) -> None:
    free, ordered = _product(two_sizes), _relate(two_sizes, "size_order")
    small, large = (_others(Product(free.dynamics, index)) for index in (0, 1))
    assert max(small) > 10.3 and min(large) < 10.0
    assert _others(ordered) == {*(price for price in small if price < 10), 10.3}
    assert _others(Product(ordered.dynamics, 1)) == {*(price for price in large if price > 10.3), 10.0}
    planned = plan_price_test(ordered, "sales", Budget(182, 1e9))
    assert planned.test.price <= 10.3


def test_prices_of_other_markets_count_in_orders_lines_and_multipacks(two_sizes: Market) -> None:
    alone = _relate(two_sizes.select([0]), "size_order")
    assert max(_others(alone)) > 10.3
    assert max(_others(alone, {"L": 10.3})) == 10.3
    assert max(_others(alone, {"L": 10.3049})) == 10.3  # the next price step inside
    assert max(_others(alone, {"L": 10.1})) < 10  # 10.10 is too near to distinguish
    line = _relate(two_sizes.select([0]), "one_price")
    assert find_arm_prices(line, {"L": 10.0}) == [] and plan_price_test(line, current={"L": 10.0}) is None
    packed = _relate(two_sizes, "multipack", count=2)
    assert min(_others(packed)) < 9.7
    assert min(_others(_relate(two_sizes.select([0]), "multipack", count=2), {"L": 19.47})) == 9.74


def test_the_plan_is_short_and_wide_and_pays_only_inside_its_limits(fitted_product: Product) -> None:
    planned = plan_price_test(fitted_product, "profit", Budget(cost=1e9))
    test, design = planned.test, planned.design
    assert test.days == design.rows == 2 * design.pairs * design.block == 28
    assert test.block % 7 == 0 and test.washout >= 1 and design.pairs >= 2 and 0 <= test.decides <= 1
    assert test.cost <= test.worst_cost and test.expected_cost <= test.worst_cost
    assert 0.02 <= abs(test.price / test.regular_price - 1) <= 0.1
    (kept,) = value_paths(fitted_product, fitted_product.money([[fitted_product.current_price] * 28]))
    assert planned.fits and test.pays == (test.gain >= 0.001 * 91 * kept.profit.mean())
    short = plan_price_test(fitted_product, "profit", Budget(14, 1e9))
    assert not short.fits and not short.test.pays
    capped = plan_price_test(fitted_product, "profit", Budget(cost=0.0))
    assert capped.test.cost == 0 or not capped.test.pays


def test_the_net_value_is_that_of_the_quarter_with_the_test_minus_that_without_it(fitted_product: Product) -> None:
    """Recomputed draw by draw: the test's own days at their prices, then the price that the weighed draws prefer."""
    config = DecisionConfig(loss_weight=3.0, min_chance=0.0)
    planned = plan_price_test(fitted_product, "profit", Budget(cost=1e9), config=config)
    test, now = planned.test, fitted_product.current_price
    targets = [now, *candidate_prices(fitted_product)[::20].tolist()]
    paths = fitted_product.money([test.price, *targets])[:, None].expand(-1, 28)
    tested, keep, *others = value_paths(fitted_product, paths)
    gains = np.stack([value.profit - keep.profit for value in (keep, *others)])
    during = test.days / 2 * (tested.profit - keep.profit)
    ratio, sd = np.log(tested.units / keep.units), planned.sales.log_ratio_sd(planned.design)
    total = 0.0
    for truth in ratio:
        for node, chance in ((-(3**0.5), 1 / 6), (0.0, 4 / 6), (3**0.5, 1 / 6)):
            weights = norm.pdf(truth + sd * node, ratio, sd)
            ends = during + (91 - test.days) * gains
            total += chance * max(np.average(np.where(end < 0, 3 * end, end), weights=weights) for end in ends)
    without = max(np.where(gain < 0, 3 * gain, gain).mean() for gain in 91 * gains)
    assert test.gain == pytest.approx(total / len(ratio) - without, rel=1e-3, abs=1e-3)


def test_where_demand_is_known_a_test_and_the_rest_of_it_only_cost(known_demand: Callable[..., Market]) -> None:
    """Elasticity -2 and unit cost 6: the best price is 12, and no draw doubts it, so that only waiting costs."""
    product = _product(known_demand(TRIED))
    planned = plan_price_test(product, "profit", Budget(cost=1e9))
    test = planned.test
    earned = {at: (at - 6) * 20 * (at / 10) ** -2 for at in (test.price, test.regular_price)}
    assert test.uplift.mean == pytest.approx(earned[test.price] - earned[test.regular_price], rel=0.02)
    lost = (earned[test.regular_price] - earned[test.price]) / 2
    assert test.expected_cost == pytest.approx(lost * test.days, rel=0.05)
    assert test.gain < 0 and not test.pays
    order = make_order(planned, gate_schedule(planned, product, 0), product, 0)
    whole, half = (remaining_value(product, order, passed, DecisionConfig()) for passed in (0, 14))
    assert whole == pytest.approx(planned.test.gain, rel=0.05) and whole < half < 0


def test_consent_lets_a_test_jump_beyond_steps_and_prices_tried_but_not_beyond_hard_limits(
    known_demand: Callable[..., Market],
) -> None:
    market = known_demand(np.repeat([9.9, 10.0, 10.1, 10.0], 15))
    assert _others(_product(market)) == set(), "nothing farther than 1 % was tried"
    consent = _product(market, test_change=0.1, max_change=0.02, max_week_change=0.02)
    assert _others(consent) == {9.1, 9.53, 10.5, 11.0} and {arms.rows for arms in find_arm_prices(consent)} == {0}
    assert max(_others(_product(market, test_change=0.04))) == 10.4
    assert min(_others(_product(market, test_change=0.1, floor=9.5))) == 9.5
    assert _others(_product(market, test_change=0.1, max_rise=0)) == set(), "no way back from a lower price"
    assert _others(_product(market, test_change=0.1, pause=True)) == set()
    wider = find_arm_prices(_product(market), consent=0.1)
    assert max(arms.price for arms in wider) == 11.0


def test_without_costs_only_sales_can_be_compared(two_sizes: Market) -> None:
    product = _product(two_sizes)
    assert plan_price_test(product) is None
    planned = plan_price_test(product, "sales", Budget(cost=1e9))
    assert planned.test.question == "sales"
    assert planned.sales.values == (planned.test.regular_price, planned.test.price)


def test_a_test_in_words_names_its_price_length_worth_and_cost() -> None:
    test = {"price": 33.9, "regular_price": 36.91, "days": 84, "block": 7, "cost": 21.0, "gain": 310.0, "pays": True}
    said = " ".join(price_test_words(test, PLAIN))
    assert all(number in said for number in ("33.90", "36.91", "84 days", "310.00", "21.00"))
    (refusal,) = price_test_words({**test, "pays": False, "gain": -12.0}, PLAIN)
    assert "33.90" in refusal and "12.00" in refusal


@pytest.mark.parametrize(
    ("changes", "gain", "said"),
    [
        ({}, 36.82, "within 364 days it is worth 36.82 more than deciding now; below 73.20 (0.1 % of earnings) it is"),
        (
            {"fits": False},
            90.0,
            "worth 90.00 more than deciding now, but --max_days or --max_cost (else decision.loss_",
        ),
        ({"counts": 91}, -84.93, "within a quarter it is worth 84.93 less than deciding now"),
    ],
    ids=["too little", "too dear", "less than nothing"],
)
def test_a_test_that_does_not_pay_is_refused_with_the_reason(
    fitted_product: Product, changes: dict[str, Any], gain: float, said: str
) -> None:
    planned = plan_price_test(fitted_product, "profit", Budget(182, 1e9))
    assert planned is not None and planned.counts == 364
    assert planned.test.pays == (planned.fits and planned.test.gain >= planned.matters)
    planned = replace(planned, matters=73.2, fits=True, test=replace(planned.test, gain=gain, pays=False))
    _, remedy = refusal_lines(fitted_product, replace(planned, **changes), None, PLAIN)
    assert said in remedy and ("work" in remedy) == (not changes)
