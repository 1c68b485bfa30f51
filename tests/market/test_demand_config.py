"""Every setting of demand moves the demand of the models that read it, and is refused by the others."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from command_line import run

from pricerl.errors import UsageError
from pricerl.market import DEMAND_MODELS, DemandConfig, fit_market
from pricerl.market.demand.config import MODEL_SETTINGS, DemandSettings
from pricerl.market.demand.families import LOG_SD, log_normal_prior
from pricerl.simulation import SellerConfig

SELLER = SellerConfig(days=120, units=8.0)
OTHER_VALUES = {
    "num_draws": 12,
    "grid_size": 65,
    "outlier_sds": 1.0,
    "prior_elasticity": -1.2,
    "prior_elasticity_sd": 0.5,
    "prior_curvature": 3.0,
    "prior_curvature_sd": 0.5,
    "prior_season_sd": 0.05,
    "bandwidth": 0.02,
    "half_life_days": 40.0,
    "trend_trust": 0.6,
    "prior_informed": 0.0,
}
OVER_PRODUCTS = {"pool", "pooled"}
"""Setting and prior that need many products, see test_pooling.py."""
READ = [(model, name) for model, names in MODEL_SETTINGS.items() for name in names if name not in OVER_PRODUCTS]
UNREAD = [(model, name) for model in MODEL_SETTINGS for name in OTHER_VALUES if (model, name) not in READ]


def slopes(market):
    """Mean elasticity between 5 % below and 5 % above the last price."""
    at = np.log(market.preprocessor.products[0].price[-1] * np.array([0.95, 1.05]))
    product = market.products[0]
    low, high = (np.array([np.interp(point, product.log_grid, row) for row in product.units.log_value]) for point in at)
    return (high - low) / (at[1] - at[0])


def test_every_model_has_its_settings_and_every_setting_a_value_to_try():
    assert MODEL_SETTINGS.keys() == DEMAND_MODELS.keys()
    assert set(OTHER_VALUES) == {item.name for item in fields(DemandSettings)} - OVER_PRODUCTS - {"own_price"}
    assert {item.name for item in fields(DemandConfig)} == {*OTHER_VALUES, "demand", "pool"}


@pytest.mark.parametrize(("model", "name"), READ)
def test_a_setting_that_a_model_reads_moves_its_demand(fitted, model, name):
    usual, changed = (
        fitted(SELLER, DemandConfig(demand=model, **{"num_draws": 16, **values})).log_curves[..., 0]
        for values in ({}, {name: OTHER_VALUES[name]})
    )
    assert usual.shape != changed.shape or (usual != changed).any()


@pytest.mark.parametrize(("model", "name"), UNREAD)
def test_a_setting_that_a_model_does_not_read_is_refused_by_name(model, name):
    with pytest.raises(UsageError) as refused:
        DemandConfig(demand=model, **{name: OTHER_VALUES[name]})
    message = str(refused.value)
    assert f"data.market.{name} is not read by the demand model '{model}'" in message
    assert all(reader in message for reader in MODEL_SETTINGS if (reader, name) in READ)
    assert all(own in message for own in MODEL_SETTINGS[model])


def test_all_settings_that_are_not_read_are_refused_at_once():
    with pytest.raises(UsageError, match=r"bandwidth is not read.*trend_trust is not read"):
        DemandConfig(bandwidth=0.1, trend_trust=0.1)


@pytest.mark.parametrize("model", MODEL_SETTINGS)
def test_the_prior_elasticity_leads_where_the_price_never_varied(prepare, make_product, model):
    history = prepare(make_product(10.0, np.random.default_rng(0).poisson(20, 120)))
    steep, flat, sure = (
        slopes(fit_market(history, DemandConfig(demand=model, prior_elasticity=mean, prior_elasticity_sd=sd)))
        for mean, sd in ((-3.5, 1.5), (-1.2, 1.5), (-2.2, 0.1))
    )
    assert steep.mean() < -2.7 and steep.mean() + 1.2 < flat.mean()
    assert sure.std() < 0.75 * min(steep.std(), 1.0)


def test_the_default_prior_of_the_mixture_has_half_of_all_products_between_1_6_and_3_1():
    prior = log_normal_prior(-2.2, 1.5)
    assert prior == (pytest.approx(np.log(2.2)), LOG_SD)
    quartiles = np.exp(prior.mean + prior.sd * np.array([-0.6745, 0.6745]))
    np.testing.assert_allclose(quartiles, [1.6, 3.1], atol=0.05)


def test_the_command_line_refuses_a_setting_that_the_model_does_not_read(tmp_path):
    result = run(tmp_path, "fit", "--data.market.demand", "quadratic", "--data.market.bandwidth", "0.1")
    assert result.code == 2
    assert "data.market.bandwidth is not read by the demand model 'quadratic', only by similar, hybrid" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("values", [{"prior_elasticity": 0.0}, {"prior_elasticity": 1.5}])
def test_a_prior_elasticity_that_is_not_negative_is_refused(values):
    with pytest.raises(UsageError, match=r"data\.market\.prior_elasticity must be below 0"):
        DemandConfig(**values)


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_probability_of_informed_prices_leaves_the_other_case_possible(value):
    with pytest.raises(UsageError, match=r"data\.market\.prior_informed must be at least 0 and below 1"):
        DemandConfig(prior_informed=value)


@pytest.mark.parametrize("name", sorted(set(OTHER_VALUES) - {"prior_elasticity", "prior_curvature", "prior_informed"}))
def test_a_setting_that_must_be_positive_is_refused_by_name(name):
    with pytest.raises(UsageError, match=rf"data\.market\.{name} must be positive, found 0"):
        DemandConfig(demand="similar", **{name: 0})
