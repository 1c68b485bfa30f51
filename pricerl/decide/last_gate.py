"""Last gate of the chain: what it returns is advised."""

from __future__ import annotations

from dataclasses import replace

from pricerl.decide.case import Case, Course
from pricerl.decide.decision import Decision
from pricerl.decide.final_check import confirm
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.hard_limits import refuse_price


def pass_gate_last(case: Case, course: Course) -> Course | None:
    """Let no price out that the limits forbid: the gate's takes its place, and the current one that of an order.

    A person's price is bound by the hard limits alone.
    """
    product, order = case.product, course.order
    if order is not None:
        limits, what = product.hard_limits, order.kind.replace("_", " ")
        why = next(filter(None, (refuse_price(price, limits, what) for price in course.prices)), "")
        kept = course.overruled((product.current_price,) * case.horizon, Decision("hold", "C", "hold", False, why))
        return replace(kept, order=None) if why else None
    log = product.today.log
    for price in course.prices:
        log = log.charge(pass_gate(price, log.prices[-1], log, product.today.costs, product.today.config).price)
    passed = tuple(log.prices[-case.horizon :].tolist())
    if passed == course.prices:
        return None
    gated = replace(course.gated, prices=passed)
    decision = confirm(course.decision, gated, product.current_price)
    return replace(course, decision=decision, path=gated.onto(course.path), gated=gated)
