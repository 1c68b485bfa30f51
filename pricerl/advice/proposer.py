"""Choice of the proposer of a product's path: the planner, unless the learned policy earns more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from pricerl.advice.decision import Speaker
from pricerl.advice.price_path import PricePath, plan_paths, propose_path
from pricerl.advice.result import PolicyOverPlan
from pricerl.env import Dynamics
from pricerl.evaluation import Comparison, Policy, Yardstick
from pricerl.evaluation.rollout import WatchedPolicy


class Proposed(NamedTuple):
    """Path of one product with its proposer."""

    speaker: Speaker
    path: PricePath
    failed: bool = False
    """Whether the policy returned NaN or infinity, and there is no plan to take its place."""


@dataclass(frozen=True)
class Proposer:
    """Learned policy and plan of every product."""

    policy: Policy
    dynamics: Dynamics
    yardstick: Yardstick | None
    """Plan with its rewards; None if only the policy may propose."""

    @cached_property
    def comparison(self) -> Comparison | None:
        """Policy minus plan, per product."""
        return None if self.yardstick is None else self.yardstick.compare(self.policy)

    @cached_property
    def _planned(self) -> dict[int, list[PricePath]]:
        """Planned paths of all products by horizon, made in one batch when the first one is needed."""
        return {}

    def propose(self, product: int, horizon: int) -> Proposed:
        """Return who proposes a product's path over a horizon, days, and the path."""
        if self.yardstick is None or self.comparison is None or self.comparison.is_better[product]:
            watched = WatchedPolicy(self.policy)
            path = propose_path(watched, self.dynamics, product, horizon)
            failed = watched.failed is not None and bool(watched.failed.any())
            if self.yardstick is None or not failed:
                return Proposed("policy", path, failed)
        if horizon not in self._planned:
            products = range(self.dynamics.market.num_products)
            self._planned[horizon] = plan_paths(self.yardstick.plan, products, horizon)
        return Proposed("planner", self._planned[horizon][product])

    def over_plan(self, product: int) -> PolicyOverPlan | None:
        """Return the policy's advantage over the plan; None if only the policy may propose."""
        if self.comparison is None:
            return None
        share = self.dynamics.reward.profit_share
        advantage, error = (float(values[product]) * (share or 1.0) for values in self.comparison)
        unit: Literal["share", "reward"] = "share" if share else "reward"
        if not math.isfinite(advantage):
            return PolicyOverPlan(None, None, unit)
        return PolicyOverPlan(advantage, error, unit)
