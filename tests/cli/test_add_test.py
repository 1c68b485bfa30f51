"""Command ``add-test``: a test made elsewhere is refused with a reason, or kept once and counted by the next advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import entries_of, run, write_lines
from saying import says

from pricerl.operations.standings import find_visitor_tests

HEAD = "Price,Visitors,Orders"
PROVEN = ["Variant,Price,Visitors,Orders,Revenue", "A,9.50,20000,830,7885", "B,11.50,20000,420,4830"]
FAULTS = [
    ([HEAD, "9.5,100,5", "10.5,100,120"], "line 3", "Orders", "found 120.0, more orders than visitors"),
    ([HEAD, "9.5,100,5"], "visitors at two prices or more are needed"),
    ([HEAD, "9.5,100,5", "9.5,100,7"], "visitors at two prices or more are needed"),
    ([HEAD, "9.5,100,0", "10.5,100,0"], "and orders; add the test when it has both"),
    ([HEAD, "9.5,100,", "10.5,100,7"], "line 2", "Orders", "is blank"),
    ([HEAD, "9.5,0,0", "10.5,100,7"], "line 2", "Visitors", "must be 1 or more"),
    ([HEAD, "9.5,100,5", "1050,100,7"], "line 3", "1050 is far from the prices charged, 9.5 to 11; correct it"),
    ([f"{HEAD},Revenue", "9.5,100,5,47.5", "10.5,100,7,95"], "line 3", "95 of revenue is not price times orders, 73.5"),
    (
        [f"Product,{HEAD}", "selller,9.5,100,5", "selller,9.6,9,5"],
        "line 2",
        "no product 'selller'; did you mean 'seller'",
    ),
    ([f"Date,{HEAD}", "2025-03-01,9.5,900,50", "2025-03-02,10.5,900,70"], "different days"),
    (["Price,Orders", "9.5,5", "10.5,7"], "line 2", "Visitors", "is blank"),
]


@pytest.mark.parametrize(("lines", "parts"), [(lines, parts) for lines, *parts in FAULTS])
def test_a_file_that_is_no_test_is_refused_with_row_finding_and_remedy(
    shop: Path, lines: list[str], parts: list[str]
) -> None:
    write_lines(shop / "ab.csv", lines)
    before = entries_of(shop)
    result = run(shop, "add-test", "ab.csv")
    assert (result.code, result.out, entries_of(shop)) == (3, "", before)
    assert [part for part in parts if part not in result.err] == [], result.err


def test_a_price_in_another_currency_than_the_shops_is_refused(shop: Path) -> None:
    says(shop, "predict --data.currency EUR")
    write_lines(shop / "ab.csv", ["Price (USD),Visitors,Orders", "9.5,100,5", "10.5,100,7"])
    says(shop, "add-test ab.csv", "its prices are in USD, the shop's in EUR; convert them", code=3)
    write_lines(shop / "ab.csv", ["Price (EUR),Visitors,Orders", "9.5,100,5", "10.5,100,7"])
    says(shop, "add-test ab.csv", "nothing certain", code=0)


def test_a_test_is_kept_once_and_said_and_moves_the_next_advice(shop: Path) -> None:
    write_lines(shop / "ab.csv", PROVEN)
    said = "your test of 9.5 and 11.5 with 40,000 visitors says that a price 1 % higher costs 3.6 % of orders"
    says(shop, "add-test ab.csv --by anna", said, "the next advice counts it", code=0)
    says(shop, "add-test ab.csv", "ab.csv is in the log, entry 2; nothing has changed", code=2)
    says(shop, "history", said, "by anna", code=0)
    page = shop / "checkpoints/seller/advice.json"
    before = json.loads(page.read_text(encoding="utf-8"))["products"][0]
    says(shop, "predict")
    after = json.loads(page.read_text(encoding="utf-8"))["products"][0]
    assert after["elasticity"][0] < before["elasticity"][0] - 0.3
    (line,) = (line for line in after["card"] if line["question"] == "experiment")
    assert line["verdict"] == "PASS" and line["finding"].startswith(said[0].upper() + said[1:])
    says(shop, "audit verify", "unbroken, 3 entries", code=0)


def test_later_days_of_a_test_replace_it_and_other_days_or_prices_are_a_second_one(shop: Path) -> None:
    """The seller adds a running test twice, then one of the same prices in another week, then one of other prices."""
    days = [f"2025-03-{day:02},{price},900,{orders}" for day in (1, 2, 3) for price, orders in ((9.5, 50), (10.5, 40))]
    for lines in (
        days[:4],
        days,
        [line.replace("-03-", "-02-") for line in days],
        ["2025-03-01,9.5,9,5", "2025-03-01,9.9,9,5"],
    ):
        write_lines(shop / "ab.csv", [f"Date,{HEAD}", *lines])
        says(shop, "add-test ab.csv", code=0)
    (found,) = find_visitor_tests(entries_of(shop)).values()
    assert [(test.first_day, test.visitors) for test in found] == [
        ("2025-03-01", [2700.0, 2700.0]),
        ("2025-02-01", [2700.0, 2700.0]),
        ("2025-03-01", [9.0, 9.0]),
    ]


def test_visitors_that_are_not_shared_out_as_planned_are_a_warning(shop: Path) -> None:
    write_lines(shop / "ab.csv", [HEAD, "9.5,5200,240", "10.5,4300,160"])
    assert "5,200 of 4,750 and 4,300 of 4,750 visitors that were planned" in warned(shop)
    write_lines(shop / "ab.csv", [f"{HEAD},Share", "9.5,5200,240,55 %", "10.5,4300,160,45 %"])
    assert warned(shop) == ""


def warned(shop: Path) -> str:
    result = run(shop, "add-test", "ab.csv")
    assert result.code == 0, result
    return result.err
