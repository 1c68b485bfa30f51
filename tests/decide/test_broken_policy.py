"""A policy that returns NaN or infinity is an error: it never looks like one that keeps the price."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from advising import advise_on, moving
from torch import Tensor

from pricerl.advice.sentences.grounds import proposer_lines
from pricerl.env.dynamics import Dynamics
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.planner.rollout import Policy
from pricerl.reasons import Reason
from pricerl.simulation.seller import SellerConfig

NAN, INFINITE = float("nan"), float("inf")


class Scripted:
    """Policy that raises the price, but for some steps and rows with another action."""

    def __init__(self, action: float, steps: Sequence[int] | None = None, rows: slice = slice(None)) -> None:
        self.action, self.steps, self.rows, self.step = action, steps, rows, -1

    def __call__(self, observation: Tensor) -> Tensor:
        self.step += 1
        actions = torch.ones(len(observation), 1)
        if self.steps is None or self.step in self.steps:
            actions[self.rows] = self.action
        return actions


BROKEN: dict[str, Callable[[], Policy]] = {
    "NaN": lambda: Scripted(NAN),
    "minus infinity": lambda: Scripted(-INFINITE),
    "NaN in one posterior draw": lambda: Scripted(NAN, rows=slice(3, 4)),
    "infinity on a later day": lambda: Scripted(INFINITE, steps=[2]),
}


@pytest.fixture(scope="module")
def market(fitted: Callable[..., Market]) -> Market:
    return fitted(SellerConfig(days=130, units=30.0, seed=5), DemandConfig(num_draws=16))


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_plan_the_price_is_kept_with_grade_d_and_a_person_must_decide(name: str, market: Market) -> None:
    advice = advise_on(market, BROKEN[name](), preset="profit")
    decision = advice.decision
    assert (decision.grade, decision.source, decision.follow, decision.lacks_evidence) == ("D", "manual", "hold", True)
    assert {day.recommended_price for day in advice.days} == {advice.current_price}
    assert decision.reasons == (Reason("policy_failed"),) and decision.why in advice.reason


@pytest.mark.parametrize("name", BROKEN)
def test_with_a_plan_the_planner_proposes(name: str, market: Market) -> None:
    benchmark = PlanBenchmark(plan_dynamically(Dynamics(market, RewardConfig("profit")), 0.97**3), 0.97**3)
    advice = advise_on(market, BROKEN[name](), preset="profit", benchmark=benchmark)
    assert advice.decision.proposed_by == "planner" and advice.decision.grade != "D"
    assert advice.proposal.policy_over_plan is not None and advice.proposal.policy_over_plan.advantage is None
    assert "returns no finite price" in proposer_lines(advice.to_dict(), PLAIN)[0]


def test_the_same_policy_with_finite_actions_is_no_error(market: Market) -> None:
    assert advise_on(market, moving(1.0), preset="profit").decision.source != "manual"


def test_a_price_that_hard_limits_forbid_is_left_all_the_same(market: Market) -> None:
    limits = GuardrailConfig(floor=round(1.02 * market.preprocessor.products[0].current_price, 2))
    advice = advise_on(market, Scripted(NAN), preset="profit", limits=limits)
    assert advice.decision.source == "limits" and advice.days[-1].recommended_price >= limits.lowest
    assert [reason.code for reason in advice.decision.reasons] == ["keep_not_allowed", "policy_failed"]
