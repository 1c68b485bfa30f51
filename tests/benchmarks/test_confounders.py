"""Simulated shops: hidden causes, shocks of demand, and what the records show of sales."""

import numpy as np
import pandas as pd
import pytest
from shops.confounders import DAY_AFTER, REFERENCE_MEMORY, SAME_DAY, disturb
from shops.records import STOCK_SHARE, average_share, censor, fill_orders
from shops.sellers import ShopConfig
from shops.shocks import KINDS, MEMORIES, SHOCK_SDS, draw_shocks, fading, stepping, wandering

from pricerl.data.config import DataConfig
from pricerl.simulation.seller import simulate, simulated_history

PRICE = np.repeat([10.0, 11.0, 9.5, 10.0], 35)
WEEKS = np.tile(np.repeat([10.0, 10.2], 7), 40)


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["constant", "linear", "optimal", "stockouts", "late_stockouts", "closed", "thin"])
def test_other_families_have_no_confounder(kind):
    price, demand, reach, columns = disturb(kind, PRICE, rng())
    assert (price == PRICE).all() and (demand == 1).all() and (reach == 1).all() and not columns


def test_a_rise_lowers_demand_more_than_a_cut_raises_it_until_the_reference_adapts():
    up, down = (disturb("reference", np.repeat([10.0, price], 60), rng()).demand for price in (11.0, 10 / 1.1))
    assert (up[:60] == 1).all() and up[60] < 1 < down[60]
    assert -np.log(up[60]) == pytest.approx(3 * np.log(down[60]))
    assert np.log(up[61]) / np.log(up[60]) == pytest.approx(REFERENCE_MEMORY)
    assert up[-1] == pytest.approx(1, abs=1e-3)


def test_the_season_moves_price_and_demand_together():
    price, demand, *_ = disturb("seasonal", np.repeat(np.tile([10.0, 10.01], 60), 3), rng())
    assert np.corrcoef(np.log(price), np.log(demand))[0, 1] > 0.8
    assert demand.mean() == pytest.approx(1)


def test_advertised_and_promoted_weeks_sell_more_and_promotions_cost_less_and_are_reported_in_a_column():
    _, demand, reach, _ = disturb("ads", WEEKS, rng())
    advertised = reach > 1
    assert demand[advertised].min() > 1.3 * demand[~advertised].max()
    assert 0.15 < advertised.mean() < 0.45
    price, demand, _, columns = disturb("promotions", WEEKS, rng())
    on = columns["Promotion"] == "yes"
    assert demand[on] == pytest.approx(np.exp(0.4)) and (demand[~on] == 1).all()
    assert 0.15 < on.mean() < 0.45 and (price < 0.95 * WEEKS)[on].mean() > 0.5 and (price == WEEKS)[~on].all()


