"""Negative-binomial regression of daily units on price and covariates, with a level that moves in time.

``units_t ~ NegativeBinomial(mean lambda_t, size r)`` with ``log lambda_t = a + b x + q x^2 + covariates + shock_t +
walk_t``, where ``x`` is the log price over its median. The shock is a stationary AR(1) process, the walk a random walk
that ends at 0: a structural time series (West and Harrison 1997; Durbin and Koopman 2012). Given how they move and the
size, the posterior of the coefficients is a Gaussian around its mode (Laplace); a grid of `Motion` is averaged by
evidence. The precision of the levels is banded, so a fit takes time in proportion to the days.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsbmv
from scipy.linalg.lapack import dpbtrf, dpbtrs, dtbtrs
from scipy.special import gammaln, logsumexp, softmax

from pricerl.arrays import FloatArray, IntArray
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

    def without_prior(self, columns: Sequence[int] | IntArray, prior: Prior) -> RegressionPosterior:
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

    def given_zero(self, out: IntArray) -> RegressionPosterior:
        """Return the posterior given that the coefficients ``out`` are 0, without these columns."""
        kept = np.setdiff1d(np.arange(len(self.mode)), out)
        gain = np.linalg.solve(self.covariance[np.ix_(out, out)], self.covariance[np.ix_(out, kept)]).T
        mode = self.mode[kept] - gain @ self.mode[out]
        covariance = self.covariance[np.ix_(kept, kept)] - gain @ self.covariance[np.ix_(out, kept)]
        change = -self.mode
        change[kept] += mode
        shifted = self._shifted(change)
        future = shifted.future._replace(response=self.future.response[kept])
        return replace(shifted, mode=mode, covariance=covariance, response=self.response[:, kept], future=future)

    def log_odds_of_zero(self, columns: IntArray, prior: Prior) -> float:
        """Return the log Bayes factor for coefficients of 0 against their prior (Savage-Dickey; Dickey 1971)."""
        mode = self.mode[columns]
        covariance = self.covariance[np.ix_(columns, columns)]
        posterior = -0.5 * (mode @ np.linalg.solve(covariance, mode) + np.linalg.slogdet(covariance)[1])
        return float(posterior + np.log(prior.sd).sum() + 0.5 * np.square(prior.mean / prior.sd).sum())


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
    counts = Counts.on_calendar(units, design, row, rows, (0, 1))
    near = coefficients, np.zeros(2 * rows)
    if start is not None:
        known = start.mode if len(start.mode) == len(coefficients) else coefficients
        near = known, np.column_stack([start.shock, start.walk]).ravel()
    waiting = list(motions or (FIRST_MOTIONS if start is None else start.motions))
    neighbours = {} if motions or start else NEIGHBOURS
    found: dict[Motion, Mode] = {}
    best = -np.inf
    for motion in waiting:  # grows on the way
        found[motion] = mode = _find_mode_given(motion, counts, prior, *near, best + 2 * np.log(NEGLIGIBLE))
        near = mode.coefficients, mode.levels
        best = max(best, mode.evidence)
        if mode.evidence > best + np.log(NEGLIGIBLE):
            waiting += [other for other in neighbours.get(motion, []) if other not in waiting]
    kept = {motion: mode for motion, mode in found.items() if mode.evidence > best + np.log(NEGLIGIBLE)}
    return _average(kept, design, row)


def _average(modes: Mapping[Motion, Mode], design: FloatArray, row: IntArray) -> RegressionPosterior:
    """Average the modes given motions by their evidence."""
    motions = tuple(modes)
    evidence = [mode.evidence for mode in modes.values()]
    weight = softmax(evidence)
    coefficients, levels, covariance = (np.stack([mode[place] for mode in modes.values()]) for place in range(3))
    response = np.stack([mode.response for mode in modes.values()])
    mean = weight @ coefficients
    apart = coefficients - mean
    shock, walk = (weight @ levels).reshape(-1, 2).T
    return RegressionPosterior(
        mode=mean,
        covariance=np.tensordot(weight, covariance, 1) + (apart.T * weight) @ apart,
        size=float(1 / (weight @ [1 / motion.size for motion in motions])),
        log_mean=np.clip(design @ mean + (shock + walk)[row], *LOG_MEAN_RANGE),
        log_evidence=float(logsumexp(evidence)),
        shock=shock,
        walk=walk,
        response=np.tensordot(weight, response, 1).reshape(len(shock), 2, -1).sum(1),
        motion=motions[int(weight.argmax())],
        motions=motions,
        future=forecast_level(motions, [*map(Mode.last_levels, modes.values(), response)], weight),
    )


class Mode(NamedTuple):
    """Mode of a log posterior, and what is known of it there."""

    coefficients: FloatArray
    """``(C,)``."""
    levels: FloatArray
    """``(2 R,)`` two levels of each row in turn."""
    covariance: FloatArray
    """``(C, C)``."""
    joined: FloatArray
    """``(2 R, C)`` half of what the levels lose per change of a coefficient."""
    factor: FloatArray
    """Cholesky factor of the levels' precision, a lower band."""
    rise: float
    """Rise of the log posterior that the last step promised, infinite for one cut short; a further one gains little."""
    evidence: float
    """Log marginal likelihood, up to the density of the prior."""

    @property
    def response(self) -> FloatArray:
        """``(2 R, C)`` change of the levels per change of a coefficient."""
        return -_solve_half(self.factor, self.joined)

    def last_levels(self, response: FloatArray) -> LevelEnd:
        """Return both levels of the last row."""
        spread, _ = dpbtrs(self.factor, np.eye(len(self.levels), 2, 2 - len(self.levels)), lower=1)
        return LevelEnd(self.levels[-2:], spread[-2:], response[-2:])


