"""Drafts of the entries that people make in the log, and every entry in words."""

from __future__ import annotations

import getpass
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from pricerl.data.days import read_day
from pricerl.decide.decision import Approval
from pricerl.decide.standing import blocking_of
from pricerl.errors import NotAllowedError, UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits_in_force import name_limit, refuse_price
from pricerl.guardrails.price_grid import same_price
from pricerl.operations.log import orders
from pricerl.operations.log.decision_log import Entry, read_log, stamp
from pricerl.operations.log.typed_limits import (
    TYPED,
    beyond_words,
    broken_by,
    limits_of,
    limits_on,
    refuse_change,
    widened,
    with_typed,
)
from pricerl.operations.outbox import approval_of, first_change, last_day_of, open_day
from pricerl.operations.shop import Shop
from pricerl.terminal import shown

LOOSENESS: tuple[Approval, ...] = ("shadow", "manual", "auto")
"""Ways to publish, the tightest first."""
MOST_DAYS = timedelta(days=366)
"""Longest order: whoever gave it has looked at it again within a year."""


def typed_stamp(kind: str, by: str | None, reason: str) -> Entry:
    """Draft an entry with its author, by default the user, and a typed reason."""
    return stamp(kind, actor_of(by), typed_text(reason))


def draft_pause(shop: Shop, product: str | None, until: str, by: str | None, reason: str) -> Entry:
    """Draft an order to keep the price of a product of the newest advice until a day, in ISO format.

    A wrong product, day or reason is a ``UsageError``, as in `draft_override`.
    """
    return _draft_order(orders.PAUSE, shop, shop.advice_on(product), until, by, reason)


def draft_override(
    shop: Shop,
    product: str | None,
    until: str,
    by: str | None,
    reason: str,
    price: float,
    tolerance: float = orders.TOLERANCE,
    force: bool = False,
) -> Entry:
    """Draft an order to charge a price until a day.

    One that breaks a hard limit is a ``UsageError``, and so is one without ``force`` that differs from the current
    price by more than the share ``tolerance``, or that was never tried.
    """
    advice = shop.advice_on(product)
    draft = _draft_order(orders.OVERRIDE, shop, advice, until, by, reason)
    draft |= {"price": orders.positive_price(price), "currency": advice["terms"]["currency"]}
    if refusal := refuse_price(draft["price"], limits_of(advice, shop.log.entries)):
        raise UsageError(f"--price: {refusal}; choose another price or change the limit")
    if not 0 <= tolerance < math.inf:
        raise UsageError(f"--tolerance: must be 0 or more, found {tolerance:g}")
    doubt = orders.doubt_price(draft["price"], advice["current_price"], advice["tried"], tolerance)
    if doubt and not force:
        raise UsageError(f"--price: {doubt}; add --force if you mean it")
    return {**draft, "forced": bool(doubt)}


def _draft_order(kind: str, shop: Shop, advice: Entry, until: str, by: str | None, reason: str) -> Entry:
    """Draft an order on the product of an advice."""
    first = open_day(advice, shop.today)
    last = read_day(until, "--until").isoformat()
    if last < first:
        raise UsageError(f"--until: {last} is before {first}, the next day that has no price yet; choose a later day")
    latest = (date.fromisoformat(first) + MOST_DAYS).isoformat()
    if last > latest:
        raise UsageError(f"--until: {last} is more than a year away; choose a day until {latest}")
    if not shown(reason):
        raise UsageError("--reason: must be a text, found nothing")
    return typed_stamp(kind, by, reason) | {"product": advice["product"], "until": last}


def draft_resumption(shop: Shop, product: str | None, by: str | None, reason: str) -> Entry:
    """Draft the end of the order in force on a product, else of the approval; with neither it is a ``UsageError``."""
    advice = shop.advice_on(product)
    given = shop.orders_on(advice["product"])
    order = next((order for order in reversed(given) if order.is_open or order.status == "suspended"), None)
    approval = approval_of(advice, shop.log.entries)
    if order is not None:
        ends = order.id
    elif approval is not None:
        ends = approval["id"]
    else:
        what = "no override, pause, price test or approval"
        raise UsageError(f"{what} of {shown(advice['product'])} is in force (see history)")
    return typed_stamp(orders.RESUME, by, reason) | {"product": advice["product"], "ends": ends}


