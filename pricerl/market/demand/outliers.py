"""Days unlike the others: a bulk order or a slip of the keyboard must not spoil what the rest says."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

ROOT_SHIFT, ROOT_SD = 0.375, 0.5
"""The square root of Poisson counts, shifted so, has about this sd whatever their mean (Anscombe 1948)."""


def winsorise(value: FloatArray, sds: float) -> FloatArray:
    """Cut spikes ``(D,)`` down to ``sds`` robust sds of the square root above the median: safe for a first fit."""
    root = np.sqrt(value + ROOT_SHIFT)
    spread = max(_robust_sd(root), ROOT_SD)
    return np.asarray(np.minimum(value, (float(np.median(root)) + sds * spread) ** 2 - ROOT_SHIFT))


def find_inliers(value: FloatArray, expected: FloatArray, sds: float) -> BoolArray:
    """Days whose square-root residual lies within ``sds`` robust sds (MAD) of the median, ``(D,)``.

    The sd is at least that of counts: where most days are alike, such as days without a sale, the MAD is next to
    nothing, and every other day would be cut.
    """
    residual = np.sqrt(value + ROOT_SHIFT) - np.sqrt(expected + ROOT_SHIFT)
    spread = max(_robust_sd(residual), ROOT_SD)
    return np.asarray(np.abs(residual - np.median(residual)) <= sds * spread)


def _robust_sd(values: FloatArray) -> float:
    """Standard deviation as 1.4826 times the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
