"""What-if: the market's answer to a price, and what the guardrails have against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pricerl.advice.objections import find_objections, hard_limits_of
from pricerl.advice.what_if import answer_lines, ask
from pricerl.env import Dynamics, EnvConfig
from pricerl.env.pricing import build_dynamics
from pricerl.market import GuardrailConfig, Market, RewardConfig

TRIED = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


@pytest.fixture
def varied(known_demand: Callable[..., Market]) -> Market:
    return known_demand(TRIED)


def _dynamics(market: Market, **guardrails: Any) -> Dynamics:
    return build_dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig())


def test_the_answer_is_the_known_markets(varied: Market) -> None:
    answer = ask(_dynamics(varied), 0, 12.0, 14)
    found = {row.name: row for row in answer.measures}
    units = 20 * 1.2**-2
    assert found["units"].asked.mean == pytest.approx(units, rel=1e-3)
    assert found["units"].kept.mean == pytest.approx(20.0, rel=1e-3)
    assert found["sales"].difference.mean == pytest.approx(12 * units - 200, rel=1e-2)
    assert found["profit"].asked.mean == pytest.approx((12 - 6) * units, rel=1e-3)
    assert set(found) == {"units", "sales", "profit"}  # conversions were never reported
    assert answer.chance_better == 1.0 and answer.price_now == 10.0


def test_keeping_the_price_makes_no_difference_and_meets_no_objection(varied: Market) -> None:
    answer = ask(_dynamics(varied), 0, 10.0, 7)
    assert all(row.difference == (0.0, 0.0, 0.0) for row in answer.measures)
    assert answer.chance_better == 0.0 and answer.objections == ()
    assert answer_lines(answer, 0.01)[-1] == "  guardrails: no objection"


@pytest.mark.parametrize(
    ("price", "guardrails", "said"),
    [
        (7.0, {}, "max_change: -30.0 % in one change, at most 5 %"),
        (10.6, {}, "max_change: +6.0 % in one change"),
        (11.2, {"max_change": 0.5}, "max_week_change: +12.0 % in a week, at most 10 %"),
        (12.5, {"max_change": 0.5, "max_week_change": 0.5}, "support_margin: outside 8.10 to 12.10"),
        (10.05, {}, "min_change: a change of +0.50 % is ignored"),
        (5.9, {}, "hard limit: 5.9 lies below the floor of 6 "),
        (10.0, {"floor": 10.5}, "hard limit: 10 lies below the floor of 10.5"),
        (10.4, {"min_margin": 0.5}, "hard limit: 10.4 lies below the floor of 12"),
        (10.4, {"ceiling": 10.2}, "hard limit: 10.4 lies above the ceiling of 10.2"),
        (10.403, {}, "hard limit: 10.403 is no whole multiple of the price step of 0.01"),
    ],
)
def test_every_guardrail_that_objects_is_named(
    price: float, guardrails: dict[str, Any], said: str, varied: Market
) -> None:
    assert any(said in text for text in find_objections(_dynamics(varied, **guardrails), 0, price))


@pytest.mark.parametrize("price", [9.5, 9.9, 10.1, 10.5])
def test_a_price_that_the_policy_could_reach_meets_no_objection(price: float, varied: Market) -> None:
    assert find_objections(_dynamics(varied), 0, price) == []


def test_a_young_price_asks_to_wait(known_demand: Callable[..., Market]) -> None:
    young = known_demand(np.array([10.0] * 59 + [10.2]))
    (said,) = find_objections(_dynamics(young), 0, 10.4)
    assert said == "min_hold_days: the last change is too young, 2 more days to wait"


def test_the_hard_limits_are_those_of_the_projection(varied: Market) -> None:
    limits = hard_limits_of(_dynamics(varied, floor=9.9, ceiling=15.0, price_step=0.05), 0)
    assert (limits.floor, limits.ceiling, limits.price_step) == (9.9, 15.0, 0.05)
    assert hard_limits_of(_dynamics(varied, price_step=0.05), 0).floor == 6.0
    assert hard_limits_of(_dynamics(varied), 0).ceiling is None


def test_the_lines_name_prices_markets_and_differences(varied: Market) -> None:
    lines = answer_lines(ask(_dynamics(varied), 0, 12.0, 14), 0.01)
    assert lines[0] == "product: 12.00 instead of 10.00"
    assert "at 12.00" in lines[1] and "keeping 10.00" in lines[1]
    assert any(line.startswith("  profit ") and "+3.3" in line for line in lines)
    assert any("earns more in" in line and "markets that fit the history" in line for line in lines)
