from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Daily, Problems, Read

from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.cleaning.sales_unit import find_kind, find_measures
from pricerl.data.config import DataConfig

PRICES = (9.95, 10.45, 11.25, 12.85)


@pytest.mark.parametrize("measure", ["revenue", "units"])
def test_revenue_and_units_are_recognised(read: Read, daily: Daily, measure: str) -> None:
    days = [(PRICES[day % 4], day % 5 + 1) for day in range(20)]
    history = read(
        daily([f"{price},{round(price * sold, 2) if measure == 'revenue' else sold}" for price, sold in days])
    )
    product, report = history.products[0], history.reports[0]
    assert (report.sales_measure, report.whole_unit_share) == (measure, 1.0)
    assert product.units.tolist() == [sold for _, sold in days]
    np.testing.assert_allclose(product.sales, product.units * product.price)


def test_forecast_follows_the_measure_of_the_sales(read: Read, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Predicted Sales"
    cells = [f"{PRICES[day % 4]},{day % 5 + 1},3" for day in range(20)] + [",,4"]
    product = read(daily(cells, header)).products[0]
    np.testing.assert_allclose(product.predicted, 3 * product.price)
    np.testing.assert_allclose(product.future_predicted, 4 * product.price[-1])


def test_setting_overrides_the_numbers(read: Read, daily: Daily) -> None:
    revenue, units = (read(daily(["2.00,6"] * 10), DataConfig(sales=kind)).products[0] for kind in ("revenue", "units"))
    assert (revenue.units[0], units.units[0], units.sales[0]) == (3, 6, 12)


def test_doubtful_sales_are_revenue_with_fractional_units_and_a_note(read: Read, daily: Daily) -> None:
    history = read(daily([f"10,{17.37 + day}" for day in range(20)]))
    assert history.reports[0].sales_measure == "revenue"
    assert history.products[0].units[0] == pytest.approx(1.737)
    (doubt,) = history.reports[0].doubts
    assert doubt.code == "sales_not_whole"


def test_price_rounded_to_cents_still_gives_whole_units() -> None:
    generator = np.random.default_rng(0)
    exact, units = generator.uniform(5, 15, 200), generator.integers(1, 60, 200)
    price, sales = np.round(exact, 2), np.round(exact * units, 2)
    (measure,) = find_measures(price, sales, np.full(200, np.nan), "auto", Segments([200]))
    assert measure.kind == "revenue" and measure.whole_share > 0.99


def test_cheap_product_whose_sales_can_be_units_is_refused(problems: Problems, daily: Daily) -> None:
    (problem,) = problems(daily([f"0.5,{1 + day}" for day in range(25)]))
    assert "can be units sold in packs as well as revenue; set --data.reading.sales" in problem
    assert find_kind(np.full(20, 0.5), np.arange(1.0, 21.0), np.full(20, np.nan), "auto") == "revenue"


def test_units_column_wins(read: Read, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Units"
    discounted = read(daily(["10,27,3"] * 9 + ["10,27,"], header))
    assert discounted.products[0].units.tolist() == [3.0] * 10  # whole, as the reported units are
    assert discounted.reports[0].sales_measure == "revenue"
    pieces = read(daily([f"10,{10 * day},{10 * day}" for day in range(1, 11)], header))
    assert pieces.reports[0].sales_measure == "units"
    assert pieces.products[0].sales[0] == 100


def test_something_sold_is_never_zero_units(read: Read, daily: Daily) -> None:
    product = read(daily(["10,20"] * 10 + ["10,3"])).products[0]
    assert product.units[-1] == 1
