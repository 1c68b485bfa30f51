"""Values a seller's file may and may not hold."""

from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Daily, Problems, Read

from pricerl.data.reading.problems import Problem, refuse
from pricerl.errors import DataError

PRODUCTS = "Report Date,Product Price,Total Sales,Product"


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        *((f"{price},20,1", "Product Price", f"must be positive, found {price}") for price in ("-3", "0")),
        *((f"10,20,{price}", "Competitor Price", f"must be positive, found {price}") for price in ("-3", "0")),
        ("10,20,-1", "Organic Conversion Percentage", "must not be negative, found -1"),
        ("10,20,-0.5", "Ad Conversion Percentage", "must not be negative, found -0.5"),
        ("10,20,-2", "Units", "must not be negative, found -2"),
        ("10,20,-3", "Unit Cost", "must not be negative, found -3"),
    ],
)
def test_values_outside_their_range_are_refused(
    problems: Problems, daily: Daily, cells: str, column: str, words: str
) -> None:
    header = f"Report Date,Product Price,Total Sales,{'Memo' if column == 'Product Price' else column}"
    assert problems(daily(["10,20,1", cells, *["10,20,1"] * 8], header)) == (f"line 3, {column}: {words}",)


def test_price_of_zero_without_sales_is_blank(read: Read, daily: Daily) -> None:
    history = read(daily(["10,20", "0,0", "0,", *["10,20"] * 8]))
    assert history.products[0].price[1:3].tolist() == [10.0, 10.0]
    assert history.reports[0].notes[0] == "Product Price is 0 on 2 rows without sales; read as blank."
    assert history.reports[0].blank_price_days == 2


def test_many_blank_products_are_refused(problems: Problems, daily: Daily) -> None:
    found = problems(daily(["10,20,A", *["10,20,"] * 3, *["10,20,A"] * 8], PRODUCTS))
    assert found == tuple(f"line {line}, Product: is blank; every row needs a product" for line in (3, 4, 5))


def test_every_problem_of_a_file_is_reported_at_once(problems: Problems, daily: Daily) -> None:
    lines = daily(["10,20,5"] * 12, "Report Date,Product Price,Total Sales,Ad Conversion Percentage")
    lines[2] = "2025-01-02,-10,20,5"
    lines[4] = "2025-01-04,10,many,5"
    lines[6] = "2025-02-31,10,20,5"
    lines[8] = "2025-01-08,10,20,-5"
    lines[10] = "2025-01-09,10,20,5"
    lines[11] = "2025-01-11,10"
    assert problems(lines) == (
        "line 3, Product Price: must be positive, found -10",
        "line 5, Total Sales: must be a number, found 'many'",
        "line 7, Report Date: 2025-02-31 is not a day of the calendar",
        "line 9, Ad Conversion Percentage: must not be negative, found -5",
        "line 11, Report Date: 2025-01-09 is already on line 10; keep one row per day",
        "line 12: has 2 cells where the header has 4; 2025-01-11 counts as unknown; check quotes and separators",
    )


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["10,0"] * 10, "no day has both a price and sales; at least one is needed"),
        ([",20"] * 10, "no day has both a price and sales; at least one is needed"),
        (["10,20"] * 5, "5 days of history; at least 8 are needed"),
        (["10,20"], "1 day of history"),
    ],
)
def test_a_history_that_is_too_short_or_without_sales_is_refused(
    problems: Problems, daily: Daily, cells: list[str], words: str
) -> None:
    (problem,) = problems(daily(cells))
    assert problem.startswith(words)


def test_products_keep_the_order_of_the_file_and_their_own_calendars(read: Read, daily: Daily) -> None:
    history = read(daily(["10,20,Wool"] * 10, PRODUCTS) + daily(["7,14,Ash"] * 20, PRODUCTS)[1:])
    assert [(product.product, len(product.dates)) for product in history.products] == [("Wool", 10), ("Ash", 20)]
    np.testing.assert_array_equal(history.products[1].price, np.full(20, 7.0))


def test_problems_are_listed_in_the_order_of_lines() -> None:
    with pytest.raises(DataError) as caught:
        refuse("sales.csv", [Problem(9, "Total Sales", "b"), Problem(4, "", "a"), Problem(0, "", "whole file")])
    assert str(caught.value) == "sales.csv has 3 problems:\n  whole file\n  line 4: a\n  line 9, Total Sales: b"
