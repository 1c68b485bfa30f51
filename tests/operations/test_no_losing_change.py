"""Whatever led to it, a published change is expected to earn more, and does in at least half of the scenarios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.provenance import describe_history
from pricerl.operations.standings import find_standings

UNIT_COSTS = {"low": 3.0, "even": 5.0, "thin": 9.7, "above the price": 11.0}
GUARDRAILS: list[dict[str, Any]] = [{}, {"floor": 10.4}, {"ceiling": 9.6}, {"price_ladder": (9.0, 9.8, 10.0, 10.3)}]
CONFIGS = (DecisionConfig(), DecisionConfig(min_chance=0.01))
"""The default gate, and one that nearly every change passes."""


def _up(observation: Tensor) -> Tensor:
    return observation.new_ones(len(observation), 1)


def _down(observation: Tensor) -> Tensor:
    return -_up(observation)


@pytest.fixture(scope="module")
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """90 days at 5 units per day: the first 87 at changing prices, then three at 10.00 without a sale."""
    rng = np.random.default_rng(6)
    price = np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 18), 5)
    price[-5:-3], price[-3:] = 9.7, 10.0
    units = rng.poisson(5 * (price / 10) ** -3.0)
    units[-3:] = 0
    return make_product(price, units)


@pytest.fixture(scope="module")
def markets(history: ProductHistory, prepare: Callable[..., DataPreprocessor]) -> dict[str, Market]:
    known = {name: CostConfig(unit_cost=cost, share_kept=1.0) for name, cost in UNIT_COSTS.items()}
    demand = DemandConfig(num_draws=16)
    return {name: fit_market(prepare(history), demand, cost, 0) for name, cost in known.items()}


def _alarming(history: ProductHistory) -> Entry:
    """Log entry of an advice to charge what was charged on the last three days, which promised sales."""
    days = [
        {"date": str(date), "price": 10.0, "units": None, "sales": [50.0, 20.0, 80.0], "profit": None, "sd": None}
        for date in history.dates[-3:]
    ]
    start: Entry = {"history_end": str(history.dates[-4]), "current_price": float(history.price[-4])}
    start["known"] = describe_history(history.first_days(len(history.dates) - 3))
    return {"id": 1, "kind": "advice", "product": "product", "source": "policy", "grade": "B", "days": days, **start}


def _advice_on(
    markets: dict[str, Market], history: ProductHistory, every: int
) -> Iterator[tuple[DecisionConfig, ProductAdvice]]:
    """Advice along every path: policy, kill switch and limits, in every n-th combination of settings."""
    settings = list(product(markets.values(), GUARDRAILS, (_up, _down), CONFIGS))
    for market, rails, policy, config in settings[::every]:
        dynamics = Dynamics(market, RewardConfig(), GuardrailConfig(**rails), EnvConfig())
        for entries in ([], [_alarming(history)]):
            (item,) = advise(policy, dynamics, config, 9, {}, standings=find_standings(entries, dynamics))
            yield config, item


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_no_path_publishes_a_change_that_does_not_pay(
    markets: dict[str, Market], history: ProductHistory, every: int
) -> None:
    seen: Counter[str] = Counter()
    for config, item in _advice_on(markets, history, every):
        moves = any(day.recommended_price != item.current_price for day in item.days)
        seen[f"{item.decision.source}, {'moves' if moves else 'keeps'}, alarm {item.alarm is not None}"] += 1
        assert moves == (item.decision.follow != "hold"), item.reason
        if not moves:
            assert item.uplift is None
        elif item.decision.source != "limits":
            assert item.uplift is not None and item.uplift.profit is not None, item.reason
            assert item.uplift.profit.mean > 0, item.reason
            if item.alarm is None:  # the way back needs no probability
                assert (item.uplift.probability_better or 0) >= config.min_chance, item.reason
        elif item.uplift is not None and item.uplift.profit is not None and item.uplift.profit.mean < 0:
            assert "The limits cost profit: " in item.reason
    for path in ("planner, moves", "hold, keeps", "limits, moves"):
        assert any(name.startswith(path) for name in seen), (path, seen)
    assert seen["hold, moves, alarm True"] and seen["hold, keeps, alarm True"], seen


def test_a_gate_that_is_turned_off_follows_the_objective_and_states_the_cost(markets: dict[str, Market]) -> None:
    dynamics = Dynamics(markets["thin"], RewardConfig(), GuardrailConfig(), EnvConfig())
    (item,) = advise(_down, dynamics, DecisionConfig(min_chance=0.0), 9, {})
    assert item.decision.follow == "path" and item.recommended_price < item.current_price
    assert item.uplift is not None and item.uplift.profit is not None and item.uplift.profit.mean < 0
    assert "Expected: −" in item.reason
    (held,) = advise(_down, dynamics, CONFIGS[1], 9, {})
    assert held.decision.source != "policy" or held.decision.follow == "hold"
