"""The kill switch stops the model only for prices that were advised, and no path publishes a change that loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from advising import moving

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.overruled import find_alarm
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.provenance import describe_history
from pricerl.operations.standings import find_standings
from pricerl.planner.rollout import Policy

LOW = np.full(30, 100.0)
UNIT_COSTS = {"low": 3.0, "even": 5.0, "thin": 9.7, "above the price": 11.0}
GUARDRAILS: list[dict[str, Any]] = [{}, {"floor": 10.4}, {"ceiling": 9.6}, {"price_ladder": (9.0, 9.8, 10.0, 10.3)}]
USUAL, LENIENT = DecisionConfig(), DecisionConfig(min_chance=0.01)
"""The default gate, and one that nearly every change passes."""
KEEPING, LOWERING = moving(0.0), moving(-1.0)


@pytest.fixture(scope="module")
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """30 days at 10.00, the last four at 11.00, 20 units each."""
    return make_product(np.array([10.0] * 26 + [11.0] * 4), np.full(30, 20.0))


def _with_sales(history: ProductHistory, *last: float) -> ProductHistory:
    sales = history.sales.copy()
    sales[-len(last) :] = last
    return replace(history, sales=sales)


@pytest.mark.parametrize(
    ("last", "most_days", "days", "last_good_price"),
    [
        ((120.0, 90.0, 80.0, 70.0), 3, 3, 11.0),
        ((90.0, 90.0, 80.0, 70.0), 3, 4, 10.0),
        ((50.0,) * 30, 3, 30, 10.0),
        ((120.0, 90.0, 80.0), 2, 2, 11.0),
    ],
    ids=["three days", "back to the price before the run", "back to the first price", "two days by a setting"],
)
def test_days_below_the_limit_sound_the_alarm_and_name_the_last_good_price(
    last: Sequence[float], most_days: int, days: int, last_good_price: float, history: ProductHistory
) -> None:
    alarm = find_alarm(_with_sales(history, *last), LOW, most_days)
    assert alarm is not None and (alarm.days, alarm.last_good_price) == (days, last_good_price)
    assert (alarm.first_day, alarm.low) == (str(history.dates[-days]), 100.0)
    assert alarm.sales == np.mean(last[-days:])


@pytest.mark.parametrize(
    ("last", "most_days"),
    [((120.0, 90.0, 80.0), 3), ((90.0, 80.0, 100.0), 3), ((90.0, 120.0, 90.0), 3), ((120.0, 90.0, 80.0), 0)],
    ids=["two days", "a good last day", "a good day between", "turned off"],
)
def test_too_few_days_or_an_end_of_the_run_sound_nothing(
    last: Sequence[float], most_days: int, history: ProductHistory
) -> None:
    assert find_alarm(_with_sales(history, *last), LOW, most_days) is None


def test_days_out_of_stock_neither_count_nor_end_a_run(history: ProductHistory) -> None:
    bad = _with_sales(history, 90.0, 80.0, 0.0, 70.0)
    observed = bad.observed.copy()
    observed[-2] = False
    alarm = find_alarm(replace(bad, observed=observed), LOW, 3)
    assert alarm is not None and (alarm.days, alarm.sales) == (3, 80.0)
    observed[-1] = False
    assert find_alarm(replace(bad, observed=observed), LOW, 3) is None


def test_a_day_without_a_prediction_at_another_price_ends_the_run(history: ProductHistory) -> None:
    bad, low = _with_sales(history, *[50.0] * 7), LOW.copy()
    low[-4] = np.nan
    assert find_alarm(bad, low, 3) is not None
    assert find_alarm(bad, low, 4) is None
    assert find_alarm(bad, np.full(30, np.nan), 1) is None


def test_whoever_does_not_take_the_next_step_keeps_the_alarm_until_sales_recover(
    make_product: Callable[..., ProductHistory],
) -> None:
    history = make_product(np.array([10.0] * 24 + [11.0] * 6), np.full(30, 20.0))
    low = np.where(np.arange(30) < 28, 100.0, np.nan)  # the advice was followed until another price was advised
    stayed = _with_sales(history, 120.0, 90.0, 80.0, 70.0, 60.0, 50.0)
    alarm = find_alarm(stayed, low, 3)
    assert alarm is not None and (alarm.days, alarm.sales, alarm.low) == (3, 80.0, 100.0)
    assert find_alarm(stayed, low, 4) is None
    assert find_alarm(_with_sales(stayed, 120.0), low, 3) is None


def _market(prepared: DataPreprocessor, unit_cost: float) -> Market:
    return fit_market(prepared, DemandConfig(num_draws=16), CostConfig(unit_cost=unit_cost, share_kept=1.0), 0)


def _advise(
    market: Market,
    *entries: Entry,
    policy: Policy = KEEPING,
    config: DecisionConfig = USUAL,
    **limits: Any,
) -> ProductAdvice:
    dynamics = Dynamics(market, RewardConfig(), GuardrailConfig(**limits))
    (advice,) = advise(policy, dynamics, config, 9, {}, standings=find_standings(entries, dynamics))
    return advice


def _advised(history: ProductHistory, days: int, **changes: Any) -> Entry:
    """Log entry of an advice, made ``days`` days before the end, to charge what then was charged."""
    end = len(history.dates) - days
    prices, dates = history.price[end:], history.dates[end:]
    forecast = {"units": None, "profit": None, "sd": None}
    rows = [
        {**forecast, "date": str(date), "price": float(price), "sales": [20 * price, 12 * price, 30 * price]}
        for date, price in zip(dates, prices, strict=True)
    ]
    start = {"history_end": str(history.dates[end - 1]), "current_price": float(history.price[end - 1])}
    start["known"] = describe_history(history.first_days(end))
    entry: Entry = {"id": 1, "kind": "advice", "product": "product", "source": "policy", "grade": "B", "days": rows}
    return {**entry, **start, **changes}


@pytest.fixture
def usual(make_product: Callable[..., ProductHistory]) -> Callable[..., ProductHistory]:
    """Return 90 days between 9.50 and 11.00 with elasticity -2, the last at 10.00, then days of other prices."""

    def build(prices: Sequence[float], units: Sequence[float]) -> ProductHistory:
        rng = np.random.default_rng(4)
        price = np.concatenate([np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 12), 7), [10.0] * 6, prices])
        return make_product(price, np.concatenate([rng.poisson(20 * (price[:90] / 10) ** -2), units]))

    return build


def test_sales_after_the_end_of_a_promotion_stop_nothing_that_nobody_advised(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    promotion = usual([8.0] * 14 + [10.0] * 5, [60.0] * 14 + [14.0] * 5)
    advice = _advise(_market(prepare(promotion), 7.9))
    assert advice.alarm is None and advice.model is None
    assert min(day.recommended_price for day in advice.days) >= 10.0


FORBIDDEN = {"no_price_closer": "no price closer", "keep_not_allowed": "do not allow the current price"}


@pytest.mark.parametrize(
    ("charged", "unit_cost", "limits", "published", "reasons"),
    [
        (10.4, 1.0, {}, (10.0, "path", "hold"), {}),
        (10.4, 9.0, {}, (10.4, "hold", "hold"), {"back_does_not_pay": "not pay: −"}),
        (10.4, 10.2, {}, (10.4, "hold", "hold"), {"sold_at_no_margin": "10.20 would earn nothing"}),
        (10.0, 4.0, {}, (10.0, "hold", "hold"), {"at_last_good_price": "the last good one"}),
        (10.4, 9.0, {"floor": 10.6}, (10.6, "limit", "limits"), FORBIDDEN),
    ],
    ids=["back where that pays", "no loss", "no unit at a loss", "charged before", "a price the limits forbid"],
)
def test_three_bad_days_at_an_advised_price_lead_back_only_where_that_pays(
    charged: float,
    unit_cost: float,
    limits: dict[str, Any],
    published: tuple[float, str, str],
    reasons: dict[str, str],
    usual: Callable[..., ProductHistory],
    prepare: Callable[..., DataPreprocessor],
) -> None:
    history = usual([charged] * 3, [2.0] * 3)
    advice = _advise(_market(prepare(history), unit_cost), _advised(history, 3), **limits)
    assert advice.alarm is not None and (advice.alarm.days, advice.alarm.last_good_price) == (3, 10.0)
    assert (advice.recommended_price, advice.decision.follow, advice.decision.source) == published
    assert [reason.code for reason in advice.decision.reasons] == ["model_stopped", *reasons]
    assert all(words in advice.reason for words in reasons.values())
    if published[1] == "hold":
        assert {day.recommended_price for day in advice.days} == {charged} and advice.uplift is None
    else:
        assert advice.uplift is not None and advice.uplift.profit is not None and advice.uplift.profit.mean > 0


def test_bad_days_stop_nothing_at_a_price_of_a_person_of_another_product_or_of_the_seller(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual([10.4] * 4, [2.0] * 4)
    market, entry = _market(prepare(history), 4.0), _advised(history, 4)
    assert _advise(market, entry).alarm is not None
    for change in ({"order": 7}, {"product": "other"}):
        assert _advise(market, {**entry, **change}).alarm is None
    *days, last = entry["days"]
    other_step = {**entry, "days": [*days, {**last, "price": 10.6}]}
    assert _advise(market, other_step).alarm is not None, "the next step was not taken"
    moved = usual([10.4, 10.4, 10.4, 10.5], [2.0] * 4)
    assert _advise(_market(prepare(moved), 4.0), entry).alarm is None


@pytest.fixture(scope="module")
def unsold(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """90 days at 5 units per day: the first 87 at changing prices, then three at 10.00 without a sale."""
    rng = np.random.default_rng(6)
    price = np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 18), 5)
    price[-5:-3], price[-3:] = 9.7, 10.0
    units = rng.poisson(5 * (price / 10) ** -3.0)
    units[-3:] = 0
    return make_product(price, units)


@pytest.fixture(scope="module")
def markets(unsold: ProductHistory, prepare: Callable[..., DataPreprocessor]) -> dict[str, Market]:
    return {name: _market(prepare(unsold), cost) for name, cost in UNIT_COSTS.items()}


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_no_path_publishes_a_change_that_does_not_pay(
    markets: dict[str, Market], unsold: ProductHistory, every: int
) -> None:
    """Policy, kill switch and limits, in every n-th combination of settings."""
    seen: Counter[str] = Counter()
    settings = list(product(markets.values(), GUARDRAILS, (moving(1.0), LOWERING), (USUAL, LENIENT)))
    for (market, limits, policy, config), entries in product(settings[::every], ((), (_advised(unsold, 3),))):
        item = _advise(market, *entries, policy=policy, config=config, **limits)
        moves = any(day.recommended_price != item.current_price for day in item.days)
        seen[f"{item.decision.source}, {'moves' if moves else 'keeps'}, alarm {item.alarm is not None}"] += 1
        assert moves == (item.decision.follow != "hold"), item.reason
        if not moves:
            assert item.uplift is None
        elif item.decision.source != "limits":
            assert item.uplift is not None and item.uplift.profit is not None, item.reason
            assert item.uplift.profit.mean > 0, item.reason
            if item.alarm is None:  # the way back needs no probability
                assert (item.uplift.probability_better or 0) >= config.min_chance, item.reason
        elif item.uplift is not None and item.uplift.profit is not None and item.uplift.profit.mean < 0:
            assert "The limits cost profit: " in item.reason
    for path in ("planner, moves", "hold, keeps", "limits, moves"):
        assert any(name.startswith(path) for name in seen), (path, seen)
    assert seen["hold, moves, alarm True"] and seen["hold, keeps, alarm True"], seen


def test_a_gate_that_is_turned_off_follows_the_objective_and_states_the_cost(markets: dict[str, Market]) -> None:
    item = _advise(markets["thin"], policy=LOWERING, config=DecisionConfig(min_chance=0.0))
    assert item.decision.follow == "path" and item.recommended_price < item.current_price
    assert item.uplift is not None and item.uplift.profit is not None and item.uplift.profit.mean < 0
    assert "Expected: −" in item.reason
    held = _advise(markets["thin"], policy=LOWERING, config=LENIENT)
    assert held.decision.source != "policy" or held.decision.follow == "hold"
