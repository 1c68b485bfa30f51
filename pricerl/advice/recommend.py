"""The advice on each product: its price, decided by the chain, and the record of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pricerl.advice.describe import describe_advice
from pricerl.advice.result import ProductAdvice
from pricerl.data.days import steps_in
from pricerl.decide import Case, DecisionConfig, Standing, decide_price
from pricerl.decide.proposer import Proposer
from pricerl.decide.standing import FIRST
from pricerl.env import Dynamics, Product
from pricerl.errors import UsageError
from pricerl.evaluation import Backtest, Policy, Yardstick
from pricerl.formatting import PLAIN, Formatter

MAX_HORIZON = 365
"""Longest horizon in days, well inside the calendar."""


def advise(
    policy: Policy,
    dynamics: Dynamics,
    config: DecisionConfig,
    horizon: int,
    backtests: Mapping[str, Backtest],
    seed: int = 0,
    most: int | None = None,
    formatter: Formatter = PLAIN,
    yardstick: Yardstick | None = None,
    standings: Mapping[str, Standing] = MappingProxyType({}),
    current: Mapping[str, float] | None = None,
) -> list[ProductAdvice]:
    """Advise on every product of the market.

    Args:
        policy: deterministic policy.
        dynamics: market of the fresh history, with reward and guardrails.
        config: required evidence.
        horizon: days to plan, rounded up to whole weeks for weekly rows.
        backtests: forecast skill by product.
        seed: of the daily noise.
        most: number of products, the first ones; all if absent.
        formatter: of the reasons.
        yardstick: plan that proposes the path of every product for which the policy is not better; the policy
            always does if absent.
        standings: facts of log and shop by product.
        current: current prices of related products of other markets, by name, money.

    Raises:
        UsageError: if the horizon is not between 1 and 365 days.
    """
    check_horizon(horizon)
    steps, proposer = steps_in(horizon, dynamics.market.step_days), Proposer(policy, dynamics, yardstick)
    advice = []
    for index, name in enumerate(dynamics.market.preprocessor.names[:most]):
        standing = standings.get(name, FIRST)
        case = Case(Product(dynamics, index), proposer.propose, config, steps, standing, seed, formatter)
        advice.append(describe_advice(case, decide_price(case), backtests.get(name), current))
    return advice


def check_horizon(horizon: int) -> None:
    """Refuse a horizon that is not between 1 and 365 days with a ``UsageError``."""
    if not 1 <= horizon <= MAX_HORIZON:
        raise UsageError(f"--horizon: must be 1 to {MAX_HORIZON} days, found {horizon}")
