from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.reading.flags import read_flags

HEADER = "Report Date,Product Price,Total Sales,Total Profit,In Stock"


def lines(daily, stock, sales=None):
    sold = ["20"] * len(stock) if sales is None else sales
    return daily([f"10,{amount},5,{word}" for amount, word in zip(sold, stock, strict=True)], HEADER)


def test_yes_no_and_counts_are_read_and_blank_is_unknown():
    values, problems = read_flags("In Stock", ["Yes", "no", "TRUE", "false", "0", "17", "0.5", "", "n/a"], range(9))
    np.testing.assert_array_equal(values, [1, 0, 1, 0, 0, 1, 1, np.nan, np.nan])
    assert problems == []


@pytest.mark.parametrize("cell", ["maybe", "-3", "nan%", "inf"])
def test_anything_else_is_a_problem_with_its_line(problems, daily, cell):
    found = problems(lines(daily, ["yes"] * 9 + [cell]))
    assert found == (f"line 11, In Stock: must be yes, no or the units in stock, found {cell}",)


def test_days_out_of_stock_say_nothing_about_demand(read, daily):
    sales = ["20"] * 10 + ["0", "0", "10"] + ["20"] * 5
    history = read(lines(daily, ["yes"] * 10 + ["no", "0", "no"] + [""] * 5, sales))
    product = history.products[0]
    assert np.flatnonzero(~product.observed).tolist() == [10, 11, 12]
    assert product.units[10:13].tolist() == [2.0, 2.0, 2.0], "as in the week before"
    assert not product.profit_known[10:13].any()
    assert "Days out of stock, excluded from demand: 3." in history.reports[0].notes


def test_a_column_that_says_yes_changes_nothing(read, daily):
    with_column = read(lines(daily, ["yes"] * 20)).products[0]
    without = read(lines(daily, [""] * 20)).products[0]
    assert (with_column.observed == without.observed).all() and (with_column.units == without.units).all()
