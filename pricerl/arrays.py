"""Array types, and the summary of an estimate over its draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
DateArray = NDArray[np.datetime64]

LIMITS = (0.05, 0.95)
"""Quantiles at the two ends of a 90 % interval."""


class Interval(NamedTuple):
    """An estimate: mean and 90 % limits."""

    mean: float
    low: float
    """5 % limit."""
    high: float
    """95 % limit."""


def limits_of(draws: ArrayLike) -> FloatArray:
    """Return the 90 % limits over the first axis of ``draws (K, ...)``, ``(2, ...)``."""
    return np.asarray(np.quantile(np.asarray(draws, dtype=np.float64), LIMITS, axis=0))


def intervals_of(draws: ArrayLike) -> FloatArray:
    """Return mean and 90 % limits over the first axis of ``draws (K, ...)``, ``(3, ...)``."""
    values = np.asarray(draws, dtype=np.float64)
    return np.concatenate([values.mean(axis=0)[None], limits_of(values)])


def interval_of(draws: ArrayLike) -> Interval:
    """Return mean and 90 % limits of ``draws (K,)``."""
    return Interval(*(float(value) for value in intervals_of(draws)))