def draft_price_test(
    shop: Shop,
    plan: Entry,
    by: str | None,
    reason: str,
    tolerance: float = orders.TOLERANCE,
    force: bool = False,
) -> Entry:
    """Draft the start of a planned test; a ``UsageError`` if plan, limits, doubts or another order forbid it."""
    draft = plan | typed_stamp(orders.PRICE_TEST, by, reason or "to measure which price is better")
    product = draft["product"]
    if product not in shop.newest:
        raise UsageError(f"the run has no advice on {shown(product)} yet; run predict first")
    last = shop.newest[product]
    again = "make it again with price-test plan"
    first = open_day(last, shop.today)
    if draft["first_day"] < first:
        raise UsageError(f"the planned test begins on {draft['first_day']}, before {first}, the next day; {again}")
    if not same_price(last["current_price"], draft["regular_price"]):
        now = f"{last['current_price']:g}, not {draft['regular_price']:g} as when the test was planned"
        raise UsageError(f"the current price of {shown(product)} is {now}; {again}")
    doubts = []
    far = 1 + (draft["consent"] or 0.0)
    low, high = last["tried"]
    tried = (min(low, last["current_price"] / far), max(high, last["current_price"] * far))
    for price in sorted({row["price"] for row in draft["schedule"]}):
        words = "scheduled price" if price == draft["regular_price"] else "price"
        if refusal := refuse_price(price, limits_of(last, shop.log.entries), words):
            raise UsageError(f"{refusal}; {again}")
        doubts.append(orders.doubt_price(price, last["current_price"], tried, tolerance))
    if any(doubts) and not force:
        raise UsageError(f"the scheduled price of {next(filter(None, doubts))}; add --force if you mean it, or {again}")
    if (order := blocking_of(shop.orders_on(product))) is not None:
        what = f"{order.kind.replace('_', ' ')} of {shown(product)} until {order.until}"
        why = f"waits, as {order.refusal}" if order.refusal else "is in force"
        raise UsageError(f"the {what} {why}; end it with resume first")
    return draft | {"forced": any(doubts)}


def draft_approval(shop: Shop, product: str | None, number: int | None, by: str | None, reason: str) -> Entry:
    """Draft the approval of the newest advice on a product; ``number`` names its entry.

    One that is not the newest, changes nothing, has passed or is overruled is a ``UsageError``.
    """
    if number is None:
        advice = shop.advice_on(product)
    else:
        advice = find_advice(read_log(shop.log_path).entries, number)
        newest = shop.newest.get(advice["product"])
        if newest is None or newest["id"] != advice["id"]:
            found = f"entry {advice['id']}, {_advised_words(advice, shop)}"
            instead = (
                f"the newest is entry {newest['id']}, {_advised_words(newest, shop)}"
                if newest
                else "it is not in force"
            )
            raise UsageError(f"{found}, is not the newest advice on {shown(advice['product'])}; {instead}")
        if product not in (None, advice["product"]):
            raise UsageError(f"entry {number} advises on {shown(advice['product'])}, not on {shown(product)}")
        advice = newest
    change = first_change(advice)
    name = f"entry {advice['id']}"
    if change is None:
        raise UsageError(f"{name} keeps the price at {price_words(advice['current_price'], shop)}: nothing to approve")
    if last_day_of(advice) < shop.today.isoformat():
        raise UsageError(f"{name} covers the days until {last_day_of(advice)}; run predict with a fresh file first")
    given = approval_of(advice, shop.log.entries)
    if given is not None and given["approves"] == advice["id"]:
        raise UsageError(f"{name} was approved before, by {shown(given['actor'])} ({given['time']})")
    if refusal := refuse_change(change["price"], advice, shop.log.entries):
        raise UsageError(f"{name}: {refusal}")
    order = shop.order_on(advice["product"])
    if order is not None and order.id not in (advice.get("order"), advice.get("test")):
        price = "keeps the price" if order.price is None else f"of {price_words(order.price, shop)}"
        rule = f"the {order.kind} {price} until {order.until} (entry {order.id}) is in force and takes precedence"
        raise UsageError(f"{name}: {rule}; end it with resume, or let predict advise under it")
    about = {"product": advice["product"], "approves": advice["id"], "date": change["date"], "price": change["price"]}
    return typed_stamp(orders.APPROVAL, by, reason) | about