def test_a_competitor_moves_demand_and_half_of_the_sellers_price():
    price, demand, _, columns = disturb("competitor", WEEKS, rng())
    competitor = np.log(columns["Competitor Price"])
    assert np.log(demand) == pytest.approx(0.8 * (competitor - competitor[-1]), abs=2e-3)
    moved = np.log(price / WEEKS)[:-14]
    assert np.polyfit(competitor[:-14], moved, 1)[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", ["seasonal", "ads", "promotions", "competitor"])
def test_the_current_price_stays(kind):
    price = disturb(kind, PRICE, rng()).price
    assert (price[-35:] == 10.0).all() and not (price[:-35] == PRICE[:-35]).all()


def naive_excess(market, days=365):
    """Return the mean slope of log units in the log price minus the true elasticity, over 20 sellers."""
    found = []
    for seed in range(20):
        frame, truth = simulate(ShopConfig(market=market, days=days, units=50.0, seed=seed))
        x, units = np.log(frame["Product Price"]), frame["Total Sales"] / frame["Product Price"]
        found.append(np.polyfit(x, units / units.mean(), 1)[0] - truth["parameters"]["elasticity"])
    return np.mean(found)


def test_a_plain_history_shows_the_elasticity_and_a_repricer_who_follows_demand_makes_it_look_smaller():
    assert naive_excess("constant") == pytest.approx(0, abs=0.15)
    assert naive_excess("repricer") > 0.8
    price = simulate(ShopConfig(market="repricer", days=365))[0]["Product Price"]
    assert (np.abs(np.diff(price)) > 0.002 * price[1:]).mean() > 0.9
    planned = np.full(4000, 100.0)
    price, demand, *_ = disturb("repricer", planned, rng())
    change, log_demand = np.log(price / planned), np.log(demand)
    design = np.column_stack([log_demand[1:-1], log_demand[:-2], np.ones(3998)])
    found = np.linalg.lstsq(design, change[1:-1], rcond=None)[0]
    assert found[:2] == pytest.approx([SAME_DAY, DAY_AFTER], abs=0.01) and price[-1] == 100.0


def test_buyers_stock_up_in_deals_which_look_more_elastic_and_buy_less_after():
    assert naive_excess("stockpiling") < -1.5
    price, demand, _, columns = disturb("stockpiling", np.full(4000, 10.0), rng())
    deal = price < 10.0
    last = np.flatnonzero(deal[:-1] & ~deal[1:])
    assert not columns and 0.1 < deal.mean() < 0.3 and not deal[-7:].any()
    assert (demand[deal] > 1.15).all() and (demand[last + 1] < 0.9).all()
    assert demand[~deal].max() <= 1


def test_the_level_jumps_and_ends_where_it_stays():
    ends = []
    for seed in range(30):
        price, demand, *_ = disturb("jump", PRICE, np.random.default_rng(seed))
        jumps = np.flatnonzero(np.diff(demand)) + 1
        assert 1 <= len(jumps) <= 2 and demand[-1] == 1 and (price == PRICE).all()
        ends += list(set(jumps) - {35, 70, 105})
    assert len(ends) > 20


def test_two_competitors_move_demand_and_only_one_is_reported():
    price, demand, _, columns = disturb("two_competitors", WEEKS, rng())
    assert list(columns) == ["Competitor Price"]
    reported = np.log(columns["Competitor Price"])[:-14]
    moved, rest = np.log(price / WEEKS)[:-14], np.log(demand)[:-14]
    moved -= np.polyval(np.polyfit(reported, moved, 1), reported)
    rest -= np.polyval(np.polyfit(reported, rest, 1), reported)
    assert np.corrcoef(moved, rest)[0, 1] > 0.95 and naive_excess("two_competitors") > 0.5


@pytest.mark.parametrize("market", ["seasonal", "stockouts", "ads", "promotions", "competitor"])
def test_the_truth_stays_that_of_a_constant_elasticity(market):
    plain, hidden = (simulate(ShopConfig(market=kind, days=200, seed=4))[1] for kind in ("constant", market))
    assert {**hidden, "family": "constant"} == plain


def seeds_of(kind, count=40):
    return [seed for seed in range(8 * count) if KINDS[seed % 8] is kind][:count]


def test_half_of_all_shops_have_shocks_that_fade_and_are_1_on_average():
    assert KINDS.count(fading) == len(KINDS) / 2
    drawn = np.stack([draw_shocks(4000, 0, seed) for seed in seeds_of(fading)])
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    log = np.log(drawn) - np.log(drawn).mean(1, keepdims=True)
    memory = (log[:, 1:] * log[:, :-1]).mean(1) / log.var(1)
    assert MEMORIES[0] - 0.1 < memory.min() < 0.6 and 0.8 < memory.max() < MEMORIES[1] + 0.1
    assert SHOCK_SDS[0] * 0.8 < log.std(1).min() and log.std(1).max() < 1.2 * SHOCK_SDS[1]


@pytest.mark.parametrize("kind", [fading, wandering, stepping])
def test_a_history_does_not_depend_on_the_days_ahead_and_one_that_wanders_or_steps_ends_at_1(kind):
    for seed in seeds_of(kind, 5):
        assert draw_shocks(100, 30, seed)[:100] == pytest.approx(draw_shocks(100, 0, seed))
        assert kind is fading or draw_shocks(200, 10, seed)[199] == 1.0


def test_a_shop_with_shocks_has_the_same_truth_and_prices_and_other_sales():
    (plain, truth), (shocked, same) = (
        simulate(ShopConfig("linear", 130, 50.0, 10, shocked=shocked)) for shocked in (False, True)
    )
    assert truth == same and (plain["Product Price"] == shocked["Product Price"]).all()
    assert (plain["Total Sales"] != shocked["Total Sales"]).mean() > 0.5


def shops(market, **settings):
    return [simulate(ShopConfig(market=market, seed=seed, **settings)) for seed in range(20)]


def test_a_week_sells_no_more_than_was_delivered_and_stock_that_ends_late_leaves_no_day_without_a_sale():
    units = np.array([3, 4, 5, 6, 7, 8, 9, 1, 1, 1, 1, 1, 1, 1, 9, 9])
    sold = censor("stockouts", units, 4.0, rng())
    delivered = round(STOCK_SHARE * 7 * 4)
    assert sold[:7].sum() == delivered and (sold[:7] <= units[:7]).all() and sold[6] == 0
    assert (sold[7:14] == 1).all()
    assert (censor("constant", units, 4.0, rng()) == units).all()
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
        closed = np.isin(pd.to_datetime(frame["Report Date"]).dt.day_of_week, np.flatnonzero(demand == 0))
        assert demand[6] == 0 and (demand == 0).sum() <= 2 and demand.mean() == pytest.approx(1)
        assert (frame.loc[closed, "Total Sales"] == 0).all() and (frame.loc[~closed, "Total Sales"] > 0).all()
        rows.append(len(frame) < 70)
        assert closed.any() != rows[-1]
    assert 4 < sum(rows) < 16


def test_a_thin_margin_can_double_and_both_directions_are_right():
    rises = []
    for _, truth in shops("thin", days=8):
        margin = truth["share_kept"] - truth["unit_cost"] / truth["current_price"]
        assert 0.02 <= margin <= 0.08
        rises.append(truth["optimal_price"] > truth["current_price"])
        if rises[-1]:
            assert truth["oracle_profit"] > 2 * truth["current_profit"]
    assert 4 <= sum(rises) <= 14
