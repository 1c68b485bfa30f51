from __future__ import annotations

from collections.abc import Callable

import pytest

from pricerl.data import History
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
