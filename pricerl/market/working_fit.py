"""Demand regression at its mode as weighted least squares, for tests that refit nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.history import ProductHistory
from pricerl.market.demand.averaging import fit_demand_regression
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import (
    BIAS,
    DEAL_DEPTH_NAME,
    OVERLOOKED,
    REFERENCE,
    RegressionData,
    gather_covariates,
)
from pricerl.market.demand.regression import RegressionPosterior
from pricerl.market.level import Motion, covariance_of_levels

OWN_PRICES = (REFERENCE, BIAS, DEAL_DEPTH_NAME, "stock_at_home", OVERLOOKED)
"""Covariates that are made of the seller's own prices, so that they are no cause of the price."""
ENTANGLED = 0.97
"""Largest share of the price that a cause may explain for their effects to be separable. The season explains 0.5 to
0.75 of a price that changes twice per month, and 0.9 of one that changes every two months."""
SEASON = "season"
"""Name of slow changes of demand as a cause: a broken line that turns every ``SEASON_DAYS``."""
SEASON_DAYS = 21.0
MOST_TURNS = 60
"""Most turns of that line, evenly spaced."""


@dataclass(frozen=True, eq=False)
class WorkingFit:
    """Demand regression at its mode, as a weighted least-squares fit of its working response."""

    days: RegressionData
    """``D`` days without outliers, with the observed causes alone as covariates."""
    mean: FloatArray
    """``(D,)`` fitted units."""
    size: float
    """Negative-binomial size of the units."""
    shock: FloatArray
    """``(D,)`` log level of each day by shocks that last for days."""
    level: FloatArray
    """``(D,)`` log level of each day by shocks and slow changes."""
    motion: Motion
    """Likeliest motion of these levels."""

    @classmethod
    def of(cls, days: RegressionData, posterior: RegressionPosterior) -> WorkingFit:
        """Return the fit of a regression to its days."""
        return cls(
            days=days.without(*OWN_PRICES),
            mean=np.exp(posterior.log_mean),
            size=posterior.size,
            shock=posterior.shock[days.row],
            level=posterior.level[days.row],
            motion=posterior.motions[0],
        )

    @property
    def weight(self) -> FloatArray:
        """``(D,)`` Fisher information of a day on its log mean."""
        return np.asarray(self.mean / (1 + self.mean / self.size))

    @cached_property
    def levels(self) -> FloatArray:
        """``(D, D)`` prior covariance of the levels."""
        return covariance_of_levels(self.motion, self.days.row, self.days.rows)

    @property
    def causes(self) -> tuple[list[str], FloatArray]:
        """Names of the observed causes, and their columns with a constant as the last, ``(D, C + 1)``."""
        oldest = max(float(self.days.age.max()), SEASON_DAYS)
        places = np.linspace(0.0, oldest, min(int(np.ceil(oldest / SEASON_DAYS)), MOST_TURNS) + 1)
        season = np.stack([np.interp(self.days.age, places, alone) for alone in np.eye(len(places))], axis=1)
        columns = np.column_stack([self.days.covariates, season, np.ones(len(self.mean))])
        return [*self.days.names, *[SEASON] * len(places)], columns

    @cached_property
    def slope(self) -> tuple[float, float]:
        """Elasticity to the price as charged, without a prior, and its standard error; infinite at a single price."""
        response = np.log(self.mean) + self.days.units / self.mean - 1
        columns = [self.days.covariates, np.ones(len(self.mean)), self.days.log_price, response]
        *causes, price, sold = self.whiten(np.column_stack(columns)).T
        own = left_over(price, span(np.stack(causes, 1)))
        information = float(own @ own) if np.ptp(self.days.log_price) else 0.0
        return (float(own @ sold) / information, information**-0.5) if information else (0.0, float("inf"))

    def whiten(self, columns: FloatArray) -> FloatArray:
        """Return columns ``(D,)`` or ``(D, N)`` so combined that errors of the working response are independent."""
        return np.asarray(solve_triangular(self._factor, columns, lower=True, check_finite=False))

    @cached_property
    def _factor(self) -> FloatArray:
        return np.asarray(np.linalg.cholesky(self.levels + np.diag(1 / self.weight)))


def fit_demand(history: ProductHistory, known: WorkingFit | None = None) -> WorkingFit:
    """Return the regression that a product's market knows, or else fit one to the observed days of its history.

    It is a copy, as a fit keeps its ``(D, D)`` matrices, and a market the fits of all its products.
    """
    if known is not None:
        return replace(known)
    return WorkingFit.of(*fit_demand_regression(gather_covariates(history).keep(history.observed), DemandSettings()))


def find_price_shares(fit: WorkingFit) -> dict[str, float]:
    """Return the partial R2 of the log price of each observed cause, given the others, by name.

    It is ``1 - residual variance given all causes / given the others``, each over its degrees of freedom.
    """
    names, causes = fit.causes
    columns = np.column_stack([causes, fit.days.log_price])
    # its triangular factor leaves the same residuals in as many rows as columns
    rows = np.linalg.qr(np.sqrt(fit.weight)[:, None] * columns)[1]
    left = _unexplained(rows, np.ones(len(names) + 1, bool), len(columns))
    shares = {}
    for name in dict.fromkeys(names):
        without = _unexplained(rows, np.array([item != name for item in [*names, "constant"]]), len(columns))
        shares[name] = 1 - left / without if without > 0 else 0.0
    return shares


def find_entangled(fit: WorkingFit) -> str:
    """Return the cause that explains nearly all of the price that the others leave; empty if there is none."""
    shares = find_price_shares(fit)
    return max((name for name, share in shares.items() if share >= ENTANGLED), key=shares.__getitem__, default="")


def _unexplained(rows: FloatArray, given: BoolArray, days: int) -> float:
    """Return the residual variance of the last column of weighted rows, given some of the others ``(C,)``."""
    basis = span(rows[:, :-1][:, given])
    return float(np.square(left_over(rows[:, -1], basis)).sum() / max(days - basis.shape[1], 1))


def span(design: FloatArray) -> FloatArray:
    """Return orthonormal columns ``(D, R)`` that span the columns of a design ``(D, C)``, without collinear ones."""
    basis, singular, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(basis[:, singular > 1e-8 * singular[0]])


def left_over(values: FloatArray, basis: FloatArray) -> FloatArray:
    """Return what an orthonormal basis ``(D, R)`` leaves of ``values (D,)`` or ``(D, N)``."""
    return np.asarray(values - basis @ (basis.T @ values))
