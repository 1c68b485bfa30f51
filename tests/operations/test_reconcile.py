"""What a platform charges against what the shop decided: each edit by somebody else is found and held back."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from decision_logs import record

from pricerl.data.platforms.import_forms import own_forms
from pricerl.data.platforms.listings import read_listings
from pricerl.errors import DataError
from pricerl.operations.log.decision_log import LOG_FILE, stamp
from pricerl.operations.reconcile import Listed, compare, draft_seen
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

LINE = (Path(__file__).parent / "decisions.jsonl").read_text(encoding="utf-8").splitlines()[0]
FIRST = date(2026, 1, 1)
NAMES = [f"SKU-{number}" for number in range(12)]


def advice(product: str, now: float, price: float, day: date = FIRST) -> dict[str, Any]:
    """An advice of a day whose path leads from a price to another one on that day."""
    base = {key: value for key, value in json.loads(LINE).items() if key not in ("id", "hash", "previous", "account")}
    days = [{**base["days"][0], "date": str(day + timedelta(days=step)), "price": price} for step in range(14)]
    limits = {"floor": 1.0, "ceiling": None, "price_step": 0.01, "lowest": 0.9 * now, "highest": 1.1 * now}
    terms = {"currency": "EUR", "price_decimals": 2, "relations": [], "approval": "auto"}
    about = {"history_end": str(day - timedelta(days=1)), "today": str(day), "checkpoint": None, "restarts": ""}
    known = {"first": "2025-01-01", "days": 90, "since": "2025-12-04", "price": now, "units": 84.0}
    made = {"product": product, "current_price": now, "days": days, "limits": limits, "terms": terms, "known": known}
    return {**base, **about, **made, "seen": 0, "order": 0, "test": 0, "tried": [0.5 * now, 2 * now]}


def order(product: str, price: float, day: date = FIRST) -> dict[str, Any]:
    about = {"product": product, "until": "2026-02-01", "price": price, "currency": "EUR", "today": str(day)}
    return {**stamp("override", "anna", "x"), **about}


def opened(folder: Path, drafts: Iterable[Mapping[str, Any]] = (), day: date = FIRST) -> Shop:
    if drafts := list(drafts):
        record(folder / LOG_FILE, drafts)
    return Shop.read(RunFolder(folder), day)


def seen(shop: Shop, prices: Mapping[str, float]) -> tuple[list[Listed], Shop]:
    """Reconcile as the command does."""
    after = opened(shop.folder.path, draft_seen(shop, compare(shop, prices)), shop.today)
    return compare(after, prices), after


@pytest.mark.parametrize("seed", range(30))
def test_all_edits_by_somebody_else_are_found_and_none_is_overwritten(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    before = {name: round(rng.uniform(5, 80), 2) for name in NAMES}
    decided = {name: round(now * rng.choice([1.0, 1.04, 0.96]), 2) for name, now in before.items()}
    shop = opened(tmp_path, [advice(name, before[name], decided[name]) for name in NAMES], FIRST + timedelta(days=2))
    edited = {*rng.sample(NAMES, seed % 6)}
    charged = {name: rng.choice([before[name], decided[name]]) for name in NAMES}
    charged |= {name: round(before[name] * rng.choice([0.5, 0.9, 1.13, 10.0]), 2) for name in edited}
    text = "\r\n".join(["seller-sku\tprice\tquantity", *(f"{name}\t{price:.2f}\t5" for name, price in charged.items())])
    (tmp_path / "listings.txt").write_text(text, encoding="cp1252")
    prices = read_listings(str(tmp_path / "listings.txt"), shop.newest)
    assert prices == charged
    found, after = seen(shop, prices)
    assert {item.product for item in found if item.foreign} == edited
    assert {item.product for item in found if item.since} == {
        name for name in NAMES if name not in edited and charged[name] != decided[name]
    }
    written = after.import_files(own_forms()["amazon"])["amazon.txt"]
    assert {name for name in NAMES if f"{name}\t" in written} == {
        name for name in NAMES if name not in edited and before[name] != decided[name]
    }
    held = dict(after.outbox.left_out)
    assert held.keys() == {name for name in edited if before[name] != decided[name]}
    assert all("somebody else set" in why and "override it" in why for why in held.values())
    again, last = seen(after, prices)
    assert again == found and last.log.head == after.log.head, "the same export says the same and records nothing"


@pytest.mark.parametrize("price", [12.0, 10.4])
def test_an_override_decides_for_the_platform_or_for_the_shop(tmp_path: Path, price: float) -> None:
    shop = opened(tmp_path, [advice("mug", 10.0, 10.4)])
    found, after = seen(shop, {"mug": 12.0})
    assert found == [Listed("mug", 12.0, 10.4, 10.0, True, "")] and after.outbox.rows == ()
    assert "somebody else set 12 (entry 2); override it, to that or 10.4" in after.outbox.left_out[0][1]
    decided = opened(tmp_path, [order("mug", price)])
    assert [row.price for row in decided.outbox.rows] == [price]
    (again,), last = seen(decided, {"mug": 12.0})
    assert not again.foreign and [row.price for row in last.outbox.rows] == [price], "it was decided on"
    (other,), held = seen(last, {"mug": 13.0})
    assert other.foreign and held.outbox.rows == (), "another edit is another question"


def test_an_edit_is_settled_where_the_platform_or_a_file_shows_another_price(tmp_path: Path) -> None:
    shop = opened(tmp_path, [advice("mug", 10.0, 10.4), advice("cup", 10.0, 10.4)])
    _, held = seen(shop, {"mug": 12.0, "cup": 12.0})
    assert held.outbox.rows == ()
    found, after = seen(held, {"mug": 10.4, "cup": 12.0})
    assert [item.foreign for item in found] == [False, True] and [row.product for row in after.outbox.rows] == ["mug"]
    day = FIRST + timedelta(days=7)
    fresh = opened(tmp_path, [advice("cup", 12.0, 12.3, day)], day)
    assert [(row.product, row.price) for row in fresh.outbox.rows][-1] == ("cup", 12.3)


def test_a_price_that_is_not_taken_over_is_named_after_a_day(tmp_path: Path) -> None:
    """A daily advice that repeats the price does not begin the day anew."""
    second, third = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
    shop = opened(tmp_path, [advice("mug", 10.0, 10.4)])
    assert compare(shop, {"mug": 10.0})[0].since == ""
    later = opened(tmp_path, [advice("mug", 10.0, 10.4, second), advice("mug", 10.0, 10.4, third)], third)
    assert compare(later, {"mug": 10.0}) == [Listed("mug", 10.0, 10.4, 10.0, False, "2026-01-01")]
    assert compare(later, {"mug": 10.4})[0].since == ""
    ordered = opened(tmp_path, [order("mug", 11.0, third)], third)
    assert compare(ordered, {"mug": 10.0}) == [Listed("mug", 10.0, 11.0, 10.0, False, "")], "ordered today"
    assert compare(opened(tmp_path, day=third + timedelta(days=1)), {"mug": 10.0})[0].since == "2026-01-03"


def test_exports_of_platforms_are_read_by_any_name_of_a_product(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    shopify = "Handle,Title,Variant SKU,Variant Price\nmug,Blue mug,A-1,10.00\nmug,,,\ncup,Cup,B 2,12.50\n"
    for text, known, expected in (
        (shopify, ["A-1", "B 2"], {"A-1": 10.0, "B 2": 12.5}),
        (shopify, ["mug", "Cup", "pot"], {"mug": 10.0, "Cup": 12.5}),
        ("SKU;Regular price\nA-1;1.234,50\n", ["A-1"], {"A-1": 1234.5}),
        ("Produkt,Preis (EUR)\nA-1,9.99\n", ["A-1"], {"A-1": 9.99}),
    ):
        path.write_text(text, encoding="utf-8")
        assert read_listings(str(path), known) == expected
    for text, message in (
        ("Handle,Variant Price\nmug,10\nmug,12\n", "has several prices of 'mug'"),
        ("Handle,Variant Price\nbowl,10\n", "has no price of 'mug'"),
        ("Handle,Weight\nmug,10\n", "needs a column of products and one of prices"),
        ("Handle,Variant Price\nmug,ten\n", "line 2"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_listings(str(path), ["mug"])
