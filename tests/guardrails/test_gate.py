"""The last gate: each rule by hand, whatever goes wrong, and many random cases."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pytest
from guardrail_cases import FIRST_DAY, RUBBISH, draw_case, draw_config, faults

from pricerl.errors import NonFiniteError
from pricerl.guardrails import gate
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts
from pricerl.guardrails.gate import Gated, is_price, pass_gate
from pricerl.guardrails.limits_in_force import LimitsInForce
from pricerl.guardrails.today import Edit, PriceLog, Today

WIDE = (0.01, 1e6)
NO_COSTS = UnitCosts(1.0, 0.0, known=False)


def log_of(*prices: float, support: tuple[float, float] = WIDE) -> PriceLog:
    return PriceLog(FIRST_DAY + np.arange(len(prices)), np.array(prices, dtype=np.float64), support)


def steady(price: float = 10.0, support: tuple[float, float] = WIDE) -> PriceLog:
    return log_of(*[price] * 30, support=support)


def gated(proposed: object, log: PriceLog | None = None, costs: UnitCosts = NO_COSTS, **limits: object) -> Gated:
    log = steady() if log is None else log
    return pass_gate(proposed, Today(log, costs, GuardrailConfig(**limits)))


def rules(result: Gated) -> list[str]:
    return [edit.rule for edit in result.edits]


FREE = {"min_hold_days": 1, "max_week_change": 0.5}
WEEKLY = {"max_week_change": 0.05, "min_change": 0.0}
MEDIAN = {"max_above_median": 0.02, "min_change": 0.0}
CHARM = {"charm_endings": (0.99,), "min_change": 0.0}
LADDER = {"price_ladder": (9.6, 10.2)}
NEW = log_of(*[9.9] * 20, 10.0)
RAISED = log_of(*[9.8] * 24, *[10.5] * 6)
TRIED = steady(support=(9.7, 10.2))
CHEAP = steady(0.52, support=(0.001, 1.0))
GAPS = PriceLog(FIRST_DAY + np.array([0, 1, 2, 20, 21]), np.array([9.0, 9.0, 9.0, 9.9, 9.9]), WIDE)
FAR = {"max_above_median": 0.1, "max_week_change": 0.5}
BEYOND = {10.0: 10.0, 10.4: 10.0, 9.6: 9.6}
"""A price beyond a soft limit is not forced back, but goes no further."""
ABSOLUTE = PriceLog(*log_of(*[9.0] * 29, 10.0)[:2], (8.0, 15.0), moves_in_steps=False)


@pytest.mark.parametrize(
    ("proposed", "price", "rule", "why", "limits", "log"),
    [
        (11.0, 10.5, "max_change", "at most 5 % above the current price", {}, steady()),
        (9.0, 9.5, "max_change", "at most 5 % below the current price", {}, steady()),
        (11.0, 10.3, "max_rise", "at most 3 % above the current price", {"max_rise": 0.03}, steady()),
        (9.0, 9.8, "max_drop", "at most 2 % below the current price", {"max_drop": 0.02}, steady()),
        (9.6, 9.8, "floor", "at least 9.8", {"floor": 9.8}, steady()),
        (10.4, 10.2, "ceiling", "at most 10.2", {"ceiling": 10.2}, steady()),
        (9.6, 9.9, "min_advertised_price", "at least 9.9", {"min_advertised_price": 9.9}, steady()),
        (10.4, 10.2, "max_above_median", "at most 2 % above 10, its median of 28 days", MEDIAN, steady()),
        (10.9, 10.78, "max_week_change", "at most 10 % from 9.8, the price of 7 days before", {}, RAISED),
        (10.4, 10.2, "support_margin", "near the prices that were tried", {}, TRIED),
        (9.6, 9.7, "support_margin", "near the prices that were tried", {}, TRIED),
        (
            10.2,
            10.25,
            "price_ladder",
            "the nearest price that may be charged",
            {"price_ladder": (9.75, 10.25)},
            steady(),
        ),
        (10.2, 9.99, "charm_endings", "the nearest price that may be charged", CHARM, steady()),
        (10.234, 10.23, "price_step", "the nearest price that may be charged", {}, steady()),
        (0.001, 0.5, "price_step", "a price is at least one price step", {"price_step": 0.5}, CHEAP),
        (10.05, 10.0, "min_change", "smaller than 1 %", {}, steady()),
        (10.3, 10.0, "min_hold_days", "the current price has been charged for 1 of at least 3 days", {}, NEW),
        (10.3, 10.0, "pause", "the product is paused", {"pause": True}, steady()),
    ],
)
def test_each_rule_edits_and_says_so(
    proposed: float, price: float, rule: str, why: str, limits: dict[str, object], log: PriceLog
) -> None:
    result = gated(proposed, log, **limits)
    assert result == Gated(pytest.approx(price), (Edit(rule, proposed, pytest.approx(price), why),))


def test_the_margin_keeps_the_asked_share_after_fees_and_cost() -> None:
    result = gated(9.6, costs=UnitCosts(0.85, 6.5, known=True), min_margin=0.18)
    assert result.price == pytest.approx(9.71) and rules(result) == ["min_margin", "price_step"]
    assert 0.85 * result.price - 6.5 >= 0.18 * result.price
    assert result.edits[0].why == "a margin of 18 % after fees and cost"
    assert gated(9.6, costs=UnitCosts(0.85, 6.5, known=False), min_margin=0.18).price == 9.6


def test_a_margin_that_no_price_can_earn_keeps_the_price_and_names_it() -> None:
    result = gated(10.3, costs=UnitCosts(0.5, 1.0, known=True), min_margin=0.5)
    assert result.price == 10.0 and rules(result) == ["conflict"]
    assert "min_margin asks for at least inf" in result.edits[0].why


@pytest.mark.parametrize(
    ("fact", "log", "limits", "prices"),
    [
        ("what every rule allows passes", steady(), {}, {10.3: 10.3}),
        ("a floor forces a price", steady(), {"floor": 10.4}, {10.0: 10.4}),
        ("a ceiling forces a price", steady(), {"ceiling": 9.7}, {10.0: 9.7}),
        ("the week cap looks 7 days back", log_of(*[9.8] * 20, *[10.2] * 6), WEEKLY, {11.0: 10.29}),
        ("and no further", log_of(*[9.8] * 20, *[10.2] * 7), WEEKLY, {11.0: 10.71}),
        ("the median is of 28 days", log_of(*[20.0] * 10, *[10.0] * 28), {"max_above_median": 0.02}, {10.4: 10.2}),
        ("the first price holds before the log", log_of(*[9.9] * 3, *[10.0] * 10), MEDIAN, {10.4: 10.09}),
        ("the first price holds a week ago", log_of(9.0, 10.0, 10.0, 10.0), {}, {10.4: 10.0}),
        ("the first price may be the current one", log_of(*[10.0] * 4), {}, {10.4: 10.4}),
        ("14 lower days weigh", log_of(*[9.0] * 14, *[10.0] * 14), {"max_above_median": 0.05, **FREE}, {10.4: 10.0}),
        ("each of 28 days once", log_of(*[9.0, 10.0] * 14), {"max_above_median": 0.1, **FREE}, {10.4: 10.4}),
        ("a price that never changed counts from the first day", log_of(10.0, 10.0), {}, {10.3: 10.0}),
        ("until its hold is over", log_of(10.0, 10.0, 10.0), {}, {10.3: 10.3}),
        ("a walk goes beyond prices tried", steady(support=(9.0, 10.2)), {"floor": 12.0}, {10.0: 10.5}),
        ("prices tried start no walk", steady(support=(9.0, 10.2)), {}, {10.0: 10.0}),
        ("a walk waits for the hold", NEW, {"floor": 12.0}, {10.3: 10.0}),
        ("a walk waits for a pause", steady(), {"floor": 12.0, "pause": True}, {10.0: 10.0}),
        ("integers and extreme numbers are prices", steady(), {}, {11: 10.5, 1e308: 10.5, 5e-324: 9.5}),
        ("prices below 1", steady(0.5), {"ceiling": 0.6, "max_above_median": 0.2}, {0.48: 0.48}),
        ("a ceiling near 1", steady(1.0), {"ceiling": 1.05}, {1.2: 1.05}),
        ("a floor below 1", steady(1.0), {"floor": 0.95}, {0.5: 0.95}),
        ("a price off the menu may stay or move onto it", steady(), LADDER, {10.0: 10.0, 10.08: 10.2}),
        ("the nearest of a menu", steady(), {"price_ladder": (9.6, 9.85)}, {9.9: 9.85}),
        ("the lower of two equally near ones", steady(), {"price_ladder": (10.0, 10.5)}, {10.25: 10.0}),
        ("a limit demands a small change", steady(), {"floor": 10.05}, {10.0: 10.05}),
        ("just the smallest change is made", steady(20.0), {}, {20.2: 20.2, 20.19: 20.0}),
        ("a gap counts as days at the price before", GAPS, {"min_hold_days": 1}, {10.2: 9.9}),
        ("but not as days of the price after it", GAPS, {}, {9.6: 9.9}),
        ("a new price is held", log_of(*[9.9] * 20, *[10.0] * 2), {}, {10.3: 10.0}),
        ("for three days", log_of(*[9.9] * 20, *[10.0] * 3), {}, {10.3: 10.3}),
        ("a pause says nothing of a price that nobody moves", steady(), {"pause": True}, {10.0: 10.0}),
        ("neither does a hold", NEW, {}, {10.0: 10.0}),
        ("beyond prices tried, no further", steady(support=(5.0, 9.0)), {}, BEYOND),
        ("beyond the week cap, no further", log_of(*[8.0] * 26, *[10.0] * 4), {}, BEYOND),
        ("beyond the median, no further", log_of(*[8.0] * 24, *[10.0] * 6), FAR, BEYOND),
        ("absolute actions ignore the past", ABSOLUTE, {"max_above_median": 0.0}, {14.0: 14.0}),
        ("but not the prices tried", ABSOLUTE, {}, {17.0: 15.0, 5.0: 8.0}),
        ("these are hard then", ABSOLUTE._replace(prices=np.full(30, 20.0)), {}, {20.0: 15.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_proposal_leaves_as_the_price_that_the_rules_allow(
    fact: str, log: PriceLog, limits: dict[str, object], prices: dict[float, float]
) -> None:
    for proposed, price in prices.items():
        result = gated(proposed, log, **limits)
        assert result.price == price, fact
        assert proposed != price or result.edits == (), fact


def test_the_hold_comes_before_the_floor_is_reached() -> None:
    assert rules(gated(10.0, log_of(*[9.9] * 20, 10.0), floor=10.3)) == ["floor", "min_hold_days"]


def test_edits_are_told_in_the_order_of_the_rules() -> None:
    log = steady(support=(5.0, 10.95))
    result = gated(12.0, log, ceiling=10.9, max_above_median=0.08, max_week_change=0.04, price_ladder=(9.0, 10.3))
    assert rules(result) == [
        "support_margin",
        "ceiling",
        "max_above_median",
        "max_change",
        "max_week_change",
        "price_ladder",
    ]
    befores, afters = ([getattr(edit, name) for edit in result.edits] for name in ("before", "after"))
    assert befores == pytest.approx([12.0, 10.95, 10.9, 10.8, 10.5, 10.4])
    assert afters == pytest.approx([10.95, 10.9, 10.8, 10.5, 10.4, 10.3])
    assert result.price == 10.3


def test_a_lower_limit_below_another_is_told_in_order_too() -> None:
    log, costs = steady(support=(9.55, 20.0)), UnitCosts(1.0, 9.6, known=True)
    result = gated(5.0, log, costs, min_advertised_price=9.65, floor=9.7)
    assert rules(result) == ["support_margin", "min_margin", "min_advertised_price", "floor"]
    assert result.price == 9.7


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"floor": 12.0, "max_rise": 0.0}, "floor asks for at least 12, max_rise for at most 10"),
        (
            {"ceiling": 9.0, "max_drop": 0.02, "price_ladder": (8.0, 10.1)},
            "max_drop asks for at least 9.8, ceiling for at most 9",
        ),
        ({"price_ladder": (8.0, 12.0)}, "price_ladder has no price between 9.5 (max_change) and 10.5 (max_change)"),
        (
            {"charm_endings": (0.7,), "max_drop": 0.02},
            "charm_endings has no price between 9.8 (max_drop) and 10.5 (max_change)",
        ),
        (
            {"floor": 10.205, "ceiling": 10.205},
            "price_step has no price between 10.205 (floor) and 10.205 (ceiling)",
        ),
    ],
)
def test_limits_that_leave_no_price_keep_it_and_name_both(limits: dict[str, object], why: str) -> None:
    result = gated(10.2, **limits)
    assert result.price == 10.0 and result.edits[-1].rule == "conflict"
    assert result.edits[-1].why == f"{why}; the current price is kept, and someone should look"


@pytest.mark.parametrize("proposed", [9.0, 10.0, 10.2, 12.0, 13.0])
def test_a_hard_limit_out_of_reach_is_walked_to_and_each_rule_says_so(proposed: float) -> None:
    result = gated(proposed, floor=12.0)
    assert result.price == 10.5 and rules(result)[-1] == "max_change"
    assert ("floor" in rules(result)) == (proposed < 12.0) and "conflict" not in rules(result)
    assert gated(proposed, ceiling=8.0).price == 9.5
    assert gated(proposed, costs=UnitCosts(0.85, 10.0, known=True)).price == 10.5


def test_the_step_of_a_walk_passes_unchanged_and_nothing_objects_to_it() -> None:
    assert gated(10.5, floor=12.0) == Gated(10.5, ())
    today = Today(steady(), NO_COSTS, GuardrailConfig(floor=12.0))
    assert list(today.objections(10.5)) == []
    assert [edit.rule for edit in today.objections(10.4)] == ["floor"]


def test_a_walk_waits_for_the_week_without_a_conflict() -> None:
    walked = log_of(*[10.0] * 20, *[10.5] * 3, *[11.0] * 3)
    result = gated(10.0, walked, floor=12.0)
    assert result.price == 11.0 and rules(result) == ["floor", "max_change", "max_week_change"]
    assert gated(10.0, log_of(*[10.0] * 20, *[10.5] * 7, *[11.0] * 3), floor=12.0).price == 11.55


def test_the_limits_in_force_say_where_a_price_walks_to() -> None:
    def describe(log: PriceLog, **limits: object) -> LimitsInForce:
        return Today(log, NO_COSTS, GuardrailConfig(**limits)).describe()

    found = describe(steady(), floor=12.0)
    assert (found.lowest, found.highest, found.walks_to, found.conflict) == (10.5, 10.5, 12.0, "")
    assert (found.lowest_rule, found.highest_rule) == ("floor", "max_change")
    assert describe(steady(), ceiling=8.0).walks_to == 8.0
    waiting = describe(log_of(*[10.0] * 23, *[11.0] * 3), floor=12.0)
    assert (waiting.walks_to, waiting.conflict, waiting.lowest, waiting.highest) == (12.0, "", 11.0, 11.0)
    assert describe(steady(), floor=10.4).walks_to is None and describe(steady()).walks_to is None
    assert describe(steady(), floor=12.0, max_rise=0.0).walks_to is None


def test_a_conflict_is_told_where_the_limits_come_back_to_the_current_price() -> None:
    result = gated(10.0, floor=12.0, max_rise=0.0)
    assert rules(result) == ["floor", "max_rise", "conflict"] and result.edits[-1].before == result.price == 10.0


def test_edits_and_what_passed_cannot_be_changed_afterwards() -> None:
    result = gated(11.0)
    with pytest.raises(FrozenInstanceError):
        result.price = 11.0
    with pytest.raises(FrozenInstanceError):
        result.edits[0].after = 11.0


def test_single_precision_on_a_limit_counts_as_on_it() -> None:
    price = float(np.float32(49.99))
    assert gated(price, steady(49.0), ceiling=49.99) == Gated(49.99, ())
    assert gated(float(np.float32(12.1)), steady(12.1)) == Gated(12.1, ())


@pytest.mark.parametrize("proposed", RUBBISH, ids=repr)
def test_what_is_no_price_never_leaves(proposed: object) -> None:
    result = gated(proposed)
    assert result.price == 10.0
    why = "the proposal is no positive, finite number; the current price is kept"
    assert result.edits == (Edit("finite", None, 10.0, why),)


@pytest.mark.parametrize("number", [10.3, np.float32(10.3), np.float64(10.3), Fraction(103, 10)])
def test_numbers_of_any_kind_are_prices_and_leave_as_floats(number: object) -> None:
    assert is_price(number)
    result = gated(number)
    assert type(result.price) is float and result.price == pytest.approx(10.3)


@pytest.mark.parametrize("now", RUBBISH, ids=repr)
def test_without_a_price_now_the_last_one_charged_is_kept(now: object) -> None:
    prices = np.empty(4, dtype=object)
    prices[:] = [9.8, 9.9, 10.0, now]
    result = gated(10.3, steady()._replace(dates=FIRST_DAY + np.arange(4), prices=prices))
    assert result.price == 10.0 and rules(result) == ["fault"]


@pytest.mark.parametrize("log", [log_of(float("nan"), 0.0), log_of(), None])
def test_where_no_price_is_known_none_leaves(log: PriceLog | None) -> None:
    with pytest.raises(NonFiniteError, match="the price log holds no positive, finite price"):
        pass_gate(10.3, Today(log, NO_COSTS, GuardrailConfig()))


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (log_of(*[10.0] * 5, float("nan"), 10.0), "holds something that is no price"),
        (log_of(*[10.0] * 5, -1.0, 10.0), "holds something that is no price"),
        (log_of(*[10.0] * 5, 0.0, 10.0), "holds something that is no price"),
        (log_of(*[10.0] * 5, np.inf, 10.0), "holds something that is no price"),
        (PriceLog(FIRST_DAY + np.array([0, 2, 1]), np.full(3, 10.0), WIDE), "dates of the price log do not ascend"),
        (PriceLog(FIRST_DAY + np.array([0, 1, 1]), np.full(3, 10.0), WIDE), "dates of the price log do not ascend"),
        (PriceLog(FIRST_DAY + np.arange(4), np.full(3, 10.0), WIDE), "needs one price per date"),
        (PriceLog(FIRST_DAY + np.arange(4).reshape(2, 2), np.full((2, 2), 10.0), WIDE), "needs one price per date"),
        (log_of(*[10.0] * 9, support=(None, 12.0)), "TypeError"),
        (steady(support=(float("nan"), 11.0)), "no number"),
        (steady(support=(9.0, float("nan"))), "no number"),
    ],
)
def test_a_broken_log_keeps_the_price_and_says_what_is_wrong(log: PriceLog, why: str) -> None:
    result = gated(10.3, log)
    assert result.price == 10.0 and rules(result) == ["fault"]
    assert result.edits[0].why.startswith("the current price is kept: ") and why in result.edits[0].why
    assert (result.edits[0].before, result.edits[0].after) == (None, 10.0)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -1.0, None])
def test_a_rule_that_goes_wrong_lets_nothing_out(wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "apply_rules", lambda *args: Gated(wrong))
    result = gated(10.3)
    assert result.price == 10.0 and rules(result) == ["fault"] and f"made {wrong} of it" in result.edits[0].why


def test_an_exception_inside_keeps_the_price_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*args: object) -> Gated:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(gate, "apply_rules", explode)
    assert gated(10.3) == Gated(
        10.0, (Edit("fault", None, 10.0, "the current price is kept: ZeroDivisionError: boom"),)
    )


@pytest.mark.parametrize("costs", [None, UnitCosts(0.85, float("nan"), known=True), UnitCosts(None, 4.0, known=True)])
def test_broken_costs_keep_the_price(costs: UnitCosts | None) -> None:
    assert gated(10.3, costs=costs).price == 10.0


def test_a_day_more_is_charged_at_the_end_of_the_log() -> None:
    log = Today(log_of(9.0, 10.0), NO_COSTS, GuardrailConfig()).charge(10.5).log
    assert log.prices.tolist() == [9.0, 10.0, 10.5]
    assert log.dates.tolist() == (FIRST_DAY + np.arange(3)).tolist() and log.support == WIDE


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (9.0, {"support_margin": 9.5, "floor": 9.9, "max_change": 9.5}),
        (9.99, {"min_change": 10.0}),
        (10.0, {}),
        (10.6, {"ceiling": 10.5, "max_change": 10.5}),
        (12.0, {"support_margin": 11.5, "ceiling": 10.5, "max_change": 10.5, "max_week_change": 11.0}),
    ],
)
def test_every_rule_speaks_for_itself(price: float, expected: dict[str, float]) -> None:
    limits = GuardrailConfig(ceiling=10.5, floor=9.9)
    said = list(Today(steady(support=(9.5, 11.5)), NO_COSTS, limits).objections(price))
    assert [(edit.rule, edit.before, pytest.approx(edit.after)) for edit in said] == [
        (rule, price, after) for rule, after in expected.items()
    ]


def test_a_rule_that_allows_no_price_objects_to_all() -> None:
    costs, config = UnitCosts(0.5, 1.0, known=True), GuardrailConfig(min_margin=0.5)
    (said,) = Today(steady(), costs, config).objections(10.3)
    assert (said.rule, said.after) == ("min_margin", np.inf)


@pytest.mark.parametrize(("count", "seed"), [(1_000, 0), pytest.param(100_000, 1, marks=pytest.mark.slow)])
def test_random_prices_leave_inside_the_limits_and_rules_object_to_what_the_gate_changes_alone(
    count: int, seed: int
) -> None:
    rng, moved = np.random.default_rng(seed), 0
    configs = [(draw_config(rng, around), around) for around in np.exp(rng.uniform(0, 6, 400))]
    for index in range(count):
        case = draw_case(rng, *configs[index % len(configs)])
        today = Today(case.log, case.costs, case.config)
        result = pass_gate(case.proposed, today)
        assert faults(result.price, case) == [], (index, case, result)
        assert all(np.isfinite(edit.after) for edit in result.edits)
        assert "fault" not in rules(result), result
        if not is_price(case.proposed):
            continue
        again = pass_gate(result.price, today)
        assert again.price == pytest.approx(result.price, rel=1e-12), "what has passed passes unchanged"
        if result.edits:
            objections = {edit.rule for edit in today.objections(case.proposed)}
            assert objections, case
            assert result.edits[0].rule in {*objections, "conflict"}, case
        if result.price != case.now:
            assert list(today.objections(result.price)) == [], case
            moved += 1
    assert moved > count // 6, moved


@pytest.mark.parametrize(("now", "beyond"), [(10.0, ()), (12.0, ("support_margin",)), (8.0, ("support_margin",))])
def test_the_limits_in_force_name_the_soft_rules_that_the_current_price_is_beyond(
    now: float, beyond: tuple[str, ...]
) -> None:
    log = steady(now, support=(9.0, 11.0))
    assert Today(log, NO_COSTS, GuardrailConfig()).describe().beyond == beyond
