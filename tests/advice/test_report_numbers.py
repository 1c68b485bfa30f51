"""Numbers, chances, dates and names of files as the report writes them."""

from __future__ import annotations

import pytest

from pricerl.advice.report.formatting import (
    chance,
    counted,
    long_date,
    money_digits,
    number,
    percent,
    short_date,
    signed,
    unit_digits,
)
from pricerl.advice.report.sanitize import MOST_SLUG, clean, page_name, shorten


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234.5, 2, "1,234.50"),
        (-1.16, 2, "−1.16"),
        (-0.001, 2, "0.00"),
        (0.0, 0, "0"),
        (None, 2, "–"),
        (7.06, 1, "7.1"),
    ],
)
def test_numbers_have_a_true_minus_and_zero_has_none(value: float | None, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.mark.parametrize(("value", "text"), [(22.774, "+22.77"), (-0.53, "−0.53"), (0.004, "0.00"), (-0.004, "0.00")])
def test_gains_carry_their_sign_and_zero_none(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("share", "markets", "text"),
    [
        (1.0, 64, "more than 98 %"),
        (1.0, 16, "more than 93 %"),
        (1.0, 1000, "more than 99 %"),
        (0.0, 64, "less than 2 %"),
        (63 / 64, 64, "98 %"),
        (999 / 1000, 1000, "99 %"),
        (1 / 1000, 1000, "1 %"),
        (0.5, 64, "50 %"),
    ],
)
def test_no_chance_is_certain(share: float, markets: int, text: str) -> None:
    assert chance(share, markets).replace("\u00a0", " ") == text


@pytest.mark.parametrize("markets", [1, 2, 16, 64, 256, 5000])
def test_no_count_of_markets_makes_a_chance_of_a_hundred_percent_or_none(markets: int) -> None:
    shown = {chance(count / markets, markets) for count in range(markets + 1)}
    assert not [text for text in shown if text.startswith(("100", "0"))]


def test_counts_stay_honest() -> None:
    assert (counted(1.0, 64), counted(0.6875, 64), counted(0.4, 30)) == ("64 of 64", "44 of 64", "12 of 30")


def test_dates_are_words() -> None:
    assert (short_date("2026-01-01"), long_date("2024-12-22")) == ("Thu 1 Jan", "22 Dec 2024")


def test_large_amounts_lose_their_cents_and_many_units_their_tenths() -> None:
    assert (money_digits(3.0, -999.0), money_digits(3.0, -1000.0), money_digits(None)) == (2, 0, 2)
    assert (unit_digits(4.04), unit_digits(50.9), unit_digits(-120.0)) == (2, 1, 0)
    assert percent(1.529) == "152.9\u00a0%"


def test_marks_of_direction_and_control_characters_go_and_joined_emoji_stay() -> None:
    assert clean("abc\u202edef\u200f\x00\x1b\ufeff") == "abcdef"
    assert clean("a\r\nb\tc\u2028d") == "a b cd"
    assert clean("👩\u200d🔧") == "👩\u200d🔧"


def test_long_names_are_cut_and_empty_ones_get_a_stand_in() -> None:
    assert len(shorten("x" * 5000)) == 120 and shorten("x" * 5000).endswith("…")
    assert shorten("\u202e \u200f") == "product without a readable name"


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("Soap & nuts, 250 g", "001-soap-nuts-250-g.html"),
        ("../../etc/passwd", "001-etc-passwd.html"),
        ("C:\\con\\nul", "001-c-con-nul.html"),
        ("<script>alert(1)</script>", "001-script-alert-1-script.html"),
        ("Crème brûlée", "001-creme-brulee.html"),
        ("\u202e🧼", "001-product.html"),
        ("", "001-product.html"),
    ],
)
def test_names_of_pages_hold_plain_letters_only(product: str, name: str) -> None:
    assert page_name(0, product) == name


def test_names_of_pages_are_short_and_differ_where_products_do_not() -> None:
    assert len(page_name(0, "long " * 1000)) <= MOST_SLUG + len("001-.html")
    assert page_name(0, "Mug") != page_name(1, "mug")
