"""Drafts of the entries that people make in the log, and every entry in words."""

from __future__ import annotations

import getpass
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from operator import itemgetter
from typing import Any

import msgspec

from pricerl.data.days import read_day
from pricerl.decide.decision import Approval
from pricerl.decide.standing import blocking_of
from pricerl.errors import NotAllowedError, UsageError, refuse
from pricerl.formatting import plural
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits_in_force import name_limit, refuse_price
from pricerl.guardrails.price_grid import same_price
from pricerl.market.visitor_tests import VisitorTest
from pricerl.operations.log import orders
from pricerl.operations.log.decision_log import Entry, stamp
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

CONTENT = {
    orders.ADVICE: "{advised}, grade {grade}, source {source}",
    orders.OVERRIDE: "{price} until {until}, {status}{prepared}",
    orders.PAUSE: "{kept_price} kept until {until}, {status}{prepared}",
    orders.PRICE_TEST: "{test_price} until {until}, {status}{prepared}",
    orders.TEST_RESULT: "{question} {verdict} at {test_price} (test of entry {test})",
    orders.CLEAR: "the stock is cleared by {until}",
    orders.RESUME: "the {ended} of entry {ends} has ended",
    orders.ROLL_OUT: "roll-out of {count} over {weeks} weeks from {first_day} on, planned until {until}",
    orders.VISITOR_TEST: "{visitors}",
    orders.PLATFORM_PRICE: "{price} on the platform, {due:g} decided, {before:g} before",
    orders.APPROVAL: "{price} on {date} approved (entry {approves})",
    orders.STAGED: "{asks} prepared by an agent, {given}",
    orders.REJECTION: "the decision prepared in entry {staged} is rejected",
    orders.COSTS: "a unit costs {unit_cost:g}{beginning}{prepared}",
    orders.PUBLISHING: "publishing: {instead_of} → {mode}",
    orders.LIMITS: "{typed}",
    orders.ROLLBACK: "{generation} instead of {instead_of}",
    orders.RETRAIN: "{generation} instead of {instead_of}, promoted: {promoted}",
    orders.REPAIR: "",
}
"""Content of an entry in words, by its kind."""
ENDED = {orders.APPROVAL: "approval", orders.ROLL_OUT: "roll-out", orders.CLEAR: "clearance"}
"""Names of what an entry can end but an order, by kind."""


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
    refusal = refuse_price(orders.positive_price(price), limits_of(advice, shop.log.entries))
    doubt = orders.doubt_price(price, advice["current_price"], advice["tried"], tolerance)
    refuse(
        {
            f"--price: {refusal}; choose another price or change the limit": refusal,
            f"--tolerance: must be 0 or more, found {tolerance:g}": not 0 <= tolerance < math.inf,
            f"--price: {doubt}; add --force if you mean it": doubt and not (force or refusal),
        }
    )
    return draft | {"price": price, "currency": advice["terms"]["currency"], "forced": bool(doubt)}


def _draft_order(kind: str, shop: Shop, advice: Entry, until: str, by: str | None, reason: str) -> Entry:
    """Draft an order on the product of an advice."""
    first = open_day(advice, shop.today)
    last = read_day(until, "--until").isoformat()
    latest = (date.fromisoformat(first) + MOST_DAYS).isoformat()
    refuse(
        {
            f"--until: {last} is before {first}, the next day that has no price yet; choose a later day": last < first,
            f"--until: {last} is more than a year away; choose a day until {latest}": last > latest,
            "--reason: must be a text, found nothing": not shown(reason),
        }
    )
    return typed_stamp(kind, by, reason) | {"product": advice["product"], "until": last}


