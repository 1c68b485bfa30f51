"""A current price beyond a hard limit walks there in the allowed steps, and each day of the way says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import torch
from advising import advise_on, moving

from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.advice.sentences.grounds import describe_limits
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.reasons import Reason


@pytest.fixture
def shop(
    make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> Callable[..., Market]:
    """Return a market of elasticity -2 with unit cost 4, whose last prices are given."""

    def build(*last: float) -> Market:
        rng = np.random.default_rng(4)
        price = np.concatenate([np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 12), 7), [10.0] * 6, last])
        history = make_product(price, rng.poisson(20 * (price / 10) ** -2).astype(float))
        return fit_market(prepare(history), DemandConfig(num_draws=16), CostConfig(unit_cost=4.0, share_kept=0.9), 0)

    return build


@pytest.fixture
def varied(shop: Callable[..., Market]) -> Market:
    return shop()


def _advise(market: Market, horizon: int = 14, action: Any = "step", **limits: Any) -> ProductAdvice:
    return advise_on(market, moving(0.0), horizon, action, limits=GuardrailConfig(**limits))


def _prices(advice: ProductAdvice) -> list[float]:
    return [day.recommended_price for day in advice.days]


WAY_UP = [*[10.5] * 3, *[11.0] * 4, *[11.55] * 3, *[12.0] * 4]
"""5 % per step, three days per price, and at most 10 % in a week."""


@pytest.mark.parametrize(
    ("limits", "way", "rule"),
    [
        ({"floor": 12.0}, WAY_UP, "floor"),
        ({"min_advertised_price": 12.0}, WAY_UP, "min_advertised_price"),
        ({"ceiling": 8.9}, [*[9.5] * 3, *[9.03] * 3, *[9.0] * 3, *[8.9] * 5], "ceiling"),
    ],
)
def test_a_price_beyond_a_hard_limit_walks_there_and_each_day_says_so(
    limits: dict[str, float], way: list[float], rule: str, varied: Market
) -> None:
    advice = _advise(varied, **limits)
    assert _prices(advice) == pytest.approx(way)
    assert (advice.decision.follow, advice.decision.source, advice.decision.grade) == ("limit", "limits", "C")
    assert advice.decision.reasons == (Reason("keep_not_allowed"),)
    assert f"then in steps to {way[-1]:.2f}" in advice.reason
    (target,) = limits.values()
    notes = [day.note for day in advice.days]
    arrived = way.index(target)
    assert notes == [f"on the way to {target:.2f} ({rule})"] * arrived + [""] * (14 - arrived)
    assert rule in {edit.rule for edit in advice.guardrails} and "conflict" not in {e.rule for e in advice.guardrails}
    said = describe_limits(advice.to_dict(), PLAIN)
    assert said.startswith("The current price, 10.00, lies beyond a hard limit") and f"to {target:.2f} in" in said


def test_a_limit_in_reach_is_taken_at_once_without_a_note(varied: Market) -> None:
    advice = _advise(varied, floor=10.4)
    assert _prices(advice) == [10.4] * 14 and {day.note for day in advice.days} == {""}
    assert advice.decision.source == "limits" and "then in steps" not in advice.reason


def test_a_way_longer_than_the_advice_goes_on_in_the_next_one(varied: Market) -> None:
    advice = _advise(varied, horizon=5, floor=12.0)
    assert _prices(advice) == pytest.approx(WAY_UP[:5]) and all("12.00 (floor)" in day.note for day in advice.days)


@pytest.mark.parametrize(
    ("limits", "source"),
    [
        ({"floor": 12.0, "max_rise": 0.0}, "manual"),
        ({"floor": 12.0, "price_ladder": (9.0, 13.0)}, "manual"),
        ({"min_margin": 0.9}, "manual"),
        ({"floor": 12.0, "pause": True}, "hold"),
    ],
)
def test_a_pause_and_limits_that_no_walk_can_meet_keep_the_price(
    limits: dict[str, Any], source: str, varied: Market
) -> None:
    advice = _advise(varied, **limits)
    assert set(_prices(advice)) == {10.0} and {day.note for day in advice.days} == {""}
    assert (advice.decision.grade, advice.decision.source) == ("D" if source == "manual" else "C", source)


def test_a_weekday_without_any_history_is_named_and_not_forecast(varied: Market) -> None:
    product = replace(varied.products[0], trades_on=np.arange(7) < 6)
    closed, *open_days = sorted(_advise(replace(varied, products=(product,)), 7, floor=12.0).days, key=_is_open)
    assert closed.note == "no Sunday was ever recorded; on the way to 12.00 (floor)"
    assert (closed.units, closed.sales, closed.profit) == (None, None, None)
    assert all(day.units is not None and "recorded" not in day.note for day in open_days)


def _is_open(day: DayAdvice) -> bool:
    return date.fromisoformat(day.date).weekday() != 6


def test_without_steps_a_price_goes_inside_at_once(varied: Market) -> None:
    assert _prices(_advise(varied, action="absolute", floor=10.8))[-1] >= 10.8


def test_a_walk_that_waits_for_the_week_is_no_conflict(shop: Callable[..., Market]) -> None:
    advice = _advise(shop(*[10.5] * 3, *[11.0] * 3), floor=12.0)
    assert _prices(advice)[:3] == pytest.approx([11.0, 11.55, 11.55]) and _prices(advice)[-1] == 12.0
    assert advice.decision.source == "limits" and "conflict" not in {edit.rule for edit in advice.guardrails}


def test_planner_and_env_walk_like_the_gate(varied: Market) -> None:
    dynamics = Dynamics(varied, RewardConfig(), GuardrailConfig(floor=12.0), EnvConfig())
    plan = plan_dynamically(dynamics, 0.97**3)
    state, charged = dynamics.start(*dynamics.history.latest()), []
    assert not plan.notes and plan(state).tolist() == pytest.approx([10.5])
    for action in (-1.0, 0.0, 1.0, -1.0, 1.0):
        price = dynamics.decide(state, torch.full((1,), action))
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        charged.append(round(float(price), 4))
    assert charged[:4] == pytest.approx([10.5, 11.0, 11.0, 11.55]) and charged[4] >= 12.0
