"""Roll-out: clusters of products begin to follow the advice in a random order, so that its gain can be measured.

The order is a stepped wedge (Hussey and Hughes 2007, "Design and analysis of stepped wedge cluster randomized trials").
Products that take each other's buyers are one cluster, so that none of them is compared with another. Afterwards, with
the seller's consent, a tenth of the clusters at a time goes back to its earlier prices as a control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from pricerl.arrays import FloatArray, Share
from pricerl.data.days import WEEK
from pricerl.entry_parts import Count, LogEntry, Money, Part

WEEKS = 6
"""Weeks within which all clusters begin, by default: they wait for a fifth of a quarter on average."""
MOST_WEEKS = 12
"""Most such weeks."""
QUARTER = 13
"""Planned weeks of a roll-out without a control: later weeks have no other prices to compare with."""
YEAR = 52
"""Planned weeks of one with a control."""
ROTATION = 4
"""Weeks for which a cluster is a control."""
CONTROL = 10
"""Clusters of which one is a control at any time."""
FEWEST = 2
"""Fewest clusters of a roll-out, and weeks within which they begin: some begin before others."""
FEWEST_EARLIER = 8
"""Fewest whole weeks of history before a roll-out."""
MOST_EARLIER = 26
"""Most earlier weeks that count."""


class RolledProduct(Part):
    """A product of a roll-out."""

    cluster: Count
    price: Money
    """Its earlier price."""
    claim: float
    """Gain per week in money that the advice expected before the first day."""
    costs: tuple[float, float] | None
    """Share of the price kept after fees and cost of a unit, of which its profit is made; absent for revenue."""


class RollOutEntry(LogEntry, tag="roll_out", kw_only=True):
    """Start of a roll-out: when each product may follow the advice, written before the first day."""

    first_day: date
    until: date
    """Last planned day."""
    seed: Count
    """Seed of the random order."""
    weeks: Annotated[int, msgspec.Meta(ge=1)]
    """Weeks within which all clusters begin."""
    control: bool
    """Whether a tenth of the clusters at a time is a control afterwards."""
    probabilities: list[Share]
    """Probability with which a cluster may follow the advice, by planned week."""
    measure: Literal["profit", "sales"]
    """Measure of the receipt: profit, or revenue where costs are unknown."""
    products: dict[str, RolledProduct]
    held: list[list[Count]]
    """Planned weeks, from 0 on, in which each cluster keeps its earlier prices, ascending."""


def find_clusters(products: Iterable[str], related: Iterable[Iterable[str]]) -> list[set[str]]:
    """Return the products in clusters: those that some group or relation has together, and each of the others alone."""
    found = [{name} for name in products]
    for names in map(set, related):
        joined = [cluster for cluster in found if cluster & names]
        found = [*(cluster for cluster in found if not cluster & names), *([set().union(*joined)] if joined else [])]
    return found


def draw_plan(clusters: int, weeks: int, control: bool, seed: int) -> FloatArray:
    """Return whether each cluster may follow the advice in each planned week, ``(C, K)``, 1 or 0."""
    generator = np.random.default_rng(seed)
    week = np.arange(YEAR if control else QUARTER)
    begins, rank = (generator.permutation(clusters)[:, None] for _ in range(2))
    size = max(clusters // CONTROL, 1)
    turn = (week - weeks) // ROTATION
    free = (not control) | (turn < 0) | ((rank - turn * size) % clusters >= size)
    return np.asarray((week >= begins * weeks // clusters) & free, dtype=np.float64)


def plan_of(entry: Mapping[str, Any]) -> FloatArray:
    """Return the plan of a roll-out in the log, as `draw_plan` does."""
    return np.array(
        [[week not in held for week in range(len(entry["probabilities"]))] for held in entry["held"]], float
    )


class Hold(NamedTuple):
    """Time in which a product keeps its earlier price."""

    waits: bool
    """Whether it waits for its beginning; else it is a control."""
    until: str
    """Last day, ISO format."""


def find_hold(entry: Mapping[str, Any], product: str, day: str) -> Hold | None:
    """Return the hold of a product on a day, in ISO format, if it may not follow the advice then.

    The first week begins as soon as the log has the roll-out.
    """
    first = date.fromisoformat(entry["first_day"])
    week = max((date.fromisoformat(day) - first).days // WEEK, 0)
    held = entry["held"][about["cluster"]] if (about := entry["products"].get(product)) else ()
    if week not in held:
        return None
    end = next(later for later in range(week, YEAR + 1) if later not in held)
    return Hold(held[: week + 1] == [*range(week + 1)], (first + timedelta(days=WEEK * end - 1)).isoformat())
