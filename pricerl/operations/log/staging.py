"""Decisions that an agent prepared: entries of the log from which nothing follows until a person approves one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pricerl.data.naming import COSTS_FILE
from pricerl.errors import PricerlError, UsageError
from pricerl.experiments.schedule import read_plans
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.shop import Shop
from pricerl.terminal import shown

MOST_REASON = 500
"""Most characters of a reason that an agent gives."""

Asked = Literal["override", "pause", "price_test", "costs"]


def draft_staged(shop: Shop, asks: Asked, product: str | None, given: Mapping[str, Any], by: str, reason: str) -> Entry:
    """Draft a prepared decision, checked as if it were made now; errors are those of the decision."""
    staged = {"asks": asks, "product": shop.advice_on(product)["product"], "given": dict(given)}
    _decide(shop, staged, by, reason[:MOST_REASON])
    return drafts.typed_stamp(orders.STAGED, by, reason[:MOST_REASON]) | staged


def draft_approval(shop: Shop, product: str | None, number: int | None, by: str | None, reason: str) -> Entry:
    """Draft the approval of an advice, as `drafts.draft_approval`, or the decision that entry ``number`` prepared.

    One that was made before or is older than the newest advice is a ``UsageError``.
    """
    staged = next((entry for entry in shop.log.entries if entry["id"] == number), None)
    if staged is None or staged["kind"] != orders.STAGED:
        return drafts.draft_approval(shop, product, number, by, reason)
    name = f"entry {staged['id']}"
    for entry in shop.log.entries[staged["id"] :]:
        if entry.get("staged") == staged["id"]:
            raise UsageError(f"{name} was approved before, by {shown(entry['actor'])} ({entry['time']})")
    if (newest := shop.advice_on(staged["product"])["id"]) > staged["id"]:
        raise UsageError(f"{name} was prepared before the newest advice, entry {newest}; prepare it again")
    draft = _decide(shop, staged, by, reason or staged["reason"]) | {"staged": staged["id"]}
    if draft["kind"] == orders.COSTS:
        _write_cost(staged["product"], staged["given"], only=len(shop.newest) == 1)
    return draft


def open_decisions(shop: Shop) -> list[Entry]:
    """Return the prepared decisions that can still be approved, oldest first."""
    done = {entry.get("staged") for entry in shop.log.entries}
    found = (entry for entry in shop.log.entries if entry["kind"] == orders.STAGED and entry["id"] not in done)
    return [entry for entry in found if shop.newest.get(entry["product"], entry)["id"] <= entry["id"]]


def is_planned(shop: Shop, product: str) -> bool:
    """Return whether a price test of a product is planned and not started."""
    try:
        return any(order["product"] == product for order in read_plans(shop.folder.path))
    except PricerlError:
        return False


def _decide(shop: Shop, staged: Mapping[str, Any], by: str | None, reason: str) -> Entry:
    """Draft the decision that is asked for."""
    given = staged["given"]
    product = staged["product"]
    made: dict[Asked, Callable[[], Entry]] = {
        "override": lambda: drafts.draft_override(shop, product, given["until"], by, reason, given["price"]),
        "pause": lambda: drafts.draft_pause(shop, product, given["until"], by, reason),
        "price_test": lambda: _draft_test(shop, product, given["schedule_hash"], by, reason),
        "costs": lambda: _draft_costs(product, given, by, reason),
    }
    return made[staged["asks"]]()


def _draft_test(shop: Shop, product: str, schedule_hash: str, by: str | None, reason: str) -> Entry:
    """Draft the start of the planned test, unless another one was planned since."""
    for plan in read_plans(shop.folder.path):
        if plan["schedule_hash"] == schedule_hash:
            return drafts.draft_price_test(shop, plan, by, reason)
    raise UsageError(f"the price test of {shown(product)} was planned again since; prepare it again")


def _draft_costs(product: str, given: Mapping[str, Any], by: str | None, reason: str) -> Entry:
    """Draft the cost of a unit; a wrong value is a ``UsageError``."""
    from pricerl.market.row_table import TABLES  # late, as most decisions concern no costs

    TABLES["costs"].group(COSTS_FILE, [{"product": product, **given}])
    draft = drafts.typed_stamp(orders.COSTS, by, reason)
    return draft | {"product": product, "unit_cost": given["unit_cost"], "since": given.get("from")}


def _write_cost(product: str, given: Mapping[str, Any], only: bool) -> None:
    """Write the cost of a unit into costs.csv, where a row of the same day keeps its other values.

    A row without a product is that of a shop's ``only`` one; next to several it is a ``UsageError``.
    """
    from pricerl.market.row_table import TABLES

    path = Path(COSTS_FILE)
    known = TABLES["costs"].read(COSTS_FILE, {})[0] if path.is_file() else []
    rows = [{"product": product, **row} if only else row for row in known]
    same = [row for row in rows if (row.get("product"), row.get("from")) == (product, given.get("from"))]
    others = [row for row in rows if row not in same]
    TABLES["costs"].write(path, [*others, {"product": product, **(same[0] if same else {}), **given}])
