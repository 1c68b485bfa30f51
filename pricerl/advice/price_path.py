"""Price paths of one product: those of planner and policy, and the approach to a target price."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.arrays import limits_of
from pricerl.env import Dynamics, State
from pricerl.evaluation import DynamicPlan
from pricerl.evaluation.rollout import Policy, Proposal, hold_left, propose_by, roll_path


class PricePath(NamedTuple):
    """Prices of the next days, money, each ``(H,)``."""

    price: Tensor
    """Prices charged in the posterior-mean market."""
    low: Tensor
    """5 % limit over the prices charged in the posterior draws."""
    high: Tensor
    """95 % limit over the same prices."""
    asked: Tensor
    """Proposed prices in the posterior-mean market, before guardrails; during the minimum hold, the price held."""
    limits: Limits
    """Limits of the first change."""


class Limits(NamedTuple):
    """Room that the guardrails leave around the current price."""

    feasible: bool
    """Whether they allow any price, now or on a later day; False if they exclude each other."""
    keep_allowed: bool
    """Whether the limits allow the current price."""
    movable: bool
    """Whether they allow a price other than the current one."""
    nearest: float
    """The price inside the hard limits that is nearest to the current one, money; several steps may lead there."""
    wait: int
    """Days until the minimum hold of the last change is over."""


def propose_path(policy: Policy, dynamics: Dynamics, product: int, horizon: int) -> PricePath:
    """Roll a deterministic policy forward for a horizon, days, from the end of the product's history."""
    draw = torch.arange(dynamics.market.num_draws + 1, device=dynamics.market.device)
    return _roll(propose_by(policy, dynamics), dynamics, product, horizon, draw)


def plan_path(plan: DynamicPlan, product: int, horizon: int) -> PricePath:
    """Roll a plan forward for a horizon, days, from the end of the product's history."""
    return _roll(lambda state, band: plan(state), plan.dynamics, product, horizon)


def approach_path(target: float, dynamics: Dynamics, product: int, horizon: int) -> PricePath:
    """Return the path that approaches a price, money, as fast as the guardrails allow and stays there."""
    return _roll(lambda state, band: torch.full_like(state.price, target), dynamics, product, horizon)


@torch.no_grad()
def _roll(propose: Proposal, dynamics: Dynamics, product: int, horizon: int, draw: Tensor | None = None) -> PricePath:
    """Roll out a proposal in the posterior-mean market, whose prices are advised, and in the posterior draws.

    Projection and ``advance`` are the same as in training. The first decision is made after the minimum hold of the
    last price change.

    Args:
        propose: proposes the price of each decision.
        dynamics: market and guardrails.
        product: product index.
        horizon: days.
        draw: ``(B,)`` indices of the draws, the mean market last; absent for proposals that depend on past prices
            alone, which are the same in every draw.
    """
    observes = draw is not None
    draw = torch.tensor([dynamics.market.mean_draw], device=dynamics.market.device) if draw is None else draw
    rows = torch.full_like(draw, product)
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, draw)
    limits = _limits(dynamics, state, product)
    by_draw, asked = roll_path(propose, dynamics, state, horizon, limits.wait, observes)
    chosen = by_draw[-1]
    low, high = chosen.new_tensor(limits_of(by_draw.cpu().numpy()))
    return PricePath(chosen, torch.minimum(low, chosen), torch.maximum(high, chosen), asked[-1], limits)


def _limits(dynamics: Dynamics, state: State, product: int) -> Limits:
    band, now = dynamics.band(state), float(state.price[0])
    low, high = float(band.low[0]), float(band.high[0])
    waits, limits = bool(dynamics.waits(state)[0]), band.limits
    return Limits(
        feasible=bool(band.feasible.all()) or waits,
        keep_allowed=bool(band.keep[0]),
        movable=low < now or now < high or waits,
        nearest=min(max(now, float(limits.floor[0])), float(limits.ceiling[0])),
        wait=hold_left(dynamics, product),
    )
