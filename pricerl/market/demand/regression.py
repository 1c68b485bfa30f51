"""Negative-binomial regression of daily units on price and covariates, with a level that moves in time.

``units_t ~ NegativeBinomial(mean lambda_t, size r)`` with ``log lambda_t = a + b x + q x^2 + covariates + shock_t +
walk_t``, where ``x`` is the log price over its median. The shock is a stationary AR(1) process, the walk a random walk
that ends at 0: a structural time series (West and Harrison 1997; Durbin and Koopman 2012). Given how they move and the
size, the posterior of the coefficients is a Gaussian around its mode (Laplace); a grid of `Motion` is averaged by
evidence. The precision of the levels is banded, so a fit takes time in proportion to the days.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpbtrf, dpbtrs
from scipy.special import gammaln, logsumexp, softmax

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.market.level import FutureLevel, LevelEnd, Motion, forecast_level

NEWTON_STEPS = 30
LARGEST_STEP = 2.0
"""Largest change of a coefficient or level in one step of Newton's method."""
LAST_STEP = 1e-4
"""Largest change of a coefficient in the last step of Newton's method, which converges quadratically."""
LAST_RISE = 0.1
"""Largest rise of the log posterior that the last step for a level in time promises."""

SIZE_RANGE = (0.3, 1e4)
"""Smallest and largest negative-binomial size, from strong overdispersion to Poisson."""

LOG_MEAN_RANGE = (-30.0, 30.0)

LOOSE_SD = 10.0
"""Sd of a coefficient that should have no prior; finite, because the price may never have varied."""

ROOT_SHIFT = 0.375
"""Shift of Poisson counts after which their square root has about the sd ``ROOT_SD`` (Anscombe 1948)."""
ROOT_SD = 0.5
"""Sd of the square root of shifted Poisson counts, whatever their mean."""


STILL = 1e-3
"""Sd of a shock or walk that hardly moves; finite, so that its precision is."""
SHOCKS = ((0.0, STILL), (0.8, 0.05), (0.5, 0.1), (0.8, 0.1), (0.8, 0.2), (0.95, 0.05))
"""Memory and sd of shocks that last for days; equally likely a priori."""
WALKS = ((0.1 * STILL, False), (0.006, False), (0.02, False), (0.06, False), (0.0006, True))
"""Sds of the walk per row, and whether it is smooth: over a month, a level that stays, moves by 3, 11 or 33 %, or
turns."""
SIZES = (SIZE_RANGE[1], 30.0, 10.0, 4.0, 1.5)
SLOPE_SD = 0.01
"""Prior sd of a smooth walk's slope at its end, in logs per row."""
STILL_MOTIONS = tuple(Motion(*SHOCKS[0], *WALKS[0], size) for size in np.geomspace(*SIZE_RANGE, 60).tolist())
"""Motions of a level that stays, with a fine grid of sizes."""
GRID = {
    place: Motion(*SHOCKS[place[0]], *WALKS[place[1]], SIZES[place[2]])
    for place in itertools.product(range(len(SHOCKS)), range(len(WALKS)), range(len(SIZES)))
}
"""Motions of demand, equally likely a priori, by their places on three axes."""
NEIGHBOURS = {
    motion: [other for at, other in GRID.items() if sum(abs(i - j) for i, j in zip(at, place, strict=True)) == 1]
    for place, motion in GRID.items()
}
"""Motions that differ from each by one place."""
FIRST_MOTIONS = tuple(GRID[shock, 1, 1] for shock in range(len(SHOCKS)))
"""Motions from which the search for likely ones begins."""
NEGLIGIBLE = 0.01
"""Posterior probability over the likeliest motion's below which one is left out, and its neighbours untried."""


