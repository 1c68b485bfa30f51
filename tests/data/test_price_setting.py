"""The way prices were set is recognised from the prices alone."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.price_setting import classify_prices, regular_prices


def ladder(rng, days=200):
    """Posted prices that stay for one to three weeks."""
    return np.round(20 * np.exp(np.repeat(rng.uniform(-0.2, 0.2, days), rng.integers(7, 22, days))[:days]), 2)


def promoted(rng, days=200, depth=0.2):
    """A regular price with a deal of a week every month."""
    return np.where(np.arange(days) % 30 >= 23, np.round(20 * (1 - depth), 2), 20.0)


def averaged(rng, days=200):
    """Revenue over units, with a discount for large orders."""
    return 20 * (1 - rng.uniform(0, 0.2, days))


def repriced(rng, days=200):
    """A new price in whole cents on nearly every day."""
    return np.round(20 * np.exp(0.1 * rng.normal(size=days)), 2)


@pytest.mark.parametrize(
    ("make", "kind"), [(ladder, "plain"), (promoted, "promotions"), (averaged, "averages"), (repriced, "repricer")]
)
def test_each_way_of_setting_prices_is_recognised(make, kind):
    assert [classify_prices(make(np.random.default_rng(seed))).kind for seed in range(10)] == [kind] * 10


def drawn(rng, days=150):
    """One of 5 to 30 price levels, drawn at random every few days."""
    levels = np.round(20 * np.exp(rng.uniform(-0.2, 0.2, rng.integers(5, 31))), 2)
    return np.repeat(rng.choice(levels, days), rng.integers(1, rng.integers(3, 15), days))[:days]


def test_prices_that_are_drawn_at_random_are_no_deals():
    kinds = [classify_prices(drawn(np.random.default_rng(seed))).kind for seed in range(200)]
    assert kinds.count("promotions") <= 4, "2 in 100"


def test_a_calendar_of_deals_that_changes_the_price_on_most_rows_is_no_repricer():
    rng = np.random.default_rng(0)
    deals = np.where(rng.random(120) < 0.4, rng.choice([0.7, 0.75, 0.8, 0.85, 0.9], 120), 1.0)
    found = classify_prices(np.round(np.repeat([2.49, 2.79, 2.99], 40) * deals, 2))
    assert found.kind == "promotions" and found.changes > 0.5


def test_weekly_prices_are_never_those_of_a_repricer():
    assert classify_prices(repriced(np.random.default_rng(0)), step_days=7).kind == "plain"


def test_the_regular_price_bridges_deals_and_follows_lasting_changes():
    price = np.repeat([20.0, 16.0, 20.0, 24.0, 19.0, 24.0], [20, 7, 20, 20, 5, 20])
    expected = np.repeat([20.0, 24.0], [47, 45])
    np.testing.assert_allclose(np.exp(regular_prices(np.log(price), 15)), expected)


@pytest.mark.parametrize(("days", "regular"), [(5, 20.0), (8, 16.0)])
def test_a_last_dip_is_a_deal_until_it_outlasts_those_before_it(days, regular):
    price = np.repeat([20.0, 16.0, 20.0, 16.0], [20, 7, 20, days])
    assert np.exp(regular_prices(np.log(price), 15))[-1] == pytest.approx(regular)


def test_prices_that_never_vary_are_plain_and_regular():
    price = np.full(50, 12.5)
    assert classify_prices(price).kind == "plain"
    np.testing.assert_allclose(np.exp(regular_prices(np.log(price), 9)), price)
