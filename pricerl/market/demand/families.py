"""Families of demand curves and their prior.

A curve is log demand relative to that at the current price, as a function of the log price over the current price. To
add a family, write its curve and add it to ``FAMILIES``: a missing family harms safety, an unnecessary one costs almost
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.market.demand.config import DemandSettings, ElasticityPrior, LogNormal

Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""Log demand ``(M, G)`` at log price ratios ``x (G,)``. The other arguments, ``(M, 1)`` each, are minus the elasticity
at the current price and two shape parameters in [0, 1]."""

LOG_SD = 0.5
"""Sd of the log of minus the elasticity under the default prior: half of all products lie between -1.6 and -3.1."""

LARGEST_LOG = 5.0
"""Largest log of minus the elasticity: an elasticity of -148, steeper than any curve is kept."""

NO_DEMAND = 1e-4
"""Smallest demand relative to that at the current price: a linear curve beyond its choke price."""

SLOPE_REACH = 0.01
"""Log price to either side over which the slope of a curve is its elasticity."""
FLATTEST = -0.01
"""Largest elasticity, so that its log is finite where demand has ended."""

STEPPED_SHARE = 0.5
"""Share of the curves that also have steps at whole prices (price-ending effects)."""
MAX_STEP = 0.08
"""Largest log step of demand at a whole price."""


def logit(elasticity: FloatArray, first: FloatArray, second: FloatArray, x: FloatArray) -> FloatArray:
    """Return logit demand: each visitor buys with a logistic probability, 2 to 60 % at the current price."""
    bought = 0.02 + 0.58 * first
    log_odds = np.log(bought / (1 - bought)) - elasticity / (1 - bought) * np.expm1(x)
    return np.asarray(np.log(np.maximum(expit(log_odds) / bought, NO_DEMAND)))


def kinked(elasticity: FloatArray, first: FloatArray, second: FloatArray, x: FloatArray) -> FloatArray:
    """Return demand with a kink within 15 % of the current price, up to three times as elastic above it as below."""
    ratio = 1 + 2 * first
    kink = 0.3 * second - 0.15
    low = 2 * elasticity / (1 + ratio)

    def at(point: FloatArray) -> FloatArray:
        return np.asarray(-low * np.minimum(point - kink, 0) - ratio * low * np.maximum(point - kink, 0))

    return at(x) - at(np.zeros(1))


FAMILIES: dict[str, Shape] = {
    "constant": lambda elasticity, first, second, x: -elasticity * x,
    "linear": lambda elasticity, first, second, x: np.log(np.maximum(1 - elasticity * np.expm1(x), NO_DEMAND)),
    "exponential": lambda elasticity, first, second, x: -elasticity * np.expm1(x),
    "log_quadratic": lambda elasticity, first, second, x: -elasticity * x + (5.5 * first - 4) * x**2,
    "logit": logit,
    "kinked": kinked,
}
"""Families of demand in order: constant elasticity; demand linear in price; log demand linear in price. Then an
elasticity that changes with the log price, by -8 to 3 per unit; logit demand; demand with a kink near the current
price."""


def log_normal_prior(elasticity: float, sd: float) -> LogNormal:
    """Return the log-normal prior with its median at minus ``elasticity`` and a spread proportional to ``sd``.

    Args:
        elasticity: prior median, negative.
        sd: sd of the regression's Gaussian prior; its default corresponds to ``LOG_SD`` at the default elasticity.
    """
    default = DemandSettings()
    relative_sd = (sd / default.prior_elasticity_sd) * (default.prior_elasticity / elasticity)
    return LogNormal(float(np.log(-elasticity)), LOG_SD * relative_sd)


def settings_of_prior(mean: float, sd: float) -> tuple[float, float]:
    """Return the settings ``prior_elasticity`` and ``prior_elasticity_sd`` of a log-normal prior.

    The inverse of `log_normal_prior`, for the mean and sd of the log of minus the elasticity.
    """
    default = DemandSettings()
    elasticity = -float(np.exp(mean))
    return elasticity, sd / LOG_SD * default.prior_elasticity_sd * elasticity / default.prior_elasticity


