"""Numbers, money, dates and probabilities in a locale, and harmless names of products and pages."""

from __future__ import annotations

import pytest
from babel.numbers import format_currency, format_decimal

from pricerl.errors import UsageError
from pricerl.formatting import PLAIN, Formatter, counted, price_digits, unit_digits

EURO = Formatter("de_DE", "EUR")


@pytest.mark.parametrize(
    ("value", "digits", "plus", "text"),
    [
        (1234.5, 2, "", "1,234.50"),
        (-1.16, 2, "", "−1.16"),
        (-0.001, 2, "", "0.00"),
        (0.0, 0, "", "0"),
        (None, 2, "", "–"),
        (7.06, 1, "", "7.1"),
        (22.774, 2, "+", "+22.77"),
        (-0.53, 2, "+", "−0.53"),
        (0.004, 2, "+", "0.00"),
        (-0.004, 2, "+", "0.00"),
    ],
)
def test_numbers_have_a_true_minus_gains_a_plus_and_zero_no_sign(
    value: float | None, digits: int, plus: str, text: str
) -> None:
    assert PLAIN.number(value, digits, plus=plus) == text


def test_counts_stay_honest_large_amounts_lose_their_cents_and_many_units_their_tenths() -> None:
    assert (counted(1.0, 64), counted(0.6875, 64), counted(0.4, 30)) == ("64 of 64", "44 of 64", "12 of 30")
    assert (PLAIN.money_digits(3.0, -999.0), PLAIN.money_digits(3.0, -1000.0), PLAIN.money_digits(None)) == (2, 0, 2)
    assert (unit_digits(4.04), unit_digits(50.9), unit_digits(-120.0)) == (2, 1, 0)
    assert PLAIN.percent(1.529) == "152.9 %"


def test_dates_are_words_of_their_locale() -> None:
    assert (PLAIN.weekday_date("2026-01-01"), PLAIN.date("2024-12-22")) == ("Thu 1 Jan", "22 Dec 2024")
    assert (PLAIN.day_of_month("2026-01-01"), EURO.date("2026-01-01")) == ("1 Jan", "1. Jan. 2026")


def test_money_carries_the_sign_of_its_currency_and_its_cents_if_there_are_any() -> None:
    assert EURO.price(31.78) == "31,78\u00a0€" and EURO.money(-26.4, plus="+") == "−26,40\u00a0€"
    assert EURO.money(1624.5) == "1.624\u00a0€" and Formatter("en_US", "USD").price(1.5) == "$1.50"
    assert Formatter("en_IN", "INR").number(1234567.0, 0) == "12,34,567"
    assert (PLAIN.price(31.78), PLAIN.money(26.0, plus="+")) == ("31.78", "+26.00")
    assert (EURO.span(-1.0, 12.0, 2), EURO.span(-1.0, 12.0, 0, "+")) == ("−1,00 to 12,00", "−1 to +12")
    yen = Formatter("ja_JP", "JPY", price_digits(1.0, "JPY"))
    assert (yen.price(120.0), yen.money(12.4), yen.date("2026-01-01")) == ("￥120", "￥12", "2026年1月1日")


@pytest.mark.parametrize("locale", ["ar_EG", "de_AT", "de_CH", "en_IN", "es_ES", "fa_IR", "fr_FR", "sv_SE", "zh_CN"])
def test_numbers_and_money_look_as_babel_writes_them(locale: str) -> None:
    f = Formatter(locale, "EUR")
    for value in (0.25, 98765.5, 123456.75):
        money = format_currency(value, "EUR", locale=locale).replace("\N{RIGHT-TO-LEFT MARK}", "")
        assert f.price(value) == money and f.number(value, 2).startswith(format_decimal(value, locale=locale))


def test_swiss_amounts_keep_every_apostrophe() -> None:
    assert Formatter("de_CH").number(1234567.5) == "1'234'567.50"
    assert Formatter("de-CH").number(1234.5) in ("1’234.50", "1'234.50"), "the apostrophe depends on babel"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"locale": "de_DEE"}, "--locale: must be a locale such as .*, found 'de_DEE'; did you mean 'de_DE'"),
        ({"locale": ""}, "--locale: must be a locale"),
        ({"currency": "usd"}, "--data.currency: must be an ISO 4217 code such as EUR, or empty, found 'usd'"),
    ],
)
def test_an_unknown_locale_or_currency_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Formatter(**settings)  # type: ignore[arg-type]
