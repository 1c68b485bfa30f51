"""Twelve daily features of an observation, and their scaling per product, fitted on training days only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.history import ProductHistory

FEATURES: tuple[str, ...] = (
    "price",
    "price_mean_7",
    "sales_mean_7",
    "day_of_week",
    "month",
    "predicted_sales",
    "price_momentum",
    "sales_trend",
    "organic_conversion",
    "ad_conversion",
    "profit",
    "sales",
)

FIXED_BOUNDS = {"day_of_week": (0.0, 6.0), "month": (1.0, 12.0)}
"""Calendar features have fixed bounds: a short history need not cover a year. The weekday of weekly rows is
constant."""

CALENDAR_COLUMNS = [FEATURES.index(name) for name in FIXED_BOUNDS]
PRICE_COLUMNS = [FEATURES.index(name) for name in ("price", "price_mean_7")]
"""Their bounds exceed the tried prices by 10 %, so that a policy can distinguish prices beyond them."""
WEEKDAY_COLUMN, MONTH_COLUMN = CALENDAR_COLUMNS

CONSTANT_RANGE = 1e-9
"""Relative range below which a column is constant; rounding in rolling means is a million times smaller."""


def build_features(history: ProductHistory, predicted: FloatArray | None = None) -> FloatArray:
    """Return the features of every day, ``(D, 12)`` in the order of `FEATURES`, unscaled.

    Rolling means end the day before; ``profit``, ``sales`` and conversions are the day's own outcome. The mean of
    sales replaces a revenue forecast ``predicted (D,)`` that is absent or NaN.
    """
    price = history.prices_in_force
    price_mean = shifted_mean(price, price[0])
    sales_mean = shifted_mean(history.sales, 0.0)
    last_week = np.concatenate([sales_mean[: WEEK + 1], sales_mean[1:-WEEK]])
    total = sales_mean + last_week  # the trend is 0 without a last week or sales
    columns = [
        price,
        price_mean,
        sales_mean,
        weekday_of(history.dates.astype(np.int64)),
        history.dates.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        sales_mean if predicted is None else np.where(np.isfinite(predicted), predicted, sales_mean),
        price / price_mean - 1.0,
        np.divide(sales_mean - last_week, total, out=np.zeros_like(total), where=total != 0),
        np.nan_to_num(history.organic),
        np.nan_to_num(history.ad),
        history.profit,
        history.sales,
    ]
    return np.column_stack(columns).astype(np.float64)


def shifted_mean(values: FloatArray, first: float) -> FloatArray:
    """Return the mean of the seven ``values (D,)`` before each day, of fewer at the start, ``first`` on the first."""
    sums = np.convolve(values, np.ones(WEEK))[: len(values) - 1]
    return np.append(first, sums / np.minimum(np.arange(1, len(values)), WEEK))


@dataclass(frozen=True, eq=False)
class MinMaxScaler:
    """Min-max scaler to [0, 1]: ``scaled = clip(x * gain + bias, 0, 1)``."""

    gain: FloatArray
    """``(P, F)`` inverse of the training range; 0 for a constant column."""
    bias: FloatArray
    """``(P, F)`` negative training minimum, divided by the range; 0.5 for a constant column."""

    @classmethod
    def fit(cls, per_product_features: Sequence[FloatArray]) -> MinMaxScaler:
        """Fit a scaler to the ``(D_p, F)`` training days of each product; a single day makes every column constant."""
        low, high = (np.array([end(days, axis=0) for days in per_product_features]) for end in (np.min, np.max))
        constant = high - low <= CONSTANT_RANGE * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
        constant[:, MONTH_COLUMN] = False
        constant[:, WEEKDAY_COLUMN] &= [len(features) > 1 for features in per_product_features]  # rows of weeks
        low[:, PRICE_COLUMNS] -= 0.1 * np.abs(low[:, PRICE_COLUMNS])
        high[:, PRICE_COLUMNS] += 0.1 * np.abs(high[:, PRICE_COLUMNS])
        constant[:, PRICE_COLUMNS] = (high - low)[:, PRICE_COLUMNS] <= CONSTANT_RANGE
        low[:, CALENDAR_COLUMNS], high[:, CALENDAR_COLUMNS] = np.transpose(list(FIXED_BOUNDS.values()))
        spread = np.where(constant, 1.0, high - low)
        return cls(np.where(constant, 0.0, 1.0 / spread), np.where(constant, 0.5, -low / spread))

    def transform(self, features: FloatArray, product: int) -> NDArray[np.float32]:
        """Scale one product's raw ``features (D, F)`` to [0, 1], clipped outside the training range."""
        return np.asarray(np.clip(features * self.gain[product] + self.bias[product], 0.0, 1.0), dtype=np.float32)

    def bounds(self, product: int, feature: str) -> tuple[float, float]:
        """Return the range of a feature within which values are not clipped; ``(-inf, inf)`` if it is constant."""
        gain, bias = (float(values[product, FEATURES.index(feature)]) for values in (self.gain, self.bias))
        return (-bias / gain, (1 - bias) / gain) if gain > 0 else (-np.inf, np.inf)

    def select(self, products: Sequence[int]) -> MinMaxScaler:
        """Return the scaler of some of the products, in the order given."""
        return MinMaxScaler(self.gain[list(products)], self.bias[list(products)])
