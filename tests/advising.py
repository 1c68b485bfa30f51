"""Advice on markets made for tests, each record of which fits the schema of ``advice.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.rollout import Policy

SCHEMA = json.loads((Path(__file__).parents[1] / "pricerl/advice/advice.schema.json").read_text(encoding="utf-8"))
RECORD = jsonschema.Draft202012Validator({**SCHEMA["properties"]["products"]["items"], "$defs": SCHEMA["$defs"]})


def moving(action: float) -> Policy:
    """Return the policy of one action: -1 lowers the price as far as it may, 0 keeps it, 1 raises it."""

    def policy(observation: Tensor) -> Tensor:
        return observation.new_full((len(observation), 1), action)

    return policy


def advise_on(
    market: Market,
    policy: Policy,
    horizon: int = 14,
    action: Any = "step",
    preset: Any = "balanced",
    config: DecisionConfig | None = None,
    limits: GuardrailConfig = GuardrailConfig(),
    **options: Any,
) -> ProductAdvice:
    """Return the advice on the only product of a market."""
    dynamics = Dynamics(market, RewardConfig(preset), limits, EnvConfig(action=action))
    (advice,) = advise(policy, dynamics, config or DecisionConfig(), horizon, {}, **options)
    RECORD.validate(_thinned(json.loads(json.dumps(advice.to_dict(), allow_nan=False, default=float))))
    return advice


def _thinned(value: Any) -> Any:
    """Return a document with the first two and the last of the days of its lists, each of which takes a while."""
    if isinstance(value, list):
        ends = [*value[:2], value[-1]] if len(value) > 3 else value
        return [_thinned(item) for item in ends]
    return {key: _thinned(item) for key, item in value.items()} if isinstance(value, dict) else value


def market_of(lines: Sequence[str], cost: CostConfig = CostConfig()) -> Market:
    """Return the market fitted to the lines of a seller's file."""
    read = history_from_text("".join(f"{line}\n" for line in lines), "sales.csv", DataConfig())
    return fit_market(DataPreprocessor.fit(read, DataConfig()), DemandConfig(num_draws=16), cost)
