from __future__ import annotations

import numpy as np
import pytest
from shops.sellers import ShopConfig

from pricerl.data.cleaning import zero_sales
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.cleaning.zero_sales import _usual_demand, unlikely_zeros
from pricerl.data.config import DataConfig
from pricerl.simulation.seller import simulated_history

HEADER = "Report Date,Product Price,Total Sales,In Stock"


def seller(mean, days=365, seed=0):
    """Units whose variance is that of a negative binomial of size 10, with a sale on the first and last day."""
    rng = np.random.default_rng(seed)
    units = rng.poisson(mean * rng.gamma(10, 0.1, days)).astype(float)
    units[[0, -1]] = 1
    return units


def improbable_runs(units, known=None):
    known = np.ones(len(units), dtype=bool) if known is None else known
    return [tuple(run) for run in zero_sales.improbable_runs(units, known, Segments([len(units)])).tolist()]


@pytest.mark.parametrize("seed", range(5))
def test_ten_days_without_a_sale_at_five_a_day_are_named(seed):
    units = seller(5.0, seed=seed)
    units[150:160], units[[149, 160]] = 0, 5
    assert improbable_runs(units) == [(150, 160)]
    known = np.arange(365) % 2 == 1
    assert improbable_runs(units, known | (units > 0)) == [], "days with unknown sales end a run"


@pytest.mark.parametrize(("mean", "days"), [(0.05, 730), (0.2, 130), (0.2, 730), (1.0, 365), (5.0, 365)])
def test_slow_sellers_are_seldom_reported(mean, days):
    assert np.mean([bool(improbable_runs(seller(mean, days, seed))) for seed in range(100)]) <= 0.02


def test_closed_weekends_and_zeros_in_a_slow_season_are_usual_but_not_two_closed_weeks():
    season = np.exp(1.5 + 2 * np.cos(2 * np.pi * np.arange(730) / 365))
    units = np.random.default_rng(0).poisson(season).astype(float)
    units[[0, -1]] = 1
    assert improbable_runs(units) == []
    units = seller(5.0) * (np.arange(365) % 7 < 5)
    assert improbable_runs(units) == []
    units[196:210] = 0
    (run,) = improbable_runs(units)
    assert run[0] <= 196 and run[1] >= 210


def rows(units, words=""):
    """Cells of days at a price of 10, with the same or an own word on the stock."""
    return [f"10,{10 * int(sold)},{word}" for sold, word in np.broadcast(units, words)]


def notes_on_zeros(history):
    return [note for note in history.reports[0].notes if note.startswith("Nothing sold")]


def test_the_report_names_the_days_and_keeps_them_in_demand_unless_the_column_in_stock_explains_them(read, daily):
    units = np.array([5, 4, 6, 5, 7, 3] * 20)
    units[60:70] = 0
    history = read(daily(rows(units), HEADER))
    (note,) = notes_on_zeros(history)
    assert "from 2025-03-02 to 2025-03-11: too long for chance" in note and "In Stock column" in note
    assert history.products[0].observed[60:70].all()
    for word in ("yes", "no"):
        assert notes_on_zeros(read(daily(rows(units, np.where(units == 0, word, "")), HEADER))) == []


def test_of_many_runs_the_first_are_named_and_the_others_counted(read, daily):
    units = np.where(np.arange(365) % 45 < 35, np.tile([2, 4, 3], 122)[:365], 0)
    units[-1] = 3
    (note,) = notes_on_zeros(read(daily(rows(units), HEADER)))
    assert note.count(" to ") == 5 and ", 3 more: too long" in note


def simulated(market, days=365, units=20.0, seed=0):
    config = ShopConfig(market=market, days=days, units=units, seed=seed)
    return simulated_history(config, DataConfig())


@pytest.mark.parametrize("seed", range(4))
def test_a_small_delivery_that_sells_out_every_week_is_noticed(seed):
    history = simulated("stockouts", 130, 5.5, seed)
    zeros = unlikely_zeros(history.products[0])
    assert zeros.days == (history.products[0].units == 0).sum() > 2 * zeros.expected
    assert zeros.reason in history.reports[0].doubts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("days", "units"), [(130, 50.0), (365, 20.0)])
