"""Plan of price and order by stochastic model-predictive control, over demand paths from the belief.

Without spoilage the shelf is a walk reflected at zero, so a half-year of stock is a running sum and its running minimum
(Lindley 1952); spoilage only rescales it. No loop over weeks is needed for the gradient by every price and order.

A plan is a tensor ``(2, T, B)`` of the remaining weeks: price changes in shares of the largest, in [-1, 1], and orders
in weeks of usual demand. Paths ``(2, T, S, B)`` are units over those that the mean draw expects, and 1
where a delivery comes a week late.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.env.noise import cell_of
from pricerl.env.stock.shelf import LEVEL_DRIFT, Shelf, ShelfState
from pricerl.guardrails.projection import pass_through, price_box

PATHS = 16
"""Demand paths per gradient step, an even number."""
BATCHES = 4
"""Sets of paths that the steps use in turn: a plan fitted to one set would lack the stock for the others."""
FIRST_STEPS = 100
"""Gradient steps of a first plan."""
PACE = 0.15
"""First step of Adam, falling to 0: shares of the largest price change, and weeks of demand."""
DECAYS = (0.8, 0.95)
"""Decay of Adam's means of slopes and squares; shorter than usual, as a plan takes 20 steps."""


def plan_prices(state: ShelfState, plan: Tensor) -> Tensor:
    """Return the log prices ``(T, B)`` of a plan, inside the fixed guardrails."""
    limits = state.rows.limits
    box = price_box(limits, state.price)
    low = torch.minimum(box.low, state.price).log()
    high = torch.maximum(box.high, state.price).log()
    return (state.price.log() + torch.log1p(limits.change(plan[0])).cumsum(0)).clamp(low, high)


def plan_orders(state: ShelfState, plan: Tensor) -> Tensor:
    """Return the orders ``(T, B)`` of a plan, units: its running sum in whole lots, while an order still arrives."""
    stock = state.rows.stock
    weeks = torch.arange(state.week, MOST_WEEKS, device=plan.device)[:, None]
    wanted = torch.where(weeks + stock.lead_weeks < stock.season_end, plan[1] * state.rows.usual, 0.0)
    lots = torch.round(wanted.cumsum(0) / stock.lot) * stock.lot
    return pass_through(wanted, lots.diff(dim=0, prepend=torch.zeros_like(lots[:1])))


