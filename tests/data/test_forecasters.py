"""Forecasters: what they predict, and from which days; the closest one on training days is used and reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, shifted_mean
from pricerl.data.forecasters import FORECASTERS, FUTURE_DAYS, choose_forecast
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.history_tensors import HistoryTensors
from pricerl.errors import UsageError
from pricerl.simulation.seller import SellerConfig, simulated_history

PATTERN = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 140.0])
PREDICTED, MEAN = FEATURES.index("predicted_sales"), FEATURES.index("sales_mean_7")


def weekly(days: int = 100) -> np.ndarray:
    return np.resize(PATTERN, days)


NOISY = np.random.default_rng(0).poisson(weekly(120)).astype(np.float64)


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("day", [8, 30, 61, 100])
def test_a_forecast_reads_only_earlier_days(name, day):
    changed = NOISY.copy()
    changed[day:] = np.random.default_rng(1).uniform(500, 900, 120 - day)
    before, after = (FORECASTERS[name](values, 14).past for values in (NOISY, changed))
    np.testing.assert_array_equal(before[: day + 1], after[: day + 1])
    assert (before[day + 1 :] != after[day + 1 :]).any()


@pytest.mark.parametrize("name", FORECASTERS)
def test_the_first_future_day_is_forecast_like_the_day_after_a_shorter_history(name):
    longer, shorter = (FORECASTERS[name](values, 14) for values in (NOISY, NOISY[:112]))
    assert longer.past.shape == (120,) and longer.future.shape == (14,)
    assert shorter.future[0] == pytest.approx(longer.past[112])


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("sales", [np.zeros(60), *(np.arange(1.0, days + 1) for days in (3, 8, 27))], ids=len)
def test_short_histories_and_products_that_never_sell_give_finite_forecasts(name, sales):
    past, future = FORECASTERS[name](sales, 10)
    assert past.shape == sales.shape and future.shape == (10,)
    assert not np.isinf(past).any() and not np.isinf(future).any()
    if not sales.any():
        assert np.nanmax(past) == 0 and (future == 0).all()


def test_last_week_repeats_each_weekday():
    past, future = FORECASTERS["last_week"](np.arange(1.0, 11.0), 9)
    np.testing.assert_array_equal(past, [*[np.nan] * 7, 1, 2, 3])
    np.testing.assert_array_equal(future, [4, 5, 6, 7, 8, 9, 10, 4, 5])


def test_the_weekday_mean_is_the_level_times_a_shrunken_share():
    past, future = FORECASTERS["weekday_mean"](weekly(70), 9)
    mean = PATTERN.mean()
    expected = np.resize((8 * PATTERN + 4 * mean) / 12, 9)
    np.testing.assert_allclose(past[63:70], expected[:7])
    np.testing.assert_allclose(future, expected)
    assert past[1] == PATTERN[0] and np.isnan(past[0])


def test_the_weekday_mean_takes_its_level_from_the_last_four_weeks():
    sales = np.repeat([10.0, 20.0], [100, 28])
    assert FORECASTERS["weekday_mean"](sales, 1).future[0] == pytest.approx(20)


def test_an_unknown_forecaster_is_refused_with_the_closest_name():
    with pytest.raises(UsageError, match=r"forecaster must be one of mean_7, .*; did you mean 'weekday_mean'\?"):
        DataConfig(forecaster="weekday-mean")
    assert DataConfig().forecaster == "mean_7"


def prepared(product: ProductHistory, forecaster: str) -> DataPreprocessor:
    report = replace(simulated_history(SellerConfig(), DataConfig()).reports[0], product=product.product, notes=())
    config = DataConfig(forecaster=forecaster)
    return DataPreprocessor.fit(History("made up", (product,), (report,)), config)


def test_errors_are_means_over_observed_training_days(make_product):
    product = make_product(1.0, np.arange(20.0))
    observed = product.observed.copy()
    observed[3] = False
    gaps = np.where(np.arange(20) < 5, np.nan, 0.0)
    errors = choose_forecast(replace(product, observed=observed, predicted=gaps), 12, "mean_7").errors
    days = np.array([1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
    mean = np.array([np.arange(max(day - 7, 0), day).mean() for day in days])
    assert errors["mean_7"] == pytest.approx(np.abs(days - mean).mean())
    assert errors["supplied"] == pytest.approx(np.where(days < 5, days - mean, days).mean())


def test_a_forecast_on_fewer_than_seven_training_days_is_not_scored(make_product):
    product = make_product(1.0, weekly(30))
    late = np.where(np.arange(30) < 14, np.nan, product.sales)
    assert "supplied" not in choose_forecast(replace(product, predicted=late), 20, "mean_7").errors
    assert choose_forecast(replace(product, predicted=late), 21, "mean_7").source == "supplied"
    assert choose_forecast(product, 7, "mean_7").errors == {}


@pytest.mark.parametrize(("supplied_error", "used"), [(0.0, "supplied"), (30.0, "last_week")])
def test_the_closest_of_the_three_is_used(make_product, supplied_error, used):
    noise = np.random.default_rng(0).uniform(-5, 5, 100)
    sales = weekly() + noise
    product = make_product(1.0, sales, predicted=sales + supplied_error)
    choice = choose_forecast(product, 85, "last_week")
    assert choice.source == used
    assert min(choice.errors, key=choice.errors.__getitem__) == used
    assert set(choice.errors) == {"mean_7", "supplied", "last_week"}


def test_held_out_days_do_not_affect_the_choice(make_product):
    product = make_product(1.0, weekly())
    turned = make_product(1.0, np.where(np.arange(100) < 85, product.units, weekly()[::-1] * 9))
    first, second = (choose_forecast(item, 85, "last_week") for item in (product, turned))
    assert first.source == second.source == "last_week"
    assert first.errors == second.errors


def test_a_worse_forecaster_is_not_used(make_product):
    product = make_product(1.0, np.random.default_rng(0).poisson(20, 100))
    plain, challenged = prepared(product, "mean_7"), prepared(product, "last_week")
    assert challenged.forecasts[0].source == "mean_7"
    np.testing.assert_array_equal(challenged.features[0], plain.features[0])
    np.testing.assert_array_equal(plain.features[0][:, PREDICTED], shifted_mean(product.sales, 0.0))


def test_a_chosen_forecaster_fills_the_feature_and_the_mean_its_gaps_also_after_a_checkpoint(make_product):
    data = prepared(make_product(2.0, weekly()), "last_week")
    column, mean = data.features[0][:, PREDICTED], data.features[0][:, MEAN]
    np.testing.assert_array_equal(column[:7], mean[:7])
    np.testing.assert_array_equal(column[7:], 2 * weekly()[7:])
    assert len(data.forecasts[0].future) == FUTURE_DAYS
    copy = DataPreprocessor.from_state_dict(data.state_dict())
    assert copy.forecasts[0].source == "last_week" and copy.config.forecaster == "last_week"
    np.testing.assert_array_equal(copy.forecasts[0].future, data.forecasts[0].future)
    np.testing.assert_array_equal(copy.features[0], data.features[0])


def test_the_env_reads_the_forecast_of_future_days(make_product):
    product = make_product(2.0, weekly())
    data = prepared(product, "last_week")
    history = HistoryTensors(data, "cpu")
    level = history.price.new_full((1, 365), 0.5)
    calendar = history.build_calendar(history.price.new_ones(1, 7), history.price.new_ones(1, 3), level)
    assert calendar.shape[0] == 4
    days = len(product.dates)
    assert calendar[0, days - 1 : days + 1].tolist() == [1.0, 0.5], "the level ahead begins after the history"
    expected = 2 * weekly(120)
    np.testing.assert_allclose(calendar[3, 7:120], expected[7:])
    own = HistoryTensors(prepared(product, "mean_7"), "cpu")
    assert own.build_calendar(own.price.new_ones(1, 7), own.price.new_ones(1, 3), level).shape[0] == 3


def test_the_report_names_the_forecast_and_every_error(make_product):
    product = make_product(1.0, weekly(), predicted=np.zeros(100))
    report = prepared(product, "last_week").reports[0]
    assert report.forecast_used == "last_week"
    line = next(line for line in report_lines(report) if line.startswith("  forecast"))
    errors = report.forecast_errors
    assert line == (
        "  forecast         last_week; mean absolute error on training days: "
        f"mean_7 {errors['mean_7']:.2f}, supplied {errors['supplied']:.2f}, last_week {errors['last_week']:.2f}"
    )
    assert report.notes == ()


def test_a_fresher_file_is_forecast_by_what_training_chose(make_product):
    data = prepared(make_product(2.0, weekly()), "last_week")
    flat = make_product(2.0, np.random.default_rng(0).poisson(20, 110))
    moved = DataPreprocessor.refit(History("fresh.csv", (flat,), data.reports), data.state_dict())
    errors = moved.reports[0].forecast_errors
    assert errors["mean_7"] < errors["last_week"]
    assert moved.forecasts[0].source == moved.reports[0].forecast_used == "last_week"
    np.testing.assert_array_equal(moved.features[0][7:, PREDICTED], flat.sales[:-7])
