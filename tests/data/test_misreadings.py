"""Files that can be read, but not as they are: each is refused or explained by name, in one sentence."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from fixture_types import Problems, Read

from pricerl.data.config import DataConfig
from pricerl.data.days import DAY

KEEP = DataConfig(suspicious="keep")
COUNTS = (3, 1, 2, 4, 5, 2, 1, 3, 2, 6, 4, 7)
PRICES = {"Mug": (12.49, 12.99, 11.95), "Rug": (49.0, 52.5, 47.95), "Jar": (7.45, 7.95, 6.99)}
FIELDS = ("Report Date", "Product", "Product Price", "Total Sales", "Units")

Rows = list[dict[str, str]]


def shop(days: int = 60, products: tuple[str, ...] = ("Mug", "Rug", "Jar")) -> Rows:
    """Rows by day, whose prices change every ten days."""
    rows = []
    for day in range(days):
        for place, name in enumerate(products):
            price = PRICES[name][day // 10 % 3]
            units = COUNTS[(5 * day + place) % len(COUNTS)]
            date_cell = str(np.datetime64("2025-01-01") + day * DAY)
            cells = (date_cell, name, f"{price:.2f}", f"{units * price:.2f}", str(units))
            rows.append(dict(zip(FIELDS, cells, strict=True)))
    return rows


def csv_of(rows: Rows, without: str = "") -> list[str]:
    names = [name for name in rows[0] if name not in without.split("|")]
    return [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]


def scale(rows: Rows, column: str, factor: float, since: str = "") -> Rows:
    """Multiply the amounts of a column from a day on."""
    scaled = [row | {column: f"{float(row[column]) * factor:.2f}"} for row in rows]
    return [new if new["Report Date"] >= since else old for old, new in zip(rows, scaled, strict=True)]


@pytest.mark.parametrize(("since", "tax"), [("2025-02-01", 1.19), ("2025-02-20", 1.21)])
@pytest.mark.parametrize("column", ["Product Price", "Total Sales"])
@pytest.mark.parametrize(("without", "measure"), [("Units", "a whole number of prices"), ("", "price × units")])
def test_tax_in_price_or_sales_from_some_day_on_is_refused(
    problems: Problems, read: Read, since: str, tax: float, column: str, without: str, measure: str
) -> None:
    lines = csv_of(scale(shop(), column, tax, since), without)
    (problem,) = problems(lines)
    factor = tax if column == "Total Sales" else 1 / tax
    assert f"is {factor:.3g}" in problem and f" times {measure} from {since} on, but not so on line 2" in problem
    assert len(read(lines, KEEP).products) == 3


def with_sales(rows: Rows) -> Rows:
    """Fill in the sales that follow from prices and units."""
    return [row | {"Total Sales": f"{float(row['Product Price']) * int(row['Units']):.2f}"} for row in rows]


@pytest.mark.parametrize("factor", [1.2, 1 / 1.2])
@pytest.mark.parametrize("orders", [True, False], ids=["order export", "table of days"])
def test_tax_that_turns_in_all_prices_at_once_is_refused(
    problems: Problems, read: Read, factor: float, orders: bool
) -> None:
    def lines(factor: float) -> list[str]:
        rows = with_sales(scale(shop(), "Product Price", factor, "2025-01-25"))
        names = ("Report Date", "Product", "Units", "Product Price")
        of_orders = ["Date,Item,Quantity,Unit Price", *(",".join(row[name] for name in names) for row in rows)]
        return of_orders if orders else csv_of(rows)

    (problem,) = problems(lines(factor))
    assert f"on 2025-01-25 most prices became {factor:.4g} times as high and demand did not react" in problem
    assert len(read(lines(factor), KEEP).products) == len(read(lines(1.0)).products) == 3


def test_a_supplier_who_raises_all_prices_or_a_raise_that_buyers_notice_is_accepted(read: Read) -> None:
    few_percent = scale(shop(), "Product Price", 1.037, "2025-01-25")
    noticed = [
        row | {"Units": str(int(row["Units"]) // (1 if row["Report Date"] < "2025-01-25" else 2))}
        for row in scale(shop(), "Product Price", 1.2, "2025-01-25")
    ]
    for rows in (few_percent, noticed):
        assert len(read(csv_of(with_sales(rows))).products) == 3


@pytest.mark.parametrize("factor", [1 / 1.2, 1.19])
def test_a_ratio_of_all_rows_is_named(read: Read, factor: float) -> None:
    rows = scale(shop(), "Total Sales", factor)
    for without, reported in {"": True, "Units": False}.items():
        for report in read(csv_of(rows, without)).reports:
            (doubt,) = report.doubts
            assert doubt.code == "sales_off" and doubt.numbers["reported"] == reported
            assert doubt.numbers["factor"] == pytest.approx(factor, rel=0.01)
            assert report.judge().quality == "REVIEW"


def test_coupons_and_shipping_in_sales_are_named(read: Read) -> None:
    coupons = [
        row | {"Total Sales": f"{float(row['Total Sales']) - day // 3 % 3 * 1.5:.2f}"} for day, row in enumerate(shop())
    ]
    for report in read(csv_of(coupons)).reports:
        assert report.doubts[0].code == "sales_off" and 0.9 <= report.doubts[0].numbers["factor"] < 1
    for report in read(csv_of(coupons, "Units")).reports:
        assert report.doubts[0].code == "sales_not_whole"


def test_units_that_count_something_else_are_refused_in_one_sentence(problems: Problems) -> None:
    packs = [row | {"Units": str(12 * int(row["Units"]))} for row in shop()]
    (problem,) = problems(csv_of(packs))
    assert problem.startswith("line 32, Units: neither 24 × 12.99 nor 24 is 25.98, as on many other rows;")
    visits = [row | {"Units": str(70 + place % 17)} for place, row in enumerate(shop())]
    assert "as on many other rows" in problems(csv_of(visits))[0]


@pytest.mark.parametrize("without", ["Units", ""])
def test_a_day_of_a_million_times_the_sales_costs_its_product(read: Read, without: str) -> None:
    rows = shop()
    rows[31] = scale([rows[31]], "Total Sales", 1e6)[0]
    history = read(csv_of(rows, without))
    assert [item.product for item in history.products] == ["Mug", "Jar"]
    assert history.problems[0].line == 33 and "suspicious keep" in history.problems[0].text


def test_units_in_packs_are_not_taken_for_revenue(problems: Problems, read: Read) -> None:
    lines = ["Report Date,Product Price,Total Sales"]
    lines += [
        f"{np.datetime64('2025-01-01') + day * DAY},{(1.2, 1.5)[day // 15 % 2]},{6 * COUNTS[day % 12]}"
        for day in range(60)
    ]
    text = "can be units sold in packs as well as revenue; set --data.reading.sales units or revenue"
    assert problems(lines) == (f"line 2, Total Sales: {text}",)
    assert read(lines, DataConfig(sales="units")).products[0].units[0] == 18
    assert read(csv_of(scale(shop(), "Total Sales", 1.0), "Units")).reports[0].sales_measure == "revenue"


def test_rows_that_are_there_twice_are_one_problem(problems: Problems, read: Read) -> None:
    rows = shop()
    for first in (2, 95, 179):
        (problem,) = problems(csv_of([*rows, *rows[first - 2 :]]))
        found = f"{182 - first} rows repeat product and day, such as line 182 and line {first}"
        assert problem == f"line 182, Report Date: {found}, cell by cell; delete what is there twice"
    assert len(read(csv_of([*rows, *rows[:30:3]])).products) == 2  # those of one product cost it alone


@pytest.mark.parametrize("column", ["Store", "Country", "Group"])
def test_the_column_that_separates_two_shops_is_named(problems: Problems, column: str) -> None:
    rows = [
        row | {"Memo": str(place)} | {column: name} for name in ("York", "Leeds") for place, row in enumerate(shop())
    ]
    (problem,) = problems(csv_of(rows))
    assert problem.startswith("line 182, Report Date: 180 rows repeat product and day, such as line 182 and line 2")
    assert f"which column {column!r} separates ('York', 'Leeds')" in problem


def test_returns_with_rows_of_their_own_are_one_problem(problems: Problems) -> None:
    rows = shop()
    returns = [row | {"Total Sales": f"-{row['Product Price']}", "Units": "-1"} for row in rows[::8]]
    (problem,) = problems(csv_of([*rows, *returns]))
    assert problem.startswith("line 182, Report Date: 23 rows repeat product and day, such as line 182 and line 2")
    assert "which no column separates" in problem


@pytest.mark.parametrize("name", ["Total", "Grand total:", "Sept Total", "Summe", "TOTAL 2025"])
def test_lines_of_sums_are_left_out(read: Read, name: str) -> None:
    rows = shop()
    total = f"{sum(float(row['Total Sales']) for row in rows):.2f}"
    column = "Product" if name in ("Summe", "TOTAL 2025") else "Report Date"
    history = read(csv_of([*rows, {"Total Sales": total, "Units": "500", column: name}]))
    assert len(history.products) == 3 and not history.problems
    assert history.reports[0].notes[0] == "1 line of sums left out, such as line 182."


def test_a_row_without_a_product_costs_its_day_only(read: Read) -> None:
    rows = shop()
    rows[31] = rows[31] | {"Product": " "}
    history = read(csv_of(rows))
    assert [int((~item.observed).sum()) for item in history.products] == [0, 1, 0]
    assert str(history.problems[0]) == "line 33: has no product; 2025-01-11 counts as unknown; fill it in"


def test_products_of_weekly_rows_among_days_are_skipped(read: Read) -> None:
    rows = [row for place, row in enumerate(shop(90)) if row["Product"] != "Rug" or place // 3 % 7 == 2]
    history = read(csv_of(rows))
    assert [item.product for item in history.products] == ["Mug", "Jar"]
    assert str(history.problems[0]).startswith("Report Date: rows of product 'Rug' are weeks,")


@pytest.mark.parametrize("name", ["None", "NA", "null", "nan", "N/A"])
def test_a_product_may_be_called_none(read: Read, name: str) -> None:
    rows = [row | {"Product": row["Product"].replace("Rug", name)} for row in shop()]
    assert [item.product for item in read(csv_of(rows)).products] == ["Mug", name, "Jar"]


def test_the_row_of_today_is_no_fall_of_demand(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(date):
        @classmethod
        def today(cls) -> date:
            return date(2025, 2, 19)

    rows = shop(50)
    rows[-3:] = [row | {"Units": "1", "Total Sales": row["Product Price"]} for row in rows[-3:]]
    assert all(item.observed[-1] for item in read(csv_of(rows)).products)
    monkeypatch.setattr("pricerl.data.cleaning.cleaning.date", Clock)
    history = read(csv_of(rows))
    assert not any(item.observed[-1] for item in history.products)
    assert history.products[0].last_day == Clock.today() and history.products[0].current_price == 12.99
    assert "Days not over yet, as they are today, excluded from demand: 1." in history.reports[0].notes
