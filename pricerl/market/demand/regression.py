"""Negative-binomial regression of daily units on price and covariates, and the outliers that it leaves out.

``units_t ~ NegativeBinomial(mean lambda_t, size r)`` with ``log lambda_t = a + b x + q x^2 + covariates``, where ``x``
is the log price over its median. The posterior of the coefficients is a Gaussian around its mode (Laplace).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, psi, zeta

from pricerl.arrays import BoolArray, FloatArray

NEWTON_STEPS = 50
LARGEST_STEP = 2.0
"""Largest change of a coefficient in one step of Newton's method."""
LAST_STEP = 1e-4
"""Largest change of a coefficient in the last step of Newton's method, which converges quadratically."""

SIZE_RANGE = (0.3, 1e4)
"""Smallest and largest negative-binomial size, from strong overdispersion to Poisson."""
SIZE_ROUNDS = 4
"""Most rounds between mode and size."""
SIZE_TOLERANCE = 1e-3
"""Change of the log size at which the rounds end."""
LONGEST_JUMP = 0.5
"""Largest change of the log size that Newton's method may make before a search of the whole range replaces it."""

LOG_MEAN_RANGE = (-30.0, 30.0)

LOOSE_SD = 10.0
"""Sd of a coefficient that should have no prior; finite, because the price may never have varied."""

ROOT_SHIFT = 0.375
"""Shift of Poisson counts after which their square root has about the sd ``ROOT_SD`` (Anscombe 1948)."""
ROOT_SD = 0.5
"""Sd of the square root of shifted Poisson counts, whatever their mean."""


@dataclass(frozen=True)
class Prior:
    """Independent Gaussians, ``(C,)`` each; an infinite sd leaves a coefficient free."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True)
class RegressionPosterior:
    """Gaussian posterior of ``C`` coefficients."""

    mode: FloatArray
    """``(C,)`` maximum of the posterior."""
    covariance: FloatArray
    """``(C, C)`` inverse of the expected information at the mode, prior included."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""
    log_mean: FloatArray
    """``(D,)`` fitted log mean of every day."""
    log_evidence: float
    """Log marginal likelihood, up to a constant that only depends on the days (Laplace; Tierney and Kadane 1986)."""

    def without_prior(self, columns: Sequence[int], prior: Prior) -> RegressionPosterior:
        """Return the posterior with the priors of some coefficients replaced by ones of `LOOSE_SD`, same mean."""
        chosen = list(columns)
        change = 1 / LOOSE_SD**2 - 1 / prior.sd[chosen] ** 2
        joint = self.covariance[:, chosen]
        kept = np.eye(len(chosen)) + change[:, None] * joint[chosen]
        covariance = self.covariance - joint @ np.linalg.solve(kept, change[:, None] * joint.T)
        mode = self.mode + covariance[:, chosen] @ (change * (prior.mean[chosen] - self.mode[chosen]))
        return replace(self, mode=mode, covariance=covariance)

    def given_zero(self, columns: slice) -> RegressionPosterior:
        """Return the posterior given that the coefficients of ``columns`` are 0, without these columns."""
        out = np.arange(len(self.mode))[columns]
        kept = np.setdiff1d(np.arange(len(self.mode)), out)
        gain = np.linalg.solve(self.covariance[np.ix_(out, out)], self.covariance[np.ix_(out, kept)]).T
        mode = self.mode[kept] - gain @ self.mode[out]
        covariance = self.covariance[np.ix_(kept, kept)] - gain @ self.covariance[np.ix_(out, kept)]
        return replace(self, mode=mode, covariance=covariance)

    def log_odds_of_zero(self, columns: slice, prior_sd: FloatArray) -> float:
        """Return the log Bayes factor for coefficients of 0 against a prior around 0 (Savage-Dickey; Dickey 1971)."""
        mode = self.mode[columns]
        covariance = self.covariance[columns, columns]
        posterior = -0.5 * (mode @ np.linalg.solve(covariance, mode) + np.linalg.slogdet(covariance)[1])
        return float(posterior + np.log(prior_sd).sum())

    def dispersion(self, units: FloatArray) -> float:
        """Return Pearson's variance over mean of ``units (D,)``, at least 1."""
        mean = np.exp(self.log_mean)
        return max(1.0, float(((units - mean) ** 2 / mean).mean()))


