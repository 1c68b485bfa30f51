"""Holidays: effects learned from the past apply to future ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY, DAY_BEFORE, HOLIDAY, day_types, find_holidays
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.backtest import run_backtests
from pricerl.evaluation.forecast import forecast_path
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import SEASON, Terms, holiday_factors, optional_covariates
from pricerl.market.fitting import fit_market

DAYS = 560
DATES = np.datetime64("2024-06-10") + np.arange(DAYS + 60)
"""From a Monday; after ``DAYS`` of them Christmas is three days away."""
HOLIDAYS = find_holidays("GB", DATES[0], DATES[-1])
EFFECTS = np.array([0.0, -0.3, 0.5])
"""Log demand of ordinary days, days before holidays, holidays."""
SMALL = DemandConfig(num_draws=16)


@pytest.fixture(scope="module")
def shop(make_product):
    """A seller of 80 units a day that knows its holidays, for as many days as asked for."""
    rng = np.random.default_rng(0)
    weekly = np.where(np.arange(len(DATES)) % 7 >= 5, 1.3, 0.88)
    price = np.repeat(rng.choice([9.5, 10.0, 10.5], len(DATES) // 7 + 1), 7)[: len(DATES)]
    units = rng.poisson(80 * weekly * (price / 10) ** -2 * np.exp(EFFECTS[day_types(DATES, HOLIDAYS)]))

    def sell(days=DAYS, holidays=HOLIDAYS):
        return make_product(price[:days], units[:days], dates=DATES[:days], holidays=holidays)

    return sell


@pytest.fixture(scope="module")
def dynamics(shop, prepare):
    return Dynamics(fit_market(prepare(shop()), SMALL), config=EnvConfig(noise=False))


def test_the_effects_of_holidays_and_of_the_days_before_are_recovered(dynamics):
    market = dynamics.market
    assert np.log(market.products[0].holiday) == pytest.approx(EFFECTS, abs=0.12)
    weekday = market.weekday[0].numpy()
    assert weekday[5:].mean() / weekday[:5].mean() == pytest.approx(1.3 / 0.88, rel=0.05)


def test_advice_and_episodes_expect_the_same_units_of_future_holidays(dynamics):
    market, days = dynamics.market, 28
    price = dynamics.history.price[-1]
    forecast = forecast_path(Product(dynamics, 0), price.expand(days), seed=0).units[0]
    draw = torch.arange(market.num_draws)
    product = torch.zeros_like(draw)
    state = dynamics.start(product, product + DAYS - 1, draw)
    _, outcome = dynamics.advance(state, price.expand(len(draw)), days, None)
    np.testing.assert_allclose(outcome.expected_units.mean(0).numpy(), forecast, rtol=1e-4)
    coming = DATES[DAYS : DAYS + days]
    kind, weekday = day_types(coming, HOLIDAYS), (coming.astype(int) + 3) % 7
    assert (kind == HOLIDAY).sum() == 3 and (kind == DAY_BEFORE).sum() == 2
    usual = forecast / market.weekday[0].numpy()[weekday]
    relative = usual / np.median(usual)
    np.testing.assert_allclose(relative, market.products[0].holiday[kind], rtol=1e-3)


def test_without_a_country_every_day_counts_as_ordinary(shop, prepare):
    plain = shop(holidays=None)
    assert fit_market(prepare(plain), SMALL).holiday.tolist() == [[1, 1, 1]]
    assert {item.name for item in optional_covariates(plain, Terms())} == {SEASON}


@pytest.mark.parametrize(("last", "causes"), [("2025-04-17", []), ("2025-04-18", ["holiday"])])
def test_two_holidays_are_no_covariate_and_three_are(make_product, last, causes):
    dates = np.arange(np.datetime64("2024-12-26"), np.datetime64(last) + DAY)
    product = make_product(10.0, np.full(len(dates), 20.0), dates=dates, holidays=HOLIDAYS)
    assert [cause.name for cause in optional_covariates(product, Terms())] == causes


def test_unknown_effects_are_none():
    assert holiday_factors({"holiday": np.log(2), "promotion": 1.0}) == pytest.approx([1, 1, 2])


@pytest.mark.slow
def test_the_backtest_knows_the_holidays_of_the_days_it_forecasts(shop, prepare):
    told, untold = (
        found.scores[0].wape_market
        for holidays in (HOLIDAYS, None)
        for found in run_backtests(prepare(shop(days=len(DATES), holidays=holidays)), SMALL, CostConfig()).values()
    )
    assert told < untold - 0.005
