"""Every setting of demand moves the demand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

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


def slopes(market):
    """Mean elasticity between 5 % below and 5 % above the last price."""
    at = np.log(market.preprocessor.products[0].price[-1] * np.array([0.95, 1.05]))
    product = market.products[0]
    low, high = (np.array([np.interp(point, product.log_grid, row) for row in product.units.log_value]) for point in at)
    return (high - low) / (at[1] - at[0])


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
        slopes(fit_market(history, DemandConfig(prior_elasticity=mean, prior_elasticity_sd=sd)))
        for mean, sd in ((-3.5, 1.5), (-1.2, 1.5), (-2.2, 0.1))
    )
    assert steep.mean() < -2.7 and steep.mean() + 1.2 < flat.mean()
    assert sure.std() < 0.75 * min(steep.std(), 1.0)


def test_the_default_prior_of_the_mixture_has_half_of_all_products_between_1_2_and_2_7():
    prior = log_normal_prior(USUAL_ELASTICITY, USUAL_ELASTICITY_SD)
    assert prior == (pytest.approx(np.log(1.8)), LOG_SD)
    quartiles = np.exp(prior.mean + prior.sd * np.array([-0.6745, 0.6745]))
    np.testing.assert_allclose(quartiles, [1.2, 2.7], atol=0.05)


@pytest.mark.parametrize("values", [{"prior_elasticity": 0.0}, {"prior_elasticity": 1.5}])
def test_a_prior_elasticity_that_is_not_negative_is_refused(values):
    with pytest.raises(UsageError, match=r"data\.market\.prior_elasticity must be below 0"):
        DemandConfig(**values)


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_probability_of_informed_prices_leaves_the_other_case_possible(value):
    with pytest.raises(UsageError, match=r"data\.market\.prior_informed must be at least 0 and below 1"):
        DemandConfig(prior_informed=value)


@pytest.mark.parametrize("name", POSITIVE)
def test_a_setting_that_must_be_positive_is_refused_by_name(name):
    with pytest.raises(UsageError, match=rf"data\.market\.{name} must be positive, found 0"):
        DemandConfig(**{name: 0})
