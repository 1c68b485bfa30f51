"""Decisions that an agent prepared: entries of the log from which nothing follows until a person approves one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pricerl.data.naming import COSTS_FILE
from pricerl.data.reading.problems import list_names
from pricerl.errors import PricerlError, refuse
from pricerl.experiments.schedule import read_plans
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.approved_costs import check_cost, costs_table
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.shop import Shop
from pricerl.shop.database import Database, ask
from pricerl.terminal import shown

MOST_REASON = 500
"""Most characters of a reason that an agent gives."""

Asked = Literal["override", "pause", "price_test", "costs"]


def draft_staged(shop: Shop, asks: Asked, product: str | None, given: Mapping[str, Any], by: str, reason: str) -> Entry:
    """Draft a prepared decision, checked as if it were made now; errors are the decision's, and a missing reason."""
    refuse({"reason: must be a text, found nothing": not shown(reason)})
    staged = {"asks": asks, "product": shop.advice_on(product)["product"], "given": dict(given)}
    _decide(shop, staged, by, reason[:MOST_REASON])
    return drafts.typed_stamp(orders.STAGED, by, reason[:MOST_REASON]) | staged


def draft_approval(shop: Shop, product: str | None, number: int | None, by: str | None, reason: str) -> Entry:
    """Draft the approval of an advice, as `drafts.draft_approval`, or the decision that entry ``number`` prepared.

    One that `find_open` refuses is a ``UsageError``. Its reason is the person's alone: the log has the agent's.
    """
    if not is_staged(shop, number):
        return drafts.draft_approval(shop, product, number, by, reason)
    staged = find_open(shop, number)
    made = _decide(shop, staged, by, reason or staged["reason"])
    draft = made | {"staged": staged["id"], "reason": drafts.typed_text(reason)}
    if draft["kind"] == orders.COSTS:
        check_cost(shop.folder.path, staged["product"], staged["given"], len(shop.newest) == 1)
    return draft


def draft_approvals(
    shop: Shop, product: str | None, number: int | None, group: str | None, by: str | None, reason: str
) -> list[Entry]:
    """Draft an approval, as `draft_approval`, or the approvals of all changes that wait in a ``group``.

    An unknown group, one without such changes, or without entry ``number`` among their advice is a ``UsageError``.
    """
    if group is None:
        return [draft_approval(shop, product, number, by, reason)]
    refuse({f"group {shown(group)!r}: approves all its products; leave out product": product is not None})
    known = sorted({*groups_of(shop).values()})
    refuse({f"group {shown(group)!r} is unknown; known are {list_names(known) or 'none'}": group not in known})
    found = [drafts.draft_approval(shop, name, None, by, reason) for name in waiting_in(shop, group)]
    none = f"no change{'' if number is None else f' of entry {number}'} waits for an approval"
    is_any = found and number in (None, *(entry["approves"] for entry in found))
    refuse({f"group {shown(group)!r}: {none}": not is_any})
    return found


def waiting_in(shop: Shop, group: str) -> list[str]:
    """Return the products of a group whose advised change nobody has decided on."""
    return [name for name, its in groups_of(shop).items() if its == group and shop.states[name][0] == "waiting"]


def groups_of(shop: Shop) -> dict[str, str]:
    """Return the group of each product that has one."""
    named = "SELECT name, category FROM product WHERE category <> '' ORDER BY id"
    return dict(ask(shop.log_path, Database.run, named))


def draft_rejection(shop: Shop, number: int, by: str | None, reason: str) -> Entry:
    """Draft the rejection of the decision that entry ``number`` prepared; errors are as in `find_open`."""
    staged = find_open(shop, number)
    return drafts.typed_stamp(orders.REJECTION, by, reason) | {"product": staged["product"], "staged": staged["id"]}


def is_staged(shop: Shop, number: int | None) -> bool:
    """Return whether an entry is a prepared decision."""
    return any(entry["id"] == number and entry["kind"] == orders.STAGED for entry in shop.log.entries)


def find_open(shop: Shop, number: int | None) -> Entry:
    """Return a prepared decision that waits.

    One that a person decided, that a newer one of its kind replaced, or that is older than the newest advice is a
    ``UsageError``, and so is another entry.
    """
    refuse({f"entry {number} is no prepared decision (see history)": not is_staged(shop, number)})
    staged = next(entry for entry in shop.log.entries if entry["id"] == number)
    why = _find_end(shop, staged)
    refuse({f"entry {number} {why}": why})
    return staged


def open_decisions(shop: Shop) -> list[Entry]:
    """Return the prepared decisions that wait, at most one per product and kind, oldest first."""
    return [entry for entry in shop.log.entries if entry["kind"] == orders.STAGED and not _find_end(shop, entry)]


def _find_end(shop: Shop, staged: Entry) -> str:
    """Return why a prepared decision does not wait any more; empty if it does."""
    later = (entry for entry in shop.log.entries if entry["id"] > staged["id"])
    for entry in (entry for entry in later if entry.get("product") == staged["product"]):
        if entry.get("staged") == staged["id"]:
            done = "rejected" if entry["kind"] == orders.REJECTION else "approved"
            return f"was {done} before, by {shown(entry['actor'])} ({entry['time']})"
        if entry["kind"] == orders.STAGED and entry["asks"] == staged["asks"]:
            return f"was replaced by entry {entry['id']}, which the agent prepared later"
        if entry["kind"] == orders.ADVICE:
            return f"was prepared before the newest advice, entry {entry['id']}; prepare it again"
    return ""


def is_planned(shop: Shop, product: str) -> bool:
    """Return whether a price test of a product is planned and not started."""
    try:
        return any(order["product"] == product for order in read_plans(shop.folder.path))
    except PricerlError:
        return False


def _decide(shop: Shop, staged: Mapping[str, Any], by: str | None, reason: str) -> Entry:
    """Draft the decision that is asked for."""
    drafted: dict[str, Callable[..., Entry]] = {
        "override": drafts.draft_override,
        "pause": drafts.draft_pause,
        "price_test": _draft_test,
        "costs": _draft_costs,
    }
    return drafted[staged["asks"]](shop, product=staged["product"], by=by, reason=reason, **staged["given"])


def _draft_test(shop: Shop, product: str, by: str | None, reason: str, schedule_hash: str, **_: Any) -> Entry:
    """Draft the start of the planned test, unless another one was planned since."""
    plans = [plan for plan in read_plans(shop.folder.path) if plan["schedule_hash"] == schedule_hash]
    refuse({f"the price test of {shown(product)} was planned again since; prepare it again": not plans})
    return drafts.draft_price_test(shop, plans[0], by, reason)


def _draft_costs(shop: Shop, product: str, by: str | None, reason: str, **given: Any) -> Entry:
    """Draft the cost of a unit; a wrong value, or one above the current price, is a ``UsageError``."""
    costs_table().group(COSTS_FILE, [{"product": product, **given}])
    price = shop.advice_on(product)["current_price"]
    refuse(
        {
            f"unit cost {given['unit_cost']:g} is above the current price, {drafts.price_words(price, shop)}: is it "
            f"the cost of all units? Otherwise a person types it into {COSTS_FILE}": given["unit_cost"] > price
        }
    )
    about = {"product": product, "unit_cost": given["unit_cost"], "since": given.get("from")}
    return drafts.typed_stamp(orders.COSTS, by, reason) | about
