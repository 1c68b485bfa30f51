"""The outbox: which prices are charged next, as one pure function of the decision log, the generation and today.

``prices.csv`` and the workbook's sheet are this list and nothing else. A price gets in if the newest advice, an order
in force or an approval that the newest advice still holds asks for it, and if it passes the limits in force once more,
in double precision. Whatever is left out is said.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import chain, groupby
from operator import itemgetter
from pathlib import PurePath
from typing import Any, NamedTuple

from pricerl.data.days import lowest_before
from pricerl.decide.decision import Approval
from pricerl.decide.standing import ApprovedChange, Order, active_of
from pricerl.formatting import PLAIN, PLAIN_DIGITS, csv_text, safe_text, translate
from pricerl.guardrails.price_grid import is_outside, same_price
from pricerl.guardrails.relations import Relation, read_relations
from pricerl.operations.log.decision_log import FEWEST_DIGITS, Entry, Head, Log
from pricerl.operations.log.orders import (
    ADVICE,
    CLEAR,
    LIMITS,
    PAUSE,
    PUBLISHING,
    RESUME,
    ROLL_OUT,
    first_fault,
    judged_orders,
    open_edit,
)
from pricerl.operations.log.typed_limits import beyond_words, limits_of, refuse_change
from pricerl.terminal import shown

COLUMNS = ("Product", "Date", "Price", "Currency", "Last Day", "Decision Log", "Lowest of 30 Days")
"""First line of ``prices.csv``."""
LARGEST = "none by more than {share} ({product}); if units stay as they are: {money} of sales per day"
HELD = {PAUSE: "is paused", ROLL_OUT: "keeps its price in the roll-out"}
"""Reasons for a price that stays, by the kind of order."""


class Row(NamedTuple):
    """A price to charge."""

    product: str
    date: str
    """First day, ISO format."""
    price: float
    """Money."""
    last_day: str
    """Last day on which the price may still be taken over, ISO format."""
    ordered: bool = False
    """Whether a person's order or a price test asks for it."""
    lowest_30d: float | None = None
    """Lowest price of the 30 days before the first day, in money, or None if the advice is of an older version."""
    now: float = 0.0
    """Current price, in money."""
    units: float = 0.0
    """Units per day over the last four weeks."""


class State(NamedTuple):
    """State of a shop on which each price of its outbox depends, next to the entries about the product."""

    today: date
    generation: str
    """Name of the one in force."""
    publishing: Approval | None
    typed: Sequence[Entry]
    """Entries that typed limits."""
    currency: str
    """Currency of the newest advice; empty if unknown."""
    shared: Sequence[Entry]
    """Entries of roll-outs, which are about no product."""


class Outbox(NamedTuple):
    """Prices that are charged next."""

    rows: tuple[Row, ...]
    left_out: tuple[tuple[str, str], ...]
    """Products whose price was left out, each with the reason as a clause."""
    head: Head
    currency: str
    decimals: int
    state: State
    found: Mapping[str, tuple[int, Row | str]]
    """By product the number of its last entry, and its row, or why it has none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence per price that was left out, and why."""
        return tuple(f"{shown(product)}: no price, {why}" for product, why in self.left_out)

    @property
    def summary(self) -> str:
        """Number of changes, the largest one with its product, and what they bring if buyers do not react."""
        if not self.rows:
            return translate("no price changes")
        most = max(self.rows, key=lambda row: abs(row.price / row.now - 1))
        change = sum((row.price - row.now) * row.units for row in self.rows)
        given = {
            "count": len(self.rows),
            "share": PLAIN.percent(abs(most.price / most.now - 1)),
            "product": shown(most.product),
            "money": f"{PLAIN.number(change, plus='+')} {self.currency}".strip(),
        }
        count = "1 price changes" if len(self.rows) == 1 else "{count} prices change"
        return f"{PLAIN.say(count, given)}, {PLAIN.say(LARGEST, given)}"

    def render(self) -> str:
        """Return ``prices.csv`` as RFC 4180 has it, with a point as decimal mark."""
        return csv_text(self.table(), "\r\n")

    def table(self) -> list[tuple[str, ...]]:
        """Return the header and one line of texts per price."""
        last = self.head.hash[:FEWEST_DIGITS]
        lay_out = f"{{:.{self.decimals}f}}".format
        lines = (
            (safe_text(name), first, lay_out(price), self.currency, end, last, "" if low is None else lay_out(low))
            for name, first, price, end, _, low, *_ in self.rows
        )
        return [COLUMNS, *lines]


