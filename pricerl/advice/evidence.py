"""What an advice is held against beside its own market: the log alone, and causes that no column tells."""

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
)

ENTANGLED = 0.97
"""A cause that explains more of the price leaves too little to tell the two apart. Where the price changes twice a
month the season explains a half to three quarters, with a change every two months 0.9."""


@dataclass(frozen=True)
class HiddenConfounding:
    """One product's changes of price against causes that no column tells."""

    dynamics: Dynamics
    product: int
    config: DecisionConfig

    @cached_property
    def shop(self) -> Shop:
        """The product's history with its market."""
        market = self.dynamics.market
        history, fitted = market.preprocessor.products[self.product], market.products[self.product]
        return Shop(history, fitted, self.dynamics.guardrails.of(history.product))

    @cached_property
    def causes(self) -> Causes:
        """What the history shows beside the price."""
        return observe_causes(self.shop.history)

    @property
    def entangled_with(self) -> str:
        """The cause that explains nearly all of the price that the other causes leave, if one does."""
        if np.ptp(self.shop.history.price[self.shop.history.observed]) == 0:
            return ""
        found = max(self.causes.observed, key=lambda cause: cause.price_share, default=None)
        return "" if found is None or found.price_share < ENTANGLED else found.name

    def find_sensitivity(self, price: float) -> Sensitivity | None:
        """How strong a hidden cause would have to be to undo a change to ``price``, money."""
        return find_sensitivity(self.shop, price, self.config.min_chance, self.causes)

    def overturned_by(self, price: float) -> str:
        """The strongest observed cause, if a hidden one of the configured strength would; else nothing."""
        found = self.find_sensitivity(price)
        if found is None or found.strength is None or found.strength >= self.config.hidden_strength:
            return ""
        return found.strongest


def off_policy_estimates(dynamics: Dynamics, product: int, settled: float, seed: int) -> dict[str, OffPolicyValue]:
    """Estimate from the log alone what the price ``settled`` earns, and the current price.

    Args:
        dynamics: the market.
        product: product index.
        settled: money.
        seed: of the bootstrap, the same for both.
    """
    market = dynamics.market
    history, fitted = market.preprocessor.products[product], market.products[product]
    prices = {"settled": settled, "now": float(history.price[-1])}
    return {
        name: estimate_off_policy(history, fitted, price, np.random.default_rng([seed, product]))
        for name, price in prices.items()
    }
