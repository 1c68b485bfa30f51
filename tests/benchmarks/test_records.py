from __future__ import annotations

import numpy as np
import pytest
from shops.records import STOCK_SHARE, average_share, censor, fill_orders
from shops.sellers import ShopConfig

from pricerl.data.config import DataConfig
from pricerl.simulation.seller import simulate, simulated_history


def rng():
    return np.random.default_rng(0)


def shops(market, **settings):
    return [simulate(ShopConfig(market=market, seed=seed, **settings)) for seed in range(20)]


def test_a_week_sells_no_more_than_was_delivered():
    units = np.array([3, 4, 5, 6, 7, 8, 9, 1, 1, 1, 1, 1, 1, 1, 9, 9])
    sold = censor("stockouts", units, 4.0, rng())
    delivered = round(STOCK_SHARE * 7 * 4)
    assert sold[:7].sum() == delivered and (sold[:7] <= units[:7]).all() and sold[6] == 0
    assert (sold[7:14] == 1).all()
    assert (censor("constant", units, 4.0, rng()) == units).all()


def test_stock_that_ends_late_in_the_day_leaves_no_day_without_a_sale():
    demanded = np.full(1000, 12.0)
    sold = censor("late_stockouts", demanded, 10.0, rng())
    assert (sold >= 1).all() and (sold <= 12).all() and 0.3 < (sold < 12).mean() < 0.8
    assert (censor("late_stockouts", np.full(1000, 1.0), 10.0, rng()) == 1).all()


def test_a_file_of_averages_holds_revenue_over_units_with_digits_below_the_cent():
    (frame, truth), *_ = shops("averages", days=400)
    sold = frame[frame["Total Sales"] > 0]
    units = sold["Total Sales"] / sold["Product Price"]
    assert np.abs(units - units.round()).max() < 0.01
    below_cent = np.abs(100 * sold["Product Price"] - (100 * sold["Product Price"]).round()) > 1e-6
    assert below_cent.mean() > 0.3
    assert sold["Product Price"].mean() == pytest.approx(truth["current_price"], rel=0.05)
    report = simulated_history(ShopConfig(market="averages", days=400), DataConfig()).reports[0]
    assert report.sales_measure == "revenue"


def test_large_orders_pay_less_and_the_mean_price_is_the_stated_share_of_the_posted_one():
    posted = np.full(2000, 10.0)
    units, revenue, average = fill_orders(posted, np.full(2000, 40.0), rng())
    assert units.mean() == pytest.approx(40, rel=0.03)
    assert revenue.sum() / units.sum() == pytest.approx(10 * average_share(), rel=0.003)
    assert np.corrcoef(units, average)[0, 1] < -0.2 and average.max() <= 10
    assert np.isnan(fill_orders(posted[:1], np.zeros(1), rng())[2][0])


def test_closed_days_sell_nothing_and_half_of_the_shops_leave_them_out():
    rows = []
    for frame, truth in shops("closed", days=70, units=50.0):
        demand = np.array(truth["weekday_demand"])
        closed = np.array([date.weekday() in np.flatnonzero(demand == 0) for date in frame["Report Date"].map(day)])
        assert demand[6] == 0 and (demand == 0).sum() <= 2 and demand.mean() == pytest.approx(1)
        assert (frame.loc[closed, "Total Sales"] == 0).all() and (frame.loc[~closed, "Total Sales"] > 0).all()
        rows.append(len(frame) < 70)
        assert closed.any() != rows[-1]
    assert 4 < sum(rows) < 16


def day(text):
    return np.datetime64(text).astype(object)


def test_a_thin_margin_can_double_and_both_directions_are_right():
    rises = []
    for _, truth in shops("thin", days=8):
        margin = truth["share_kept"] - truth["unit_cost"] / truth["current_price"]
        assert 0.02 <= margin <= 0.08
        rises.append(truth["optimal_price"] > truth["current_price"])
        if rises[-1]:
            assert truth["oracle_profit"] > 2 * truth["current_profit"]
    assert 4 <= sum(rises) <= 14