@dataclass(frozen=True)
class Prior:
    """Independent Gaussians, ``(C,)`` each; an infinite sd leaves a coefficient free."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True)
class RegressionPosterior:
    """Gaussian posterior of ``C`` coefficients on a calendar of ``R`` rows, of which ``D`` have units."""

    mode: FloatArray
    """``(C,)`` mean of the coefficients."""
    covariance: FloatArray
    """``(C, C)`` covariance of the coefficients, over all motions."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""
    log_mean: FloatArray
    """``(D,)`` fitted log mean of every day with units."""
    log_evidence: float
    """Log marginal likelihood, up to a constant that only depends on the days (Laplace; Tierney and Kadane 1986)."""
    shock: FloatArray
    """``(R,)`` log level of each row by the shock."""
    walk: FloatArray
    """``(R,)`` log level of each row by the walk, over that after the last row."""
    response: FloatArray
    """``(R, C)`` change of the level per change of a coefficient."""
    motion: Motion
    """The likeliest motion."""
    motions: tuple[Motion, ...]
    """All motions of a probability that counts."""
    future: FutureLevel
    """Level of the rows after the last one."""

    @property
    def level(self) -> FloatArray:
        """``(R,)`` log level of each row, over that after the last row without a shock."""
        return self.shock + self.walk

    def without_prior(self, columns: Sequence[int], prior: Prior) -> RegressionPosterior:
        """Return the posterior with the priors of some coefficients replaced by ones of `LOOSE_SD`, same mean."""
        chosen = list(columns)
        change = 1 / LOOSE_SD**2 - 1 / prior.sd[chosen] ** 2
        joint = self.covariance[:, chosen]
        kept = np.eye(len(chosen)) + change[:, None] * joint[chosen]
        covariance = self.covariance - joint @ np.linalg.solve(kept, change[:, None] * joint.T)
        mode = self.mode + covariance[:, chosen] @ (change * (prior.mean[chosen] - self.mode[chosen]))
        return replace(self._shifted(mode - self.mode), mode=mode, covariance=covariance)

    def _shifted(self, change: FloatArray) -> RegressionPosterior:
        """Return the posterior with the levels that follow from a change of the coefficients ``(C,)``."""
        future = self.future._replace(path=self.future.path + self.future.response @ change)
        return replace(self, walk=self.walk + self.response @ change, future=future)

    def given_zero(self, columns: slice) -> RegressionPosterior:
        """Return the posterior given that the coefficients of ``columns`` are 0, without these columns."""
        out = np.arange(len(self.mode))[columns]
        kept = np.setdiff1d(np.arange(len(self.mode)), out)
        gain = np.linalg.solve(self.covariance[np.ix_(out, out)], self.covariance[np.ix_(out, kept)]).T
        mode = self.mode[kept] - gain @ self.mode[out]
        covariance = self.covariance[np.ix_(kept, kept)] - gain @ self.covariance[np.ix_(out, kept)]
        change = -self.mode
        change[kept] += mode
        shifted = self._shifted(change)
        future = shifted.future._replace(response=self.future.response[kept])
        return replace(shifted, mode=mode, covariance=covariance, response=self.response[:, kept], future=future)

    def log_odds_of_zero(self, columns: slice, prior: Prior) -> float:
        """Return the log Bayes factor for coefficients of 0 against their prior (Savage-Dickey; Dickey 1971)."""
        mode = self.mode[columns]
        covariance = self.covariance[columns, columns]
        posterior = -0.5 * (mode @ np.linalg.solve(covariance, mode) + np.linalg.slogdet(covariance)[1])
        return float(posterior + np.log(prior.sd).sum() + 0.5 * np.square(prior.mean / prior.sd).sum())

    def dispersion(self, units: FloatArray) -> float:
        """Return Pearson's variance over mean of ``units (D,)``, at least 1."""
        mean = np.exp(self.log_mean)
        return max(1.0, float(((units - mean) ** 2 / mean).mean()))


def fit_regression(
    units: FloatArray,
    design: FloatArray,
    prior: Prior,
    row: IntArray,
    start: RegressionPosterior | None = None,
    rows: int | None = None,
    motions: Sequence[Motion] = (),
) -> RegressionPosterior:
    """Average the posteriors given each motion by their evidence.

    Args:
        units: ``(D,)``.
        design: ``(D, C)``, its first column 1.
        prior: of the coefficients.
        row: ``(D,)`` place of each day on the calendar, ascending.
        start: posterior of a similar regression on the same calendar; motions that it left out do not return.
        rows: length of the calendar; up to the last day with units if absent.
        motions: equally likely a priori; without any, the likely ones of `GRID` are searched.
    """
    rows = rows or int(row[-1]) + 1
    coefficients = np.where(np.isfinite(prior.sd), prior.mean, 0.0)
    coefficients[0] = np.log(max(float(units.mean()), 1e-3)) - float(design[:, 1:].mean(0) @ coefficients[1:])
    levels = np.zeros(2 * rows)
    if start is not None:
        levels = np.column_stack([start.shock, start.walk]).ravel()
        coefficients = start.mode if len(start.mode) == len(coefficients) else coefficients
    problem = _Problem(units, design, prior, row, rows)
    waiting = list(motions or (FIRST_MOTIONS if start is None else start.motions))
    neighbours = {} if motions or start else NEIGHBOURS
    found: dict[Motion, _Mode] = {}
    best = -np.inf
    for motion in waiting:  # grows on the way
        if motion in found:
            continue
        found[motion] = solved = problem.solve(motion, coefficients, levels)
        coefficients = solved.coefficients
        levels = solved.levels
        best = max(best, solved.evidence)
        if solved.evidence > best + np.log(NEGLIGIBLE):
            waiting += neighbours.get(motion, [])
    kept = [item for item in found.items() if item[1].evidence > best + np.log(NEGLIGIBLE)]
    likely, modes = zip(*kept, strict=True)
    weight = softmax([item.evidence for item in modes])
    mode = weight @ np.stack([item.coefficients for item in modes])
    apart = np.stack([item.coefficients for item in modes]) - mode
    covariance = np.einsum("n,nij->ij", weight, np.stack([item.covariance for item in modes]))
    shock, walk = (weight @ np.stack([item.levels for item in modes])).reshape(rows, 2).T
    return RegressionPosterior(
        mode=mode,
        covariance=covariance + (apart.T * weight) @ apart,
        size=float(1 / (weight @ [1 / motion.size for motion in likely])),
        log_mean=_clipped(design @ mode + (shock + walk)[row]),
        log_evidence=float(logsumexp([item.evidence for item in modes])),
        shock=shock,
        walk=walk,
        response=np.einsum("n,nrc->rc", weight, np.stack([item.response for item in modes])),
        motion=likely[int(weight.argmax())],
        motions=likely,
        future=forecast_level(likely, [item.end for item in modes], weight),
    )


