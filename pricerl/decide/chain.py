"""The chain that sets a product's price: a list of deciders, each of which may replace what those before it decided.

A new decider is a function ``(case, course so far) -> course``, or None to leave it, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable

from pricerl.decide.account import plan_quarter
from pricerl.decide.case import Case, Course
from pricerl.decide.evidence import follow_measured_pair, take_lower_bound, weigh_evidence
from pricerl.decide.exploration import vary_at_random
from pricerl.decide.final_check import pass_gate_last, publish
from pricerl.decide.overruled import follow_price_test, keep_relations, obey_order, stop_model
from pricerl.decide.proposer import propose

Decider = Callable[[Case, Course], Course | None]

DECIDERS: tuple[Decider, ...] = (
    follow_measured_pair,  # from the worse price of a decided price test to the better one
    plan_quarter,  # the plan of an open account
    weigh_evidence,  # as much of the proposal as the evidence allows, or the current price
    take_lower_bound,  # a more cautious price, if only that passes
    publish,  # as it passes the gate, if it pays in that form
    vary_at_random,  # small random changes, with consent
    stop_model,  # the kill switch
    follow_price_test,  # a running price test
    obey_order,  # override and pause
    keep_relations,  # to the prices of other products
    pass_gate_last,  # nothing leaves that the limits forbid
)
"""Deciders in rising order of authority; `propose` comes before them."""


def decide_price(case: Case) -> Course:
    """Return what the deciders make of the path that planner or policy proposes for a product's next days."""
    course = propose(case)
    for decider in DECIDERS:
        course = decider(case, course) or course
    return course
