from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.numbers import read_number, read_number_columns

Daily = Callable[..., list[str]]
Problems = Callable[..., tuple[str, ...]]


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


@pytest.mark.parametrize("text", ["", " ", "NA", "N/A", "nan", "null", "-", "None"])
def test_words_for_no_value_are_blank(text: str) -> None:
    values, problems = read_number_columns({"x": [text, "1"]}, [2, 3], "auto", ",")
    assert math.isnan(values["x"][0]) and values["x"][1] == 1 and not problems


@settings(deadline=None, max_examples=200)
@given(st.decimals(-1_000_000, 1_000_000, places=2), st.sampled_from([".", ","]))
def test_number_survives_being_written_with_thousands_separators(value: float, decimal: str) -> None:
    american = f"{value:,.2f}"
    text = american if decimal == "." else american.translate(str.maketrans(",.", ".,"))
    values, problems = read_number_columns({"x": [text]}, [2], "auto", ",")
    assert not problems and values["x"][0] == float(value)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text(max_size=12), max_size=5), st.sampled_from(["auto", ".", ","]))
def test_any_text_is_a_value_a_blank_or_a_problem(texts: list[str], decimal: str) -> None:
    values, problems = read_number_columns({"x": texts}, list(range(2, 2 + len(texts))), decimal, ",")
    assert values["x"].shape == (len(texts),)
    assert all(problem.column == "x" for problem in problems)


def test_lone_thousands_or_decimal_comma_is_refused(problems: Problems, daily: Daily) -> None:
    found = problems(daily(['10,"1,234"'] * 10))
    assert found == ("line 2, Total Sales: 1,234 can be 1234 or 1.234; set --data.reading.decimal",)


@pytest.mark.parametrize(("decimal", "sales"), [(".", 1234.0), (",", 1.234)])
def test_setting_decides_a_lone_comma(read: Callable[..., History], daily: Daily, decimal: str, sales: float) -> None:
    config = DataConfig(decimal=decimal, sales="revenue")  # type: ignore[arg-type]
    assert read(daily(['10,"1,234"'] * 10), config).products[0].sales[0] == sales


def test_another_value_of_the_column_decides(read: Callable[..., History], daily: Daily) -> None:
    product = read(daily(["10;1.234"] + ["10;12,50"] * 9, "Report Date;Product Price;Total Sales", ";")).products[0]
    assert product.sales[0] == 1234.0 and product.sales[1] == 12.5


def test_lone_point_is_refused_in_a_file_of_decimal_commas(problems: Problems, daily: Daily) -> None:
    found = problems(daily(["10,5;1.234"] * 10, "Report Date;Product Price;Total Sales", ";"))
    assert found == ("line 2, Total Sales: 1.234 can be 1.234 or 1234; set --data.reading.decimal",)


def test_lone_point_is_decimal_in_a_comma_separated_file() -> None:
    values, problems = read_number_columns({"x": ["3.125"]}, [2], "auto", ",")
    assert values["x"][0] == 3.125 and not problems


def test_a_whole_column_of_three_decimals_is_refused_unless_another_shows_a_decimal_point(
    problems: Problems, read: Callable[..., History], daily: Daily
) -> None:
    open_prices = [f"{price},{sales}" for price, sales in [("17.600", 35200), ("18.200", 54600), ("", 0)] * 6]
    (found,) = problems(daily(open_prices))
    assert found == "line 2, Product Price: 17.600 can be 17.6 or 17600; set --data.reading.decimal"
    assert read(daily(open_prices), DataConfig(decimal=",")).products[0].price[0] == 17600.0
    pointed = daily([f"{price},{sales}" for price, sales in [("17.600", 35.2), ("18.200", 54.6)] * 6])
    assert read(pointed).products[0].price[0] == 17.6


@pytest.mark.parametrize("text", ["1\n234", "17\r\n600", "5\u20286"])
def test_a_line_break_inside_a_number_is_refused(problems: Problems, daily: Daily, text: str) -> None:
    (found,) = problems(daily(["10,20"] * 9 + [f'10,"{text}"']))
    assert found == f"line 11, Total Sales: must be a number, found {text!r}"


def test_mixed_decimal_signs_are_refused(problems: Problems, daily: Daily) -> None:
    found = problems(daily(['10,"12,50"'] + ["10,12.50"] * 9))
    assert found == ("line 2, Total Sales: 12,50 has a decimal comma, 12.50 on line 3 a decimal point; use one",)


def test_comma_under_a_decimal_point_setting_names_the_setting(problems: Problems, daily: Daily) -> None:
    found = problems(daily(['10,"12,50"'] + ["10,12.50"] * 9), DataConfig(decimal="."))
    assert found == ("line 2, Total Sales: 12,50 is not a number with decimal sign '.'; set --data.reading.decimal",)


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e400", "1e13", "1e12"])
def test_infinite_and_huge_numbers_are_refused(problems: Problems, daily: Daily, text: str) -> None:
    found = problems(daily([f"10,{text}"] + ["10,20"] * 9))
    assert found == (f"line 2, Total Sales: must be a finite number of ordinary size, found {text}",)


def test_money_signs_do_not_change_the_history(read: Callable[..., History], daily: Daily) -> None:
    plain = read(daily(["1250.50,2501.00"] * 10)).products[0]
    signed = read(daily(['"$1,250.50","$2,501.00"'] * 10)).products[0]
    np.testing.assert_array_equal(plain.sales, signed.sales)
