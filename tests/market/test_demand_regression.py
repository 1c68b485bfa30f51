"""The demand regression against statsmodels, and its level against a dense solution."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from pricerl.market.demand.regression import STILL_MOTIONS, WALKS, Prior, fit_regression
from pricerl.market.level import Motion, covariance_of_levels

SIZE = 8.0
STILL = (STILL_MOTIONS[0]._replace(size=SIZE),)
TRUTH = np.array([2.5, -2.0, -1.0, 0.3])


@pytest.fixture
def days():
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.2, 0.2, 400)
    design = np.column_stack([np.ones(400), x, x**2, rng.normal(size=400)])
    mean = np.exp(design @ TRUTH)
    return rng.poisson(mean * rng.gamma(SIZE, 1 / SIZE, 400)).astype(float), design


def flat(columns):
    return Prior(np.zeros(columns), np.full(columns, np.inf))


def fit(units, design, prior, motions=STILL):
    return fit_regression(units, design, prior, np.arange(len(units)), motions=motions)


def test_without_a_prior_mode_and_covariance_are_those_of_statsmodels(days):
    units, design = days
    ours = fit(units, design, flat(4))
    family = sm.families.NegativeBinomial(alpha=1 / SIZE)
    theirs = sm.GLM(units, design, family=family).fit(tol=1e-12)
    np.testing.assert_allclose(ours.mode, theirs.params, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=0.01, atol=3e-3)
    np.testing.assert_allclose(np.exp(ours.log_mean), theirs.fittedvalues, rtol=2e-3)


def test_the_size_is_the_one_statsmodels_finds_likeliest(days):
    units, design = days
    theirs = sm.NegativeBinomial(units, design).fit(disp=False, maxiter=200)
    ours = fit(units, design, flat(4), STILL_MOTIONS)
    assert ours.size == pytest.approx(1 / theirs.params[-1], rel=0.1)
    np.testing.assert_allclose(ours.mode, theirs.params[:-1], rtol=0.02, atol=0.02)


def test_counts_without_extra_spread_are_poisson():
    units = np.random.default_rng(1).poisson(5.0, 2000).astype(float)
    assert fit(units, np.ones((2000, 1)), flat(1), STILL_MOTIONS).size > 50


def test_a_tight_prior_wins_over_the_days_and_a_wide_one_does_not(days):
    units, design = days
    tight, wide = (
        fit(units, design, Prior(np.array([0, -5.0, 0, 0]), np.array([np.inf, sd, np.inf, np.inf])))
        for sd in (1e-4, 1e4)
    )
    assert tight.mode[1] == pytest.approx(-5, abs=1e-3)
    assert wide.mode[1] == pytest.approx(fit(units, design, flat(4)).mode[1], abs=1e-4)


def test_days_without_a_sale_stay_finite():
    design = np.column_stack([np.ones(50), np.linspace(-0.1, 0.1, 50)])
    prior = Prior(np.array([0.0, -2.2]), np.array([np.inf, 1.5]))
    posterior = fit_regression(np.zeros(50), design, prior, np.arange(50))
    assert np.isfinite(posterior.mode).all() and np.isfinite(posterior.log_mean).all()


def shocked(seed, memory, shock_sd, days=200, elasticity=-2.0):
    """Daily units at a price that changes every ten days, around a level with shocks; five days are missing."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.15, 0.15, days // 10).repeat(10)
    shock = np.zeros(days)
    for day in range(1, days):
        shock[day] = memory * shock[day - 1] + shock_sd * rng.normal()
    units = rng.poisson(30 * np.exp(elasticity * x + shock)).astype(float)
    row = np.setdiff1d(np.arange(days), rng.integers(0, days, 5))
    return units[row], np.column_stack([np.ones(len(row)), x[row]]), row


@pytest.mark.parametrize(("walk_sd", "smooth"), [(0.012, False), (0.001, True)])
def test_mode_and_covariance_given_a_motion_are_those_of_the_dense_posterior(walk_sd, smooth):
    units, design, row = shocked(0, 0.8, 0.1)
    motion = Motion(0.8, 0.1, walk_sd, smooth, 20.0)
    prior = Prior(np.array([0.0, -2.0]), np.array([np.inf, 1.5]))
    ours = fit_regression(units, design, prior, row, motions=(motion,))
    mean = np.exp(ours.log_mean)
    weight = mean * (1 + units / motion.size) / (1 + mean / motion.size) ** 2
    response = ours.log_mean + (units - mean) / (1 + mean / motion.size) / weight
    inverse = np.linalg.inv(covariance_of_levels(motion, row, row[-1] + 1) + np.diag(1 / weight))
    precision = np.diag(1 / np.square(prior.sd))
    covariance = np.linalg.inv(design.T @ inverse @ design + precision)
    np.testing.assert_allclose(ours.covariance, covariance, rtol=5e-3)
    anchor = covariance @ (design.T @ inverse @ response + precision @ prior.mean)
    np.testing.assert_allclose(ours.mode, anchor, rtol=1e-3)


def test_shocks_that_last_widen_the_elasticity_and_are_found_only_where_they_are():
    prior = Prior(np.array([0.0, -2.0]), np.array([np.inf, 6.0]))
    calm, stormy = (
        fit_regression(*shocked(1, memory, sd)[:2], prior, shocked(1, memory, sd)[2])
        for memory, sd in ((0.0, 0.0), (0.8, 0.15))
    )
    assert calm.motions[0].shock_sd < 0.06 and stormy.motions[0].memory >= 0.8 and stormy.motions[0].shock_sd >= 0.1
    assert 2 < stormy.covariance[1, 1] / calm.covariance[1, 1] < 40
    for found in (calm, stormy):
        assert abs(found.mode[1] + 2) < 2.5 * np.sqrt(found.covariance[1, 1])


def test_a_level_that_wanders_is_followed_and_ends_at_zero():
    rng = np.random.default_rng(2)
    level = np.cumsum(rng.normal(0, 0.03, 300))
    units = rng.poisson(80 * np.exp(level - level[-1])).astype(float)
    found = fit_regression(units, np.ones((300, 1)), flat(1), np.arange(300))
    assert found.motions[0][2:4] == WALKS[2] and abs(found.walk[-1]) < 0.1
    assert np.corrcoef(found.level, level)[0, 1] > 0.95
