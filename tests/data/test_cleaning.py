from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from pricerl.data.cleaning.calendar import carry_forward, fill_conversion, find_bounds, impute_trailing_mean
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.config import DataConfig
from pricerl.data.days import DAY
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import DataError
from pricerl.reasons import Reason

FULL = "Report Date,Product Price,Total Sales,Organic Conversion Percentage,Total Profit,Predicted Sales"


def test_history_ends_at_the_last_day_with_price_and_sales(read, daily):
    history = read(daily(["10,20"] * 10 + [",", ",0", ",5", "10,"]))
    assert str(history.products[0].dates[-1]) == "2025-01-10"
    assert [str(day) for day in history.products[0].future_dates] == [f"2025-01-{day}" for day in range(11, 15)]
    assert np.isnan(history.products[0].future_predicted).all()


@pytest.mark.parametrize(("third", "zeros", "future"), [("10,20", 5, 8), ("10,0", 10, 0)])
def test_trailing_zeros_are_future_only_where_they_are_improbable(read, daily, third, zeros, future):
    history = read(daily(["10,20", "10,0", third, "10,20"] * 5 + ["10,0"] * 8))
    report = history.reports[0]
    assert (report.history_days, report.future_days) == (28 - future, future)
    assert report.zero_sale_days == zeros + 8 - future
    assert history.products[0].observed.all()
    assert ("Trailing priced days without sales, taken for future days: 8." in report.notes) == (future > 0)


def test_trailing_zero_rule_compares_the_power_of_the_share_with_one_in_a_thousand():
    sales = np.array([1.0, 0.0] * 10 + [1.0])
    half = 10 / 21
    for run in (1, 9, 10):
        price = np.full(21 + run, 5.0)
        bounds = find_bounds(price, np.concatenate([sales, np.zeros(run)]), Segments([21 + run]))
        assert bounds == ((0, 20, run) if half**run < 0.001 else (0, 20 + run, 0))


def test_only_the_forecast_is_read_from_future_rows(read, daily):
    history = read(daily(["10,20,5,3,20"] * 10 + [",0,99,99,21", ",,,,"] + [",,,,23"], FULL))
    product = history.products[0]
    np.testing.assert_array_equal(product.future_predicted, [21, np.nan, 23])
    assert product.organic.max() == 5 and product.profit.max() == 3


def test_days_before_the_first_sale_are_dropped_and_counted(read, daily):
    history = read(daily([",", "10,0", "10,"] + ["10,20"] * 10))
    assert str(history.products[0].dates[0]) == "2025-01-04"
    assert history.reports[0].dropped_leading_days == 3


def test_blank_price_or_sales_alone_are_a_day_on_which_nothing_sold(read, daily):
    history = read(daily(["10,20", "12,24", ",", ",0", *["10,20"] * 8, "10,", "10,20"]))
    product, report = history.products[0], history.reports[0]
    assert product.price[2:4].tolist() == [12.0, 12.0]
    assert product.sales[[2, 3, 12]].tolist() == product.units[[2, 3, 12]].tolist() == [0.0, 0.0, 0.0]
    assert product.observed.all()
    assert (report.zero_sale_days, report.blank_price_days) == (3, 2)
    assert (report.filled["Product Price"], report.filled["Total Sales"]) == (2, 2)


@pytest.mark.parametrize(("run", "gap"), [(14, 0), (15, 15)])
def test_long_run_of_blank_days_is_a_gap(read, daily, run, gap):
    history = read(daily(["10,20"] * 10 + [","] * run + ["10,20"] * 3))
    product = history.products[0]
    assert history.reports[0].gap_days == gap == (~product.observed).sum()
    assert product.sales[12] == (20.0 if gap else 0.0)
    assert history.reports[0].doubts == ((Reason("long_gaps", {"days": 15}),) if gap else ())


def test_gap_length_is_a_setting_and_absent_days_do_not_end_a_run(read, daily):
    lines = daily(["10,20"] * 10 + [","] * 5 + ["10,20"] * 3)
    assert read(lines, DataConfig(max_gap_days=4)).reports[0].gap_days == 5
    del lines[13]
    assert read(lines, DataConfig(max_gap_days=4)).reports[0].gap_days == 4
    assert read(lines, DataConfig(max_gap_days=5)).reports[0].gap_days == 0


def test_absent_days_are_unknown_and_imputed_by_the_week_before(read, daily):
    lines = daily([f"10,{10 * units}" for units in (1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9)])
    del lines[9:11]
    product = read(lines).products[0]
    assert len(product.dates) == 12
    assert product.observed.tolist() == [True] * 8 + [False] * 2 + [True] * 2
    assert product.units[8] == np.mean([2, 3, 4, 5, 6, 7, 8])
    assert product.units[9] == pytest.approx(np.mean([3, 4, 5, 6, 7, 8, product.units[8]]))
    assert product.sales[8] == pytest.approx(10 * product.units[8])
    assert product.price[8] == 10


