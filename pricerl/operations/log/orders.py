"""Orders: overrides and pauses, which take precedence over the model but not over hard limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from pricerl.data.reading.columns import LARGEST_NUMBER
from pricerl.decide.standing import Order, Status, active_of
from pricerl.errors import refuse
from pricerl.experiments.roll_out import find_hold
from pricerl.guardrails.limits_in_force import HardLimits, refuse_price
from pricerl.guardrails.price_grid import FLOAT32_SLACK, is_outside, same_price
from pricerl.operations.log.decision_log import Entry

OVERRIDE = "override"
PAUSE = "pause"
CLEAR = "clear"
RESUME = "resume"
APPROVAL = "approval"
ADVICE = "advice"
ROLLBACK = "rollback"
RETRAIN = "retrain"
PRICE_TEST = "price_test"
TEST_RESULT = "price_test_result"
ROLL_OUT = "roll_out"
VISITOR_TEST = "visitor_test"
PLATFORM_PRICE = "platform_price"
STAGED = "staged"
REJECTION = "rejection"
COSTS = "costs"
PUBLISHING = "publishing"
LIMITS = "limits"
REPAIR = "repair"
"""Kinds of entries."""

DECIDING = (OVERRIDE, APPROVAL, PRICE_TEST)
"""Kinds of entries by which a person decides on a price."""

TOLERANCE = 0.20
"""Largest difference between an ordered price and the current one that needs no ``--force``, as a share: four of the
largest changes that the guardrails allow by default."""

RETURN_DAYS = 14
"""Days for which the regular price of an ended price test is charged from each day on, as long as an advice reaches."""


def orders_of(entries: Iterable[Entry], product: str, first_day: str) -> list[Order]:
    """Return all orders on a product, oldest first; a newer one replaces the earlier ones.

    Orders that end before ``first_day``, the first day after the data in ISO format, have expired. Those that a person
    ended earlier have ended, and so has a price test with a result. An override or a pause suspends a price test; the
    test goes on after it.
    """
    own = [entry for entry in entries if entry.get("product") == product]
    given = [entry for entry in own if entry["kind"] in (OVERRIDE, PAUSE, PRICE_TEST)]
    newest = {entry["kind"] == PRICE_TEST: entry["id"] for entry in given}.values()
    ended = _ended(own) | {entry["test"] for entry in own if entry["kind"] == TEST_RESULT}
    orders = []
    for entry in given:
        status: Status = "active" if entry["id"] in newest else "replaced"
        status = "expired" if entry["until"] < first_day else "ended" if entry["id"] in ended else status
        days = tuple((day["date"], day["price"]) for day in entry.get("schedule", ()))
        prepared = f"approved as an agent prepared it, entry {entry['staged']}" if entry.get("staged") else ""
        orders.append(
            Order(
                id=entry["id"],
                kind=entry["kind"],
                price=entry["regular_price"] if days else entry.get("price"),
                until=entry["until"],
                actor=entry["actor"],
                reason=entry["reason"] or prepared,
                status=status,
                schedule=days,
            )
        )
    active = [order for order in orders if order.status == "active"]
    suspended = next((order for order in active if order.kind == PRICE_TEST and len(active) > 1), None)
    return [replace(order, status="suspended") if order is suspended else order for order in orders]


def _ended(entries: Iterable[Entry]) -> set[int]:
    """Return the numbers of the orders that a person has ended."""
    return {entry["ends"] for entry in entries if entry["kind"] == RESUME}


def clearances_on(entries: Sequence[Entry], day: date) -> dict[str, Entry]:
    """Return the newest clearance of each product that neither a person nor its last day has ended."""
    newest = {entry["product"]: entry for entry in entries if entry["kind"] == CLEAR}
    ended = _ended(entries)
    return {name: item for name, item in newest.items() if item["id"] not in ended and item["until"] >= day.isoformat()}


def _returns(test: Order, own: Sequence[Entry], current_price: float, history_end: str) -> bool:
    """Return whether the regular price of the last price test, which has ended, is still to be charged again.

    It is unless the test showed that the other price is better, a person decided on the price since, or a file that
    ends later shows a price that is not the test's. ``own`` are the product's entries, oldest first.
    """
    advised = [entry for entry in own if entry["kind"] == ADVICE]
    ending = {RESUME: "ends", TEST_RESULT: "test"}
    ends = [entry for entry in own if entry["kind"] in ending and entry[ending[entry["kind"]]] == test.id]
    over = min([test.until, *map(day_of, ends[:1])])
    for entry in ends:
        opened = [item["days"][0]["date"] for item in advised if item["id"] < entry["id"]][-1:]
        is_over = entry is not ends[0] or max([day_of(entry), *opened]) > test.until
        if entry.get("verdict") == "higher" or (entry["kind"] == RESUME and is_over):
            return False
    ended = _ended(own)
    later = (entry for entry in own if entry["kind"] in (OVERRIDE, PAUSE) and entry["id"] not in ended)
    if over < test.schedule[0][0] or any(entry["until"] > over for entry in later if entry["id"] > test.id):
        return False
    known = [*((entry["history_end"], entry["current_price"]) for entry in advised), (history_end, current_price)]
    tried = [price for day, price in test.schedule if day <= over]
    others = {price for price in tried if not same_price(price, test.price or 0.0)}
    shown = [price for day, price in known if day >= over] or tried[-1:]
    return all(any(same_price(price, other) for other in others) for price in shown)


def day_of(entry: Entry) -> str:
    """Return the day on which an entry was made, ISO format."""
    return str(entry.get("today") or entry["time"][:10])


def judged_orders(
    entries: Sequence[Entry],
    product: str,
    current_price: float,
    history_end: str,
    limits: HardLimits,
    first_day: str,
    currency: str | None = None,
    restarts: str = "",
) -> list[Order]:
    """Return all orders on a product, oldest first, the active one refused if its price may not be charged any more.

    The hard limits in force can have changed since the order. The current price is from the last day of the data,
    ``history_end``, and ``first_day`` is the next one that is open, both in ISO format. ``currency`` is the file's,
    if known. ``restarts`` states how the file contradicts the one that the last advice knew; it is empty
    if it does not. A price test that has ended is in force until the shop is back at its regular price.
    """
    own = [entry for entry in entries if entry.get("product") == product]
    orders = orders_of(own, product, first_day)
    test = next((order for order in reversed(orders) if order.kind == PRICE_TEST), None)
    is_over = test is not None and test.status in ("ended", "expired") and active_of(orders) is None
    if test is not None and is_over and _returns(test, own, current_price, history_end):
        until = (date.fromisoformat(first_day) + timedelta(days=RETURN_DAYS - 1)).isoformat()
        back = replace(test, status="returning", until=until, schedule=())
        orders = [back if other is test else other for other in orders]
    if (order := active_of(orders)) is None:
        held = () if restarts else _hold(entries, own, product, first_day)
        return [*orders, *(item for item in held if not refuse_price(item.price or current_price, limits))]
    kind = order.kind.replace("_", " ")
    given = next(entry.get("currency") for entry in own if entry["id"] == order.id)
    breaks = [  # the regular price of a test may lie between two steps, as it was charged before
        refuse_price(price, limits, "price" if order.schedule and price != order.price else kind)
        for price in sorted({price for _, price in order.schedule} or {order.price or current_price})
    ]
    faults = {
        f"the {kind} is in {given or 'no currency'}, the file in {currency or 'no currency'}": (
            None not in (given, currency) and given != currency
        ),
        f"the {kind} was ordered before the prices in the file changed their unit": (
            restarts or any(entry.get("restarts") and order.id < entry["id"] for entry in own)
        ),
        **{fault: fault for fault in breaks},
    }
    refusal = first_fault(faults)
    refused = replace(order, status="refused", refusal=refusal) if refusal else order
    return [refused if other is order else other for other in orders]


def first_fault(faults: Mapping[str, object]) -> str:
    """Return the first of some faults that is the case; empty if none is."""
    return next((fault for fault, is_so in faults.items() if is_so), "")


def last_roll_out(entries: Sequence[Entry]) -> tuple[Entry | None, str]:
    """Return the last roll-out in a log, if any, and the first day after it, as planned or as a person ended it."""
    found = next((entry for entry in reversed(entries) if entry["kind"] == ROLL_OUT), None)
    if found is None:
        return None, ""
    ends = (day_of(entry) for entry in entries if entry.get("ends") == found["id"] and entry["product"] is None)
    return found, next(ends, (date.fromisoformat(found["until"]) + timedelta(days=1)).isoformat())


def _hold(entries: Sequence[Entry], own: Sequence[Entry], product: str, day: str) -> list[Order]:
    """Return the order of a roll-out that holds a product on a day, in ISO format.

    There is none if a person let it go, or if the prices in the file changed their unit since. Its ``own`` entries are
    among the log's.
    """
    plan, end = last_roll_out(entries)
    hold = None if plan is None or day >= end or plan["id"] in _ended(own) else find_hold(plan, product, day)
    if plan is None or hold is None or any(entry.get("restarts") and plan["id"] < entry["id"] for entry in own):
        return []
    price, why = (None, "waits") if hold.waits else (plan["products"][product]["price"], "is a control")
    return [Order(plan["id"], "roll_out", price, hold.until, plan["actor"], f"{why} in the roll-out", "active")]


def open_edit(advice: Entry, entries: Sequence[Entry]) -> Entry | None:
    """Return the price that somebody else has set on the platform, unless a person decided since or a file shows it.

    ``entries`` are the product's, oldest first.
    """
    seen = next((entry for entry in reversed(entries) if entry["kind"] in (PLATFORM_PRICE, *DECIDING)), None)
    if seen is None or not seen.get("foreign") or same_price(seen["price"], advice["current_price"]):
        return None
    return seen


def doubt_price(price: float, current_price: float, tried: Sequence[float], tolerance: float = TOLERANCE) -> str:
    """Return why a person must confirm an ordered price in money, as a sentence; empty if nobody need.

    ``tried`` is the lowest and the highest price ever charged, ``tolerance`` the largest difference from the current
    price, as a share of it.
    """
    change = price / current_price - 1
    doubts = {
        f"{100 * abs(change):.3g} % {'above' if change > 0 else 'below'} the current price of {current_price:g} "
        f"(--tolerance {tolerance:g})": abs(change) > tolerance + FLOAT32_SLACK,
        f"outside the prices tried, {tried[0]:g} to {tried[1]:g}, so nothing can be forecast there": (
            is_outside(price, *tried)
        ),
    }
    found = " and ".join(words for words, is_so in doubts.items() if is_so)
    return f"{price:g} is {found}" if found else ""


def positive_price(price: float) -> float:
    """Return the value of ``--price``; refuse one that is not positive, or larger than a number of a file may be."""
    is_wrong = not 0 < price <= LARGEST_NUMBER
    refuse({f"--price: must be a positive number up to {LARGEST_NUMBER:g}, found {price:g}": is_wrong})
    return price
