"""Currencies in cells and in the names of columns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.currencies import split_currency

Daily = Callable[..., list[str]]
Read = Callable[..., History]
Problems = Callable[..., tuple[str, ...]]


def test_two_currencies_in_a_column_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    lines = daily(["€10,20"] * 6 + ["$10,20"] * 6)
    assert "line 8, Product Price: $10 and €10 on line 2 are two currencies; convert all amounts to one" in problems(
        lines
    )
    history = read(daily(["€10,20", "10,20", "EUR 10,20"] * 6))
    assert history.products[0].price.tolist() == [10.0] * 18


def test_a_lone_thousands_point_among_hundreds_is_ambiguous(problems: Problems, read: Read, daily: Daily) -> None:
    assert "1.234 can be 1.234 or 1234" in problems(daily(["10,987", "10,1.234"] * 6))[0]
    assert read(daily(["1.299,2.598", "1.349,1.35"] * 6)).products[0].price[0] == 1.299


def test_two_currencies_in_two_columns_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    (found,) = problems(daily(["€10,$20"] * 12))
    assert found == (
        "line 2, Total Sales: $20 and €10 in Product Price on line 2 are two currencies; convert all amounts to one"
    )
    assert len(read(daily(["CA$10,$20"] * 12)).products) == 1
    assert "two currencies" in problems(daily(["CA$10,AU$20"] * 12))[0]
    assert "two currencies" in problems(daily(["USD 10,CAD 20"] * 12))[0]
    assert len(read(daily(["CAD 10,CA$20"] * 12)).products) == 1


@pytest.mark.parametrize(
    ("cell", "currency"),
    [("€10", "EUR"), ("10 zł", "PLN"), ("CA$ 10", "CAD"), ("USD 10", "USD"), ("$10", ""), ("10 kr", ""), ("10", "")],
)
def test_the_currency_of_every_price_is_that_of_the_file(read: Read, daily: Daily, cell: str, currency: str) -> None:
    assert read(daily([f"{cell},20"] * 12)).currency == currency
    assert read(daily([f"{cell},20"] * 12 + ["10,20"])).currency == ""


@pytest.mark.parametrize(
    ("name", "bare", "currency"),
    [
        ("Price (EUR)", "Price", "EUR"),
        ("Sales £", "Sales", "GBP"),
        ("Total Sales [USD]", "Total Sales", "USD"),
        ("Umsatz in EUR", "Umsatz", "EUR"),
        ("Umsatz (in €)", "Umsatz", "EUR"),
        ("Preis in Euro", "Preis", "EUR"),
        ("CA €", "CA", "EUR"),
        ("price_usd", "price", "USD"),
        ("Price US$", "Price", "USD"),
        ("Price$", "Price", "$"),
        ("Price (kr.)", "Price", "KR"),
        ("EUR Price", "Price", "EUR"),
        ("€ Sales", "Sales", "EUR"),
        ("eur_sales", "sales", "EUR"),
        ("Sales All", "Sales All", ""),
        ("Price (net)", "Price (net)", ""),
        ("Created (UTC)", "Created (UTC)", ""),
        ("EUR", "EUR", ""),
    ],
)
def test_a_currency_is_split_off_the_name_of_a_column(name: str, bare: str, currency: str) -> None:
    assert split_currency(name) == (bare, currency)


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        ("Report Date,Price (EUR),Total Sales [EUR]", "EUR"),
        ("Datum,Preis,Umsatz in EUR", "EUR"),
        ("Date,Price £,Sales £", "GBP"),
        ("Date,Product Price (CAD),Sales $", "CAD"),
        ("Date,price_usd,sales_usd", "USD"),
        ("Date,Price ($),Sales ($)", ""),
    ],
)
def test_columns_with_a_currency_in_their_names_are_read(read: Read, daily: Daily, header: str, currency: str) -> None:
    history = read(daily(["10,20"] * 12, header))
    assert history.products[0].price[0] == 10 and history.products[0].sales[0] == 20
    assert history.currency == currency
    assert f"Column {header.split(',')[1]!r} was read as Product Price." in history.reports[0].notes


def test_only_columns_of_money_have_a_currency_in_their_names(read: Read, daily: Daily) -> None:
    history = read(daily(["10,20,7"] * 12, "Date,Price (EUR),Sales (EUR),Units (EUR)"))
    assert history.products[0].units[0] == 2
    assert "Column 'Units (EUR)' is not known and was ignored." in history.reports[0].notes


def test_a_name_of_the_setting_may_have_a_currency(read: Read, daily: Daily) -> None:
    config = DataConfig(columns={"Net paid (EUR)": "Total Sales"})
    assert read(daily(["10,20"] * 12, "Date,Price,Net paid (EUR)"), config).currency == "EUR"


def test_cells_that_contradict_the_name_of_their_column_are_refused(
    problems: Problems, read: Read, daily: Daily
) -> None:
    assert problems(daily(["10,20", "$10,20"] * 6, "Date,Price (EUR),Sales")) == (
        "line 3, Product Price: $10 and 'Price (EUR)' on line 1 are two currencies; convert all amounts to one",
    )
    assert read(daily(["$10,20"] * 12, "Date,Price (CAD),Sales")).currency == "CAD"
    assert read(daily(["CA$10,20"] * 12, "Date,Price ($),Sales")).currency == "CAD"
    assert read(daily(["¥10,20"] * 12, "Date,Price (CNY),Sales")).currency == "CNY"


def test_names_of_columns_with_two_currencies_are_refused(problems: Problems, daily: Daily) -> None:
    assert problems(daily(["10,20"] * 12, "Date,Price (EUR),Sales (USD)")) == (
        "line 1, Total Sales: 'Sales (USD)' and 'Price (EUR)' on line 1 are two currencies; convert all amounts to one",
    )
    assert problems(daily(["10,$20"] * 12, "Date,Price (EUR),Sales")) == (
        "line 2, Total Sales: $20 and 'Price (EUR)' on line 1 are two currencies; convert all amounts to one",
    )
    assert problems(daily(["10,11,20"] * 12, "Date,Price (EUR),Price (USD),Sales")) == (
        "line 1: columns 'Price (EUR)' and 'Price (USD)' can both be 'Product Price'; "
        "set --data.reading.columns or remove one",
    )
