from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Daily, Problems, Read
from shops.sellers import MARKETS, ShopConfig

from pricerl.data.config import DataConfig
from pricerl.simulation.seller import simulated_history

KEEP = DataConfig(suspicious="keep")
CONVERSION = "Report Date,Product Price,Total Sales,Organic Conversion Percentage"
UNITS = "Report Date,Product Price,Total Sales,Units"
PRODUCTS = "Report Date,Product Price,Total Sales,Product"
PROFIT = "Report Date,Product Price,Total Sales,Total Profit,Product"
COUNTS = (3, 1, 2, 4, 5, 2, 1, 3, 2, 6) * 3


@pytest.mark.parametrize("place", [0, 7, 19])
@pytest.mark.parametrize("wrong", ["125,250", "1.25,2.5", "1250,2500"])
def test_a_price_ten_times_its_neighbours_is_refused(
    problems: Problems, read: Read, daily: Daily, place: int, wrong: str
) -> None:
    lines = daily(["12.50,25"] * 10 + ["12.90,12.90"] * 10)
    lines[1 + place] = f"{lines[1 + place][:10]},{wrong}"
    (problem,) = problems(lines)
    assert problem.startswith(f"line {2 + place}, Product Price: {wrong.split(',')[0]} is ")
    assert "set --data.reading.suspicious keep" in problem
    assert len(read(lines, KEEP).products[0].dates) == 20


def test_a_price_of_a_competitor_ten_times_its_neighbours_is_refused(problems: Problems, daily: Daily) -> None:
    lines = daily(["12.50,25,11.9"] * 10, "Report Date,Product Price,Total Sales,Competitor Price")
    lines[5] = lines[5].replace("11.9", "119")
    assert problems(lines)[0].startswith("line 6, Competitor Price: 119 is 10 times 11.9 on line 5")


@pytest.mark.parametrize("cell", ["6,12", "3.20,16", "50,50", "24,24"])
def test_a_deep_promotion_is_no_typo(read: Read, daily: Daily, cell: str) -> None:
    assert len(read(daily(["12.50,25"] * 10 + [cell] + ["12.50,25"] * 10)).products[0].dates) == 21


def test_a_price_that_turns_to_cents_is_refused(problems: Problems, daily: Daily) -> None:
    assert "is 100 times 12.5" in problems(daily(["12.50,25"] * 10 + ["1250,2500"] * 10))[0]


def test_a_percent_sign_in_a_column_of_money_is_refused(problems: Problems, read: Read, daily: Daily) -> None:
    assert "12.50% is a percentage" in problems(daily(["12.50%,25"] + ["12.50,25"] * 10), KEEP)[0]
    assert read(daily(["12.50,25,3%"] * 10, CONVERSION)).products[0].organic.max() == 3


def test_shares_and_percents_in_one_column_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    mixed = daily(["10,20,0.12"] * 5 + ["10,20,11.5"] * 10, CONVERSION)
    assert "0.12 looks like a share, 11.5 on line 7 like a percent" in problems(mixed)[0]
    low = daily([f"10,20,{value}" for value in np.geomspace(0.4, 9, 20).round(2)], CONVERSION)
    assert read(low).products[0].organic.max() == 9


def test_units_that_contradict_sales_are_refused(problems: Problems, read: Read, daily: Daily) -> None:
    lines = daily(["10,20,2"] * 12 + ["10,20,5"] + ["10,30,3"] * 12, UNITS)
    assert problems(lines) == ("line 14, Units: 5 × 10 is not 20; if it is right, set --data.reading.suspicious keep",)
    assert read(daily(["10,20,2", "10,19,2"] * 10, UNITS)).products[0].units[0] == 2  # a discount


def test_names_that_differ_in_case_spaces_or_unicode_form_are_one_product(read: Read, problems: Problems) -> None:
    names = ["Café", "cafe\u0301", " CAFÉ", "Caf\u00e9  "]
    lines = [PRODUCTS, *(f"2025-01-{day + 1:02},10,20,{names[day % 4]}" for day in range(20))]
    history = read(lines)
    assert [(item.product, len(item.dates)) for item in history.products] == [("Café", 20)]
    assert "differ in case, spaces or Unicode form only; read as one." in history.reports[0].notes[0]
    assert "write one product alike" in problems([*lines, "2025-01-20,10,20,café"])[0]


