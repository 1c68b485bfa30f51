"""Two exports that have different orders of one day are joined by the orders' numbers."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from command_line import write_lines

from pricerl.data.reading.reader import read_rows
from pricerl.errors import DataError
from pricerl.shop.database import ALIASES, writing
from pricerl.shop.days import keep_days, read_days
from pricerl.shop.names import name_rows
from pricerl.shop.orders import join_orders

HEADER = "amazon-order-id,purchase-date,order-status,sku,asin,quantity,item-price,currency"
DAYS = ["2025-03-03", "2025-03-04", "2025-03-05", "2025-03-06"]


def order(number: int, day: str, units: int = 1, status: str = "Shipped", sku: str = "mug") -> str:
    return f"{number},{day}T10:00:00+00:00,{status},{sku},B0{sku},{units},{10 * units},EUR"


BEFORE = [order(100 + at, day) for at, day in enumerate(DAYS[:2])]
AFTER = [order(200, DAYS[3])]
FIRST = [*BEFORE, *(order(number, DAYS[2], number) for number in range(1, 6))]
SECOND = [*(order(number, DAYS[2], number) for number in range(4, 10)), *AFTER]


def take(path: Path, *lines: str) -> dict[str, tuple[float, float]]:
    """Add an export as ``pricerl add`` does, and return units and sales of the mug by day."""
    rows = read_rows(write_lines(path.parents[1] / "orders.csv", [HEADER, *lines]))
    with writing(path) as database:
        known = [name for (name,) in database.run("SELECT name FROM product ORDER BY id")]
        fresh, before = join_orders(database, name_rows(database, rows, known, ())), read_days(database)
        keep_days(database, fresh if before is None else before.join(fresh, False), date(2025, 3, 9))
        found = database.run("SELECT date, units, sales FROM day JOIN product ON id = product WHERE name = 'mug'")
        return {day: amounts for day, *amounts in found}


@pytest.mark.parametrize("files", [*permutations([FIRST, SECOND, FIRST])])
def test_a_day_counts_the_orders_of_both_files_in_any_order(files: tuple[list[str], ...], shop_path: Path) -> None:
    for lines in files:
        found = take(shop_path, *lines)
    assert found[DAYS[2]] == [45, 450] and found[DAYS[0]] == [1, 10] and found[DAYS[3]] == [1, 10]


def test_the_seller_is_told_that_orders_of_an_earlier_file_count(shop_path: Path) -> None:
    take(shop_path, *FIRST)
    rows = read_rows(write_lines(shop_path.parents[1] / "orders.csv", [HEADER, *SECOND]))
    with writing(shop_path) as database:
        told = "3 orders of earlier files on 2025-03-05 that this one lacks: counted, too."
        assert told in join_orders(database, rows).notes


def test_a_file_with_a_whole_day_replaces_its_parts(shop_path: Path) -> None:
    take(shop_path, *FIRST)
    whole = [*BEFORE, *(order(number, DAYS[2], number) for number in range(2, 10)), *AFTER]
    assert take(shop_path, *whole)[DAYS[2]] == [44, 440]
    assert take(shop_path, *whole)[DAYS[2]] == [44, 440]
    with pytest.raises(DataError, match="1 day read before changed: 2025-03-05"):
        take(shop_path, *SECOND[3:])


def test_a_cancelled_order_is_not_counted_again(shop_path: Path) -> None:
    take(shop_path, *FIRST)
    assert take(shop_path, order(5, DAYS[2], 5, "Cancelled"), *SECOND[2:])[DAYS[2]] == [40, 400]


def test_a_cancelled_order_does_not_come_back_with_a_file_that_begins_after_it(shop_path: Path) -> None:
    take(shop_path, *FIRST)
    take(shop_path, order(5, DAYS[2], 5, "Cancelled"), *SECOND[2:])
    assert take(shop_path, *SECOND[2:])[DAYS[2]] == [40, 400]


def test_an_order_of_a_product_under_both_its_names_counts_both_lines(shop_path: Path) -> None:
    take(shop_path, *FIRST)
    with writing(shop_path) as database:
        database.keep_fact(ALIASES, '{"cup": "mug"}')
    take(shop_path, *SECOND[:-2], order(9, DAYS[2], 9), order(9, DAYS[2], 2, sku="cup"), *AFTER)
    assert take(shop_path, *FIRST)[DAYS[2]] == [47, 470]


def test_orders_of_other_products_stay(shop_path: Path) -> None:
    bowls = [order(50 + at, day, sku="bowl") for at, day in enumerate(DAYS)]
    take(shop_path, *FIRST, *bowls[:3])
    assert take(shop_path, *bowls[2:], *SECOND)[DAYS[2]] == [45, 450]
