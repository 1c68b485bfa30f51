"""The planner for buyers who remember prices: dynamic programming on the price and the price they are used to.

A constant price is not the best plan there: a rise costs sales until buyers are used to it, so it pays to stop sooner
(Fibich, Gavious and Lowengart 2003; Popescu and Wu 2007). Price and reference price are all that matters for the days
ahead, but for the week behind, on which the weekly cap and the penalty on sales look: the plan counts every day as the
week, and whoever follows it is held back by the cap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pricerl.env import Dynamics, State
from pricerl.evaluation.planner import candidate_prices
from pricerl.guardrails import project
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift

STEPS_A_CHANGE = 5
"""Places on the price grid within one largest change."""
NUM_PRICES = (41, 121)
"""Fewest and most places on the price grid."""
TOLERANCE = 1e-4
"""Values are iterated until none changes by more than this, in units of reward."""


@dataclass(frozen=True)
class DynamicPlan:
    """The best next price of one product, for every price now and every reference price.

    Called with a state it returns the price to charge, inside that state's feasible band, ``(B,)`` money.
    """

    dynamics: Dynamics
    log_price: Tensor
    """``(G,)`` ascending, evenly spaced: next prices and reference prices."""
    value: Tensor
    """``(G, G)`` discounted reward of a next price (row) from a reference price (column), best plan after it."""

    @torch.no_grad()
    def __call__(self, state: State) -> Tensor:
        """Take the price of the highest value among the grid's prices inside today's band and the current price."""
        band = self.dynamics.band(state)
        grid = self.log_price.exp().expand(len(state.price), -1)
        candidates = torch.cat([state.price[:, None], torch.clamp(grid, band.low[:, None], band.high[:, None])], 1)
        value = self._look_up(candidates.log(), state.log_reference_price[:, None].expand_as(candidates))
        chosen = candidates.gather(1, value.argmax(1, keepdim=True))[:, 0]
        return project(chosen, state.price, band)

    def _look_up(self, log_price: Tensor, usual: Tensor) -> Tensor:
        """Values at log prices and reference prices of any shape, interpolated in both."""
        row, row_share = _places(log_price, self.log_price)
        column, column_share = _places(usual, self.log_price)
        below, above = (
            torch.lerp(self.value[side, column], self.value[side, column + 1], column_share) for side in (row, row + 1)
        )
        return torch.lerp(below, above, row_share)


@torch.no_grad()
def plan_dynamically(dynamics: Dynamics, product: int, gamma: float) -> DynamicPlan:
    """Iterate values until they stand still.

    Args:
        dynamics: the market with its reward and guardrails.
        product: product index; its reward is the mean over the posterior draws.
        gamma: discount of a day; the days of one decision count alike, as they do for SAC.
    """
    log_price = _price_grid(dynamics, product)
    days = dynamics.days_per_step
    reward = _rewards(dynamics, product, log_price)
    kept = REFERENCE_MEMORY**days
    column, share = _places(log_price[:, None] * (1 - kept) + log_price * kept, log_price)
    reachable = _reachable(dynamics, product, log_price)
    value = torch.zeros_like(reward)
    while True:
        following = torch.lerp(value.gather(1, column), value.gather(1, column + 1), share)
        worth = reward + gamma**days * following
        best = torch.where(reachable[:, :, None], worth[None], -torch.inf).amax(1)
        change, value = float((best - value).abs().max()), best
        if change < TOLERANCE:
            return DynamicPlan(dynamics, log_price, worth)


def _price_grid(dynamics: Dynamics, product: int) -> Tensor:
    """Log prices from the lowest to the highest that the product may have, ``(G,)``."""
    history = dynamics.market.preprocessor.products[product]
    prices = torch.cat([candidate_prices(dynamics, product), dynamics.history.price.new_tensor(history.price[-14:])])
    low, high = float(prices.min().log()), float(prices.max().log())
    rails = dynamics.guardrails.of(history.product)
    step = math.log1p(max(rails.rise, rails.drop)) / STEPS_A_CHANGE
    count = min(max(math.ceil((high - low) / step) + 1, NUM_PRICES[0]), NUM_PRICES[1])
    return torch.linspace(low, high, count, device=prices.device)


def _rewards(dynamics: Dynamics, product: int, log_price: Tensor) -> Tensor:
    """Reward of a decision for every next price (rows) and reference price (columns), mean over the draws, ``(G, G)``.

    One reference price at a time, so that memory does not grow with their product.
    """
    num_draws = dynamics.market.num_draws
    draw = torch.arange(num_draws, device=log_price.device).repeat_interleave(len(log_price))
    rows = dynamics.rows(torch.full_like(draw, product), draw)
    repeated = log_price.repeat(num_draws)
    price = repeated.exp()
    position = dynamics.market.grid_position(price, rows.market)
    level = dynamics.market.average_day_at(price, position, rows.market)
    left = fade(dynamics.days_per_step, price.device)
    columns = []
    for usual in log_price:
        lifted = lift((repeated - usual) * left, rows.market.memory_gain, rows.market.memory_loss)
        day = level._replace(expected_units=level.expected_units * lifted, sales=level.sales * lifted)
        score = dynamics.score(rows, price, position, day, day.sales / rows.references.sales)
        columns.append(score.sum(0).view(num_draws, -1).mean(0))
    return torch.stack(columns, 1)


def _reachable(dynamics: Dynamics, product: int, log_price: Tensor) -> Tensor:
    """Which next price (columns) one decision leads to from each price now (rows), ``(G, G)`` bool."""
    if dynamics.config.action == "absolute":
        return torch.ones(len(log_price), len(log_price), dtype=torch.bool, device=log_price.device)
    change = (log_price - log_price[:, None]).expm1()
    rails = dynamics.guardrails.of(dynamics.market.preprocessor.names[product])
    inside = (change >= -rails.drop * (1 + 1e-4)) & (change <= rails.rise * (1 + 1e-4))
    return (change == 0) | ((change.abs() >= rails.min_change) & inside)


def _places(values: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Grid point at or below each value, and the share of the step beyond it in [0, 1]."""
    distance = (values - grid[0]) / (grid[1] - grid[0])
    left = distance.floor().clamp(0, len(grid) - 2)
    return left.long(), (distance - left).clamp(0, 1)
