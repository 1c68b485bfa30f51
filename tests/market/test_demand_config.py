"""Every setting of demand moves the demand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from elasticities import elasticities

from pricerl.errors import UsageError
from pricerl.market.demand.config import POSITIVE, DemandConfig
from pricerl.market.demand.priors import LOG_SD, USUAL_ELASTICITY, USUAL_ELASTICITY_SD, log_normal_prior
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig

SELLER = SellerConfig(days=120, units=8.0)
OTHER_VALUES = {
    "num_draws": 12,
    "outlier_sds": 1.0,
    "prior_elasticity": -1.2,
    "prior_elasticity_sd": 0.5,
    "prior_informed": 0.0,
}
ELSEWHERE = {"pool"}
"""Settings that need many products, see test_pooling.py."""


def test_every_setting_has_a_value_to_try():
    assert {item.name for item in fields(DemandConfig)} == {*OTHER_VALUES, *ELSEWHERE}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_setting_moves_the_demand(fitted, name):
    usual, changed = (
        fitted(SELLER, DemandConfig(**{"num_draws": 16, **values})).log_curves[..., 0]
        for values in ({}, {name: OTHER_VALUES[name]})
    )
    assert usual.shape != changed.shape or (usual != changed).any()


def test_the_prior_elasticity_leads_where_the_price_never_varied(prepare, make_product):
    history = prepare(make_product(13.0, np.random.default_rng(0).poisson(20, 120)))
    steep, flat, sure = (
        elasticities(fit_market(history, DemandConfig(prior_elasticity=mean, prior_elasticity_sd=sd)).products[0], 13.0)
        for mean, sd in ((-3.5, 1.5), (-1.2, 1.5), (-2.2, 0.1))
    )
    assert min(steep.std(), flat.std()) > 0.4, "the prior stays wide"
    assert steep.mean() < -2.7 and steep.mean() + 1.2 < flat.mean()
    assert sure.std() < 0.75 * min(steep.std(), 1.0)


def test_the_default_prior_of_the_mixture_has_half_of_all_products_between_1_2_and_2_7():
    prior = log_normal_prior(USUAL_ELASTICITY, USUAL_ELASTICITY_SD)
    assert prior == (pytest.approx(np.log(1.8)), LOG_SD)
    quartiles = np.exp(prior.mean + prior.sd * np.array([-0.6745, 0.6745]))
    np.testing.assert_allclose(quartiles, [1.2, 2.7], atol=0.05)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prior_elasticity": 0.0}, "must be below 0"),
        ({"prior_elasticity": 1.5}, "must be below 0"),
        ({"prior_informed": -0.1}, "must be at least 0 and below 1"),
        ({"prior_informed": 1.0}, "must be at least 0 and below 1"),
        *(({name: 0}, "must be positive, found 0") for name in POSITIVE),
    ],
)
def test_an_impossible_setting_is_refused_by_name(values, message):
    (name,) = values
    with pytest.raises(UsageError, match=rf"data\.market\.{name} {message}"):
        DemandConfig(**values)