class _Mode(NamedTuple):
    """Mode of the posterior given a motion."""

    coefficients: FloatArray
    levels: FloatArray
    """``(2 R,)`` shock and walk of each row in turn."""
    covariance: FloatArray
    response: FloatArray
    evidence: float
    end: LevelEnd


def level_precision(motion: Motion, rows: int) -> FloatArray:
    """Return the prior precision of shock and walk of each row in turn, as a lower band ``(3 or 5, 2 R)``."""
    band = np.zeros((5 if motion.smooth else 3, 2 * rows))
    band[0, 0::2] = 1 + motion.memory**2
    band[0, [0, -2]] = 1 if rows > 1 else 1 - motion.memory**2
    band[2, 0:-2:2] = -motion.memory
    walk = band[:, 1::2]
    if motion.smooth:  # its second differences, and the slope at its end
        walk[0, :-1] += 1
        walk[0, 1:] += 4
        walk[0, 2:] += 1
        walk[0, -1] += (motion.walk_sd / SLOPE_SD) ** 2
        walk[2, :-1] -= 2
        walk[2, 1:-1] -= 2
        walk[4, :-2] += 1
    else:
        walk[0] += 2
        walk[0, 0] -= 1
        walk[2, :-1] -= 1
    band[:, 0::2] /= motion.shock_sd**2
    walk /= motion.walk_sd**2
    return band


def covariance_of_levels(motion: Motion, row: IntArray, rows: int) -> FloatArray:
    """Return the prior covariance of the levels at places ``row (D,)`` on a calendar, ``(D, D)``."""
    shock = motion.shock_sd**2 / (1 - motion.memory**2) * np.power(motion.memory, np.abs(row[:, None] - row))
    late = rows - np.maximum(row[:, None], row).astype(float)
    if not motion.smooth:
        return np.asarray(shock + motion.walk_sd**2 * late)
    early = rows - np.minimum(row[:, None], row).astype(float)
    turned = late * (late - 1) * ((2 * late - 1) / 6 + (early - late) / 2)
    return np.asarray(shock + motion.walk_sd**2 * turned + SLOPE_SD**2 * late * early)


