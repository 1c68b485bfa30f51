from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricerl.data import SellerConfig
from pricerl.evaluation import Backtest, backtest
from pricerl.market import CostConfig, SimilarConfig

SMALL = SimilarConfig(num_draws=16)
LONG = [SellerConfig(days=1000, units=60.0, seed=seed) for seed in (0, 1, 2)]


def with_later_units(preprocessor, units):
    """Return the preprocessor with other sales on the held-out days; scaler and split stay."""
    product, train = preprocessor.products[0], preprocessor.train_days[0]
    changed = product.units.copy()
    changed[train:] = units
    return replace(preprocessor, products=(replace(product, units=changed, sales=changed * product.price),))


@pytest.fixture(scope="module")
def long_runs(simulated):
    return [backtest(simulated(seller), SMALL, CostConfig())[0] for seller in LONG]


def test_the_market_forecasts_better_than_the_last_week_when_prices_vary(long_runs):
    assert all(row.skill > 0.05 for row in long_runs)
    assert all(row.wape_market < row.wape_mean_7 for row in long_runs)


def test_ninety_percent_intervals_hold_about_ninety_percent_of_the_days(long_runs):
    assert np.mean([row.coverage for row in long_runs]) == pytest.approx(0.9, abs=0.06)


def test_every_observed_held_out_day_is_forecast(long_runs):
    assert [row.days for row in long_runs] == [150] * 3


def test_the_forecast_never_sees_a_held_out_day(simulated):
    preprocessor = simulated(LONG[0])
    large = 1e6
    silent = backtest(with_later_units(preprocessor, 0.0), SMALL, CostConfig())[0]
    loud = backtest(with_later_units(preprocessor, large), SMALL, CostConfig())[0]
    forecast_if_silent = silent.wape_market * 1e-9
    forecast_if_loud = (1 - loud.wape_market) * large * loud.days
    assert forecast_if_silent == pytest.approx(forecast_if_loud, rel=1e-6)
    assert forecast_if_silent > 1000


def test_the_rival_forecast_is_the_mean_of_the_last_training_week(simulated):
    preprocessor = simulated(LONG[0])
    product, train = preprocessor.products[0], preprocessor.train_days[0]
    mean, later = product.units[train - 7 : train].mean(), product.units[train:]
    row = backtest(preprocessor, SimilarConfig(num_draws=2), CostConfig())[0]
    assert row.wape_mean_7 == pytest.approx(np.abs(later - mean).sum() / later.sum())


def test_the_same_seed_gives_the_same_backtest(simulated):
    preprocessor = simulated(SellerConfig(days=100))
    first, again, other = (backtest(preprocessor, SMALL, CostConfig(), seed=seed) for seed in (1, 1, 2))
    assert first == again and first != other


def test_products_without_an_observed_held_out_day_are_left_out(simulated):
    preprocessor = simulated(SellerConfig(days=100, products=2))
    first, second = preprocessor.products
    unseen = second.observed.copy()
    unseen[preprocessor.train_days[1] :] = False
    silent = replace(preprocessor, products=(first, replace(second, observed=unseen)))
    assert [row.product for row in backtest(silent, SMALL, CostConfig())] == [first.product]


def test_skill_is_the_share_of_the_rivals_error_that_is_saved():
    assert Backtest("a", 10, 0.3, 0.4, 0.9).skill == pytest.approx(0.25)
    assert Backtest("a", 10, 0.3, 0.0, 0.9).skill == 0.0
