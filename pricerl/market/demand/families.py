"""Families of demand curves, and what is believed of them before a single sale.

A curve is a log demand relative to that at the current price, as a function of the log price over the current price.
To add a
family, write its curve and add it to ``FAMILIES``: a family that is missing costs safety, one too many next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pricerl.arrays import FloatArray, IntArray

Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""Log demand ``(M, G)`` at log price ratios ``x (G,)``, from minus the elasticity at the current price and two
numbers in
[0, 1], ``(M, 1)`` each."""

ELASTICITY = (float(np.log(2.2)), 0.5)
"""Mean and sd of the log of minus the elasticity at the current price: half of all products lie between -1.6 and -3.1
(Bijmolt et al. 2005 report a mean of -2.62 over 1,851 estimates)."""

NO_DEMAND = 1e-4
"""Smallest demand relative to that now: where a linear curve has ended."""

CHARMED = 0.5
"""Share of the curves that have steps at whole prices, too."""
LARGEST_CHARM = 0.08
"""Largest log step of demand at a whole price."""


def constant(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """The same elasticity everywhere."""
    return -elasticity * x


def linear(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """Units fall in a straight line."""
    return np.asarray(np.log(np.maximum(1 - elasticity * np.expm1(x), NO_DEMAND)))


def exponential(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """Log units fall in a straight line."""
    return -elasticity * np.expm1(x)


def log_quadratic(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """The elasticity changes with the log price, by between -8 and 3 a unit."""
    return -elasticity * x + (5.5 * one - 4) * x**2


def logit(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """Each visitor buys with a logistic chance, 2 to 60 % at the current price."""
    now = 0.02 + 0.58 * one
    log_odds = np.log(now / (1 - now)) - elasticity / (1 - now) * np.expm1(x)
    return np.asarray(np.log(np.maximum(expit(log_odds) / now, NO_DEMAND)))


def kinked(elasticity: FloatArray, one: FloatArray, other: FloatArray, x: FloatArray) -> FloatArray:
    """Two elasticities that meet within 15 % of the current price, the upper up to three times the lower."""
    ratio, place = 1 + 2 * one, 0.3 * other - 0.15
    low = 2 * elasticity / (1 + ratio)

    def at(point: FloatArray) -> FloatArray:
        return np.asarray(-low * np.minimum(point - place, 0) - ratio * low * np.maximum(point - place, 0))

    return at(x) - at(np.zeros(1))


FAMILIES: dict[str, Shape] = {
    "constant": constant,
    "linear": linear,
    "exponential": exponential,
    "log_quadratic": log_quadratic,
    "logit": logit,
    "kinked": kinked,
}


@dataclass(frozen=True)
class CurveSet:
    """``M`` curves of several families, in numbers whose prior is simple."""

    family: IntArray
    """``(M,)`` which of ``FAMILIES``."""
    level: FloatArray
    """``(M,)`` standard normal: the log of minus the elasticity at the current price, in prior sds from its mean."""
    shares: FloatArray
    """``(M, 3)`` uniform in [0, 1]: two numbers that shape the curve, and the step at whole prices; 0 for none."""

    def at(self, x: FloatArray, current_price: float) -> FloatArray:
        """Return log demand ``(M, G)``, never rising, relative to the current price at log price ratios ``x (G,)``."""
        elasticity = np.exp(ELASTICITY[0] + ELASTICITY[1] * self.level)[:, None]
        values = LARGEST_CHARM * self.shares[:, 2:] * _beyond_whole(x, current_price)
        for index, shape in enumerate(FAMILIES.values()):
            rows = self.family == index
            one, other = self.shares[rows, 0:1], self.shares[rows, 1:2]
            values[rows] += shape(elasticity[rows], one, other, x)
        return np.asarray(np.minimum.accumulate(values, axis=1))

    def take(self, index: IntArray) -> CurveSet:
        """Return the curves at ``index``."""
        return CurveSet(self.family[index], self.level[index], self.shares[index])

    def move(self, scale: float, rng: np.random.Generator) -> CurveSet:
        """Propose a neighbour of every curve, of the same family; as likely forth as back."""
        level = self.level + scale * rng.normal(size=self.level.shape)
        moved = self.shares + scale * rng.normal(size=self.shares.shape)
        reflected = 1 - np.abs(1 - np.mod(moved, 2))
        reflected[:, 2] *= self.shares[:, 2] > 0
        return CurveSet(self.family, level, reflected)

    def log_prior(self) -> FloatArray:
        """Log density ``(M,)`` up to a constant."""
        return -0.5 * self.level**2


def draw_prior(count: int, rng: np.random.Generator) -> CurveSet:
    """Draw curves from the prior, every family in turn."""
    shares = rng.random((count, 3))
    shares[:, 2] *= rng.random(count) < CHARMED
    return CurveSet(np.arange(count) % len(FAMILIES), rng.normal(size=count), shares)


def _beyond_whole(x: FloatArray, current_price: float) -> FloatArray:
    """How far prices lie beyond the whole one below, less that of the current price, ``(G,)``.

    Whole are ones for prices from 10 to 100, tenths of that below and ten times that above.
    """
    unit = 10.0 ** (np.floor(np.log10(current_price)) - 1)
    steps = current_price * np.exp(np.append(x, 0.0)) / unit
    beyond = np.mod(steps + 1e-6, 1.0)
    return np.asarray(beyond[:-1] - beyond[-1])
