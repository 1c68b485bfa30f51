"""The price of a day is the one posted on its order lines, whatever coupons, gifts, returns and wholesalers paid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from shops.platform_orders import PLATFORMS, write_orders
from test_order_lines import line, shopify
from test_presets import read_text, refusal

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.history import History
from pricerl.data.platforms.posted_prices import find_medians
from pricerl.data.platforms.sales_reports import choose_preset
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.price_setting import classify_prices
from pricerl.data.reading.reader import history_from_text
from pricerl.data.reading.sources.csv_file import split_rows
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig, simulate

Lines = list[list[dict[str, object]]]


def days(count: int = 28) -> Lines:
    """Return orders of three units at 9.50, one per day; those of even days have a coupon of 20 %."""
    return [[line("A", 3, 9.5, Lineitem_discount=0 if day % 2 else 5.7)] for day in range(count)]


def notes(history: History) -> str:
    return "\n".join(report_lines(history.reports[0]))


def test_coupons_lower_sales_and_leave_the_price(tmp_path: Path) -> None:
    history = read_text(tmp_path, shopify(*days()))
    (item,) = history.products
    assert set(item.price) == {9.5}
    assert item.in_force is None and classify_prices(item.price).kind == "plain"
    np.testing.assert_allclose(item.sales[:2], [28.5 - 5.7, 28.5])
    np.testing.assert_allclose(item.coupons[:2], [0.2, 0.0])  # type: ignore[index]
    assert item.share_paid == pytest.approx(0.9)
    assert history.reports[0].whole_unit_share == 1
    assert "Coupons and discounts took 10.0% of sales at posted prices; " in notes(history)


def test_gifts_and_lines_given_away_are_no_sale(tmp_path: Path) -> None:
    given = [[*order, line("A", 1, 0.0), line("A", 1, 9.5, Lineitem_discount=9.5)] for order in days()]
    history = read_text(tmp_path, shopify(*given))
    (item,) = history.products
    assert set(item.price) == {9.5} and set(item.units) == {3.0}
    assert "Set apart as no sale: 56 lines at 0.00" in notes(history)


def test_wholesale_order_is_set_apart_and_a_large_order_at_the_posted_price_is_demand(tmp_path: Path) -> None:
    orders = days()
    orders[5].append(line("A", 60, 6.0))
    orders[9].append(line("A", 40, 9.5))
    history = read_text(tmp_path, shopify(*orders))
    (item,) = history.products
    assert set(item.price) == {9.5}
    assert item.units[5] == 3 and item.units[9] == 43
    assert "Set apart: 1 wholesale order, such as 60 units at 6.00 on 2024-09-06." in notes(history)


def test_share_of_lines_at_another_price_names_the_product_with_variants(tmp_path: Path) -> None:
    orders = [[line("A", 1, 10.0), line("A", 2, 14.0), line("B", 2, 30.0)] for _ in range(12)]
    history = read_text(tmp_path, shopify(*orders))
    assert {item.product: set(item.price) for item in history.products} == {"A": {14.0}, "B": {30.0}}
    assert "33.3% of lines have another. Of 'A' 50% have: give variants, or shops, names of" in notes(history)


def test_median_is_weighted_by_units() -> None:
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    weights = np.array([1.0, 1.0, 1.0, 1.0, 5.0])
    assert find_medians(values, weights, np.array([0, 0, 0, 1, 1])).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_simulated_order_export_has_the_prices_and_units_of_its_seller(platform: str) -> None:
    frame, truth = simulate(SellerConfig(days=150, units=6.0, seed=7))
    text = write_orders(frame, platform, np.random.default_rng(1))
    history = history_from_text(text, "orders.csv", DataConfig())
    (item,) = history.products
    sold = frame["Total Sales"].to_numpy() > 0
    units = (frame["Total Sales"] / frame["Product Price"]).round().to_numpy()
    at = (pd.to_datetime(frame["Report Date"]).to_numpy().astype("datetime64[D]") - item.dates[0]).astype(int)
    kept = sold & (at >= 0) & (at < len(item.dates))
    np.testing.assert_allclose(item.price[at[kept]], frame["Product Price"].to_numpy()[kept])
    np.testing.assert_allclose(item.units[at[kept]], units[kept])
    assert item.current_price == truth["current_price"]
    assert 0.93 < item.share_paid < 1
    assert "wholesale order" in notes(history) and "at 0.00, such as gifts" in notes(history)


@pytest.mark.parametrize(("discount", "share"), [(2.0, 0.8), (0.0, 1.0)])
def test_revenue_and_profit_of_the_market_are_those_after_a_steady_coupon(
    discount: float, share: float, tmp_path: Path
) -> None:
    cuts = (np.arange(28) % 6 > 2).astype(int)
    orders = [[line("A", 3 + cut, 10.0 - cut, Lineitem_discount=discount * 3)] for cut in cuts.tolist()]
    data = DataPreprocessor.fit(read_text(tmp_path, shopify(*orders)), DataConfig())
    market = fit_market(data, cost=CostConfig(unit_cost=4.0, share_kept=0.9), conversions=False)
    paid = float(market.share_paid[0])
    cost = market.products[0].cost
    zero = torch.zeros(1, dtype=torch.long)
    day = market.average_day(torch.tensor([10.0]), zero, zero + market.mean_draw)
    units, sales, profit = (float(value) for value in day[:3])
    assert paid == pytest.approx(share, abs=0.03 if discount else 1e-6)
    assert sales == pytest.approx(units * 10.0 * paid, rel=1e-5)
    assert profit == pytest.approx(0.9 * sales - 4.0 * units - cost.fixed_cost.mean(), rel=1e-4)
    assert cost.mean_margin(10.0) == pytest.approx(0.9 * paid * 10.0 - 4.0)
    assert cost.counted("sales").price_kept.tolist() == pytest.approx([paid] * len(cost.share_kept))


HEADER = "Order ID,Date,Item,Quantity,Unit Price,Total"


def order_lines(total: float, header: str = HEADER, same_day: int = 2) -> str:
    rows = [
        f"{day}-{at},{np.datetime64('2025-01-01') + day * DAY},Mug,2,10.0,{total}"
        for day in range(40)
        for at in range(same_day)
    ]
    return "\n".join([header, *rows])


def test_total_of_a_line_is_what_buyers_paid(tmp_path: Path) -> None:
    (item,) = read_text(tmp_path, order_lines(18.0)).products
    assert set(item.price) == {10.0} and set(item.sales) == {36.0}
    assert item.share_paid == pytest.approx(0.9)


def test_total_above_units_at_their_price_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, order_lines(23.8)).startswith("Total: is above quantity × unit price on 100% of lines; ")


def test_table_of_days_with_names_of_order_lines_stays_one(tmp_path: Path) -> None:
    by_day = order_lines(20.0, HEADER.replace("Total", "Revenue"), same_day=1)
    history = read_text(tmp_path, by_day)
    assert "order-lines" not in notes(history) and set(history.products[0].units) == {2.0}
    two_shops = order_lines(20.0, HEADER.replace("Total", "Revenue").replace("Order ID", "Shop"))
    assert choose_preset(split_rows(two_shops.encode(), "shops.csv"), "auto") is None


def test_returns_of_a_list_lower_neither_units_nor_price(tmp_path: Path) -> None:
    text = order_lines(20.0).replace(",Total", ",Note") + "\nC9,2025-02-05,Mug,-4,10.0,x"
    history = read_text(tmp_path, text)
    (item,) = history.products
    assert set(item.units) == {4.0} and set(item.price) == {10.0}
    assert "Set apart: 1 line with returns, 2.5% of revenue." in notes(history)
    assert "Columns: Date, Quantity, Item, Unit Price, Order ID." in notes(history)


def test_an_export_that_holds_its_lines_twice_is_refused(tmp_path: Path) -> None:
    text = order_lines(20.0)
    for again in (text.splitlines()[1:], text.splitlines()[-6:]):
        first = text.splitlines().index(again[0]) + 1
        found = f"line 82: {len(again)} rows are in the file already, such as this one on line {first}, cell by cell"
        assert refusal(tmp_path, "\n".join([text, *again])).startswith(found)
    receipts = [f"{row}\n{row}" for row in text.splitlines()[1:]]  # a till scans each mug of a receipt
    assert set(read_text(tmp_path, "\n".join([HEADER, *receipts])).products[0].units) == {8.0}


def test_rows_without_numbers_that_share_days_name_the_preset_of_order_lines(tmp_path: Path) -> None:
    text = order_lines(20.0, "Note,Date,Item,Quantity,Price,Sales", same_day=3)
    text = text.replace("-0,", ",").replace("-1,", ",").replace("-2,", ",")
    remedy = "of order lines, set --data.reading.preset order-lines"
    assert remedy in refusal(tmp_path, text)
    assert set(read_text(tmp_path, text, preset="order-lines").products[0].units) == {6.0}
