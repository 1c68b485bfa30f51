"""Columns of costs in the seller's file: their names, and the sense of names that fit several amounts."""

from __future__ import annotations

import pytest

from pricerl.data.config import DataConfig

UNITS = (5, 8, 3, 6, 10, 4, 7, 9, 5, 2)
IGNORED = "is not known and was ignored."


def unit_cost(history):
    return history.products[0].unit_cost


@pytest.mark.parametrize(
    "name",
    [
        *("Unit Cost", "Cost", "COGS", "Cost per item", "Item cost", "Landed cost", "Cost price", "cost_per_unit"),
        *("Einkaufspreis", "Wareneinsatz", "Stückkosten", "Kosten", "Kostprijs", "Costo", "Coste unitario"),
        *("Coût unitaire", "Coût", "Custo unitário", "Cost (USD)", "Landed cost EUR"),
    ],
)
def test_the_last_cost_of_a_unit_is_read_under_its_usual_names(read, daily, name):
    cells = [f"10,{10 * units},{4 if at == 0 else 5 if at == 4 else ''}" for at, units in enumerate(UNITS)]
    history = read(daily(cells, f"Date,Price,Revenue,{name}"))
    assert unit_cost(history) == 5.0
    assert name == "Unit Cost" or f"Column {name!r} was read as Unit Cost." in history.reports[0].notes


def test_the_cost_of_all_units_is_divided_by_the_units(read, daily):
    cells = [f"10,{10 * units},{units},{4.2 * units:.2f}" for units in UNITS]
    history = read(daily(cells, "Date,Price,Revenue,Units,COGS"))
    assert unit_cost(history) == 4.2
    assert "Column 'COGS' was read as Unit Cost after division by Units." in history.reports[0].notes
    without = [",".join(cell for at, cell in enumerate(row.split(",")) if at != 2) for row in cells]
    assert unit_cost(read(daily(without, "Date,Price,Revenue,COGS"))) is None


@pytest.mark.parametrize(
    ("header", "cell", "words"),
    [
        *[("Cost,Clicks", "2,40", IGNORED), ("Cost,COGS", "4,4", IGNORED), ("Cost,Profit", "9,30", IGNORED)],
        *[("Cost", cell, IGNORED) for cell in ("60", "-2", "see invoice")],
        *[(name, "2", IGNORED) for name in ("Cost per click", "Shipping Cost")],
        *[(name, "2", "was read as Ad Spend.") for name in ("Ad Cost", "Ads Cost", "Advertising Costs")],
    ],
)
def test_other_costs_and_a_vague_one_that_may_be_something_else_are_no_unit_cost(read, daily, header, cell, words):
    cells = [f"10,{10 * units},{units},{cell}" for units in UNITS]
    history = read(daily(cells, f"Date,Price,Revenue,Units,{header}"))
    assert unit_cost(history) is None
    assert f"Column {header.split(',')[0]!r} {words}" in history.reports[0].notes


def test_a_clear_name_comes_before_a_vague_one_and_the_setting_before_both(read, daily):
    cells = [f"10,{10 * units},{4 * units},3" for units in UNITS]
    lines = daily(cells, "Date,Price,Revenue,COGS,Cost per item")
    assert unit_cost(read(lines)) == 3.0
    assert unit_cost(read(lines, DataConfig(columns={"COGS": "Unit Cost"}))) == 4.0 * UNITS[-1]


def test_each_product_has_its_own_last_cost(read, daily):
    products = {"Mug": 4.0, "Bowl": 7.0, "Lamp": None}
    lines = ["Date,Price,Sales,Cost,Product"]
    for name, cost in products.items():
        lines += daily([f"10,50,{cost or ''},{name}"] * 10)[1:]
    assert {item.product: item.unit_cost for item in read(lines).products} == products
