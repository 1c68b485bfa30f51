"""The demand model on simulated sellers whose demand is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shops.sellers import ShopConfig

from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import gather_covariates
from pricerl.market.demand.models import fit_mixture
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import expected_units


def test_curves_fall_and_are_finite(fitted):
    demand = fitted(SellerConfig(days=60, units=3.0, seed=7), DemandConfig()).products[0]
    values = demand.units.log_value
    assert values.shape == (256, 97) and np.isfinite(values).all()
    assert (np.diff(values, axis=1) <= 1e-9).all()
    assert demand.weekday.mean() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["constant", "linear", "logit"])
def test_much_history_comes_close_to_the_true_curve(fitted, family):
    off = []
    for seed in range(3, 6):
        seller = SellerConfig(market=family, days=730, units=80.0, seed=seed)
        market = fitted(seller, DemandConfig()).products[0]
        truth = simulate(seller)[1]
        price = truth["current_price"] * np.array([0.9, 1.0, 1.1])
        units = np.exp(np.stack([np.interp(np.log(price), market.log_grid, row) for row in market.units.log_value]))
        shape, true = units.mean(0) / units.mean(0)[1], expected_units(truth, price)
        off.append(shape / (true / true[1]) - 1)
    assert np.abs(np.mean(off, axis=0)).max() < 0.05


def test_a_price_that_never_changed_leaves_the_prior_wide(prepare, make_product):
    rng = np.random.default_rng(0)
    market = fit_market(prepare(make_product(10.0, rng.poisson(20, 120))), DemandConfig()).products[0]
    at = np.stack([np.interp(np.log([10.0, 11.0]), market.log_grid, row) for row in market.units.log_value])
    slope = (at[:, 1] - at[:, 0]) / np.log(1.1)
    assert slope.std() > 0.5 and -3.5 < slope.mean() < -1


def test_curvature_hides_the_elasticity_once_where_the_current_price_is_the_highest(prepare, make_product):
    spreads = []
    for seed in range(2):
        rng = np.random.default_rng([seed, 1])
        price = np.round(21.3 * np.repeat([1.0, 0.965, 0.93, 0.895, 0.86, 0.93, 1.0], [60, 10, 10, 12, 12, 8, 80]), 2)
        units = rng.negative_binomial(20, 20 / (20 + 40 * (price / 21.3) ** -2.2))
        market = fit_market(prepare(make_product(price, units)), conversions=False).products[0]
        at = np.stack([np.interp(np.log([19.2, 21.3]), market.log_grid, row) for row in market.units.log_value])
        spreads.append((np.ptp(at, axis=1) / np.log(21.3 / 19.2)).std())
    assert np.mean(spreads) < 0.55


def test_a_demand_model_of_ones_own_is_a_function_that_the_settings_pass(simulated):
    def mine(product, log_grid, config, rng):
        demand = fit_mixture(product, log_grid, config, rng)
        return replace(demand, curves=replace(demand.curves, log_value=-2 * log_grid + np.zeros((config.num_draws, 1))))

    class Mine(DemandConfig):
        model = staticmethod(mine)

    market = fit_market(simulated(SellerConfig(days=90)), Mine(num_draws=8)).products[0]
    np.testing.assert_allclose(np.diff(market.units.log_value) / np.diff(market.log_grid), -2, rtol=1e-6)


def test_covariates_are_known_before_the_day(make_product):
    rng = np.random.default_rng(0)
    units, ad = rng.poisson(20, 100).astype(float), rng.uniform(5, 15, 100)
    before = gather_covariates(make_product(10.0, units, ad=ad))
    units[60], ad[60] = 200.0, 90.0
    after = gather_covariates(make_product(10.0, units, ad=ad))
    changed = np.flatnonzero((np.abs(before.covariates[:, -4:] - after.covariates[:, -4:]) > 0.2).any(1))
    assert changed.tolist() == list(range(61, 68))


def test_buyers_get_used_to_a_price(make_product):
    days = gather_covariates(make_product(np.repeat([10.0, 11.0, 10.0], [50, 60, 30]), np.full(140, 20.0)))
    rise, loss = days.covariates[:, -2], days.covariates[:, -1]
    assert (rise[:50] == 0).all() and rise[50] == pytest.approx(-np.log(1.1))
    assert rise[60] == pytest.approx(0.9**10 * rise[50])
    assert (loss[:110] == rise[:110]).all()
    assert rise[110] > 0.09 and (loss[110:] == 0).all()
    assert (days.ahead[-2:] == 0).all()


def test_a_level_in_doubt_widens_all_curves_alike(make_product, prepare):
    rng = np.random.default_rng(0)
    price = 10 * np.exp(rng.uniform(-0.1, 0.1, 120))
    market = fit_market(prepare(make_product(price, rng.poisson(30 * (price / 10) ** -2.0))), DemandConfig())
    log_units = market.products[0].units.log_value
    assert 0.02 < log_units[:, 48].std() < 0.3


def test_days_out_of_stock_do_not_lower_demand(make_product, prepare):
    rng = np.random.default_rng(0)
    out = np.arange(140) % 7 >= 5
    units = np.where(out, 0, rng.poisson(10, 140))
    flagged, unflagged = (
        fit_market(prepare(make_product(13.0, units, observed=observed)), DemandConfig(num_draws=16)).products[0]
        for observed in (~out, np.ones(140, dtype=bool))
    )
    levels = [np.exp(market.units.log_value[:, 48]).mean() for market in (flagged, unflagged)]
    assert levels[0] == pytest.approx(10, rel=0.15) and levels[1] < 8


def test_a_season_that_moves_the_price_is_not_taken_for_demand(fitted):
    slopes = []
    for seed in range(3):
        seller = ShopConfig(market="seasonal", days=365, units=50.0, seed=seed)
        market = fitted(seller, DemandConfig()).products[0]
        truth = simulate(seller)[1]
        at = np.log(truth["current_price"] * np.array([0.95, 1.05]))
        rows = np.stack([np.interp(at, market.log_grid, row) for row in market.units.log_value])
        slopes.append(((rows[:, 1] - rows[:, 0]) / np.diff(at)).mean() - truth["parameters"]["elasticity"])
    assert np.abs(slopes).max() < 0.9, "the season alone would hide two thirds of the elasticity"


def test_a_long_history_has_no_more_knots_than_can_be_fitted_fast(make_product):
    assert gather_covariates(make_product(10.0, np.full(9000, 5.0))).covariates.shape[1] < 140
