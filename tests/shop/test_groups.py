"""Sizes, colours and packs of a product are proposed as a group once, and kept if the seller accepts it."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest
from command_line import SHARED, write_lines

from pricerl.data.reading.reader import read_rows
from pricerl.shop.database import writing
from pricerl.shop.days import keep_days, read_days
from pricerl.shop.groups import GROUPED, group_rows, propose_groups

ALIKE = {
    "Tea": ["Tea 250 g", "Tea, 500g", "Tea 1,5 kg", "Tea"],
    "Cotton Shirt": ["Cotton Shirt red M", "Cotton Shirt Red XL", "Cotton Shirt - blue", "cotton shirt (3XL)"],
    "Seife": ["Seife 2er", "Seife 6 Stück", "Seife 3 x 100 g"],
    "Pens": ["Pens pack of 3", "Pens x12", "Pens 24-pack"],
    "Earl Grey": ["Earl Grey 100 g", "Earl Grey 1 kg"],
    "A 100": ["A-100-BLACK", "A-100-WHITE"],
}
"""Names of products that belong together, by the group that is proposed."""


@pytest.mark.parametrize("group", ["Tea", "Cotton Shirt", "Seife", "Pens", "Earl Grey"])
def test_names_that_differ_in_size_colour_or_pack_are_a_group(group: str) -> None:
    names = [name for several in ALIKE.values() for name in several]
    found = propose_groups(dict.fromkeys(names, ""))
    assert [name for name, its in found.items() if its == group] == ALIKE[group]


@pytest.mark.parametrize(
    "names",
    [
        ["Tea 250 g", "Coffee 250 g"],
        ["Phone 12", "Phone 13"],
        ["XL", "Red", "M"],
        ["A", "B"],
        ["Red Bull", "Blue Band"],
        [f"Tea {size} g" for size in range(1, 52)],
    ],
)
def test_other_names_are_no_group(names: list[str]) -> None:
    assert propose_groups(dict.fromkeys(names, "")) == {}


def test_the_names_of_eighty_eight_retailers_are_no_group() -> None:
    if not SHARED.is_dir():
        pytest.skip("the real data is not next to the project")
    with gzip.open(SHARED / "cheese_panel.csv.gz", "rt") as lines:
        names = {line.rsplit(",", 4)[0].strip('"') for line in lines} - {"retailer"}
    files = {path.name.partition(".")[0] for path in SHARED.glob("*.csv*")}
    assert len(names) == 88 and propose_groups(dict.fromkeys(sorted(names | files), "")) == {}


def test_a_new_size_joins_the_group_that_the_others_have_and_different_groups_stay() -> None:
    known = {"Tea 250 g": "Drinks", "Tea 500 g": "", "Cup red": "Cups", "Cup blue": "Gifts", "Cup green": ""}
    assert propose_groups(known) == {"Tea 500 g": "Drinks"}


def test_products_that_limits_relate_are_a_group() -> None:
    known = dict.fromkeys(["Small", "Soap", "Soap 3 pack", "Large"], "")
    related = [("Small", "Large"), ("Soap", "Gone")]
    assert propose_groups(known, related) == {"Small": "Small", "Large": "Small", "Soap": "Soap", "Soap 3 pack": "Soap"}


def test_a_product_that_joins_a_group_is_new_and_its_advice_stands_no_longer(shop_path: Path, tmp_path: Path) -> None:
    lines = [f"2025-01-{day:02},{name},10,{10 * day}" for name in ("Tea S", "Tea L", "Cup") for day in range(1, 21)]
    rows = read_rows(write_lines(tmp_path / "file.csv", ["Report Date,Product,Product Price,Total Sales", *lines]))

    def files() -> dict[str, int]:
        return dict(database.run("SELECT name, file FROM product"))

    with writing(shop_path) as database:
        for accepted, news, file in (
            (False, {"Tea S", "Tea L", "Cup"}, 1),
            (True, {"Tea S", "Tea L"}, 2),
            (True, set(), 2),
        ):
            days = read_days(database)
            grouped = group_rows(database, rows, (), rows.names, {GROUPED} if accepted else ())
            assert {*(rows if days is None else days.news(grouped)).names} == news
            keep_days(database, grouped, date(2025, 2, 1))
            assert files() == {"Tea S": file, "Tea L": file, "Cup": 1}
