"""Charge what a policy or a planner chooses, day after day."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.env import Dynamics, Outcome, State

Choice = Callable[[State], Tensor]
"""From a state to the next price, money ``(B,)``."""


class Rollout(NamedTuple):
    """What the days of a roll-out brought, ``T`` decisions."""

    price: Tensor
    """``(B, T)`` money."""
    outcome: Outcome
    """Each ``(B, days)``."""


@torch.no_grad()
def roll_out(choose: Choice, dynamics: Dynamics, state: State, days: int) -> Rollout:
    """Charge what ``choose`` makes of each state for at least ``days`` days, without noise.

    Args:
        choose: policy or planner.
        dynamics: the market with its reward and guardrails.
        state: where to start.
        days: length; whole decisions are finished.
    """
    prices, outcomes = [], []
    for _ in range(0, days, dynamics.days_per_step):
        price = choose(state)
        state, outcome = dynamics.advance(state, price, dynamics.days_per_step, None)
        prices.append(price)
        outcomes.append(outcome)
    return Rollout(torch.stack(prices, 1), Outcome(*(torch.cat(values, 1) for values in zip(*outcomes, strict=True))))
