"""Planner for buyers who remember prices: value iteration over the current price and the reference price.

With such buyers no constant price is optimal: a rise costs sales until they are used to it, so a smaller rise pays more
(Fibich, Gavious and Lowengart 2003; Popescu and Wu 2007). The two prices are the whole state except for the last week,
which the weekly cap and the penalty on sales depend on. The plan takes each day as typical of its week and ignores the
cap, which still applies when the plan is followed. Products are planned in one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.state import State
from pricerl.guardrails.limits import GuardedProduct, is_small
from pricerl.guardrails.projection import nearest_on_grid, project
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift
from pricerl.planner.constant_price import best_constant_price, candidate_prices, value_average_day

SIZES = (41, 61, 81, 101, 121)
"""Numbers of prices of a grid: the smallest one in which the largest change spans five steps. Products with grids of
one size are planned in one batch, so that a product's plan does not depend on the others."""

SMALLEST_RANGE = 1e-6
"""Smallest range of log prices, so that a product with one allowed price has a grid, too."""

RISES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.13, 0.2, 0.35)
"""Log rises above (and below) the reference price at which rewards are computed; linear in between. Far ones are seldom
reached under caps on a change, and plans end at 0, which is exact."""

CONVERGED = 1e-6
"""Change of the values, in rewards, at which the iteration ends."""


