from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixture_types import Daily, Read
from observation_windows import every_window

from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, MinMaxScaler, build_features
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor, count_train_days
from pricerl.errors import DataError
from pricerl.simulation.seller import SellerConfig, simulated_history


@pytest.fixture(scope="module")
def three() -> DataPreprocessor:
    return DataPreprocessor.fit(simulated_history(SellerConfig(days=60, products=3), DataConfig()), DataConfig())


def test_scaler_sees_training_days_only(three: DataPreprocessor) -> None:
    fitted = MinMaxScaler.fit([rows[:51] for rows in three.features])
    np.testing.assert_array_equal(three.scaler.gain, fitted.gain)
    np.testing.assert_array_equal(three.scaler.bias, fitted.bias)


def test_windows_start_with_the_oldest_day(three: DataPreprocessor) -> None:
    windows = every_window(three, 1)
    scaled = three.scaler.transform(three.features[1], 1)
    assert windows.shape == (54, 84) and windows.dtype == np.float32 and windows.flags["C_CONTIGUOUS"]
    for row in (0, 17, 53):
        np.testing.assert_array_equal(windows[row], scaled[row : row + 7].reshape(-1))


@pytest.mark.parametrize(("days", "expected"), [(8, 7), (20, 17), (28, 21), (100, 85), (365, 310)])
def test_last_days_are_held_out(days: int, expected: int) -> None:
    assert count_train_days(days, DataConfig()) == expected


def test_shortest_history_gives_two_observations_and_the_window_is_a_setting(read: Read, daily: Daily) -> None:
    windows = every_window(DataPreprocessor.fit(read(daily(["10,20"] * 8)), DataConfig()), 0)
    assert windows.shape == (2, 84) and (windows[:, FEATURES.index("price")] == 0.5).all()
    config = DataConfig(window=3)
    assert every_window(DataPreprocessor.fit(read(daily(["10,20"] * 5), config), config), 0).shape == (3, 36)


def test_products_may_have_histories_of_different_length(read: Read, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Product"
    lines = daily(["10,20,A"] * 30, header) + daily(["5,10,B"] * 12, header)[1:]
    data = DataPreprocessor.fit(read(lines), DataConfig())
    assert [every_window(data, product).shape[0] for product in (0, 1)] == [24, 6]
    assert data.train_days == (23, 10)


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool, np.ndarray)


def test_state_is_plain_values_and_arrays_and_comes_back(three: DataPreprocessor) -> None:
    assert three.products[0].setting.kind == "plain", "cached, and no part of the state"
    assert three.train_days == (51, 51, 51) and three.source == "simulated seller"
    state = three.state_dict()
    assert _plain(state)
    copy = DataPreprocessor.from_state_dict(state)
    assert repr(copy.state_dict()) == repr(state)
    assert copy.config == three.config and copy.reports == three.reports and copy.train_days == three.train_days
    for product in range(3):
        np.testing.assert_array_equal(every_window(copy, product), every_window(three, product))
        np.testing.assert_array_equal(copy.features[product], three.features[product])
        np.testing.assert_array_equal(copy.products[product].dates, three.products[product].dates)
        assert copy.products[product].dates.dtype == three.products[product].dates.dtype
        assert copy.products[product].observed.dtype == np.bool_


def test_fresh_history_keeps_the_fitted_scaler(three: DataPreprocessor) -> None:
    fresh = simulated_history(SellerConfig(days=90, products=3, seed=5), DataConfig())
    moved = DataPreprocessor.refit(fresh, three.state_dict())
    np.testing.assert_array_equal(moved.scaler.gain, three.scaler.gain)
    assert every_window(moved, 2).shape == (84, 84)
    expected = three.scaler.transform(build_features(fresh.products[2], moved.forecasts[2].past), 2)
    np.testing.assert_array_equal(every_window(moved, 2)[0], expected[:7].reshape(-1))


def test_a_fresh_file_may_have_some_products_in_any_order(three: DataPreprocessor) -> None:
    fresh = simulated_history(SellerConfig(days=60, products=3), DataConfig())
    some = History("fresh.csv", (fresh.products[2], fresh.products[0]), (fresh.reports[2], fresh.reports[0]))
    moved = DataPreprocessor.refit(some, three.state_dict())
    assert moved.names == ("product-3", "product-1") and moved.source == "fresh.csv"
    np.testing.assert_array_equal(every_window(moved, 0), every_window(three, 2))
    np.testing.assert_array_equal(every_window(moved, 1), every_window(three, 0))


def test_a_new_product_beside_trained_ones_has_its_own_scaler_and_number(three: DataPreprocessor) -> None:
    fresh = simulated_history(SellerConfig(days=60, products=4), DataConfig())
    moved = DataPreprocessor.refit(fresh, three.state_dict())
    alone = DataPreprocessor.fit(fresh, DataConfig())
    np.testing.assert_array_equal(moved.scaler.gain[:3], three.scaler.gain)
    np.testing.assert_array_equal(moved.scaler.gain[3], alone.scaler.gain[3])
    fewer = History("fresh.csv", fresh.products[2:], fresh.reports[2:])
    assert moved.numbers[:3] == (0, 1, 2)
    assert DataPreprocessor.refit(fewer, three.state_dict()).numbers == moved.numbers[2:]
    assert DataPreprocessor.refit(fewer, three.select([2]).state_dict()).names == ("product-3", "product-4")


def test_a_file_of_new_products_alone_is_refused_with_the_closest_name(three: DataPreprocessor) -> None:
    fresh = simulated_history(SellerConfig(days=60, products=4), DataConfig())
    with pytest.raises(DataError, match=r"product 'product-4' is not in the checkpoint; .*did you mean 'product-3'"):
        DataPreprocessor.refit(History("fresh.csv", fresh.products[3:], fresh.reports[3:]), three.state_dict())
