"""Plans of many products, and what replaces a plan that cannot be made."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.simulation.seller import SellerConfig

DISCOUNT = 0.97**3
DRAWS = DemandConfig(num_draws=16)
TRIO = SellerConfig(days=130, units=30.0, products=3, seed=5)


@pytest.fixture(scope="module")
def trio(fitted):
    return Dynamics(fitted(TRIO, DRAWS), RewardConfig("balanced"))


def _latest(dynamics):
    return dynamics.start(*dynamics.history.latest())


def _planned(market, discount=DISCOUNT, action="step", **guardrails):
    """Return the plan of a market under guardrails, and its latest state."""
    dynamics = Dynamics(market, RewardConfig("profit"), GuardrailConfig(**guardrails), EnvConfig(action=action))
    return plan_dynamically(dynamics, discount), _latest(dynamics)


def _alone(dynamics, product):
    """The dynamics of one product of several."""
    market = dynamics.market
    tensors = {
        name: value[product : product + 1] for name, value in vars(market).items() if isinstance(value, torch.Tensor)
    }
    tensors = {name: value for name, value in tensors.items() if name in type(market).__dataclass_fields__}
    prepared = market.preprocessor.first_days(product, len(market.preprocessor.products[product].dates))
    own = replace(market, preprocessor=prepared, products=market.products[product : product + 1], **tensors)
    return Dynamics(own, RewardConfig("balanced"))


def test_products_planned_and_compared_together_get_what_they_get_alone(trio):
    def policy(observation):
        return 0.3 * observation[:, :1] - 0.1

    plan = plan_dynamically(trio, DISCOUNT)
    prices = plan(_latest(trio))
    compared = PlanBenchmark(plan, DISCOUNT).compare(policy)
    for product in range(3):
        own = plan_dynamically(_alone(trio, product), DISCOUNT)
        assert float(own(_latest(own.dynamics))) == float(prices[product])
        advantage = PlanBenchmark(own, DISCOUNT, catalogue=3).compare(policy).advantage
        assert float(advantage) == pytest.approx(float(compared.advantage[product]), abs=1e-6)


def test_no_other_price_is_worth_more_than_the_plans(trio):
    plan, state = plan_dynamically(trio, DISCOUNT), _latest(trio)

    def value_at(price: torch.Tensor) -> torch.Tensor:
        return plan._interpolate(state, plan._values(state), price[:, None])[:, 0]

    best = value_at(plan(state))
    for action in torch.linspace(-1, 1, 21):
        assert (value_at(trio.decide(state, action.expand(3))) <= best + 0.01).all(), "up to the grid"


def test_an_absolute_action_may_go_to_the_best_price_at_once(known_demand):
    plan, state = _planned(known_demand(10.0), 0.97, "absolute", support_margin=0.5)
    assert float(plan(state)) == pytest.approx(float(best_constant_price(plan.dynamics).price), rel=0.02)


def test_where_no_price_is_allowed_the_plan_keeps_the_price_and_says_so(known_demand):
    plan, state = _planned(known_demand(10.0), ceiling=5.0)
    assert plan(state).tolist() == state.price.tolist()
    (note,) = plan.notes
    assert note.startswith("product: ") and "no allowed price" in note


def test_rewards_that_are_not_finite_are_replaced_by_the_best_constant_price(known_demand):
    market = known_demand(10.0)
    for memory in (market.memory_loss, market.memory_gain):
        memory.fill_(float("inf"))
    plan, state = _planned(market, support_margin=0.5)
    assert "not finite, so the best constant price" in plan.notes[0]
    assert float(plan(state)) == pytest.approx(10.5), "the largest rise towards 12.00"


def test_changes_finer_than_the_grid_lead_to_the_best_constant_price(known_demand):
    tiny = {"support_margin": 0.9, "max_change": 0.002, "min_change": 0.0, "price_step": 0.001}
    plan, state = _planned(known_demand(10.0), **tiny)
    assert "too coarse for changes of at most 0.20" in plan.notes[0]
    assert float(plan(state)) == pytest.approx(10.02)


def test_the_plan_measured_against_itself_gains_nothing(trio):
    benchmark = PlanBenchmark(plan_dynamically(trio, DISCOUNT), DISCOUNT)
    assert benchmark.planned.isfinite().all()
    keeping = benchmark.compare(lambda observation: torch.zeros(len(observation), 1))
    assert (keeping.advantage <= 2 * keeping.error + 0.01).all(), "up to the grid"
    assert keeping.advantage.min() < -0.1


def test_shares_of_a_comparison_are_its_rows(trio):
    plan = plan_dynamically(trio, DISCOUNT)
    whole = PlanBenchmark(plan, DISCOUNT).start
    parts = [PlanBenchmark(plan, DISCOUNT, (rank, 2)).start for rank in range(2)]
    assert torch.equal(torch.stack([part.draw for part in parts], 1).flatten(), whole.draw)
    assert torch.equal(torch.stack([part.product for part in parts], 1).flatten(), whole.product)
    assert {len(set(whole.draw[whole.product == product].tolist())) for product in range(3)} == {16}


def test_on_a_price_ladder_the_plan_climbs_to_the_best_rung(known_demand):
    rungs = (9.6, 10.0, 10.4, 10.9, 11.4, 11.9, 12.4)
    plan, state = _planned(known_demand(10.0), support_margin=0.5, price_ladder=rungs)
    charged = []
    for _ in range(12):
        price = plan(state)
        state, _ = plan.dynamics.advance(state, price, plan.dynamics.days_per_step, None)
        charged.append(round(float(price), 2))
    assert set(charged) <= set(rungs) and charged[0] == 10.4
    assert charged[-1] == 11.9, "the rung next to the best price, 12.00"
