"""The demand regression against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from pricerl.market.demand.regression import Prior, fit_regression, likeliest_size

SIZE = 8.0
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


def test_without_a_prior_mode_and_covariance_are_those_of_statsmodels(days):
    units, design = days
    ours = fit_regression(units, design, flat(4), size=SIZE)
    family = sm.families.NegativeBinomial(alpha=1 / SIZE)
    theirs = sm.GLM(units, design, family=family).fit(tol=1e-12)
    np.testing.assert_allclose(ours.mode, theirs.params, rtol=1e-5)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-4)
    np.testing.assert_allclose(np.exp(ours.log_mean), theirs.fittedvalues, rtol=1e-5)


def test_the_size_is_the_one_statsmodels_finds_likeliest(days):
    units, design = days
    theirs = sm.NegativeBinomial(units, design).fit(disp=False, maxiter=200)
    ours = fit_regression(units, design, flat(4))
    assert ours.size == pytest.approx(1 / theirs.params[-1], rel=0.02)
    np.testing.assert_allclose(ours.mode, theirs.params[:-1], rtol=0.02)


def test_counts_without_extra_spread_are_poisson():
    rng = np.random.default_rng(1)
    mean = np.full(2000, 5.0)
    assert likeliest_size(rng.poisson(mean).astype(float), mean, SIZE) > 50


def test_a_tight_prior_wins_over_the_days_and_a_wide_one_does_not(days):
    units, design = days
    tight, wide = (
        fit_regression(units, design, Prior(np.array([0, -5.0, 0, 0]), np.array([np.inf, sd, np.inf, np.inf])), SIZE)
        for sd in (1e-4, 1e4)
    )
    assert tight.mode[1] == pytest.approx(-5, abs=1e-3)
    assert wide.mode[1] == pytest.approx(fit_regression(units, design, flat(4), SIZE).mode[1], abs=1e-4)


def test_days_without_a_sale_stay_finite():
    design = np.column_stack([np.ones(50), np.linspace(-0.1, 0.1, 50)])
    posterior = fit_regression(np.zeros(50), design, Prior(np.array([0.0, -2.2]), np.array([np.inf, 1.5])))
    assert np.isfinite(posterior.mode).all() and np.isfinite(posterior.log_mean).all()
