"""Demand families and their posterior given a history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricerl.market.demand.families import (
    FAMILIES,
    LARGEST_JUMP,
    NUM_CURVES,
    CurveSet,
    bin_prices,
    draw_curves,
    draw_prior,
)
from pricerl.market.demand.priors import NO_ROUND_PRICES, RoundPrices, log_normal_prior

PRIOR = log_normal_prior(-2.2, 1.5)
X = np.linspace(-0.3, 0.3, 121)
PRICE = 14.0


def one_curve(family, elasticity=2.2, shares=(0.5, 0.5, 0.0, 0.0), jump_at=np.inf):
    level = (np.log(elasticity) - PRIOR.mean) / PRIOR.sd
    return CurveSet(
        prior=PRIOR,
        rounds=NO_ROUND_PRICES,
        family=np.array([list(FAMILIES).index(family)]),
        standardized=np.array([level]),
        shares=np.array([shares]),
        jump_at=np.array([jump_at]),
    )


def history(log_demand, current_price=PRICE, days=400, units=50.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.choice(np.linspace(-0.2, 0.2, 9), days)
    return bin_prices(x, rng.poisson(units * np.exp(log_demand(x))).astype(float), np.ones(days))


def posterior(bins, seed=0):
    (curves,) = draw_curves(bins, PRIOR, PRICE, np.random.default_rng(seed))
    return curves


@pytest.mark.parametrize("family", FAMILIES)
def test_a_curve_passes_through_the_current_price_and_never_rises(family):
    curves = draw_prior(600, PRIOR, np.random.default_rng(0))
    curves = curves.take(np.flatnonzero(curves.family == list(FAMILIES).index(family)))
    values = curves.at(X, PRICE)
    assert (np.diff(values, axis=1) <= 0).all() and np.isfinite(values).all()
    np.testing.assert_allclose(curves.at(np.array([-0.1, 0.0, 0.1]), PRICE)[:, 1], 0.0, atol=1e-12)


def test_a_curve_is_the_same_at_tried_prices_on_a_wider_grid():
    curves = draw_prior(600, log_normal_prior(-2.2, 1.5), np.random.default_rng(0))
    wide = np.linspace(-0.8, 0.6, 281)
    tried = np.abs(wide) < 0.15
    assert curves.without_jumps(wide)[:, tried] == pytest.approx(curves.without_jumps(wide[tried]), abs=1e-9)


@pytest.mark.parametrize("family", ["constant", "linear", "exponential", "log_quadratic", "logit"])
def test_the_elasticity_at_the_current_price_is_the_one_drawn(family):
    step = 1e-4
    low, high = one_curve(family, 1.7).at(np.array([-step, step]), PRICE)[0]
    assert (high - low) / (2 * step) == pytest.approx(-1.7, rel=1e-3)


@pytest.mark.parametrize("current_price", [14.5, 15.0, 15.5])
def test_demand_falls_at_once_at_a_round_price(current_price):
    x = np.log(np.array([14.0, 14.99, 15.0, 16.0]) / current_price)
    jumping = one_curve("constant", shares=(0.5, 0.5, 1.0, 0.0), jump_at=15.0).at(x, current_price)
    fall = jumping - one_curve("constant").at(x, current_price)
    np.testing.assert_allclose(np.diff(fall[0]), [0, -LARGEST_JUMP, 0], atol=1e-12)
    assert fall[0, 0 if current_price < 15 else -1] == 0  # relative to the current price


def test_a_history_shows_at_which_round_price_demand_falls():
    rounds = RoundPrices(np.array([14.0, 15.0]), np.array([0.25, 0.25]))
    x = np.log(np.tile([13.0, 13.99, 14.5, 14.99, 15.5, 16.0], 60) / PRICE)
    units = np.random.default_rng(0).poisson(80 * np.exp(-1.5 * x - 0.3 * (x > np.log(15 / PRICE))))
    bins = bin_prices(x, units.astype(float), np.ones(360), np.log(rounds.price / PRICE))
    curves = posterior(replace(bins, rounds=rounds))
    assert (curves.jump_at == 15).mean() > 0.95
    assert (LARGEST_JUMP * curves.shares[:, 2]).mean() == pytest.approx(0.3, abs=0.06)
    smooth = bin_prices(x, np.round(80 * np.exp(-1.5 * x)), np.ones(360), np.log(rounds.price / PRICE))
    curves = posterior(replace(smooth, rounds=rounds))
    jump = np.where(np.isfinite(curves.jump_at), LARGEST_JUMP * curves.shares[:, 2], 0)
    assert jump.mean() < 0.05


def test_no_bin_holds_prices_from_both_sides_of_a_round_one():
    x = np.log(np.array([10.0, 14.99, 15.0, 20.0]))
    bins = bin_prices(x, np.arange(4.0), np.ones(4), np.log([15.0]))
    np.testing.assert_allclose(bins.x, x)
    assert len(bin_prices(x, np.arange(4.0), np.ones(4)).x) == 3


def test_every_family_is_in_the_prior_alike():
    drawn = draw_prior(NUM_CURVES, PRIOR, np.random.default_rng(0))
    assert (np.bincount(drawn.family) == NUM_CURVES // len(FAMILIES)).all()


def test_a_price_that_never_varied_and_a_history_without_trust_leave_the_prior():
    never_varied = bin_prices(np.zeros(200), np.full(200, 40.0), np.ones(200))
    x = np.linspace(-0.2, 0.2, 100)
    steep = bin_prices(x, 50 * np.exp(-6 * x), np.ones(100))
    for bins in (never_varied, replace(steep, weight=np.zeros(1))):
        curves = posterior(bins)
        assert curves.standardized.mean() == pytest.approx(0, abs=0.12)
        assert curves.standardized.std() == pytest.approx(1, abs=0.12)
        assert np.bincount(curves.family, minlength=len(FAMILIES)).min() > 50


@pytest.mark.parametrize("family", ["constant", "linear", "logit", "kinked"])
def test_many_sales_find_the_true_curve_at_the_prices_tried(family):
    truth = one_curve(family, 2.6, (0.9, 0.5, 0.0, 0.0))
    bins = history(lambda x: truth.at(np.sort(x), PRICE)[0][np.argsort(np.argsort(x))], units=400.0)
    curves = posterior(bins, seed=1)
    tried = np.linspace(-0.2, 0.2, 9)
    found, true = curves.at(tried, PRICE), truth.at(tried, PRICE)
    np.testing.assert_allclose(found.mean(0), true[0], atol=0.03)
    assert found.std(0).max() < 0.05


def test_the_interval_narrows_as_sales_grow():
    widths = []
    for units in (2.0, 20.0, 200.0):
        bins = history(lambda x: -2 * x, units=units)
        curves = posterior(bins)
        widths.append(curves.at(np.array([0.0, 0.1]), PRICE)[:, 1].std())
    assert widths[0] > 1.5 * widths[1] and widths[1] > widths[2]


def test_the_multiplier_of_a_day_is_not_taken_for_the_price():
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.2, 0.2, 500)
    busy = np.where(x > 0, 3.0, 1.0)
    units = rng.poisson(60 * busy * np.exp(-2 * x)).astype(float)
    (curves,) = draw_curves(bin_prices(x, units, busy), PRIOR, PRICE, rng)
    rise = curves.at(np.array([-0.1, 0.1]), PRICE)
    assert (rise[:, 1] - rise[:, 0]).mean() == pytest.approx(-0.4, abs=0.06)
