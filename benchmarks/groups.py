"""Groups of products with nested logit demand, a shared stock and a shared discount budget, and their planners.

    python benchmarks/groups.py --sizes 2 4 8

An order of fixed size arrives every 14 days; the discount budget is the money that may be given away below list prices
in 28 days. Prices are shares of the list price. Stock left at the end keeps its unit cost. Demand, orders and budget
are known to all plans, which are judged on the same episodes with the same uniform random numbers behind the sales.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from runner import Option, compute_alone, read_options
from torch import Tensor

DAYS, REPLENISHMENT = 28, 14
LOW, HIGH = 0.6, 1.2
"""Range of prices as shares of the list price."""
WEEK = torch.tensor([0.8, 0.8, 0.9, 1.0, 1.1, 1.3, 1.1])
"""Customers of the weekdays relative to their mean."""
STOCK_POINTS, BUDGET_POINTS = 81, 31
START_STOCK, START_BUDGET = (0.4, 1.2), (0.1, 0.8)
"""Ranges of the first stock in orders, and of the budget in discounts of the prices without limits."""

Plan = Callable[[int, Tensor, Tensor], Tensor]
"""Function from day, stock ``(B,)`` and budget ``(B,)`` to prices ``(B, N)`` as shares of the list price."""


class Group(NamedTuple):
    """N products in nests of two; prices are shares of the list price."""

    listed: Tensor
    """List prices ``(N,)``."""
    cost: Tensor
    """Unit costs ``(N,)``."""
    appeal: Tensor
    """Utility at the list price, before division by the nest's dissimilarity, ``(N,)``."""
    slope: Tensor
    """Loss of utility per list price, ``(N,)``."""
    dissimilarity: float = 0.6

    def shares(self, price: Tensor) -> Tensor:
        """Return the probabilities ``(..., N)`` that a customer buys each product at ``price (..., N)``."""
        utility = (self.appeal - self.slope * (price - 1)) / self.dissimilarity
        nests = utility.unflatten(-1, (-1, 2))
        value = self.dissimilarity * nests.logsumexp(-1)
        outside = torch.zeros_like(value[..., :1])
        chosen = torch.cat([value, outside], -1).softmax(-1)[..., :-1]
        return (nests.softmax(-1) * chosen[..., None]).flatten(-2)

    def rates(self, price: Tensor) -> Tensor:
        """Return expected units, profit and discount ``(..., N, 3)`` per customer."""
        units = self.shares(price)
        off = (1 - price).clamp_min(0) * self.listed
        return torch.stack([units, units * (price * self.listed - self.cost), units * off], -1)


