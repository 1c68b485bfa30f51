from __future__ import annotations

import numpy as np
import pytest
from shops.confounders import DAY_AFTER, REFERENCE_MEMORY, SAME_DAY, disturb
from shops.sellers import ShopConfig

from pricerl.simulation.seller import simulate

PRICE = np.repeat([10.0, 11.0, 9.5, 10.0], 35)


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


def test_advertised_weeks_sell_more_and_are_often_discounted():
    _, demand, reach, _ = disturb("ads", np.tile(np.repeat([10.0, 10.2], 7), 40), rng())
    advertised = reach > 1
    assert demand[advertised].min() > 1.3 * demand[~advertised].max()
    assert 0.15 < advertised.mean() < 0.45


def test_promoted_weeks_sell_more_at_a_lower_price_and_are_reported_in_a_column():
    planned = np.tile(np.repeat([10.0, 10.2], 7), 40)
    price, demand, _, columns = disturb("promotions", planned, rng())
    on = columns["Promotion"] == "yes"
    assert demand[on] == pytest.approx(np.exp(0.4)) and (demand[~on] == 1).all()
    assert 0.15 < on.mean() < 0.45 and (price < 0.95 * planned)[on].mean() > 0.5 and (price == planned)[~on].all()


def test_a_competitor_moves_demand_and_half_of_the_sellers_price():
    planned = np.tile(np.repeat([10.0, 10.2], 7), 40)
    price, demand, _, columns = disturb("competitor", planned, rng())
    competitor = np.log(columns["Competitor Price"])
    assert np.log(demand) == pytest.approx(0.8 * (competitor - competitor[-1]), abs=2e-3)
    moved = np.log(price / planned)[:-14]
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


def test_a_plain_history_shows_the_elasticity():
    assert naive_excess("constant") == pytest.approx(0, abs=0.15)


def test_a_repricer_makes_demand_look_less_elastic_and_changes_the_price_on_most_days():
    assert naive_excess("repricer") > 0.8
    price = simulate(ShopConfig(market="repricer", days=365))[0]["Product Price"]
    assert (np.abs(np.diff(price)) > 0.002 * price[1:]).mean() > 0.9


def test_a_repricers_price_follows_the_demand_of_the_same_day_and_of_the_day_before():
    planned = np.full(4000, 100.0)
    price, demand, *_ = disturb("repricer", planned, rng())
    change, log_demand = np.log(price / planned), np.log(demand)
    design = np.column_stack([log_demand[1:-1], log_demand[:-2], np.ones(3998)])
    found = np.linalg.lstsq(design, change[1:-1], rcond=None)[0]
    assert found[:2] == pytest.approx([SAME_DAY, DAY_AFTER], abs=0.01) and price[-1] == 100.0


def test_deals_look_more_elastic_than_the_regular_price_is():
    assert naive_excess("stockpiling") < -1.5


def test_buyers_stock_up_in_deals_and_buy_less_after():
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
    planned = np.tile(np.repeat([10.0, 10.2], 7), 40)
    price, demand, _, columns = disturb("two_competitors", planned, rng())
    assert list(columns) == ["Competitor Price"]
    reported = np.log(columns["Competitor Price"])[:-14]
    moved, rest = np.log(price / planned)[:-14], np.log(demand)[:-14]
    moved -= np.polyval(np.polyfit(reported, moved, 1), reported)
    rest -= np.polyval(np.polyfit(reported, rest, 1), reported)
    assert np.corrcoef(moved, rest)[0, 1] > 0.95 and naive_excess("two_competitors") > 0.5


@pytest.mark.parametrize("market", ["seasonal", "stockouts", "ads", "promotions", "competitor"])
def test_the_truth_stays_that_of_a_constant_elasticity(market):
    plain, hidden = (simulate(ShopConfig(market=kind, days=200, seed=4))[1] for kind in ("constant", market))
    assert {**hidden, "family": "constant"} == plain