def test_a_large_delivery_that_sells_out_every_week_is_taken_out_of_demand(days, units, seed):
    history = simulated("stockouts", days, units, seed)
    product = history.products[0]
    demand = simulated("constant", days, units, seed).products[0].units
    assert unlikely_zeros(product) is None
    assert (product.units[product.observed] == demand[product.observed]).all()
    assert 0.4 < product.observed.mean() < 0.75
    (note,) = notes_on_zeros(history)
    assert "Taken for stock-outs and excluded from demand" in note and "yes if there was stock" in note
    assert "taken_as_empty" in {doubt.code for doubt in history.reports[0].doubts}


@pytest.mark.parametrize("market", ["constant", "reference", "seasonal", "ads", "promotions"])
@pytest.mark.parametrize("units", [0.3, *(pytest.param(units, marks=pytest.mark.slow) for units in (1.5, 50.0)), 5.5])
def test_sellers_who_always_have_stock_are_not_reported(market, units):
    assert [unlikely_zeros(simulated(market, 365, units, seed).products[0]) for seed in range(3)] == [None] * 3


def test_expected_zero_sales_days_follow_the_negative_binomial(make_product):
    units = seller(3.0, days=730, seed=2)
    units[::10] = 0
    zeros = unlikely_zeros(make_product(10.0, units))
    due = 730 * (10 / 13) ** 10
    assert zeros.expected == pytest.approx(due, rel=0.2)
    assert zeros.share == pytest.approx((zeros.days - zeros.expected) / 730)


@pytest.mark.parametrize(
    "closed",
    [
        np.arange(365) % 7 == 6,  # every Sunday
        (np.arange(365) >= 350) | (np.arange(365) < 20),  # two holidays
        np.isin(np.arange(365), [100, 200, 300]),
    ],
)
def test_closed_weekdays_and_a_few_holidays_are_not_stock_outs(closed, make_product):
    units = np.where(closed, 0, seller(20.0, seed=4))
    assert unlikely_zeros(make_product(10.0, units)) is None


def test_days_reported_as_in_stock_are_not_tested(make_product):
    units = seller(20.0)
    units[::8] = 0
    history = make_product(10.0, units, in_stock=np.zeros(365, dtype=bool))
    assert unlikely_zeros(history).days == 46
    assert unlikely_zeros(make_product(10.0, units, in_stock=np.ones(365, dtype=bool))) is None


def stock_outs(units, price=10.0):
    days = len(units)
    dates = np.datetime64("2025-01-06", "D") + np.arange(days)
    out = np.zeros(days, dtype=bool)
    return zero_sales.find_stock_outs(dates, np.broadcast_to(price, days), units, ~out, out, Segments([days]))


def flagged(flags):
    return np.flatnonzero(flags).tolist()


def test_stock_outs_are_days_without_sales_at_many_expected_units():
    units = seller(30.0)
    units[[100, 200, 201]] = 0
    found = stock_outs(units)
    assert flagged(found.empty) == [100, 200, 201] and flagged(found.short) == [99, 199]


def test_a_price_that_nobody_pays_is_no_stock_out():
    units, price = seller(30.0), np.full(365, 10.0)
    price[100:110], units[100:110] = 13.0, 0
    assert not stock_outs(units, price).empty.any()
    price[50:60] = 13.0
    assert flagged(stock_outs(units, price).empty) == list(range(100, 110))
    units[50:60] = [1, 2, 1, 1, 3, 1, 2, 1, 1, 2]  # hardly anybody
    assert not stock_outs(units, price).empty.any()


@pytest.mark.parametrize("mean", [2.0, 5.0, 8.0, 15.0])
def test_zeros_by_chance_are_seldom_stock_outs(mean):
    sellers = [seller(mean, seed=seed) for seed in range(40)]
    taken = sum(stock_outs(units).empty.sum() for units in sellers)
    assert taken <= max(0.05 * (np.array(sellers) == 0).sum(), 40 * 365 / 5000)


def test_days_reported_as_in_stock_are_demand(read, daily):
    units = seller(30.0, days=120)
    units[60:62] = 0
    assert read(daily(rows(units, np.where(units == 0, "yes", "")), HEADER)).products[0].observed.all()
    assert flagged(~read(daily(rows(units), HEADER)).products[0].observed) == [59, 60, 61]


