"""The unit cost as an instrument of the price."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.evaluation.card.evidence_card import draw_card
from pricerl.evaluation.card.instrument import instrument_elasticity
from pricerl.evaluation.sensitivity import fit_demand
from pricerl.market.fitting import fit_market

DAYS = 364
TRUTH = -2.0


def shop(make_product, seed, pass_through=0.8, follows=0.6):
    """Return a seller who passes costs on and raises the price with demand, which no column reports."""
    rng = np.random.default_rng(seed)
    cost, demand = (np.repeat(rng.normal(0, sd, DAYS // 7), 7) for sd in (0.15, 0.2))
    price = np.round(13 * np.exp(pass_through * cost + follows * demand + rng.normal(0, 0.01, DAYS)), 2)
    units = rng.poisson(40 * (price / 13) ** TRUTH * np.exp(demand))
    return make_product(price, units.astype(float), costs=np.round(7 * np.exp(cost), 2))


def estimate(history):
    """Return the instrumented elasticity of a history, given its demand regression."""
    return instrument_elasticity(history, fit_demand(history))


def test_the_instrument_finds_the_elasticity_that_a_confounder_hides(make_product):
    found = [estimate(shop(make_product, seed)) for seed in range(20)]
    assert np.mean([item.regression for item in found]) > TRUTH + 0.4
    assert np.median([item.elasticity for item in found]) == pytest.approx(TRUTH, abs=0.25)
    assert np.mean([item.low <= TRUTH <= item.high for item in found]) >= 0.75
    assert np.median([item.strength for item in found]) > 10


def test_a_cost_that_is_not_passed_on_is_a_weak_instrument_without_limits(make_product):
    found = [estimate(shop(make_product, seed, pass_through=0.0)) for seed in range(5)]
    assert np.median([item.strength for item in found]) < 5
    assert any(item.low == -np.inf and item.high == np.inf for item in found)


def test_without_costs_by_day_or_a_varied_cost_there_is_no_instrument(make_product):
    price = np.repeat([10.0, 11.0], 60)
    assert estimate(make_product(price, np.full(120, 20.0))) is None
    assert estimate(make_product(price, np.full(120, 20.0), costs=np.full(120, 5.0))) is None
    varied = np.tile([4.0, 5.0, 6.0, 7.0], 30)
    assert estimate(make_product(10.0, np.full(120, 20.0), costs=varied)) is None


@pytest.mark.parametrize(("pass_through", "words"), [(0.8, "all price changes"), (0.0, "too loosely")])
def test_the_card_states_the_instrument_next_to_the_regression(make_product, prepare, pass_through, words):
    product = shop(make_product, 0, pass_through)
    fitted = fit_market(prepare(product), conversions=False).products[0]
    line = draw_card(fit_demand(product), product, fitted, False)[-1]
    assert line.question == "unit cost as instrument" and line.verdict == "REVIEW" and words in line.finding
