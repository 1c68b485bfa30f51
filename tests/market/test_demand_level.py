"""The level that the next days start from: still where demand is, quick where it moves, deaf to bulk orders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pricerl.evaluation.forecast import predict_units
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.curves import MAX_LEVEL_SD
from pricerl.market.demand.regression import Prior, fit_regression
from pricerl.market.fitting import fit_market

NOON = 20.0


def levels(units, usual=1.0):
    """Levels drawn for a history on curves that expect 20 units a day."""
    units = np.asarray(units, dtype=np.float64)
    design = np.column_stack([np.ones(len(units)), np.full(len(units), np.log(usual * NOON))])
    found = fit_regression(units, design, Prior(np.array([0.0, 1.0]), np.array([np.inf, 1e-3])), np.arange(len(units)))
    ahead = np.array([1.0, 0.0]) + found.future.response
    sd = min(float(np.sqrt(ahead @ found.covariance @ ahead + found.future.variance)), MAX_LEVEL_SD)
    return found.mode[0] + found.future.mean - sd**2 / 2 + np.random.default_rng(0).normal(size=400) * sd


def sales(mean, days, seed=0):
    return np.random.default_rng(seed).poisson(mean, days)


@pytest.mark.parametrize(
    ("days", "usual", "error"), [(1, 1, 0.03), (5, 1, 0.03), (60, 1, 0.03), (500, 1, 0.03), (90, 0.5, 0.02)]
)
def test_demand_as_expected_also_on_quiet_weekdays_leaves_the_level_at_one(days, usual, error):
    assert np.exp(levels(np.full(days, usual * NOON), usual)).mean() == pytest.approx(1.0, abs=error)


def test_a_level_that_stays_is_known_better_the_longer_it_stayed():
    spread = [levels(sales(NOON, days)).std() for days in (10, 40, 120)]
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] < 0.06
    noisy = np.random.default_rng(1).negative_binomial(NOON / 4, 1 / 5, 120)  # five times the variance
    assert levels(noisy).std() > 1.3 * spread[2]


@pytest.mark.parametrize(("now", "most"), [(0.25, 0.42), (0.6, 0.75), (1.8, 1.5)])
def test_a_level_that_jumped_three_weeks_ago_is_nearly_the_new_one(now, most):
    drawn = levels(np.concatenate([sales(NOON, 100), sales(now * NOON, 21, seed=1)]))
    assert abs(np.exp(drawn).mean() - 1) > abs(most - 1), "it may be a shock, of which a part passes"


def test_a_level_that_moves_is_less_sure_than_one_that_stays():
    wander = NOON * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.1, 120)))
    moved, stayed = levels(sales(wander, 120)), levels(sales(NOON, 120))
    assert moved.std() > 2 * stayed.std()
    assert np.ptp(np.quantile(moved, [0.05, 0.95])) < np.log(4), "but not beyond all measure"


def test_where_nothing_sold_for_weeks_the_level_is_low_and_finite():
    drawn = levels(np.concatenate([sales(NOON, 60), np.zeros(30)]))
    assert np.isfinite(drawn).all() and np.exp(drawn).mean() < 0.07


def forecast(prepare, product, known):
    """Mean forecast of all days after the first ``known`` ones, at the prices charged."""
    market = fit_market(prepare(product.first_days(known)), DemandConfig(num_draws=64), conversions=False)
    return predict_units(market, product, np.arange(known, len(product.dates)), torch.Generator().manual_seed(0))[0]


def test_the_units_of_bulk_orders_return_in_the_forecast(prepare, make_product):
    units = sales(NOON, 134).astype(float)
    units[np.arange(5, 120, 20)] = 6 * NOON
    mean = forecast(prepare, make_product(np.where(np.arange(134) // 14 % 2, 10.0, 10.5), units), 120)
    assert mean.mean() == pytest.approx(units[:120].mean(), rel=0.1), "without them it is a fifth less"


def test_deals_ahead_sell_what_deals_sold(prepare, make_product):
    days = np.arange(168)
    deal = days % 28 > 22
    units = sales(np.where(deal, 3 * NOON, NOON), 168).astype(float)
    mean = forecast(prepare, make_product(np.where(deal, 8.5, 10.0), units), 140)
    assert mean[deal[140:]].mean() == pytest.approx(3 * NOON, rel=0.15)
    assert mean[~deal[140:]].mean() == pytest.approx(NOON, rel=0.1)


def test_a_shock_of_the_last_days_fades_in_the_forecast(prepare, make_product):
    rng = np.random.default_rng(2)
    shock = np.zeros(200)
    for day in range(1, 200):
        shock[day] = 0.8 * shock[day - 1] + 0.2 * rng.normal()
    shock[-2:] = 0.9
    product = make_product(np.where(np.arange(200) // 9 % 2, 10.0, 10.5), sales(60 * np.exp(shock), 200).astype(float))
    ahead = fit_market(prepare(product), DemandConfig(num_draws=64)).products[0].ahead.path
    assert ahead[0] > 1.25 and ahead[:14].mean() == pytest.approx(1.0, abs=0.05)
    assert ahead[60:] == pytest.approx(ahead[-1], rel=0.01)