def test_reported_stock_outs_leave_out_the_same_days_as_unreported_ones(read, daily):
    units = seller(30.0, days=140)
    units[6::7] = np.where(np.arange(20) % 3, units[6::7], 0)  # every third Sunday
    words = ("", np.where(units == 0, "no", "yes"))
    blank, reported = (flagged(~read(daily(rows(units, word), HEADER)).products[0].observed) for word in words)
    assert blank == reported and len(blank) > 20


def test_zero_sales_on_slow_weekdays_are_demand():
    rng = np.random.default_rng(3)
    units = rng.poisson(np.where(np.arange(364) % 7 == 6, 1.5, 50.0)).astype(float)
    units[0] = 50
    assert (units[6::7] == 0).sum() > 8 and not stock_outs(units).empty.any()
    units[100] = 0
    assert flagged(stock_outs(units).empty) == [100]


def test_stock_outs_that_leave_many_zeros_unexplained_are_not_taken_for_stock_outs():
    units = np.concatenate([seller(30.0, days=180), seller(3.0, days=180, seed=1)])
    units[[50, 100, 150]] = 0
    empty = stock_outs(units).empty
    assert flagged(empty[:180]) == [50, 100, 150] and empty[210:].sum() == 0 < (units[210:] == 0).sum()
    units[180:360:4] = 0
    assert not stock_outs(units).empty.any()


def test_large_rare_orders_are_no_stock_outs():
    units = np.where(np.random.default_rng(0).random(365) < 0.3, 24.0, 0.0)
    assert not stock_outs(units).empty.any()


def test_public_holidays_without_sales_keep_their_own_effect(read, daily):
    units = seller(30.0, days=730)
    christmas = [358, 359, 723, 724]
    units[christmas] = 0
    lines = daily(rows(units), HEADER)
    assert not read(lines).products[0].observed[christmas].any()
    pytest.importorskip("holidays", reason="the extra holidays is not installed")
    assert read(lines, DataConfig(country="GB")).products[0].observed[christmas].all()


def test_weekdays_that_often_sell_out_are_left_out_and_a_long_stock_out_leaves_out_no_weekday():
    units = seller(30.0, days=364)
    weekday = np.arange(364) % 7
    units[np.arange(364) % 21 == 6] = 0  # every third Sunday
    found = stock_outs(units)
    left_out = found.empty | found.short
    assert left_out[weekday == 6].all() and found.short[weekday == 5].all() and not left_out[weekday < 5].any()
    units = seller(30.0, days=364)
    units[100:160] = 0
    assert flagged(stock_outs(units).short) == [99]


def test_a_week_without_sales_is_a_stock_out(read):
    units = seller(50.0, days=60)
    units[30] = 0
    days = np.datetime64("2025-01-06", "D") + 7 * np.arange(60)
    history = read([HEADER, *(f"{day},{row}" for day, row in zip(days, rows(units), strict=True))])
    assert flagged(~history.products[0].observed) == [29, 30]
    assert notes_on_zeros(history)[0].startswith("Nothing sold on 1 week")


def usual_demand_in_small_steps(units, sold):
    """The fit without shortcuts: mean of the near or all days with sales, then corrections for the truncation."""
    mean = np.empty(len(units))
    for day in range(len(units)):
        near = slice(max(day - 28, 0), day + 29)
        days = units[near][sold[near]]
        mean[day] = max((days if len(days) >= 10 else units[sold]).mean(), 1.01)
    whole, overdispersion = mean, 1e-3
    for _ in range(3000):
        zero = (1 + overdispersion * whole) ** (-1 / overdispersion)
        whole = mean * (1 - zero)
        excess = units**2 * (1 - zero) - whole - whole**2
        overdispersion = np.clip(excess[sold].sum() / (whole[sold] ** 2).sum(), 1e-3, 10.0)
    return whole, overdispersion


@pytest.mark.parametrize("mean", [0.1, 1.0, 5.0, 60.0])
def test_usual_demand_is_where_corrections_for_the_truncation_end(mean):
    for seed in range(3):
        units = seller(mean, 200, seed)
        whole, overdispersion = usual_demand_in_small_steps(units, units > 0)
        mean, excess = _usual_demand(units, units > 0, Segments([200]))
        np.testing.assert_allclose(mean, whole, rtol=1e-8)
        assert excess == pytest.approx(np.full(200, overdispersion), rel=1e-6)
