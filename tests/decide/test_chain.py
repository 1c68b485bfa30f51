"""The chain: its order, its gate, and the clock that all its parts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shops.known_market import known_market

from pricerl.arrays import FloatArray
from pricerl.data.cleaning.quality import Quality
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide import chain
from pricerl.decide.case import Case, Course, Proposed
from pricerl.decide.chain import Proposer, decide_price
from pricerl.decide.decision import DecisionConfig, Grade, Source
from pricerl.decide.price_path import approach_path
from pricerl.decide.standing import Account, Order, Standing
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.card.evidence_card import CardLine
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.operations.log.provenance import describe_history
from pricerl.operations.standings import find_standings
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.plan_benchmark import Comparison, PlanBenchmark
from pricerl.reasons import Reason
from pricerl.simulation.seller import SellerConfig

PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)
LOW = np.repeat([9.0, 10.0, 9.0, 10.0], 15)
"""Prices none of which is above the current one, so that no rise earns grade B."""
HORIZON = 14
PAGE = (Path(__file__).parents[2] / "docs" / "page.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _unquestioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the card of evidence blank: these histories have no noise, which it would doubt."""
    monkeypatch.setattr(Case, "card", ())


@pytest.fixture
def build(known_demand: Callable[..., Market]) -> Callable[..., Product]:
    """Return a product with elasticity -2 and a unit cost of 6 at 10.00, so that 12.00 is the best price."""

    def product(prices: FloatArray = PRICES, **guardrails: Any) -> Product:
        return Product(Dynamics(known_demand(prices), RewardConfig(), GuardrailConfig(**guardrails), EnvConfig()), 0)

    return product


def _case(product: Product, target: float = 10.0, by: Any = "planner", **changes: Any) -> Case:
    def propose(product: Product, horizon: int) -> Proposed:
        return Proposed(by, approach_path(target, product, horizon))

    return Case(product, propose, DecisionConfig(), HORIZON, **changes)


def _override(price: float, until: str = "2030-01-01", number: int = 1) -> Order:
    return Order(number, "override", price, until, "anna", "sale", "active")


def test_the_documented_order_is_the_order_of_the_list_and_the_gate_is_last() -> None:
    names = [decider.__name__ for decider in chain.DECIDERS]
    assert names == [
        *("follow_measured_pair", "aim_for_quarter", "weigh_evidence", "publish"),
        *("stop_model", "obey_order", "keep_relations", "pass_gate_last"),
    ]
    documented = [PAGE.index(f"`{name}`") for name in names]
    assert documented == sorted(documented)


def test_the_page_explains_every_grade_and_every_source() -> None:
    cells = [line.split(" | ")[0].strip("| ") for line in PAGE.splitlines() if line.startswith("| ")]
    assert [cell for cell in cells if cell in Grade.__args__] == list(Grade.__args__)
    named = [name.strip("`") for cell in cells if cell.startswith("`") for name in cell.split(", ")]
    assert sorted(named) == sorted(Source.__args__)


def test_a_case_values_a_path_once(build: Callable[..., Product]) -> None:
    case = _case(build())
    twice = case.value_all(torch.stack([case.kept, case.kept]))
    assert twice[0] is twice[1] is case.value(case.kept.clone()) is case.keep


@pytest.mark.parametrize(
    ("advantage", "error", "margin", "proposer"),
    [
        (-0.02, 0.004, 0.003, "policy"),  # 0.2 % behind, at most 0.28 %
        (-0.02, 0.006, 0.003, "planner"),
        (-0.02, 0.004, 0.001, "planner"),
        (0.01, 0.0, 0.0, "policy"),
        (torch.nan, torch.nan, 0.003, "planner"),
    ],
)
def test_the_policy_proposes_unless_it_is_behind_the_plan_by_more_than_the_margin(
    advantage: float, error: float, margin: float, proposer: str, build: Callable[..., Product]
) -> None:
    product = build()
    benchmark = PlanBenchmark(plan_dynamically(product.dynamics, 0.9), 0.9)
    found = Proposer(lambda seen: torch.zeros(len(seen), 1), product.dynamics, benchmark, margin)
    found.__dict__["comparison"] = Comparison(torch.tensor([advantage]), torch.tensor([error]))
    assert found.propose(product, HORIZON).by == proposer


