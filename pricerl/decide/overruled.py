"""Deciders that overrule the model: the kill switch, a running price test, a person's order, relations to products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.history import ProductHistory
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import Decision, Reasons, Source, keep_price
from pricerl.decide.final_check import gate_path
from pricerl.decide.price_path import DayEdit, GatedPath, PricePath, approach_path
from pricerl.decide.standing import Alarm, Order, active_of
from pricerl.guardrails.price_grid import is_outside, same_price
from pricerl.guardrails.today import Edit
from pricerl.reasons import Reason

SOURCES: dict[str, Source] = {
    "override": "override",
    "pause": "manual",
    "price_test": "price test",
    "roll_out": "manual",
}
"""Source of an advice that follows an order, by the kind of the order."""


def stop_model(case: Case, course: Course) -> Course | None:
    """Replace the model's path by the way back to the last good price if that pays, else keep the price."""
    product = case.product
    low = case.standing.advised_low
    alarm = None if low is None else find_alarm(product.history, low, case.config.kill_days)
    if alarm is None:
        return None
    path, gated = _approach(case, alarm.last_good_price)
    reasons = [Reason("model_stopped", alarm._asdict())]
    if objection := _object_to(case, path, alarm.last_good_price):
        path, gated = _approach(case, product.current_price)
        reasons.append(objection)
    moves = any(price != product.current_price for price in gated.prices)
    decision = Decision("path" if moves else "hold", "C", "hold", False, tuple(reasons))
    if moves and objection:
        reasons.append(Reason("keep_not_allowed"))
        decision = Decision("limit", "C", "limits", False, tuple(reasons))
    stopped = course.overruled(gated.prices, decision, course.gated.asked, gated.edits)
    return replace(stopped, aim=path, alarm=alarm)


def _approach(case: Case, target: float) -> tuple[PricePath, GatedPath]:
    path = approach_path(target, case.product, case.horizon)
    gated = gate_path(case.product, path)
    return gated.onto(path), gated


def _object_to(case: Case, path: PricePath, target: float) -> Reason | None:
    """Return why the way back to the last good price is not taken, or None if it is."""
    product = case.product
    last = float(path.price[-1])
    now = product.current_price
    if same_price(target, now):
        return Reason("at_last_good_price")
    if same_price(last, now) or abs(last - target) >= abs(now - target):
        return Reason("no_price_closer")
    lowest = float(path.price[path.price != case.kept].min())
    if product.counted.cost.mean_margin(lowest) <= 0:
        return Reason("sold_at_no_margin", {"price": lowest})
    if case.quarter.prefers(path.price):
        return None
    back = case.value(path.price)
    gain = float((back.earned - case.keep.earned).mean())
    about = {"num_draws": product.market.num_draws, "measure": product.market.measure}
    return Reason("back_does_not_pay", {"gain": gain, "share": back.beats(case.keep), **about})


def find_alarm(history: ProductHistory, low: FloatArray, kill_days: int) -> Alarm | None:
    """Find consecutive days at the end of the history with sales below their predicted quantile.

    Days that were not observed, such as those out of stock, neither count nor end the run; nor do days without a
    prediction on which the price stays, as a seller does not take the next step while sales are low. ``low (D,)`` has
    the 5 % predictive quantiles of the sales, in money; NaN without a prediction. 0 ``kill_days`` turn it off.
    """
    limit = low.copy()
    for day in 1 + np.flatnonzero(np.isnan(low[1:]) & (history.price[1:] == history.price[:-1])):
        limit[day] = limit[day - 1]
    below = history.sales < limit
    other = np.flatnonzero(history.observed & ~below)
    start = int(other[-1]) + 1 if len(other) else 0
    run = start + np.flatnonzero(history.observed[start:] & ~np.isnan(low[start:]))
    if kill_days == 0 or len(run) < kill_days:
        return None
    known = np.flatnonzero(history.observed[: run[0]])
    return Alarm(
        days=len(run),
        first_day=str(history.dates[run[0]]),
        last_good_price=float(history.prices_in_force[known[-1] if len(known) else run[0]]),
        sales=float(history.sales[run].mean()),
        low=float(low[run].mean()),
    )


def obey_order(case: Case, course: Course) -> Course | None:
    """Charge the price of an order until the next advice: of an override, a pause, or a price test without an alarm."""
    order = active_of(case.standing.orders)
    if order is None or (order.schedule and course.alarm is not None):
        return None
    product = case.product
    now = product.current_price
    prices = case.settle(
        _approach(case, order.price)[1].prices  # soft limits bind a control
        if order.kind == "roll_out" and order.price is not None
        else [order.price_on(day.isoformat(), now) for day in case.days]
    )
    reasons = [
        Reason(
            "test_ended" if order.status == "returning" else "order",
            {"entry": order.id, "kind": order.kind, "actor": order.actor, "until": order.until, "text": order.reason},
        ),
        Reason(
            "model_alone",
            {"price": course.recommends(now), "grade": course.decision.grade, "source": course.decision.source},
        ),
    ]
    lowest, highest = product.history.tried_prices
    untried = order.price is not None and any(is_outside(price, lowest, highest) for price in prices)
    if untried:
        reasons.append(Reason("nothing_forecast", {"lowest": lowest, "highest": highest}))
    moves = any(price != now for price in prices)
    decision = Decision("step" if moves else "hold", "C", SOURCES[order.kind], False, tuple(reasons))
    return replace(course.overruled(prices, decision), order=order, known=not untried)


def orders_after(case: Case, course: Course) -> tuple[Order, ...]:
    """Return all orders with their status: a price test that an alarm has stopped is suspended."""
    stopped = course.alarm is not None and course.order is None
    return tuple(
        replace(order, status="suspended") if stopped and order.status == "active" else order
        for order in case.standing.orders
    )


def keep_relations(case: Case, course: Course) -> Course | None:
    """Charge the prices that relations to other products leave, or the current one if they do not pay here."""
    product = case.product
    bound = case.standing.bound
    if bound is None:
        return None
    wanted = case.settle(bound.prices)
    path = product.money(wanted)
    gated = gate_path(product, course.path._replace(price=path, asked=path))
    moves = any(price != product.current_price for price in wanted)
    objection: Reasons = ()
    if not bool((path == product.money(gated.prices)).all()):
        objection = (Reason("own_limits_forbid"),)
    elif moves and course.decision.gated and not case.quarter.prefers(path):
        objection = (Reason("relation_does_not_pay"),)
    reasons = (Reason("relation", {"why": bound.why}), *objection)
    follows = moves and not objection
    prices = wanted if follows else (product.current_price,) * case.horizon
    decision = replace(course.decision, reasons=reasons) if follows else keep_price(*reasons)
    days = zip(course.prices, prices, case.days, strict=True)
    edits = [
        DayEdit.on(day.isoformat(), Edit("relations", before, after, bound.why))
        for before, after, day in days
        if not same_price(before, after)
    ]
    return course.overruled(prices, decision, course.gated.asked, (*course.gated.edits, *edits[:1]))
