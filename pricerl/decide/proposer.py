"""Choice of the proposer of a product's path: the planner, unless the learned policy earns more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pricerl.decide.case import Case, Course, PolicyOverPlan, Proposed
from pricerl.decide.decision import Decision
from pricerl.decide.price_path import GatedPath, PricePath, plan_paths, propose_path
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.plan_benchmark import Comparison, PlanBenchmark
from pricerl.evaluation.rollout import Policy, WatchedPolicy


@dataclass(frozen=True)
class Proposer:
    """Learned policy and plan of every product."""

    policy: Policy
    dynamics: Dynamics
    benchmark: PlanBenchmark | None
    """Plan with its rewards; None if only the policy may propose."""

    @cached_property
    def comparison(self) -> Comparison | None:
        """Policy minus plan, per product."""
        return None if self.benchmark is None else self.benchmark.compare(self.policy)

    @cached_property
    def _planned(self) -> dict[int, list[PricePath]]:
        """Planned paths of all products by horizon, made in one batch when the first one is needed."""
        return {}

    def propose(self, product: Product, horizon: int) -> Proposed:
        """Return who proposes a product's path over a horizon, rows, and the path."""
        over_plan = self._over_plan(product.index)
        if self.benchmark is None or self.comparison is None or self.comparison.is_better[product.index]:
            watched = WatchedPolicy(self.policy)
            path = propose_path(watched, product, horizon)
            failed = watched.failed is not None and bool(watched.failed.any())
            if self.benchmark is None or not failed:
                return Proposed("policy", path, failed, over_plan)
        if horizon not in self._planned:
            products = range(self.dynamics.market.num_products)
            self._planned[horizon] = plan_paths(self.benchmark.plan, products, horizon)
        return Proposed("planner", self._planned[horizon][product.index], False, over_plan)

    def _over_plan(self, product: int) -> PolicyOverPlan | None:
        """Return the policy's advantage over the plan; None if only the policy may propose."""
        if self.comparison is None:
            return None
        share = self.dynamics.reward.profit_share
        advantage, error = (float(values[product]) * (share or 1.0) for values in self.comparison)
        unit: Literal["share", "reward"] = "share" if share else "reward"
        if not math.isfinite(advantage):
            return PolicyOverPlan(None, None, unit)
        return PolicyOverPlan(advantage, error, unit)


def propose(case: Case) -> Course:
    """Return the course that planner or policy proposes."""
    found = case.propose(case.product, case.horizon)
    decision = Decision("path", "C", found.by, False, f"the {found.by} proposes it", proposed_by=found.by)
    return Course(decision, found, found.path, found.path, GatedPath(tuple(found.path.price.tolist()), None, ()))