class Grids(NamedTuple):
    """Evenly spaced log prices of every product, ascending; the last one is repeated up to the size of the largest."""

    log_price: Tensor
    """``(P, G)``."""
    step: Tensor
    """``(P,)`` distance between two of them."""
    size: Tensor
    """``(P,)`` number of different prices."""

    def find(self, product: Tensor, log_price: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index at or below log prices ``(B, ...)``, and the fraction of the step above it, in [0, 1]."""
        shape = (-1, *[1] * (log_price.dim() - 1))
        distance = (log_price - self.log_price[product, 0].view(shape)) / self.step[product].view(shape)
        left = distance.floor().clamp(min=0).minimum(self.size[product].view(shape) - 2)
        return left.long(), (distance - left).clamp(0, 1)


@dataclass(frozen=True)
class DynamicPlan:
    """Optimal next price ``(B,)``, in money, of states ``(B,)``, inside their feasible bands."""

    dynamics: Dynamics
    grids: Grids
    value: Tensor
    """``(P, G, G)`` discounted reward at a reference price (row) of a next price (column), then of the optimal plan."""
    constant: Tensor
    """``(P,)`` price that replaces the plan of a product, in money; NaN for products with a plan."""
    notes: tuple[str, ...]
    """One sentence per product without a plan: finding and replacement."""

    @torch.no_grad()
    def __call__(self, state: State) -> Tensor:
        """Return the price of the highest value: the current one, a grid price in the feasible band, or its edge."""
        band = self.dynamics.band(state)
        values = self._values(state)
        now, low, high = (price[:, None] for price in (state.price, band.low, band.high))
        edges = torch.cat([now, low, high], 1)
        prices = torch.cat([edges, self.grids.log_price[state.product].exp().to(now.dtype)], 1)
        worth = torch.cat([self._interpolate(state, values, edges), values], 1)
        if band.limits.skips:  # few prices are allowed, and the grid's are others
            prices = torch.stack([project(price, state.price, band) for price in prices.T], 1)
            worth = self._interpolate(state, values, prices)
        small = is_small(prices.T, state.price, band.limits).T  # such a change is none
        excluded = (prices < low) | (prices > high) | small
        excluded[:, 0] = False
        best = worth.masked_fill_(excluded, -torch.inf).argmax(1, keepdim=True)
        replaced = self.constant[state.product]
        return project(torch.where(replaced.isnan(), prices.gather(1, best)[:, 0], replaced), state.price, band)

    def _values(self, state: State) -> Tensor:
        """Return the values ``(B, G)`` of all grid prices at the states' reference prices, by interpolation."""
        row, share = self.grids.find(state.product, state.log_reference_price.double())
        values = self.value.flatten(0, 1)
        first = state.product * self.value.shape[1] + row
        return torch.lerp(values[first], values[first + 1], share[:, None])

    def _interpolate(self, state: State, values: Tensor, price: Tensor) -> Tensor:
        """Interpolate the grid prices' values ``(B, G)`` linearly at log prices ``(B, N)``."""
        left, share = self.grids.find(state.product, price.double().log())
        return torch.lerp(values.gather(1, left), values.gather(1, left + 1), share)


@torch.no_grad()
def plan_dynamically(dynamics: Dynamics, step_discount: float) -> DynamicPlan:
    """Solve for the plan of the highest posterior-mean reward by value iteration, for all products at once.

    The best constant price replaces the plan of a product for which that fails. ``step_discount`` is for one
    decision; its days are not discounted against each other, as in SAC.
    """
    grids = _price_grids(dynamics)
    width = grids.log_price.shape[1]
    failures = _find_infeasible(dynamics, grids)
    value = grids.log_price.new_zeros(len(grids.step), width, width)
    for size in sorted(set(grids.size.tolist())):
        products = (grids.size == size).nonzero()[:, 0]
        alike = Grids(grids.log_price[products, :size], grids.step[products], grids.size[products])
        rewards = [_rewards(dynamics, *pair) for pair in zip(products.tolist(), alike.log_price, strict=True)]
        reward = torch.stack(rewards)
        for row in products[~reward.isfinite().all((1, 2))].tolist():
            failures.setdefault(row, "rewards of the plan are not finite, so the best constant price replaces it")
        solved = _iterate(dynamics, products, alike, reward.nan_to_num(0.0, 0.0, 0.0), step_discount).mT
        edges = torch.arange(width, device=solved.device).clamp(max=size - 1)
        value[products] = solved[:, edges][:, :, edges]
    constant = torch.full_like(grids.step, torch.nan, dtype=dynamics.history.price.dtype)
    if failures:
        best = best_constant_price(dynamics)
        price = torch.where(best.value.isfinite(), best.price, dynamics.history.current_price())
        constant[[*failures]] = price[[*failures]]
    names = dynamics.market.preprocessor.names
    notes = tuple(f"{names[row]}: {why}" for row, why in sorted(failures.items()))
    return DynamicPlan(dynamics, grids, value, constant, notes)


def _price_grids(dynamics: Dynamics) -> Grids:
    """Return evenly spaced log prices over each product's feasible and latest prices and its reference price."""
    history = dynamics.history
    remembered = history.log_reference_price[history.offset + history.num_days - 1].exp()
    products = [Product(dynamics, index) for index in range(dynamics.market.num_products)]
    low, high = torch.stack([_price_range(product, remembered[product.rows()]) for product in products], 1)
    sizes = [_grid_size(*pair) for pair in zip(dynamics.guarded, (high - low).tolist(), strict=True)]
    size = torch.tensor(sizes, device=low.device)
    point = torch.arange(max(sizes), device=low.device).minimum(size[:, None] - 1)
    step = (high - low) / (size - 1)
    return Grids(low[:, None] + step[:, None] * point, step, size)


def _price_range(product: Product, remembered: Tensor) -> Tensor:
    """Return lowest and highest log price ``(2,)`` of a product's grid, in double precision."""
    latest = product.money(product.history.prices_in_force[-14:])
    prices = torch.cat([candidate_prices(product), latest, remembered]).double()
    low = prices.min().log()
    return torch.stack([low, torch.maximum(prices.max().log(), low + SMALLEST_RANGE)])


def _grid_size(guarded: GuardedProduct, width: float) -> int:
    """Return the number of prices of a grid that is ``width`` wide, in logs."""
    needed = math.ceil(5 * width / max(_largest_change(guarded), SMALLEST_RANGE)) + 1
    return next((size for size in SIZES if size >= needed), SIZES[-1])


def _largest_change(guarded: GuardedProduct) -> float:
    """Return the largest change of a product's price, in logs."""
    return math.log1p(max(guarded.config.rise, guarded.config.drop))


def _rewards(dynamics: Dynamics, product: int, log_price: Tensor) -> Tensor:
    """Return the posterior-mean reward of a decision per next price and reference price, ``(G, G)``; see ``RISES``."""
    market = dynamics.market
    gain, loss = (values[product, : market.num_draws] for values in (market.memory_gain, market.memory_loss))
    prices = log_price.exp().to(gain.dtype)
    if dynamics.limits.gaps is not None:  # no price lies in them
        prices = nearest_on_grid(prices, dynamics.limits.rows(prices.new_full(prices.shape, product, dtype=torch.long)))
    level = value_average_day(Product(dynamics, product), prices)[0].double()
    rises = [*RISES, max(RISES[-1] + 0.1, float(log_price[-1] - log_price[0]))]  # the last is the farthest
    below, above = (
        level[~moved].sum(0) + _sum_rewards(dynamics, product, prices, moved, [sign * rise for rise in rises])
        for sign, moved in ((-1, gain > 0), (1, loss > 0))  # in other draws, prices on that side change no demand
    )
    table = torch.cat([below.flip(0), level.sum(0, keepdim=True), above]).T / len(gain)
    points = torch.tensor([*(-rise for rise in rises[::-1]), 0.0, *rises], device=table.device, dtype=table.dtype)
    total = table.new_zeros(len(log_price), len(log_price))
    for share in fade(dynamics.days_per_step, log_price.device, dynamics.history.step_days).flatten().tolist():
        rise = share * (log_price[:, None] - log_price)
        right = torch.searchsorted(points, rise.contiguous()).clamp(1, len(points) - 1)
        between = (rise - points[right - 1]) / (points[right] - points[right - 1])
        total += torch.lerp(table.gather(1, right - 1), table.gather(1, right), between)
    return total


def _sum_rewards(dynamics: Dynamics, product: int, price: Tensor, chosen: Tensor, rises: list[float]) -> Tensor:
    """Return a day's reward, summed over the draws ``chosen (K,)``, ``(R, G)`` at each log rise above the reference."""
    draw = chosen.nonzero()
    if not len(draw):
        return price.new_zeros(len(rises), len(price), dtype=torch.float64)
    own = torch.full((1, 1), product, device=draw.device)
    gain, loss = (values[own, draw] for values in (dynamics.market.memory_gain, dynamics.market.memory_loss))
    parts = torch.split(price.new_tensor(rises), max(1, 50_000 // (len(draw) * len(price))))  # bounds the memory
    lifts = (lift(part[:, None, None], gain, loss) for part in parts)
    return torch.cat([dynamics.constant_price(price, own, draw, item)[0].sum(1, dtype=torch.float64) for item in lifts])


def _iterate(dynamics: Dynamics, products: Tensor, grids: Grids, reward: Tensor, step_discount: float) -> Tensor:
    """Return the discounted reward ``(N, G, G)`` of each next price and reference price, then of the best plan.

    ``products (N,)`` have grids of one size and the ``reward (N, G, G)`` of one decision. Every product stops at its
    own convergence. The middle of the changes is extrapolated to all later iterations, so that only differences between
    states take time to converge (MacQueen 1966; Porteus 1971).
    """
    kept = REFERENCE_MEMORY ** (dynamics.days_per_step * dynamics.history.step_days)
    rows = torch.arange(len(reward), device=reward.device)
    following = grids.log_price[:, :, None] * (1 - kept) + grids.log_price[:, None] * kept
    column, share = grids.find(rows, following)
    reachable = _reachable(dynamics, products, grids)
    value = torch.zeros_like(reward)
    solved = torch.empty_like(reward)
    while len(rows):
        worth = reward + step_discount * torch.lerp(value.gather(2, column), value.gather(2, column + 1), share)
        best = worth.amax(1, keepdim=True).expand_as(worth) if reachable is None else _best_within(worth, reachable)
        change = best - value
        low = change.amin((1, 2), keepdim=True)
        high = change.amax((1, 2), keepdim=True)
        value = best + 0.5 * (low + high) * step_discount / (1 - step_discount)
        left = torch.maximum(-low, high).flatten() >= CONVERGED
        if not left.all():
            solved[rows[~left]] = worth[~left]
            rows, reward, value, column, share = (item[left] for item in (rows, reward, value, column, share))
            reachable = None if reachable is None else reachable[left]
    return solved


def _best_within(worth: Tensor, reachable: Tensor) -> Tensor:
    """Return the highest value ``worth (P, G, G)`` of a next price (axis 1) within reach of each current price."""
    size = worth.shape[1]
    best = torch.full_like(worth, -torch.inf)
    for move, allowed in enumerate(reachable.T, -(reachable.shape[1] // 2)):
        moved = worth[:, max(move, 0) : size + min(move, 0)]
        if not allowed.all():
            moved = torch.where(allowed[:, None, None], moved, -torch.inf)
        target = best[:, max(-move, 0) : size - max(move, 0)]
        torch.maximum(target, moved, out=target)
    return best


def _reachable(dynamics: Dynamics, products: Tensor, grids: Grids) -> Tensor | None:
    """Return whether one decision can move by ``-M`` to ``M`` grid prices, ``(N, 2 M + 1)`` bool, or None if by any."""
    if dynamics.config.action == "absolute":
        return None
    most = grids.log_price.shape[1] - 1
    ratio = (torch.arange(-most, most + 1, device=grids.step.device) * grids.step[:, None]).exp()
    limits = dynamics.limits.rows(products)
    sign = ratio.new_ones(len(ratio))
    drop, rise = (limits.change(side)[:, None] * (1 + 1e-4) for side in (-sign, sign))  # up to rounding
    inside = (ratio >= 1 + drop) & (ratio <= 1 + rise)
    small = is_small(ratio.T, sign, limits).T
    found = (inside & ~small) | (ratio == 1)
    widest = int(found.any(0).nonzero().sub(most).abs().max())
    return found[:, most - widest : most + widest + 1]


def _find_infeasible(dynamics: Dynamics, grids: Grids) -> dict[int, str]:
    """Return the products whose guardrails leave no plan, by index, each with finding and replacement."""
    start = dynamics.start(*dynamics.history.latest())
    feasible = dynamics.band(start).feasible | dynamics.waits(start)
    largest = map(_largest_change, dynamics.guarded)
    coarse = {
        row: f"the planner's grid of {SIZES[-1]} prices is too coarse for changes of at most "
        f"{math.expm1(change):.2%} (data.guardrails), so the best constant price replaces the plan"
        for row, (change, step) in enumerate(zip(largest, grids.step.tolist(), strict=True))
        if dynamics.config.action == "step" and 0 < change < step
    }
    stuck = "the planner finds no allowed price within one step (data.guardrails), so it keeps the price"
    return coarse | dict.fromkeys((~feasible).nonzero()[:, 0].tolist(), stuck)