def open_day(advice: Entry, today: date) -> str:
    """Return the first day whose price is still open: today, or the first one after the history, ISO format."""
    return max(today.isoformat(), str(advice["days"][0]["date"]))


def publishing_of(advice: Entry) -> Approval:
    """Return how the price of an advice was published when it was made, by an older version, too."""
    terms = advice["terms"]
    found: Approval = "manual" if terms.get("approval_required") else terms.get("approval", "auto")
    return found


def shop_publishing(entries: Sequence[Entry]) -> Approval | None:
    """Return how a shop publishes advised prices, given the entries of its log; None before its first advice."""
    decided = (entry["mode"] for entry in reversed(entries) if entry["kind"] == PUBLISHING)
    advised = (publishing_of(entry) for entry in reversed(entries) if entry["kind"] == ADVICE)
    return next(chain(decided, advised), None)


def advising_generation(advice: Entry) -> str:
    """Return the name of the generation that made an advice; empty if it names none."""
    return PurePath(advice.get("checkpoint") or "").parent.name


def fill_outbox(log: Log, generation: str, today: date, before: Outbox | None = None) -> Outbox:
    """Return the prices that are charged from today on, given a log.

    The ``generation`` is the one in force; advice of another one is not charged any more. What an earlier log had
    ``before`` holds for the products without further entries, unless the state of the shop has changed.
    """
    newest = [*log.newest.values()]
    terms: Entry = newest[-1]["terms"] if newest else {"currency": "", "price_decimals": PLAIN_DIGITS}
    state = State(
        today,
        generation,
        publishing=shop_publishing(log.entries),
        typed=[entry for entry in log.entries if entry["kind"] == LIMITS],
        currency=terms["currency"],
        shared=[entry for entry in log.own.get(None, ()) if entry["kind"] in (ROLL_OUT, RESUME)],
    )
    known = before.found if before is not None and before.state == state else {}
    found: dict[str, tuple[int, Row | str]] = {}
    for name, advice in log.newest.items():
        last = log.own[name][-1]["id"]
        same = name in known and known[name][0] == last
        found[name] = known[name] if same else (last, _find_row(advice, [*log.own[name], *state.shared], state))
    rows = [row for _, row in found.values() if isinstance(row, Row)]
    left_out = [(product, why) for product, (_, why) in found.items() if isinstance(why, str) and why]
    kept, broken = _keep_relations(rows, newest)
    return Outbox(
        rows=tuple(kept),
        left_out=(*left_out, *broken),
        head=log.head,
        currency=terms["currency"],
        decimals=max(PLAIN_DIGITS, terms["price_decimals"]),
        state=state,
        found=found,
    )


def _find_row(advice: Entry, entries: Sequence[Entry], state: State) -> Row | str:
    """Return the row of one product, given its entries, or why it has none; empty if its price stays."""
    day = open_day(advice, state.today)
    judged = orders_on(advice, entries, day, state.typed)
    order = active_of(judged)
    row = _advised(advice, entries, day, state, judged) if order is None else _ordered(order, advice, day)
    if isinstance(row, str):
        return row
    if edit := open_edit(advice, entries):
        return f"somebody else set {edit['price']:g} (entry {edit['id']}); override it, to that or {row.price:g}"
    if (own := advice["terms"]["currency"]) != state.currency and own and state.currency:
        return f"its advice is in {own}, the newest of the shop in {state.currency}"
    now = advice["current_price"]
    known = advice["known"]
    lowest = lowest_before(row.date, lows, now) if (lows := advice.get("lowest_prices")) else None
    days = date.fromisoformat(_row_end(advice["history_end"], advice)) - date.fromisoformat(known["since"])
    full = row._replace(lowest_30d=lowest, now=now, units=known["units"] / (days.days + 1))
    return refuse_change(row.price, advice, state.typed, row.ordered) or full


def _ordered(order: Order, advice: Entry, day: str) -> Row | str:
    """Return the row of a product with an order, as `_find_row` does; a control walks back within all limits."""
    now = advice["current_price"]
    if order.schedule:
        return _scheduled(order.schedule, advice, day)
    if order.kind not in HELD:
        return Row(advice["product"], day, order.price_on(day, now), order.until, ordered=True)
    if order.price is None or same_price(order.price, now):
        return f"it {HELD[order.kind]} until {order.until} (entry {order.id})"
    low, high = (float(advice["limits"][end] or order.price) for end in ("lowest", "highest"))
    return Row(advice["product"], day, min(max(order.price, low), high), order.until, ordered=True)


