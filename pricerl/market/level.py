"""Level of demand: its prior in the history, and what comes after, when shocks fade and a walk goes on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, IntArray

FUTURE_ROWS = 365
"""Rows after the last one for which the level is forecast, the longest horizon of any advice."""
AHEAD_ROWS = 14
"""Rows over which the level ahead is averaged: the default forecast horizon."""
SLOPE_SD = 0.01
"""Prior sd of a smooth walk's slope at its end, in logs per row."""
DAMPING = 0.95
"""Share of a smooth walk's slope that is left after each row ahead (Gardner and McKenzie 1985)."""


class Motion(NamedTuple):
    """Movement of the level from row to row, and the noise of units around it."""

    memory: float
    """Autocorrelation of the shock."""
    shock_sd: float
    """Sd of the shock's innovations, in logs."""
    walk_sd: float
    """Sd of the walk's changes, or of the changes of its slope, in logs."""
    smooth: bool
    """Whether the walk's slope wanders: a smooth trend."""
    size: float
    """Negative-binomial size."""


class Shock(NamedTuple):
    """Shocks of demand that fade: an autoregression in logs."""

    memory: float
    """Autocorrelation from row to row."""
    variance: float


NO_SHOCK = Shock(0.0, 0.0)


class LevelEnd(NamedTuple):
    """Shock and walk of the last row of a history, given how the level moves."""

    mean: FloatArray
    """``(2,)``."""
    covariance: FloatArray
    """``(2, 2)`` given the coefficients of the regression."""
    response: FloatArray
    """``(2, C)`` change per change of a coefficient."""


class FutureLevel(NamedTuple):
    """Log level of the rows after the last one, over the level of the regression's first coefficient."""

    path: FloatArray
    """``(FUTURE_ROWS,)`` mean of each row: the shock fades, and the mean of its exponential over the past is 1."""
    variance: float
    """Variance of the mean over `AHEAD_ROWS`, by the motion of the level, given the coefficients."""
    scatter: float
    """Variance of a row's level around that mean."""
    response: FloatArray
    """``(C,)`` change of that mean per change of a coefficient."""

    @property
    def mean(self) -> float:
        """Mean of the path over `AHEAD_ROWS`."""
        return float(self.path[:AHEAD_ROWS].mean())


def forecast_level(motions: Sequence[Motion], ends: Sequence[LevelEnd], weight: FloatArray) -> FutureLevel:
    """Forecast the level: every motion from its own end of the history, averaged by ``weight (N,)``."""
    loads, shifts, variances, scatters = map(np.stack, zip(*map(_movement, motions), strict=True))
    last, covariances, responses = map(np.stack, zip(*ends, strict=True))
    paths = np.einsum("nrk,nk->nr", loads, last) + shifts
    near = loads[:, :AHEAD_ROWS].mean(1)
    apart = paths[:, :AHEAD_ROWS].mean(1) - weight @ paths[:, :AHEAD_ROWS].mean(1)
    known = np.einsum("nk,nkl,nl->n", near, covariances, near)
    return FutureLevel(
        path=weight @ paths,
        variance=float(weight @ (variances + known + np.square(apart))),
        scatter=float(weight @ scatters),
        response=np.einsum("n,nk,nkc->c", weight, near, responses),
    )


@cache
def _movement(motion: Motion) -> tuple[FloatArray, FloatArray, float, float]:
    """Return what a motion makes of the shock and walk of the last row.

    They are the loads of each row ahead on both ``(FUTURE_ROWS, 2)``; a shift ``(FUTURE_ROWS,)`` that keeps the mean of
    the exponential of shocks as it was; and, by new changes, the variances of the mean of `AHEAD_ROWS` and of a row
    around it.
    """
    rows = np.arange(FUTURE_ROWS)
    fading: FloatArray = np.power(motion.memory, rows + 1.0)
    slope = 1 - np.cumsum(DAMPING**rows) if motion.smooth else 0 * fading
    shift = np.asarray(-0.5 * motion.shock_sd**2 / (1 - motion.memory**2) * fading**2)
    apart = np.subtract.outer(rows[:AHEAD_ROWS], rows[:AHEAD_ROWS])
    shocks = motion.shock_sd * np.where(apart >= 0, motion.memory ** np.maximum(apart, 0.0), 0.0)
    walks = (0.0 if motion.smooth else motion.walk_sd) * (apart > 0)
    changes = np.hstack([shocks, walks])
    variance = float(np.square(changes.mean(0)).sum())
    return np.column_stack([fading, slope]), shift, variance, float(np.square(changes).sum(1).mean()) - variance


@lru_cache(maxsize=256)
def level_precision(motion: Motion, rows: int) -> FloatArray:
    """Return the prior precision of shock and walk of each row in turn, as a lower band ``(3 or 5, 2 R)``."""
    band = np.zeros((5 if motion.smooth else 3, 2 * rows))
    band[0, 0::2] = 1 + motion.memory**2
    band[0, [0, -2]] = 1 if rows > 1 else 1 - motion.memory**2
    band[2, 0:-2:2] = -motion.memory
    walk = band[:, 1::2]
    change = (1, -2, 1) if motion.smooth else (1, -1)  # of a walk that is 0 after the last row
    for (here, one), (there, two) in itertools.combinations_with_replacement(enumerate(change), 2):
        walk[2 * (there - here), here : here + min(rows + 2 - len(change), rows - there)] += one * two
    if motion.smooth:
        walk[0, -1] += (motion.walk_sd / SLOPE_SD) ** 2
    band[:, 0::2] /= motion.shock_sd**2
    walk /= motion.walk_sd**2
    return np.asfortranarray(band)


def covariance_of_levels(motion: Motion, row: IntArray, rows: int) -> FloatArray:
    """Return the prior covariance of the levels at places ``row (D,)`` on a calendar, ``(D, D)``."""
    fading = motion.shock_sd**2 / (1 - motion.memory**2) * np.power(motion.memory, np.arange(rows))
    shock = fading[np.abs(row[:, None] - row)]
    late = rows - np.maximum(row[:, None], row).astype(float)
    if not motion.smooth:
        return np.asarray(shock + motion.walk_sd**2 * late)
    early = rows - np.minimum(row[:, None], row).astype(float)
    turned = late * (late - 1) * ((2 * late - 1) / 6 + (early - late) / 2)
    return np.asarray(shock + motion.walk_sd**2 * turned + SLOPE_SD**2 * late * early)