@dataclass(frozen=True)
class CurveSet:
    """``M`` curves from several families, in parameters with a simple prior."""

    prior: ElasticityPrior
    family: IntArray
    """``(M,)`` position in ``FAMILIES``."""
    standardized: FloatArray
    """``(M,)`` standard normal: probability of the elasticity at the current price under the prior, as a z score."""
    shares: FloatArray
    """``(M, 3)`` uniform in [0, 1]: the two shape parameters, and the step at whole prices; 0 for none."""

    @property
    def elasticity(self) -> FloatArray:
        """``(M,)`` elasticity at the current price, negative."""
        return -np.exp(np.minimum(self.prior.at(self.standardized), LARGEST_LOG))

    def at(self, x: FloatArray, current_price: float) -> FloatArray:
        """Return log demand ``(M, G)``, never rising, relative to the current price at log price ratios ``x (G,)``."""
        values = MAX_STEP * self.shares[:, 2:] * _beyond_whole(x, current_price) + self._smooth(x)
        return np.asarray(np.minimum.accumulate(values, axis=1))

    def elasticity_at(self, x: float) -> FloatArray:
        """Return the elasticity at a log price ratio, ``(M,)``, at most -0.01, without steps at whole prices."""
        ends = self._smooth(np.array([x - SLOPE_REACH, x + SLOPE_REACH]))
        return np.minimum((ends[:, 1] - ends[:, 0]) / (2 * SLOPE_REACH), FLATTEST)

    def _smooth(self, x: FloatArray) -> FloatArray:
        """Return log demand ``(M, G)`` without steps at whole prices."""
        elasticity = -self.elasticity[:, None]
        values = np.empty((len(self.family), len(x)))
        for index, shape in enumerate(FAMILIES.values()):
            rows = self.family == index
            first = self.shares[rows, 0:1]
            second = self.shares[rows, 1:2]
            values[rows] = shape(elasticity[rows], first, second, x)
        return values

    def take(self, index: IntArray) -> CurveSet:
        """Return the curves at ``index``."""
        return CurveSet(self.prior, self.family[index], self.standardized[index], self.shares[index])

    def move(self, scale: float, rng: np.random.Generator) -> CurveSet:
        """Propose a symmetric Metropolis move of every curve within its family."""
        standardized = self.standardized + scale * rng.normal(size=self.standardized.shape)
        moved = self.shares + scale * rng.normal(size=self.shares.shape)
        reflected = 1 - np.abs(1 - np.mod(moved, 2))
        reflected[:, 2] *= self.shares[:, 2] > 0
        return CurveSet(self.prior, self.family, standardized, reflected)

    def replaced(self, accepted: BoolArray, proposed: CurveSet) -> CurveSet:
        """Return the curves with those of ``accepted (M,)`` taken from ``proposed``."""
        standardized = np.where(accepted, proposed.standardized, self.standardized)
        shares = np.where(accepted[:, None], proposed.shares, self.shares)
        return CurveSet(self.prior, self.family, standardized, shares)

    def log_prior(self) -> FloatArray:
        """Return the log density ``(M,)`` up to a constant."""
        return -0.5 * self.standardized**2


def draw_prior(count: int, prior: ElasticityPrior, rng: np.random.Generator) -> CurveSet:
    """Draw ``count`` curves from the prior, equally many from each family."""
    shares = rng.random((count, 3))
    shares[:, 2] *= rng.random(count) < STEPPED_SHARE
    return CurveSet(prior, np.arange(count) % len(FAMILIES), rng.normal(size=count), shares)


def _beyond_whole(x: FloatArray, current_price: float) -> FloatArray:
    """Return the distance of prices from the next lower whole price, less that of the current price, ``(G,)``.

    Whole prices are multiples of 1 for prices from 10 to 100, of 0.1 from 1 to 10, of 10 from 100 to 1000, and so on.
    """
    unit = 10.0 ** (np.floor(np.log10(current_price)) - 1)
    steps = current_price * np.exp(np.append(x, 0.0)) / unit
    beyond = np.mod(steps + 1e-6, 1.0)
    return np.asarray(beyond[:-1] - beyond[-1])