def _advised(advice: Entry, entries: Sequence[Entry], day: str, state: State, judged: Sequence[Order]) -> Row | str:
    """Return the row of a product without an order in force, as `_find_row` does; one that is refused is the reason.

    Until a fresh file shows that the first change was made, the path is followed only as far as one change from the
    current price may go: its later steps depend on sales that are not known yet.
    """
    change = first_change(advice)
    generation = advising_generation(advice)
    followed = advice.get("order") or advice.get("test")
    ends = {item.get("ends") for item in entries if item["id"] > advice["id"]}
    reasons = {
        **{f"{order.refusal} (entry {order.id})": order.status == "refused" for order in judged},
        f"the order of entry {followed} has ended; run predict, and the model decides again": followed,
        "its clearance has ended; run predict, and the model decides again": any(
            item["kind"] == CLEAR and item["id"] in ends for item in entries
        ),
        f"its history ends on {advice['history_end']}, longer ago than the advice reaches; export a fresh file and run "
        "predict": last_day_of(advice) < day,
        f"its advice is from {generation}, which a rollback replaced; run predict": (
            state.generation and generation not in (state.generation, "")
        ),
        "": change is None,
        "decision.approval is shadow": state.publishing == "shadow",
    }
    if change is None or any(reasons.values()):
        return first_fault(reasons)
    first = max(change["date"], day)
    price = change["price"]
    why = waits_for(advice, [*entries, *state.typed])
    if state.publishing == "manual" or why:
        if approval_of(advice, entries) is None:
            return why or f"the change to {price:g} waits for your approval"
    else:
        planned = next(row["price"] for row in reversed(advice["days"]) if row["date"] <= first)
        low, high = (advice["limits"][end] for end in ("lowest", "highest"))
        price = price if low is None or high is None or is_outside(planned, low, high) else planned
    return Row(advice["product"], first, price, last_day_of(advice)) if price != advice["current_price"] else ""


def orders_on(advice: Entry, entries: Sequence[Entry], day: str, typed: Sequence[Entry]) -> list[Order]:
    """Return all orders on the product of an advice with their status on a day, in ISO format, oldest first.

    Entries of ``typed`` limits are among the log's. A price test that the advice knew and did not follow,
    although no other order was in force, was stopped by an alarm.
    """
    if all(entry["kind"] == ADVICE for entry in entries):
        return []  # as of most products
    known = (advice["current_price"], advice["history_end"], limits_of(advice, typed), day, advice["terms"]["currency"])
    judged = judged_orders(entries, advice["product"], *known)
    test = active_of(judged)
    if test is None or not test.schedule or test.id > advice["seen"] or advice.get("order") or advice.get("test"):
        return judged
    return [replace(order, status="suspended") if order is test else order for order in judged]


def waits_for(advice: Entry, entries: Sequence[Entry]) -> str:
    """Return why an advice waits for an approval however the shop publishes; empty if it does not.

    A hard limit that forces a change is asked about once: not after the approval of such a change, nor if a person
    confirmed the limit as it was typed. ``entries`` are the product's, and those that typed limits.
    """
    product, terms = advice["product"], advice["terms"]
    if (change := first_change(advice)) is None:
        return ""
    if rule := terms.get("forced"):
        limit = _forcing(advice)
        own = (entry for entry in entries if entry["kind"] == ADVICE and entry["product"] == product)
        asked = {
            entry["id"] for entry in own if entry["terms"].get("forced") == rule and same_price(limit, _forcing(entry))
        }
        ended = {entry.get("ends") for entry in entries}
        words = [entry["id"] not in ended for entry in entries if entry.get("approves") in asked]
        confirmed = (item["confirmed"].get(product, 0.0) for item in entries if item["kind"] == LIMITS)
        if not any([*words[-1:], *(same_price(limit, other) for other in confirmed)]):
            return f"{beyond_words(rule, limit, advice)}; approve the change, or change the limit"
    asks = f"the change to {change['price']:g} waits for an approval, as an editor asked for this advice"
    return asks if terms.get("waits") else ""


def _forcing(advice: Entry) -> float:
    """Return the hard limit that forces the change of an advice, in money."""
    limits = advice["limits"]
    return float(limits["floor"] if limits["floor"] > advice["current_price"] else limits["ceiling"])


