"""Checks of an advice against its own log: off-policy estimates, and sensitivity to unobserved confounders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pricerl.advice.decision import DecisionConfig
from pricerl.env import Dynamics
from pricerl.evaluation import (
    Causes,
    OffPolicyValue,
    Sensitivity,
    Shop,
    estimate_off_policy,
    find_sensitivity,
    observe_causes,
    open_shop,
)

ENTANGLED = 0.97
"""A cause that explains a larger share of the price leaves too little to separate their effects. Where the price
changes twice per month the season explains a half to three quarters, with a change every two months 0.9."""


@dataclass(frozen=True)
class HiddenConfounding:
    """One product's price changes against unobserved confounders."""

    dynamics: Dynamics
    product: int
    config: DecisionConfig

    @cached_property
    def shop(self) -> Shop:
        """The product's history with its market."""
        return open_shop(self.dynamics, self.product, self.config.min_chance)

    @cached_property
    def causes(self) -> Causes:
        """Causes that the history contains, apart from the price."""
        return observe_causes(self.shop.history)

    @property
    def entangled_with(self) -> str:
        """The cause that explains nearly all of the price's variance left by the other causes, if one does."""
        if np.ptp(self.shop.history.price[self.shop.history.observed]) == 0:
            return ""
        found = max(self.causes.observed, key=lambda cause: cause.price_share, default=None)
        return "" if found is None or found.price_share < ENTANGLED else found.name

    def find_sensitivity(self, price: float) -> Sensitivity | None:
        """Return how strong a confounder must be to overturn a change to ``price``, money."""
        return find_sensitivity(self.shop, price, self.config.min_chance, self.causes)

    def overturned_by(self, price: float) -> str:
        """Return the strongest observed cause, if a confounder of the configured strength overturns the change."""
        found = self.find_sensitivity(price)
        if found is None or found.strength is None or found.strength >= self.config.hidden_strength:
            return ""
        return found.strongest


def off_policy_estimates(dynamics: Dynamics, product: int, settled: float, seed: int) -> dict[str, OffPolicyValue]:
    """Estimate from the log the value of the price ``settled`` and of the ``current`` price.

    Args:
        dynamics: the market.
        product: product index.
        settled: money.
        seed: of the bootstrap, the same for both.
    """
    market = dynamics.market
    history, fitted = market.preprocessor.products[product], market.products[product]
    prices = {"settled": settled, "current": float(history.price[-1])}
    return {
        name: estimate_off_policy(history, fitted, price, np.random.default_rng([seed, product]))
        for name, price in prices.items()
    }
