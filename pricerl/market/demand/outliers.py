"""Outliers of daily counts, such as bulk orders and typos."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

ROOT_SHIFT = 0.375
"""Shift of Poisson counts after which their square root has about the sd ``ROOT_SD`` (Anscombe 1948)."""
ROOT_SD = 0.5
"""Sd of the square root of shifted Poisson counts, whatever their mean."""


def winsorise(value: FloatArray, sds: float) -> FloatArray:
    """Winsorise values ``(D,)`` at ``sds`` robust sds of their square root above the median, for a first fit."""
    root = np.sqrt(value + ROOT_SHIFT)
    spread = max(_robust_sd(root), ROOT_SD)
    return np.asarray(np.minimum(value, (float(np.median(root)) + sds * spread) ** 2 - ROOT_SHIFT))


def find_inliers(value: FloatArray, expected: FloatArray, sds: float) -> BoolArray:
    """Return the days whose square-root residual is within ``sds`` robust sds (MAD) of the median, ``(D,)``.

    The sd is at least that of Poisson counts: if most days are equal, such as days without a sale, the MAD is nearly 0
    and every other day would be an outlier.
    """
    residual = np.sqrt(value + ROOT_SHIFT) - np.sqrt(expected + ROOT_SHIFT)
    spread = max(_robust_sd(residual), ROOT_SD)
    return np.asarray(np.abs(residual - np.median(residual)) <= sds * spread)


def _robust_sd(values: FloatArray) -> float:
    """Return the standard deviation as 1.4826 times the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
