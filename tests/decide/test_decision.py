"""The rules of a decision, each by a change of evidence that is clear otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pricerl.advice.sentences.answers import say_all
from pricerl.data.cleaning.zero_sales import UnlikelyZeros
from pricerl.decide.decision import SET_BY, Decision, DecisionConfig, Evidence, Limits, decide, keep_price
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
    tested=False,
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
GATED = DecisionConfig()
OPEN = DecisionConfig(min_chance=0.0)
DOUBT = Reason("price_differs", {"last": 1.99, "in_force": 2.69, "deal": True})
CARD_DOUBT = Reason("card_doubt", {"finding": "the largest days are smaller than expected"})
CAUSES = {code: (Reason(code),) for code in SET_BY.values()}


def decided(config: DecisionConfig = GATED, **change: object) -> Decision:
    """Decide on clear evidence with a change; no sentence of the reasons may have more than thirty words."""
    decision = decide(replace(CLEAR, **change), config)
    assert max(len(sentence.split()) for sentence in f"Keep 10.00: {say_all(decision.reasons)}".split(". ")) <= 30
    return decision


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def test_a_clear_gain_inside_tried_prices_is_followed_with_grade_b() -> None:
    decision = decided()
    assert (decision.follow, decision.grade, decision.source) == ("path", "B", "policy")
    assert codes(decision) == ["untested"] and not decision.lacks_evidence
    assert decided(limits=FORBIDDEN).follow == "path", "from a forbidden price too"


def test_a_test_made_elsewhere_is_grade_a_for_a_claim_and_stated_at_a_step() -> None:
    decision = decided(tested=True)
    assert (decision.follow, decision.grade, codes(decision)) == ("path", "A", ["tested"])
    biased = decided(tested=True, set_by=CAUSES["averages"], inside_tried_prices=False)
    assert (biased.follow, biased.grade) == ("path", "A"), "who set earlier prices does not matter for a test"
    step = decided(tested=True, probability_better=0.8)
    assert (step.follow, step.grade, codes(step)) == ("step", "B-", ["one_step", "tested"])
    doubted = decided(tested=True, doubt=CARD_DOUBT)
    assert doubted.grade == "B-", "a finding against the history still counts"
    assert decided(tested=True, costs_known=False).follow == "hold"


@pytest.mark.parametrize(
    ("change", "grade"),
    [
        ({"probability_better": 0.95}, "B"),
        ({"probability_better": 0.94}, "B-"),
        ({"probability_better": 0.5}, "B-"),
        ({"inside_tried_prices": False}, "B-"),
        ({"unlikely_zeros": UnlikelyZeros(12, 2.0, 100)}, "B"),
    ],
)
def test_a_likely_gain_or_an_untried_price_is_worth_one_step(change: dict[str, object], grade: str) -> None:
    decision = decided(**change)
    assert (decision.grade, decision.follow) == (grade, "path" if grade == "B" else "step")
    assert not decision.lacks_evidence


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
        ({"entangled_with": "competitor price"}, "D", [Reason("entangled", {"cause": "competitor price"})]),
        ({"prior_alone": True}, "D", [Reason("prior_alone")]),
        (
            {"unlikely_zeros": UnlikelyZeros(13, 2.0, 100)},
            "D",
            [Reason("unlikely_zeros", {"days": 13, "known": 100, "expected": 2})],
        ),
    ],
)
def test_a_lack_of_evidence_holds_the_price(change: dict[str, object], grade: str, reasons: list[Reason]) -> None:
    decision = decided(**change)
    assert (decision.follow, decision.grade, decision.source, decision.lacks_evidence) == ("hold", grade, "hold", True)
    assert list(decision.reasons) == reasons


def test_where_no_price_satisfies_the_limits_a_person_must_set_one_whatever_else_is_missing() -> None:
    for missing in ({}, {"familiar": False, "distinct_prices": 1, "usable_days": 0, "costs_known": False}):
        shut = decided(limits=SHUT, **missing)
        assert (shut.follow, shut.grade, shut.source, shut.lacks_evidence) == ("hold", "D", "manual", True)
        assert codes(shut) == ["no_price_allowed"]


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
    assert decided(**change).chain == chain


@pytest.mark.parametrize("weak", [{"probability_better": 0.1}, {"usable_days": 3}, {"costs_known": False}])
def test_a_hold_never_keeps_a_price_that_the_limits_forbid(weak: dict[str, object]) -> None:
    decision = decided(limits=FORBIDDEN, **weak)
    assert (decision.follow, decision.grade, decision.source) == ("limit", "C", "limits")
    assert not decision.lacks_evidence and codes(decision) == ["keep_not_allowed"]


@pytest.mark.parametrize(
    ("change", "source", "code"),
    [
        ({"paused": True}, "hold", "paused"),
        ({"limits": STUCK}, "hold", "no_other_price"),
        ({"hold_lasts": True, "limits": FORBIDDEN}, "hold", "hold_outlasts"),
        ({"probability_better": 0.0}, "policy", "no_better_price"),
    ],
)
def test_where_guardrails_or_policy_keep_the_price_no_evidence_is_missing(
    change: dict[str, object], source: str, code: str
) -> None:
    decision = decided(proposes_change=False, **change)
    assert (decision.follow, decision.grade, decision.source, decision.lacks_evidence) == ("hold", "C", source, False)
    assert codes(decision) == [code]


@pytest.mark.parametrize(
    ("change", "grade"),
    [
        ({}, "B"),
        ({"probability_better": 0.1}, "C"),
        ({"inside_tried_prices": False}, "C"),
        ({"set_by": CAUSES["repricer"]}, "C"),
        ({"price_doubt": DOUBT}, "C"),
        ({"doubt": CARD_DOUBT}, "C"),
        ({"costs_known": False, "probability_better": 0.5}, "C"),
        ({"unlikely_zeros": UnlikelyZeros(13, 2.0, 100)}, "B"),
    ],
)
def test_without_the_gate_the_policy_is_followed_and_the_grade_stays_honest(
    change: dict[str, object], grade: str
) -> None:
    decision = decided(OPEN, **change)
    assert (decision.follow, decision.grade, decision.gated) == ("path", grade, False)


@pytest.mark.parametrize("change", [{"limits": SHUT}, {"distinct_prices": 1}, {"usable_days": 3}])
def test_without_the_gate_a_history_without_evidence_still_holds(change: dict[str, object]) -> None:
    assert decided(OPEN, **change).follow == "hold"


def test_certainty_is_never_written_as_a_percentage() -> None:
    why = say_all(decided(DecisionConfig(min_chance=1.0)).reasons)
    assert why.endswith("if it does in all") and "100" not in why


@pytest.mark.parametrize(
    "settings",
    [
        {"min_chance": -0.1},
        {"min_chance": 1.1},
        {"claim_chance": 2.0},
        {"loss_budget": -1.0},
        {"min_days": 0},
        {"kill_days": -1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"decision.{next(iter(settings))} must"):
        DecisionConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_a_history_that_somebody_biased_is_never_claimed_and_moves_only_if_clear(cause: str) -> None:
    suspect = {"set_by": CAUSES[cause], "suspect": True}
    assert decided(**suspect).grade == "B-"
    held = decided(**suspect, probability_better=0.94)
    assert (held.follow, held.grade, held.unsure) == ("hold", "C", True)
    assert decided(set_by=CAUSES[cause], probability_better=0.94).grade == "B-"
    assert decided(**suspect, rule_known=True).grade == "B"
    assert codes(held) == [cause, "chance_too_low"] and held.reasons[1].numbers["needed"] == 0.95


@pytest.mark.parametrize("utility", [-0.001, 0.0045])
def test_a_likely_gain_that_is_worth_less_than_a_new_price_is_refused(utility: float) -> None:
    held = decided(probability_better=0.8, utility=utility)
    assert (held.follow, held.grade, held.unsure) == ("hold", "C", True)
    assert held.reasons == (Reason("not_worth_risk", {"price": 11.0, "loss_weight": 2.25}),)
    assert decided(probability_better=0.8, utility=0.0055).grade == "B-"


def test_the_way_back_needs_as_much_as_any_other_and_says_why() -> None:
    step = decided(probability_better=0.8, leads_back=True)
    assert (step.follow, step.grade) == ("step", "B-") and codes(step) == ["one_step_back"]
    assert decided(probability_better=0.4, leads_back=True).follow == "hold"
    assert decided(probability_better=0.8, leads_back=True, utility=0.00007).follow == "hold"


def test_a_doubtful_current_price_waits_for_its_confirmation() -> None:
    assert decided(price_doubt=DOUBT) == keep_price(DOUBT, Reason("confirm_price"))


def test_a_failed_check_of_the_card_lowers_the_grade_by_a_step() -> None:
    clear = decided(doubt=CARD_DOUBT)
    assert (clear.follow, clear.grade) == ("step", "B-")
    likely = decided(doubt=CARD_DOUBT, probability_better=0.9)
    assert (likely.follow, likely.grade, likely.reasons, likely.unsure) == ("hold", "C", (CARD_DOUBT,), True)


@pytest.mark.parametrize("weak", [{"doubt": CARD_DOUBT}, {"prior_alone": True}])
def test_a_measured_gain_has_grade_a_whatever_the_history_shows(weak: dict[str, object]) -> None:
    assert decided(measured="better", **weak).grade == "A"
