"""Kinds of sellers in the product's weekly loop: a simulated market, and what the loop adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from shops.confounders import AD_SWING, BUSY_WEEKS, DEMAND_MEMORY, DEMAND_SWING, PROMOTION_RISE
from shops.confounders import CROSS_ELASTICITY as CROSS

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK
from pricerl.data.reading import columns

Swing = Callable[[np.random.Generator, int, int], FloatArray]
"""Draws the multiplier of demand ``(D + H,)`` from generator, days of history ``D`` and days of the loop ``H``."""


def busy_weeks(rise: float, centred: bool) -> Swing:
    """Return weeks, at random, in which log demand rises; if centred, with a mean of about 1."""

    def draw(rng: np.random.Generator, past: int, days: int) -> FloatArray:
        busy = np.repeat(rng.random(-(-(past + days) // WEEK)) < BUSY_WEEKS, WEEK)[: past + days]
        return np.exp(rise * busy) / (1 + BUSY_WEEKS * (np.exp(rise) - 1) if centred else 1)

    return draw


def supply_gaps(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return the share of each day in stock: in three of ten weeks stock runs out until the week ends."""
    weeks = -(-(past + days) // WEEK)
    end = np.where(rng.random(weeks) < 0.3, rng.uniform(0, WEEK, weeks), WEEK)
    return np.clip(end[:, None] - np.arange(WEEK), 0, 1).ravel()[: past + days]


def holiday(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return a peak of demand by 80 % in the history and one in the loop, each some three weeks wide."""
    day, peaks = np.arange(past + days), (rng.uniform(20, past), past + rng.uniform(0, days))
    return 1 + 0.8 * np.exp(-(((day - np.array(peaks)[:, None]) / 12) ** 2)).sum(0)


def collapse(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return a fall of demand by 30 % between the fourth and the ninth week of the loop."""
    return np.where(np.arange(past + days) >= past + rng.integers(21, 63), 0.7, 1.0)


def wavering(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return demand that wavers from day to day like that of repricers."""
    log = rng.normal(0, DEMAND_SWING * np.sqrt(1 - DEMAND_MEMORY**2), past + days)
    for day in range(1, len(log)):
        log[day] += DEMAND_MEMORY * log[day - 1]
    return np.exp(log - DEMAND_SWING**2 / 2)


def rival_noise(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return the effect of a rival's own weekly price changes by at most 10 %."""
    return np.exp(CROSS * np.repeat(rng.uniform(-0.1, 0.1, -(-(past + days) // WEEK)), WEEK)[: past + days])


@dataclass(frozen=True)
class Kind:
    """Kind of seller."""

    market: str = "constant"
    """Simulated market of its history."""
    swing: Swing | None = None
    """Changes of demand that no price causes."""
    in_history: bool = False
    """Whether the swing must be added to the history, because the simulated market lacks it."""
    follow: float = 0.0
    """Share of the seller's log price changes that a rival copies a week later."""
    report: str = ""
    """Column of the file that reports the cause: In Stock, Promotion or Competitor Price."""
    costs_known: bool = True
    """Whether the seller states unit cost and fees; otherwise they are estimated from the reported profit."""
    belief_sd: float | None = None
    """If given, the first price is best for a log elasticity that misses the true one by this sd."""
    returns: bool = False
    """Whether a bundle of returned units is booked on the last day of each week."""


KINDS: dict[str, Kind] = {
    **{name: Kind(name) for name in ("constant", "linear", "exponential", "logit", "kinked", "optimal", "thin")},
    "repricer": Kind("repricer", wavering),
    **{name: Kind(name) for name in ("reference", "averages", "jump", "late_stockouts", "stockpiling")},
    "informed": Kind(belief_sd=0.35),
    "stockouts": Kind(swing=supply_gaps, in_history=True, report=columns.IN_STOCK),
    "unmarked": Kind(swing=supply_gaps, in_history=True),
    "holiday": Kind(swing=holiday, in_history=True),
    "collapse": Kind(swing=collapse),
    "followed": Kind(swing=rival_noise, in_history=True, follow=0.5, report=columns.COMPETITOR_PRICE),
    "undercut": Kind(swing=rival_noise, in_history=True, follow=1.0),
    "costs": Kind(costs_known=False),
    "ads": Kind("ads", busy_weeks(AD_SWING, True)),
    "promotions": Kind("promotions", busy_weeks(PROMOTION_RISE, False), report=columns.PROMOTION),
    "returns": Kind(returns=True),
}
"""Kinds by name, in the order in which they take turns."""
