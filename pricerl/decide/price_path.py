"""Price paths of one product: from planner and policy, and the approach to a target price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.arrays import limits_of
from pricerl.decide.decision import Limits
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.state import State
from pricerl.guardrails.projection import PriceBand
from pricerl.guardrails.today import DIGITS, Edit
from pricerl.planner.dynamic_planner import DynamicPlan
from pricerl.planner.rollout import Policy, Proposal, hold_left, propose_by, roll_path, starts


class PricePath(NamedTuple):
    """Prices of the next days, in money, each ``(H,)``."""

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


@dataclass(frozen=True)
class DayEdit(Edit):
    """Change that a guardrail made to the price of one day."""

    date: str
    """Day, ISO format."""

    @classmethod
    def on(cls, day: str, edit: Edit) -> DayEdit:
        """Return an edit of the price of a day, both prices rounded as reported."""
        before = None if edit.before is None else round(edit.before, DIGITS)
        return cls(edit.rule, before, round(edit.after, DIGITS), edit.why, day)


@dataclass(frozen=True)
class GatedPath:
    """Prices that passed the gate, in money, one per day, and the changes that guardrails made."""

    prices: tuple[float, ...]
    asked: float | None
    """Proposed price on the first day on which guardrails changed something, in money, or None if there is none."""
    edits: tuple[DayEdit, ...]

    def onto(self, path: PricePath) -> PricePath:
        """Return the path with the gated prices, and with limits widened to include them."""
        price = path.price.new_tensor(self.prices)
        return path._replace(price=price, low=path.low.minimum(price), high=path.high.maximum(price))


@torch.no_grad()
def propose_path(policy: Policy, product: Product, horizon: int) -> PricePath:
    """Roll a deterministic policy forward for a horizon, days, from the end of the product's history.

    It decides in every posterior draw and in the posterior-mean market, whose prices are advised, as in training.
    """
    dynamics = product.dynamics
    market = product.market
    draw = torch.arange(market.num_draws + 1, device=market.device)
    rows = product.rows(len(draw))
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, draw)
    limits = _limits(dynamics, state)[0]
    by_draw, asked = roll_path(propose_by(policy, dynamics), dynamics, state, horizon, limits.wait)
    chosen = by_draw[market.mean_draw]
    low, high = chosen.new_tensor(limits_of(by_draw.cpu().numpy()))
    return PricePath(chosen, torch.minimum(low, chosen), torch.maximum(high, chosen), asked[market.mean_draw], limits)


@lru_cache(maxsize=2)  # of the horizon and of a quarter
def plan_paths(plan: DynamicPlan, horizon: int) -> list[PricePath]:
    """Roll a plan forward for all its products in one batch, when the first one is needed."""
    products = range(plan.dynamics.market.num_products)
    return _roll_alike(lambda state, band: plan(state), plan.dynamics, products, horizon)


@lru_cache(maxsize=2)
def policy_paths(policy: Policy, dynamics: Dynamics, horizon: int) -> list[PricePath]:
    """Roll a policy forward for all products in the same way, in the posterior-mean market alone.

    Where an action is not finite, the price asked is NaN.
    """

    def propose(state: State, band: PriceBand) -> Tensor:
        action = policy(state.observation)[:, 0]
        return dynamics.propose(state, action.masked_fill(~action.isfinite(), torch.nan), band)

    return _roll_alike(propose, dynamics, range(dynamics.market.num_products), horizon, observes=True)


def approach_path(target: float, product: Product, horizon: int) -> PricePath:
    """Return the path that approaches a price, in money, as fast as the guardrails allow and stays there."""
    return _roll_alike(product.money([target]), product.dynamics, [product.index], horizon)[0]


@torch.no_grad()
def _roll_alike(
    propose: Proposal | Tensor, dynamics: Dynamics, products: Sequence[int], horizon: int, observes: bool = False
) -> list[PricePath]:
    """Roll out a proposal, ``observes`` as in `roll_path`; products whose minimum holds end alike are one batch."""
    found = {}
    for at, wait, state in starts(dynamics, torch.tensor(products, device=dynamics.market.device)):
        paths = roll_path(propose, dynamics, state, horizon, wait, observes)
        for row, price, asked, limits in zip(at.tolist(), *paths, _limits(dynamics, state), strict=True):
            found[row] = PricePath(price, price, price, asked, limits)
    return [found[row] for row in range(len(products))]


def _limits(dynamics: Dynamics, state: State) -> list[Limits]:
    """Return the room around the current price of every row."""
    band = dynamics.band(state)
    waits = dynamics.waits(state)
    limits = state.rows.limits
    nearest = state.price.maximum(limits.floor).minimum(limits.ceiling)
    movable = (band.low < state.price) | (state.price < band.high) | waits
    left = [hold_left(Product(dynamics, product)) for product in state.product.tolist()]
    room = (column.tolist() for column in (band.feasible | waits, band.keep, movable, nearest))
    return [Limits(*row) for row in zip(*room, left, strict=True)]
