"""Observations straight from the scaled features of a history, to compare those of an env with."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pricerl.data.preprocessor import DataPreprocessor


def every_window(data: DataPreprocessor, product: int) -> np.ndarray:
    """Every observation of a product, ``(D - window + 1, window * F)``, the oldest day first."""
    scaled = data.scaler.transform(data.features[product], product)
    days = sliding_window_view(scaled, data.config.window, axis=0).transpose(0, 2, 1)
    return np.ascontiguousarray(days.reshape(len(days), -1))
