"""Outliers among counts: days too far from their median or their expectation."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

ROOT_SHIFT = 0.375
"""Shift of Poisson counts after which their square root has about the sd ``ROOT_SD`` (Anscombe 1948)."""
ROOT_SD = 0.5
"""Sd of the square root of shifted Poisson counts, whatever their mean."""


def winsorise(value: FloatArray, sds: float) -> FloatArray:
    """Winsorise counts ``(D,)`` at ``sds`` robust sds of their square root above the median, for a first fit."""
    root = np.sqrt(value + ROOT_SHIFT)
    return np.asarray(np.minimum(value, (float(np.median(root)) + sds * _robust_sd(root)) ** 2 - ROOT_SHIFT))


def find_inliers(value: FloatArray, expected: FloatArray, sds: float) -> BoolArray:
    """Return the days ``(D,)`` whose square-root residual is within ``sds`` robust sds of the median."""
    residual = np.sqrt(value + ROOT_SHIFT) - np.sqrt(expected + ROOT_SHIFT)
    return np.asarray(np.abs(residual - np.median(residual)) <= sds * _robust_sd(residual))


def _robust_sd(roots: FloatArray) -> float:
    """Return 1.4826 times the median absolute deviation, at least the sd of Poisson counts: most days may be equal."""
    return max(1.4826 * float(np.median(np.abs(roots - np.median(roots)))), ROOT_SD)
