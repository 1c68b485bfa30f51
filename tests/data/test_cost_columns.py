"""Columns of costs in the seller's file: their names, and the sense of names that fit several amounts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pricerl.data.config import DataConfig
from pricerl.data.history import History

Read = Callable[..., History]
Daily = Callable[..., list[str]]
UNITS = (5, 8, 3, 6, 10, 4, 7, 9, 5, 2)


def unit_cost(history: History) -> float | None:
    return history.products[0].unit_cost


@pytest.mark.parametrize(
    "name",
    [
        *("Unit Cost", "Cost", "COGS", "Cost per item", "Item cost", "Landed cost", "Cost price", "cost_per_unit"),
        *("Einkaufspreis", "Wareneinsatz", "Stückkosten", "Kosten", "Kostprijs", "Costo", "Coste unitario"),
        *("Coût unitaire", "Coût", "Custo unitário", "Cost (USD)", "Landed cost EUR"),
    ],
)
def test_the_last_cost_of_a_unit_is_read_under_its_usual_names(read: Read, daily: Daily, name: str) -> None:
    cells = [f"10,{10 * units},{4 if at == 0 else 5 if at == 4 else ''}" for at, units in enumerate(UNITS)]
    history = read(daily(cells, f"Date,Price,Revenue,{name}"))
    assert unit_cost(history) == 5.0
    assert name == "Unit Cost" or f"Column {name!r} was read as Unit Cost." in history.reports[0].notes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, "was read as Ad Spend.") for name in ("Ad Cost", "Ads Cost", "Advertising Costs")),
        *((name, "is not known and was ignored.") for name in ("Cost per click", "Shipping Cost")),
    ],
)
def test_other_costs_are_no_unit_cost(read: Read, daily: Daily, name: str, words: str) -> None:
    history = read(daily(["10,50,2"] * 10, f"Date,Price,Revenue,{name}"))
    assert unit_cost(history) is None and f"Column {name!r} {words}" in history.reports[0].notes


def test_the_cost_of_all_units_is_divided_by_the_units(read: Read, daily: Daily) -> None:
    cells = [f"10,{10 * units},{units},{4.2 * units:.2f}" for units in UNITS]
    history = read(daily(cells, "Date,Price,Revenue,Units,COGS"))
    assert unit_cost(history) == 4.2
    assert "Column 'COGS' was read as Unit Cost after division by Units." in history.reports[0].notes
    without = [",".join(cell for at, cell in enumerate(row.split(",")) if at != 2) for row in cells]
    assert unit_cost(read(daily(without, "Date,Price,Revenue,COGS"))) is None


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Cost,Clicks", "2,40"),
        ("Cost", "60"),
        ("Cost", "-2"),
        ("Cost", "see invoice"),
        ("Cost,COGS", "4,4"),
        ("Cost,Profit", "9,30"),
    ],
)
def test_a_vague_cost_that_may_be_something_else_is_ignored(read: Read, daily: Daily, header: str, cell: str) -> None:
    cells = [f"10,{10 * units},{units},{cell}" for units in UNITS]
    history = read(daily(cells, f"Date,Price,Revenue,Units,{header}"))
    assert unit_cost(history) is None
    assert "Column 'Cost' is not known and was ignored." in history.reports[0].notes


def test_a_clear_name_comes_before_a_vague_one_and_the_setting_before_both(read: Read, daily: Daily) -> None:
    cells = [f"10,{10 * units},{4 * units},3" for units in UNITS]
    lines = daily(cells, "Date,Price,Revenue,COGS,Cost per item")
    assert unit_cost(read(lines)) == 3.0
    assert unit_cost(read(lines, DataConfig(columns={"COGS": "Unit Cost"}))) == 4.0 * UNITS[-1]


def test_each_product_has_its_own_last_cost(read: Read, daily: Daily) -> None:
    mugs, bowls = (daily([f"10,50,{cost},{name}"] * 10, "Date,Price,Sales,Cost,Product") for name, cost in PRODUCTS)
    lamps = [row.replace(",7,Bowl", ",,Lamp") for row in bowls]
    history = read([*mugs, *bowls[1:], *lamps[1:]])
    assert {item.product: item.unit_cost for item in history.products} == {"Mug": 4.0, "Bowl": 7.0, "Lamp": None}


PRODUCTS = (("Mug", 4), ("Bowl", 7))