def draft_resumption(shop: Shop, product: str | None, by: str | None, reason: str) -> Entry:
    """Draft the end of the order in force on a product, else of its clearance, else of the approval.

    Without any of them it is a ``UsageError``.
    """
    advice = shop.advice_on(product)
    given = [order for order in shop.orders_on(advice["product"]) if order.is_open or order.status == "suspended"]
    approval = approval_of(advice, shop.log.entries)
    clearing = orders.clearances_on(shop.log.entries, shop.today).get(advice["product"])
    ends = [*(order.id for order in given[-1:]), *(entry["id"] for entry in (clearing, approval) if entry)]
    none = f"no override, pause, price test, clearance or approval of {shown(advice['product'])}"
    refuse({f"{none} is in force (see history)": not ends})
    return typed_stamp(orders.RESUME, by, reason) | {"product": advice["product"], "ends": ends[0]}


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
    refuse({f"the run has no advice on {shown(product)} yet; run predict first": product not in shop.newest})
    last = shop.newest[product]
    now = last["current_price"]
    regular = draft["regular_price"]
    begins = draft["first_day"]
    first = open_day(last, shop.today)
    far = 1 + (draft["consent"] or 0.0)
    tried = (min(last["tried"][0], now / far), max(last["tried"][1], now * far))
    limits = limits_of(last, shop.log.entries)
    prices = sorted({row["price"] for row in draft["schedule"]})
    breaks = (refuse_price(price, limits, "scheduled price" if price == regular else "price") for price in prices)
    refusal = next(filter(None, breaks), "")
    doubt = next(filter(None, (orders.doubt_price(price, now, tried, tolerance) for price in prices)), "")
    again = "make it again with price-test plan"
    order = blocking_of(shop.orders_on(product))
    standing = order and f"{order.kind.replace('_', ' ')} of {shown(product)} until {order.until}"
    refuse(
        {
            f"the planned test begins on {begins}, before {first}, the next day; {again}": begins < first,
            f"the current price of {shown(product)} is {now:g}, not {regular:g} as when the test was planned; "
            f"{again}": not same_price(now, regular),
            f"{refusal}; {again}": refusal,
            f"the scheduled price of {doubt}; add --force if you mean it, or {again}": doubt and not force,
            f"the {standing} {f'waits, as {order.refusal}' if order and order.refusal else 'is in force'}; "
            "end it with resume first": order,
        }
    )
    return draft | {"forced": bool(doubt)}


def draft_approval(shop: Shop, product: str | None, number: int | None, by: str | None, reason: str) -> Entry:
    """Draft the approval of the newest advice on a product; ``number`` names its entry.

    One that is not the newest, changes nothing, has passed or is overruled is a ``UsageError``.
    """
    advice = shop.advice_on(product) if number is None else _find_newest(shop, product, number)
    change = first_change(advice)
    name = f"entry {advice['id']}"
    if change is None:
        raise UsageError(f"{name} keeps the price at {price_words(advice['current_price'], shop)}: nothing to approve")
    last = last_day_of(advice)
    is_over = last < shop.today.isoformat()
    refuse({f"{name} covers the days until {last}; run predict with a fresh file first": is_over})
    given = approval_of(advice, shop.log.entries)
    if given is not None and given["approves"] == advice["id"]:
        raise UsageError(f"{name} was approved before, by {shown(given['actor'])} ({given['time']})")
    if refusal := refuse_change(change["price"], advice, shop.log.entries):
        raise UsageError(f"{name}: {refusal}")
    order = shop.order_on(advice["product"])
    if order is not None and order.id not in (advice.get("order"), advice.get("test")):
        price = "keeps the price" if order.price is None else f"of {price_words(order.price, shop)}"
        raise UsageError(
            f"{name}: the {order.kind} {price} until {order.until} (entry {order.id}) is in force and takes "
            "precedence; end it with resume, or let predict advise under it"
        )
    return {
        **typed_stamp(orders.APPROVAL, by, reason),
        **{"product": advice["product"], "approves": advice["id"], "date": change["date"], "price": change["price"]},
    }


def _find_newest(shop: Shop, product: str | None, number: int) -> Entry:
    """Return the newest advice on a product by its entry number; another one is a ``UsageError``."""
    entries = shop.entries()
    none = f"entry {number} does not exist; the log holds {len(entries)} entries (see history)"
    refuse({none: not 1 <= number <= len(entries)})
    advice = entries[number - 1]
    other = advice["kind"] != orders.ADVICE
    refuse({f"entry {number} is not an advice, but of kind {advice['kind']} (see history)": other})
    newest = shop.newest[advice["product"]]
    found, instead = (
        f"entry {item['id']}, which advises {price_words((first_change(item) or {'price': now})['price'], shop)}"
        for item in (advice, newest)
        for now in [item["current_price"]]
    )
    name = shown(advice["product"])
    refuse(
        {
            f"{found}, is not the newest advice on {name}; the newest is {instead}": newest["id"] != number,
            f"entry {number} advises on {name}, not on {shown(product or '')}": (
                product not in (None, advice["product"])
            ),
        }
    )
    return newest


