"""What must hold in a shop, followed from the entries that it acknowledged, without any of its code."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from datetime import date
from operator import itemgetter
from typing import Any

from shop_facts import Facts
from shop_rules import (
    DAY,
    LOOSER,
    ON_CHANGES,
    ORDERS,
    Entry,
    Item,
    broken_limit,
    change_of,
    demand,
    forcing,
    generation_of,
    is_wider,
)

from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig

__all__ = ["Entry", "Model"]


class Model(Facts):
    """State of a shop as its acknowledged entries make it."""

    def absorb(self, entry: Entry, today: str) -> None:
        """Follow an entry of the log; it must be one that its author may make."""
        before = self.entries[-1]["hash"] if self.entries else "0" * 64
        demand(entry["id"] == len(self.entries) + 1 and entry["previous"] == before, "chain", entry["id"])
        bare = {name: value for name, value in entry.items() if name != "hash"}
        text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
        demand(hashlib.sha256(text.encode()).hexdigest() == entry["hash"], "hash", entry["id"])
        if entry.get("staged"):
            self._absorb_decision(entry, today)
        {
            **dict.fromkeys(ORDERS, self._absorb_order),
            "advice": self._absorb_advice,
            "resume": self._absorb_resumption,
            "approval": self._absorb_approval,
            "publishing": self._absorb_publishing,
            "limits": self._absorb_limits,
            "costs": self._absorb_costs,
            "rollback": self._absorb_rollback,
            "price_test": self._absorb_test,
            "price_test_result": self._absorb_result,
        }.get(entry["kind"], lambda *_: None)(entry, today)
        self.entries.append(entry)

    def _absorb_advice(self, entry: Entry, today: str) -> None:
        del today
        name = entry["product"]
        item = self.items.setdefault(name, Item(entry))
        change, generation = change_of(entry), generation_of(entry)
        held = item.approvals.get(generation)
        if held is not None and (change is None or abs(change["price"] - held["price"]) > 1e-4):
            del item.approvals[generation]
        item.advice = entry
        item.shown.append((entry["history_end"], entry["current_price"]))
        item.restarted = entry["id"] if entry.get("restarts") else item.restarted
        if given := entry["settings"].get("given"):
            at = (entry["terms"]["since"] + 0.5, "", given)
            self.typed += [] if at in self.typed else [at]
        self.publishing = self.publishing or entry["terms"]["approval"]
        if entry["command"] == "fit" or not self.generation:
            self.generation = generation
        if generation not in self.generations:
            self.generations.append(generation)
        self.batch = entry["source"]

    def _absorb_decision(self, entry: Entry, today: str) -> None:
        """Follow the approval or rejection of what an agent prepared."""
        number = entry["staged"]
        demand(number in self.open_staged(), "decided what is not open", entry)
        staged = self.entries[number - 1]
        if entry["kind"] != "rejection":
            demand(not self.refuses_decision(number, today), "decided what is refused", entry)
            given = {name: entry[name] for name in staged["given"] if name != "from"}
            given |= {"from": entry["since"]} if entry.get("since") else {}
            about = (entry["kind"], entry["product"], given)
            demand(about == (staged["asks"], staged["product"], staged["given"]), "decided another", entry, staged)

    def _absorb_order(self, entry: Entry, today: str) -> None:
        item = self.items[entry["product"]]
        day = self.open_day(entry["product"], today)
        demand(day <= entry["until"] <= str(date.fromisoformat(day) + 366 * DAY), "days of order", entry)
        if entry["kind"] == "override":
            demand(not self.forbids(entry["product"], entry["price"]), "ordered beyond limits", entry)
            doubted = self.doubts(entry["product"], entry["price"])
            demand(entry["forced"] == doubted, "doubted order", entry)
        item.order, item.ended = entry, False
        item.later[entry["id"]] = entry["until"]

    def _absorb_test(self, entry: Entry, today: str) -> None:
        demand(not self.refuses_test(entry, entry["forced"], today), "price test", entry)
        item = self.items[entry["product"]]
        item.test, item.stopped, item.settled, item.later = entry, "", False, {}

    def _absorb_result(self, entry: Entry, today: str) -> None:
        item = self.items[entry["product"]]
        if item.test is not None and item.test["id"] == entry["test"]:
            item.settled = item.settled or entry["verdict"] == "higher"
            item.stopped = item.stopped or min(today, item.test["until"])

    def refuses_test(self, plan: Entry, force: bool, today: str) -> str:
        """Return why a planned test cannot be started; empty if it can."""
        name = plan["product"]
        if name not in self.items:
            return "unknown product"
        advice = self.items[name].advice
        if plan["first_day"] < self.open_day(name, today):
            return "begun"
        if abs(plan["regular_price"] - advice["current_price"]) > 1e-4:
            return "another price"
        prices = {row["price"] for row in plan["schedule"]}
        if any(self.forbids(name, price, price == plan["regular_price"]) for price in prices):
            return "limits"
        if not force and any(self.doubts(name, price) for price in prices):
            return "doubts"
        state, order = self.order_on(name, today)
        waits = state == "refused" and order is not None and order["kind"] in ORDERS
        return "an order is in force" if waits or state == "in force" else ""

    def doubts(self, product: str, price: float) -> bool:
        """Return whether a person must confirm an ordered price."""
        advice = self.items[product].advice
        low, high = advice["tried"]
        far = abs(price / advice["current_price"] - 1) > 0.2 + 1e-6
        return far or price < low - 1e-4 or price > high + 1e-4

    def _absorb_resumption(self, entry: Entry, today: str) -> None:
        item = self.items[entry["product"]]
        order = max(self.open_orders(entry["product"], today), key=itemgetter("id"), default=None)
        held = item.approvals.get(generation_of(item.advice))
        wanted = order or (held if item.change else None)
        demand(wanted is not None and wanted["id"] == entry["ends"], "ended what is not in force", entry)
        if order is not None and order["kind"] in ORDERS:
            item.ended = True
            item.later.pop(order["id"], None)
        elif order is not None:
            item.settled = item.settled or order["kind"] == "return"
            item.stopped = item.stopped or today
        else:
            item.approvals.pop(generation_of(item.advice), None)
            taken = item.agreed.get(entry["ends"])
            item.agreed = {number: limit for number, limit in item.agreed.items() if limit != taken}

    def _absorb_approval(self, entry: Entry, today: str) -> None:
        item = self.items[entry["product"]]
        demand(self.refuses_approval(entry["product"], entry["approves"], today) == "", "approved", entry)
        change = item.change or {}
        demand((entry["price"], entry["date"]) == (change["price"], change["date"]), "approved another", entry)
        item.approvals[generation_of(item.advice)] = entry
        if rule := item.advice["terms"]["forced"]:
            item.agreed[entry["id"]] = (rule, forcing(item.advice))

    def refuses_approval(self, product: str, number: int | None, today: str) -> str:
        """Return why an advice cannot be approved; empty if it can."""
        item = self.items[product]
        advice = item.advice
        if number not in (None, advice["id"]):
            return "not the newest"
        if item.change is None or item.last < today:
            return "nothing to approve"
        held = item.approvals.get(generation_of(advice))
        if held is not None and held["approves"] == advice["id"]:
            return "approved before"
        if self._objects(product, item.change["price"]):
            return "limits"
        state, order = self.order_on(product, today)
        in_force = state == "in force" and order is not None and order["id"] != item.follows
        return "an order takes precedence" if in_force else ""

    def _absorb_publishing(self, entry: Entry, today: str) -> None:
        del today
        demand(entry["instead_of"] == (self.publishing or "auto") != entry["mode"], "publishing", entry)
        looser = LOOSER.index(entry["mode"]) > LOOSER.index(entry["instead_of"])
        demand(entry["actor"] != "editor" or not looser, "an editor loosened publishing", entry)
        self.publishing = entry["mode"]

    def refuses_limits(self, product: str, limits: Entry, actor: str, force: bool) -> str:
        """Return why limits cannot be typed; empty if they can."""
        before = self._own(product)
        changed = {name: value for name, value in limits.items() if value != before[name]}
        if not changed:
            return "in force"
        if actor == "editor" and any(is_wider(name, value, before[name]) for name, value in changed.items()):
            return "wider"
        after = [*self.typed, (math.inf, product, limits)]
        found = copy.copy(self)
        found.typed = after
        broken = {}
        for name, item in self.items.items():
            now, costs = item.advice["current_price"], item.advice["limits"]["costs"]
            breaks = broken_limit(now, found.settings(name), costs)
            if breaks is not None and breaks != broken_limit(now, self.settings(name), costs):
                broken[name] = breaks
        if any(math.isinf(limit) for _, limit in broken.values()):
            return "no price left"
        if broken and not (force and actor != "editor"):
            return "unconfirmed"
        try:
            for name in ("", *self.items):
                GuardrailConfig(**found.settings(name))
        except UsageError:
            return "contradiction"
        return ""

    def _own(self, product: str) -> Entry:
        """Return the limits that typed ones replace: of a product, or those of all."""
        return self.settings(product or "\0")

    def _absorb_limits(self, entry: Entry, today: str) -> None:
        del today
        name, limits = entry["product"], entry["limits"]
        refused = self.refuses_limits(name, limits, entry["actor"], force=True)
        demand(not refused, "typed", refused, entry)
        own = self._own(name)
        demand(entry["instead_of"] == {setting: own[setting] for setting in limits}, "instead of", entry)
        narrower = {item for item, value in limits.items() if not is_wider(item, value, own[item])}
        self.typed.append((entry["id"], name, limits))
        if narrower & ON_CHANGES:
            self.narrowed.append((entry["id"], name))
        for product, limit in entry["confirmed"].items():
            self.items[product].confirmed.add(limit)

    def _absorb_costs(self, entry: Entry, today: str) -> None:
        del today
        self.costs[entry["product"], entry["since"] or ""] = entry["unit_cost"]

    def _absorb_rollback(self, entry: Entry, today: str) -> None:
        del today
        self.generation = entry["generation"]

    # --- what must be refused

    def refuses_order(self, product: str, price: float | None, until: str, force: bool, today: str) -> str:
        """Return why an order cannot be given; empty if it can. A pause has no price."""
        if product not in self.items:
            return "unknown product"
        day = self.open_day(product, today)
        if not day <= until <= str(date.fromisoformat(day) + 366 * DAY):
            return "last day"
        if price is not None and self.forbids(product, price):
            return "limits"
        return "doubts" if price is not None and not force and self.doubts(product, price) else ""

    def refuses_resumption(self, product: str, today: str) -> str:
        """Return why nothing can be ended; empty if it can."""
        if product not in self.items:
            return "unknown product"
        item = self.items[product]
        held = item.change is not None and generation_of(item.advice) in item.approvals
        return "" if held or self.open_orders(product, today) else "nothing is in force"

    def refuses_publishing(self, mode: str, actor: str) -> str:
        """Return why a way to publish cannot be chosen; empty if it can."""
        before = self.publishing or "auto"
        if mode == before:
            return "in force"
        return "looser" if actor == "editor" and LOOSER.index(mode) > LOOSER.index(before) else ""

    def refuses_staged(self, asks: str, product: str, given: Entry, today: str) -> str:
        """Return why an agent cannot prepare a decision; empty if it can."""
        if asks == "costs":
            known = product in self.items
            return "" if known and given["unit_cost"] <= self.items[product].advice["current_price"] else "cost"
        if asks == "price_test":
            is_last = given["schedule_hash"] == self.planned["schedule_hash"]
            return self.refuses_test(self.planned, False, today) if is_last else "planned again"
        return self.refuses_order(product, given.get("price"), given["until"], False, today)

    def open_staged(self) -> list[int]:
        """Return the prepared decisions that wait."""
        waits: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            if entry["kind"] == "staged":
                waits[entry["product"], entry["asks"]] = entry["id"]
            elif entry.get("staged") or entry["kind"] == "advice":
                gone = [
                    key
                    for key, number in waits.items()
                    if number == entry.get("staged") or (entry["kind"] == "advice" and key[0] == entry["product"])
                ]
                for key in gone:
                    del waits[key]
        return sorted(waits.values())

    def some_staged(self, chance: Any) -> int | None:
        """Return a prepared decision, mostly the last one."""
        found = [entry["id"] for entry in self.entries if entry["kind"] == "staged"]
        return None if not found else found[-1] if chance.random() < 0.8 else chance.choice(found)

    def refuses_decision(self, number: int, today: str) -> str:
        """Return why a prepared decision cannot be approved; empty if it can."""
        if number not in self.open_staged():
            return "not open"
        staged = self.entries[number - 1]
        return self.refuses_staged(staged["asks"], staged["product"], staged["given"], today)