def test_a_refund_and_a_sale_without_a_price_are_excluded_from_demand(read, daily):
    history = read(daily(["10,20,5,3,"] * 8 + ["10,-10,5,-8,", ",30,5,3,", "12,24,5,3,"], FULL))
    product = history.products[0]
    assert np.flatnonzero(~product.observed).tolist() == [8, 9]
    assert product.sales[8] == 20 and product.units[8] == 2
    assert product.profit[8] == -8 and not product.profit_known[8]
    assert (product.price[9], product.sales[9], product.units[9]) == (10, 30, 3)
    assert history.reports[0].refund_days == 1 and history.reports[0].priced_days == 10


def test_conversions_are_capped_and_filled_with_the_median(read, daily):
    history = read(daily([f"10,20,{cell},," for cell in ("10", "20", "200", "", "30", "40", "", "50")], FULL))
    assert history.products[0].organic.tolist() == [10, 20, 100, 35, 30, 40, 35, 50]
    assert history.reports[0].filled["Organic Conversion Percentage"] == 2
    assert "Organic Conversion Percentage: values above 100 count as 100." in history.reports[0].notes


def test_absent_and_blank_columns_are_not_used(read, daily):
    history = read(daily(["10,20,,,"] * 10, FULL))
    product = history.products[0]
    assert np.isnan([product.organic, product.ad, product.predicted]).all()
    assert product.profit.tolist() == [0.0] * 10 and not product.profit_known.any()
    assert sum(note.endswith("blank throughout the history; not used.") for note in history.reports[0].notes) == 4
    assert history.reports[0].filled["Total Profit"] == 0


def test_profit_is_known_only_where_it_was_reported(read, daily):
    product = read(daily(["10,20,5,,"] * 8 + ["10,20,5,3,", ",,5,-1,", "10,20,5,3,"], FULL)).products[0]
    assert product.profit_known.tolist() == [False] * 8 + [True] * 3
    assert product.profit.tolist() == [0.0] * 8 + [3.0, -1.0, 3.0]


def test_no_unit_cost_is_known_where_none_is_given(read, daily):
    assert read(daily(["10,20,"] * 8, "Report Date,Product Price,Total Sales,Unit Cost")).products[0].unit_cost is None
    assert read(daily(["10,20"] * 8)).products[0].unit_cost is None


def test_a_constant_price_is_read_and_fails_the_verdict(read, daily):
    report = read(daily(["10,20"] * 40)).reports[0]
    assert report.distinct_prices == 1 and report.judge().quality == "FAIL"
    assert report.judge().findings == (Reason("one_price"),)


@given(nps.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e6)), st.data())
def test_imputation_leaves_no_nan_and_stays_in_range(values, data):
    unknown = data.draw(nps.arrays(np.bool_, len(values)))
    unknown[0] = False
    whole = impute_trailing_mean(np.where(unknown, np.nan, values), unknown, Segments([len(values)]))
    assert np.isfinite(whole).all()
    assert whole.min() >= values[~unknown].min() * (1 - 1e-12) and whole.max() <= values[~unknown].max() * (1 + 1e-12)
    np.testing.assert_array_equal(whole[~unknown], values[~unknown])


def test_carry_forward_and_conversion_fill_on_hand_made_arrays():
    nan = np.nan
    np.testing.assert_array_equal(carry_forward(np.array([1.0, nan, nan, 2.0, nan])), [1, 1, 1, 2, 2])
    percent = np.array([nan, 150.0, 20.0, nan, 5.0, nan, nan])
    filled = fill_conversion(percent, Segments([4, 2, 1]))
    np.testing.assert_array_equal(filled, [60, 100, 20, 60, 5, 5, nan])


CELLS = st.sampled_from(["", "0", "5", "10", "12.5", "20", "-10", "37.5", "100"])


@given(st.lists(st.tuples(CELLS.filter(lambda cell: cell != "-10"), CELLS, CELLS, st.booleans()), max_size=40))
def test_any_history_is_clean_or_refused(cells):
    lines = ["Report Date,Product Price,Total Sales,Total Profit"]
    lines += [
        f"{np.datetime64('2025-01-01') + day * DAY},{price},{sales},{profit}"
        for day, (price, sales, profit, kept) in enumerate(cells)
        if kept
    ]
    try:
        product = history_from_text("\n".join(lines), "made up", DataConfig()).products[0]
    except DataError:
        return
    for values in (product.price, product.units, product.sales, product.profit):
        assert values.shape == product.dates.shape and np.isfinite(values).all()
    assert (product.price > 0).all() and (product.units >= 0).all() and (product.sales >= 0).all()
    assert (np.diff(product.dates).astype(int) == 1).all()
    assert (product.observed | ~product.profit_known).all()


def test_a_product_has_the_group_of_its_newest_row_with_one(read, daily):
    roses = daily([f"10,20,rose,{name}" for name in ["soaps"] * 8 + [" Bars "] * 2 + [""] * 2])
    limes = daily(["10,20,lime,"] * 12)
    history = read([f"{roses[0]},Product,Product Group", *roses[1:], *limes[1:]])
    assert [item.group for item in history.products] == ["Bars", ""]
    assert "Column 'Product Group' was read as Group." in history.reports[0].notes
