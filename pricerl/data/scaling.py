"""Min-max scaling of features per product, fitted on training days only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricerl.arrays import FloatArray
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
        """Fit a scaler to the ``(D_p, F)`` training days of each product; a single day makes every column constant."""
        low = np.array([features.min(axis=0) for features in per_product_features])
        high = np.array([features.max(axis=0) for features in per_product_features])
        several_days = np.array([len(features) > 1 for features in per_product_features])
        constant = high - low <= CONSTANT_RANGE * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
        fixed_weekday = several_days & constant[:, FEATURES.index("day_of_week")]  # rows of weeks
        prices = [FEATURES.index(name) for name in PRICE_FEATURES]
        low[:, prices] -= 0.1 * np.abs(low[:, prices])
        high[:, prices] += 0.1 * np.abs(high[:, prices])
        constant[:, prices] = (high - low)[:, prices] <= CONSTANT_RANGE
        calendar = [FEATURES.index(name) for name in FIXED_BOUNDS]
        low[:, calendar], high[:, calendar] = np.transpose(list(FIXED_BOUNDS.values()))
        constant[:, calendar] = False
        constant[:, FEATURES.index("day_of_week")] = fixed_weekday
        spread = np.where(constant, 1.0, high - low)
        return cls(np.where(constant, 0.0, 1.0 / spread), np.where(constant, 0.5, -low / spread))

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
