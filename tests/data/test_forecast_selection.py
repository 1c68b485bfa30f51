"""The choice of the forecast: scored on training days alone, the closest is used and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, shifted_mean
from pricerl.data.forecasters import FUTURE_DAYS, choose_forecast
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.history_tensors import HistoryTensors
from pricerl.simulation.seller import SellerConfig, simulated_history

Make = Callable[..., ProductHistory]
PREDICTED, MEAN = FEATURES.index("predicted_sales"), FEATURES.index("sales_mean_7")


def weekly(days: int = 100) -> np.ndarray:
    return np.resize([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 140.0], days)


def prepared(product: ProductHistory, forecaster: str) -> DataPreprocessor:
    report = replace(simulated_history(SellerConfig(), DataConfig()).reports[0], product=product.product, notes=())
    config = DataConfig(forecaster=forecaster)
    return DataPreprocessor.fit(History("made up", (product,), (report,)), config)


def test_errors_are_means_over_observed_training_days(make_product: Make) -> None:
    product = make_product(1.0, np.arange(20.0))
    observed = product.observed.copy()
    observed[3] = False
    gaps = np.where(np.arange(20) < 5, np.nan, 0.0)
    errors = choose_forecast(replace(product, observed=observed, predicted=gaps), 12, "mean_7").errors
    days = np.array([1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
    mean = np.array([np.arange(max(day - 7, 0), day).mean() for day in days])
    assert errors["mean_7"] == pytest.approx(np.abs(days - mean).mean())
    assert errors["supplied"] == pytest.approx(np.where(days < 5, days - mean, days).mean())


def test_a_forecast_on_fewer_than_seven_training_days_is_not_scored(make_product: Make) -> None:
    product = make_product(1.0, weekly(30))
    late = np.where(np.arange(30) < 14, np.nan, product.sales)
    assert "supplied" not in choose_forecast(replace(product, predicted=late), 20, "mean_7").errors
    assert choose_forecast(replace(product, predicted=late), 21, "mean_7").source == "supplied"
    assert choose_forecast(product, 7, "mean_7").errors == {}


@pytest.mark.parametrize(("supplied_error", "used"), [(0.0, "supplied"), (30.0, "last_week")])
def test_the_closest_of_the_three_is_used(make_product: Make, supplied_error: float, used: str) -> None:
    noise = np.random.default_rng(0).uniform(-5, 5, 100)
    sales = weekly() + noise
    product = make_product(1.0, sales, predicted=sales + supplied_error)
    choice = choose_forecast(product, 85, "last_week")
    assert choice.source == used
    assert min(choice.errors, key=choice.errors.__getitem__) == used
    assert set(choice.errors) == {"mean_7", "supplied", "last_week"}


def test_held_out_days_do_not_affect_the_choice(make_product: Make) -> None:
    product = make_product(1.0, weekly())
    turned = make_product(1.0, np.where(np.arange(100) < 85, product.units, weekly()[::-1] * 9))
    first, second = (choose_forecast(item, 85, "last_week") for item in (product, turned))
    assert first.source == second.source == "last_week"
    assert first.errors == second.errors


def test_a_worse_forecaster_is_not_used(make_product: Make) -> None:
    product = make_product(1.0, np.random.default_rng(0).poisson(20, 100))
    plain, challenged = prepared(product, "mean_7"), prepared(product, "last_week")
    assert challenged.forecasts[0].source == "mean_7"
    np.testing.assert_array_equal(challenged.features[0], plain.features[0])
    np.testing.assert_array_equal(plain.features[0][:, PREDICTED], shifted_mean(product.sales, 0.0))


def test_a_chosen_forecaster_fills_the_feature_and_the_mean_its_gaps(make_product: Make) -> None:
    data = prepared(make_product(2.0, weekly()), "last_week")
    column, mean = data.features[0][:, PREDICTED], data.features[0][:, MEAN]
    np.testing.assert_array_equal(column[:7], mean[:7])
    np.testing.assert_array_equal(column[7:], 2 * weekly()[7:])
    assert len(data.forecasts[0].future) == FUTURE_DAYS


def test_the_env_reads_the_forecast_of_future_days(make_product: Make) -> None:
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


def test_the_report_names_the_forecast_and_every_error(make_product: Make) -> None:
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


def test_a_checkpoint_carries_the_forecast(make_product: Make) -> None:
    data = prepared(make_product(2.0, weekly()), "last_week")
    copy = DataPreprocessor.from_state_dict(data.state_dict())
    assert copy.forecasts[0].source == "last_week" and copy.config.forecaster == "last_week"
    np.testing.assert_array_equal(copy.forecasts[0].future, data.forecasts[0].future)
    np.testing.assert_array_equal(copy.features[0], data.features[0])


def test_a_fresher_file_is_forecast_by_what_training_chose(make_product: Make) -> None:
    data = prepared(make_product(2.0, weekly()), "last_week")
    flat = make_product(2.0, np.random.default_rng(0).poisson(20, 110))
    moved = DataPreprocessor.refit(History("fresh.csv", (flat,), data.reports), data.state_dict())
    errors: dict[str, Any] = moved.reports[0].forecast_errors
    assert errors["mean_7"] < errors["last_week"]
    assert moved.forecasts[0].source == moved.reports[0].forecast_used == "last_week"
    np.testing.assert_array_equal(moved.features[0][7:, PREDICTED], flat.sales[:-7])
