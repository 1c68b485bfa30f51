from __future__ import annotations

from dataclasses import replace

import pytest

from pricerl.advice.sentences.answers import say_all
from pricerl.data.cleaning.zero_sales import UnlikelyZeros
from pricerl.decide.decision import SET_BY, Decision, DecisionConfig, Evidence, Limits, decide
from pricerl.errors import UsageError
from pricerl.reasons import Reason

FREE = Limits(feasible=True, keep_allowed=True, movable=True, nearest=10.0, wait=0)
SHUT = FREE._replace(feasible=False)
FORBIDDEN = FREE._replace(keep_allowed=False)
STUCK = FREE._replace(movable=False)
CLEAR = Evidence(
    proposed_by="policy",
    aimed_by="policy",
    objective="",
    target=11.0,
    paused=False,
    limits=FREE,
    hold_lasts=False,
    failed=False,
    familiar=True,
    distinct_prices=5,
    usable_days=90,
    sold_days=90,
    entangled_with="",
    unlikely_zeros=None,
    costs_known=True,
    price_doubt=None,
    measured="",
    prior_alone=False,
    proposes_change=True,
    probability_better=0.99,
    inside_tried_prices=True,
    set_by=(),
    rule_known=False,
    suspect=False,
    doubt=None,
    is_step=True,
    utility=0.01,
    leads_back=False,
)
OPEN = DecisionConfig(min_chance=0.0)
DOUBT = Reason("price_differs", {"last": 1.99, "in_force": 2.69, "deal": True})
CAUSES = {code: (Reason(code),) for code in SET_BY.values()}


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def test_a_clear_gain_inside_tried_prices_is_followed_with_grade_b() -> None:
    decision = decide(CLEAR, DecisionConfig())
    assert (decision.follow, decision.grade, decision.source) == ("path", "B", "policy")
    assert codes(decision) == ["untested"] and not decision.lacks_evidence


@pytest.mark.parametrize("change", [{"probability_better": 0.94}, {"inside_tried_prices": False}])
def test_a_likely_gain_or_an_untried_price_is_worth_one_step(change: dict[str, object]) -> None:
    decision = decide(replace(CLEAR, **change), DecisionConfig())
    assert (decision.follow, decision.grade, decision.lacks_evidence) == ("step", "B-", False)


@pytest.mark.parametrize(
    ("change", "grade", "reasons"),
    [
        (
            {"probability_better": 0.49},
            "C",
            [Reason("chance_too_low", {"price": 11.0, "percent": 49, "needed": 0.5, "objective": ""})],
        ),
        ({"familiar": False}, "D", [Reason("unfamiliar_price")]),
        ({"distinct_prices": 1}, "D", [Reason("one_price")]),
        ({"sold_days": 3}, "D", [Reason("too_few_sold", {"sold": 3, "needed": 10})]),
        ({"is_step": False, "probability_better": 0.9}, "C", [Reason("too_far")]),
        ({"usable_days": 27}, "D", [Reason("too_few_days", {"usable": 27, "needed": 28})]),
        ({"costs_known": False}, "C", [Reason("costs_unknown")]),
        ({"costs_known": False, "set_by": CAUSES["averages"]}, "C", [Reason("costs_unknown"), *CAUSES["averages"]]),
        ({"costs_known": False, "distinct_prices": 1}, "D", [Reason("one_price")]),
        (
            {"unlikely_zeros": UnlikelyZeros(15, 2.0, 100)},
            "D",
            [Reason("unlikely_zeros", {"days": 15, "known": 100, "expected": 2})],
        ),
    ],
)
def test_a_lack_of_evidence_holds_the_price(change: dict[str, object], grade: str, reasons: list[Reason]) -> None:
    decision = decide(replace(CLEAR, **change), DecisionConfig())
    assert (decision.follow, decision.grade, decision.source, decision.lacks_evidence) == ("hold", grade, "hold", True)
    assert list(decision.reasons) == reasons


def test_few_unlikely_zeros_decide_nothing() -> None:
    few, many = (replace(CLEAR, unlikely_zeros=UnlikelyZeros(days, 2.0, 100)) for days in (12, 13))
    assert decide(few, DecisionConfig()).grade == "B" and decide(many, DecisionConfig()).grade == "D"
    assert decide(many, OPEN).follow == "path"