class Quadratic(NamedTuple):
    """Gaussian log density of coefficients and levels: prior precisions, and gradients where all are 0."""

    precision: FloatArray
    """``(C, C)`` of the coefficients."""
    joint: FloatArray
    """``(C, 2 R)`` precision that joins both."""
    band: FloatArray
    """Precision of the levels as a lower band, ``(3 or 5, 2 R)``."""
    pull: FloatArray
    """``(C,)`` gradient of the coefficients."""
    level_pull: FloatArray | float
    """``(2 R,)`` gradient of the levels."""


class Counts(NamedTuple):
    """Negative-binomial units on a calendar of ``R`` rows."""

    units: FloatArray
    """``(R,)``; 0 where unknown."""
    design: FloatArray
    """``(R, C)``; 0 where units are unknown."""
    known: FloatArray
    """``(R,)`` 1 where units are known, else 0."""
    levels: Sequence[int]
    """Which of the two levels of a row its log mean has."""

    @staticmethod
    def on_calendar(units: FloatArray, design: FloatArray, row: IntArray, rows: int, levels: Sequence[int]) -> Counts:
        """Return units ``(D,)`` and their design ``(D, C)`` on a calendar."""
        every = np.zeros((rows, design.shape[1]))
        every[row] = design
        known = np.bincount(row, minlength=rows).astype(float)
        return Counts(np.bincount(row, units, rows).astype(float), every, known, levels)

    def log_mean(self, coefficients: FloatArray, levels: FloatArray) -> FloatArray:
        """Return the log mean ``(R,)``, clipped."""
        level = sum(levels[place::2] for place in self.levels)
        return np.asarray((self.design @ coefficients + level).clip(*LOG_MEAN_RANGE))

    def find_mode(
        self, size: float, prior: Quadratic, coefficients: FloatArray, levels: FloatArray, steps: int = NEWTON_STEPS
    ) -> Mode:
        """Find the mode of a log posterior, which is concave, by at most some ``steps`` of Newton's method."""
        right = np.empty((len(coefficients) + 1, len(levels)))
        for _ in range(steps):
            expected = np.exp(self.log_mean(coefficients, levels))
            spread = 1 + expected / size
            gradient = self.known * (self.units - expected) / spread
            weight = self.known * expected * (1 + self.units / size) / spread**2
            weighted = weight * self.design.T
            curved = prior.band.copy()
            curved[1, 0::2] += weight * (len(self.levels) - 1)
            right[:-1] = prior.joint
            right[-1] = prior.level_pull - times_band(prior.band, levels) - coefficients @ prior.joint
            for level in self.levels:
                curved[0, level::2] += weight
                right[:-1, level::2] += weighted
                right[-1, level::2] += gradient
            factor, _ = dpbtrf(curved, lower=1)
            half, _ = dtbtrs(factor, right.T, uplo="L")  # half of a solution is enough for the coefficients
            joined, own = half[:, :-1], half[:, -1]
            information = weighted @ self.design + prior.precision - joined.T @ joined
            uphill = gradient @ self.design + prior.pull - prior.precision @ coefficients - prior.joint @ levels
            step = np.linalg.solve(information, uphill - own @ joined)
            moved = _solve_half(factor, own - joined @ step)
            share = min(1.0, LARGEST_STEP / max(float(np.abs(step).max()), float(np.abs(moved).max()), LAST_STEP))
            coefficients = coefficients + share * step
            levels = levels + share * moved
            rise = float(uphill @ step + right[-1] @ moved) if share == 1 else np.inf
            if rise < LAST_RISE:
                break
        expected = np.exp(self.log_mean(coefficients, levels))
        evidence = self.known @ log_probability(self.units, expected, size) - np.log(factor[0]).sum()
        evidence -= np.linalg.slogdet(information)[1] / 2
        return Mode(coefficients, levels, np.linalg.inv(information), joined, factor, rise, float(evidence))


