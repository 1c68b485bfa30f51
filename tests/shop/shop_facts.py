"""Facts of a simulated shop and the prices that follow from them, without any of its code."""

from __future__ import annotations

import copy
import csv
import io
import itertools
from collections.abc import Mapping
from datetime import date
from operator import itemgetter
from typing import Self

from shop_days import ShopDays
from shop_rules import (
    DAY,
    USUAL,
    Entry,
    Item,
    broken_limit,
    forcing,
    generation_of,
    lows,
    on_grid,
)

NOW = "current_price"


class Facts:
    """Facts of a shop, and the prices that follow from them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.items: dict[str, Item] = {}
        self.typed: list[tuple[float, str, Entry]] = []
        self.narrowed: list[tuple[int, str]] = []
        """Entries that narrowed a limit on changes, and of which product."""
        self._rows: tuple[tuple[int, str], dict[str, tuple[str, float, str, bool]]] = ((0, ""), {})
        self.publishing = ""
        self.generation = ""
        self.days = ShopDays()
        self.costs: dict[tuple[str, str], float] = {}
        """Approved costs by product and first day."""
        self.batch = ""
        """Name of the last advice as a whole."""
        self.generations: list[str] = []
        self.planned: Entry = {}
        """Price test that was planned last."""

    def copied(self) -> Self:
        """Return a copy that later entries leave as it is."""
        found = copy.copy(self)
        found.entries, found.typed, found.costs = [*self.entries], [*self.typed], {**self.costs}
        found.days = self.days.copied()
        found.narrowed = [*self.narrowed]
        found.items, found.generations = copy.deepcopy(self.items), [*self.generations]
        return found

    def settings(self, product: str) -> Entry:
        """Return the limits in force on a product."""
        shared: Entry = {}
        own: Entry = {}
        for _, name, limits in sorted(self.typed, key=lambda item: item[0]):
            if name in ("", product):
                (own if name else shared).update(limits)
        return {**USUAL, **shared, **own}

    def open_day(self, product: str, today: str) -> str:
        """Return the first day that has no price yet."""
        return max(today, str(self.items[product].advice["days"][0]["date"]))

    def forbids(self, product: str, price: float, was_charged: bool = False) -> bool:
        """Return whether the hard limits in force forbid a price; one that was charged may lie between two steps."""
        settings = self.settings(product)
        broken = broken_limit(price, settings, self.items[product].advice["limits"]["costs"])
        return broken is not None or not (was_charged or on_grid(price, settings["price_step"]))

    def open_orders(self, product: str, today: str) -> list[Entry]:
        """Return the orders that a person may end, the one that is in charge first.

        A test that is over is one of kind ``return`` until its regular price is back.
        """
        item, day = self.items[product], self.open_day(product, today)
        found = [item.order] if item.order is not None and not item.ended and item.order["until"] >= day else []
        if (test := item.test) is not None:
            if not item.stopped and test["until"] >= day:
                found.append(test)
            elif not found and item.returns():
                until = str(date.fromisoformat(day) + 13 * DAY)
                found.append({**test, "kind": "return", "price": test["regular_price"], "until": until})
        return found

    def order_on(self, product: str, today: str) -> tuple[str, Entry | None]:
        """Return whether the last order is in force, refused, stopped by an alarm or over, and the order."""
        item = self.items[product]
        order, *_ = (*self.open_orders(product, today), None)
        if order is None:
            return "over", None
        currency = order.get("currency", item.advice["terms"]["currency"])
        is_test, regular = order["kind"] == "price_test", order.get("regular_price")
        prices = [row["price"] for row in order["schedule"]] if is_test else [order.get("price", item.advice[NOW])]
        other = currency != item.advice["terms"]["currency"] or order["id"] < item.restarted
        kept = order["kind"] == "pause"
        if other or any(self.forbids(product, price, kept or price == regular) for price in prices):
            return "refused", order
        stopped = is_test and order["id"] <= item.advice["seen"] and item.follows is None
        return "stopped" if stopped else "in force", order

    def _scheduled(self, product: str, test: Entry, today: str) -> tuple[str, float, str, bool] | None:
        """Return the price to charge of a test: the first one from today on that is not the current price."""
        item, day = self.items[product], self.open_day(product, today)
        left = [(row["date"], row["price"]) for row in test["schedule"]]
        left = [row for row in left if row[0] >= day]
        while left and left[0][1] == item.advice[NOW]:
            del left[0]
        run = list(itertools.takewhile(lambda row: row[1] == left[0][1], left))
        if not run:
            return None
        return *run[0], run[-1][0] if len(run) < len(left) else item.end_of(run[-1][0]), True

    def _waits(self, item: Item) -> bool:
        terms = item.advice["terms"]
        if rule := terms["forced"]:
            limit = forcing(item.advice)
            agreed = [money for setting, money in item.agreed.values() if setting == rule]
            if not any(abs(limit - money) < 1e-4 for money in (*agreed, *item.confirmed)):
                return True
        return bool(terms["waits"])

    def row(self, product: str, today: str) -> tuple[str, float, str, bool] | None:
        """Return day, price and last day of a product's price to charge, and whether a person ordered it."""
        item = self.items[product]
        advice, change, day = item.advice, item.change, self.open_day(product, today)
        state, order = self.order_on(product, today)
        if state == "refused" or (order is not None and order["kind"] == "pause"):
            return None
        if order is not None and order["kind"] == "price_test" and state == "in force":
            return self._scheduled(product, order, today)
        if order is not None and state == "in force":
            return day, order["price"], order["until"], True
        stale = item.last < day or generation_of(advice) != self.generation or item.follows is not None
        if stale or change is None or self.publishing == "shadow":
            return None
        first, price = max(change["date"], day), change["price"]
        if self.publishing == "manual" or self._waits(item):
            if generation_of(advice) not in item.approvals:
                return None
        else:
            planned = [row["price"] for row in advice["days"] if row["date"] <= first][-1]
            low, high = advice["limits"]["lowest"], advice["limits"]["highest"]
            price = planned if low is not None and low - 1e-6 <= planned <= high + 1e-6 else price
        if price == advice["current_price"] or self._objects(product, price):
            return None
        return first, price, item.last, False

    def _objects(self, product: str, price: float) -> bool:
        """Return whether the limits forbid an advised price today."""
        item = self.items[product]
        now = item.advice["current_price"]
        since = item.advice["terms"]["since"] or item.advice["seen"]
        if any(number > since and name in ("", product) for number, name in self.narrowed):
            return True
        settings = self.settings(product)
        floor = max(lows(settings, item.advice["limits"]["costs"]).values())
        walks = now < price < floor or (settings["ceiling"] is not None and settings["ceiling"] < price < now)
        return not walks and self.forbids(product, price)

    def rows(self, today: str) -> dict[str, tuple[str, float, str, bool]]:
        """Return the prices to charge, without those that break a relation."""
        if self._rows[0] != (len(self.entries), today):
            self._rows = (len(self.entries), today), self._find_rows(today)
        return self._rows[1]

    def _find_rows(self, today: str) -> dict[str, tuple[str, float, str, bool]]:
        found = {name: row for name in self.items if (row := self.row(name, today)) is not None}
        newest = max((item.advice for item in self.items.values()), key=itemgetter("id"), default=None)
        mine = newest["terms"]["currency"] if newest else ""
        own = {name: self.items[name].advice["terms"]["currency"] for name in found}
        found = {name: row for name, row in found.items() if "" in (mine, own[name]) or own[name] == mine}
        relations: list[Entry] = []
        for item in self.items.values():
            relations += [given for given in item.advice["terms"]["relations"] if given not in relations]
        while True:
            leaving = {
                name
                for relation in relations
                if self._is_broken(relation, found)
                for name in relation["products"]
                if name in found and not found[name][3]
            }
            if not leaving:
                return found
            found = {name: row for name, row in found.items() if name not in leaving}

    def _is_broken(self, relation: Entry, rows: Mapping[str, tuple[str, float, str, bool]]) -> bool:
        names = [name for name in relation["products"] if name in self.items]
        if len(names) < 2:
            return False
        for day in {rows[name][0] for name in names if name in rows}:
            prices = [
                rows[name][1] if name in rows and rows[name][0] <= day else self.items[name].advice["current_price"]
                for name in names
            ]
            pairs = list(itertools.pairwise(prices))
            kind, count = relation["kind"], relation.get("count") or 1
            if any(
                (kind == "size_order" and left > right + 1e-4)
                or (kind == "one_price" and abs(left - right) > 1e-4)
                or (kind == "multipack" and right > count * left + 1e-4)
                for left, right in pairs
            ):
                return True
        return False

    def table(self, today: str) -> str:
        """Return what prices.csv must be, byte for byte."""
        text = io.StringIO(newline="")
        write = csv.writer(text, lineterminator="\r\n").writerow
        write(("Product", "Date", "Price", "Currency", "Last Day", "Decision Log", "Lowest of 30 Days"))
        newest = sorted((item.advice for item in self.items.values()), key=itemgetter("id"))
        currency = newest[-1]["terms"]["currency"]
        mark = self.entries[-1]["hash"][:12]
        rows = self.rows(today)
        for name in (advice["product"] for advice in newest if advice["product"] in rows):
            day, price, last, _ = rows[name]
            write((f"'{name}" if name.startswith("=") else name, day, f"{price:.2f}", currency, last, mark, ""))
        return text.getvalue()
