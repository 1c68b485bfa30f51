"""Shocks to a simulated shop's demand: changes of its level that no price and no column explains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pricerl.arrays import FloatArray

MEMORIES, SHOCK_SDS = (0.5, 0.9), (0.05, 0.3)
"""Autocorrelation from day to day of shocks that fade, and their sd, in logs."""
SINGLE_SDS = (0.05, 0.3)
"""Sd of shocks that last for a day."""
WALK_SDS = (0.005, 0.02)
"""Sd of the daily change of a level that wanders."""
STEP_DAYS, STEP_SD = 60.0, 0.2
"""Mean days between two steps of the level, and their sd."""

STREAMS = (91, 92, 93)
"""Numbers of the streams of normal and uniform numbers, and of the parameters."""

Shocks = Callable[[FloatArray, FloatArray, np.random.Generator], FloatArray]
"""Function of standard normal and of uniform numbers ``(D,)``, which draws the log level ``(D,)``."""


def fading(normal: FloatArray, uniform: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return an autoregressive process of order 1, from its stationary distribution."""
    memory, sd = generator.uniform(*MEMORIES), generator.uniform(*SHOCK_SDS)
    level = normal.copy()
    for day in range(1, len(level)):
        level[day] = memory * level[day - 1] + np.sqrt(1 - memory**2) * normal[day]
    return np.asarray(sd * level - sd**2 / 2)


def single(normal: FloatArray, uniform: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return independent shocks."""
    sd = generator.uniform(*SINGLE_SDS)
    return np.asarray(sd * normal - sd**2 / 2)


def wandering(normal: FloatArray, uniform: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return a random walk."""
    return np.asarray(generator.uniform(*WALK_SDS) * np.cumsum(normal))


def stepping(normal: FloatArray, uniform: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return a level that steps up or down every few weeks."""
    return np.asarray(STEP_SD * np.cumsum(np.where(uniform < 1 / STEP_DAYS, normal, 0.0)))


KINDS: tuple[Shocks | None, ...] = (fading, single, fading, wandering, fading, stepping, fading, None)
"""Kinds of shocks by the remainder of a shop's seed: half of all shops have fading ones, and one of eight none."""


def covariance_of_shocks(past: int, seed: int) -> FloatArray:
    """Return the covariance ``(past, past)`` of the log level in a shop's history, with the parameters drawn for it."""
    kind = KINDS[seed % len(KINDS)]
    generator = np.random.default_rng([seed, STREAMS[-1]])
    day = np.arange(past)
    apart = np.abs(day[:, None] - day)
    left = np.minimum.outer(past - 1 - day, past - 1 - day).astype(float)  # days to come
    if kind is None:
        return np.zeros((past, past))
    if kind is stepping:
        return np.asarray(STEP_SD**2 / STEP_DAYS * left)
    if kind is wandering:
        return np.asarray(generator.uniform(*WALK_SDS) ** 2 * left)
    memory = generator.uniform(*MEMORIES) if kind is fading else 0.0
    return np.asarray(generator.uniform(*(SHOCK_SDS if kind is fading else SINGLE_SDS)) ** 2 * memory**apart)


def draw_shocks(past: int, ahead: int, seed: int) -> FloatArray:
    """Draw the multiplier of a shop's demand in its history and on the days ahead, ``(past + ahead,)``.

    The history's does not depend on the days ahead. A level that wanders or steps is 1 on the last day of history.
    """
    kind = KINDS[seed % len(KINDS)]
    if kind is None:
        return np.ones(past + ahead)
    streams = [np.random.default_rng([seed, stream]) for stream in STREAMS]
    level = kind(streams[0].normal(size=past + ahead), streams[1].random(past + ahead), streams[2])
    if kind in (wandering, stepping):
        level = level - level[past - 1]
    return np.exp(level)
