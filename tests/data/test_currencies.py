"""Currencies in cells and in the names of columns."""

from __future__ import annotations

import pytest

from pricerl.data.config import DataConfig
from pricerl.data.reading.currencies import split_currency

PLAIN = "Date,Price,Sales"


@pytest.mark.parametrize(
    ("cells", "header", "found"),
    [
        (["€10,20"] * 6 + ["$10,20"] * 6, PLAIN, "line 8, Product Price: $10 and €10 on line 2"),
        (["€10,$20"] * 12, PLAIN, "line 2, Total Sales: $20 and €10 in Product Price on line 2"),
        (["CA$10,AU$20"] * 12, PLAIN, "line 2, Total Sales: AU$20 and CA$10 in Product Price on line 2"),
        (["USD 10,CAD 20"] * 12, PLAIN, "line 2, Total Sales: CAD 20 and USD 10 in Product Price on line 2"),
        (["10,20", "$10,20"] * 6, "Date,Price (EUR),Sales", "line 3, Product Price: $10 and 'Price (EUR)' on line 1"),
        (["10,$20"] * 12, "Date,Price (EUR),Sales", "line 2, Total Sales: $20 and 'Price (EUR)' on line 1"),
        (["10,20"] * 12, "Date,Price (EUR),Sales £", "line 1, Total Sales: 'Sales £' and 'Price (EUR)' on line 1"),
    ],
)
def test_two_currencies_in_cells_or_names_of_columns_are_refused(problems, daily, cells, header, found):
    assert problems(daily(cells, header)) == (f"{found} are two currencies; convert all amounts to one",)


def test_one_column_in_two_currencies_is_refused(problems, daily):
    assert problems(daily(["10,11,20"] * 12, "Date,Price (EUR),Price (USD),Sales")) == (
        "line 1: columns 'Price (EUR)' and 'Price (USD)' can both be 'Product Price'; "
        "set --data.reading.columns or remove one",
    )


def test_a_lone_thousands_point_among_hundreds_is_ambiguous(problems, read, daily):
    assert "1.234 can be 1.234 or 1234" in problems(daily(["10,987", "10,1.234"] * 6))[0]
    assert read(daily(["1.299,2.598", "1.349,1.35"] * 6)).products[0].price[0] == 1.299


@pytest.mark.parametrize(
    ("cells", "currency"),
    [
        *[("€10,20", "EUR"), ("10 zł,20", "PLN"), ("CA$ 10,20", "CAD"), ("USD 10,20", "USD"), ("10,20", "")],
        *[("$10,20", ""), ("10 kr,20", ""), ("CA$10,$20", "CAD"), ("CAD 10,CA$20", "CAD")],
    ],
)
def test_the_currency_of_every_price_is_that_of_the_file(read, daily, cells, currency):
    assert read(daily([cells] * 12)).currency == currency
    assert read(daily([cells] * 12 + ["10,20", "10,20"])).currency == ""
    assert read(daily([cells] * 12 + ["10,20"])).products[0].price.tolist() == [10.0] * 13


@pytest.mark.parametrize(
    ("name", "bare", "currency"),
    [
        *[("Price (EUR)", "Price", "EUR"), ("Sales £", "Sales", "GBP"), ("Total Sales [USD]", "Total Sales", "USD")],
        *[("Umsatz in EUR", "Umsatz", "EUR"), ("Umsatz (in €)", "Umsatz", "EUR"), ("Preis in Euro", "Preis", "EUR")],
        *[
            ("CA €", "CA", "EUR"),
            ("price_usd", "price", "USD"),
            ("Price US$", "Price", "USD"),
            ("Price$", "Price", "$"),
        ],
        *[("Price (kr.)", "Price", "KR"), ("EUR Price", "Price", "EUR"), ("€ Sales", "Sales", "EUR")],
        *[("eur_sales", "sales", "EUR"), ("Sales All", "Sales All", ""), ("Price (net)", "Price (net)", "")],
        *[("Created (UTC)", "Created (UTC)", ""), ("EUR", "EUR", "")],
    ],
)
def test_a_currency_is_split_off_the_name_of_a_column(name, bare, currency):
    assert split_currency(name) == (bare, currency)


@pytest.mark.parametrize(
    ("header", "cells", "currency"),
    [
        ("Report Date,Price (EUR),Total Sales [EUR]", "10,20", "EUR"),
        ("Datum,Preis,Umsatz in EUR", "10,20", "EUR"),
        ("Date,Price £,Sales £", "10,20", "GBP"),
        ("Date,Product Price (CAD),Sales $", "10,20", "CAD"),
        ("Date,price_usd,sales_usd", "10,20", "USD"),
        ("Date,Price ($),Sales ($)", "10,20", ""),
        ("Date,Price (CAD),Sales", "$10,20", "CAD"),
        ("Date,Price ($),Sales", "CA$10,20", "CAD"),
        ("Date,Price (CNY),Sales", "¥10,20", "CNY"),
    ],
)
def test_columns_with_a_currency_in_their_names_are_read(read, daily, header, cells, currency):
    history = read(daily([cells] * 12, header))
    assert history.products[0].price[0] == 10 and history.products[0].sales[0] == 20
    assert history.currency == currency
    assert f"Column {header.split(',')[1]!r} was read as Product Price." in history.reports[0].notes


def test_only_columns_of_money_have_a_currency_in_their_names(read, daily):
    history = read(daily(["10,20,7"] * 12, "Date,Price (EUR),Sales (EUR),Units (EUR)"))
    assert history.products[0].units[0] == 2
    assert "Column 'Units (EUR)' is not known and was ignored." in history.reports[0].notes


def test_a_name_of_the_setting_may_have_a_currency(read, daily):
    config = DataConfig(columns={"Net paid (EUR)": "Total Sales"})
    assert read(daily(["10,20"] * 12, "Date,Price,Net paid (EUR)"), config).currency == "EUR"