def test_a_proposal_under_way_at_the_horizon_is_weighed_by_its_whole_quarter(build: Callable[..., Product]) -> None:
    """After 14 days it has come to 11.04 of 12.00, where a quarter earns 0.8 % less."""
    product = build(max_change=0.02, support_margin=0.5)
    assert decide_price(_case(product, 12.0, by="policy")).aimed_by == "policy"


@pytest.mark.parametrize(("decided", "charged"), [(10.2, 10.2), (8.0, 9.9)])
def test_a_decider_is_one_line_in_the_list_and_the_last_gate_stops_what_it_lets_through(
    decided: float, charged: float, build: Callable[..., Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow_moon(case: Case, course: Course) -> Course:
        return course.overruled((decided,) * case.horizon, course.decision)

    product = build(floor=9.9)
    assert min(decide_price(_case(product)).prices) > 10.2
    monkeypatch.setattr(chain, "DECIDERS", (*chain.DECIDERS[:-1], follow_moon, chain.DECIDERS[-1]))
    course = decide_price(_case(product))
    assert course.prices == (charged,) * HORIZON
    assert course.path.price.tolist() == pytest.approx(course.prices)


@pytest.mark.parametrize("is_open", [False, True], ids=["first advice", "open account"])
@pytest.mark.parametrize(
    ("guardrails", "step"),
    [({}, 10.5), ({"max_change": 0.2, "max_week_change": 0.3}, 10.5), ({"max_change": 0.02}, 10.2)],
    ids=["default limits", "wide limits", "narrow limits"],
)
def test_grade_b_minus_is_one_change_of_at_most_five_percent(
    guardrails: dict[str, Any], step: float, is_open: bool, build: Callable[..., Product]
) -> None:
    product = build(LOW, **guardrails)
    opened = (product.history.last_day - timedelta(days=30)).isoformat()
    standing = Standing(account=Account(opened, 10.0) if is_open else None)
    course = decide_price(_case(product, 12.0, standing=standing))
    assert (course.decision.grade, course.decision.follow) == ("B-", "step")
    assert set(course.prices) - {10.0} == {step}


def test_no_step_is_taken_where_the_limits_allow_only_larger_ones(build: Callable[..., Product]) -> None:
    product = build(LOW, price_ladder=(9.0, 10.0, 10.8), max_change=0.2, max_week_change=0.2)
    course = decide_price(_case(product, 12.0))
    assert (course.decision.grade, course.decision.follow) == ("C", "hold")
    assert course.decision.reasons == (Reason("too_far"),)
    assert set(course.prices) == {10.0}


def test_a_doubtful_current_price_is_kept_until_the_seller_confirms_it(build: Callable[..., Product]) -> None:
    product = build()
    for asks, grade in ((True, "C"), (False, "B")):
        price = np.append(product.history.price[:-1], 8.0)
        history = replace(product.history, price=price, in_force=PRICES, asks=asks)
        data = replace(product.market.preprocessor, products=(history,))
        dynamics = Dynamics(replace(product.market, preprocessor=data), RewardConfig(), GuardrailConfig(), EnvConfig())
        course = decide_price(_case(Product(dynamics, 0), 10.5))
        decision = course.decision
        assert decision.grade == grade and (set(course.prices) == {8.0}) == asks
        codes = [reason.code for reason in decision.reasons]
        assert (codes == ["price_differs", "confirm_price"]) == asks


def test_a_persons_price_is_bound_by_the_hard_limits_alone(build: Callable[..., Product]) -> None:
    standing = Standing(orders=(_override(14.0),))
    assert decide_price(_case(build(), standing=standing)).prices == (14.0,) * HORIZON
    refused = decide_price(_case(build(ceiling=12.0), standing=standing))
    assert refused.prices == (10.0,) * HORIZON and refused.order is None
    why = "the override of 14 is above the ceiling of 12 (guardrails.ceiling)"
    assert refused.decision.reasons == (Reason("order_refused", {"entry": 1, "why": why}),)


def test_the_models_own_course_is_kept_under_an_order(build: Callable[..., Product]) -> None:
    product = build()
    alone = decide_price(_case(product, 11.0))
    ordered = decide_price(_case(product, 11.0, standing=Standing(orders=(_override(9.5),))))
    assert ordered.own.prices == alone.prices != ordered.prices and ordered.decision.source == "override"
    assert ordered.own.decision == alone.decision and alone.model is None


def test_the_days_of_an_account_are_counted_from_today(build: Callable[..., Product]) -> None:
    product = build()
    opened = product.history.last_day - timedelta(days=30)
    account = Account(opened.isoformat(), 10.0)
    days = (None, product.first_day - timedelta(days=9), product.first_day + timedelta(days=20))
    cases = [_case(product, standing=Standing(today=today, account=account)) for today in days]
    assert [case.quarter.days_left for case in cases] == [61, 61, 41]


@pytest.mark.parametrize(
    ("lost", "guardrails", "last"),
    [
        (0.0, {}, 10.08),  # as much as one step may be
        (0.25, {}, 9.99),
        (0.25, {"charm_endings": [0.29, 0.95]}, 9.95),
    ],
)
def test_a_step_crosses_a_round_price_if_that_is_worth_the_buyers_it_loses(
    prepare: Callable[..., DataPreprocessor],
    make_product: Callable[..., ProductHistory],
    lost: float,
    guardrails: dict[str, Any],
    last: float,
) -> None:
    prices = np.repeat([9.0, 9.7, 9.2, 9.6], 15)

    def units(price: FloatArray) -> FloatArray:
        return np.asarray(20 * (price / 9.6) ** -2.0 * np.where(price < 10.03, 1, 1 - lost))

    market = known_market(prepare(make_product(prices, units(prices))), units, CostConfig(unit_cost=6.0))
    product = Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig()), 0)
    course = decide_price(_case(product, 10.6))
    assert course.decision.grade == "B-"
    assert float(course.path.price.max()) == pytest.approx(last, abs=0.001)


