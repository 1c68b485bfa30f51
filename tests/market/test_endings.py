"""Buyers who overlook what follows the whole units of a price, from the history to the advised price."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pricerl.guardrails.round_prices import NO_UNIT, overlooked
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import Evidence, Pool
from pricerl.market.demand.priors import CHARMED_LEFT_DIGITS, LEFT_DIGITS, MOST_OVERLOOKED, find_round_prices
from pricerl.market.fitting import fit_market
from pricerl.market.market import elasticity_at, log_units_at, lost_at
from pricerl.simulation.true_demand import perceived_price

SETTINGS = DemandConfig().resolved(1)


@pytest.fixture(scope="module")
def markets(make_product, prepare):
    """Markets of buyers who see all of a price, and of ones who overlook half of what follows its whole units."""
    rng = np.random.default_rng(0)
    price = np.round(rng.uniform(9, 14, 120), 2).repeat(5)
    fitted = []
    for share in (0.0, 0.5):
        units = rng.poisson(400 * (perceived_price(price, share) / 11) ** -2.0)
        fitted.append(fit_market(prepare(make_product(price, units.astype(float))), seed=0))
    return fitted


def test_what_follows_whole_units_is_none_at_whole_prices_and_below_the_first():
    found = overlooked(np.array([18.99, 19.0, 19.5, 0.4]), 1.0)
    np.testing.assert_allclose(found, [np.log(18.99 / 18), 0, np.log(19.5 / 19), 0])
    assert (overlooked(np.array([0.01, 19.0, 1e6]), NO_UNIT) == 0).all()


def test_many_sales_show_whether_buyers_overlook_endings(markets):
    attentive, hasty = (market.products[0] for market in markets)
    assert attentive.overlooked.mean() < 0.1 < 0.35 < hasty.overlooked.mean() < 0.6
    assert lost_at(attentive, 12.0) < 0.02
    assert lost_at(hasty, 12.0) == pytest.approx(1 - (12 / 11.5) ** -2.0, abs=0.025)
    for market in (attentive, hasty):
        assert elasticity_at(market, 11.0).mean() == pytest.approx(-2.0, abs=0.3)  # over whole units, not within one
    assert hasty.whole_above(11.99) == hasty.whole_above(11.0) == 12.0


def test_curves_with_endings_are_read_alike_in_numpy_and_torch(markets):
    market = markets[1]
    price = np.array([9.01, 9.99, 10.0, 10.5, 11.99, 12.0, 13.37])
    draw = torch.arange(market.num_draws)[:, None]
    units = market.average_day(torch.as_tensor(price, dtype=torch.float32), torch.zeros_like(draw), draw).expected_units
    np.testing.assert_allclose(units.numpy(), np.exp(log_units_at(market.products[0], price)), rtol=5e-4)


@pytest.mark.parametrize(
    ("prices", "power"),
    [
        ([18.4, 21.3, 22.4], LEFT_DIGITS),
        ([18.99, 21.99, 22.4], CHARMED_LEFT_DIGITS),
        ([18.4123, 21.3123, 22.4321], None),
    ],
)
def test_habits_of_endings_decide_what_buyers_probably_overlook(make_product, prices, power):
    found = find_round_prices(make_product(np.repeat(prices, 20), np.full(60, 9.0)))
    assert (found.unit == NO_UNIT) if power is None else found.power == power


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.0, 0.06), (0.5, 0.3, 0.5)])
def test_a_catalogue_shows_what_its_buyers_overlook(share, low, high):
    rng = np.random.default_rng(1)
    effect = -SETTINGS.prior_elasticity * share
    evidence = {str(number): Evidence(-2.0, 0.5, endings=((rng.normal(effect, 1.0), 1.0),)) for number in range(100)}
    power = Pool(evidence, SETTINGS).prior("stranger").power
    assert low < MOST_OVERLOOKED / (1 + power) < high
    few = dict(list(evidence.items())[:8])
    assert Pool(few, SETTINGS).prior("0").power is None
