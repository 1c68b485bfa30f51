from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pricerl.data.features import FEATURES, build_features, shifted_mean
from pricerl.data.history import ProductHistory


@pytest.fixture
def product(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    generator = np.random.default_rng(3)
    price, sales, profit = generator.uniform(8, 12, 30), generator.uniform(0, 100, 30), generator.normal(0, 10, 30)
    return make_product(price, np.ones(30), sales=sales, profit=profit, organic=np.full(30, 12.0))


def column(features: np.ndarray, name: str) -> np.ndarray:
    values: np.ndarray = features[:, FEATURES.index(name)]
    return values


def test_features_follow_their_definitions_day_by_day(product: ProductHistory) -> None:
    features = build_features(product)
    assert features.shape == (30, 12) and features.dtype == np.float64
    for day in range(30):
        price_mean = product.price[max(0, day - 7) : day].mean() if day else product.price[0]
        week = product.sales[max(0, day - 7) : day].mean() if day else 0.0
        before = product.sales[max(0, day - 14) : day - 7].mean() if day > 7 else week
        date = product.dates[day].item()
        expected = [
            product.price[day],
            price_mean,
            week,
            date.weekday(),
            date.month,
            week,
            product.price[day] / price_mean - 1,
            (week - before) / (week + before) if week + before else 0.0,
            12.0,
            0.0,
            product.profit[day],
            product.sales[day],
        ]
        np.testing.assert_allclose(features[day], expected, rtol=1e-12, atol=1e-12)


def test_means_never_see_today_or_later(product: ProductHistory) -> None:
    shocked = replace(product, sales=np.where(np.arange(30) >= 20, 1e6, product.sales))
    before, after = build_features(product), build_features(shocked)
    np.testing.assert_array_equal(before[:20], after[:20])
    np.testing.assert_array_equal(before[20, :11], after[20, :11])


def test_supplied_forecast_is_used_only_where_asked_and_present(product: ProductHistory) -> None:
    supplied = replace(product, predicted=np.where(np.arange(30) % 2 == 0, 55.0, np.nan))
    used = column(build_features(supplied, supplied.predicted), "predicted_sales")
    own = column(build_features(supplied), "predicted_sales")
    assert (used[::2] == 55).all()
    np.testing.assert_array_equal(used[1::2], own[1::2])
    np.testing.assert_array_equal(own, column(build_features(supplied), "sales_mean_7"))


@pytest.mark.parametrize("days", [1, 2, 7, 8, 9])
def test_shifted_mean_of_few_days(days: int) -> None:
    values = np.arange(1.0, days + 1)
    expected = [99.0] + [values[max(0, day - 7) : day].mean() for day in range(1, days)]
    np.testing.assert_allclose(shifted_mean(values, 99.0), expected)
