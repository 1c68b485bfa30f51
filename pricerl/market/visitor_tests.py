"""Tests that a shop made elsewhere: visitors saw one of several prices at random, and some ordered."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from pricerl.arrays import Day, FloatArray
from pricerl.entry_parts import Hash, LogEntry, Money, Part

Number = Annotated[float, msgspec.Meta(ge=0)]

ELASTICITIES = np.linspace(-40.0, 40.0, 3201)
"""Elasticities of which the likelihood is computed."""
NORMAL = 1.96
"""Normal quantile of 95 % limits."""


class VisitorTest(Part):
    """Visitors and orders by price; lists have one number per price."""

    prices: list[Money]
    """Ascending."""
    visitors: list[Number]
    orders: list[Number]
    expected: list[Number]
    """Orders that would be expected at each price if buyers did not respond to it."""
    weight: Number
    """Factor of the Poisson log likelihood: below 1 if the orders of single days vary by more than chance."""
    first_day: str
    """First day of the test, ISO format; empty if unknown."""
    last_day: Day
    """Last one, or the day on which the test was added."""

    def replaces(self, earlier: VisitorTest) -> bool:
        """Return whether this is an earlier test again, perhaps with more days: of the same prices, at its time."""
        return (
            self.prices == earlier.prices and self.first_day <= earlier.last_day and earlier.first_day <= self.last_day
        )

    def log_likelihood(self, log_demand: FloatArray) -> FloatArray:
        """Return the log likelihood ``(M,)`` of log demand ``(M, A)`` at the prices, the level profiled out."""
        return np.asarray(
            self.weight * (log_demand @ self.orders - sum(self.orders) * np.log(np.exp(log_demand) @ self.expected))
        )

    @property
    def precision(self) -> float:
        """Fisher information about the elasticity."""
        return float(self.weight * sum(self.orders) * np.cov(np.log(self.prices), ddof=0, aweights=self.expected))

    @property
    def elasticity(self) -> tuple[float, float, float]:
        """Likeliest elasticity with its 95 % limits, from the likelihood alone."""
        fit = self.log_likelihood(np.outer(ELASTICITIES, np.log(np.array(self.prices) / self.prices[0])))
        inside = ELASTICITIES[fit >= fit.max() - NORMAL**2 / 2]
        return float(ELASTICITIES[fit.argmax()]), float(inside[0]), float(inside[-1])

    @property
    def proven(self) -> bool:
        """Whether fewer bought at a higher price, by more than chance."""
        return self.elasticity[2] < 0

    @property
    def words(self) -> str:
        """The result, as a clause."""
        likeliest, low, high = (f"{-item:.1f}".replace("-", "−") for item in self.elasticity)
        says = "that a price 1 % higher costs" if self.proven else "nothing certain: a price 1 % higher may cost"
        return (
            f"your test of {' and '.join(f'{price:.10g}' for price in self.prices)} with {sum(self.visitors):,.0f} "
            f"visitors says {says} {likeliest} % of orders (95 %: {high} to {low})"
        )


class VisitorTestEntry(LogEntry, tag="visitor_test", kw_only=True):
    """Test of a product's prices that the shop made elsewhere."""

    product: str
    file: Hash
    """Hash of its file, which counts once."""
    test: VisitorTest
