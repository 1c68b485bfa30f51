"""What-if: the market's answer to a price, and what the guardrails have against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pricerl.advice.what_if import answer_lines
from pricerl.decide.objections import object_along
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.tasks.ask import compare_prices

TRIED = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


@pytest.fixture
def varied(known_demand: Callable[..., Market]) -> Market:
    return known_demand(TRIED)


def _product(market: Market, **guardrails: Any) -> Product:
    return Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig()), 0)


def _objections(price: float, product: Product) -> tuple[Any, ...]:
    return object_along([price], product, product.market.preprocessor.current_prices)


def test_the_answer_is_the_known_markets_and_its_lines_name_prices_scenarios_and_differences(varied: Market) -> None:
    answer = compare_prices(_product(varied), 12.0, 14)
    found = answer.measures
    units = 20 * 1.2**-2
    assert found["units"][0].mean == pytest.approx(units, rel=1e-3)
    assert found["units"][1].mean == pytest.approx(20.0, rel=1e-3)
    assert found["sales"][2].mean == pytest.approx(12 * units - 200, rel=1e-2)
    assert found["profit"][0].mean == pytest.approx((12 - 6) * units, rel=1e-3)
    assert set(found) == {"units", "sales", "profit"}  # conversions were never reported
    assert answer.probability_better == 1.0 and answer.current_price == 10.0
    lines = answer_lines(answer, PLAIN)
    assert lines[0] == "product: 12.00 instead of 10.00"
    assert "at 12.00" in lines[1] and "keeping 10.00" in lines[1]
    assert any(line.startswith("  profit ") and "+3.3" in line for line in lines)
    assert any("would earn more in" in line and "plausible scenarios" in line for line in lines)


def test_keeping_the_price_makes_no_difference_and_meets_no_objection(varied: Market) -> None:
    answer = compare_prices(_product(varied), 10.0, 7)
    assert all(change == (0.0, 0.0, 0.0) for _, _, change in answer.measures.values())
    assert answer.probability_better == 0.0 and answer.objections == ()
    assert answer_lines(answer, PLAIN)[-1] == "  within all limits"
    rows = answer_lines(answer, PLAIN)[2:5]
    assert all(row.endswith("no change") and "(" not in row for row in rows)  # draws of known demand are all the same


@pytest.mark.parametrize(
    ("price", "guardrails", "said", "nearest"),
    [
        (7.0, {}, "max_change: at most 5 % below the current price", 9.5),
        (10.6, {}, "max_change: at most 5 % above the current price", 10.5),
        (10.4, {"max_rise": 0.03}, "max_rise: at most 3 % above the current price", 10.3),
        (11.2, {"max_change": 0.5}, "max_week_change: at most 10 % from 10, the price of 7 days before", 11),
        (10.4, {"max_above_median": 0.02}, "max_above_median: at most 2 % above 10, its median of 28 days", 10.2),
        (12.5, {"max_change": 0.5}, "support_margin: near the prices that were tried", 11),
        (10.4, {"pause": True}, "pause: the product is paused", 10),
        (10.4, {"price_ladder": (10.0, 10.5)}, "price_ladder: the nearest price that may be charged", 10.5),
        (10.05, {}, "min_change: smaller than 1 %", 10),
        (5.9, {}, "min_margin: a margin of 0 % after fees and cost", 9.5),
        (10.0, {"floor": 10.5}, "floor: at least 10.5", 10.5),
        (10.4, {"min_margin": 0.5}, "min_margin: a margin of 50 % after fees and cost", 10.5),
        (10.4, {"ceiling": 10.2}, "ceiling: at most 10.2", 10.2),
        (10.403, {}, "price_step: the nearest price that may be charged", 10.4),
        (10.4, {"products": {"product": {"ceiling": 10.2}}}, "ceiling: at most 10.2", 10.2),
    ],
)
def test_every_guardrail_that_objects_is_named(
    price: float, guardrails: dict[str, Any], said: str, nearest: float, varied: Market
) -> None:
    found = _objections(price, _product(varied, **guardrails))
    assert (*said.split(": "), nearest) in {(item.rule, item.why, item.nearest) for item in found}


def test_a_price_that_the_policy_could_reach_meets_no_objection_but_a_young_price_asks_to_wait(
    varied: Market, known_demand: Callable[..., Market]
) -> None:
    assert [_objections(price, _product(varied)) for price in (9.5, 9.9, 10.1, 10.5)] == [()] * 4
    (said,) = _objections(10.4, _product(known_demand(np.array([10.0] * 59 + [10.2]))))
    assert said.why == "the current price has been charged for 1 of at least 3 days"


@pytest.mark.parametrize("step", [0.01, 0.05, 1.0])
def test_the_next_allowed_price_is_on_the_grid_and_within_every_limit(step: float, varied: Market) -> None:
    """5 % below 10.50 is 9.975, which no shop can charge."""
    product = _product(varied, price_step=step, max_drop=0.0325, min_margin=0.385)
    for price in (7.0, 9.66, 9.777, 12.0):
        (nearest,) = {item.nearest for item in _objections(price, product)}
        assert nearest is not None and round(nearest / step, 6) == round(nearest / step)
        assert nearest == compare_prices(product, price, 3).allowed and not _objections(nearest, product)


def test_the_hard_limits_are_those_of_the_projection(varied: Market) -> None:
    limits = _product(varied, floor=9.9, ceiling=15.0, price_step=0.05).hard_limits
    assert (limits.floor, limits.ceiling, limits.price_step) == (9.9, 15.0, 0.05)
    assert _product(varied, price_step=0.05).hard_limits.floor == 6.0
    assert _product(varied).hard_limits.ceiling is None


@pytest.fixture
def pair(fitted: Callable[..., Market]) -> Market:
    """A market of two products."""
    return fitted(SellerConfig(days=90, units=30.0, products=2, seed=5), DemandConfig(num_draws=16))


def test_relations_object_and_name_the_price_that_they_leave(pair: Market) -> None:
    now = {item.product: item.current_price for item in pair.preprocessor.products}
    small, large = sorted(now, key=lambda name: now[name])
    index = list(now).index(large)
    relation = {"kind": "size_order", "products": [small, large]}
    rails = {"relations": [relation], "max_change": 0.9, "max_week_change": 0.9, "support_margin": 0.9}
    held = _product(pair, **rails)
    low = round(0.97 * now[small], 2)
    answer = compare_prices(Product(held.dynamics, index), low, 14)
    assert answer.objections[-1] == (
        f"{small} at {now[small]:.10g} would cost more than the larger {large} at {low:.10g}"
    )
    assert answer.allowed == pytest.approx(now[small])
    alone = compare_prices(_product(pair.select([index]), **rails), low, 14, now)
    assert (alone.objections, alone.allowed) == (answer.objections, answer.allowed)
    dearer = compare_prices(Product(held.dynamics, index), round(1.03 * now[large], 2), 14).objections
    assert not any("would cost more" in text for text in dearer)


def test_a_line_of_one_price_leaves_only_its_price(pair: Market) -> None:
    first, second = pair.preprocessor.products
    relation = {"kind": "one_price", "products": [first.product, second.product]}
    answer = compare_prices(_product(pair, relations=[relation]), round(1.03 * first.current_price, 2), 14)
    assert answer.objections[-1].startswith(f"{first.product} at ")
    assert answer.allowed in (first.current_price, second.current_price)
    assert f"nearest price within all limits: {PLAIN.price(answer.allowed)}" in answer_lines(answer, PLAIN)[-1]
