"""Families of demand curves, and what is believed of them before a single sale.

A curve is a log demand relative to that at the current price, as a function of the log price over the current price.
To add a
family, write its curve and add it to ``FAMILIES``: a family that is missing costs safety, one too many next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from pricerl.arrays import FloatArray, IntArray
from pricerl.market.demand.config import DemandSettings

Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""Log demand ``(M, G)`` at log price ratios ``x (G,)``, from minus the elasticity at the current price and two
numbers in
[0, 1], ``(M, 1)`` each."""

LOG_SD = 0.5
"""Sd of the log of minus the elasticity under the default prior: half of all products lie between -1.6 and -3.1."""

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


class LogNormal(NamedTuple):
    """Prior of minus the elasticity at the current price."""

    mean: float
    """Of the log."""
    sd: float
    """Of the log."""


def log_normal_prior(elasticity: float, sd: float) -> LogNormal:
    """Return the log-normal prior with its median at minus ``elasticity`` and a spread proportional to ``sd``.

    Args:
        elasticity: negative.
        sd: of the Gaussian prior of the regression; its default stands for ``LOG_SD`` at the default elasticity.
    """
    default = DemandSettings()
    relative_sd = (sd / default.prior_elasticity_sd) * (default.prior_elasticity / elasticity)
    return LogNormal(float(np.log(-elasticity)), LOG_SD * relative_sd)


@dataclass(frozen=True)
class CurveSet:
    """``M`` curves of several families, in numbers whose prior is simple."""

    prior: LogNormal
    family: IntArray
    """``(M,)`` which of ``FAMILIES``."""
    level: FloatArray
    """``(M,)`` standard normal: the log of minus the elasticity at the current price, in prior sds from its mean."""
    shares: FloatArray
    """``(M, 3)`` uniform in [0, 1]: two numbers that shape the curve, and the step at whole prices; 0 for none."""

    def at(self, x: FloatArray, current_price: float) -> FloatArray:
        """Return log demand ``(M, G)``, never rising, relative to the current price at log price ratios ``x (G,)``."""
        elasticity = np.exp(self.prior.mean + self.prior.sd * self.level)[:, None]
        values = LARGEST_CHARM * self.shares[:, 2:] * _beyond_whole(x, current_price)
        for index, shape in enumerate(FAMILIES.values()):
            rows = self.family == index
            one, other = self.shares[rows, 0:1], self.shares[rows, 1:2]
            values[rows] += shape(elasticity[rows], one, other, x)
        return np.asarray(np.minimum.accumulate(values, axis=1))

    def take(self, index: IntArray) -> CurveSet:
        """Return the curves at ``index``."""
        return CurveSet(self.prior, self.family[index], self.level[index], self.shares[index])

    def move(self, scale: float, rng: np.random.Generator) -> CurveSet:
        """Propose a neighbour of every curve, of the same family; as likely forth as back."""
        level = self.level + scale * rng.normal(size=self.level.shape)
        moved = self.shares + scale * rng.normal(size=self.shares.shape)
        reflected = 1 - np.abs(1 - np.mod(moved, 2))
        reflected[:, 2] *= self.shares[:, 2] > 0
        return CurveSet(self.prior, self.family, level, reflected)

    def log_prior(self) -> FloatArray:
        """Log density ``(M,)`` up to a constant."""
        return -0.5 * self.level**2


def draw_prior(count: int, prior: LogNormal, rng: np.random.Generator) -> CurveSet:
    """Draw curves from the prior, every family in turn."""
    shares = rng.random((count, 3))
    shares[:, 2] *= rng.random(count) < CHARMED
    return CurveSet(prior, np.arange(count) % len(FAMILIES), rng.normal(size=count), shares)


def _beyond_whole(x: FloatArray, current_price: float) -> FloatArray:
    """How far prices lie beyond the whole one below, less that of the current price, ``(G,)``.

    Whole are ones for prices from 10 to 100, tenths of that below and ten times that above.
    """
    unit = 10.0 ** (np.floor(np.log10(current_price)) - 1)
    steps = current_price * np.exp(np.append(x, 0.0)) / unit
    beyond = np.mod(steps + 1e-6, 1.0)
    return np.asarray(beyond[:-1] - beyond[-1])
