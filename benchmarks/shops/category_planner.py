"""Plans of the prices and orders of a category by model-predictive control, climbing the gradient of the env's weeks.

A plan is a tensor ``(2, T, B, K)`` of the remaining weeks: log prices over the first ones, and orders in weeks of
today's demand. It is valued on demand paths ``(S, T, B, K)``, logs of demand over the model's: one path of the believed
means is certainty equivalence. A plan of one week counts for all, which makes prices constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pricerl.env.stock.category import (
    COMMON_KEPT,
    COVER_WEEKS,
    CategoryRows,
    CategoryState,
    allow,
    attract,
    believe,
    expect,
    fill,
    sell,
    walk,
)

Paths = Callable[[CategoryState, int], Tensor]

FIRST_STEPS = 150
"""Gradient steps of a first plan."""
STEPS = 50
"""Gradient steps of a plan that goes on from the one of the week before."""
PACE = 0.05
"""First step of Adam, falling to a tenth: log price, and weeks of demand."""
ORDER_PACE = 5.0
"""Factor of the step of orders."""


def mean_path(state: CategoryState, weeks: int) -> Tensor:
    """Return the believed means of log demand, ``(1, T, B, K)``."""
    ahead = torch.arange(weeks, device=state.mean.device)[:, None, None]
    return (state.mean + COMMON_KEPT**ahead * state.common[0])[None]


def value_plan(state: CategoryState, plan: Tensor, paths: Tensor) -> Tensor:
    """Return the profit of a plan on every path, in money ``(S, B)``."""
    rows = state.rows
    shelf = (state.on_hand.expand(len(paths), -1, -1), state.inbound[:, None].expand(-1, len(paths), -1, -1))
    price = state.price
    weekly = believe(state)
    total = torch.zeros((), device=price.device)
    for ahead, log_demand in enumerate(paths.unbind(1)):
        week = state.week + ahead
        now = min(ahead, plan.shape[1] - 1)
        price = walk(rows.limits, price, rows.price * plan[0, now].exp())
        order = fill(rows, week, shelf[0] + shelf[1].sum(0), plan[1, now] * weekly)
        demand = expect(rows, week, price, shelf[0], log_demand)
        shelf, outcome = sell(rows, week, shelf, price, order, demand)
        total = total + outcome.profit.sum(-1)
    return total


def first_plan(state: CategoryState, weeks: int) -> Tensor:
    """Return the plan to keep the prices and a base stock."""
    price = (state.price / state.rows.price).log().expand(weeks, -1, -1)
    order = torch.ones_like(price)
    short = state.rows.stock.lead_weeks + COVER_WEEKS - state.held / believe(state).clamp(min=1e-6)
    order = torch.cat([short.clamp(min=0)[None], order[1:]])
    return torch.stack([price, order])


@torch.enable_grad()
def improve_plan(state: CategoryState, plan: Tensor, paths: Tensor, steps: int) -> Tensor:
    """Climb the mean profit by Adam (Kingma and Ba 2015), in ever shorter steps."""
    limits = state.rows.limits
    low = (limits.floor / state.rows.price).log()
    high = (limits.ceiling / state.rows.price).log()
    pace = PACE * torch.tensor([1.0, ORDER_PACE], device=plan.device).view(2, 1, 1, 1)
    slope = torch.zeros_like(plan)
    square = torch.zeros_like(plan)
    for step in range(1, steps + 1):
        plan = plan.detach().requires_grad_()
        value = (value_plan(state, plan, paths).mean(0) / state.rows.scale).sum()
        (gradient,) = torch.autograd.grad(value, plan)
        with torch.no_grad():
            slope = torch.lerp(gradient, slope, 0.8)
            square = torch.lerp(gradient**2, square, 0.95)
            size = (square / (1 - 0.95**step)).sqrt() + 1e-8
            plan = plan + pace * (1 - 0.9 * step / steps) * slope / (1 - 0.8**step) / size
            plan = torch.stack([plan[0].clamp(low, high), plan[1].clamp(min=0)])
    return plan.detach()


def alone(state: CategoryState) -> CategoryState:
    """Return each product as a category of its own, ``(B * K, 1)``, whose rivals keep their prices and never empty."""
    count, products = state.mean.shape

    def split(record: Any) -> Any:
        if isinstance(record, Tensor):
            if record.shape[-2:] == (count, products):
                return record.flatten(-2)[..., None]
            return record.repeat_interleave(products, -1 if record.dim() == 1 else -2)
        return type(record)(*map(split, record)) if isinstance(record, tuple) else record

    attraction = attract(state.rows, state.price)
    outside = state.rows.outside[:, None] + attraction.sum(1, keepdim=True) - attraction
    found: CategoryState = split(state)
    rows: CategoryRows = found.rows._replace(outside=outside.flatten())
    return found._replace(rows=rows)


class CategoryPlanner:
    """A policy that plans anew every week, from its plan of the week before.

    Args:
        separate: whether each product is planned on its own.
        foresee: function of state and weeks that returns demand paths ``(S, T, B, K)``.
        steps: gradient steps of the first plan and of later ones.
    """

    def __init__(
        self, separate: bool = False, foresee: Paths = mean_path, steps: tuple[int, int] = (FIRST_STEPS, STEPS)
    ) -> None:
        self.separate = separate
        self.foresee = foresee
        self.steps = steps
        self._plan: Tensor | None = None

    @torch.no_grad()
    def __call__(self, state: CategoryState) -> tuple[Tensor, Tensor]:
        """Return allowed prices in money and orders in units of a week, ``(B, K)`` each."""
        seen = alone(state) if self.separate else state
        weeks = int(state.rows.stock.season_end.max()) - state.week
        paths = self.foresee(seen, weeks)
        plan = self._plan
        if plan is None or plan.shape[1] != weeks + 1:
            plan = improve_plan(seen, first_plan(seen, weeks), paths, self.steps[0])
        else:
            plan = improve_plan(seen, plan[:, 1:], paths, self.steps[1])
        self._plan = plan
        price = seen.rows.price * plan[0, 0].exp()
        order = plan[1, 0] * believe(seen)
        return allow(state, price.view_as(state.mean), order.view_as(state.mean))
