"""A simulated seller: what they charge, the files they have, what they ask for; and advice as a seeded number."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import date, timedelta
from operator import itemgetter
from typing import Any

from seller_files import NUMBERS, Labels, SellersFile, file_of_orders
from shop_model import Entry, Model
from shop_rules import USUAL, broken_limit, lows, on_grid

from pricerl.advice.stored import StoredAdvice, Summary
from pricerl.experiments.schedule import Switchback, hash_schedule, lay_out
from pricerl.operations.exports import Fresh
from pricerl.operations.log.decision_log import stamp
from pricerl.operations.shop import Shop

NAMES = ("mug", "cap", "=bowl")
DAY = timedelta(days=1)
RELATIONS: tuple[list[Entry], ...] = (
    [],
    [],
    [{"kind": "size_order", "products": ["mug", "cap"]}],
    [{"kind": "one_price", "products": ["cap", "=bowl"]}, {"kind": "size_order", "products": ["mug", "=bowl"]}],
    [{"kind": "multipack", "products": ["mug", "=bowl"], "count": 2}],
)
FIRST = date(2025, 12, 22)


class Seller:
    """Prices charged and units sold on each day, which files show."""

    def __init__(self, today: date) -> None:
        self.today = today
        self.charged: dict[str, dict[date, float]] = {name: {} for name in NAMES}
        at = FIRST
        while at < today:
            for number, name in enumerate(NAMES):
                self.charged[name][at] = 10.0 + number * (at.day % 2) * 0.5
            at += DAY
        for name in NAMES:
            self.charged[name][today - DAY] = 10.0
        self.relations: list[Entry] | None = None
        self.labels = Labels(NAMES)
        self.cancelled: set[str] = set()
        """Numbers of orders that were cancelled."""

    def wait(self, days: int, rows: Mapping[str, Any], chance: random.Random) -> set[str]:
        """Let days pass; the platform takes over the prices of the table, keeps its own, or charges another one.

        Return the products of which it charges another one.
        """
        others = set()
        way = chance.choice(("obey", "obey", "obey", "keep", "other"))
        for _ in range(max(days, 0)):
            for name, charged in self.charged.items():
                before = charged.get(self.today - DAY, 10.0)
                row = rows.get(name)
                if way == "obey" and row is not None and row[0] <= self.today.isoformat() <= row[2]:
                    before = row[1]
                elif way == "other" and chance.random() < 0.3:
                    before = round(before * chance.choice((0.9, 0.97, 1.03, 1.1)), 2)
                    others.add(name)
                charged.setdefault(self.today, before)
            self.today += DAY
        if days < 0:
            self.today -= DAY
        return others

    def price(self, name: str, day: date) -> float:
        """Return the price on a day, or the last one before it."""
        while day not in self.charged[name] and day > FIRST:
            day -= DAY
        return self.charged[name].get(day, 10.0)

    def sales(self, name: str, day: date) -> float:
        """Return the sales of a day."""
        return round(self.price(name, day) * self.units(name, day), 2)

    def units(self, name: str, day: date) -> int:
        """Return the units of a day."""
        return 5 + (day.toordinal() * 7 + 3 * NAMES.index(name)) % 11

    def one(self, chance: random.Random, model: Model) -> str:
        """Return a product, mostly one that has advice."""
        known = [*model.items]
        return chance.choice(known) if known and chance.random() < 0.97 else chance.choice((*NAMES, "none"))

    def some(self, chance: random.Random, model: Model) -> list[str]:
        """Return the products of a file: all, or some of them."""
        if chance.random() < 0.5:
            return list(NAMES[: max(2, len(model.items))])
        found = [name for name in NAMES if chance.random() < 0.6]
        return found or [NAMES[0]]

    def order(self, chance: random.Random, model: Model) -> tuple[str, float, str]:
        """Return product, price and last day of an order."""
        name = self.one(chance, model)
        now = model.items[name].advice["current_price"] if name in model.items else 10.0
        factor = chance.choice((0.5, 0.75, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.15, 1.3))
        price = round(now * factor, chance.choice((1, 2, 2)))
        days = chance.choice((-1, 0, 1, 3, 7, 14, 30, 400))
        return name, max(price, 0.01), (self.today + days * DAY).isoformat()

    def test(self, chance: random.Random, model: Model) -> Entry:
        """Return the plan of a price test."""
        name = self.one(chance, model)
        advice = model.items[name].advice if name in model.items else {"current_price": 10.0, "days": []}
        now, first = advice["current_price"], self.today
        if advice["days"] and chance.random() < 0.9:
            first = max(first, date.fromisoformat(advice["days"][0]["date"]))
        first += chance.choice((-1, 0, 0, 0, 0, 2)) * DAY
        regular = now if chance.random() < 0.9 else now + 1
        prices = (regular, max(round(now * chance.choice((0.6, 0.92, 0.96, 1.04, 1.08, 1.3)), 2), 0.01))
        return planned_test(name, first, prices, chance.choice((1, 2, 3)), chance.choice((1, 2)), chance.getrandbits(8))

    def limits(self, chance: random.Random, model: Model) -> tuple[str | None, Entry]:
        """Return limits to type, and the product that they are of; None for all."""
        known = [*model.items] or [NAMES[0]]
        product = chance.choice(known) if chance.random() < 0.4 else None
        price = model.items[known[0]].advice["current_price"] if model.items else 10.0
        values: dict[str, tuple[Any, ...]] = {
            "floor": (None, round(price * 0.9, 1), round(price * 0.98, 2), round(price * 1.04, 2)),
            "ceiling": (None, round(price * 1.2, 1), round(price * 1.03, 2), round(price * 0.96, 2)),
            "min_margin": (0.0, 0.1, 0.3, 0.44, 0.9),
            "max_change": (0.03, 0.05, 0.08),
            "max_week_change": (0.08, 0.10, 0.15),
            "min_hold_days": (1, 3, 5),
            "price_step": (0.01, 0.01, 0.05, 0.1),
        }
        shared = ("min_hold_days", "price_step") if product else ()
        names = [name for name in values if name not in shared]
        chosen = chance.sample(names, chance.choice((1, 1, 1, 2)))
        return product, {name: chance.choice(values[name]) for name in chosen}

    def file(self, chance: random.Random, model: Model) -> SellersFile:
        """Return a file: all days, the last ones, yesterday's, a half, one that changed, or one of another kind."""
        kinds = {"whole": 8, "last": 8, "older": 3, "half": 2, "changed": 2, "today": 2, "weeks": 1, "dollars": 1}
        (kind,) = chance.choices([*kinds], [*kinds.values()])
        names = list(NAMES) if chance.random() < 0.75 else self.some(chance, model)
        last = self.today if kind == "today" else self.today - DAY
        first = {"last": last - 6 * DAY, "older": last - 9 * DAY, "today": last - 2 * DAY}.get(kind, FIRST)
        last = last - 4 * DAY if kind == "older" else last
        step = 7 if kind == "weeks" else 1
        cells = [(name, first + at * DAY) for name in names for at in range(0, max((last - first).days, 0) + 1, step)]
        cells = cells[: len(cells) // 2 + 1] if kind == "half" else cells
        sales = {(name, day.isoformat()): self.sales(name, day) for name, day in cells}
        if kind == "changed":
            known = [cell for cell in sales if cell in model.days.cells]
            is_last = known and chance.random() < 0.4
            sales[max(known, key=itemgetter(1)) if is_last else chance.choice([*sales])] += 1.0
        if kind == "today":
            sales = {cell: value / 2 if cell[1] == last.isoformat() else value for cell, value in sales.items()}
        values = {(name, day): (self.price(name, date.fromisoformat(day)), sold) for (name, day), sold in sales.items()}
        currency = "USD" if kind == "dollars" else "EUR"
        if kind in ("whole", "last", "older") and chance.random() < 0.5:
            days = sorted({day for _, day in values})
            if chance.random() < 0.3:
                self.cancelled.add(f"{chance.choice((days[0], *days[-2:]))}/{chance.randrange(NUMBERS)}")
            made = file_of_orders(kind, values, self.units, self.cancelled, chance)
            return self.labels.apply(made, chance)
        made = SellersFile(kind, {cell: (*own, None) for cell, own in values.items()}, currency=currency)
        if chance.random() < 0.1 and len(made.cells) > 1:
            lost = chance.choice([*made.cells])
            cells = {cell: own for cell, own in made.cells.items() if cell != lost}
            made = made._replace(cells=cells, lost=frozenset([lost]))
        return self.labels.apply(made, chance)


def planned_test(name: str, first: date, prices: tuple[float, float], pairs: int, block: int, seed: int) -> Entry:
    """Return the plan of a price test."""
    schedule = lay_out(Switchback(pairs, block, 0), seed, first, 1, prices)
    return {
        **{"product": name, "first_day": schedule[0]["date"], "until": schedule[-1]["date"], "seed": seed},
        **{"question": "profit", "regular_price": prices[0], "test_price": prices[1], "propensity": 0.5},
        **{"schedule": schedule, "schedule_hash": hash_schedule(schedule), "values": [*prices], "profits": None},
        **{"scale": 1.0, "effect": 0.1, "power": 0.5, "cost": 1.0, "expected_cost": 0.5, "consent": None},
    }


def result_of(test: Entry, chance: random.Random) -> Entry:
    """Return the result of a price test, as a file that came during or after it may show."""
    verdict = chance.choice(("higher", "lower", "undecided"))
    return {
        **stamp("price_test_result", "anna", "by proof, or at the planned end"),
        **{name: test[name] for name in ("product", "question", "test_price", "regular_price")},
        **{"test": test["id"], "verdict": verdict, "pairs": 1, "estimate": 0.1, "limits": [None, None]},
        **{"p_value": 0.5, "proven": verdict != "undecided", "last_day": test["until"], "lost": []},
    }


def step_down(price: float, step: float) -> float:
    """Return the largest multiple of the step up to a price."""
    return round(math.floor(price / step + 1e-6) * step, 2)


def step_up(price: float, step: float) -> float:
    """Return the smallest multiple of the step from a price on."""
    return round(math.ceil(price / step - 1e-6) * step, 2)


def stored(name: str, batch: str) -> Fresh:
    """Made-up advice on a product as the shop keeps it."""
    summary = Summary("keep", 0, 0.0, "C", "profit", None, [], [], lacks_evidence=False)
    return StoredAdvice(name, summary, b"", f'{{"product": "{name}", "batch": "{batch}"}}'.encode()), "9999-12-31"


def draft_advice(
    shop: Shop,
    seller: Seller,
    chance: random.Random,
    names: list[str],
    command: str,
    generation: str,
    batch: str,
    plain: bool,
) -> list[Entry]:
    """Draft advice on products, with made-up prices inside the limits that the shop names."""
    if seller.relations is None:
        seller.relations = chance.choice(RELATIONS)
    given: Entry = {}
    known = shop.guardrails or {**USUAL, "min_advertised_price": None, "products": None}
    if not plain and {*names} >= {*shop.newest} and chance.random() < 0.25:
        given = {"floor": chance.choice((None, 8.0, 9.5)), "max_change": chance.choice((0.04, 0.05, 0.1))}
    config = {**known, **given}
    mode = shop.publishing or chance.choice(("auto", "auto", "manual", "shadow"))
    waits = "editor" if chance.random() < 0.15 else ""
    behind = chance.choice((0, 0, 0, 0, 1, 3))
    currency = "EUR" if chance.random() < 0.97 or plain or not {*names} >= {*shop.newest} else "USD"
    if shop.newest and not (not plain and {*names} >= {*shop.newest}):
        currency = next(iter(shop.newest.values()))["terms"]["currency"]
    made = []
    for name in names:
        draft = _draft_one(shop, seller, chance, name, config, behind)
        draft |= {"command": command, "checkpoint": f"{generation}/best.ckpt", "source": batch}
        draft["settings"] = {"given": given} if given else {}
        related = [item for item in seller.relations if name in item["products"]]
        own = (config.get("products") or {}).get(name)
        guardrails = {item: config[item] for item in USUAL if config[item] != USUAL[item]}
        guardrails |= {"products": {name: own}} if own else {}
        draft["terms"] |= {
            **{"approval": mode, "waits": waits, "since": shop.log.head.entries, "currency": currency},
            **{"price_decimals": 2, "relations": related, "guardrails": guardrails},
        }
        made.append(draft)
    return made


def _draft_one(shop: Shop, seller: Seller, chance: random.Random, name: str, config: Entry, behind: int) -> Entry:
    settings = {**config, **((config.get("products") or {}).get(name) or {})}
    end = max(seller.today - (1 + behind) * DAY, FIRST)
    now, step = seller.price(name, end), settings["price_step"]
    costs = None if chance.random() < 0.2 or settings["min_margin"] > 0.8 else [0.85, 4.0]
    floor, ceiling = max(lows(settings, costs).values()), settings["ceiling"]
    low, high = now * (1 - settings["max_change"]), now * (1 + settings["max_change"])
    broken = broken_limit(now, settings, costs)
    if broken is None:
        low, high = max(low, floor), min(high, math.inf if ceiling is None else ceiling)
    elif broken[0] == "ceiling":
        high = low = max(low, ceiling)
    else:
        low = high = min(high, floor)
    lowest, highest = step_up(low, step), step_down(high, step)
    if broken is not None:
        lowest = highest = lowest if broken[0] == "ceiling" else highest
    prices = _path(chance, now, step, lowest, highest, broken is not None)
    if (last := shop.newest.get(name)) and last["current_price"] == now and broken is None and chance.random() < 0.4:
        held = [day["price"] for day in last["days"]]
        change = next((price for price in held if price != now), now)
        prices = held if lowest <= change <= highest and on_grid(change, step) else prices
    order = shop.order_on(name) if chance.random() < 0.7 else None
    followed: Entry = {}
    if order is not None:
        followed = {"test" if order.kind == "price_test" else "order": order.id}
        prices = [order.price_on((end + (1 + at) * DAY).isoformat(), now) for at in range(len(prices))]
    gap = 7 if chance.random() < 0.1 else 1
    days = [
        {"date": (end + (1 + gap * at) * DAY).isoformat(), "price": price, "units": None, "sales": None}
        | {"profit": None, "sd": None}
        for at, price in enumerate(prices)
    ]
    has = lowest <= highest
    limits = {"floor": floor, "ceiling": ceiling, "price_step": step, "costs": costs}
    limits |= {"lowest": lowest if has else None, "highest": highest if has else None}
    return {
        **stamp("advice", "pricerl", "x"),
        **{"product": name, "path": "sales.csv", "seed": 0, "horizon": len(days), "threads": 1, "follow": "path"},
        **{"matmul_precision": "highest", "hashes": dict.fromkeys(("data", "file", "config", "model"), "0" * 64)},
        **{"versions": {}, "seen": shop.log.head.entries, "history_end": end.isoformat(), "current_price": now},
        **{"limits": limits, "tried": [round(now * 0.85, 2), round(now * 1.12, 2)], "grade": "B", "proposal": prices},
        **{"days": days, "edits": [], "elasticity": [-2.0, -3.0, -1.0], "today": seller.today.isoformat()},
        **{"known": {"first": "2025-12-22", "days": 9, "since": "2025-12-22", "price": now, "units": 1.0}},
        **({"restarts": "prices changed their unit"} if chance.random() < 0.02 else {}),
        **followed,
        "terms": {"forced": "" if broken is None else broken[0]},
    }


def _path(
    chance: random.Random, now: float, step: float, lowest: float, highest: float, is_forced: bool
) -> list[float]:
    """Return the price of each day: kept, changed once, or in steps."""
    count = chance.choice((1, 3, 5, 8))
    if is_forced:
        return [highest if highest > 0 else now] * count
    if chance.random() < 0.25 or lowest > highest:
        return [now] * count
    first = step_up(lowest + chance.choice((0.0, 0.2, 0.6, 0.9, 1.0)) * (highest - lowest), step)
    first = min(max(first, lowest), highest)
    waits = chance.choice((0, 0, 1, 2))
    more = step_up(first * chance.choice((1.0, 1.0, 1.03, 0.97)), step)
    return (
        [now] * min(waits, count - 1) + [first] * max(count - waits - 2, 1) + [more] * (2 if count > waits + 2 else 0)
    )