@pytest.mark.parametrize(("verdict", "grade"), [("PASS", "B"), ("REVIEW", "B"), ("FAIL", "B-")])
def test_a_question_of_the_card_that_fails_lowers_the_grade_by_a_step(
    fitted: Callable[..., Market], monkeypatch: pytest.MonkeyPatch, verdict: Quality, grade: str
) -> None:
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig())
    now = market.preprocessor.products[0].current_price
    product = Product(Dynamics(market.at_unit_cost(0.55 * now), RewardConfig()), 0)
    monkeypatch.setattr(Case, "card", (CardLine("replayed sales", verdict, "", ""),))
    assert decide_price(_case(product, 1.1 * now)).decision.grade == grade


def test_grade_b_follows_its_whole_path(build: Callable[..., Product]) -> None:
    course = decide_price(_case(build(np.repeat([9.0, 11.0, 9.2, 9.5], 15), ceiling=10.6), 10.6))
    assert course.decision.grade == "B"
    assert course.prices[-1] == 10.6 and len(set(course.prices)) > 2, "several changes of at most 5 %"


def _entry(number: int, **content: Any) -> dict[str, Any]:
    return {"id": number, "product": "product", "actor": "anna", "reason": "sale", **content}


def test_orders_expire_and_accounts_end_by_the_same_clock(build: Callable[..., Product]) -> None:
    product = build()
    end = product.history.last_day
    known = describe_history(product.history.first_days(len(product.history.dates) - 30))
    advised = {"kind": "advice", "current_price": 10.0, "days": [], "source": "policy", "grade": "B", "known": known}
    entries = [
        _entry(1, **advised, history_end=(end - timedelta(days=30)).isoformat()),
        _entry(2, kind="override", price=9.5, until=(product.first_day + timedelta(days=3)).isoformat()),
    ]

    def standing(today: date | None) -> tuple[str, bool]:
        found = find_standings(entries, product.dynamics, today)["product"]
        return found.orders[0].status, found.account is not None

    assert standing(None) == standing(date(2020, 1, 1)) == ("active", True)
    assert standing(product.first_day + timedelta(days=4)) == ("expired", True)
    assert standing(end + timedelta(days=62)) == ("expired", False)


def test_an_order_that_a_new_limit_forbids_is_refused_in_the_standing(build: Callable[..., Product]) -> None:
    entries = [_entry(1, kind="override", price=9.5, until="2030-01-01")]
    for floor, status in ((9.0, "active"), (9.9, "refused")):
        found = find_standings(entries, build(floor=floor).dynamics)["product"]
        assert found.orders[0].status == status
