"""Data of the demand regression: response, price and covariates of one product."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.days import WEEK
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import Prior

WEEKDAY = "weekday"
"""Name of the seven weekday covariates."""
REFERENCE = "reference"
"""Name of the two reference-price covariates."""
FEWEST_ALIKE = 3
"""Minimum number of days for a group to have its own median."""


class Covariate(NamedTuple):
    """One column of the regression; its coefficient is the change of log units per unit of the covariate."""

    name: str
    values: FloatArray
    """``(D,)`` on every day of the history."""
    ahead: float
    """Value on an average weekday of the forecast horizon."""
    mean: float
    """Prior mean of the coefficient."""
    sd: float
    """Prior sd of the coefficient."""


@dataclass(frozen=True)
class RegressionData:
    """Response, price and covariates of one product on ``D`` days, newest last."""

    log_price: FloatArray
    """``(D,)`` log money."""
    regular: FloatArray
    """``(D,)`` log regular price, money; without promotions the log price."""
    units: FloatArray
    """``(D,)`` units sold."""
    age: FloatArray
    """``(D,)`` days before the end of history."""
    covariates: FloatArray
    """``(D, C)`` covariates of demand."""
    ahead: FloatArray
    """``(C,)`` the covariates on an average weekday of the forecast horizon."""
    prior: Prior
    """Prior of their coefficients."""
    names: tuple[str, ...]
    """``(C,)`` name of each column; several columns may share one."""
    optional: tuple[str, ...]
    """Names of the last columns, the optional covariates."""
    step_days: int = 1
    """Days from row to row."""

    def keep(self, mask: BoolArray) -> RegressionData:
        """Return the days selected by ``mask``."""
        daily = ("log_price", "regular", "units", "age", "covariates")
        return replace(self, **{name: getattr(self, name)[mask] for name in daily})

    @property
    def has_reference(self) -> bool:
        """Whether reference prices are among the covariates."""
        return REFERENCE in self.names

    @property
    def reference(self) -> slice:
        """Columns of the reference price: minus the rise above it, and the same again on days above it."""
        first = self.names.index(REFERENCE)
        return slice(first, first + 2)

    def without_reference(self) -> RegressionData:
        """Return the data without a reference-price effect."""
        kept = [column for column, name in enumerate(self.names) if name != REFERENCE]
        return replace(
            self,
            covariates=self.covariates[:, kept],
            ahead=self.ahead[kept],
            prior=Prior(self.prior.mean[kept], self.prior.sd[kept]),
            names=tuple(self.names[column] for column in kept),
        )

    @property
    def design(self) -> FloatArray:
        """Columns 1, log price, squared log regular price and the covariates, ``(D, 3 + C)``, prices over a median."""
        centre = np.median(self.regular)
        x = self.log_price - centre
        regular = self.regular - centre
        return np.column_stack([np.ones_like(x), x, regular**2, self.covariates])

    def past_multiplier(self, elasticity: float, coefficients: FloatArray) -> FloatArray:
        """Return the ratio of each day's demand to that ahead due to promotions and the other optional covariates.

        Args:
            elasticity: response to a discount from the regular price, in addition to the promotions' own.
            coefficients: ``(C,)``.

        Returns:
            ``(D,)``.
        """
        optional = slice(self.covariates.shape[1] - len(self.optional), None)
        log_ratio = (self.covariates[:, optional] - self.ahead[optional]) @ coefficients[optional]
        return np.asarray(np.exp(log_ratio + elasticity * (self.log_price - self.regular)))

    def weekday_factors(self, coefficients: FloatArray) -> FloatArray:
        """Return demand of each weekday over the average, ``(7,)``, from the coefficients ``(C,)``; 1 for weeks."""
        if WEEKDAY not in self.names:
            return np.ones(WEEK)
        factors = np.exp(coefficients[:WEEK])
        return np.asarray(factors / factors.mean())

    def price_memory(self, coefficients: FloatArray) -> PriceMemory:
        """Return the reference-price effect from draws of the coefficients ``(K, C)``."""
        gain, further = np.maximum(coefficients[:, self.reference], 0).T
        return PriceMemory(gain, gain + further, self.step_days)

    def groups(self) -> IntArray:
        """Return the group of each day ``(D,)`` by its optional flags; small groups join the largest one."""
        last = self.covariates[:, self.covariates.shape[1] - len(self.optional) :]
        flags = last[:, ((last == 0) | (last == 1)).all(0)].astype(np.int64)
        group = flags @ 2 ** np.arange(flags.shape[1])
        count = np.bincount(group)
        return np.where(count[group] < FEWEST_ALIKE, count.argmax(), group)

    def effects(self, coefficients: FloatArray) -> dict[str, float]:
        """Return the coefficients of the optional covariates by name, from those of all ``(C,)``."""
        last = coefficients[len(coefficients) - len(self.optional) :].tolist()
        return dict(zip(self.optional, last, strict=True))
