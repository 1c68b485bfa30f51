"""What leaves the shop is summed up in one line of money; what a fault has poisoned is stopped, and its row named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from pricerl.operations.log.decision_log import NOTHING, Head
from pricerl.operations.outbox import Outbox, fill_outbox

FIRST = date(2026, 1, 1)
Entry = dict[str, Any]
SHOP = {"mug": (10.0, 10.4), "bowl": (24.0, 23.5), "cup": (3.99, 3.89), "jug": (120.0, 125.0), "pot": (55.0, 55.0)}
"""Current and advised prices."""


def advice(product: str, now: float, price: float, **changes: Any) -> Entry:
    """An advice whose history sold 3 units a day and whose largest change is 5 %."""
    days = [{"date": str(FIRST + timedelta(days=day)), "price": price} for day in range(14)]
    limits = {"floor": 0.5 * now, "ceiling": None, "price_step": 0.01}
    limits |= {"lowest": round(0.95 * now, 2), "highest": round(1.05 * now, 2)}
    known = {"since": "2025-12-04", "units": 84.0, "price": now}
    terms = {"approval": "auto", "currency": "EUR", "price_decimals": 2, "relations": [], "guardrails": {}}
    about = {"tried": (0.8 * now, 1.2 * now), "settings": {}, "checkpoint": "", "seen": 0, "history_end": "2025-12-31"}
    entry = {"kind": "advice", "product": product, "days": days, "current_price": now, "limits": limits}
    return {**entry, **about, "known": known, "terms": terms, **changes}


def shop(prices: Mapping[str, tuple[float, float]] = SHOP) -> dict[str, Entry]:
    return {name: advice(name, *pair) for name, pair in prices.items()}


def outbox(entries: Mapping[str, Entry]) -> Outbox:
    numbered = [{**entry, "id": number} for number, entry in enumerate(entries.values(), 1)]
    return fill_outbox(NOTHING.extended(numbered, Head(9, "ab" * 32)), "", FIRST)


def set_price(entry: Entry, price: float) -> None:
    entry["days"] = [{**day, "price": price} for day in entry["days"]]


def test_one_line_names_number_largest_change_and_money_if_units_stay() -> None:
    found = outbox(shop())
    money = 3 * (0.4 - 0.5 - 0.1 + 5.0)
    assert found.summary == (
        f"4 prices change, none by more than 4.2 % (jug); if units stay as they are: {money:+.2f} EUR of sales per day"
    )
    assert outbox({"pot": advice("pot", 55.0, 55.0)}).summary == "no price changes"
    assert outbox({"mug": advice("mug", 10.0, 10.4)}).summary.startswith(
        "1 price changes, none by more than 4.0 % (mug)"
    )


def shift(name: str, factor: float) -> Callable[[dict[str, Entry]], None]:
    """Shift the decimal point of a price."""
    return lambda entries: set_price(entries[name], round(SHOP[name][1] * factor, 4))


def swap(one: str, other: str) -> Callable[[dict[str, Entry]], None]:
    """Exchange the prices of two rows."""

    def poison(entries: dict[str, Entry]) -> None:
        set_price(entries[one], SHOP[other][1])
        set_price(entries[other], SHOP[one][1])

    return poison


def relabel(name: str, currency: str, rate: float = 1.0) -> Callable[[dict[str, Entry]], None]:
    """Put the advice of a shop in another currency among the others."""

    def poison(entries: dict[str, Entry]) -> None:
        now, price = (round(rate * price, 2) for price in SHOP[name])
        entries[name] = advice(name, now, price)
        entries[name]["terms"]["currency"] = currency

    return poison


def convert(name: str, rate: float) -> Callable[[dict[str, Entry]], None]:
    """Convert an advised price into another currency, but nothing else."""
    return lambda entries: set_price(entries[name], round(rate * SHOP[name][1], 2))


POISONED: dict[str, tuple[Callable[[dict[str, Entry]], None], set[str]]] = {
    "a decimal shifted up": (shift("mug", 10), {"mug"}),
    "a decimal shifted down": (shift("mug", 0.1), {"mug"}),
    "two decimals shifted up": (shift("jug", 100), {"jug"}),
    "two decimals shifted down": (shift("jug", 0.01), {"jug"}),
    "cents read as whole money": (shift("cup", 100), {"cup"}),
    "a decimal shifted of a kept price": (shift("pot", 10), {"pot"}),
    "rows swapped, far apart": (swap("mug", "jug"), {"mug", "jug"}),
    "rows swapped, one dear": (swap("bowl", "jug"), {"bowl", "jug"}),
    "rows swapped, one cheap": (swap("cup", "mug"), {"cup", "mug"}),
    "rows swapped with a kept price": (swap("pot", "bowl"), {"pot", "bowl"}),
    "another shop's row in dollars": (relabel("mug", "USD"), {"mug"}),
    "another shop's row in pounds, converted": (relabel("bowl", "GBP", 0.87), {"bowl"}),
    "another shop's row in yen": (relabel("jug", "JPY", 160.0), {"jug"}),
    "another shop's row in francs": (relabel("cup", "CHF", 0.93), {"cup"}),
    "a price converted into dollars": (convert("bowl", 1.17), {"bowl"}),
    "a price converted into pounds": (convert("jug", 0.87), {"jug"}),
    "a price converted into kronor": (convert("mug", 11.1), {"mug"}),
    "a price with a tax of 19 % on top": (convert("mug", 1.19), {"mug"}),
    "a price without its tax of 19 %": (convert("jug", 1 / 1.19), {"jug"}),
    "a pack's price for one": (shift("cup", 6), {"cup"}),
}


@pytest.mark.parametrize(("poison", "names"), POISONED.values(), ids=POISONED)
def test_a_poisoned_row_is_stopped_and_named_and_the_others_leave(
    poison: Callable[[dict[str, Entry]], None], names: set[str]
) -> None:
    entries = shop()
    clean = outbox(entries)
    poison(entries)
    found = outbox(entries)
    assert {product for product, _ in found.left_out} == names
    assert {row.product: row.price for row in found.rows} == {
        row.product: row.price for row in clean.rows if row.product not in names
    }
    for name in names:
        (note,) = [note for note in found.notes if note.startswith(f"{name}: no price, ")]
        assert "than your largest change allows" in note or "its advice is in" in note or "below the floor" in note
