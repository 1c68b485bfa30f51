from __future__ import annotations

import numpy as np
import pytest

from pricerl.simulation import SellerConfig, simulate
from pricerl.simulation.confounders import REFERENCE_MEMORY, STOCK_SHARE, censor, disturb

PRICE = np.repeat([10.0, 11.0, 9.5, 10.0], 35)


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["constant", "linear", "optimal", "stockouts"])
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


def test_a_week_sells_no_more_than_was_delivered():
    units = np.array([3, 4, 5, 6, 7, 8, 9, 1, 1, 1, 1, 1, 1, 1, 9, 9])
    sold = censor("stockouts", units, mean_units=4.0)
    delivered = round(STOCK_SHARE * 7 * 4)
    assert sold[:7].sum() == delivered and (sold[:7] <= units[:7]).all() and sold[6] == 0
    assert (sold[7:14] == 1).all()
    assert (censor("constant", units, 4.0) == units).all()


@pytest.mark.parametrize("market", ["reference", "seasonal", "stockouts", "ads", "promotions", "competitor"])
def test_the_truth_stays_that_of_a_constant_elasticity(market):
    plain, hidden = (simulate(SellerConfig(market=kind, days=200, seed=4))[1] for kind in ("constant", market))
    assert {**hidden, "family": "constant"} == plain