def test_where_no_price_satisfies_the_limits_a_person_must_set_one() -> None:
    decision = decide(replace(CLEAR, limits=SHUT), DecisionConfig())
    assert (decision.follow, decision.grade, decision.source, decision.lacks_evidence) == ("hold", "D", "manual", True)
    assert codes(decision) == ["no_price_allowed"]


@pytest.mark.parametrize(
    ("change", "chain"),
    [
        ({}, ("policy",)),
        ({"probability_better": 0.4}, ("policy", "hold")),
        ({"limits": SHUT}, ("policy", "hold", "manual")),
        ({"limits": FORBIDDEN, "usable_days": 3}, ("limits",)),
    ],
)
def test_a_decision_names_the_fallbacks_down_to_its_own(change: dict[str, object], chain: tuple[str, ...]) -> None:
    assert decide(replace(CLEAR, **change), DecisionConfig()).chain == chain


def test_fewer_than_no_days_cannot_stop_the_model() -> None:
    with pytest.raises(UsageError, match="kill_days must be 0"):
        DecisionConfig(kill_days=-1)


@pytest.mark.parametrize("weak", [{"probability_better": 0.1}, {"usable_days": 3}, {"costs_known": False}])
def test_a_hold_never_keeps_a_price_that_the_limits_forbid(weak: dict[str, object]) -> None:
    decision = decide(replace(CLEAR, limits=FORBIDDEN, **weak), DecisionConfig())
    assert (decision.follow, decision.grade, decision.source) == ("limit", "C", "limits")
    assert not decision.lacks_evidence and codes(decision) == ["keep_not_allowed"]


def test_a_clear_gain_is_followed_from_a_forbidden_price_too() -> None:
    assert decide(replace(CLEAR, limits=FORBIDDEN), DecisionConfig()).follow == "path"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"limits": STUCK}, "no_other_price"), ({"hold_lasts": True, "limits": FORBIDDEN}, "hold_outlasts")],
)
def test_what_the_guardrails_forbid_is_no_lack_of_evidence(change: dict[str, object], code: str) -> None:
    decision = decide(replace(CLEAR, proposes_change=False, **change), DecisionConfig())
    assert (decision.follow, decision.source, decision.lacks_evidence) == ("hold", "hold", False)
    assert codes(decision) == [code]


def test_a_policy_that_keeps_the_price_lacks_no_evidence() -> None:
    decision = decide(replace(CLEAR, proposes_change=False, probability_better=0.0), DecisionConfig())
    assert (decision.follow, decision.grade, decision.source) == ("hold", "C", "policy")
    assert not decision.lacks_evidence


@pytest.mark.parametrize(
    ("change", "grade"),
    [
        ({}, "B"),
        ({"probability_better": 0.1}, "C"),
        ({"inside_tried_prices": False}, "C"),
        ({"set_by": CAUSES["repricer"]}, "C"),
        ({"price_doubt": DOUBT}, "C"),
        ({"costs_known": False, "probability_better": 0.5}, "C"),
    ],
)
def test_without_the_gate_the_policy_is_followed_and_the_grade_stays_honest(
    change: dict[str, object], grade: str
) -> None:
    decision = decide(replace(CLEAR, **change), OPEN)
    assert (decision.follow, decision.grade, decision.gated) == ("path", grade, False)


@pytest.mark.parametrize("change", [{"limits": SHUT}, {"distinct_prices": 1}, {"usable_days": 3}])
def test_without_the_gate_a_history_without_evidence_still_holds(change: dict[str, object]) -> None:
    assert decide(replace(CLEAR, **change), OPEN).follow == "hold"


def test_infeasible_guardrails_come_first() -> None:
    nothing = replace(CLEAR, limits=SHUT, familiar=False, distinct_prices=1, usable_days=0, costs_known=False)
    assert codes(decide(nothing, DecisionConfig())) == ["no_price_allowed"]


@pytest.mark.parametrize(("chance", "grade"), [(0.5, "B-"), (0.95, "B")])
def test_the_limits_themselves_count_as_reached(chance: float, grade: str) -> None:
    assert decide(replace(CLEAR, probability_better=chance), DecisionConfig()).grade == grade


def test_certainty_is_never_written_as_a_percentage() -> None:
    why = say_all(decide(CLEAR, DecisionConfig(min_chance=1.0)).reasons)
    assert why.endswith("if it does in all") and "100" not in why