def _advised_words(advice: Entry, shop: Shop) -> str:
    """Return the price that an advice recommends first, or keeps."""
    return f"which advises {price_words((first_change(advice) or {'price': advice['current_price']})['price'], shop)}"


def draft_publishing(shop: Shop, mode: Approval, by: str | None, reason: str, may_widen: bool = True) -> Entry:
    """Draft another way to publish; one that is no other is a ``UsageError``.

    One that is looser, by a person who may not widen what is charged, is a ``NotAllowedError``.
    """
    before = shop.publishing or "auto"
    if mode == before:
        raise UsageError(f"advised prices are published this way already: {mode}")
    if not may_widen and LOOSENESS.index(mode) > LOOSENESS.index(before):
        raise NotAllowedError(f"{mode} is looser than {before}; only an approver may do this")
    return typed_stamp(orders.PUBLISHING, by, reason) | {"mode": mode, "instead_of": before}


def draft_limits(
    shop: Shop,
    limits: Mapping[str, float | None],
    by: str | None,
    reason: str,
    product: str | None = None,
    force: bool = False,
    may_widen: bool = True,
) -> Entry:
    """Draft limits by their settings, of one product or of the whole shop; the others stay.

    Limits that contradict each other, that are in force already, or without ``force`` one that a current price breaks,
    are a ``UsageError``. For a person who may not widen what is charged, wider ones and such are a ``NotAllowedError``.
    """
    check_typed(limits)
    name = "" if product is None else shop.advice_on(product)["product"]
    shop.advice_on(name or next(iter(shop.newest), None))  # a shop without advice has no limits
    given = {"product": name, "limits": dict(limits)}
    after = with_typed(shop.guardrails, [given])
    GuardrailConfig(**after)
    own = limits_on(shop.guardrails, name)
    changed = {setting: value for setting, value in limits.items() if value != own[setting]}
    before = {setting: own[setting] for setting in changed}
    if not changed:
        raise UsageError("these limits are in force already")
    if not may_widen and (wider := widened(changed, before)):
        raise NotAllowedError(f"a wider {name_limit(wider[0])} is an approver's decision; an editor may narrow limits")
    broken = broken_by(after, shop.guardrails, list(shop.newest.values()))
    for item, (rule, limit) in broken.items():
        if math.isinf(limit):
            raise UsageError(f"{shown(item)}: no price leaves this {name_limit(rule)}")
    if broken and not (force and may_widen):
        said = "; ".join(f"{shown(item)}: {beyond_words(*broken[item], shop.newest[item])}" for item in [*broken][:3])
        if not may_widen:
            raise NotAllowedError(f"{said}; only an approver may set a limit that the current price breaks")
        raise UsageError(f"{said}; confirm it, and the next advice moves the price")
    confirmed = {item: limit for item, (_, limit) in broken.items()}
    about = {"product": name, "limits": changed, "instead_of": before, "confirmed": confirmed}
    return typed_stamp(orders.LIMITS, by, reason) | about


def check_typed(limits: Mapping[str, float | None]) -> None:
    """Refuse settings that are not limits to type, or wrong values, with a ``UsageError``."""
    if unknown := set(limits) - set(TYPED):
        raise UsageError(f"limits: {shown(', '.join(sorted(unknown)))!r} is none of {', '.join(TYPED)}")
    GuardrailConfig(**limits)  # type: ignore[arg-type]  # checks them itself


def find_advice(entries: Sequence[Entry], number: int) -> Entry:
    """Return an advice by its entry number."""
    if not 1 <= number <= len(entries):
        raise UsageError(f"entry {number} does not exist; the log holds {len(entries)} entries (see history)")
    if entries[number - 1]["kind"] != orders.ADVICE:
        raise UsageError(f"entry {number} is not an advice, but of kind {entries[number - 1]['kind']} (see history)")
    return entries[number - 1]


def typed_text(text: str) -> str:
    """Return a typed text without undecodable bytes, which would make files unreadable."""
    return text.encode("utf-8", "backslashreplace").decode().strip()


