"""Days without a sale that can be no chance: stock-outs or closed days that no column tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import pdtrc

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.features import weekday_of
from pricerl.data.history import ProductHistory

LARGEST_CHANCE = 0.001
"""A run is named if no more than one history in a thousand would hold one so long by chance."""

NEAR_DAYS = 28
"""Days on each side whose demand a run is compared with, beside the whole history: in a slow season zeros are usual."""

FEWEST_SALE_DAYS = 10
"""Fewer days with sales say next to nothing about how often none are due."""

CLOSED_SHARE = 0.9
"""A weekday with at least this share of days without a sale is one on which the seller is closed."""

LARGEST_SHARE = 0.10
"""With a larger share of unexplained days nothing can be said of demand. Where a week's delivery sold out again and
again, changes of price harmed 30 % of simulated shops (130 to 1000 days, 5.5 to 500 units a day); refusing them above
this share left 1 %, and nothing was refused where stock never ended."""

FEWEST_SPELLS = 4
"""Fewer separate runs are single events, such as a holiday: named as runs if they are long."""

FEWEST_TIMES = 2.0
"""So many times as many days without a sale as usual demand explains: it is not known to a few percent."""

FORMULA_STEPS = 50
"""Steps of a fixed point that converges in fewer."""

LEAST_MEAN = 1.01
"""Units: a day that sold something sold one at least."""

LEAST_OVERDISPERSION = 1e-3
"""Variance over the mean, in squared means: nearly a Poisson distribution."""

Run = tuple[int, int]
"""First day and the day after the last."""


class UnlikelyZeros(NamedTuple):
    """More days without a sale than usual demand explains."""

    days: int
    """Days without a sale, of weekdays on which the seller is open."""
    expected: float
    """Such days that usual demand explains."""
    known: int
    """All days whose sales are known, of those weekdays."""

    @property
    def share(self) -> float:
        """Unexplained share of the known days."""
        return (self.days - self.expected) / self.known

    def __str__(self) -> str:
        due = f"{self.expected:.0f}" if self.expected >= 0.5 else "none"
        return f"nothing sold on {self.days} of {self.known} days, usual demand explains {due}"


def unlikely_zeros(history: ProductHistory) -> UnlikelyZeros | None:
    """Find whether days without a sale come too often, in too many places, to be chance.

    Sales of the days that sold something give a negative binomial its mean, from the 28 days on each side, and its
    size; both are corrected for the zeros that they leave out. It says how many days without a sale are due.

    Args:
        history: days that the file says were in stock, or out of it, are not asked about.

    Returns:
        The days, where a chance of one in a thousand, twice the days that are due and four separate runs are all
        exceeded; else None.
    """
    known = history.stock_untold
    weekday, zero = weekday_of(history.dates.astype(np.int64)), history.units == 0
    count = np.maximum(np.bincount(weekday[known], minlength=7), 1)
    closed = np.bincount(weekday[known & zero], minlength=7) >= CLOSED_SHARE * count
    known = known & ~closed[weekday]
    sold = known & ~zero
    if sold.sum() < FEWEST_SALE_DAYS:
        return None
    expected = float(_due_zeros(history.units, sold)[known].sum())
    days = int((known & zero).sum())
    spells = int((np.diff(np.flatnonzero(known & zero), prepend=-2) > 1).sum())
    improbable = days > 0 and pdtrc(days - 1, expected) < LARGEST_CHANCE
    if not improbable or days < FEWEST_TIMES * expected or spells < FEWEST_SPELLS:
        return None
    return UnlikelyZeros(days, expected, int(known.sum()))


def _due_zeros(units: FloatArray, sold: BoolArray) -> FloatArray:
    """Chance ``(D,)`` of a day without a sale, from the days that ``sold`` something."""
    sums, counts = (np.cumsum(np.append(0.0, values)) for values in (units * sold, sold))
    day = np.arange(len(units))
    first, after = np.maximum(day - NEAR_DAYS, 0), np.minimum(day + NEAR_DAYS + 1, len(units))
    near = counts[after] - counts[first]
    mean = np.where(near >= FEWEST_SALE_DAYS, sums[after] - sums[first], sums[-1])
    mean = np.maximum(mean / np.where(near >= FEWEST_SALE_DAYS, near, counts[-1]), LEAST_MEAN)
    return _chance_below_one(units, mean, sold)


def _chance_below_one(units: FloatArray, mean: FloatArray, sold: BoolArray) -> FloatArray:
    """Chance ``(D,)`` of no sale under a negative binomial whose days with a sale have these means and squares.

    Mean and size are corrected for the zeros that those days leave out, in turn, until they agree.
    """
    whole, overdispersion, zero = mean, LEAST_OVERDISPERSION, np.zeros(len(mean))
    for _ in range(FORMULA_STEPS):
        zero = (1 + overdispersion * whole) ** (-1 / overdispersion)
        whole = mean * (1 - zero)
        excess = units**2 * (1 - zero) - whole - whole**2
        overdispersion = float(np.clip(excess[sold].sum() / (whole[sold] ** 2).sum(), LEAST_OVERDISPERSION, 10.0))
    return np.asarray(zero)


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
