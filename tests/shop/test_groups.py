"""Sizes, colours and packs of a product are proposed as a group once, and kept if the seller accepts it."""

from __future__ import annotations

import gzip

import pytest
from command_line import SHARED

from pricerl.shop.groups import propose_groups

ALIKE = {
    "Tea": ["Tea 250 g", "Tea, 500g", "Tea 1,5 kg", "Tea"],
    "Cotton Shirt": ["Cotton Shirt red M", "Cotton Shirt Red XL", "Cotton Shirt - blue", "cotton shirt (3XL)"],
    "Seife": ["Seife 2er", "Seife 6 Stück", "Seife 3 x 100 g"],
    "Pens": ["Pens pack of 3", "Pens x12", "Pens 24-pack"],
    "A 100": ["A-100-BLACK", "A-100-WHITE"],
}
"""Names of products that belong together, by the group that is proposed."""


@pytest.mark.parametrize("group", ["Tea", "Cotton Shirt", "Seife", "Pens"])
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
