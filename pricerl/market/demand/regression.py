"""Negative-binomial regression of daily units on price and covariates.

``units_t ~ NegativeBinomial(mean lambda_t, size r)`` with ``log lambda_t = a + b x + q x^2 + covariates``, where ``x``
is the log price over its median. The posterior of the coefficients is a Gaussian around its mode (Laplace), truncated
so that the curve's slopes are negative (Gelfand, Smith and Lee 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, ndtr, ndtri

from pricerl.arrays import FloatArray

MAX_SLOPE = -0.05
"""Flattest elasticity of a curve on its support: demand must decrease with the price."""

SCORING_STEPS = 50
TOLERANCE = 1e-8
LARGEST_STEP = 2.0
"""Largest change of a coefficient in one step of Fisher scoring."""

SIZE_RANGE = (0.3, 1e4)
"""Smallest and largest negative-binomial size, from strong overdispersion to Poisson."""
SIZE_ROUNDS = 4

GIBBS_SWEEPS = 30
LOG_MEAN_RANGE = (-30.0, 30.0)


@dataclass(frozen=True)
class Prior:
    """Independent Gaussians, ``(C,)`` each; an infinite sd leaves a coefficient free."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True)
class RegressionPosterior:
    """Gaussian posterior of ``C`` coefficients."""

    mode: FloatArray
    """``(C,)`` maximum of the posterior, before the truncation."""
    covariance: FloatArray
    """``(C, C)`` inverse of the expected information at the mode, prior included."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""
    log_mean: FloatArray
    """``(D,)`` fitted log mean of every day."""
    log_evidence: float
    """Log marginal likelihood, up to a constant that only depends on the days (Laplace; Tierney and Kadane 1986)."""

    def without_prior(self, columns: Sequence[int], prior: Prior, loose_sd: float) -> RegressionPosterior:
        """Return the posterior with the priors of some coefficients replaced by ones of sd ``loose_sd``, same mean."""
        chosen = list(columns)
        precision = np.linalg.inv(self.covariance)
        moved = precision @ self.mode
        change = 1 / loose_sd**2 - 1 / prior.sd[chosen] ** 2
        precision[chosen, chosen] += change
        moved[chosen] += change * prior.mean[chosen]
        covariance = np.linalg.inv(precision)
        return replace(self, mode=covariance @ moved, covariance=covariance)

    def given_zero(self, columns: slice) -> RegressionPosterior:
        """Return the posterior given that the coefficients of ``columns`` are 0, without these columns."""
        out = np.arange(len(self.mode))[columns]
        kept = np.setdiff1d(np.arange(len(self.mode)), out)
        gain = np.linalg.solve(self.covariance[np.ix_(out, out)], self.covariance[np.ix_(out, kept)]).T
        return replace(
            self,
            mode=self.mode[kept] - gain @ self.mode[out],
            covariance=self.covariance[np.ix_(kept, kept)] - gain @ self.covariance[np.ix_(out, kept)],
        )

    def log_odds_of_zero(self, columns: slice, prior_sd: FloatArray) -> float:
        """Return the log Bayes factor for coefficients of 0 in ``columns`` against their prior around 0.

        It is the density ratio of posterior over prior at 0 (Savage-Dickey; Dickey 1971).
        """
        mode, covariance = self.mode[columns], self.covariance[columns, columns]
        posterior = -0.5 * (mode @ np.linalg.solve(covariance, mode) + np.linalg.slogdet(covariance)[1])
        return float(posterior + np.log(prior_sd).sum())

    def dispersion(self, units: FloatArray) -> float:
        """Return Pearson's variance over mean of ``units (D,)``, at least 1."""
        mean = np.exp(self.log_mean)
        return max(1.0, float(((units - mean) ** 2 / mean).mean()))


def fit_regression(
    units: FloatArray, design: FloatArray, prior: Prior, size: float | None = None
) -> RegressionPosterior:
    """Find the mode by Fisher scoring, alternating with the maximum-likelihood size.

    Args:
        units: ``(D,)`` not negative.
        design: ``(D, C)``.
        prior: prior of the coefficients.
        size: negative-binomial size, if known.

    Returns:
        The posterior.
    """
    precision = 1.0 / np.square(prior.sd)
    coefficients = np.where(np.isfinite(prior.sd), prior.mean, 0.0)
    coefficients[0] = np.log(max(float(units.mean()), 1e-3)) - float(design[:, 1:].mean(0) @ coefficients[1:])
    current = SIZE_RANGE[1] if size is None else size
    for _ in range(SIZE_ROUNDS if size is None else 1):
        coefficients, information = _find_mode(units, design, prior.mean, precision, coefficients, current)
        log_mean = _log_mean(design, coefficients)
        if size is None:
            current = likeliest_size(units, np.exp(log_mean))
    evidence = log_likelihood(units, np.exp(log_mean), current) + _log_prior_over_posterior(
        coefficients, information, prior
    )
    return RegressionPosterior(coefficients, np.asarray(np.linalg.inv(information)), current, log_mean, evidence)


