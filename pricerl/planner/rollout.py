"""Roll-outs of policies, planners and rules: the prices they charge and the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import Noise
from pricerl.env.product import Product
from pricerl.env.state import Outcome, State
from pricerl.guardrails.limits import days_held
from pricerl.guardrails.projection import PriceBand, project

Choice = Callable[[State], Tensor]
"""``state -> next price``, ``(B,)`` money."""

Proposal = Callable[[State, PriceBand], Tensor]
"""``(state, feasible band) -> price`` before projection onto the guardrails, ``(B,)`` money."""

Policy = Callable[[Tensor], Tensor]
"""``observation (B, O) -> action (B, 1)``."""


@dataclass
class WatchedPolicy:
    """Deterministic policy that remembers which rows of its roll-out got an action that is NaN or infinite."""

    policy: Policy
    failed: Tensor = field(default_factory=lambda: torch.tensor(False))
    """``(B,)`` bool; a scalar before the first step."""

    def __call__(self, observation: Tensor) -> Tensor:
        """Return the policy's actions."""
        action = self.policy(observation)
        self.failed = self.failed | ~action.isfinite().all(1)
        return action


@torch.no_grad()
def roll_out(
    choose: Choice, dynamics: Dynamics, state: State, days: int, noise: Noise | None = None
) -> tuple[Tensor, Outcome]:
    """Roll out a choice of prices for ``days`` days, rounded up to ``T`` whole decisions.

    Outcomes are expectations given the prices; noise affects only the units that later states observe, which are the
    expected ones without it. Prices are ``(B, T)`` money, outcomes ``(B, days)``.
    """
    prices = []
    outcomes = []
    for _ in range(0, days, dynamics.days_per_step):
        prices.append(choose(state))
        state, outcome = dynamics.advance(state, prices[-1], dynamics.days_per_step, noise)
        outcomes.append(outcome)
    return torch.stack(prices, 1), Outcome(*(torch.cat(values, 1) for values in zip(*outcomes, strict=True)))


@torch.no_grad()
def roll_path(
    propose: Proposal | Tensor,
    dynamics: Dynamics,
    state: State,
    days: int,
    wait: int = 0,
    observes: bool = True,
) -> tuple[Tensor, Tensor]:
    """Roll out the projections of proposals onto the guardrails, without noise.

    The initial state of ``B`` rows is held for ``wait`` days before the first decision. Without ``observes``, proposals
    depend on past prices alone, and sales are not computed. Where the same prices ``(B,)`` are proposed every day, a
    price kept after all remembered prices were equal is kept for good.

    Returns:
        Prices charged and prices proposed, ``(B, days)`` money each; during the minimum hold both are the price held.
    """

    def after(now: State, price: Tensor, days: int) -> State:
        return dynamics.advance(now, price, days, None)[0] if observes else dynamics.charge(now, price, days)

    charged = [state.price] * min(wait, days)
    asked = charged.copy()
    if charged:
        state = after(state, state.price, len(charged))
    while len(charged) < days:
        band = dynamics.band(state)
        asked.append(propose if isinstance(propose, Tensor) else propose(state, band))
        price = project(asked[-1], state.price, band)
        charged += [price] * dynamics.days_per_step
        asked += [price] * (dynamics.days_per_step - 1)
        remembered = state.prices if state.trail is None else state.trail
        if isinstance(propose, Tensor) and bool((remembered == price).all()):
            charged += [price] * days
            asked += asked[-dynamics.days_per_step :] * days
        else:
            state = after(state, price, dynamics.days_per_step)
    return torch.stack(charged[:days], 1), torch.stack(asked[:days], 1)


def approach_prices(targets: Tensor, product: Product, days: int) -> Tensor:
    """Return paths in money ``(R, H)`` of H = ``days`` that approach ``targets (R,)`` as fast as guardrails allow."""
    return approach_all(targets, product.dynamics, product.rows(len(targets)), days)


@torch.no_grad()
def approach_all(targets: Tensor, dynamics: Dynamics, products: Tensor, days: int) -> Tensor:
    """Return the same paths ``(B, H)`` for ``products (B,)``, by index, with ``targets (B,)`` of their own."""
    paths = targets.new_empty(len(targets), days)
    for at, wait, state in starts(dynamics, products):
        paths[at], _ = roll_path(targets[at], dynamics, state, days, wait, observes=False)
    return paths


def starts(dynamics: Dynamics, products: Tensor) -> Iterator[tuple[Tensor, int, State]]:
    """Yield the positions among ``products (B,)`` whose minimum holds end alike, the days until then, their states."""
    known = {index: hold_left(Product(dynamics, index)) for index in {*products.tolist()}}
    left = torch.tensor([known[index] for index in products.tolist()], device=products.device)
    for wait in sorted({*left.tolist()}):
        at = (left == wait).nonzero()[:, 0]
        yield at, wait, dynamics.start(products[at], dynamics.history.num_days[products[at]] - 1)


def propose_by(policy: Policy, dynamics: Dynamics) -> Proposal:
    """Return the proposal of a deterministic policy."""
    return lambda state, band: dynamics.propose(state, policy(state.observation)[:, 0], band)


def hold_left(product: Product) -> int:
    """Return the days until a change is allowed: the minimum hold minus the days at the latest price."""
    history = product.history
    held = days_held(history.dates, history.prices_in_force, history.step_days) // history.step_days
    return max(0, product.dynamics.days_per_step - held)