def draw_group(size: int, seed: int) -> Group:
    """Draw a group of products, whose best prices without limits are below the list prices."""
    generator = torch.Generator().manual_seed(1000 * size + seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    listed = uniform(15.0, 30.0)
    return Group(listed, listed * uniform(0.4, 0.55), uniform(-0.5, 0.5) - np.log(size), uniform(4.0, 7.0))


def respond(group: Group, grid: Tensor, stock_price: Tensor, budget_price: Tensor, sweeps: int = 6) -> Tensor:
    """Return the best prices ``(K, N)`` for shadow prices ``(K,)`` of stock and budget, by coordinate ascent."""
    size = len(group.listed)
    weights = torch.stack([-stock_price, torch.ones_like(stock_price), -budget_price], -1)
    best = torch.ones(len(stock_price), size)
    for _ in range(sweeps):
        for product in range(size):
            trial = best[:, None].repeat(1, len(grid), 1)
            trial[..., product] = grid
            value = torch.einsum("kgnr,kr->kg", group.rates(trial), weights)
            best = trial[torch.arange(len(best)), value.argmax(-1)]
    return best


class Problem(NamedTuple):
    """A group with its limits and the price vectors that planners choose from."""

    group: Group
    order: float
    """Units per delivery."""
    budget: float
    """Discounts in 28 days of the prices without limits."""
    table: Tensor
    """Price vectors of pairs of shadow prices ``(K, N)``."""
    customers: Tensor
    """Expected customers of the days, ``(28,)``."""

    @property
    def axes(self) -> tuple[Tensor, Tensor]:
        """Grids of stock and budget."""
        return (
            torch.linspace(0, (1 + START_STOCK[1]) * self.order, STOCK_POINTS),
            torch.linspace(0, START_BUDGET[1] * self.budget, BUDGET_POINTS),
        )


def pose(group: Group, customers: float) -> Problem:
    """Return the problem of a group: the order covers 0.9 of the sales at the best prices without limits.

    Args:
        group: of N products.
        customers: mean per day and product.
    """
    grid = torch.linspace(LOW, HIGH, 61)
    none = torch.zeros(1)
    units, _, discount = group.rates(respond(group, grid, none, none)[0]).sum(0).tolist()
    daily = customers * len(group.listed) * WEEK.repeat(DAYS // 7)
    scale = float((group.listed - group.cost).mean())
    stock = torch.cat([torch.linspace(0, 1, 13), torch.tensor([1.2, 1.5, 2.0, 3.0])]) * scale
    budget = torch.cat([torch.linspace(0, 1, 17), torch.tensor([1.2, 1.5, 2.0, 1e3])])
    pairs = torch.cartesian_prod(stock, budget)
    table = torch.unique(respond(group, grid, pairs[:, 0], pairs[:, 1]), dim=0)
    order = round(0.9 * units * float(daily[:REPLENISHMENT].sum()))
    return Problem(group, order, discount * float(daily.sum()), table, daily)


def interpolate(values: Tensor, problem: Problem, stock: Tensor, budget: Tensor) -> Tensor:
    """Return ``values (S, D, ...)`` on the axes at stock and budget ``(B,)``, bilinearly, ``(B, ...)``."""
    places = []
    for axis, at in zip(problem.axes, (stock, budget), strict=True):
        place = (at / axis[-1] * (len(axis) - 1)).clamp(0, len(axis) - 1)
        low = place.long().clamp_max(len(axis) - 2)
        places.append((low, (place - low).reshape(-1, *[1] * (values.ndim - 2))))
    (row, up), (column, right) = places
    lower = values[row, column] * (1 - right) + values[row, column + 1] * right
    upper = values[row + 1, column] * (1 - right) + values[row + 1, column + 1] * right
    return lower * (1 - up) + upper * up


def fluid_table(problem: Problem, rates: Tensor, share: float = 1.0) -> Tensor:
    """Return the index of the price vector that the fluid plan charges, ``(28, S, D)``.

    The plan keeps one vector until the delivery and one after it. Sales end with the stock; plans whose expected
    discounts exceed the budget are not allowed.

    Args:
        problem: of which stock and budget are used.
        rates: expected units, profit and discount per customer of K vectors ``(K, 3)``.
        share: part of stock, order and budget that the plan may use.
    """
    units, profit, discount = rates.T.clone()
    units = units.clamp_min(1e-9)
    stock, budget = (share * axis for axis in problem.axes)

    def stage(customers: Tensor, stock: Tensor, budget: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        part = (stock / (customers * units)).clamp_max(1) * customers
        spent = part * discount
        gain = torch.where(spent <= budget + 1e-6, part * profit, -torch.inf)
        return gain, stock - part * units, budget - spent

    chosen = []
    for day in range(DAYS):
        left = problem.customers[day:]
        if day >= REPLENISHMENT:
            gain, _, _ = stage(left.sum(), stock[:, None, None], budget[:, None])
            chosen.append(gain.argmax(-1))
            continue
        before, after = left[: REPLENISHMENT - day].sum(), left[REPLENISHMENT - day :].sum()
        found = []
        for amount in stock:
            gain, rest, left_over = stage(before, amount, budget[:, None])
            rest = rest + share * problem.order
            later = stage(after, rest[..., None], left_over[..., None])[0].amax(-1)
            found.append((gain + later).argmax(-1))
        chosen.append(torch.stack(found))
    return torch.stack(chosen)


def joint_greedy(problem: Problem) -> Plan:
    """Return daily fluid replanning of all products over the table of price vectors."""
    prices = problem.table[fluid_table(problem, problem.group.rates(problem.table).sum(1))]
    return lambda day, stock, budget: interpolate(prices[day], problem, stock, budget)


def alone(problem: Problem) -> Plan:
    """Return fluid replanning of each product, with others at list price and its share of stock and budget."""
    size = len(problem.group.listed)
    grid = torch.linspace(LOW, HIGH, 61)
    units = problem.group.shares(torch.ones(size))
    share = units / units.sum()
    prices = []
    for product in range(size):
        vectors = torch.ones(len(grid), size)
        vectors[:, product] = grid
        rates = problem.group.rates(vectors)[:, product]
        prices.append(grid[fluid_table(problem, rates, float(share[product]))])
    stacked = torch.stack(prices, -1)
    return lambda day, stock, budget: interpolate(stacked[day], problem, stock, budget)


def joint_dynamic(problem: Problem, vectors: Tensor) -> Plan:
    """Return dynamic programming over day, stock and budget with price vectors ``(K, N)``.

    A day's discounts are taken to be their mean given the number of units sold.
    """
    stock, budget = problem.axes
    units, profit, discount = problem.group.rates(vectors).sum(1).T
    full_profit = problem.group.rates(vectors.clamp_min(1)).sum(1)[:, 1]
    most = problem.customers.max() * units.max()
    count = torch.arange(int(most + 5 * most.sqrt()) + 2).float()
    spent = discount[:, None] / units[:, None] * count
    paid = (budget.clamp_min(1e-9) / spent.clamp_min(1e-9)[..., None]).clamp_max(1)
    mean = torch.lerp(full_profit[:, None, None], profit[:, None, None], paid) / units[:, None, None]
    place = ((budget - spent[..., None]).clamp_min(0) / budget[1]).unsqueeze(-1)
    shift = (1 - (place - torch.arange(len(budget))).abs()).clamp_min(0)
    value, tables = torch.zeros(len(stock), len(budget)), []
    sold = torch.minimum(stock[:, None], count)
    for day in reversed(range(DAYS)):
        rate = problem.customers[day] * units[:, None]
        probability = torch.distributions.Poisson(rate).log_prob(count).exp()
        probability = probability / probability.sum(-1, keepdim=True)
        arrived = problem.order if day + 1 == REPLENISHMENT else 0.0
        rest = (stock[:, None] - sold + arrived).flatten()
        place = (rest / stock[1]).clamp_max(len(stock) - 1)
        low = place.long().clamp_max(len(stock) - 2)
        later = torch.lerp(value[low], value[low + 1], (place - low)[:, None]).unflatten(0, sold.shape)
        table = torch.einsum("sq,kqd->sdk", sold, probability[..., None] * mean)
        table += torch.einsum("sqe,kqde->sdk", later, probability[..., None, None] * shift)
        value = table.amax(-1)
        tables.append(table)
    tables.reverse()
    return lambda day, stock, budget: vectors[interpolate(tables[day], problem, stock, budget).argmax(-1)]


class Day(NamedTuple):
    """Outcome of a day for B rows."""

    units: Tensor
    """Units sold ``(B, N)``."""
    profit: Tensor
    """``(B,)``."""
    discount: Tensor
    """Money given away ``(B,)``."""


def poisson_quantile(rate: Tensor, uniform: Tensor) -> Tensor:
    """Return Poisson quantiles of ``uniform`` for rates of the same shape; equal numbers give similar counts."""
    most = float(rate.max())
    support = torch.arange(int(most + 6 * most**0.5) + 3, dtype=rate.dtype)
    log_rate = rate.clamp_min(1e-12).log()[..., None]
    probability = (support * log_rate - rate[..., None] - torch.lgamma(support + 1)).exp()
    return (probability.cumsum(-1) < uniform[..., None]).sum(-1).to(rate.dtype)


def ration(demand: Tensor, stock: Tensor) -> Tensor:
    """Return whole units ``(B, N)`` of the demand, at most ``stock (B,)`` in total, spread over products."""
    total = demand.sum(-1, keepdim=True)
    part = (stock[:, None] / total.clamp_min(1)).clamp_max(1)
    ends = (demand.cumsum(-1) * part + 1e-4).floor()
    return torch.diff(ends, prepend=torch.zeros_like(total))


def sell(group: Group, price: Tensor, customers: Tensor, stock: Tensor, budget: Tensor, uniform: Tensor) -> Day:
    """Sell for a day; once discounts have used up the budget, later customers see no price below list.

    Args:
        group: of N products.
        price: ``(B, N)``, shares of the list price.
        customers: expected number ``()``.
        stock: ``(B,)``.
        budget: ``(B,)``.
        uniform: numbers in [0, 1) behind the sales ``(B, 2, N)``.
    """
    off = (1 - price).clamp_min(0) * group.listed
    demand = poisson_quantile(customers * group.shares(price), uniform[:, 0])
    units = ration(demand, stock)
    spent = (units * off).sum(-1)
    paid = (budget / spent.clamp_min(1e-9)).clamp_max(1)
    units = torch.where(spent[:, None] > budget[:, None], (units * paid[:, None]).floor(), units)
    spent = (units * off).sum(-1)
    profit = (units * (price * group.listed - group.cost)).sum(-1)
    full = price.clamp_min(1)
    later = poisson_quantile((1 - paid[:, None]) * customers * group.shares(full), uniform[:, 1])
    late = ration(later, stock - units.sum(-1))
    profit = profit + (late * (full * group.listed - group.cost)).sum(-1)
    return Day(units + late, profit, spent)


def judge(problem: Problem, plan: Plan, episodes: int, seed: int = 12345) -> Tensor:
    """Return the profits ``(B,)`` of a plan in episodes that differ in first stock and budget, the same for all."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(2, episodes, generator=generator)
    low, high = torch.tensor([START_STOCK, START_BUDGET]).T[..., None]
    stock, budget = (low + (high - low) * draws) * torch.tensor([[problem.order], [problem.budget]])
    stock = stock.round()
    profit = torch.zeros(episodes)
    for day, customers in enumerate(problem.customers):
        price = plan(day, stock, budget)
        price = torch.where(budget[:, None] > 0, price, price.clamp_min(1))
        uniform = torch.rand(episodes, 2, len(problem.group.listed), generator=generator)
        sold = sell(problem.group, price, customers, stock, budget, uniform)
        stock = stock - sold.units.sum(-1) + (problem.order if day + 1 == REPLENISHMENT else 0)
        budget = (budget - sold.discount).clamp_min(0)
        profit += sold.profit
    return profit


def main() -> None:
    options = read_options(
        __doc__,
        sizes=[2, 4, 8],
        customers=Option(2.0, "per day and product"),
        episodes=4096,
        group=Option(0, "seed of the products"),
    )
    compute_alone()
    for size in options.sizes:
        problem = pose(draw_group(size, options.group), options.customers)
        fine = torch.linspace(LOW, HIGH, 13)
        vectors = problem.table if size > 2 else torch.cat([problem.table, torch.cartesian_prod(fine, fine)])
        greedy = joint_greedy(problem)
        plans = {"joint greedy": greedy, "alone": alone(problem), "joint dynamic": joint_dynamic(problem, vectors)}
        plans["list prices"] = lambda day, stock, budget, size=size: torch.ones(len(stock), size)
        print(f"{size} products, {problem.order} units per delivery, {len(vectors)} price vectors", flush=True)
        base = judge(problem, greedy, options.episodes)
        for name, plan in plans.items():
            gain = 100 * (judge(problem, plan, options.episodes) - base) / base.mean()
            print(f"  {name}: {gain.mean():+.2f} (standard error {gain.std() / len(gain) ** 0.5:.2f})", flush=True)


if __name__ == "__main__":
    main()
