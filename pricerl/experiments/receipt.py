"""The receipt of a roll-out: what the new prices have earned, from the random order alone.

Each product-week is a share of its product's own earlier mean, and has effects of its product and of its week. The week
before forecasts it: shocks last, and a forecast that no order can change only removes noise. What remains is compared
with the order in which the clusters began (intention to treat).

**Limits.** If a constant effect ``t`` were true, every other order could have happened as well. So an order ``d``
speaks against ``t`` where the score of the real one, ``a_0 - t b_0``, would be larger than its own ``a_d - t b_d``
(Fisher 1935; Rosenbaum 2002, section 2), and the limits are order statistics of ``(a_0 - a_d) / (b_0 - b_d)``.

**Every look.** The scores of all weeks up to a look are a Brownian motion in information (Scharfstein, Tsiatis and
Robins 1997). One level for all planned weeks gives intervals that hold at all of them together (Jennison
and Turnbull 1989, "Interim analyses: the repeated confidence interval approach").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, IntArray
from pricerl.experiments.analysis import limits_among

LEVEL = 0.1
"""Probability that the limits of any planned week miss the effect."""
ORDERS = 1999
"""Orders that might have happened, next to the real one."""
WALKS = 10_000
"""Brownian motions of which the level of one look is taken."""
MOST_LASTING = 0.9
"""Largest share of a week's shock that is taken to last to the next week."""
REMEMBERED = 2
"""Weeks after a start in which buyers may still compare with the old price."""
CARRIED = 0.01
"""Probability of a carry-over below which it is named: it is tested every week."""
TIE = 1e-9
"""Relative difference up to which two scores count as equal."""


class Panel(NamedTuple):
    """Weeks of the products of a roll-out, the earlier ones first; ``W`` of ``K`` planned weeks have passed."""

    outcome: FloatArray
    """``(N, B + W)`` money per product and week, B weeks before the first day."""
    scale: FloatArray
    """``(N,)`` size of each product's earlier mean outcome in money, of which some is above 0."""
    clusters: IntArray
    """``(N,)`` cluster of each product, 0 to C - 1."""
    plan: FloatArray
    """``(C, K)`` whether a cluster may follow the advice in a planned week, 1 or 0; in the first one some may not."""
    followed: FloatArray
    """``(N, W)`` share of the week in which the product followed it."""

    @property
    def before(self) -> int:
        """Earlier weeks."""
        return int(self.outcome.shape[1] - self.followed.shape[1])

    @property
    def share(self) -> FloatArray:
        """``(N, B + W)`` outcome as a share of the earlier mean; 0 for products that earned nothing."""
        return np.asarray(self.outcome / np.where(self.scale > 0, self.scale, np.inf)[:, None])

    @property
    def assigned(self) -> FloatArray:
        """``(N, K)`` the plan by product."""
        return self.plan[self.clusters]


class Effect(NamedTuple):
    """Effect in money of all weeks that have passed, with limits that hold at every look."""

    mean: float
    low: float
    high: float
    followers: float
    """Share of the earlier mean that products which follow have gained, if others gained nothing; NaN if none do."""


def read_effect(panel: Panel, seed: int) -> Effect:
    """Return what the new prices have earned in money over all weeks that have passed."""
    passed = panel.followed.shape[1]
    lasting = _lasting(panel)
    scores = _scoring(panel, panel.plan[:, :passed], lasting, seed)
    due = panel.assigned[:, :passed]
    earned, moved, followed = (
        scores(item) for item in (panel.share, _after(due, panel), _after(panel.followed, panel))
    )
    reach = float((panel.scale @ due).sum())
    low, high = find_limits(earned, moved, nominal_level(tuple(_look(panel, lasting)[0])))
    return Effect(
        mean=float(reach * earned[0] / moved[0]),
        low=reach * low,
        high=reach * high,
        followers=float(earned[0] / followed[0]) if followed[0] > TIE * moved[0] else np.nan,
    )


def carry_over(panel: Panel, effect: Effect, seed: int) -> float:
    """Return how probable so large a difference of the first weeks after a start from later ones is by chance.

    An effect that is the same in all weeks is taken out; every other order may have happened (Fisher 1935). It is small
    where buyers remember the old price, so that the first weeks say little about later ones.
    """
    passed = panel.followed.shape[1]
    lasting = _lasting(panel)
    plan = panel.plan[:, :passed]
    begun = plan * (1 - np.pad(plan, ((0, 0), (REMEMBERED, 0)))[:, :passed])
    first, all_weeks = (_centred(_fresh(_after(item, panel), lasting), np.ones(len(plan))) for item in (begun, plan))
    along = (first * all_weeks).sum() / max((all_weeks**2).sum(), TIE)
    due = panel.assigned[:, :passed]
    constant = effect.mean / (panel.scale @ due).sum()
    scores = _scoring(panel, begun - along * plan, lasting, seed)(panel.share - constant * _after(due, panel))
    return float((np.abs(scores) >= abs(scores[0]) * (1 - TIE)).mean())


