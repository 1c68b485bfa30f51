"""Sentences: made from numbers, and no stronger than the evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pricerl.advice.result import DayAdvice, MarketFacts, ProductAdvice, ProposalChecks, ProposedPath, Recommendation
from pricerl.advice.sentences import verdict
from pricerl.advice.sentences.answers import say_all
from pricerl.advice.sentences.verdict import explain
from pricerl.arrays import Interval, to_plain
from pricerl.decide.decision import Decision
from pricerl.evaluation.valuation import BreakEven, DailyOutcome, Raising, Uplift
from pricerl.formatting import PLAIN, Formatter, price_digits, safe_text, sentence
from pricerl.reasons import Reason

NONE = Interval(0.0, 0.0, 0.0)
UPLIFT = Uplift(NONE, NONE, Interval(2.5, -1.0, 6.0), probability_better=0.95, cvar=-1.0)
UNKNOWN = Uplift(NONE, NONE, None, None, None)


def _decision(follow: str, grade: str, source: str, lacks: bool, *reasons: Reason, **more: Any) -> Decision:
    """Return a decision with its text, as a described one has it."""
    return Decision(follow, grade, source, lacks, reasons, why=say_all(reasons), **more)


STEP = _decision("step", "B-", "policy", False, Reason("one_step"))
PATH = _decision("path", "B", "policy", False, Reason("untested"))
HOLD = _decision("hold", "C", "hold", True, Reason("not_worth_change"))
LEANING = _decision("path", "C", "policy", False, Reason("unchecked"), gated=False)


def _day(date: str, price: float) -> DayAdvice:
    return DayAdvice(date, price, price, price, None, None, None, None, None, "")


def _outcome(profit: float) -> DailyOutcome:
    return DailyOutcome(NONE, NONE, Interval(profit, profit - 1, profit + 1))


def _policy(mean: float, over_keep: Uplift = UPLIFT) -> ProposedPath:
    return ProposedPath((10.5, 12.0), _outcome(mean), over_keep)


def _advice(decision: Decision, **changes: Any) -> dict[str, Any]:
    """An entry of ``products``, with other values of some keys."""
    new = 10.0 if decision.follow == "hold" else 10.5
    held = decision.follow == "hold"
    days = (_day("2025-04-01", 10.0), _day("2025-04-02", new))
    cost = Interval(5.0, 2.0, 6.7)
    break_even = BreakEven(cost, Interval(0.5, 0.33, 0.8), fees_known=False, raises_revenue=0.0)
    raising = Raising(probability_better=0.875, break_even=2.5)
    advice = ProductAdvice(
        product="Mug",
        current_price=10.0,
        recommendation=Recommendation(new, 12.0, decision, _outcome(52.5), None if held else UPLIFT, days),
        reason="",
        keep=_outcome(50.0),
        proposal=_policy(52.5),
        market=MarketFacts(64, "profit", Interval(-2.0, -3.0, -1.0), raising, break_even, costs=""),
        checks=ProposalChecks((), backtest=None),
        data_quality={"distinct_prices": 4},
    )
    return advice.to_dict() | to_plain(changes)


UNSURE = replace(HOLD, unsure=True)
DOUBTFUL = replace(UPLIFT, probability_better=0.75)
TOO_FEW = _decision(
    *("hold", "C", "hold", True),
    Reason("chance_too_low", {"price": 12.0, "percent": 75, "needed": 0.8, "objective": ""}),
    unsure=True,
)


def test_a_hold_names_the_change_that_was_weighed_and_one_probability() -> None:
    response = (
        "Expected of 12.00: +2.50 profit per day (90 %: −1.00 to +6.00). A price 1 % higher has cost 2.0 % of units "
        "(90 %: 1.0 to 3.0); a rise earns more as long as it costs less than 2.5 %."
    )
    risky = explain(_advice(UNSURE, weighed=DOUBTFUL), PLAIN)
    told = explain(_advice(TOO_FEW, weighed=DOUBTFUL), PLAIN)
    start = f"Keep 10.00: going to 12.00 would earn more in 48 of 64 plausible scenarios. {sentence(HOLD.why)}"
    assert risky == f"{start} {response}"
    assert told == f"Keep 10.00: {TOO_FEW.why}. {response}" and told.count("plausible scenarios") == 1
    assert "bring more revenue in 48 of 64" in explain(_advice(UNSURE, weighed=DOUBTFUL, measure="sales"), PLAIN)
    named = explain(_advice(UNSURE, weighed=DOUBTFUL, objective="growth"), PLAIN)
    assert "would do better by the objective growth in 48 of 64 plausible scenarios" in named


def test_how_certain_a_hold_is_and_what_it_compares_follows_from_the_change_weighed_or_from_the_costs() -> None:
    title, share, (told, scenario) = verdict.certainty_words(_advice(UNSURE, weighed=DOUBTFUL), PLAIN)
    assert (title, share, scenario) == ("Not clear enough for a change", 0.75, verdict.SCENARIO)
    assert told.startswith("Going to 12.00 would earn more in 48 of 64") and told.endswith(sentence(HOLD.why))
    unknown = {"profit": None}
    title, share, words = verdict.certainty_words(_without_costs() | {"keep": unknown}, PLAIN)
    assert (title, share) == ("Your costs decide", None) and words[0].startswith("If your unit cost is above 5.00")
    assert verdict.certainty_words(_advice(HOLD), PLAIN) == ("", None, [])
    outcome, gain = verdict.compared(_advice(UNSURE, weighed=DOUBTFUL)) or ({}, {})
    assert outcome["profit"][0] == 52.5 and gain["probability_better"] == 0.75
    assert verdict.compared(_advice(HOLD)) is None


def test_a_step_names_day_change_and_gain() -> None:
    text = explain(_advice(STEP), PLAIN)
    assert text.startswith("Raise to 10.50 on Wed 2 Apr (+5.0 %). One careful step, then look again. Expected: +2.50 ")
    assert "it would earn more in 61 of 64 plausible scenarios. A price 1 % higher" in text and text.endswith(
        "Not yet tested in your shop."
    )
    assert "in steps" not in text


FORCED = _decision("limit", "C", "limits", False, Reason("keep_not_allowed"))
LOSS = {"uplift": replace(UPLIFT, profit=Interval(-2.5, -6.0, 1.0), probability_better=0.0)}
LOST = "The limits cost profit: −2.50 profit per day (90 %: −6.00 to +1.00); it would earn more in 0 of 64"
NOTHING = _decision("hold", "D", "hold", True, Reason("entangled", {"cause": "season"}))
CUT = {"recommended_price": 9.6, "days": (_day("2025-04-01", 9.6),)}
MORE = {"elasticity": Interval(0.4, -0.2, 1.0)}
MONEYLESS = {"uplift": UNKNOWN, "proposal": _policy(45.0, UNKNOWN), "raising": None}
ONE_PRICE = {"data_quality": {"distinct_prices": 1}}
REASONS: dict[str, tuple[Decision, dict[str, Any], str, str]] = {
    "a change that limits force states its expected loss": (FORCED, LOSS, LOST, "Expected"),
    "a change that limits force may gain": (FORCED, {}, "Expected: +2.50 profit per day", "The limits cost"),
    "a path names where it ends": (PATH, {}, "(+5.0 %), then in steps to 12.00. Expected: ", "Lower to"),
    "a path of one step is none": (PATH, {"settled_price": 10.5}, "(+5.0 %)", "in steps"),
    "a cut is called one": (PATH, CUT, "Lower to 9.60 on Tue 1 Apr (−4.0 %)", "Raise to"),
    "a rise has no negative cost": (HOLD, MORE, "has gone with 0.4 % more units (90 %: −1.0 to 0.2)", "has cost"),
    "without an elasticity there is no break even": (NOTHING, {"raising": None}, "Keep 10.00", "earns more"),
    "unknown costs bring no gain": (LEANING, MONEYLESS, "Raise to 10.50", "Expected"),
    "unknown costs bring no money": (LEANING, MONEYLESS, "Raise to 10.50", "profit per day"),
    "an unknown break even is not stated": (HOLD, {"raising": Raising(1.0, None)}, "has cost 2.0 %", "as long as"),
    "one price alone asks for another": (HOLD, ONE_PRICE, "Charge another price for two weeks", "1 % higher"),
}


@pytest.mark.parametrize("fact", REASONS)
def test_a_reason_says_what_is_known_and_no_more(fact: str) -> None:
    decision, changes, said, unsaid = REASONS[fact]
    text = explain(_advice(decision, **changes), PLAIN)
    assert said in text and unsaid not in text


def test_money_and_dates_follow_currency_and_locale() -> None:
    text = explain(_advice(PATH), Formatter("de_DE", "EUR")).replace("\u00a0", " ")
    assert text.startswith(
        "Raise to 10,50 € on Mi., 2. Apr. (+5,0 %), then in steps to 12,00 €. Expected: +2,50 € profit"
    )


PRIOR = {"share": 0.4, "alone": False, "pooled": False}


def test_a_statement_on_demand_says_how_much_comparable_shops_count_also_where_the_history_shows_nothing() -> None:
    text = explain(_advice(PATH, prior=PRIOR), PLAIN)
    assert (
        "A price 1 % higher has cost 2.0 % of units (90 %: 1.0 to 3.0), and 40 % of this estimate comes from "
        "comparable shops. A rise" in text
    )
    pooled = _advice(PATH, prior={**PRIOR, "pooled": True}, elasticity=Interval(-2.0, -2.0, -2.0))
    assert "2.0 % of units, and 40 % of this estimate comes from your other products. A rise" in explain(pooled, PLAIN)
    text = explain(_advice(HOLD, prior={**PRIOR, "share": 0.97, "alone": True}), PLAIN)
    assert (
        "Your history does not show how buyers react; in comparable shops a price 1 % higher has cost 2.0 % "
        "of units (90 %: 1.0 to 3.0). A rise earns more as long as it costs less than 2.5 %." in text
    )
    assert "small rise" not in text


NO_COSTS_HOLD = _decision("hold", "C", "hold", True, Reason("costs_unknown"))


def _without_costs(**found: Any) -> dict[str, Any]:
    advice = _advice(NO_COSTS_HOLD, raising=None, proposal=_policy(45.0, UNKNOWN))
    return advice | {"break_even": advice["break_even"] | found}


def test_without_costs_the_reason_states_the_unit_cost_above_which_a_rise_pays_unless_it_pays_at_any_cost() -> None:
    assert explain(_without_costs(), PLAIN) == (
        "Keep 10.00: unit cost and fees decide which change pays, and they are not known. A price 1 % higher has cost "
        "2.0 % of units (90 %: 1.0 to 3.0). If your unit cost is above 5.00 (90 %: 2.00 to 6.70), a higher "
        "price probably earns more. That is without fees, which lower it. Write what a unit costs you, "
        "and your fees in percent of the price, into costs.csv."
    )
    assert "without fees" not in explain(_without_costs(fees_known=True), PLAIN)
    text = explain(_without_costs(raises_revenue=60 / 64), PLAIN)
    assert "whatever a unit costs you: it brings more revenue in 60 of 64" in text
    assert "If your unit cost" not in text and "--data.reward.preset revenue" in text
    assert "If your unit cost" in explain(_without_costs(raises_revenue=30 / 64), PLAIN)


@pytest.mark.parametrize("decision", [STEP, PATH, HOLD, LEANING, NO_COSTS_HOLD, UNSURE])
def test_no_sentence_has_more_than_thirty_words_and_only_one_a_probability(decision: Decision) -> None:
    changes = {"raising": None} if decision is NO_COSTS_HOLD else {"weighed": DOUBTFUL if decision is UNSURE else None}
    text = explain(_advice(decision, **changes), PLAIN)
    assert max(len(sentence.split()) for sentence in text.split(". ")) <= 30
    assert text.count("plausible scenarios") == (decision not in (HOLD, NO_COSTS_HOLD))


@pytest.mark.parametrize(("step", "words"), [(1, "3 of 4 days"), (7, "3 of 4 weeks")])
def test_earlier_advice_is_counted_in_the_rows_of_the_history(step: int, words: str) -> None:
    record = {"inside": {"units": [0, 0], "sales": [3, 4]}}
    text = verdict.tested_words(_advice(STEP, track_record=record), Formatter(step_days=step))
    assert text == f"earlier advice: {words} inside its 90 % interval"


@pytest.mark.parametrize(("step", "digits"), [(0.01, 2), (1.0, 2), (0.05, 2), (0.001, 3), (0.0005, 4)])
def test_prices_show_the_digits_of_their_grid(step: float, digits: int) -> None:
    assert price_digits(step) == digits


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    assert safe_text(f"{start}1+1") == f"'{start}1+1"
    assert safe_text(f"a{start}") == f"a{start}"
