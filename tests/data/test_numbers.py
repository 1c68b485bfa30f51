from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixture_types import Daily, Problems, Read
from hypothesis import given
from hypothesis import strategies as st

from pricerl.data.config import DataConfig
from pricerl.data.reading.numbers import read_number, read_number_columns

HEADER = "Report Date,Product Price,Total Sales"
POINT = {
    **{"12.50": 12.5, "$12.50": 12.5, "12.50 €": 12.5, "£ 1,234.50": 1234.5, "33.33 %": 33.33, "EUR 12.50": 12.5},
    **{"(12.50)": -12.5, "($1,234.50)": -1234.5, "−4.5": -4.5, "1 234.50": 1234.5, "1\u00a0234.50": 1234.5},
    **{"1'234.50": 1234.5, "1,234,567": 1234567.0, ".5": 0.5, "US$ 1,234.50": 1234.5, "1,23,456.00": 123456.0},
}
COMMA = {"12,50": 12.5, "1.234,50 €": 1234.5, "1.234.567": 1234567.0, "12,50 EUR": 12.5, "12,50 kr": 12.5}
BOTH = {"-$3": -3.0, "1e3": 1000.0, "+7": 7.0, "12€50": 12.5, "-US$ 5": -5.0}
NEITHER = ("abc", "1 2", "1,2,3", "12.5.3", "--1", "$", "0x10", "1_000", "12 50 EUR", "12 apples")


def test_numbers_are_read_as_people_write_them() -> None:
    expected = {text: (value, None) for text, value in POINT.items()}
    expected |= {text: (None, value) for text, value in COMMA.items()}
    expected |= {text: (value, value) for text, value in BOTH.items()} | dict.fromkeys(NEITHER, (None, None))
    assert {text: read_number(text) for text in expected} == expected


def test_words_for_no_value_are_blank() -> None:
    texts = ["", " ", "NA", "N/A", "nan", "null", "-", "None", "1"]
    values, problems = read_number_columns({"x": texts}, range(2, 11), "auto", ",")
    np.testing.assert_array_equal(values["x"], [np.nan] * 8 + [1])
    assert not problems


@given(st.decimals(-1_000_000, 1_000_000, places=2), st.sampled_from([".", ","]))
def test_number_survives_being_written_with_thousands_separators(value: float, decimal: str) -> None:
    american = f"{value:,.2f}"
    text = american if decimal == "." else american.translate(str.maketrans(",.", ".,"))
    values, problems = read_number_columns({"x": [text]}, [2], "auto", ",")
    assert not problems and values["x"][0] == float(value)


@given(st.lists(st.text(max_size=12), max_size=5), st.sampled_from(["auto", ".", ","]))
def test_any_text_is_a_value_a_blank_or_a_problem(texts: list[str], decimal: str) -> None:
    values, problems = read_number_columns({"x": texts}, list(range(2, 2 + len(texts))), decimal, ",")
    assert values["x"].shape == (len(texts),)
    assert all(problem.column == "x" for problem in problems)


UNCLEAR = {
    ('10,"1,234"', "auto"): "1,234 can be 1234 or 1.234; set --data.reading.decimal",
    ("10,5;1.234", "auto"): "1.234 can be 1.234 or 1234; set --data.reading.decimal",
    ('10,"12,50"\n10,12.50', "auto"): "12,50 has a decimal comma, 12.50 on line 3 a decimal point; use one",
    ('10,"12,50"\n10,12.50', "."): "12,50 is not a number with decimal sign '.'; set --data.reading.decimal",
}


@pytest.mark.parametrize(("cells", "decimal"), UNCLEAR)
def test_a_decimal_sign_that_is_not_clear_is_refused(
    problems: Problems, daily: Daily, cells: str, decimal: Any
) -> None:
    rows = cells.splitlines()
    mark = ";" if ";" in cells else ","
    lines = daily([rows[0], *rows[-1:] * 9], HEADER.replace(",", mark), mark)
    assert problems(lines, DataConfig(decimal=decimal)) == (f"line 2, Total Sales: {UNCLEAR[cells, decimal]}",)


def test_a_setting_another_value_of_the_column_or_else_the_separator_decides(read: Read, daily: Daily) -> None:
    for decimal, sales in {".": 1234.0, ",": 1.234}.items():
        config = DataConfig(decimal=decimal, sales="revenue")  # type: ignore[arg-type]
        assert read(daily(['10,"1,234"'] * 10), config).products[0].sales[0] == sales
    product = read(daily(["10;1.234"] + ["10;12,50"] * 9, HEADER.replace(",", ";"), ";")).products[0]
    assert product.sales[:2].tolist() == [1234.0, 12.5]
    values, problems = read_number_columns({"x": ["3.125"]}, [2], "auto", ",")
    assert values["x"][0] == 3.125 and not problems


def test_a_whole_column_of_three_decimals_is_refused_unless_another_shows_a_decimal_point(
    problems: Problems, read: Read, daily: Daily
) -> None:
    lines = daily(["17.600,35200", "18.200,54600", ",0"] * 6)
    assert problems(lines) == ("line 2, Product Price: 17.600 can be 17.6 or 17600; set --data.reading.decimal",)
    assert read(lines, DataConfig(decimal=",")).products[0].price[0] == 17600.0
    assert read(daily(["17.600,35.2", "18.200,54.6"] * 6)).products[0].price[0] == 17.6


def test_infinite_and_huge_numbers_and_line_breaks_inside_a_number_are_refused(
    problems: Problems, daily: Daily
) -> None:
    huge = ["inf", "-Infinity", "1e400", "1e13", "1e12"]
    broken = ["1\n234", "17\r\n600", "5\u20286"]
    found = problems(daily([f'10,"{text}"' for text in (*huge, *broken)] + ["10,20"] * 9))
    expected = [f"must be a finite number of ordinary size, found {text}" for text in huge]
    expected += [f"must be a number, found {text!r}" for text in broken]
    assert [problem.partition(", Total Sales: ")[2] for problem in found] == expected