def test_a_price_below_a_millionth_is_refused(problems: Problems, read: Read, daily: Daily) -> None:
    assert "must be at least 0.000001" in problems(daily(["0.0000005,1"] * 10))[0]
    assert read(daily(["0.001,0.002"] * 10)).products[0].price[0] == 0.001


@pytest.mark.parametrize("market", MARKETS)
def test_no_simulated_seller_is_refused(market: str) -> None:
    for units in (0.5, 20.0):
        seller = ShopConfig(market=market, days=200, units=units, seed=5)  # type: ignore[arg-type]  # a str
        assert not simulated_history(seller, DataConfig()).problems


def sales(paid: float, posted: float = 12.5) -> list[str]:
    return [f"{posted},{count * round(paid, 2):.2f}" for count in COUNTS]


@pytest.mark.parametrize(
    ("place", "cell", "found"),
    [(7, "3.75", "is 1/10 of"), (9, "750.00", "is 10 times"), (5, "0.25", "is 1/100 of")],
)
def test_sales_with_a_moved_decimal_sign_are_refused(
    problems: Problems, read: Read, daily: Daily, place: int, cell: str, found: str
) -> None:
    lines = daily(sales(12.5))
    lines[1 + place] = f"{lines[1 + place][:10]},12.5,{cell}"
    (problem,) = problems(lines)
    assert problem.startswith(f"line {2 + place}, Total Sales: {float(cell):g} at a price of 12.5 {found} what other")
    assert len(read(lines, KEEP).products[0].dates) == len(COUNTS)


@pytest.mark.parametrize("last", ["10.00", "11.25", "8.75", "250.00", "1000.00", "6.25", "0.25 31.84 19.37"])
def test_discounts_large_orders_and_days_less_returns_are_no_moved_decimal_sign(
    read: Read, daily: Daily, last: str
) -> None:
    cells = [*sales(12.5)[: -last.count(" ") or None], *(f"12.5,{cell}" for cell in last.split())]
    assert len(read(daily(cells)).products[0].dates) == len(COUNTS) + 1


def test_a_profit_above_sales_on_most_days_skips_its_product(read: Read, problems: Problems, daily: Daily) -> None:
    swapped = [f"9.95,{5.97 * count:.2f},{9.95 * count:.2f},Swapped" for count in COUNTS]
    right = [f"9.95,{9.95 * count:.2f},{5.97 * count:.2f},Right" for count in COUNTS]
    lines = [*daily(swapped, PROFIT), *daily(right, PROFIT)[1:]]
    history = read(lines)
    assert [item.product for item in history.products] == ["Right"]
    assert "is above Total Sales on 30 of 30 days with sales; are the columns swapped" in str(history.problems[0])
    assert "Total Profit" in problems(daily(swapped, PROFIT))[0]
    in_units = [f"10,{count},{6 * count},Units" for count in COUNTS]
    assert read(daily(in_units, PROFIT), DataConfig(sales="units")).products[0].sales[0] == 30


def test_a_unit_cost_above_the_price_on_most_days_is_refused(problems: Problems, read: Read, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Unit Cost"
    of_all_units = daily([f"9.95,{9.95 * count:.2f},{5.97 * count:.2f}" for count in COUNTS], header)
    (problem,) = problems(of_all_units)
    assert "Unit Cost: is above Product Price on 24 of 30 days with sales; is it the cost of all units" in problem
    assert read(of_all_units, KEEP).products[0].unit_cost == 35.82
    cleared = daily(["9.95,19.90,5.97"] * 16 + ["4.95,9.90,5.97"] * 14, header)
    assert read(cleared).products[0].unit_cost == 5.97


def test_coupons_on_some_days_are_no_taxes(read: Read, daily: Daily) -> None:
    for coupon in (0.95, 0.9, 0.8, 0.75):
        assert len(read(daily([*sales(12.5), *sales(12.5 * coupon, posted=12.5)])).products) == 1


def test_random_counts_and_prices_are_accepted(read: Read, daily: Daily) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        prices = rng.choice([9.99, 10.49, 11.95], 90)
        paid = rng.negative_binomial(1, 0.1, 90) * prices
        cells = [f"{price},{total:.2f}" for price, total in zip(prices, paid, strict=True)]
        assert len(read(daily(cells)).products) == 1
