"""Forecasters: what they predict, from which days, and what happens without their package."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.features import shifted_mean
from pricerl.data.forecasters import FORECASTERS, find_forecaster
from pricerl.errors import UsageError

STATISTICAL = ("auto_ets", "auto_theta")
PATTERN = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 140.0])


def needs_package(name: str) -> object:
    absent = find_spec("statsforecast") is None
    skip = pytest.mark.skipif(absent, reason="statsforecast, the extra `forecast`, is not installed")
    return pytest.param(name, marks=skip if name in STATISTICAL else ())


EVERY = [needs_package(name) for name in FORECASTERS]


def noisy_year(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(np.resize(PATTERN, 120)).astype(np.float64)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("day", [8, 30, 61, 100])
def test_a_forecast_reads_only_earlier_days(name: str, day: int) -> None:
    sales = noisy_year()
    changed = sales.copy()
    changed[day:] = np.random.default_rng(1).uniform(500, 900, len(sales) - day)
    before, after = (FORECASTERS[name](values, 14).past for values in (sales, changed))
    np.testing.assert_array_equal(before[: day + 1], after[: day + 1])
    assert (before[day + 1 :] != after[day + 1 :]).any()


@pytest.mark.parametrize("name", EVERY)
def test_the_first_future_day_is_forecast_like_the_day_after_a_shorter_history(name: str) -> None:
    sales = noisy_year()
    longer, shorter = (FORECASTERS[name](values, 14) for values in (sales, sales[:112]))
    assert longer.past.shape == (120,) and longer.future.shape == (14,)
    assert shorter.future[0] == pytest.approx(longer.past[112])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("sales", [np.zeros(60), *(np.arange(1.0, days + 1) for days in (3, 8, 27))], ids=len)
def test_short_histories_and_products_that_never_sell_give_finite_forecasts(name: str, sales: np.ndarray) -> None:
    past, future = FORECASTERS[name](sales, 10)
    assert past.shape == sales.shape and future.shape == (10,)
    assert not np.isinf(past).any() and not np.isinf(future).any()
    if not sales.any():
        assert np.nanmax(past) == 0 and (future == 0).all()


def test_the_default_is_the_mean_of_the_week_before() -> None:
    sales = noisy_year()
    assert DataConfig().forecaster == "mean_7"
    past, future = FORECASTERS["mean_7"](sales, 3)
    np.testing.assert_array_equal(past, shifted_mean(sales, 0.0))
    np.testing.assert_allclose(future, sales[-7:].mean())


def test_last_week_repeats_each_weekday() -> None:
    past, future = FORECASTERS["last_week"](np.arange(1.0, 11.0), 9)
    np.testing.assert_array_equal(past, [*[np.nan] * 7, 1, 2, 3])
    np.testing.assert_array_equal(future, [4, 5, 6, 7, 8, 9, 10, 4, 5])


def test_the_weekday_mean_is_the_level_times_a_shrunken_share() -> None:
    past, future = FORECASTERS["weekday_mean"](np.resize(PATTERN, 70), 9)
    mean = PATTERN.mean()
    expected = np.resize((8 * PATTERN + 4 * mean) / 12, 9)
    np.testing.assert_allclose(past[63:70], expected[:7])
    np.testing.assert_allclose(future, expected)
    assert past[1] == PATTERN[0] and np.isnan(past[0])


def test_the_weekday_mean_takes_its_level_from_the_last_four_weeks() -> None:
    sales = np.repeat([10.0, 20.0], [100, 28])
    assert FORECASTERS["weekday_mean"](sales, 1).future[0] == pytest.approx(20)


@pytest.mark.parametrize("name", [needs_package(name) for name in STATISTICAL])
def test_a_statistical_model_learns_the_weekdays(name: str) -> None:
    sales = noisy_year()
    past, future = FORECASTERS[name](sales, 14)
    assert np.isnan(past[:28]).all() and np.isfinite(past[28:]).all()
    own = np.abs(shifted_mean(sales, 0.0) - sales)[56:].mean()
    assert np.abs(past - sales)[56:].mean() < 0.5 * own
    np.testing.assert_allclose(future, np.resize(np.roll(PATTERN, -120 % 7), 14), rtol=0.35)


@pytest.mark.parametrize("name", STATISTICAL)
def test_a_missing_package_is_reported_with_its_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    with pytest.raises(UsageError, match=r"statsforecast, which is not installed; pip install"):
        FORECASTERS[name](noisy_year(), 7)


def test_an_unknown_forecaster_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"forecaster must be one of mean_7, .*; did you mean 'weekday_mean'\?"):
        DataConfig(forecaster="weekday-mean")
    with pytest.raises(UsageError, match="found 'prophet'"):
        find_forecaster("prophet")