def likeliest_size(units: FloatArray, mean: FloatArray) -> float:
    """Return the maximum-likelihood negative-binomial size of ``units (D,)`` around ``mean (D,)``."""

    def negative_log_likelihood(log_size: float) -> float:
        return -log_likelihood(units, mean, float(np.exp(log_size)))

    low, high = np.log(SIZE_RANGE)
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(low, high), method="bounded").x))


def log_likelihood(units: FloatArray, mean: FloatArray, size: float) -> float:
    """Return the log likelihood of ``units (D,)`` around ``mean (D,)``, without the term of ``units`` alone."""
    if not np.isfinite(size):
        return float((units * np.log(mean) - mean).sum())
    share = np.log1p(mean / size)
    return float((gammaln(units + size) - gammaln(size) - size * share + units * (np.log(mean / size) - share)).sum())


def _log_prior_over_posterior(mode: FloatArray, information: FloatArray, prior: Prior) -> float:
    """Return the log ratio of prior to posterior density at the mode; free coefficients have a prior density of 1."""
    proper = np.isfinite(prior.sd)
    standardized = (mode[proper] - prior.mean[proper]) / prior.sd[proper]
    log_prior = -0.5 * (standardized @ standardized) - np.log(prior.sd[proper]).sum()
    return float(log_prior - 0.5 * np.linalg.slogdet(information)[1])


def draw_falling(
    posterior: RegressionPosterior, slopes: FloatArray, num_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw coefficients ``(K, C)`` whose two slopes are below ``MAX_SLOPE``.

    The slopes come from their truncated bivariate Gaussian by Gibbs sampling, the other coefficients given the slopes.

    Args:
        posterior: posterior of the coefficients.
        slopes: ``(2, C)`` the curve's slope at both ends of the support, as weights of the coefficients.
        num_draws: K.
        rng: random number generator.
    """
    mean = slopes @ posterior.mode
    covariance = slopes @ posterior.covariance @ slopes.T
    drawn = _truncated_pair(mean, covariance, num_draws, rng)
    free = rng.multivariate_normal(posterior.mode, posterior.covariance, size=num_draws, method="eigh")
    gain = np.linalg.solve(covariance, slopes @ posterior.covariance)
    return np.asarray(free + (drawn - free @ slopes.T) @ gain)


def _find_mode(
    units: FloatArray, design: FloatArray, mean: FloatArray, precision: FloatArray, start: FloatArray, size: float
) -> tuple[FloatArray, FloatArray]:
    """Return the mode ``(C,)`` and the expected information ``(C, C)`` at it."""
    coefficients = start
    anchor = np.where(precision > 0, mean, 0.0)
    for _ in range(SCORING_STEPS):
        expected = np.exp(_log_mean(design, coefficients))
        weight = expected / (1 + expected / size)
        residual = (units - expected) / (1 + expected / size)
        information = (design.T * weight) @ design + np.diag(precision)
        gradient = design.T @ residual - precision * (coefficients - anchor)
        step = np.clip(np.linalg.solve(information, gradient), -LARGEST_STEP, LARGEST_STEP)
        coefficients = coefficients + step
        if np.abs(step).max() < TOLERANCE:
            break
    return coefficients, information


def _log_mean(design: FloatArray, coefficients: FloatArray) -> FloatArray:
    return np.asarray(np.clip(design @ coefficients, *LOG_MEAN_RANGE))


def _truncated_pair(mean: FloatArray, covariance: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw from a bivariate Gaussian with both coordinates below ``MAX_SLOPE``, ``(K, 2)``."""
    drawn = np.minimum(np.broadcast_to(mean, (count, 2)), MAX_SLOPE).copy()
    for _ in range(GIBBS_SWEEPS):
        for one, other in ((0, 1), (1, 0)):
            slope = covariance[one, other] / covariance[other, other]
            sd = np.sqrt(max(covariance[one, one] - slope * covariance[one, other], 1e-12))
            centre = mean[one] + slope * (drawn[:, other] - mean[other])
            reach = ndtr((MAX_SLOPE - centre) / sd)
            drawn[:, one] = np.minimum(centre + sd * ndtri(np.maximum(rng.random(count) * reach, 1e-300)), MAX_SLOPE)
    return drawn
