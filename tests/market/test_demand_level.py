"""The level that the next days start from: still where demand is, quick where it moves, deaf to bulk orders."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.market.demand.curves import CurveDraws, DailyValues, draw_levels

NOON = 20.0
LOG_GRID = np.linspace(np.log(5), np.log(20), 33)


def levels(units, dispersion=1.0, draws=400, offset=1.0, seed=0):
    """Levels drawn for a history at one price, on curves that expect 20 units a day there."""
    units = np.asarray(units, dtype=np.float64)
    age = np.arange(len(units))[::-1].astype(np.float64)
    days = DailyValues(np.full(len(units), np.log(10.0)), units, np.full(len(units), offset), age)
    curves = CurveDraws(np.full((draws, 33), np.log(NOON)), np.full(33, np.inf), dispersion, 1e4, 0)
    return draw_levels(days, curves, LOG_GRID, 4.0, np.random.default_rng(seed))


def sales(mean, days, seed=0):
    return np.random.default_rng(seed).poisson(mean, days)


@pytest.mark.parametrize("days", [1, 5, 60, 500])
def test_demand_as_expected_leaves_the_level_at_one(days):
    drawn = levels(np.full(days, NOON))
    assert drawn.shape == (400,)
    assert np.exp(drawn).mean() == pytest.approx(1.0, abs=0.02)


def test_a_level_that_stays_is_known_better_the_longer_it_stayed():
    spread = [levels(sales(NOON, days)).std() for days in (10, 40, 120)]
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] < 0.06
    assert levels(sales(NOON, 120), dispersion=5.0).std() > 1.3 * spread[2]


@pytest.mark.parametrize("now", [0.25, 0.6, 1.8])
def test_a_level_that_jumped_three_weeks_ago_is_the_new_one(now):
    drawn = levels(np.concatenate([sales(NOON, 100), sales(now * NOON, 21, seed=1)]))
    assert np.exp(drawn).mean() == pytest.approx(now, rel=0.15)


def test_a_level_that_moves_is_less_sure_than_one_that_stays():
    wander = NOON * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.1, 120)))
    moved, stayed = levels(sales(wander, 120)), levels(sales(NOON, 120))
    assert moved.std() > 2 * stayed.std()
    assert np.ptp(np.quantile(moved, [0.05, 0.95])) < np.log(4), "but not beyond all measure"


def test_one_bulk_order_is_no_new_level():
    usual = sales(NOON, 100)
    bulk = usual.copy()
    bulk[-3] = 400
    assert np.exp(levels(bulk)).mean() == pytest.approx(np.exp(levels(usual)).mean(), rel=0.05)


def test_what_weekdays_explain_is_no_level():
    assert np.exp(levels(np.full(90, 10.0), offset=0.5)).mean() == pytest.approx(1.0, abs=0.02)


def test_where_nothing_sold_for_weeks_the_level_is_low_and_finite():
    drawn = levels(np.concatenate([sales(NOON, 60), np.zeros(30)]))
    assert np.isfinite(drawn).all() and np.exp(drawn).mean() < 0.05


def test_the_same_randomness_draws_the_same_levels():
    assert np.array_equal(levels(sales(NOON, 50)), levels(sales(NOON, 50)))
