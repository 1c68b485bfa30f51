"""Values a seller's file may and may not hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.problems import Problem, refuse
from pricerl.errors import DataError

Problems = Callable[..., tuple[str, ...]]
Daily = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        *((column, value, "positive") for column in ("Product Price", "Competitor Price") for value in ("-3", "0")),
        ("Organic Conversion Percentage", "-1", "not negative"),
        ("Ad Conversion Percentage", "-0.5", "not negative"),
        ("Units", "-2", "not negative"),
        ("Unit Cost", "-3", "not negative"),
    ],
)
def test_values_outside_their_range_are_refused(
    problems: Problems, daily: Daily, column: str, value: str, rule: str
) -> None:
    optional = "Memo" if column == "Product Price" else column
    cells = f"{value},20,1" if column == "Product Price" else f"10,20,{value}"
    found = problems(daily(["10,20,1", cells, *["10,20,1"] * 8], f"Report Date,Product Price,Total Sales,{optional}"))
    words = "must be positive" if rule == "positive" else "must not be negative"
    assert found == (f"line 3, {column}: {words}, found {value}",)


def test_price_of_zero_without_sales_is_blank(read: Callable[..., History], daily: Daily) -> None:
    history = read(daily(["10,20", "0,0", "0,", *["10,20"] * 8]))
    assert history.products[0].price[1:3].tolist() == [10.0, 10.0]
    assert history.reports[0].notes[0] == "Product Price is 0 on 2 rows without sales; read as blank."
    assert history.reports[0].blank_price_days == 2


def test_many_blank_products_are_refused(problems: Problems, daily: Daily) -> None:
    cells = ["10,20,A", *["10,20,"] * 3, *["10,20,A"] * 8]
    found = problems(daily(cells, "Report Date,Product Price,Total Sales,Product"))
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


def test_no_sale_at_all_is_refused(problems: Problems, daily: Daily) -> None:
    assert problems(daily(["10,0"] * 10)) == ("no day has both a price and sales; at least one is needed",)
    assert problems(daily([",20"] * 10)) == ("no day has both a price and sales; at least one is needed",)


def test_short_history_is_refused_with_its_length(problems: Problems, daily: Daily) -> None:
    assert problems(daily(["10,20"] * 5))[0].startswith("5 days of history; at least 8 are needed")
    assert problems(daily(["10,20"]))[0].startswith("1 day of history")


def test_eight_days_are_enough(read: Callable[..., History], daily: Daily) -> None:
    assert len(read(daily(["10,20"] * 8)).products[0].dates) == 8


def test_products_without_history_are_all_named(problems: Problems, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Product"
    lines = daily(["10,20,Good"] * 10, header)
    lines += daily(["10,20,Short"] * 5, header)[1:] + daily(["10,0,Unsold"] * 10, header)[1:]
    found = problems(lines, DataConfig(strict=True))
    assert found[0].startswith("product 'Short': 5 days of history")
    assert found[1].startswith("product 'Unsold': no day has both a price and sales")
    assert len(found) == 2


def test_products_keep_the_order_of_the_file_and_their_own_calendars(
    read: Callable[..., History], daily: Daily
) -> None:
    header = "Report Date,Product Price,Total Sales,Product"
    lines = daily(["10,20,Wool"] * 10, header) + daily(["7,14,Ash"] * 20, header)[1:]
    history = read(lines)
    assert [(product.product, len(product.dates)) for product in history.products] == [("Wool", 10), ("Ash", 20)]
    np.testing.assert_array_equal(history.products[1].price, np.full(20, 7.0))


def test_problems_are_listed_in_the_order_of_lines() -> None:
    with pytest.raises(DataError) as caught:
        refuse("sales.csv", [Problem(9, "Total Sales", "b"), Problem(4, "", "a"), Problem(0, "", "whole file")])
    assert str(caught.value) == "sales.csv has 3 problems:\n  whole file\n  line 4: a\n  line 9, Total Sales: b"