def actor_of(name: str | None) -> str:
    """Return who decides: the given name, or the user's."""
    if name is not None and name.strip():
        return typed_text(name)
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the user has no name, as in some containers
        return "unknown"


def entry_cells(entry: Entry, shop: Shop) -> tuple[str, ...]:
    """Return an entry of a shop's log as texts: number, time, kind, author and content."""
    about = f"{shown(entry['product'] or 'all products')}: " if "product" in entry else ""
    content = f"{about}{content_words(entry, shop)}"
    return (f"{entry['id']}", entry["time"], entry["kind"], f"by {shown(entry['actor'], 40)}", content)


def price_words(price: float, shop: Shop) -> str:
    """Return a price with the digits of the shop's price file."""
    return f"{price:.{shop.outbox.decimals}f}"


def end_words(entry: Entry, shop: Shop) -> str:
    """Return what an entry of kind ``resume`` has ended."""
    approved = any(item["id"] == entry["ends"] and item["kind"] == orders.APPROVAL for item in shop.log.entries)
    return f"the {'approval' if approved else 'order'} of entry {entry['ends']} has ended"


def publishing_words(entry: Entry) -> str:
    """Return what an entry of kind ``publishing`` has changed."""
    return f"publishing: {entry['instead_of']} → {entry['mode']}"


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def content_words(entry: Entry, shop: Shop) -> str:
    """Return the content of an entry without its product."""
    as_of = f", as of {entry['today']}" if entry.get("today") and entry["today"] != entry["time"][:10] else ""
    return f"{_describe_content(entry, shop)}{as_of}"


def _describe_content(entry: Entry, shop: Shop) -> str:
    if entry["kind"] in ("repair", "rollback", "retrain"):
        left, right = ("generation", "instead_of") if entry.get("promoted", True) else ("instead_of", "generation")
        return "" if entry["kind"] == "repair" else f"{entry[left]} instead of {entry[right]}"
    if entry["kind"] == orders.PUBLISHING:
        return publishing_words(entry)
    if entry["kind"] == orders.LIMITS:
        named = ((name_limit(name), value, entry["instead_of"][name]) for name, value in entry["limits"].items())
        return ", ".join(f"{name} {_limit(value)} instead of {_limit(old)}" for name, value, old in named)
    if entry["kind"] == orders.APPROVAL:
        return f"{price_words(entry['price'], shop)} on {entry['date']} approved (entry {entry['approves']})"
    if entry["kind"] == orders.RESUME:
        return end_words(entry, shop)
    if entry["kind"] == orders.REJECTION:
        return f"the decision prepared in entry {entry['staged']} is rejected"
    if entry["kind"] == orders.STAGED:
        given = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry["given"].items())
        return f"{entry['asks'].replace('_', ' ')} prepared by an agent, {given}"
    if entry["kind"] == orders.COSTS:
        since = f" from {entry['since']} on" if entry["since"] else ""
        return f"a unit costs {entry['unit_cost']:g}{since}, prepared in entry {entry['staged']}"
    if entry["kind"] == orders.TEST_RESULT:
        price = price_words(entry["test_price"], shop)
        return f"{entry['question']} {entry['verdict']} at {price} (test of entry {entry['test']})"
    if entry["kind"] == orders.ADVICE:
        change = first_change(entry)
        now = price_words(entry["current_price"], shop)
        words = (
            f"keep {now}" if change is None else f"{now} to {price_words(change['price'], shop)} on {change['date']}"
        )
        return f"{words}, grade {entry['grade']}, source {entry['source']}"
    status = next(item.status for item in shop.orders_on(entry["product"]) if item.id == entry["id"])
    ordered = entry.get("test_price") or entry.get("price") or _price_before(entry, shop)
    kept = " kept" if entry["kind"] == orders.PAUSE else ""
    prepared = f", prepared in entry {entry['staged']}" if entry.get("staged") else ""
    return f"{price_words(ordered, shop)}{kept} until {entry['until']}, {status}{prepared}"


def _price_before(entry: Entry, shop: Shop) -> float:
    """Return the current price of an entry's product in its last advice before, in money."""
    earlier = (item for item in reversed(shop.log.entries) if item["id"] < entry["id"])
    advised = (item for item in earlier if item["kind"] == orders.ADVICE and item["product"] == entry["product"])
    return float(next(advised)["current_price"])
