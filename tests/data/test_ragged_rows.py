"""A row with too few or too many cells makes its own day unknown, and nothing else; many of them refuse the file."""

from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Daily, Problems, Read
from more_export_samples import SAMPLES

from pricerl.data.config import DataConfig

HEADER = "Report Date,Product,Product Price,Total Sales"
STRICT = DataConfig(strict=True)


@pytest.fixture
def shop(daily: Daily) -> list[str]:
    """Sixty days of three products; that of day 11 of the first is on line 12."""
    return [HEADER, *(row for name in ("Mug", "Rug", "Lamp") for row in daily([f"{name},10,20"] * 60, HEADER)[1:])]


@pytest.mark.parametrize(("cells", "found"), [("10", 2), ("10,1,234.50", 4), ("", 2), ("10,20,7", 4)])
def test_the_day_of_a_ragged_row_is_unknown_and_the_row_is_reported(
    read: Read, problems: Problems, daily: Daily, cells: str, found: int
) -> None:
    lines = daily(["10,20"] * 60)
    lines[11] = f"2025-01-11,{cells}"
    history = read(lines)
    (product,) = history.products
    assert product.product == "sales" and len(product.dates) == 60
    np.testing.assert_array_equal(np.flatnonzero(~product.observed), [10])
    (problem,) = history.problems
    text = f"line 12: has {found} cells where the header has 3; 2025-01-11 counts as unknown; check quotes and"
    assert str(problem).startswith(text)
    assert history.reports[0].notes[0].startswith("Wrong number of cells or no product: 1 row")
    assert problems(lines, STRICT) == (str(problem),)


def test_a_ragged_row_touches_its_own_product_only(read: Read, shop: list[str]) -> None:
    shop[12] = "2025-01-12,Mug,1,234.50,20"
    shop[80] = "2025-01-20,Rug,10"
    mug, rug, lamp = read(shop).products
    assert np.flatnonzero(~mug.observed).tolist() == [11] and np.flatnonzero(~rug.observed).tolist() == [19]
    assert lamp.observed.all()


def test_a_row_of_an_unknown_product_touches_products_without_a_row_that_day(read: Read, shop: list[str]) -> None:
    shop[12] = "2025-01-12,M"  # cut in the name, which may be the beginning of another one
    history = read(shop)
    assert [np.flatnonzero(~item.observed).tolist() for item in history.products] == [[11], [], []]
    assert history.problems[0].product == ""


def test_a_separator_inside_a_name_leads_to_the_whole_name(read: Read, shop: list[str]) -> None:
    named = [row.replace("Rug", '"Mug, large"') for row in shop]
    named[80] = "2025-01-20,Mug, large,10,20"
    history = read(named)
    assert {item.product: item.observed.sum() for item in history.products} == {"Mug": 60, "Mug, large": 59, "Lamp": 60}


def test_a_ragged_day_is_no_day_without_a_sale_in_a_list_of_sales(read: Read, daily: Daily) -> None:
    lines = daily(["10,20"] * 60)
    lines[11] = "2025-01-11,10"
    lines[20:22] = []
    (product,) = read(lines, DataConfig(missing_days="zero")).products
    assert np.flatnonzero(~product.observed).tolist() == [10] and product.units[19] == 0


@pytest.mark.parametrize(("row", "cells"), [("2025-01-1", "1 cell"), ("Total,,1200", "3 cells")])
def test_a_row_whose_day_and_product_are_not_clear_refuses_the_file(
    problems: Problems, shop: list[str], row: str, cells: str
) -> None:
    shop[11] = row
    (found,) = problems(shop)
    assert found.startswith(f"line 12: has {cells} where the header has 4, and its day is not clear")


def test_a_product_is_skipped_if_only_the_day_of_its_row_is_not_clear(read: Read, shop: list[str]) -> None:
    shop[11] = "someday,Mug,10,20,30"
    history = read(shop)
    assert [item.product for item in history.products] == ["Rug", "Lamp"]
    assert history.problems[0].product == "Mug" and "its day is not clear" in history.problems[0].text


@pytest.mark.parametrize("row", ["{day},1,234.50,20", "{day};10;20", "{day},10"])
def test_many_ragged_rows_refuse_the_file(problems: Problems, daily: Daily, row: str) -> None:
    lines = daily(["10,20"] * 60)
    lines[1:5] = [row.format(day=f"2025-01-{day:02}") for day in range(1, 5)]
    (found,) = problems(lines)
    assert found.startswith("line 2: 4 of 60 rows do not have as many cells as the header, 3: this one has ")
    (every,) = problems([lines[0], *(row.format(day=f"2025-01-{day:02}") for day in range(1, 21))])
    assert every.startswith("line 2: 20 of 20 rows")


def test_the_day_of_a_ragged_order_is_unknown_for_all_products(read: Read) -> None:
    header, *rows = SAMPLES["walmart_orders"]().text.splitlines()
    whole = read([header, *rows])
    cut = len(rows) // 2
    history = read([header, *rows[:cut], rows[cut].rpartition(",")[0], *rows[cut + 1 :]])
    (problem,) = history.problems
    assert problem.line == cut + 2 and "counts as unknown" in problem.text
    for item, known in zip(history.products, whole.products, strict=True):
        assert known.observed.all() and (~item.observed).sum() == 1
