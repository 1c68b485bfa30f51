"""A policy that returns NaN or infinity is an error: it never looks like one that keeps the price."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from command_line import run
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences.answers import say
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.plan_benchmark import PlanBenchmark
from pricerl.evaluation.rollout import Policy
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.reasons import Reason
from pricerl.simulation.seller import SellerConfig

FAILED = say(Reason("policy_failed"))

SCHEMA = json.loads((Path(__file__).parents[2] / "pricerl/advice/advice.schema.json").read_text(encoding="utf-8"))
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
    "infinity": lambda: Scripted(INFINITE),
    "minus infinity": lambda: Scripted(-INFINITE),
    "NaN in one posterior draw": lambda: Scripted(NAN, rows=slice(3, 4)),
    "infinity on a later day": lambda: Scripted(INFINITE, steps=[2]),
}


@pytest.fixture(scope="module")
def market(fitted: Callable[..., Market]) -> Market:
    return fitted(SellerConfig(days=130, units=30.0, seed=5), DemandConfig(num_draws=16))


def _advise(policy: Policy, dynamics: Dynamics, **options: Any) -> ProductAdvice:
    (advice,) = advise(policy, dynamics, DecisionConfig(), 14, {}, **options)
    document = json.loads(json.dumps(advice.to_dict(), allow_nan=False, default=float))
    jsonschema.validate(document, {**SCHEMA["properties"]["products"]["items"], "$defs": SCHEMA["$defs"]})
    return advice


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_plan_the_price_is_kept_with_grade_d_and_a_person_must_decide(name: str, market: Market) -> None:
    advice = _advise(BROKEN[name](), Dynamics(market, RewardConfig("profit")))
    decision = advice.decision
    assert (decision.grade, decision.source, decision.follow, decision.lacks_evidence) == ("D", "manual", "hold", True)
    assert {day.recommended_price for day in advice.days} == {advice.current_price}
    assert FAILED in advice.reason and "no other price" not in advice.reason


@pytest.mark.parametrize("name", BROKEN)
def test_with_a_plan_the_planner_proposes(name: str, market: Market) -> None:
    dynamics = Dynamics(market, RewardConfig("profit"))
    benchmark = PlanBenchmark(plan_dynamically(dynamics, 0.97**3), 0.97**3)
    advice = _advise(BROKEN[name](), dynamics, benchmark=benchmark)
    assert advice.decision.proposed_by == "planner" and advice.decision.grade != "D"
    assert advice.proposal.policy_over_plan is not None and advice.proposal.policy_over_plan.advantage is None


def test_the_same_policy_with_finite_actions_is_no_error(market: Market) -> None:
    advice = _advise(Scripted(1.0), Dynamics(market, RewardConfig("profit")))
    assert FAILED not in advice.reason and advice.decision.source != "manual"


def test_a_price_that_hard_limits_forbid_is_left_all_the_same(market: Market) -> None:
    now = market.preprocessor.products[0].current_price
    limits = GuardrailConfig(floor=round(1.02 * now, 2))
    advice = _advise(Scripted(NAN), Dynamics(market, RewardConfig("profit"), limits))
    assert advice.decision.source == "limits" and advice.days[-1].recommended_price >= limits.lowest
    assert [reason.code for reason in advice.decision.reasons] == ["keep_not_allowed", "policy_failed"]


@pytest.mark.parametrize("planner", [False, True])
def test_terminal_page_and_documents_say_it_once_in_plain_words(
    planner: bool, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricerl.runs.run.Run.policy", property(lambda run: Scripted(NAN)))
    monkeypatch.setattr("pricerl.tasks.advise.find_unchanged", lambda *_: {})
    words = ("--data.path", "seller.csv", "--out", str(tmp_path))
    words += ("--decision.compare_plan", "true" if planner else "false")
    result = run(trained.parents[1], "predict", "--ckpt_path", str(trained / "best.ckpt"), *words)
    said = "SAC's policy returns no finite price, so dynamic programming proposes this path." if planner else FAILED
    assert result.code in (0, 4) if planner else result.code == 4
    assert " ".join(result.out.split()).count(said[1:]) == 1  # as a sentence, with a capital
    document = json.loads((tmp_path / "advice.json").read_text(encoding="utf-8"))
    (product,) = document["products"]
    page = unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert said[1:] in page
    if not planner:
        assert FAILED in product["reason"] and (product["decision"]["grade"], product["chain"][-1]) == ("D", "manual")
        assert "proposes no other price" not in page
