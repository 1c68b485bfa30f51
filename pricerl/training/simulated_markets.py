"""Training data of many simulated sellers, from which the network that ships has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import Tensor

from pricerl.simulation.seller import MOST_PRODUCTS
from pricerl.training.algorithm import Algorithm
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.pricing_data import PricingDataModule

UNSEEN = 100
"""Sellers on which the network that ships is scored."""
CLOSE = 0.005
"""Largest loss against the plan of a seller whom the policy serves, as a share of profit at the current price."""


class SimulatedMarkets(PricingDataModule):
    """Many simulated sellers, on whose markets the network that ships is trained; it is scored on `UNSEEN` others."""

    monitor = "served"
    advises = False
    most_trained = MOST_PRODUCTS

    @cached_property
    def unseen(self) -> PricingDataModule:
        """Data of sellers that the policy never sees in training."""
        others = replace(self.seller, products=UNSEEN, seed=self.seller.seed + 1)
        return PricingDataModule(**{**self.settings, "seller": others}, seed=self.seed)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Compare the policy with the plans of unseen sellers: the gain, and whether it is within `CLOSE` of it."""
        unit = self.reward.resolved().profit_share
        gain = unit * self.unseen.benchmark(learner.step_discount).compare(learner.policy).advantage[rank::num_ranks]
        return {"over_plan": gain, "served": (gain >= -CLOSE).float()}

    def state_dict(self) -> dict[str, Any]:
        """Return the counters; the sellers are simulated again."""
        return ReplayDataModule.state_dict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters."""
        ReplayDataModule.load_state_dict(self, state_dict)
