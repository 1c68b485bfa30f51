"""Confidence sequence of a constant effect: limits that hold at every look, however often one looks.

Under the effect ``t`` each difference ``D_i - t`` of a randomised pair is symmetric around 0 whatever the demand does.
So ``exp(b x) / cosh(b x)`` with ``x = D_i - t`` has expectation 1, and its product over the pairs is a nonnegative
martingale for every bet b (Ramdas, Ruf, Larsson and Koolen 2020, arXiv 2009.03167, on testing symmetry: it dominates
the supermartingale of de la Peña 1999 behind the self-normalised bounds of Howard et al. 2021). By Ville's inequality
its mean over fixed bets exceeds ``1 / alpha`` at any time with probability at most alpha. For positive bets it falls in
t, so that the effects not rejected form an interval.
"""

from __future__ import annotations

import numpy as np

from pricerl.arrays import FloatArray

BETS = np.geomspace(0.1, 3.2, 12)
"""Bets in units of one over the planned sd of a difference, fixed before the test; small ones suit small effects."""

HALVINGS = 48
"""Steps of the bisection for a limit."""


def log_wealth(differences: FloatArray, scale: float) -> FloatArray:
    """Return the log of the mean of the martingales after each pair, ``(..., n)``, betting on positive differences.

    ``exp(b x) / cosh(b x) = 2 / (1 + exp(-2 b x))``.

    Args:
        differences: ``(..., n)`` minus the effect in question.
        scale: planned sd of a difference, in its unit.
    """
    bet = np.asarray(differences, dtype=np.float64)[..., None] * (BETS / scale)
    wealth = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2 * bet), axis=-2)
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[..., None]).mean(axis=-1)))


def crossings(differences: FloatArray, scale: float, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Return the pair after which an effect above, or below, 0 is certain at level ``alpha``, ``(R,)`` each.

    Each side has half of the level. Infinite if that is after none of them.

    Args:
        differences: ``(R, n)``.
        scale: planned sd of a difference.
        alpha: probability that an effect of 0 is ever rejected.
    """
    found = []
    for sign in (1.0, -1.0):
        past = log_wealth(sign * differences, scale) >= np.log(2 / alpha)
        found.append(np.where(past.any(axis=-1), past.argmax(axis=-1) + 1.0, np.inf))
    return found[0], found[1]


def confidence_sequence(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the limits of the effect after each pair, ``(n, 2)``, each inside those before.

    They are infinite as long as so few pairs cannot reject anything.

    Args:
        differences: ``(n,)``.
        scale: planned sd of a difference.
        alpha: probability that the limits ever exclude a constant effect.
    """
    low, high = _lower_limits(differences, scale, alpha), -_lower_limits(-differences, scale, alpha)
    return np.stack([np.maximum.accumulate(low), np.minimum.accumulate(high)], axis=1)


def _lower_limits(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the largest effect that is rejected as too small after each pair, ``(n,)``."""
    count = np.arange(len(differences))
    spread = float(np.ptp(differences)) + 100 * scale
    low = np.full(len(differences), float(differences.min()) - spread)
    high = np.full(len(differences), float(differences.max()))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rejected = log_wealth(differences - middle[:, None], scale)[count, count] >= np.log(2 / alpha)
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return np.where((count + 1) * np.log(2.0) <= np.log(2 / alpha), -np.inf, low)