class _Problem(NamedTuple):
    """Regression on a calendar of ``rows``, given no motion yet; see `fit_regression`."""

    units: FloatArray
    design: FloatArray
    prior: Prior
    row: IntArray
    rows: int

    def solve(self, motion: Motion, coefficients: FloatArray, levels: FloatArray) -> _Mode:
        """Find the mode by Newton's method; the log posterior is concave."""
        units = self.units
        design = self.design
        row = self.row
        size = motion.size
        band = level_precision(motion, self.rows)
        precision = 1.0 / np.square(self.prior.sd)
        anchor = np.where(precision > 0, self.prior.mean, 0.0)
        columns = design.shape[1]
        right = np.zeros((columns + 1, self.rows, 2))
        weights = np.zeros(self.rows)
        for _ in range(NEWTON_STEPS):
            expected = np.exp(_clipped(design @ coefficients + (levels[0::2] + levels[1::2])[row]))
            gradient, weight = differentiate_units(units, expected, size)
            weighted = weight[:, None] * design
            weights[row] = weight
            curved = band.copy()
            curved[0] += np.repeat(weights, 2)
            curved[1, 0::2] = weights
            factor, _ = dpbtrf(curved, lower=1)
            right[:columns, row] = weighted.T[..., None]
            ascent = -times_band(band, levels)
            ascent.reshape(-1, 2)[row] += gradient[:, None]
            right[columns] = ascent.reshape(-1, 2)
            solved, _ = dpbtrs(factor, right.reshape(columns + 1, -1).T, lower=1)
            joint = solved[0::2] + solved[1::2]
            left = weighted.T @ joint[row]
            information = weighted.T @ design - left[:, :columns] + np.diag(precision)
            uphill = gradient @ design - precision * (coefficients - anchor)
            step = np.linalg.solve(information, uphill - left[:, columns])
            moved = solved[:, columns] - solved[:, :columns] @ step
            share = min(1.0, LARGEST_STEP / max(float(np.abs(step).max()), float(np.abs(moved).max()), LAST_STEP))
            coefficients = coefficients + share * step
            levels = levels + share * moved
            if uphill @ step + ascent @ moved < LAST_RISE:
                break
        half_log_determinant = float(np.log(factor[0]).sum() + np.linalg.slogdet(information)[1] / 2)
        last = np.zeros((2 * self.rows, 2))
        last[-2:] = np.eye(2)
        return _Mode(
            coefficients=coefficients,
            levels=levels,
            covariance=np.linalg.inv(information),
            response=-joint[:, :columns],
            evidence=self.weigh(motion, band, coefficients, levels) - half_log_determinant,
            end=LevelEnd(levels[-2:], dpbtrs(factor, last, lower=1)[0][-2:], -solved[-2:, :columns]),
        )

    def weigh(self, motion: Motion, band: FloatArray, coefficients: FloatArray, levels: FloatArray) -> float:
        """Return the log posterior of coefficients and levels, whose prior precision is ``band``, up to a constant."""
        log_mean = self.design @ coefficients + (levels[0::2] + levels[1::2])[self.row]
        proper = np.isfinite(self.prior.sd)
        away = (coefficients[proper] - self.prior.mean[proper]) / self.prior.sd[proper]
        found = _log_likelihood(self.units, np.exp(_clipped(log_mean)), motion.size)
        found -= 0.5 * float(away @ away + levels @ times_band(band, levels))
        found -= float(np.log(self.prior.sd[proper]).sum() + self.rows * np.log(motion.shock_sd * motion.walk_sd))
        found -= float(np.log(SLOPE_SD / motion.walk_sd)) if motion.smooth else 0.0
        return found + 0.5 * float(np.log1p(-(motion.memory**2)))


def differentiate_units(units: FloatArray, expected: FloatArray, size: float) -> tuple[FloatArray, FloatArray]:
    """Return first and minus second derivative of the log likelihood of ``units (D,)`` with respect to the log mean."""
    spread = 1 + expected / size
    return (units - expected) / spread, expected * (1 + units / size) / spread**2


def times_band(band: FloatArray, vector: FloatArray) -> FloatArray:
    """Return the product of a symmetric matrix, of which every second band is 0, and a vector."""
    product: FloatArray = band[0] * vector
    for apart in range(2, len(band), 2):
        product[apart:] += band[apart, :-apart] * vector[:-apart]
        product[:-apart] += band[apart, :-apart] * vector[apart:]
    return product


def _clipped(log_mean: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(np.maximum(log_mean, LOG_MEAN_RANGE[0]), LOG_MEAN_RANGE[1]))


def _log_likelihood(units: FloatArray, mean: FloatArray, size: float) -> float:
    """Return the log likelihood without the term of ``units`` alone."""
    share = np.log1p(mean / size)
    return float((gammaln(units + size) - gammaln(size) - size * share + units * (np.log(mean / size) - share)).sum())


def winsorise(value: FloatArray, sds: float) -> FloatArray:
    """Winsorise counts ``(D,)`` at ``sds`` robust sds of their square root above the median, for a first fit."""
    root = np.sqrt(value + ROOT_SHIFT)
    return np.asarray(np.minimum(value, (float(np.median(root)) + sds * _robust_sd(root)) ** 2 - ROOT_SHIFT))


def find_inliers(value: FloatArray, expected: FloatArray, sds: float) -> BoolArray:
    """Return the days ``(D,)`` whose square-root residual is within ``sds`` robust sds of the median."""
    residual = np.sqrt(value + ROOT_SHIFT) - np.sqrt(expected + ROOT_SHIFT)
    return np.asarray(np.abs(residual - np.median(residual)) <= sds * _robust_sd(residual))


def _robust_sd(roots: FloatArray) -> float:
    """Return 1.4826 times the median absolute deviation, at least the sd of Poisson counts: most days may be equal."""
    return max(1.4826 * float(np.median(np.abs(roots - np.median(roots)))), ROOT_SD)
