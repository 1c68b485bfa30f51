"""Min-max scaling of features per product, fitted on training days only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricerl.arrays import FloatArray, IntArray
from pricerl.data.features import FEATURES

FIXED_BOUNDS = {"day_of_week": (0.0, 6.0), "month": (1.0, 12.0)}
"""Calendar features have fixed bounds: a short history need not cover a year. The weekday of weekly rows is
constant."""

PRICE_FEATURES = ("price", "price_mean_7")
"""Their bounds exceed the tried prices by 10 %, so that a policy can distinguish prices beyond them."""

CONSTANT_RANGE = 1e-9
"""Relative range below which a column is constant; rounding in rolling means is a million times smaller."""


@dataclass(frozen=True, eq=False)
class MinMaxScaler:
    """Min-max scaler to [0, 1]: ``scaled = clip(x * gain + bias, 0, 1)``."""

    gain: FloatArray
    """``(P, F)`` inverse of the training range; 0 for a constant column."""

    bias: FloatArray
    """``(P, F)`` negative training minimum, divided by the range; 0.5 for a constant column."""

    @classmethod
    def fit(cls, per_product_features: Sequence[FloatArray]) -> MinMaxScaler:
        """Fit a scaler to the ``(D_p, F)`` training days of each product; with a single day every column is constant.

        Raises:
            ValueError: there is no product, no day, or the number of columns is not that of `FEATURES`.
        """
        if not per_product_features:
            raise ValueError("at least one product is needed to fit a scaler")
        ranges = np.array([_find_range(np.asarray(features, dtype=np.float64)) for features in per_product_features])
        days = np.array([len(features) for features in per_product_features])
        return cls(*_fit_ranges(ranges[:, 0], ranges[:, 1], days))

    def transform(self, features: FloatArray, product: int) -> NDArray[np.float32]:
        """Scale one product's raw ``features (D, F)`` to [0, 1], clipped outside the training range."""
        return np.asarray(np.clip(features * self.gain[product] + self.bias[product], 0.0, 1.0), dtype=np.float32)

    def bounds(self, product: int, feature: str) -> tuple[float, float]:
        """Return the range of a feature within which values are not clipped; ``(-inf, inf)`` if it is constant."""
        column = FEATURES.index(feature)
        gain = float(self.gain[product, column])
        bias = float(self.bias[product, column])
        return (-bias / gain, (1 - bias) / gain) if gain > 0 else (-np.inf, np.inf)

    def select(self, products: Sequence[int]) -> MinMaxScaler:
        """Return the scaler of some of the products, in the order given."""
        return MinMaxScaler(self.gain[list(products)], self.bias[list(products)])


def _find_range(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest value of each feature ``(F,)`` in ``features (D, F)``."""
    if features.ndim != 2 or features.shape[1] != len(FEATURES) or not len(features):
        raise ValueError(
            f"features must have shape (days, {len(FEATURES)}) with at least one day, got {features.shape}"
        )
    return features.min(axis=0), features.max(axis=0)


def _fit_ranges(low: FloatArray, high: FloatArray, days: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return gain and bias ``(P, F)`` of products with values from ``low`` to ``high (P, F)`` in ``days (P,)``."""
    constant = high - low <= CONSTANT_RANGE * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    prices, calendar = ([FEATURES.index(name) for name in names] for names in (PRICE_FEATURES, FIXED_BOUNDS))
    low[:, prices] -= 0.1 * np.abs(low[:, prices])
    high[:, prices] += 0.1 * np.abs(high[:, prices])
    constant[:, prices] = (high - low)[:, prices] <= CONSTANT_RANGE
    low[:, calendar], high[:, calendar] = np.transpose(list(FIXED_BOUNDS.values()))
    fixed_weekday = (days > 1) & constant[:, FEATURES.index("day_of_week")]  # rows of weeks
    constant[:, calendar] = False
    constant[:, FEATURES.index("day_of_week")] = fixed_weekday
    spread = np.where(constant, 1.0, high - low)
    gain = np.where(constant, 0.0, 1.0 / spread)
    return gain, np.where(constant, 0.5, -low / spread)
