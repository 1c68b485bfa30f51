"""Prices that relations to other products leave."""

from __future__ import annotations

from dataclasses import replace

from pricerl.decide.case import Case, Course
from pricerl.decide.decision import Decision
from pricerl.decide.final_check import gate_path
from pricerl.decide.price_path import DayEdit
from pricerl.guardrails.price_grid import same_price
from pricerl.guardrails.today import DIGITS

RELATIONS = "relations"
"""Rule of the edits that relations between products make."""


def keep_relations(case: Case, course: Course) -> Course | None:
    """Charge the prices that relations to other products leave, or the current one if they do not pay here."""
    product, bound = case.product, case.standing.bound
    if bound is None:
        return None
    now, why = product.current_price, bound.why
    prices = case.settle(bound.prices)
    moves = any(price != now for price in prices)
    path = product.money(prices)
    gated = gate_path(product, course.path._replace(price=path, asked=path))
    if not bool((path == product.money(gated.prices)).all()):
        moves, why = False, f"{why}; the product's own limits forbid that"
    elif moves and course.decision.gated and not case.value(path).pays_over(case.keep):
        moves, why = False, f"{why}; it would not pay here"
    decision = replace(course.decision, why=why)
    if not moves:
        prices, decision = (now,) * case.horizon, Decision("hold", "C", "hold", False, why)
    before, edits = course.prices, course.gated.edits
    first = next((row for row in range(case.horizon) if not same_price(before[row], prices[row])), None)
    if first is not None:
        old, new = round(before[first], DIGITS), round(prices[first], DIGITS)
        edits = (*edits, DayEdit(RELATIONS, old, new, why, case.days[first].isoformat()))
    return course.overruled(prices, decision, course.gated.asked, edits)
