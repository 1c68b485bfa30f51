"""Prices that a person has ordered: a running price test, an override or a pause, in place of the model's."""

from __future__ import annotations

from dataclasses import replace

from pricerl.decide.case import Case, Course
from pricerl.decide.decision import Decision, Source
from pricerl.decide.standing import Order, active_of
from pricerl.guardrails.price_grid import is_outside
from pricerl.terminal import shown

WORDS = {"override": "override", "pause": "paused", "price_test": "price test"}
SOURCES: dict[str, Source] = {"override": "override", "pause": "manual", "price_test": "price test"}
"""Words and source of an advice that follows an order, by the kind of the order."""


def follow_price_test(case: Case, course: Course) -> Course | None:
    """Charge the prices of a running price test, unless the kill switch suspends it."""
    order = active_of(case.standing.orders)
    if order is None or order.kind != "price_test" or course.alarm is not None:
        return None
    return _obey(case, course, order)


def obey_order(case: Case, course: Course) -> Course | None:
    """Charge the price of an override, or keep the current one during a pause."""
    order = active_of(case.standing.orders)
    return None if order is None or order.kind == "price_test" else _obey(case, course, order)


def _obey(case: Case, course: Course, order: Order) -> Course:
    """Charge the ordered price, which stays after the order's last day until the next advice.

    A price test has one for each of its days, and the regular price after it.
    """
    product, f = case.product, case.formatter
    now = product.current_price
    prices = case.settle([order.price_on(day.isoformat(), now) for day in case.days])
    why = (
        f"{WORDS[order.kind]} by {shown(order.actor, 40)} until {f.date(order.until)} (entry {order.id}): "
        f"“{shown(order.reason)}”. The model alone: {f.price(course.recommends(now))}, grade {course.decision.grade}, "
        f"source {course.decision.source}"
    )
    lowest, highest = product.history.tried_prices
    untried = order.price is not None and any(is_outside(price, lowest, highest) for price in prices)
    if untried:
        why += f". Nothing is forecast: you have charged {f.price(lowest)} to {f.price(highest)}"
    moves = any(price != now for price in prices)
    decision = Decision("step" if moves else "hold", "C", SOURCES[order.kind], False, why)
    return replace(course.overruled(prices, decision), order=order, known=not untried)


def orders_after(case: Case, course: Course) -> tuple[Order, ...]:
    """Return all orders with their status: a price test that an alarm has stopped is suspended."""
    stopped = course.alarm is not None and course.order is None
    return tuple(
        replace(order, status="suspended") if stopped and order.status == "active" else order
        for order in case.standing.orders
    )
