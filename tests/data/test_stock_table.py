"""The file ``stock.csv`` and platforms' reports: their rows, and the stock after a history that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.row_table import TABLES
from pricerl.data.stock import Stock, clear_by, find_notes, find_stock
from pricerl.env.dynamics import Dynamics
from pricerl.errors import DataError, UsageError
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.training.saved_policy import act_on_shelves

STOCK = TABLES["stock"]
Row = dict[str, Any]
COUNTED = {"as_of": "2025-03-01"}
LAST = date(2025, 3, 1)
"""Last day of the history."""


def read(folder: Path, *lines: str) -> list[Row]:
    """Read lines as a file of stock, and return its rows."""
    path = folder / "stock.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return [dict(row) for row in STOCK.read(str(path), COUNTED)[0]]


@pytest.fixture
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """55 days of five units each up to 2025-03-01."""
    made = make_product(10.0, np.full(55, 5.0))
    assert made.last_day == LAST
    return replace(made, product="Mug")


def grouped(*rows: Row) -> dict[str, Any]:
    return STOCK.group("data.stock", [{**COUNTED, **row} for row in rows])


def held(history: ProductHistory, *rows: Row) -> Stock:
    """Stock of a product from its rows, which count the last day of the history."""
    found, _ = find_stock(grouped(*rows), history)
    assert found is not None
    return found


def remarks(history: ProductHistory, *rows: Row) -> str:
    return " ".join(find_notes(grouped(*rows), [history]))


def day(after: int) -> str:
    return str(LAST + timedelta(after))


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (
            [
                "Country,Product Name,FNSKU,Merchant SKU,ASIN,Price,Total Units,Inbound,Available,Working,Shipped,"
                "Receiving,Total Days of Supply (including units from open shipments),Recommended replenishment qty,"
                "Unit storage size",
                "US,Big mug,X1,MUG-RED,B1,24.90,400,300,100,0,300,0,50,150,0.2 ft3",
            ],
            [{"product": "MUG-RED", "in_stock": 100, "inbound": 300}],
        ),
        (
            [
                "sku\tfnsku\tasin\tproduct-name\tmfn-fulfillable-quantity\tafn-fulfillable-quantity\tafn-total-quantity\t"
                "afn-inbound-working-quantity\tafn-inbound-shipped-quantity\tafn-inbound-receiving-quantity",
                "MUG\tX1\tB1\tMug\t\t100\t410\t7\t250\t50",
            ],
            [{"product": "MUG", "in_stock": 100, "inbound": 250, "receiving": 50}],
        ),
        (
            [
                "snapshot-date,sku,asin,product-name,available,storage-type,inbound-quantity",
                "2025-02-28,MUG,B1,Mug,9,S,0",
            ],
            [{"product": "MUG", "in_stock": 9, "inbound": 0, "as_of": "2025-02-28"}],
        ),
        (
            [
                "Handle,Title,SKU,Location,Incoming (not editable),Committed (not editable),Available (not editable),"
                "On hand (current),On hand (new)",
                "mug,Mug,MUG,Berlin,20,2,38,40,",
                "mug,Mug,MUG,Paris,0,0,5,5,",
                "mug,Mug,MUG,Rome,not stocked,not stocked,not stocked,not stocked,",
            ],
            [{"product": "MUG", "in_stock": 38, "inbound": 20}, {"product": "MUG", "in_stock": 5, "inbound": 0}],
        ),
        (
            [
                "Artikel;Bestand;Zulauf;Liefertermin;Lieferzeit (Wochen);Mindestbestellmenge;Saisonende",
                "Müsli, groß;250;300;12.03.2025;3;100;31.05.2025",
                "Müsli, groß;;200;26.03.2025;;;",
                ";;;;;;",
            ],
            [
                {"product": "Müsli, groß", "in_stock": 250, "inbound": 300, "arrives": "2025-03-12"}
                | {"lead_days": 21, "smallest_order": 100, "season_end": "2025-05-31"},
                {"product": "Müsli, groß", "inbound": 200, "arrives": "2025-03-26"},
            ],
        ),
        (
            ["Product,In Stock,Lead Time,Late Share", "Mug,4,21 days,10 %", "Cup,0,2 weeks,0.2", "Jar,1,10,"],
            [
                {"product": "Mug", "in_stock": 4, "lead_days": 21, "late_share": 0.1},
                {"product": "Cup", "in_stock": 0, "lead_days": 14, "late_share": 0.2},
                {"product": "Jar", "in_stock": 1, "lead_days": 10},
            ],
        ),
    ],
    ids=["restock report", "inventory", "its health", "shop system", "German", "units of the lead time"],
)
def test_reports_are_read_as_they_are(lines: list[str], rows: list[Row], tmp_path: Path) -> None:
    assert read(tmp_path, *lines) == [{**COUNTED, **row} for row in rows]


def test_every_problem_is_listed_with_its_place(tmp_path: Path) -> None:
    header = "Product,In Stock,Inbound,Arrives,Lead Time,Season End,Spoilage"
    with pytest.raises(DataError) as caught:
        read(tmp_path, header, "Mug,-4,30,2025-03-01,8 weeks,2025-02-01,1.5", "Bowl,abc,,,,,", ",4,,,,,")
    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "line 2, Arrives: 2025-03-01 is not after 2025-03-01, the day of the count",
        "line 2, In Stock: must be 0 or more, found -4.0",
        "line 2, Lead Time: must lie between 0 and 42, found 56.0 days",
        "line 2, Season End: 2025-02-01 is not after 2025-03-01, the day of the count",
        "line 2, Spoilage: must lie between 0 and 0.99, found 1.5",
        "line 3, In Stock: must be a number, found 'abc'",
        "line 4, Product: is blank",
    ]
    with pytest.raises(DataError, match="column 'Lead Tmie' is not known; did you mean 'Lead Time"):
        read(tmp_path, "Product,In Stock,Lead Tmie", "Mug,4,3")


def test_days_become_weeks_after_the_history(history: ProductHistory) -> None:
    found = held(
        history,
        {"product": "Mug", "in_stock": 40.0, "inbound": 10.0, "arrives": day(1), "lead_days": 15.0, "pack_size": 6.0},
        {"product": "Mug", "in_stock": 2.0, "inbound": 20.0, "arrives": day(2), "budget": 500.0},
        {"product": "Mug", "inbound": 30.0, "arrives": day(8)},
        {"product": "Mug", "inbound": 50.0, "arrives": day(9), "storage_fee": 0.05},
    )
    assert found.on_hand == 40 + 2 + 10  # due on the first day after the history
    assert found.inbound == (50, 50, 0, 0, 0, 0)
    assert found.due == ((day(2), 20.0), (day(8), 30.0), (day(9), 50.0))
    assert (found.lead_weeks, found.pack_size, found.budget, found.storage_fee) == (3, 6, 500, 0.05)
    assert (found.season_end, found.leftover_value) == (26, None)


def test_units_on_the_way_without_a_day_arrive_after_the_lead_time(history: ProductHistory) -> None:
    row = {"product": "Mug", "in_stock": 0.0, "inbound": 9.0, "receiving": 1.0, "lead_days": 14.0}
    assert held(history, row).inbound == (0, 10, 0, 0, 0, 0)
    assert "stock of 'Mug' on the way has no day in Arrives" in remarks(history, row)


def test_a_delivery_that_is_far_away_does_not_count_yet(history: ProductHistory) -> None:
    row = {"product": "Mug", "in_stock": 7.0, "inbound": 9.0, "arrives": day(60), "lead_days": 14.0}
    assert held(history, row).inbound == (0,) * 6 and "does not count yet" in remarks(history, row)


def test_a_season_ends_in_whole_weeks_and_values_what_is_left(history: ProductHistory) -> None:
    row = {"product": "Mug", "in_stock": 7.0, "lead_days": 14.0, "leftover_value": 2.0}
    for end, weeks, value in ((50, 7, 2.0), (400, 26, None)):
        ending = {**row, "season_end": day(end)}
        assert (held(history, ending).season_end, held(history, ending).leftover_value) == (weeks, value)
        assert ("Leftover Value" in remarks(history, ending)) == bool(remarks(history, ending)) == (value is None)


def test_an_older_count_is_carried_forward_by_sales_and_deliveries(history: ProductHistory) -> None:
    row = {"product": "Mug", "as_of": day(-4), "in_stock": 60.0, "inbound": 12.0, "arrives": day(-1), "lead_days": 14.0}
    assert held(history, row).on_hand == 60 - 4 * 5 + 12
    assert "is left out: more was sold since its count" in remarks(history, {**row, "in_stock": 3.0})
    assert "was counted before the history ends" in remarks(history, row)
    over = {**row, "season_end": day(-2)}
    assert find_stock({"Mug": [over]}, history) == (None, ["is left out: its season is over"])


def test_the_daily_column_gives_the_units_unless_the_file_counts_later(history: ProductHistory) -> None:
    counts = np.full(55, np.nan)
    counts[-3] = 17.0
    daily = replace(history, stock_units=counts)
    assert held(daily, {"product": "Mug", "lead_days": 14.0}).on_hand == 17 - 2 * 5
    assert held(daily, {"product": "Mug", "lead_days": 14.0, "in_stock": 80.0}).on_hand == 80
    old = {"product": "Mug", "lead_days": 14.0, "in_stock": 80.0, "as_of": day(-9), "inbound": 5.0, "arrives": day(-3)}
    assert held(daily, old).on_hand == 17 - 2 * 5  # the delivery is in the count
    assert "In Stock has no units" in remarks(history, {"product": "Mug", "lead_days": 14.0})


def test_a_product_without_a_row_has_no_stock(history: ProductHistory) -> None:
    bowl = replace(history, product="Bowl")
    stocks = STOCK.group("data.stock", [{"product": "Mug", "in_stock": 4.0}, {"product": "Mgu", "in_stock": 4.0}])
    assert find_stock(stocks, bowl) == (None, [])
    assert find_notes(stocks, [history, bowl]) == [
        "stock of 'Mgu' is left out: the history has no such product.",
        "stock of 'Mug' has no Lead Time: 2 weeks are assumed.",
    ]
    with pytest.raises(UsageError, match=r"no product 'Mug', and none 'Mgu'; use its names: 'Bowl'"):
        find_notes(stocks, [bowl])
    alone = STOCK.group("data.stock", [{"in_stock": 4.0, "lead_days": 7.0}])
    assert find_notes(alone, [history]) == [] and find_stock(alone, history)[0] == Stock(4.0, (0.0,) * 6, lead_weeks=1)
    with pytest.raises(UsageError, match="stock: the history has 2 products; name them in a column Product"):
        find_notes(alone, [history, bowl])


def test_a_fitted_market_carries_stock_that_counts_with_unit_costs(
    history: ProductHistory, prepare: Callable[..., Any]
) -> None:
    prepared = prepare(history, replace(history, product="Bowl"))
    stocks = STOCK.group("data.stock", [{"product": "Mug", "in_stock": 4.0}])
    settings = DemandConfig(num_draws=2), CostConfig(products=[{"product": "Mug", "unit_cost": 4.0}])
    mug, bowl = fit_market(prepared, *settings, conversions=False, stocks=stocks).products
    assert mug.stock == find_stock(stocks, history)[0] and bowl.stock is None
    costless = fit_market(prepared, settings[0], conversions=False, stocks=stocks)
    assert costless.products[0].stock == mug.stock and plan_half_years(Dynamics(costless), act_on_shelves) == {}


@pytest.mark.parametrize(
    "row", [{"product": "Mug", "in_stock": -1}, {"in_stock": True}, {"arrives": "soon"}, {"units": 3}]
)
def test_rows_of_a_configuration_are_checked(row: Row) -> None:
    with pytest.raises(UsageError, match=r"data\.stock: row 1, "):
        STOCK.group("data.stock", [row])


def test_a_cleared_stock_sells_until_its_day_without_orders_and_other_products_keep_theirs(
    history: ProductHistory,
) -> None:
    earlier = {"product": "Mug", "in_stock": 100.0, "as_of": day(-10), "lead_days": 21}
    coming = {"product": "Mug", "inbound": 30.0, "arrives": day(9), "as_of": day(-10)}
    other = {"product": "Bowl", "in_stock": 9.0}
    usual = grouped(earlier, coming, other)
    cleared = clear_by(usual, {"Mug": day(28)})
    assert cleared["Bowl"] == usual["Bowl"] and usual == grouped(earlier, coming, other)
    stock, before = (find_stock(found, history)[0] for found in (cleared, usual))
    terms = {"season_end": 4, "largest_order": 0.0, "leftover_value": 0.0}
    assert before is not None and before.on_hand == 100 - 10 * 5 and not before.is_cleared
    assert stock == replace(before, **terms) and stock.is_cleared  # type: ignore[arg-type]  # values of several types


def test_a_cleared_product_keeps_what_its_leftovers_are_worth_and_needs_no_row_of_its_own(
    history: ProductHistory,
) -> None:
    valued = clear_by(grouped({"in_stock": 100.0, "leftover_value": 4.0}), {"Mug": day(28)})
    found, _ = find_stock(valued, history)
    assert found is not None and (found.on_hand, found.leftover_value) == (100.0, 4.0)
    counted = replace(history, stock_units=np.append(np.full(54, np.nan), 80.0))
    (own,) = (find_stock(clear_by({}, {"Mug": day(28)}), counted)[0],)
    assert own is not None and (own.on_hand, own.season_end, own.is_cleared) == (80.0, 4, True)
