"""Discounts on whole orders, orders without payment so far, cells with several lines, and days without an order."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import export_samples
import numpy as np
import pytest
from export_samples import SHOPIFY_LATER, SHOPIFY_ORDERS, Row, write_table
from more_export_samples import WOO_PLUGIN
from shop_samples import SAMPLES
from test_presets import change, read_text, refusal

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.history import History
from pricerl.data.platforms.presets import own_presets

DISCOUNT = ("Discount Amount", "Subtotal")
LISTS = {preset.name for preset in own_presets() if preset.lists_sales_only}
LATER = [name for name, build in SAMPLES.items() if build.__module__ == "shop_samples" and build().preset in LISTS]
"""Samples of lists of sales whose lines of the shop are taken when they are built."""


def shopify(*orders: list[Row]) -> str:
    """Return one order per day, each a list of lines whose first one has the cells of the order."""
    rows: list[Row] = []
    for at, lines in enumerate(orders):
        shared: Row = {"Name": f"#{1000 + at}", "Created at": f"2024-09-{1 + at:02d} 10:00:00 -0400"}
        first: Row = {"Financial Status": "paid", "Currency": "USD"}
        rows += [{**(first if place == 0 else {}), **shared, **line} for place, line in enumerate(lines)]
    return write_table(SHOPIFY_ORDERS + SHOPIFY_LATER, rows)


def line(sku: str, units: int, price: float, **cells: object) -> Row:
    names = {name.replace(" ", "_"): name for name in (*DISCOUNT, "Financial Status", "Lineitem discount")}
    named = {names[name]: value for name, value in cells.items()}
    return {"Lineitem sku": sku, "Lineitem name": sku, "Lineitem quantity": units, "Lineitem price": price, **named}


PLAIN = [[line("A", 1, 10.0), line("B", 2, 30.0)] for _ in range(9)]


def paid(history: History, day: int = 0) -> dict[str, float]:
    """Return what buyers paid per unit on a day; the posted prices are those of the lines."""
    assert all(set(item.price) == {{"A": 10.0, "B": 30.0}[item.product]} for item in history.products)
    return {item.product: round(float(item.sales[day] / item.units[day]), 6) for item in history.products}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"Discount_Amount": 14, "Subtotal": 56}, {"A": 8.0, "B": 24.0}),  # 14 of 70: a fifth
        ({"Discount_Amount": 5, "Subtotal": 70}, {"A": 10.0, "B": 30.0}),  # free shipping
        ({"Discount_Amount": 7, "Subtotal": 63, "Lineitem_discount": 7}, {"A": 3.0, "B": 30.0}),  # of the line
        ({"Discount_Amount": 14, "Subtotal": 56, "Lineitem_discount": 7}, {"A": 2.666667, "B": 26.666667}),  # of both
        ({"Discount_Amount": 14}, {"A": 8.0, "B": 24.0}),  # without a subtotal
        ({"Discount_Amount": 0, "Subtotal": 10}, {"A": 10.0, "B": 30.0}),  # a line was removed later
    ],
)
def test_what_the_lines_exceed_the_subtotal_is_spread_in_proportion_to_their_value(
    cells: Row, expected: dict[str, float], tmp_path: Path
) -> None:
    lines = [line("A", 1, 10.0, **cells), line("B", 2, 30.0)]
    history = read_text(tmp_path, shopify(lines, *PLAIN))
    assert paid(history) == pytest.approx(expected, abs=1e-5)
    assert paid(history, 1) == {"A": 10.0, "B": 30.0}


def test_discount_of_the_whole_value_leaves_no_price(tmp_path: Path) -> None:
    free = [line("A", 1, 10.0, Discount_Amount=70, Subtotal=0), line("B", 2, 30.0)]
    history = read_text(tmp_path, shopify(PLAIN[0], free, *PLAIN))
    assert [float(item.sales[1]) for item in history.products] == [0.0, 0.0]


@pytest.mark.parametrize("repeated", [True, False])
def test_cart_discount_of_woocommerce_is_spread_whether_repeated_on_each_line_or_not(
    repeated: bool, tmp_path: Path
) -> None:
    rows: list[Row] = []
    for day in range(1, 11):
        order: Row = {"Order Number": day, "Order Status": "Completed", "Order Date": f"2024-09-{day:02d} 10:00"}
        order["Cart Discount Amount"] = "14.00" if day == 1 else "0.00"
        for at, (sku, units, price) in enumerate((("A", 1, 10), ("B", 2, 30))):
            cells = order if at == 0 or repeated else {"Order Number": day}
            rows.append({**cells, "SKU": sku, "Quantity (- Refund)": units, "Item Cost": price})
    assert paid(read_text(tmp_path, write_table(WOO_PLUGIN, rows))) == {"A": 8.0, "B": 24.0}


def test_pending_orders_of_shopify_are_demand_with_a_note_and_voided_ones_are_not(tmp_path: Path) -> None:
    pending = [line("A", 3, 10.0, Financial_Status="pending"), line("B", 2, 30.0)]
    voided = [line("A", 5, 10.0, Financial_Status="voided")]
    history = read_text(tmp_path, shopify(pending, *PLAIN, voided))
    assert [float(item.units[0]) for item in history.products] == [3.0, 2.0]
    assert len(history.products[0].dates) == 10
    notes = "\n".join(report_lines(history.reports[0]))
    assert "2 rows are not paid yet and counted as demand: Financial Status pending (2)." in notes
    assert "1 row is not counted as sales: Financial Status voided (1)." in notes


def test_cell_without_lines_of_the_order_is_refused(tmp_path: Path) -> None:
    first = SAMPLES["bigcommerce_orders"]().text.splitlines()[1]
    text = change("bigcommerce_orders", first, first.replace("Product ID: 75, ", "").replace("Product ID: 76, ", ""))
    assert refusal(tmp_path, text).startswith("line 2, Product Details: 'Product Qty: 1, Product SKU: MUG-1")


@pytest.mark.parametrize("name", LATER)
def test_days_without_an_order_are_zeros(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = datetime(2024, 9, 25)
    lines = [item for item in export_samples.order_lines() if item.time.date() != closed.date()]
    days = [row for row in export_samples.base_rows() if row[0] != closed]
    monkeypatch.setattr(export_samples, "order_lines", lambda: lines)
    monkeypatch.setattr(export_samples, "base_rows", lambda: iter(days))
    history = read_text(tmp_path, SAMPLES[name]().text)
    assert len(history.products) == 2
    for item in history.products:
        (day,) = np.flatnonzero(item.dates == np.datetime64(closed, "D"))
        assert item.observed[day] and item.units[day] == 0
        assert item.units.sum() == sum(units for _, sku, units, _ in days if sku == item.product)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *[("shopify_orders", "USD"), ("stripe_payments", "USD"), ("otto_orders", "EUR"), ("ebay_orders", "")],
        *[("mercadolibre_sales", "MXN"), ("mercadolibre_sales_in_portuguese", "BRL")],
    ],
)
def test_currency_of_an_export_is_that_of_its_currency_column_or_of_the_names_of_its_prices(
    name: str, code: str, tmp_path: Path
) -> None:
    assert read_text(tmp_path, SAMPLES[name]().text).currency == code


@pytest.mark.parametrize("mark", "-./")
def test_a_list_of_orders_that_leaves_day_and_month_open_is_refused(mark: str, tmp_path: Path) -> None:
    days = [(month, day) for month in range(1, 13) for day in range(1, 13)]
    rows = [f"{month:02}{mark}{day:02}{mark}2024,Mug,2,9.5" for month, day in days]
    text = "\n".join(["Date,Item,Quantity,Unit Price", *rows])
    found = f"line 3, Date: 01{mark}02{mark}2024 can be 1 Feb or 2 Jan; set --data.reading.date_format"
    assert refusal(tmp_path, text) == found
    revealed = text.replace(f"01{mark}01{mark}", f"01{mark}13{mark}", 1)
    assert str(read_text(tmp_path, revealed).products[0].dates[0]) == "2024-01-02"