def _solve_half(factor: FloatArray, half: FloatArray) -> FloatArray:
    """Return the solution ``(2 R,)`` or ``(2 R, C)`` of which a half is known, by the factor of the precision."""
    solved, _ = dtbtrs(factor, half, uplo="L", trans="T")
    return np.asarray(solved)


@lru_cache(maxsize=256)
def level_precision(motion: Motion, rows: int) -> FloatArray:
    """Return the prior precision of shock and walk of each row in turn, as a lower band ``(3 or 5, 2 R)``."""
    band = np.zeros((5 if motion.smooth else 3, 2 * rows))
    band[0, 0::2] = 1 + motion.memory**2
    band[0, [0, -2]] = 1 if rows > 1 else 1 - motion.memory**2
    band[2, 0:-2:2] = -motion.memory
    walk = band[:, 1::2]
    change = (1, -2, 1) if motion.smooth else (1, -1)  # of a walk that is 0 after the last row
    for (here, one), (there, two) in itertools.combinations_with_replacement(enumerate(change), 2):
        walk[2 * (there - here), here : here + min(rows + 2 - len(change), rows - there)] += one * two
    if motion.smooth:
        walk[0, -1] += (motion.walk_sd / SLOPE_SD) ** 2
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


def _find_mode_given(
    motion: Motion, counts: Counts, prior: Prior, coefficients: FloatArray, levels: FloatArray, least: float
) -> Mode:
    """Find the mode given a motion, with its log evidence; one that a whole step leaves below ``least`` stays there."""
    proper = np.isfinite(prior.sd)
    precision = 1.0 / np.square(prior.sd)
    anchor = np.where(proper, prior.mean, 0.0)
    band = level_precision(motion, len(levels) // 2)
    none = np.zeros((len(anchor), len(levels)))
    quadratic = Quadratic(np.diag(precision), none, band, precision * anchor, 0.0)
    density = 0.5 * np.log1p(-(motion.memory**2)) - np.log(prior.sd[proper]).sum()
    density -= len(levels) // 2 * np.log(motion.shock_sd * motion.walk_sd)
    density -= np.log(SLOPE_SD / motion.walk_sd) if motion.smooth else 0.0
    for steps in (1, NEWTON_STEPS):
        mode = counts.find_mode(motion.size, quadratic, coefficients, levels, steps)
        coefficients, levels = mode.coefficients, mode.levels
        away = np.square(coefficients - anchor) @ precision + levels @ times_band(band, levels)
        mode = mode._replace(evidence=mode.evidence + float(density - 0.5 * away))
        if mode.rise < LAST_RISE or (mode.rise < np.inf and mode.evidence < least):
            break
    return mode


def times_band(band: FloatArray, vector: FloatArray) -> FloatArray:
    """Return the product of a symmetric matrix, given as a lower band, and a vector."""
    return np.asarray(dsbmv(len(band) - 1, 1.0, band, vector, lower=1))


def log_probability(units: FloatArray, mean: FloatArray, size: float) -> FloatArray:
    """Return the log probability of negative-binomial ``units (D,)``."""
    share = np.log1p(mean / size)
    sold = units * (np.log(mean / size) - share)
    return np.asarray(gammaln(units + size) - gammaln(size) - gammaln(units + 1) - size * share + sold)
