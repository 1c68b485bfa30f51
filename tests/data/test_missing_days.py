from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from fixture_types import Daily, Problems, Read

from pricerl.data.cleaning.calendar import fill_prices
from pricerl.data.cleaning.missing_days import find_missing_days
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.config import DataConfig
from pricerl.data.days import DAY
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import UsageError
from pricerl.simulation.seller import SellerConfig, simulate

Choice = Callable[[pd.DataFrame], np.ndarray]


def sold(frame: pd.DataFrame) -> np.ndarray:
    return frame["Total Sales"].to_numpy() > 0


def recorded(frame: pd.DataFrame) -> np.ndarray:
    return np.random.default_rng(1).random(len(frame)) > 0.1


def seller(units: float, keep: Choice | None = None, seed: int = 3, products: int = 1) -> pd.DataFrame:
    frame, _ = simulate(SellerConfig(days=365, units=units, seed=seed, products=products))
    return frame if keep is None else frame[keep(frame)]


def clean(frame: pd.DataFrame, **settings: str) -> History:
    return history_from_text(frame.to_csv(index=False), "file", DataConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("units", [0.3, 1.0, 3.0])
def test_days_left_out_of_a_list_of_sales_are_days_without_a_sale(units: float) -> None:
    complete, listed = clean(seller(units)), clean(seller(units, sold))
    product, report = listed.products[0], listed.reports[0]
    np.testing.assert_array_equal(product.units, complete.products[0].units[: len(product.units)])
    assert product.observed.all() and report.missing_days == 0
    assert report.zero_sale_days == (product.units == 0).sum() > 10
    note = f"{report.zero_sale_days} days without a row: read as days without a sale, because the file has 0 rows"
    assert any(found.startswith(note) and found.endswith("missing_days unknown.") for found in report.notes)


@pytest.mark.parametrize("units", [0.3, 3.0, 50.0])
def test_days_left_out_at_random_are_unknown(units: float) -> None:
    history = clean(seller(units, recorded))
    assert 20 < history.reports[0].missing_days == (~history.products[0].observed).sum() < 50
    assert any("read as unknown, because" in note for note in history.reports[0].notes)


def test_the_setting_overrides_what_the_pattern_suggests() -> None:
    assert clean(seller(1.0, sold), missing_days="unknown").reports[0].missing_days > 100
    zero = clean(seller(50.0, recorded), missing_days="zero")
    assert zero.reports[0].missing_days == 0
    assert "taken_as_empty" in {doubt.code for doubt in zero.reports[0].doubts}
    with pytest.raises(UsageError, match="missing_days must be one of 'auto', 'zero', 'unknown', found 'none'"):
        DataConfig(missing_days="none")  # type: ignore[arg-type]


def test_a_gap_too_long_for_chance_stays_unknown() -> None:
    frame = seller(3.0, sold)
    days = pd.to_datetime(frame["Report Date"])
    history = clean(frame[(days < "2025-05-01") | (days > "2025-05-20")])
    missing = history.products[0].dates[~history.products[0].observed].astype(str)
    assert set(missing) >= {f"2025-05-{day:02}" for day in range(1, 21)} and len(missing) < 25


def test_a_day_without_a_row_among_steady_sales_is_missing_and_closed_weekdays_are_no_evidence(
    read: Read, daily: Daily
) -> None:
    lines = daily(["10,20", "11,11"] * 60)
    del lines[40]
    assert read(lines).reports[0].missing_days == 1
    open_days = seller(50.0, lambda frame: pd.to_datetime(frame["Report Date"]).dt.day_of_week.to_numpy() < 5)
    report = clean(open_days).reports[0]
    assert report.missing_days == 104 and not any("without a row" in note for note in report.notes)


def test_a_day_without_a_row_of_any_of_many_products_is_not_covered() -> None:
    frame = seller(1.0, sold, products=20)
    assert all(product.observed.all() for product in clean(frame).products)
    history = clean(frame[frame["Report Date"] != "2025-05-05"])
    for product in history.products:
        assert not product.observed[product.dates == np.datetime64("2025-05-05")].any()
        assert product.observed.mean() > 0.97


def test_an_undecided_pattern_needs_a_review() -> None:
    frame = seller(5.0, sold).head(60)
    unclear = clean(frame.drop(index=frame.index[[11, 23, 37]])).reports[0]
    assert "rows_undecided" in {doubt.code for doubt in unclear.doubts}
    assert unclear.judge().quality == "REVIEW"


def test_a_day_without_a_row_takes_the_nearest_price() -> None:
    price = np.array([10, np.nan, np.nan, np.nan, 12, np.nan, 13, np.nan])
    no_sale = np.array([False, True, True, True, False, False, False, True])
    assert fill_prices(price, no_sale, Segments([len(price)])).tolist() == [10, 10, 10, 12, 12, 12, 13, 13]


def test_a_product_that_rarely_sells_is_read_from_a_list_of_sales(read: Read, problems: Problems) -> None:
    thin = seller(0.06, sold)
    assert pd.to_datetime(thin["Report Date"]).diff().dt.days.median() >= 5
    history = clean(thin)
    assert history.reports[0].missing_days == 0 and (history.products[0].units > 0).sum() == len(thin)
    dates = [f"2025-{month:02}-{day}" for month in range(1, 9) for day in ("01", "11", "21")]
    spaced = ["Report Date,Product Price,Total Sales", *(f"{date},10,500" for date in dates)]
    assert "set --data.reading.missing_days zero" in problems(spaced)[0]
    assert len(read(spaced, DataConfig(missing_days="zero")).products[0].dates) == 233
    assert "10 days apart" in problems(spaced, DataConfig(missing_days="unknown"))[0]


def test_days_after_the_last_sale_have_no_sale_unless_chance_excludes_that() -> None:
    listed, last = seller(0.5, sold, products=2), np.datetime64("2025-12-01")
    days, first = pd.to_datetime(listed["Report Date"]), listed["Product"] == listed["Product"].iloc[0]
    for stop, ends in (("2025-11-25", True), ("2025-09-01", False)):
        frame = listed[(days < str(last)) & (~first | (days < stop))]
        one, other = clean(frame).products
        assert other.dates[-1] >= last - 9 * DAY and (one.dates[-1] == other.dates[-1]) == ends
        assert (one.units[one.dates >= np.datetime64(stop)] == 0).all()
        assert one.observed[-1]


def test_two_sales_a_week_apart_are_no_weekly_rows() -> None:
    frame = seller(0.8, sold, products=2)
    name = frame["Product"].iloc[0]
    few = frame[frame["Product"] == name].head(2).assign(Product="Few")
    few["Report Date"] = ["2025-03-03", "2025-03-10"]
    history = clean(pd.concat([frame, few]))
    assert len(history.products) == 2 and [item.product for item in history.problems] == ["Few"]


def test_a_price_of_almost_nothing_changes_no_pattern() -> None:
    frame = seller(1.0, sold).assign(**{columns.PRODUCT: "one"}).astype({columns.PRODUCT: "category"})
    frame[columns.REPORT_DATE] = pd.to_datetime(frame[columns.REPORT_DATE])
    tiny = frame.copy()
    tiny.iloc[10, tiny.columns.get_loc(columns.PRODUCT_PRICE)] = 1e-200
    assert find_missing_days(tiny, "auto").meaning == find_missing_days(frame, "auto").meaning == "zero"