def _scheduled(schedule: Sequence[tuple[str, float]], advice: Entry, day: str) -> Row | str:
    """Return the price of a price test on a day, or its next one that differs from the current price."""
    begun = bisect_right([first for first, _ in schedule], day) - 1
    runs = [(price, [first for first, _ in run]) for price, run in groupby(schedule[max(begun, 0) :], itemgetter(1))]
    for at, (price, days) in enumerate(runs, 1):
        if price != advice["current_price"]:
            later = [date.fromisoformat(run[0]) - timedelta(days=1) for _, run in runs[at:]]
            last = later[0].isoformat() if later else _row_end(days[-1], advice)
            return Row(advice["product"], max(days[0], day), price, last, ordered=True)
    return ""


def approval_of(advice: Entry, entries: Sequence[Entry]) -> Entry | None:
    """Return the approval of the first change of an advice, unless a person took it back or an advice withdrew it."""
    own = [entry for entry in entries if entry.get("product") == advice["product"]]
    generation = advising_generation(advice)
    advised = [item for item in (*own, advice) if item["kind"] == ADVICE and advising_generation(item) == generation]
    numbers = {item.get("id", 0) for item in advised}  # a draft has none yet
    given = next((entry for entry in reversed(own) if entry.get("approves") in numbers), None)
    if given is None or any(entry.get("ends") == given["id"] for entry in own):
        return None
    changes = [first_change(item) for item in advised if item.get("id", math.inf) >= given["approves"]]
    return given if all(change and same_price(change["price"], given["price"]) for change in changes) else None


def approved_change(advice: Entry, entries: Sequence[Entry]) -> ApprovedChange | None:
    """Return the approved change of an advice as its record has it, if an approval is in force."""
    given, change = approval_of(advice, entries), first_change(advice)
    if given is None or change is None:
        return None
    return ApprovedChange(given["id"], change["date"], change["price"], given["actor"])


def first_change(advice: Entry) -> Mapping[str, Any] | None:
    """Return the first open day of an advice whose price is not the current one."""
    return next((row for row in advice["days"] if row["price"] != advice["current_price"]), None)


def last_day_of(advice: Entry) -> str:
    """Return the last day that an advice covers, ISO format."""
    return _row_end(advice["days"][-1]["date"], advice)


def _row_end(first: str, advice: Entry) -> str:
    """Return the last day of a row that begins on a day: the same one, or six days later for weekly rows."""
    return (date.fromisoformat(first) + timedelta(days=step_of(advice) - 1)).isoformat()


def step_of(advice: Entry) -> int:
    """Return the days from row to row of an advice."""
    first, *later = (date.fromisoformat(row["date"]) for row in advice["days"][:2])
    return (later[0] - first).days if later else 1


def _keep_relations(rows: Sequence[Row], newest: Sequence[Entry]) -> tuple[list[Row], list[tuple[str, str]]]:
    """Return the rows that break no relation on any day, and the products of the others with the reason.

    Lines go out whole or not at all; a person's order stays, and the products related to it wait.
    """
    relations = read_relations([item for advice in newest for item in advice["terms"]["relations"]])
    if not relations:
        return [*rows], []
    current = {advice["product"]: float(advice["current_price"]) for advice in newest}
    related = [found for item in dict.fromkeys(relations) if (found := item.among(current)) is not None]
    kept = {row.product: row for row in rows}
    left_out: dict[str, str] = {}
    while True:
        why = {item: _object_to_days(item, kept, current) for item in related}
        free = {name for name, row in kept.items() if not row.ordered}
        leaving = {name: words for item, words in why.items() if words for name in item.products if name in free}
        if not leaving:
            return [*kept.values()], [*left_out.items()]
        left_out |= leaving
        kept = {name: row for name, row in kept.items() if name not in leaving}


def _object_to_days(relation: Relation, kept: Mapping[str, Row], current: Mapping[str, float]) -> str:
    """Return a relation's objection to the prices on the days on which one of them changes; empty if it has none."""
    rows = [kept.get(name) for name in relation.products]
    pairs = [*zip(relation.products, rows, strict=True)]
    prices = (
        [row.price if row is not None and row.date <= day else current[name] for name, row in pairs]
        for day in sorted({row.date for row in rows if row is not None})
    )
    return next(filter(None, map(relation.objection, prices)), "")