def _scoring(panel: Panel, exposure: FloatArray, lasting: float, seed: int) -> Callable[[FloatArray], FloatArray]:
    """Return a function of values ``(N, B + W)`` that scores each order of the clusters' exposure ``(C, W)``."""
    kinds, kind = np.unique(exposure, axis=0, return_inverse=True)
    wanted = _fresh(_after(kinds, panel), lasting)
    orders = np.tile(kind.astype(np.uint8), (ORDERS + 1, 1))
    np.random.default_rng([seed, 1]).permuted(orders[1:], axis=1, out=orders[1:])

    def scores(values: FloatArray) -> FloatArray:
        """Return the score of each order, the real one first."""
        left = panel.scale[:, None] * _centred(_fresh(values, lasting), panel.scale)
        together = np.zeros((len(panel.plan), left.shape[1]))
        np.add.at(together, panel.clusters, left)
        return np.asarray((together @ wanted.T)[np.arange(len(kind)), orders].sum(axis=1))

    return scores


def foresee_limits(panel: Panel) -> FloatArray:
    """Return half the width in money of the limits at each planned look ``(K,)``, by the earlier weeks alone."""
    information, error = _look(panel, _lasting(panel))
    width = NormalDist().inv_cdf(1 - nominal_level(tuple(information)) / 2)
    return np.asarray(width * np.cumsum(panel.scale @ panel.assigned) * np.sqrt(error) / information)


@lru_cache(maxsize=1)
def nominal_level(information: tuple[float, ...]) -> float:
    """Return the level of one look, of which all looks together have `LEVEL`, given their information ``(K,)``."""
    steps = np.random.default_rng(0).standard_normal((WALKS, len(information)))
    walks = np.cumsum(steps * np.sqrt(np.diff(information, prepend=0.0).clip(0.0)), axis=1)
    return 2 * NormalDist().cdf(-float(np.quantile(np.abs(walks / np.sqrt(information)).max(axis=1), 1 - LEVEL)))


def find_limits(earned: FloatArray, moved: FloatArray, level: float) -> tuple[float, float]:
    """Return the limits of the constant effects that neither one-sided test of half the ``level`` rejects.

    Scores ``(M,)`` are of the outcome and of the exposure, the real order's first. So few orders that nothing can be
    rejected leave infinite limits.
    """
    apart = moved[0] - moved > TIE * abs(moved[0])
    return limits_among((earned[0] - earned[apart]) / (moved[0] - moved[apart]), len(moved), level)


def _after(values: FloatArray, panel: Panel) -> FloatArray:
    """Return values ``(..., W)`` with zeros for the earlier weeks."""
    return np.pad(values, ((0, 0), (panel.before, 0)))


def _fresh(values: FloatArray, lasting: float) -> FloatArray:
    """Return what the week before does not forecast of each week ``(..., T)``, ``(..., T - 1)``."""
    return values[:, 1:] - lasting * values[:, :-1]


def _centred(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return values ``(N, T)`` without the effects of products and, weighted by ``(N,)``, of weeks."""
    rows = values - values.mean(axis=1, keepdims=True)
    return np.asarray(rows - weights @ rows / weights.sum())


def _lasting(panel: Panel) -> float:
    """Return the share of a week's shock that lasts to the next, by the earlier weeks, less its bias (Kendall 1954)."""
    weeks = panel.before
    left = _centred(panel.share[:, :weeks], panel.scale)
    size = float((panel.scale @ left**2).sum())
    found = float((panel.scale @ (left[:, 1:] * left[:, :-1])).sum()) / size if size > 0 else 0.0
    return float(np.clip((weeks * found + 1) / (weeks - 3), 0.0, MOST_LASTING))


def _look(panel: Panel, lasting: float) -> tuple[FloatArray, FloatArray]:
    """Return information and variance of the score at each planned look, ``(K,)`` each."""
    variance = (_centred(_fresh(panel.share[:, : panel.before], lasting), panel.scale) ** 2).mean(axis=1)
    planned = _fresh(_after(panel.assigned, panel), lasting)
    ends = np.arange(panel.plan.shape[1]) + panel.before
    spread = np.array([(_centred(planned[:, :end], panel.scale) ** 2).sum(axis=1) for end in ends])
    return spread @ panel.scale, spread @ (panel.scale**2 * variance)


class Receipt(NamedTuple):
    """Statement about a roll-out on some day."""

    first: str
    """First day, ISO format."""
    last: str
    """Last day that counts, ISO format; empty while weeks are to come."""
    effect: Effect
    following: int
    """Products that followed the advice for most of the last week."""
    products: int
    claim: float
    """Gain in money that the advice had expected of the same products and weeks."""
    measure: str
    carried: float = 1.0
    """Probability by chance of so large a carry-over; see `carry_over`."""
