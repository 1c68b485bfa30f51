"""A price test in the log: its schedule is followed, orders and kill switch win, and only its result earns grade A."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from advising import moving
from decision_logs import record

from pricerl.advice import block
from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences.next_steps import ended_test_words
from pricerl.arrays import to_plain
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.standing import Account, MeasuredPair, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import UsageError
from pricerl.experiments.plan import Budget, gate_schedule, make_order, plan_price_test
from pricerl.experiments.reading import read_test
from pricerl.experiments.schedule import (
    ARMS,
    PLAN,
    SCHEDULE,
    PriceTestEntry,
    arm_prices,
    design_of,
    hash_schedule,
    read_plans,
    render_plan,
    render_schedule,
)
from pricerl.formatting import PLAIN
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.operations.log.decision_log import LOG_FILE, Entry, read_log, stamp
from pricerl.operations.log.orders import orders_of
from pricerl.operations.log.provenance import describe_history
from pricerl.operations.standings import find_measured, find_standings, find_tests
from pricerl.operations.track_record import find_predictions, keep_record

Make = Callable[..., ProductHistory]
PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


@pytest.fixture(scope="module")
def dynamics(make_product: Make, prepare: Callable[..., DataPreprocessor]) -> Dynamics:
    units = np.random.default_rng(0).poisson(400 * (PRICES / 10) ** -2).astype(float)
    cost = CostConfig(unit_cost=6.0, share_kept=1.0)
    market = fit_market(prepare(make_product(PRICES, units)), DemandConfig(num_draws=32), cost, 0)
    return Dynamics(market)


@pytest.fixture(scope="module")
def order(dynamics: Dynamics) -> Entry:
    """Order of a test, as its plan holds it."""
    planned = plan_price_test(Product(dynamics, 0), "profit", Budget(cost=1e9))
    planned = replace(planned, design=replace(planned.design, pairs=12))  # long enough for a proof
    schedule = gate_schedule(planned, Product(dynamics, 0), 3)
    return json.loads(render_plan(make_order(planned, schedule, Product(dynamics, 0), 3), {}))["order"]


def _test(order: Entry, number: int = 1) -> Entry:
    return {**order, "kind": "price_test", "id": number, "actor": "anna", "reason": "to know"}


def _override(number: int, until: str, price: float = 10.2) -> Entry:
    about = {"id": number, "kind": "override", "product": "product", "until": until, "price": price}
    return {**about, "actor": "anna", "reason": "sale"}


def _result(order: Entry, verdict: str, **changes: Any) -> Entry:
    about = {"kind": "price_test_result", "id": 2, "test": 1, "verdict": verdict, "last_day": "2025-03-01"}
    asked = {key: order[key] for key in ("product", "question", "regular_price", "test_price")}
    return {**asked, **about, "proven": True, **changes}


UNKNOWN = {"price": 10.0, "units": None, "sales": None, "profit": None, "sd": None}
"""A day of an advice that foresees nothing."""


def _supervised(dynamics: Dynamics, *entries: Entry) -> ProductAdvice:
    standings = find_standings(entries, dynamics)
    (advice,) = advise(moving(0.0), dynamics, DecisionConfig(), 14, {}, standings=standings)
    return advice


def _played(order: Entry, days: int) -> Any:
    """Prices and units of the first days of a schedule."""
    price = np.array([row["price"] for row in order["schedule"][:days]])
    return price, np.random.default_rng(0).poisson(400 * (price / 10) ** -2.0).astype(float)


def test_the_schedule_is_balanced_begins_after_the_history_and_its_hash_is_that_of_its_csv(order: Entry) -> None:
    schedule, design = order["schedule"], design_of(order)
    assert schedule[0]["date"] == "2025-03-07" == order["first_day"] and schedule[-1]["date"] == order["until"]
    days = [date.fromisoformat(row["date"]) for row in schedule]
    assert set(np.diff(days)) == {timedelta(days=1)} and len(schedule) == design.rows
    arms = [row["arm"] for row in schedule[:: design.block]]
    assert all({*arms[at : at + 2]} == {"regular", "test"} for at in range(0, len(arms), 2))
    assert order["propensity"] == 0.5 and len({*arms[::2]}) == 2
    for row in schedule:
        assert row["washout"] or row["price"] == dict(zip(ARMS, arm_prices(order), strict=True))[row["arm"]]
    assert hashlib.sha256(render_schedule(schedule).encode()).hexdigest() == order["schedule_hash"]


def test_a_plan_is_read_only_with_the_schedule_that_was_planned(tmp_path: Path, order: Entry) -> None:
    with pytest.raises(UsageError, match="is missing; plan the test first"):
        read_plans(tmp_path)
    (tmp_path / PLAN).write_text(render_plan(order, {}))
    (tmp_path / SCHEDULE).write_text(render_schedule(order["schedule"]))
    assert read_plans(tmp_path) == [order]
    (tmp_path / SCHEDULE).write_text(render_schedule(order["schedule"][:-1]))
    refused = r"price_test.json is no plan of this version, or it or price_test.csv was changed; make it again with"
    with pytest.raises(UsageError, match=refused):
        read_plans(tmp_path)
    for text in ("{", "[]", '{"format": 1, "order": {"schedule": [1]}, "test": {}}', "[" * 100_000):
        (tmp_path / PLAN).write_text(text)
        with pytest.raises(UsageError, match=refused):
            read_plans(tmp_path)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "price of a day": lambda plan: plan["order"]["schedule"][0].update(price=16.0),
    "test price": lambda plan: plan["order"].update(test_price=16.0),
    "last day": lambda plan: plan["order"].update(until="2030-01-01"),
    "shorter": lambda plan: plan["order"]["schedule"].pop(),
    "seed": lambda plan: plan["order"].update(seed=4),
    "profits": lambda plan: plan["order"].update(profits=[1.0, 2.0]),
    "scale": lambda plan: plan["order"].update(scale=float("inf")),
    "cost": lambda plan: plan["test"].update(cost=0.0),
    "hash": lambda plan: plan.pop("hash"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_plan_that_was_changed_is_refused_although_the_schedule_fits(
    change: Callable[[dict[str, Any]], object], tmp_path: Path, order: Entry
) -> None:
    plan = json.loads(render_plan(order, {"cost": 5.0}))
    change(plan)
    schedule = plan["order"]["schedule"]
    plan["order"]["schedule_hash"] = hash_schedule(schedule)
    (tmp_path / PLAN).write_text(json.dumps(plan, indent=1) + "\n")
    (tmp_path / SCHEDULE).write_text(render_schedule(schedule))
    with pytest.raises(UsageError, match="was changed; make it again with price-test plan"):
        read_plans(tmp_path)


def test_the_log_takes_a_test_and_its_result(tmp_path: Path, order: Entry) -> None:
    log = tmp_path / LOG_FILE
    record(log, [stamp("price_test", "anna", "") | order])
    numbers = {"pairs": 6, "estimate": 1.5, "limits": [0.5, None], "p_value": 0.03, "lost": ["2025-03-08"]}
    result = {key: value for key, value in _result(order, "higher", **numbers).items() if key != "id"}
    record(log, [stamp("price_test_result", "anna", "") | result])
    assert [entry["kind"] for entry in read_log(log).entries] == ["price_test", "price_test_result"]


def test_an_override_suspends_a_test_which_then_goes_on_until_its_result(order: Entry) -> None:
    entries, first = [_test(order), _override(2, "2025-03-20")], "2025-03-15"
    assert [item.status for item in orders_of(entries, "product", first)] == ["suspended", "active"]
    assert [item.status for item in orders_of(entries, "product", "2025-03-21")] == ["active", "expired"]
    (going,) = orders_of([_test(order)], "product", first)
    assert going.status == "active" and going.price_on("2025-03-16", 1.0) == order["schedule"][9]["price"]
    assert going.price_on("2030-01-01", 1.0) == order["regular_price"]
    ended = {"id": 3, "kind": "resume", "product": "product", "ends": 1}
    for end in (_result(order, "higher"), ended):
        assert [item.status for item in orders_of([_test(order), end], "product", first)] == ["ended"]


def test_advice_follows_the_schedule_on_its_days_but_an_override_wins(dynamics: Dynamics, order: Entry) -> None:
    advice = _supervised(dynamics, _test(order))
    assert [day.recommended_price for day in advice.days] == [row["price"] for row in order["schedule"][:14]]
    assert advice.decision.source == "price test" and advice.decision.grade == "C" and advice.model is not None
    overridden = _supervised(dynamics, _test(order), _override(2, "2025-12-31"))
    assert {day.recommended_price for day in overridden.days} == {10.2} and overridden.decision.source == "override"


def test_after_a_test_that_showed_nothing_advice_goes_back_to_the_regular_price(
    dynamics: Dynamics, order: Entry
) -> None:
    schedule = [{**row, "date": f"2025-02-{day:02}", "price": 10.0} for day, row in enumerate(order["schedule"][:9], 1)]
    over = {"schedule": schedule, "first_day": "2025-02-01", "until": "2025-02-09", "regular_price": 10.8}
    advice = _supervised(dynamics, _test({**order, **over}))
    assert advice.current_price == 10.0 and {day.recommended_price for day in advice.days} == {10.8}
    said = "The price test of entry 1 has ended and did not show a better price, so the regular price holds again"
    assert advice.decision.source == "price test" and said in advice.reason
    lines = dict(block.reasons(advice.to_dict(), PLAIN))
    assert lines["Your order"] == "the price test has ended: back to the regular price, 10.80"
    better = _result(order, "higher", test_price=10.0, regular_price=10.8, today="2025-02-09")
    shown = _supervised(dynamics, _test({**order, **over}), better)
    assert {day.recommended_price for day in shown.days} == {10.0}


def test_the_kill_switch_wins_over_a_test(dynamics: Dynamics, order: Entry) -> None:
    history = dynamics.market.preprocessor.products[0]
    days = [{**UNKNOWN, "date": str(day), "sales": [6e3, 5e3, 7e3]} for day in history.dates[-4:]]
    advised = {"id": 1, "kind": "advice", "product": "product", "grade": "C", "source": "price test", "test": 9}
    known = describe_history(history.first_days(len(history.dates) - 4))
    advised |= {"history_end": str(history.dates[-5]), "current_price": 10.0, "days": days, "known": known}
    stopped = _supervised(dynamics, advised, _test(order, 2))
    assert stopped.alarm is not None and stopped.order is None and stopped.orders[0].status == "suspended"
    assert {day.recommended_price for day in stopped.days} == {10.0}


def test_only_a_decided_and_fresh_test_measures_its_pair(dynamics: Dynamics, order: Entry) -> None:
    (history,), pair = dynamics.market.preprocessor.products, (order["test_price"], order["regular_price"])
    assert find_measured([_result(order, "higher")], history, "profit") == MeasuredPair(*pair)
    assert find_measured([_result(order, "lower")], history, "profit") == MeasuredPair(*pair[::-1])
    for entry in (
        _result(order, "higher", proven=False),
        _result(order, "undecided"),
        _result(order, "higher", last_day="2024-03-01"),
        _result(order, "higher", question="sales"),
        _result(order, "higher", product="other"),
    ):
        assert find_measured([entry], history, "profit") is None
    assert find_measured([_result(order, "higher"), _result(order, "undecided")], history, "profit") is None


def test_the_page_says_what_a_test_of_the_quarter_has_shown(order: Entry) -> None:
    result = _result(order, "undecided", estimate=12.5, limits=[None, None], proven=False)
    (short,) = find_tests([result], "product", Account("2025-02-01", 10.0))
    assert (short.price, short.against, short.proven) == (order["test_price"], order["regular_price"], False)
    assert find_tests([result], "product", Account("2025-03-01", 10.0)) == find_tests([result], "product", None) == ()
    proven = short._replace(limits=(3.0, 20.0), proven=True)
    first, second, third = ended_test_words(list(map(to_plain, (short, proven, proven._replace(proven=False)))), PLAIN)
    assert "1 Mar 2025" in first and "+12.50" in first and "+20.00" not in first
    assert "+3.00 to +20.00" in second and "not proven" not in second and "not proven" in third


def test_a_measured_pair_earns_grade_a_for_the_way_to_its_better_price_and_for_staying(dynamics: Dynamics) -> None:
    """With unit cost 6 and elasticity -2 the best price is 12."""

    def grade(pair: MeasuredPair | None) -> tuple[str, float]:
        standings = {"product": Standing(measured=pair)}
        (advice,) = advise(moving(0.0), dynamics, DecisionConfig(), 14, {}, standings=standings)
        return advice.decision.grade, advice.recommended_price

    assert grade(MeasuredPair(10.5, 10.0)) == ("A", 10.5)
    assert grade(MeasuredPair(10.0, 10.5)) == ("A", 10.0)
    assert grade(None)[0] != "A" and grade(MeasuredPair(11.0, 10.7))[0] != "A"
    assert grade(MeasuredPair(9.5, 10.0))[0] != "A"  # it would not pay in the market fitted since


def _read(order: Entry, product: Make, price: Any, units: Any) -> Any:
    dates = np.datetime64(order["first_day"], "D") + np.arange(len(price))
    return read_test(_test(order), product(price, units, dates=dates))


def test_a_whole_test_finds_the_better_price_and_one_of_units_in_an_older_log_is_still_read(
    order: Entry, make_product: Make
) -> None:
    price, units = _played(order, len(order["schedule"]))
    reading = _read(order, make_product, price, units)
    better = "higher" if order["test_price"] > order["regular_price"] else "lower"
    assert reading.question.verdict == better and not reading.lost
    assert reading.question.pairs == design_of(order).pairs
    assert reading.profit is not None and reading.units.estimate * (order["test_price"] - order["regular_price"]) < 0
    stop = {"spread": 10.0, "loss": 5.0, "year": 364}
    old = {**order, "stop": stop, "question": "units", "values": [1.0, 1.0], "scale": 100.0}
    entry = {**stamp("price_test", "anna", ""), **old, "id": 1, "format": 2, "previous": "0" * 64, "hash": "0" * 64}
    assert msgspec.convert(entry, type=PriceTestEntry).question == "units"
    found = _read(old, make_product, *_played(old, len(old["schedule"]))).question
    assert found.verdict != "running"
    assert found.estimate * (old["test_price"] - old["regular_price"]) < 0


def test_a_pair_counts_once_its_last_day_has_passed_without_days_that_contradict_the_schedule(
    order: Entry, make_product: Make
) -> None:
    """Looks at half a block would let its chance decide, and change again."""
    days = 2 * design_of(order).block
    found = [_read(order, make_product, *_played(order, passed)).question.pairs for passed in (days - 1, days)]
    assert found == [0, 1]
    price, units = _played(order, 40)
    kept = [row for row, day in enumerate(order["schedule"][:40]) if not day["washout"]]
    price[kept[2]] = 10.2
    reading = _read(order, make_product, price, units)
    assert [(day.date, day.price) for day in reading.lost] == [(order["schedule"][kept[2]]["date"], 10.2)]
    assert reading.passed == 40 and reading.question.verdict == "running"


def test_days_of_a_started_test_are_no_days_at_another_price(order: Entry, make_product: Make) -> None:
    """Nobody has run predict since the test was started."""
    price, units = _played(order, 40)
    start = np.datetime64(order["first_day"], "D") - DAY
    history = make_product(np.append(10.0, price), np.append(400.0, units), dates=start + np.arange(41))
    days = [{**UNKNOWN, "date": str(day)} for day in start + np.arange(1, 15)]
    advised = {"kind": "advice", "id": 1, "product": "product", "history_end": str(start), "current_price": 10.0}
    entries = [{**advised, "source": "hold", "days": days}, _test(order, 2)]
    record = keep_record(find_predictions(entries, history), history)
    assert record is not None and record.followed == 40 and {day.source for day in record.days} == {"price test"}
    time = f"{order['schedule'][9]['date']}T08:00"
    ended = {"kind": "resume", "id": 3, "product": "product", "ends": 2, "time": time}
    before = find_predictions([*entries, ended], history)
    assert [entry["source"] for entry, _ in before.values()] == ["price test"] * 10 + ["hold"] * 4
    assert len(find_predictions(entries[1:], history)) == 0
