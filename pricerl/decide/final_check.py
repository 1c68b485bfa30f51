"""Final checks: every day's price passes the gate, and no change is published that would not pay."""

from __future__ import annotations

from dataclasses import replace

from pricerl.decide.case import Case, Course
from pricerl.decide.decision import Decision, keep_price
from pricerl.decide.price_path import DayEdit, GatedPath, PricePath, approach_path
from pricerl.env.product import Product
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.guardrails.today import Edit
from pricerl.reasons import Reason

ROUNDING = 1.01
"""Tolerance between prices rounded in single and in double precision, in price steps."""


def gate_path(product: Product, path: PricePath) -> GatedPath:
    """Pass each day's price through the gate, given the days before; the edits of the proposed price name the rules."""
    today = product.today
    edits: list[DayEdit] = []
    asked: float | None = None
    prices: list[float] = []
    last: tuple[Edit, ...] = ()
    for price, proposal in zip(path.price.tolist(), path.asked.tolist(), strict=True):
        gated = pass_gate(price, today)
        explained = gated.edits
        if not explained and proposal != price:
            wanted = pass_gate(proposal, today)
            if abs(wanted.price - gated.price) <= ROUNDING * today.config.price_step:
                explained = tuple(edit for edit in wanted.edits if edit.rule != "price_step")
        if explained and asked is None:
            asked = proposal
        today = today.charge(gated.price)
        if explained != last:
            edits += [DayEdit.on(str(today.log.dates[-1]), edit) for edit in explained]
        last = explained
        prices.append(gated.price)
    return GatedPath(tuple(prices), asked, tuple(edits))


def confirm(decision: Decision, gated: GatedPath, now: float) -> Decision:
    """Return a decision to keep the price if the gate has undone the whole change, else the same decision."""
    if decision.follow == "hold" or any(price != now for price in gated.prices):
        return decision
    reason = Reason("limits_undo_change")
    if gated.edits:
        reason = Reason("limit", {"rule": gated.edits[-1].rule, "why": gated.edits[-1].why})
    return replace(keep_price(reason), gated=decision.gated, proposed_by=decision.proposed_by)


def publish(case: Case, course: Course) -> Course:
    """Follow the decision as far as its prices pass the gate and pay in that form, else keep the current price.

    To pay, a path must be worth more in a quarter than keeping the price. Exempt are changes that hard
    limits force, and those to which the gate is closed on purpose (``decision.min_chance`` 0).
    """
    aim = course.aim
    followed = aim
    if course.decision.follow == "limit":
        followed = approach_path(aim.limits.nearest, case.product, case.horizon)._replace(asked=case.kept)
    elif course.decision.follow == "hold":
        followed = aim._replace(price=case.kept, low=case.kept, high=case.kept, asked=case.kept)
    elif aim is course.proposed.path and course.proposed.by_draw is not None:
        known = course.proposed.by_draw()
        followed = aim._replace(low=known.low.minimum(aim.price), high=known.high.maximum(aim.price))
    gated = gate_path(case.product, followed)
    path = gated.onto(followed)
    decision = confirm(course.decision, gated, case.product.current_price)
    exempt = decision.follow in ("hold", "limit") or not decision.gated
    if exempt or case.quarter.prefers(path.price):
        open_now = case.standing.account is not None and case.stocked is None and case.config.min_chance > 0
        account = case.quarter.describe(path.price) if open_now else None
        return replace(course, decision=decision, path=path, gated=gated, account=account)
    to_limit = Decision("limit", "C", "limits", False, (Reason("keep_not_allowed"),))
    refused = keep_price(Reason("not_worth_change")) if aim.limits.keep_allowed else to_limit
    refused = replace(refused, gated=decision.gated, proposed_by=decision.proposed_by)
    return publish(case, replace(course, decision=refused))


def pass_gate_last(case: Case, course: Course) -> Course | None:
    """Let no price out that the limits forbid; a person's is bound by the hard ones alone."""
    product = case.product
    order = course.order
    if order is not None:
        what = order.kind.replace("_", " ")
        why = next(filter(None, (refuse_price(price, product.hard_limits, what) for price in course.prices)), "")
        decision = keep_price(Reason("order_refused", {"entry": order.id, "why": why}))
        kept = course.overruled((product.current_price,) * case.horizon, decision)
        return replace(kept, order=None) if why else None
    today = product.today
    for price in course.prices:
        today = today.charge(pass_gate(price, today).price)
    passed = tuple(today.log.prices[-case.horizon :].tolist())
    if passed == course.prices:
        return None
    gated = replace(course.gated, prices=passed)
    decision = confirm(course.decision, gated, product.current_price)
    return replace(course, decision=decision, path=gated.onto(course.path), gated=gated)
