"""Simulated sellers who reorder: each kind's stock and season, and the same luck for every policy."""

from __future__ import annotations

import numpy as np
import pytest
from shops.stock_sellers import KINDS, Futures, StockSellerConfig, draw_season, draw_seller

from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS
from pricerl.simulation.seller import simulate


@pytest.fixture(scope="module")
def sellers():
    _, truth = simulate(StockSellerConfig(market="logit", days=30, units=10.0))
    generator = np.random.default_rng(0)
    return [draw_seller(kind, 10.0, truth, generator) for kind in KINDS]


def test_each_kind_has_what_its_name_says_and_a_season_peaks_where_it_should(sellers):
    steady, seasonal, ending, perishable, imported = (seller.stock for seller in sellers)
    assert steady.leftover_value is None and steady.season == (1.0,) * MOST_WEEKS
    assert max(seasonal.season) > 1.2 and seasonal.season[0] == 1.0
    assert ending.season_end < MOST_WEEKS and perishable.spoilage > 0
    assert imported.lead_weeks >= 5 and imported.smallest_order % imported.pack_size == 0
    season = draw_season(1.0, 12.0, 3.0)
    assert season.argmax() == 12 and season[0] == 1.0 and season[12] == pytest.approx(np.e, rel=0.01)


def test_policies_meet_the_same_luck_a_lower_price_sells_more_and_late_deliveries_lose_no_units(sellers):
    futures = Futures(sellers, 2, seed=1)
    price = np.full(2 * len(sellers), sellers[0].truth["current_price"])
    wanted = futures.wanted(3, price)
    np.testing.assert_array_equal(wanted, futures.wanted(3, price))
    assert (futures.wanted(3, 0.9 * price) >= wanted).all() and wanted.sum() > 0
    futures = Futures(sellers, 40, seed=1)
    inbound = np.random.default_rng(0).uniform(0, 9, (MOST_LEAD_WEEKS, 40 * len(sellers)))
    moved = futures.delay(5, inbound)
    np.testing.assert_allclose(moved.sum(0), inbound.sum(0))
    assert 0.05 < (moved[0] < inbound[0]).mean() < 0.25
