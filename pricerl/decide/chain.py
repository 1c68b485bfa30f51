"""The chain that sets a product's price: a list of deciders, each of which may replace what those before it decided.

Policy or planner proposes a path: the learned policy, unless it earns less than the plan. A new decider is a function
``(case, course so far) -> course``, or None to leave it, and one line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch

from pricerl.decide.case import Case, Course, PolicyOverPlan, Proposed
from pricerl.decide.decision import Decision, DecisionConfig
from pricerl.decide.evidence import aim_for_quarter, follow_measured_pair, weigh_evidence
from pricerl.decide.final_check import pass_gate_last, publish
from pricerl.decide.overruled import keep_relations, obey_order, stop_model
from pricerl.decide.price_path import GatedPath, approach_path, plan_paths, policy_paths, propose_path
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.stock.product import StockedProduct
from pricerl.planner.plan_benchmark import Comparison, PlanBenchmark
from pricerl.planner.rollout import Policy, WatchedPolicy
from pricerl.reasons import Reason

Decider = Callable[[Case, Course], Course | None]

DECIDERS: tuple[Decider, ...] = (
    follow_measured_pair,  # from the worse price of a decided price test to the better one
    aim_for_quarter,  # to the price within reach that is worth the most in a quarter
    weigh_evidence,  # there if that can be claimed, one careful step towards it, or the current price
    publish,  # as it passes the gate, if it pays in that form
    stop_model,  # the kill switch
    obey_order,  # override, price test and pause
    keep_relations,  # to the prices of other products
    pass_gate_last,  # nothing leaves that the limits forbid
)
"""Deciders in rising order of authority, after the proposal."""


def decide_price(case: Case) -> Course:
    """Return what the deciders make of the path that planner or policy proposes for a product's next days."""
    found = case.propose(case.product, case.horizon) if case.stocked is None else _plan_stock(case, case.stocked)
    decision = Decision("path", "C", found.by, False, (Reason("proposed", {"by": found.by}),), proposed_by=found.by)
    prices = tuple(found.path.price.tolist())
    course = Course(decision, found, found.path, found.by, found.path, GatedPath(prices, None, ()))
    for decider in DECIDERS:
        course = decider(case, course) or course
    return course


def _plan_stock(case: Case, stocked: StockedProduct) -> Proposed:
    """Return the planner's path for a shelf that may empty; it begins when the minimum hold of the last change ends."""
    held = approach_path(case.product.current_price, case.product, case.horizon)
    price = stocked.path(case.horizon, held.limits.wait)
    stocked.value(torch.stack([price, case.kept]))  # at once, since both are needed
    return Proposed(
        "policy" if stocked.by_policy else "planner", held._replace(price=price, low=price, high=price, asked=price)
    )


@dataclass(frozen=True)
class Proposer:
    """Learned policy and plan of every product.

    The policy proposes unless it earns less than the plan by more than ``margin``, a share of the measure at the
    current price.
    """

    policy: Policy
    dynamics: Dynamics
    benchmark: PlanBenchmark | None
    """Plan with its rewards, or None if only the policy may propose."""
    margin: float = DecisionConfig.policy_margin

    @cached_property
    def comparison(self) -> Comparison | None:
        """Policy minus plan, per product."""
        return None if self.benchmark is None else self.benchmark.compare(self.policy)

    def propose(self, product: Product, horizon: int) -> Proposed:
        """Return who proposes a product's path over a horizon, rows, and the path."""
        over_plan = None
        behind = False
        if self.comparison is not None:
            share = self.dynamics.reward.profit_share
            advantage, error = (float(values[product.index]) * share for values in self.comparison)
            behind = not advantage - 2 * error > -self.margin
            over_plan = PolicyOverPlan(advantage, error) if math.isfinite(advantage) else PolicyOverPlan(None, None)
        if self.benchmark is None:
            watched = WatchedPolicy(self.policy)
            path = propose_path(watched, product, horizon)
            return Proposed("policy", path, bool(watched.failed.any()))
        if not behind:
            path = policy_paths(self.policy, self.dynamics, horizon)[product.index]
            if bool(path.asked.isfinite().all()):
                by_draw = partial(propose_path, self.policy, product, horizon)
                return Proposed("policy", path, False, over_plan, by_draw)
        return Proposed("planner", plan_paths(self.benchmark.plan, horizon)[product.index], False, over_plan)
