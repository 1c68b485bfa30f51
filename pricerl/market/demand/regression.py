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
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsbmv
from scipy.linalg.lapack import dpbtrf, dtbtrs, ztbtrs
from scipy.special import gammaln, logsumexp, softmax

from pricerl.arrays import FloatArray, IntArray
from pricerl.market.level import SLOPE_SD, FutureLevel, LevelEnd, Motion, forecast_level, level_precision

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
STILL_MOTIONS = tuple(Motion(*SHOCKS[0], *WALKS[0], size) for size in np.geomspace(*SIZE_RANGE, 60).tolist())
"""Motions of a level that stays, with a fine grid of sizes."""
GRID = {
    place: Motion(*SHOCKS[place[0]], *WALKS[place[1]], SIZES[place[2]])
    for place in itertools.product(range(len(SHOCKS)), range(len(WALKS)), range(len(SIZES)))
}
"""Motions of demand, equally likely a priori, by their places on three axes."""
MOTIONS = tuple(GRID.values())
STEPS = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, 1), (0, 1, 0), (1, 0, 0))
NEIGHBOURS = {
    motion: [GRID[near] for a, b, c in STEPS if (near := (place[0] + a, place[1] + b, place[2] + c)) in GRID]
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
    modes: Mapping[Motion, Mode]
    """Mode given each motion of a probability that counts, the likeliest first."""
    weight: FloatArray
    """Their probabilities."""
    columns: IntArray
    """``(C,)`` which of their coefficients these are."""
    future: FutureLevel
    """Level of the rows after the last one."""

    @property
    def motions(self) -> tuple[Motion, ...]:
        """All motions of a probability that counts, the likeliest first."""
        return tuple(self.modes)

    @property
    def level(self) -> FloatArray:
        """``(R,)`` log level of each row, over that after the last row without a shock."""
        return self.shock + self.walk

    def without_prior(self, columns: Sequence[int] | IntArray, prior: Prior) -> RegressionPosterior:
        """Return the posterior with the priors of some coefficients replaced by ones of `LOOSE_SD`, same mean.

        Levels stay as they are.
        """
        chosen = list(columns)
        change = 1 / LOOSE_SD**2 - 1 / prior.sd[chosen] ** 2
        joint = self.covariance[:, chosen]
        kept = np.eye(len(chosen)) + change[:, None] * joint[chosen]
        covariance = self.covariance - joint @ np.linalg.solve(kept, change[:, None] * joint.T)
        mode = self.mode + covariance[:, chosen] @ (change * (prior.mean[chosen] - self.mode[chosen]))
        return replace(self, mode=mode, covariance=covariance)

    def given_zero(self, out: IntArray) -> RegressionPosterior:
        """Return the posterior given that the coefficients ``out`` are 0, without these columns; levels follow."""
        kept = np.setdiff1d(np.arange(len(self.mode)), out)
        gain = np.linalg.solve(self.covariance[np.ix_(out, out)], self.covariance[np.ix_(out, kept)]).T
        mode = self.mode[kept] - gain @ self.mode[out]
        covariance = self.covariance[np.ix_(kept, kept)] - gain @ self.covariance[np.ix_(out, kept)]
        change = -self.mode
        change[kept] += mode
        moved = self.weight @ [
            _solve_half(found.factor, change @ found.joined[self.columns]) for found in self.modes.values()
        ]
        walk = self.walk - moved[0::2] - moved[1::2]
        path = self.future.path + self.future.response @ change
        future = self.future._replace(path=path, response=self.future.response[kept])
        return replace(self, mode=mode, covariance=covariance, walk=walk, columns=self.columns[kept], future=future)

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
    begun = {
        motion: (mode.coefficients if len(mode.coefficients) == len(coefficients) else coefficients, mode.levels)
        for motion, mode in (() if start is None else start.modes.items())
    }
    near = next(iter(begun.values()), (coefficients, np.zeros(2 * rows)))
    neighbours = {} if motions or start else NEIGHBOURS
    waiting = list(motions or (FIRST_MOTIONS if start is None else start.motions))
    found: dict[Motion, Mode] = {}
    best = -np.inf
    while waiting:
        wave = waiting if found or start else waiting[:1]
        begin, levels = map(np.stack, zip(*(begun.get(motion, near) for motion in wave), strict=True))
        size = np.array([[motion.size] for motion in wave])
        modes = counts.find_modes(size, _prior_of(wave, prior, rows), begin, levels, best + 1.5 * np.log(NEGLIGIBLE))
        found.update(zip(wave, modes, strict=True))
        near = max(found.values(), key=attrgetter("evidence"))[:2]
        after = waiting[len(wave) :]
        for motion, mode in zip(wave, modes, strict=True):
            best = max(best, mode.evidence)
            after += neighbours.get(motion, ()) if mode.evidence > best + np.log(NEGLIGIBLE) else ()
        waiting = [motion for motion in dict.fromkeys(after) if motion not in found]
    ordered = sorted(found.items(), key=lambda item: -item[1].evidence)
    kept = {motion: mode for motion, mode in ordered if mode.evidence > best + np.log(NEGLIGIBLE)}
    return _average(kept, design, row)


def _average(modes: Mapping[Motion, Mode], design: FloatArray, row: IntArray) -> RegressionPosterior:
    """Average the modes given motions by their evidence."""
    evidence = [mode.evidence for mode in modes.values()]
    weight = softmax(evidence)
    coefficients, levels, covariance = (np.stack([mode[place] for mode in modes.values()]) for place in range(3))
    mean = weight @ coefficients
    apart = coefficients - mean
    shock, walk = (weight @ levels).reshape(-1, 2).T
    return RegressionPosterior(
        mode=mean,
        covariance=np.tensordot(weight, covariance, 1) + (apart.T * weight) @ apart,
        size=float(1 / (weight @ [1 / motion.size for motion in modes])),
        log_mean=np.clip(design @ mean + (shock + walk)[row], *LOG_MEAN_RANGE),
        log_evidence=float(logsumexp(evidence)),
        shock=shock,
        walk=walk,
        modes=modes,
        weight=weight,
        columns=np.arange(len(mean)),
        future=forecast_level([*modes], [mode.last_levels for mode in modes.values()], weight),
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
    """``(C, 2 R)`` half of what the levels lose per change of a coefficient."""
    factor: FloatArray
    """Cholesky factor of the levels' precision, a lower band."""
    evidence: float
    """Log marginal likelihood, up to the density of the prior."""

    @property
    def last_levels(self) -> LevelEnd:
        """Both levels of the last row."""
        half = np.linalg.inv([[self.factor[0, -2], 0.0], [self.factor[1, -2], self.factor[0, -1]]])
        return LevelEnd(self.levels[-2:], half.T @ half, -half.T @ self.joined[:, -2:].T)


class Quadratic(NamedTuple):
    """Gaussian log density of coefficients and levels, by ``N`` motions; gradients and values are where all are 0."""

    precision: FloatArray
    """``(C, C)`` of the coefficients."""
    joint: FloatArray | None
    """``(C, 2 R)`` precision that joins both; None for none."""
    bands: Sequence[FloatArray]
    """Precision of the levels as a lower band, ``(3 or 5, 2 R)`` each."""
    pull: FloatArray
    """``(C,)`` gradient of the coefficients."""
    level_pull: FloatArray
    """``(2 R,)`` gradient of the levels."""
    value: FloatArray
    """``(N,)``."""

    def at(self, coefficients: FloatArray, levels: FloatArray) -> list[FloatArray]:
        """Return log density ``(N,)`` and gradients at coefficients ``(N, C)`` and levels ``(N, 2 R)``."""
        products = [dsbmv(len(band) - 1, 1.0, band, own, lower=1) for band, own in zip(self.bands, levels, strict=True)]
        uphill, level_uphill = self.pull - coefficients @ self.precision, self.level_pull - np.stack(products)
        if self.joint is not None:
            uphill, level_uphill = uphill - levels @ self.joint.T, level_uphill - coefficients @ self.joint
        changed = (coefficients * (self.pull + uphill)).sum(1) + (levels * (self.level_pull + level_uphill)).sum(1)
        return [self.value + 0.5 * changed, uphill, level_uphill]


class Counts(NamedTuple):
    """Negative-binomial units on a calendar of ``R`` rows."""

    units: FloatArray
    """``(R,)``; 0 where unknown."""
    design: FloatArray
    """``(C, R)``; 0 where units are unknown."""
    known: FloatArray
    """``(R,)`` 1 where units are known, else 0."""
    effects: FloatArray
    """The design at the levels that the log mean of a row has, as pairs."""
    levels: Sequence[int]
    """Which of the two levels of a row that are."""

    @staticmethod
    def on_calendar(units: FloatArray, design: FloatArray, row: IntArray, rows: int, levels: Sequence[int]) -> Counts:
        """Return units ``(D,)`` and their design ``(D, C)`` on a calendar."""
        every = np.zeros((design.shape[1], rows))
        every[:, row] = design.T
        known = np.bincount(row, minlength=rows).astype(float)
        sold = np.bincount(row, units, rows).astype(float)
        effects = every[..., None] * np.isin((0, 1), levels)
        return Counts(sold, every, known, _pair(effects.reshape(len(every), -1)), levels)

    def mean(self, coefficients: FloatArray, levels: FloatArray) -> FloatArray:
        """Return the mean ``(N, R)`` at coefficients ``(N, C)`` and levels ``(N, 2 R)``, clipped."""
        log_mean = sum((levels[:, place::2] for place in self.levels), start=coefficients @ self.design)
        return np.asarray(np.exp(log_mean.clip(*LOG_MEAN_RANGE)))

    def find_modes(
        self, size: FloatArray, prior: Quadratic, coefficients: FloatArray, levels: FloatArray, least: float = -np.inf
    ) -> list[Mode]:
        """Find the modes of ``N`` concave log posteriors from ``coefficients (N, C)`` and ``levels (N, 2 R)`` nearby.

        The negative binomials have the ``size (N, 1)``. A mode that a whole step of Newton's method leaves at an
        evidence below the ``least`` stays there.
        """
        found: dict[int, Mode] = {}
        left = np.arange(len(size))
        sizes, which = np.unique(size, return_inverse=True)
        ways = (gammaln(self.units + sizes[:, None]) - gammaln(sizes[:, None]) - gammaln(self.units + 1)) @ self.known
        ways = ways[which.ravel()]
        expected, slope = self.mean(coefficients, levels), prior.at(coefficients, levels)[1:]
        for _ in range(NEWTON_STEPS):
            factors, joined, covariance, change, moved, rise = self._step(size, prior, expected, *slope)
            farthest = np.maximum(np.abs(change).max(1), np.abs(moved).max(1))[:, None]
            share = np.minimum(1.0, LARGEST_STEP / np.maximum(farthest, LAST_STEP))
            coefficients = coefficients + share * change
            levels = levels + share * moved
            expected, (density, *slope) = self.mean(coefficients, levels), prior.at(coefficients, levels)
            rest = np.log1p(expected / size)
            evidence = density + ways + (self.units * (np.log(expected / size) - rest) - size * rest) @ self.known
            evidence -= [np.log(factor[0]).sum() for factor in factors] - np.linalg.slogdet(covariance)[1] / 2
            on = (share[:, 0] < 1) | ((rise >= LAST_RISE) & (evidence >= least))
            modes = map(Mode, coefficients, levels, covariance, joined, factors, evidence.tolist())
            found.update(zip(left.tolist(), modes, strict=True))
            if not on.any():
                break
            chosen = left, size, ways, expected, coefficients, levels, *slope
            left, size, ways, expected, coefficients, levels, *slope = (item[on] for item in chosen)
            prior = prior._replace(value=prior.value[on], bands=[*itertools.compress(prior.bands, on)])
        return [found[place] for place in sorted(found)]

    def _step(
        self, size: FloatArray, prior: Quadratic, expected: FloatArray, uphill: FloatArray, level_uphill: FloatArray
    ) -> tuple[Sequence[FloatArray], Sequence[FloatArray], FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return as in `Mode` factors, halves and covariances, whole steps of both, and the rises that they promise."""
        spread = 1 + expected / size
        gradient = self.known * (self.units - expected) / spread
        weight = self.known * expected * (1 + self.units / size) / spread**2
        uphill = uphill + gradient @ self.design.T
        for level in self.levels:
            level_uphill[:, level::2] += gradient
        each = zip(prior.bands, weight, level_uphill, strict=True)
        factors, joined, halves, information = zip(*(self._solve(prior, *one) for one in each), strict=True)
        covariance = np.linalg.inv(np.stack(information))
        left = uphill - [lost @ half for lost, half in zip(joined, halves, strict=True)]
        change = (covariance @ left[..., None])[..., 0]
        rest = np.stack(halves) - [one @ lost for one, lost in zip(change, joined, strict=True)]
        moved = np.stack([_solve_half(*one) for one in zip(factors, rest, strict=True)])
        return factors, joined, covariance, change, moved, (uphill * change).sum(1) + (halves * rest).sum(1)

    def _solve(
        self, prior: Quadratic, band: FloatArray, weight: FloatArray, level_uphill: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return factor, halves of what the levels lose and gain, and the precision of coefficients, by one motion."""
        curved = band.copy("K")
        for level in self.levels:
            curved[0, level::2] += weight
        curved[1, 0::2] += weight * (len(self.levels) - 1)
        factor = dpbtrf(curved, lower=1, overwrite_ab=1)[0]
        pairs = np.repeat(weight, 4) * self.effects
        if prior.joint is not None:
            pairs += _pair(prior.joint)
        pairs[-1, 1::2] = level_uphill
        # half of a solution is enough; two real columns solved as a complex one take half the time
        ztbtrs((factor / factor[0]).astype(complex), pairs.view(complex).T, uplo="L", diag="U", overwrite_b=1)
        parts = np.moveaxis(pairs.reshape(len(pairs), -1, 2), 2, 0)
        half = np.multiply(parts, 1 / factor[0], order="C").reshape(2 * len(pairs), -1)
        joined = half[: len(self.design)]
        return factor, joined, half[-1], (weight * self.design) @ self.design.T + prior.precision - joined @ joined.T


def _pair(columns: FloatArray) -> FloatArray:
    """Return ``C`` columns ``(C, 2 R)`` as parts of complex ones, and a free last part, ``(M, 4 R)``."""
    count, rows = columns.shape
    padded = np.vstack([columns, np.zeros((2 - count % 2, rows))]).reshape(2, -1, rows)
    return np.ascontiguousarray(np.moveaxis(padded, 0, 2)).reshape(-1, 2 * rows)


def _solve_half(factor: FloatArray, half: FloatArray) -> FloatArray:
    """Return the solution ``(2 R,)`` of which a half is known, by the factor of the precision."""
    return np.asarray(dtbtrs(factor, half, uplo="L", trans="T")[0])


def _prior_of(motions: Sequence[Motion], prior: Prior, rows: int) -> Quadratic:
    """Return the prior of coefficients and levels by motion."""
    precision = 1.0 / np.square(prior.sd)
    value = -0.5 * np.square(prior.mean) @ precision - np.log(prior.sd[np.isfinite(prior.sd)]).sum()
    density = [
        0.5 * np.log1p(-(motion.memory**2))
        - rows * np.log(motion.shock_sd * motion.walk_sd)
        - (np.log(SLOPE_SD / motion.walk_sd) if motion.smooth else 0.0)
        for motion in motions
    ]
    bands = [level_precision(motion, rows) for motion in motions]
    values = value + np.array(density)
    return Quadratic(np.diag(precision), None, bands, precision * prior.mean, np.zeros(2 * rows), values)
