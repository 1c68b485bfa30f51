"""Confounders that move with the price: it must not be credited with their effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shops.pricebench import probability_better

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import Candidates
from pricerl.market.demand.averaging import fit_parts
from pricerl.market.demand.config import DemandSettings
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig, simulated_history

DAYS = 182
WEEKEND = np.arange(DAYS) % 7 >= 5


def shop(price, units):
    """A shop with unit cost 4 and fees of 15 %."""
    history = simulated_history(SellerConfig(days=DAYS), DataConfig())
    sold = {"price": price, "units": units, "sales": price * units, "profit": (0.85 * price - 4) * units}
    product = replace(history.products[0], **sold)
    known = DataPreprocessor.fit(replace(history, products=(product,)), DataConfig())
    alone = Product(Dynamics(fit_market(known)), 0)
    return Candidates(alone)


@pytest.mark.parametrize("seed", range(3))
def test_dear_weekends_that_sell_four_times_as_much_do_not_make_a_rise_look_good(seed):
    rng = np.random.default_rng(seed)
    usual = np.where(WEEKEND, 12.0, 9.0)
    price = np.where(rng.random(DAYS) < 0.1, rng.choice([9.0, 10.0, 11.0, 12.0], DAYS), usual)
    weekend = shop(price, rng.poisson(np.where(WEEKEND, 40, 10) * (price / usual) ** -2.0).astype(float))
    assert probability_better(weekend, 1.05 * weekend.current_price) < 0.6


@pytest.mark.parametrize("seed", range(3))
def test_a_price_that_rises_with_growing_demand_proves_nothing(seed):
    share = np.arange(DAYS) / DAYS
    growing = shop(np.round(9 + 4 * share, 2), np.random.default_rng(seed).poisson(10 + 40 * share).astype(float))
    for change in (0.95, 1.05):
        assert probability_better(growing, change * growing.current_price) < DecisionConfig().claim_chance


def test_random_price_changes_show_their_effect_despite_weekdays_and_growth():
    rng = np.random.default_rng(0)
    price = np.repeat(rng.choice([9.0, 10.0, 11.0, 12.0], DAYS // 7), 7)
    mean = np.where(WEEKEND, 80, 40) * np.exp(np.arange(DAYS) / DAYS) * (price / 10) ** -4.0
    known = shop(price, rng.poisson(mean).astype(float))
    assert probability_better(known, 0.95 * known.current_price) > 0.95


def test_ad_over_organic_conversion_separates_campaigns_from_their_discounts(make_product):
    """At an elasticity of -2; the noise of conversions leaves a part of the bias."""
    slopes = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        campaign = np.repeat(rng.random(26) < 0.3, 7)
        price = np.repeat(rng.choice([9.5, 10.0, 10.5], 26), 7) * np.where(campaign, 0.92, 1.0)
        units = rng.poisson(40 * (price / 10) ** -2.0 * np.where(campaign, 1.6, 1.0)).astype(float)
        organic, ad = (rate * (price / 10) ** -1.0 * np.exp(0.2 * rng.normal(size=DAYS)) for rate in (12.0, 8.0))
        hidden = make_product(price, units)
        seen = replace(hidden, organic=organic, ad=ad * np.where(campaign, 2.0, 1.0))
        slopes.append([_slope(item) for item in (hidden, seen, replace(seen, ad=ad))])
    without, campaigns, none = np.mean(slopes, axis=0)
    assert without < -3.5 and campaigns == pytest.approx(-2.0, abs=0.7)
    assert none == pytest.approx(without, abs=0.2), "conversions without campaigns explain nothing"


def _slope(product):
    return fit_parts(product, DemandSettings())[1][0].posterior.mode[1]
