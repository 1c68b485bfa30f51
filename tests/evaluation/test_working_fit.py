"""Demand regression for tests that refit nothing, on histories whose causes were put there."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.evaluation.working_fit import find_entangled, find_price_shares, fit_demand

DAYS = 364


def history_of(make_product, season=0.0, noise=0.06):
    """Random prices that follow a season of 90 days, elasticity -2."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(DAYS) / 90)
    price = np.round(10 * np.exp(rng.normal(0, noise, DAYS) + season * wave), 2)
    units = rng.poisson(40 * (price / 10) ** -2.0 * np.exp(season * wave))
    return make_product(price, units.astype(float))


def test_causes_made_of_prices_are_no_causes(make_product):
    assert list(find_price_shares(fit_demand(history_of(make_product)))) == ["weekday", "season"]


def test_the_share_of_a_cause_is_what_the_others_leave_of_the_price(make_product):
    still, turning = (find_price_shares(fit_demand(history_of(make_product, season))) for season in (0.0, 0.15))
    assert still["season"] < 0.1
    assert turning["season"] == pytest.approx(0.15**2 / 2 / (0.15**2 / 2 + 0.06**2), abs=0.05)
    assert turning["weekday"] < 0.03


def test_a_price_that_does_nothing_but_follow_the_season_is_entangled_with_it(make_product):
    assert find_entangled(fit_demand(history_of(make_product, 0.15, noise=0.001))) == "season"
    assert find_entangled(fit_demand(history_of(make_product, 0.15))) == ""
    assert find_entangled(fit_demand(make_product(np.full(60, 10.0), np.full(60, 5.0)))) == ""