@pytest.mark.parametrize(
    "settings",
    [{"min_chance": -0.1}, {"min_chance": 1.1}, {"claim_chance": 2.0}, {"loss_budget": -1.0}, {"min_days": 0}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"decision.{next(iter(settings))}"):
        DecisionConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_a_history_that_somebody_biased_is_never_claimed_and_moves_only_if_clear(cause: str) -> None:
    suspect = replace(CLEAR, set_by=CAUSES[cause], suspect=True)
    assert decide(suspect, DecisionConfig()).grade == "B-"
    held = decide(replace(suspect, probability_better=0.94), DecisionConfig())
    assert (held.follow, held.grade, held.unsure) == ("hold", "C", True)
    assert decide(replace(suspect, probability_better=0.94, suspect=False), DecisionConfig()).grade == "B-"
    assert decide(replace(suspect, rule_known=True), DecisionConfig()).grade == "B"
    assert codes(held) == [cause, "chance_too_low"] and held.reasons[1].numbers["needed"] == 0.95


@pytest.mark.parametrize("utility", [-0.001, 0.0045])
def test_a_likely_gain_that_is_worth_less_than_a_new_price_is_refused(utility: float) -> None:
    likely = replace(CLEAR, probability_better=0.8, utility=utility)
    held = decide(likely, DecisionConfig())
    assert (held.follow, held.grade, held.unsure) == ("hold", "C", True)
    assert held.reasons == (Reason("not_worth_risk", {"price": 11.0, "loss_weight": 2.25}),)
    assert decide(replace(likely, utility=0.0055), DecisionConfig()).grade == "B-"


def test_the_way_back_needs_as_much_as_any_other_and_says_why() -> None:
    back = replace(CLEAR, probability_better=0.8, leads_back=True)
    step = decide(back, DecisionConfig())
    assert (step.follow, step.grade) == ("step", "B-") and codes(step) == ["one_step_back"]
    assert decide(replace(back, probability_better=0.4), DecisionConfig()).follow == "hold"
    assert decide(replace(back, utility=0.00007), DecisionConfig()).follow == "hold"


@pytest.mark.parametrize(
    "change",
    [
        *({"limits": limits} for limits in (SHUT, FORBIDDEN, STUCK)),
        *({name: False} for name in ("familiar", "costs_known", "proposes_change")),
        {"paused": True},
        {"hold_lasts": True},
        {"entangled_with": "competitor price"},
        {"set_by": CAUSES["repricer"], "suspect": True, "probability_better": 0.9},
        {"set_by": CAUSES["averages"], "suspect": True, "probability_better": 0.9},
        {"utility": -0.01, "probability_better": 0.9},
        {"leads_back": True, "probability_better": 0.9},
        {"unlikely_zeros": UnlikelyZeros(150, 20.0, 1000)},
        {"probability_better": 0.94},
        {"probability_better": 0.5},
        {"is_step": False, "probability_better": 0.9},
        {"sold_days": 1},
        {"price_doubt": DOUBT},
    ],
)
def test_no_sentence_of_a_decision_has_more_than_thirty_words(change: dict[str, object]) -> None:
    decision = decide(replace(CLEAR, **change), DecisionConfig())
    assert max(len(sentence.split()) for sentence in f"Keep 10.00: {say_all(decision.reasons)}".split(". ")) <= 30


def test_a_failed_check_of_the_card_lowers_the_grade_by_a_step() -> None:
    doubt = Reason("card_doubt", {"finding": "the largest days are smaller than expected"})
    clear = decide(replace(CLEAR, doubt=doubt), DecisionConfig())
    assert (clear.follow, clear.grade) == ("step", "B-")
    likely = decide(replace(CLEAR, doubt=doubt, probability_better=0.9), DecisionConfig())
    assert (likely.follow, likely.grade, likely.reasons, likely.unsure) == ("hold", "C", (doubt,), True)
    assert decide(replace(CLEAR, doubt=doubt, measured="better"), DecisionConfig()).grade == "A"
    assert decide(replace(CLEAR, doubt=doubt), OPEN).follow == "path"


def test_where_only_the_prior_speaks_nothing_can_be_estimated() -> None:
    alone = decide(replace(CLEAR, prior_alone=True), DecisionConfig())
    assert (alone.follow, alone.grade, codes(alone)) == ("hold", "D", ["prior_alone"])
    assert decide(replace(CLEAR, prior_alone=True, measured="better"), DecisionConfig()).grade == "A"
