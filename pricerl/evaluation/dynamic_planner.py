"""Planner for buyers who remember prices: value iteration over the current price and the reference price.

With such buyers no constant price is optimal: a rise costs sales until they are used to it, so a smaller rise pays more
(Fibich, Gavious and Lowengart 2003; Popescu and Wu 2007). The two prices are the whole state except for the last week,
which the weekly cap and the penalty on sales depend on. The plan takes each day as typical of its week and ignores the
cap, which still applies when the plan is followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pricerl.env import Dynamics, State
from pricerl.evaluation.planner import candidate_prices
from pricerl.guardrails import project
from pricerl.guardrails.limits import is_small
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift


@dataclass(frozen=True)
class DynamicPlan:
    """Optimal next price of one product for every current price and reference price.

    Called with states, it returns the prices to charge, ``(B,)`` money, inside the feasible band of each state.
    """

    dynamics: Dynamics
    log_price: Tensor
    """``(G,)`` grid of next prices and reference prices, ascending and evenly spaced."""
    value: Tensor
    """``(G, G)`` discounted reward of a next price (row) at a reference price (column), then of the optimal plan."""

    @torch.no_grad()
    def __call__(self, state: State) -> Tensor:
        """Return the price of the highest value: the current one or a grid price inside the feasible band."""
        band = self.dynamics.band(state)
        grid = self.log_price.exp().expand(len(state.price), -1)
        candidates = torch.cat([state.price[:, None], torch.clamp(grid, band.low[:, None], band.high[:, None])], 1)
        value = self._look_up(candidates.log(), state.log_reference_price[:, None].expand_as(candidates))
        chosen = candidates.gather(1, value.argmax(1, keepdim=True))[:, 0]
        return project(chosen, state.price, band)

    def _look_up(self, log_price: Tensor, log_reference: Tensor) -> Tensor:
        """Interpolate the values linearly at log prices and log reference prices of one shape."""
        row, row_share = _grid_positions(log_price, self.log_price)
        column, column_share = _grid_positions(log_reference, self.log_price)
        below, above = (
            torch.lerp(self.value[side, column], self.value[side, column + 1], column_share) for side in (row, row + 1)
        )
        return torch.lerp(below, above, row_share)


@torch.no_grad()
def plan_dynamically(dynamics: Dynamics, product: int, gamma: float) -> DynamicPlan:
    """Solve for the plan of the highest posterior-mean reward by value iteration.

    ``gamma`` is the discount per day; the days of one decision are not discounted against each other, as in SAC.
    """
    log_price = _price_grid(dynamics, product)
    days = dynamics.days_per_step
    reward = _rewards(dynamics, product, log_price)
    kept = REFERENCE_MEMORY ** (days * dynamics.history.step_days)
    column, share = _grid_positions(log_price[:, None] * (1 - kept) + log_price * kept, log_price)
    reachable = _reachable(dynamics, product, log_price)
    value = torch.zeros_like(reward)
    while True:
        following = torch.lerp(value.gather(1, column), value.gather(1, column + 1), share)
        worth = reward + gamma**days * following
        best = torch.where(reachable[:, :, None], worth[None], -torch.inf).amax(1)
        change, value = float((best - value).abs().max()), best
        if change < 1e-4:  # in units of reward
            return DynamicPlan(dynamics, log_price, worth)


def _price_grid(dynamics: Dynamics, product: int) -> Tensor:
    """Return 41 to 121 evenly spaced log prices over the product's feasible and latest prices, ``(G,)``."""
    history = dynamics.market.preprocessor.products[product]
    latest = dynamics.history.price.new_tensor(history.prices_in_force[-14:])
    prices = torch.cat([candidate_prices(dynamics, product), latest])
    low, high = float(prices.min().log()), float(prices.max().log())
    rails = dynamics.guardrails.of(history.product)
    step = math.log1p(max(rails.rise, rails.drop)) / 5  # the largest change spans five steps
    count = min(max(math.ceil((high - low) / step) + 1, 41), 121)
    return torch.linspace(low, high, count, device=prices.device)


def _rewards(dynamics: Dynamics, product: int, log_price: Tensor) -> Tensor:
    """Return the posterior-mean reward of a decision, ``(G, G)``, per next price (row) and reference price (column).

    Reference prices are computed one at a time to save memory.
    """
    num_draws = dynamics.market.num_draws
    draw = torch.arange(num_draws, device=log_price.device).repeat_interleave(len(log_price))
    rows = dynamics.rows(torch.full_like(draw, product), draw)
    repeated = log_price.repeat(num_draws)
    price = repeated.exp()
    position = dynamics.market.grid_position(price, rows.market)
    level = dynamics.market.average_day_at(price, position, rows.market)
    left = fade(dynamics.days_per_step, price.device, dynamics.history.step_days)
    columns = []
    for log_reference in log_price:
        lifted = lift((repeated - log_reference) * left, rows.market.memory_gain, rows.market.memory_loss)
        day = level._replace(expected_units=level.expected_units * lifted, sales=level.sales * lifted)
        score = dynamics.score(rows, price, position, day, day.sales / rows.references.sales)
        columns.append(score.sum(0).view(num_draws, -1).mean(0))
    return torch.stack(columns, 1)


def _reachable(dynamics: Dynamics, product: int, log_price: Tensor) -> Tensor:
    """Return which next prices (columns) one decision can reach from each current price (rows), ``(G, G)`` bool."""
    price, current = log_price.exp(), log_price.exp()[:, None]
    if dynamics.config.action == "absolute":
        return torch.ones_like(price * current, dtype=torch.bool)
    limits = dynamics.limits.rows(torch.tensor([product], device=price.device))
    largest = limits.change(price.new_tensor([-1.0, 1.0])) * (1 + 1e-4)  # drop and rise, up to rounding
    inside = (price >= current * (1 + largest[0])) & (price <= current * (1 + largest[1]))
    return (price == current) | (inside & ~is_small(price, current, limits))


def _grid_positions(values: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of the grid point at or below each value, and the fraction of the step above it, in [0, 1]."""
    distance = (values - grid[0]) / (grid[1] - grid[0])
    left = distance.floor().clamp(0, len(grid) - 2)
    return left.long(), (distance - left).clamp(0, 1)