def draw_paths(shelf: Shelf, state: ShelfState, plan: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw an even number of paths from the belief, ``(2, T, S, B)``.

    Levels of today are evenly spaced quantiles in random order, later shocks of level and units antithetic.
    """
    shape = (plan.shape[1], count // 2, plan.shape[2])
    half = torch.randn(3, *shape, generator=generator, device=plan.device)
    shock = torch.cat([half, -half], 2)
    places = (torch.rand(count, shape[2], generator=generator, device=plan.device).argsort(0) + 0.5) / count
    start = state.mean + state.variance.sqrt() * torch.special.ndtri(places)
    return count_units(shelf, state, plan, start + LEVEL_DRIFT * shock[0].cumsum(0), shock[1:])


def count_units(shelf: Shelf, state: ShelfState, plan: Tensor, level: Tensor, shock: Tensor) -> Tensor:
    """Return paths at log levels ``(T, S, B)`` and normal shocks ``(2, T, S, B)``, units whole at the plan's prices."""
    expected = shelf.believe(state, plan_prices(state, plan).exp())[:, None].clamp(min=1e-9)
    units = shelf.quantiles.units(expected * level.exp(), cell_of(shock[0]), state.product)
    return torch.stack([units / expected, (torch.special.ndtr(shock[1]) < state.rows.stock.late_share).float()])


def value_plan(shelf: Shelf, state: ShelfState, plan: Tensor, paths: Tensor) -> Tensor:
    """Return the profit of a plan on every path, in money ``(S, B)``.

    On a path, an order also replaces what sold beyond the mean in the week before, as base stock does.
    """
    stock = state.rows.stock
    market = state.rows.believed
    price = plan_prices(state, plan).exp()
    demand = shelf.believe(state, price)[:, None] * paths[0]
    order = plan_orders(state, plan)
    weeks = torch.arange(len(order), device=order.device)[:, None]
    surprise = (demand - demand.mean(1, keepdim=True)).roll(1, 0) * (weeks > 0)[:, None]
    placed = (weeks - stock.lead_weeks).long()[:, None].expand_as(demand)
    ordered = (order[:, None] + surprise).clamp(min=0).gather(0, placed.clamp(min=0)) * (placed >= 0)
    known = torch.cat([torch.zeros_like(order[:1]), state.inbound, torch.zeros_like(order)])[: len(order)]
    due = ordered + known[:, None]
    on_time = (paths[1].roll(1, 0) == 0) | (weeks == 0)[:, None]
    last = torch.where(on_time, weeks[:, None], 0).cummax(0).values  # what is late comes with the next on time
    total = due.cumsum(0)
    arrived = total.gather(0, last)
    arriving = arrived.diff(dim=0, prepend=torch.zeros_like(due[:1]))
    fresh = 1 - stock.spoilage
    kept = (fresh**weeks)[:, None]
    walk = state.on_hand + ((arriving - demand) / kept).cumsum(0)
    left = (walk - walk.cummin(0).values.clamp(max=0)) * kept
    sold = torch.cat([state.on_hand.expand_as(left[:1]), fresh * left[:-1]]) + arriving - left
    ends = weeks + state.week + 1
    margin = market.contribution(market.share_paid * price, torch.ones_like(price))
    held = stock.storage_fee + stock.spoilage * market.unit_cost
    is_open = ends <= stock.season_end
    loss = torch.where(ends == stock.season_end, stock.write_off(market.unit_cost), 0.0)[:, None]
    profit = (is_open * margin)[:, None] * sold - (is_open * held)[:, None] * left
    return (profit - loss * (fresh * left + total - arrived)).sum(0)


def first_plan(shelf: Shelf, state: ShelfState) -> Tensor:
    """Return the plan to keep the price and to order what is expected to sell, with a fifth more on hand."""
    rows = state.rows
    factor = shelf.expect(state, state.price.expand(MOST_WEEKS - state.week, -1), rows.believed)
    factor = factor * state.mean.exp() / rows.usual.clamp(min=1e-9)
    weeks = torch.arange(len(factor), device=factor.device)[:, None]
    arrival = (weeks + rows.stock.lead_weeks).long()
    order = torch.where(arrival < len(factor), factor.gather(0, arrival.clamp(max=len(factor) - 1)), 0.0)
    ahead = torch.where(weeks <= rows.stock.lead_weeks, factor, 0.0).sum(0)
    order[0] = (1.2 * ahead - state.held / rows.usual.clamp(min=1e-9)).clamp(min=0)
    return torch.stack([torch.zeros_like(order), order])


@torch.enable_grad()
def improve_plan(shelf: Shelf, state: ShelfState, plan: Tensor, paths: Tensor, steps: int, batch: int) -> Tensor:
    """Climb the mean profit by Adam (Kingma and Ba 2015), each step on the next ``batch`` paths, ever shorter."""
    limits = state.rows.limits
    largest = state.rows.stock.largest_order / state.rows.usual.clamp(min=1e-9)
    scale = (state.rows.usual * state.price).clamp(min=1e-9)
    slope = torch.zeros_like(plan)
    square = torch.zeros_like(plan)
    for step in range(1, steps + 1):
        plan = plan.detach().requires_grad_()
        value = value_plan(shelf, state, plan, paths[:, :, :batch]).mean(0)
        paths = paths.roll(-batch, 2)
        (gradient,) = torch.autograd.grad((value / scale).sum(), plan)
        with torch.no_grad():
            slope = torch.lerp(gradient, slope, DECAYS[0])
            square = torch.lerp(gradient**2, square, DECAYS[1])
            size = (square / (1 - DECAYS[1] ** step)).sqrt() + 1e-8
            pace = PACE * (1 - (step - 1) / steps)
            plan = plan + pace * slope / (1 - DECAYS[0] ** step) / size
            path = torch.cat([state.price.log()[None], plan_prices(state, plan.clamp(-1, 1))]).diff(dim=0).expm1()
            change = path / limits.change(path.sign()).abs().clamp(min=1e-9)
            plan = torch.stack([change, torch.minimum(plan[1].clamp(min=0), largest)])
    return plan.detach()


@torch.no_grad()
def plan_weeks(shelf: Shelf, state: ShelfState, generator: torch.Generator) -> Tensor:
    """Return the plan of the remaining weeks, made from nothing; the generator draws the paths."""
    plan = first_plan(shelf, state)
    paths = draw_paths(shelf, state, plan, BATCHES * PATHS, generator)
    return improve_plan(shelf, state, plan, paths, FIRST_STEPS, PATHS)
