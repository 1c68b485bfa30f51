"""Forecasters: what they predict, and from which days."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.features import shifted_mean
from pricerl.data.forecasters import FORECASTERS, find_forecaster
from pricerl.errors import UsageError

PATTERN = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 140.0])


def noisy_year(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(np.resize(PATTERN, 120)).astype(np.float64)


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("day", [8, 30, 61, 100])
def test_a_forecast_reads_only_earlier_days(name: str, day: int) -> None:
    sales = noisy_year()
    changed = sales.copy()
    changed[day:] = np.random.default_rng(1).uniform(500, 900, len(sales) - day)
    before, after = (FORECASTERS[name](values, 14).past for values in (sales, changed))
    np.testing.assert_array_equal(before[: day + 1], after[: day + 1])
    assert (before[day + 1 :] != after[day + 1 :]).any()


@pytest.mark.parametrize("name", FORECASTERS)
def test_the_first_future_day_is_forecast_like_the_day_after_a_shorter_history(name: str) -> None:
    sales = noisy_year()
    longer, shorter = (FORECASTERS[name](values, 14) for values in (sales, sales[:112]))
    assert longer.past.shape == (120,) and longer.future.shape == (14,)
    assert shorter.future[0] == pytest.approx(longer.past[112])


@pytest.mark.parametrize("name", FORECASTERS)
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


def test_an_unknown_forecaster_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"forecaster must be one of mean_7, .*; did you mean 'weekday_mean'\?"):
        DataConfig(forecaster="weekday-mean")
    with pytest.raises(UsageError, match="found 'prophet'"):
        find_forecaster("prophet")
