from __future__ import annotations

from collections.abc import Callable

import pytest

from pricerl.data import DataConfig, History
from pricerl.data.reading.numbers import read_number

Daily = Callable[..., list[str]]
Read = Callable[..., History]
Problems = Callable[..., tuple[str, ...]]


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("12€50", 12.5, 12.5),
        ("EUR 12.50", 12.5, None),
        ("12,50 EUR", None, 12.5),
        ("US$ 1,234.50", 1234.5, None),
        ("-US$ 5", -5.0, -5.0),
        ("1,23,456.00", 123456.0, None),
        ("12,50 kr", None, 12.5),
        ("12 50 EUR", None, None),
        ("12 apples", None, None),
        ("1,2,3", None, None),
    ],
)
def test_a_cell_with_a_currency_is_read(text: str, point: float | None, comma: float | None) -> None:
    assert read_number(text) == (point, comma)


def test_two_currencies_in_a_column_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    lines = daily(["€10,20"] * 6 + ["$10,20"] * 6)
    assert "line 8, Product Price: $10 and €10 on line 2 are two currencies; use one" in problems(lines)
    history = read(daily(["€10,20", "10,20", "EUR 10,20"] * 6))
    assert history.products[0].price.tolist() == [10.0] * 18


def test_a_lone_thousands_point_among_hundreds_is_ambiguous(problems: Problems, read: Read, daily: Daily) -> None:
    assert "1.234 can be 1.234 or 1234" in problems(daily(["10,987", "10,1.234"] * 6))[0]
    assert read(daily(["1.299,2.598", "1.349,1.349"] * 6)).products[0].price[0] == 1.299


def test_two_currencies_in_two_columns_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    (found,) = problems(daily(["€10,$20"] * 12))
    assert found == (
        "line 2, Total Sales: $20 and €10 in Product Price on line 2 are two currencies; convert all amounts to one"
    )
    assert len(read(daily(["CA$10,$20"] * 12)).products) == 1
    assert "two currencies" in problems(daily(["CA$10,AU$20"] * 12))[0]


@pytest.mark.parametrize(
    ("cell", "currency"),
    [("€10", "EUR"), ("10 zł", "PLN"), ("CA$ 10", "CAD"), ("USD 10", "USD"), ("$10", ""), ("10 kr", ""), ("10", "")],
)
def test_the_currency_of_every_price_is_that_of_the_file(read: Read, daily: Daily, cell: str, currency: str) -> None:
    assert read(daily([f"{cell},20"] * 12)).currency == currency
    assert read(daily([f"{cell},20"] * 12 + ["10,20"])).currency == ""


def test_dates_of_two_forms_are_noted(read: Read, daily: Daily) -> None:
    lines = daily(["10,20"] * 12)
    assert not any("forms" in note for note in read(lines).reports[0].notes)
    mixed = read([*lines, "13/01/2025,10,20"])
    assert (
        "Report Date: dates have 2 forms, such as 2025-01-01 and 13/01/2025; all were read." in mixed.reports[0].notes
    )
    fixed = DataConfig(date_format="%d/%m/%Y")
    assert not any("forms" in note for note in read([*lines, "13/01/2025,10,20"], fixed).reports[0].notes)