def fit_regression(
    units: FloatArray,
    design: FloatArray,
    prior: Prior,
    size: float | None = None,
    start: RegressionPosterior | None = None,
) -> RegressionPosterior:
    """Find the mode by Newton's method, alternating with the maximum-likelihood size if it is not known.

    Units are ``(D,)``, the design is ``(D, C)``; ``start`` is the posterior of a similar regression.
    """
    if start is None:
        coefficients = np.where(np.isfinite(prior.sd), prior.mean, 0.0)
        coefficients[0] = np.log(max(float(units.mean()), 1e-3)) - float(design[:, 1:].mean(0) @ coefficients[1:])
    else:
        coefficients = start.mode
    current = size or (SIZE_RANGE[1] if start is None else start.size)
    for _ in range(SIZE_ROUNDS if size is None else 1):
        coefficients, log_mean = _find_mode(units, design, prior, coefficients, current)
        if size is None:
            before = current
            current = likeliest_size(units, np.exp(log_mean), current)
            if abs(np.log(current / before)) < SIZE_TOLERANCE:
                break
    mean = np.exp(log_mean)
    information = (design.T * (mean / (1 + mean / current))) @ design + np.diag(1.0 / np.square(prior.sd))
    proper = np.isfinite(prior.sd)
    standardized = (coefficients[proper] - prior.mean[proper]) / prior.sd[proper]
    log_prior = -0.5 * (standardized @ standardized) - np.log(prior.sd[proper]).sum()
    evidence = _log_likelihood(units, mean, current) + float(log_prior - 0.5 * np.linalg.slogdet(information)[1])
    return RegressionPosterior(coefficients, np.asarray(np.linalg.inv(information)), current, log_mean, evidence)


def _find_mode(
    units: FloatArray, design: FloatArray, prior: Prior, start: FloatArray, size: float
) -> tuple[FloatArray, FloatArray]:
    """Return the mode ``(C,)`` and the log means ``(D,)`` at it. The log posterior is concave."""
    low, high = LOG_MEAN_RANGE

    def log_mean(coefficients: FloatArray) -> FloatArray:
        return np.asarray(np.minimum(np.maximum(design @ coefficients, low), high))

    coefficients = start
    precision = 1.0 / np.square(prior.sd)
    penalty = np.diag(precision)
    anchor = np.where(precision > 0, prior.mean, 0.0)
    for _ in range(NEWTON_STEPS):
        expected = np.exp(log_mean(coefficients))
        spread = 1 + expected / size
        weight = expected * (1 + units / size) / spread**2
        curvature = (design.T * weight) @ design + penalty
        gradient = (units - expected) / spread @ design - precision * (coefficients - anchor)
        _, step, failed = dposv(curvature, gradient)
        if failed:
            step = np.linalg.solve(curvature, gradient)
        largest = float(np.abs(step).max())
        if largest > LARGEST_STEP:
            step = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        coefficients = coefficients + step
        if largest < LAST_STEP:
            break
    return coefficients, log_mean(coefficients)


def likeliest_size(units: FloatArray, mean: FloatArray, start: float) -> float:
    """Return the likeliest size of ``units (D,)`` around ``mean (D,)``, by Newton's method nearby, or else a search."""
    distinct, counts = np.unique(units, return_counts=True)
    size = start
    for _ in range(NEWTON_STEPS):
        total = size + mean
        slope = counts @ psi(distinct + size) - len(units) * psi(size)
        slope += float((np.log(size / total) + (mean - units) / total).sum())
        curvature = counts @ zeta(2, distinct + size) - len(units) * zeta(2, size)
        curvature += float((mean / (size * total) + (units - mean) / total**2).sum())
        concavity = size * slope + size**2 * curvature  # derivatives by the log size
        if concavity >= 0:
            break
        step = -size * slope / concavity
        size *= float(np.exp(np.clip(step, -LONGEST_JUMP, LONGEST_JUMP)))
        if abs(np.log(size / start)) > LONGEST_JUMP:
            break
        if abs(step) < SIZE_TOLERANCE:
            return size

    def negative_log_likelihood(log_size: float) -> float:
        size = float(np.exp(log_size))
        gammas = counts @ gammaln(distinct + size) - len(units) * gammaln(size)
        return float((size + units) @ np.log1p(mean / size) + log_size * units.sum() - gammas)

    low, high = np.log(SIZE_RANGE)
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(low, high), method="bounded").x))


def _log_likelihood(units: FloatArray, mean: FloatArray, size: float) -> float:
    """Return the log likelihood without the term of ``units`` alone; an infinite size is Poisson."""
    if not np.isfinite(size):
        return float((units * np.log(mean) - mean).sum())
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
