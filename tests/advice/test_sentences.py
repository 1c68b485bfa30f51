"""Sentences: made from numbers, and no stronger than the evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pricerl.advice.result import DayAdvice, MarketFacts, ProductAdvice, ProposalChecks, ProposedPath, Recommendation
from pricerl.advice.sentences import verdict
from pricerl.advice.sentences.verdict import explain
from pricerl.arrays import Interval, to_plain
from pricerl.decide.decision import KEEP_NOT_ALLOWED, NO_COSTS, ONE_STEP, UNTESTED, Decision
from pricerl.evaluation.pricing_rules import BaselineRow
from pricerl.evaluation.valuation import BreakEven, DailyOutcome, Raising, Uplift
from pricerl.formatting import PLAIN, Formatter, price_digits, safe_text

NONE = Interval(0.0, 0.0, 0.0)
UPLIFT = Uplift(NONE, NONE, Interval(2.5, -1.0, 6.0), probability_better=0.95, cvar=-1.0)
UNKNOWN = Uplift(NONE, NONE, None, None, None)
STEP = Decision("step", "B-", "policy", False, ONE_STEP)
PATH = Decision("path", "B", "policy", False, UNTESTED)
HOLD = Decision("hold", "C", "hold", True, "a change is advised from 96 %")
LEANING = Decision("path", "C", "policy", False, "the objective is followed without a check on profit", gated=False)


def _day(date: str, price: float) -> DayAdvice:
    return DayAdvice(date, price, price, price, None, None, None, None, None, "")


def _outcome(profit: float) -> DailyOutcome:
    return DailyOutcome(NONE, NONE, Interval(profit, profit - 1, profit + 1))


def _policy(mean: float, over_keep: Uplift = UPLIFT) -> ProposedPath:
    return ProposedPath((10.5, 12.0), _outcome(mean), over_keep, UPLIFT)


def _advice(decision: Decision, **changes: Any) -> dict[str, Any]:
    """An entry of ``products``, with other values of some keys."""
    new = 10.0 if decision.follow == "hold" else 10.5
    held = decision.follow == "hold"
    days = (_day("2025-04-01", 10.0), _day("2025-04-02", new))
    cost = Interval(5.0, 2.0, 6.7)
    break_even = BreakEven(cost, Interval(0.5, 0.33, 0.8), fees_known=False, raises_revenue=0.0)
    raising = Raising(probability_better=0.875, break_even=2.5)
    profit_alone = BaselineRow("planner, profit alone", 13.0, _outcome(58.0), 1.0)
    advice = ProductAdvice(
        product="Mug",
        current_price=10.0,
        recommendation=Recommendation(new, 12.0, decision, _outcome(52.5), None if held else UPLIFT, days),
        reason="",
        keep=_outcome(50.0),
        proposal=_policy(52.5),
        market=MarketFacts(64, "profit", Interval(-2.0, -3.0, -1.0), raising, break_even, 44.4, costs=""),
        checks=ProposalChecks((profit_alone,), off_policy={}, sensitivity=None, planner_gap=0.0, backtest=None),
        data_quality={"distinct_prices": 4},
    )
    return advice.to_dict() | to_plain(changes)


def test_a_hold_names_the_policys_own_path_and_its_probability() -> None:
    assert explain(_advice(HOLD), PLAIN) == (
        "Keep 10.00: a change is advised from 96 %. The policy would go to 12.00. Expected: +2.50 profit per day "
        "(90 %: −1.00 to +6.00), better in 61 of 64 plausible scenarios. 1 % more price has cost 2.0 % of sales "
        "volume (90 %: 1.0 to 3.0); a rise earns more as long as it costs less than 2.5 %. A small rise would pay in "
        "56 of 64 plausible scenarios. About 44 days of your history were near 10.00."
    )


def test_a_hold_does_not_send_the_policy_where_the_price_is() -> None:
    assert "The policy would leave it and come back. Expected: " in explain(_advice(HOLD, settled_price=10.0), PLAIN)


def test_a_step_names_day_change_and_gain() -> None:
    text = explain(_advice(STEP), PLAIN)
    assert text.startswith("Raise to 10.50 on Wed 2 Apr (+5.0 %). One careful step, then look again. Expected: +2.50 ")
    assert "better in 61 of 64 plausible scenarios. 1 % more price" in text and text.endswith(
        "Not yet tested in your shop."
    )
    assert "in steps" not in text


def test_a_change_that_limits_force_states_its_expected_loss() -> None:
    forced = Decision("limit", "C", "limits", False, KEEP_NOT_ALLOWED)
    loss = replace(UPLIFT, profit=Interval(-2.5, -6.0, 1.0), probability_better=0.0)
    text = explain(_advice(forced, uplift=loss), PLAIN)
    assert "The limits cost profit: −2.50 profit per day (90 %: −6.00 to +1.00), better in 0 of 64" in text
    assert "Expected: +2.50 profit per day" in explain(_advice(forced), PLAIN)


def test_a_path_names_where_it_ends() -> None:
    assert "(+5.0 %), then in steps to 12.00. Expected: " in explain(_advice(PATH), PLAIN)
    assert "in steps" not in explain(_advice(PATH, settled_price=10.5), PLAIN)


def test_a_cut_is_called_one() -> None:
    days = (_day("2025-04-01", 9.6),)
    assert explain(_advice(PATH, recommended_price=9.6, days=days), PLAIN).startswith(
        "Lower to 9.60 on Tue 1 Apr (−4.0 %)"
    )


def test_money_and_dates_follow_currency_and_locale() -> None:
    text = explain(_advice(PATH), Formatter("de_DE", "EUR")).replace("\u00a0", " ")
    assert text.startswith(
        "Raise to 10,50 € on Mi., 2. Apr. (+5,0 %), then in steps to 12,00 €. Expected: +2,50 € profit"
    )


def test_a_seller_who_lost_no_units_to_a_rise_is_not_given_a_negative_cost() -> None:
    assert "has gone with 0.4 % more sales volume (90 %: −1.0 to 0.2)" in explain(
        _advice(HOLD, elasticity=Interval(0.4, -0.2, 1.0)), PLAIN
    )


NO_COSTS_HOLD = Decision("hold", "C", "hold", True, NO_COSTS)


def _without_costs(**found: Any) -> dict[str, Any]:
    advice = _advice(NO_COSTS_HOLD, raising=None, proposal=_policy(45.0, UNKNOWN))
    return advice | {"break_even": advice["break_even"] | found}


def test_without_costs_the_reason_states_the_unit_cost_above_which_a_rise_pays() -> None:
    assert explain(_without_costs(), PLAIN) == (
        "Keep 10.00: unit cost and fees decide which change pays, and they are not known. Write them into costs.csv "
        "(pricerl init), or report Total Profit. 1 % more price has cost 2.0 % of sales volume (90 %: 1.0 to 3.0). "
        "If your unit cost is above 5.00 (90 %: 2.00 to 6.70), a higher price probably earns more. That is without "
        "fees; with fees of 15 % it is 4.25."
    )
    assert "fees of" not in explain(_without_costs(fees_known=True), PLAIN)


def test_where_a_rise_brings_more_revenue_it_pays_at_any_cost() -> None:
    text = explain(_without_costs(raises_revenue=60 / 64), PLAIN)
    assert "whatever a unit costs you: it brings more revenue in 60 of 64" in text
    assert "If your unit cost" not in text and "The preset revenue" in text
    assert "If your unit cost" in explain(_without_costs(raises_revenue=30 / 64), PLAIN)


def test_an_elasticity_that_cannot_be_estimated_gives_no_break_even() -> None:
    nothing = Decision("hold", "D", "hold", True, "the price moved with the season")
    assert "earns more" not in explain(_advice(nothing, raising=None), PLAIN)


@pytest.mark.parametrize("decision", [STEP, PATH, HOLD, LEANING, NO_COSTS_HOLD])
def test_no_sentence_has_more_than_thirty_words(decision: Decision) -> None:
    known = {"raising": None} if decision is NO_COSTS_HOLD else {}
    sentences = explain(_advice(decision, **known), PLAIN).split(". ")
    assert max(len(sentence.split()) for sentence in sentences) <= 30


def test_without_the_gate_the_cost_of_leaning_is_stated_against_keeping_and_against_profit() -> None:
    assert (
        "On the way to 12.00, expected profit per day is 45.00: −5.00 against keeping 10.00 and −13.00 against "
        "going to 13.00, the best price for profit alone."
    ) in explain(_advice(LEANING, proposal=_policy(45.0, replace(UPLIFT, profit=Interval(-5.0, -8.0, -2.0)))), PLAIN)


@pytest.mark.parametrize("decision", [STEP, PATH, HOLD])
def test_with_the_gate_nothing_leans(decision: Decision) -> None:
    assert "On the way" not in explain(_advice(decision), PLAIN)


def test_unknown_costs_bring_no_money_into_the_reason() -> None:
    text = explain(_advice(LEANING, uplift=UNKNOWN, proposal=_policy(45.0, UNKNOWN), raising=None), PLAIN)
    assert "Expected" not in text and "profit per day" not in text


def test_whether_a_rise_pays_is_stated_as_far_as_costs_are_known() -> None:
    text = explain(_advice(HOLD, raising=Raising(1.0, None)), PLAIN)
    assert "A small rise would pay in 64 of 64 plausible scenarios. About" in text and "as long as" not in text


UNSURE = replace(HOLD, unsure=True)
DOUBTFUL = replace(UPLIFT, probability_better=0.75)


def _unsure(rise_pays: float, **changes: Any) -> str:
    known = {"proposal": _policy(52.5, DOUBTFUL), "raising": Raising(rise_pays, 2.5)}
    return explain(_advice(UNSURE, **{**known, **changes}), PLAIN)


def test_a_clear_direction_and_an_unclear_size_are_set_apart() -> None:
    assert (
        "The direction is clear: a small rise would pay in 62 of 64 plausible scenarios. The size is not: going to "
        "12.00 would pay in 48 of 64. About"
    ) in _unsure(62 / 64)
    assert (
        "The direction is clear: a small cut would pay in 63 of 64 plausible scenarios. The size is not: going to "
        "9.00 would pay in 48 of 64."
    ) in _unsure(1 / 64, settled_price=9.0)


def test_a_policy_that_goes_the_other_way_is_no_example_of_the_size() -> None:
    assert "a small rise would pay in 62 of 64 plausible scenarios. The size is not: no step that" in _unsure(
        62 / 64, settled_price=9.0
    )


def test_direction_and_size_are_one_sentence_where_they_do_not_contradict() -> None:
    plain = "A small rise would pay in "
    assert plain in _unsure(0.7), "the direction is not clear either"
    assert plain in _unsure(62 / 64, proposal=_policy(52.5)), "another reason than the size decided"
    assert plain in explain(_advice(STEP, raising=Raising(62 / 64, 2.5)), PLAIN)


def test_one_price_alone_asks_for_another() -> None:
    text = explain(_advice(HOLD, data_quality={"distinct_prices": 1}), PLAIN)
    assert text.endswith("Charge another price for two weeks to learn its effect.")
    assert "1 % more price" not in text


@pytest.mark.parametrize(("step", "words"), [(1, "3 of 4 days"), (7, "3 of 4 weeks")])
def test_earlier_advice_is_counted_in_the_rows_of_the_history(step: int, words: str) -> None:
    record = {"inside": {"units": [0, 0], "sales": [3, 4]}}
    text = verdict.tested_words(_advice(STEP, track_record=record), Formatter(step_days=step))
    assert text == f"earlier advice: {words} inside its 90 % interval"


def test_one_day_is_singular() -> None:
    assert "About 1 day of your history was near" in explain(_advice(HOLD, effective_days=0.2), PLAIN)


@pytest.mark.parametrize(("step", "digits"), [(0.01, 2), (1.0, 2), (0.05, 2), (0.001, 3), (0.0005, 4)])
def test_prices_show_the_digits_of_their_grid(step: float, digits: int) -> None:
    assert price_digits(step) == digits


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    assert safe_text(f"{start}1+1") == f"'{start}1+1"
    assert safe_text(f"a{start}") == f"a{start}"
