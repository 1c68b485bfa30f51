from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from pricerl.data.features import FEATURES, MinMaxScaler

F = len(FEATURES)


def rows(num_days: int, seed: int = 0) -> np.ndarray:
    values: np.ndarray = np.random.default_rng(seed).uniform(1, 5, (num_days, F))
    return values


def test_training_range_maps_to_0_and_1_and_values_outside_are_clipped() -> None:
    scaler = MinMaxScaler.fit([rows(20)])
    scaled = scaler.transform(rows(20), 0)
    sales = scaled[:, FEATURES.index("sales")]
    assert scaled.dtype == np.float32 and (sales.min(), sales.max()) == (0.0, 1.0)
    assert scaler.transform(np.full((1, F), -99.0), 0).max() == 0.0
    assert scaler.transform(np.full((1, F), 99.0), 0).min() == 1.0


def test_constant_column_or_single_row_becomes_one_half() -> None:
    features = rows(20)
    profit, momentum = FEATURES.index("profit"), FEATURES.index("price_momentum")
    features[:, profit] = 12.5
    features[:, momentum] = np.linspace(-1e-16, 1e-16, 20)
    scaler = MinMaxScaler.fit([features])
    assert (scaler.gain[0, profit], scaler.bias[0, profit]) == (0.0, 0.5)
    assert (scaler.transform(rows(5, 1), 0)[:, [profit, momentum]] == 0.5).all()
    free = [i for i, name in enumerate(FEATURES) if name not in ("day_of_week", "month")]
    assert (MinMaxScaler.fit([rows(1)]).transform(rows(1), 0)[:, free] == 0.5).all()


def test_bounds_of_prices_exceed_the_tried_ones() -> None:
    features = rows(20)
    price = FEATURES.index("price")
    features[:, price] = np.linspace(10, 20, 20)
    scaler = MinMaxScaler.fit([features])
    assert scaler.bounds(0, "price") == pytest.approx((9.0, 22.0))
    features[:, price] = 10.0
    constant = MinMaxScaler.fit([features])
    assert constant.transform(features, 0)[:, price] == pytest.approx(0.5)
    assert constant.bounds(0, "price") == pytest.approx((9.0, 11.0)), "moves of a price that never varied are seen"


def test_calendar_features_have_their_own_bounds() -> None:
    features = rows(2)
    weekday, month = FEATURES.index("day_of_week"), FEATURES.index("month")
    features[:, weekday], features[:, month] = [0, 3], [1, 1]
    scaled = MinMaxScaler.fit([features]).transform(features, 0)
    assert scaled[:, weekday].tolist() == [0.0, 0.5]
    assert scaled[:, month].tolist() == [0.0, 0.0]
    features[:, month] = 12
    assert (MinMaxScaler.fit([rows(3)]).transform(features, 0)[:, month] == 1).all()


def test_products_are_scaled_apart_and_can_be_selected() -> None:
    scaler = MinMaxScaler.fit([rows(20), 100 * rows(8)])
    assert scaler.gain.shape == (2, F)
    assert scaler.gain[0, 0] > 50 * scaler.gain[1, 0]
    np.testing.assert_array_equal(scaler.select([1, 0]).gain, scaler.gain[::-1])


@given(nps.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(F)), elements=st.floats(-1e9, 1e9)))
def test_scaled_features_always_lie_between_0_and_1(features: np.ndarray) -> None:
    scaled = MinMaxScaler.fit([features]).transform(features, 0)
    assert np.isfinite(scaled).all() and scaled.min() >= 0 and scaled.max() <= 1
