"""Runs of days without a sale that are too long to be chance: stock-outs or closed days that no column tells."""

from __future__ import annotations

import numpy as np

from pricerl.data.history import BoolArray, FloatArray

LARGEST_CHANCE = 0.001
"""A run is named if no more than one history in a thousand would hold one so long by chance."""

NEAR_DAYS = 28
"""Days on each side whose demand a run is compared with, beside the whole history: in a slow season zeros are usual."""

FEWEST_SALE_DAYS = 10
"""Fewer days with sales say next to nothing about how often none are due."""

Run = tuple[int, int]
"""First day and the day after the last."""


def improbable_runs(units: FloatArray, known: BoolArray) -> list[Run]:
    """Find the runs of zero-sale days that usual demand makes improbable.

    A history of ``D`` days is expected to hold ``D (1 - z) z^n`` runs of ``n`` or more zero-sale days, with ``z`` the
    chance of such a day: the largest of what the days around the run and all days outside it say.

    Args:
        units: ``(D,)`` sold.
        known: ``(D,)`` True on days whose sales are known and not explained by the stock; any other day ends a run.

    Returns:
        The runs in order of time.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known & (units == 0), [False]]).astype(np.int8)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [run for run in runs if _chance_of_run(run, units, known) < LARGEST_CHANCE]


def _chance_of_run(run: Run, units: FloatArray, known: BoolArray) -> float:
    first, after = run
    outside = known.copy()
    outside[first:after] = False
    position = np.flatnonzero(outside)
    split = int(np.searchsorted(position, first))
    near = position[max(0, split - NEAR_DAYS) : split + NEAR_DAYS]
    if (units[position] > 0).sum() < FEWEST_SALE_DAYS:
        return 1.0
    zero = max(_chance_of_zero(units[days]) for days in (position, near))
    return float(len(units) * (1 - zero) * zero ** (after - first))


def _chance_of_zero(units: FloatArray) -> float:
    """Chance that nothing sells on a day: that of a negative binomial, or the share of such days, an error above it."""
    share = float((np.sum(units == 0) + 1) / (len(units) + 2))
    share += float(np.sqrt(share * (1 - share) / len(units)))
    mean, variance = float(units.mean()), float(units.var())
    if variance <= mean:
        return max(share, float(np.exp(-mean)))
    return max(share, float((mean / variance) ** (mean**2 / (variance - mean))))