def draft_publishing(shop: Shop, mode: Approval, by: str | None, reason: str, may_widen: bool = True) -> Entry:
    """Draft another way to publish; one that is no other is a ``UsageError``.

    One that is looser, by a person who may not widen what is charged, is a ``NotAllowedError``.
    """
    before = shop.publishing or "auto"
    refuse({f"advised prices are published this way already: {mode}": mode == before})
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
    after = with_typed(shop.guardrails, [{"product": name, "limits": limits}])
    GuardrailConfig(**after)
    own = limits_on(shop.guardrails, name)
    changed = {setting: value for setting, value in limits.items() if value != own[setting]}
    before = {setting: own[setting] for setting in changed}
    refuse({"these limits are in force already": not changed})
    if not may_widen and (wider := widened(changed, before)):
        raise NotAllowedError(f"a wider {name_limit(wider[0])} is an approver's decision; an editor may narrow limits")
    broken = broken_by(after, shop.guardrails, list(shop.newest.values()))
    confirmed = {item: limit for item, (_, limit) in broken.items()}
    refuse(
        {f"{shown(it)}: no price leaves this {name_limit(broken[it][0])}": confirmed[it] == math.inf for it in broken}
    )
    said = "; ".join(f"{shown(item)}: {beyond_words(*broken[item], shop.newest[item])}" for item in [*broken][:3])
    refuse(
        {f"{said}; only an approver may set a limit that the current price breaks": broken and not may_widen},
        NotAllowedError,
    )
    refuse({f"{said}; confirm it, and the next advice moves the price": broken and not force})
    return {
        **typed_stamp(orders.LIMITS, by, reason),
        **{"product": name, "limits": changed, "instead_of": before, "confirmed": confirmed},
    }


def check_typed(limits: Mapping[str, float | None]) -> None:
    """Refuse settings that are not limits to type, or wrong values, with a ``UsageError``."""
    refuse({f"limits: {shown(name)!r} is none of {', '.join(TYPED)}": name not in TYPED for name in limits})
    GuardrailConfig(**limits)  # type: ignore[arg-type]  # checks them itself


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
    cells = f"{entry['id']}", entry["time"], entry["kind"], f"by {shown(entry['actor'], 40)}"
    return (*cells, f"{about}{content_words(entry, shop)}")


def price_words(price: float, shop: Shop) -> str:
    """Return a price with the digits of the shop's price file."""
    return f"{price:.{shop.outbox.decimals}f}"


def publishing_words(entry: Entry) -> str:
    """Return what an entry of kind ``publishing`` has changed."""
    return CONTENT[orders.PUBLISHING].format(**entry)


def content_words(entry: Entry, shop: Shop) -> str:
    """Return the content of an entry without its product."""
    found: dict[str, Any] = {
        **entry,
        **{name: price_words(entry[name], shop) for name in ("price", "test_price") if name in entry},
        "asks": entry.get("asks", "").replace("_", " "),
        "given": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.get("given", {}).items()),
        "prepared": f", prepared in entry {entry['staged']}" if entry.get("staged") else "",
        "count": plural(len(entry.get("products", ())), "product"),
        "beginning": f" from {entry['since']} on" if entry.get("since") else "",
        "as_of": f", as of {entry['today']}" if entry.get("today") not in (None, entry["time"][:10]) else "",
    }
    more = {name: say(entry, shop) for name, say in PARTS.items() if f"{{{name}}}" in CONTENT[entry["kind"]]}
    return f"{CONTENT[entry['kind']]}{{as_of}}".format(**found | more)


def _advised(advice: Entry, shop: Shop) -> str:
    now = price_words(advice["current_price"], shop)
    change = first_change(advice)
    return f"{now} to {price_words(change['price'], shop)} on {change['date']}" if change else f"keep {now}"


def _status(given: Entry, shop: Shop) -> str:
    judged = shop.decisions[given["product"]]["orders"]
    return next(str(order["status"]) for order in judged if order["id"] == given["id"])


def _kept_price(pause: Entry, shop: Shop) -> str:
    advised = (item for item in shop.log.own[pause["product"]] if item["kind"] == orders.ADVICE)
    *_, price = (item["current_price"] for item in advised if item["id"] < pause["id"])
    return price_words(price, shop)


def _ended(end: Entry, shop: Shop) -> str:
    at = bisect_left(shop.log.entries, end["ends"], key=itemgetter("id"))
    return ENDED.get(shop.log.entries[at]["kind"], "order")


def _visitors(entry: Entry, _: Shop) -> str:
    return msgspec.convert(entry["test"], VisitorTest).words


def _limits(typed: Entry, _: Shop) -> str:
    return ", ".join(
        f"{name_limit(name)} {_limit(value)} instead of {_limit(typed['instead_of'][name])}"
        for name, value in typed["limits"].items()
    )


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


PARTS: dict[str, Callable[[Entry, Shop], str]] = {
    "advised": _advised,
    "status": _status,
    "kept_price": _kept_price,
    "ended": _ended,
    "visitors": _visitors,
    "typed": _limits,
}
"""Words of the content of entries that need more than an entry's own keys."""
