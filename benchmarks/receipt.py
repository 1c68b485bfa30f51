"""Receipts of simulated shops whose truth is known: intervals, false claims, substitutes, waiting, and errors.

    python benchmarks/receipt.py

A shop has products of unequal size with a common season and trend, Poisson sales, and shocks of each product (weekly
sd .15, of which half lasts to the next week). A third are substitutes in groups of four: of the buyers whom a new price
loses, 15 to 25 % buy another product of the group. New prices earn 3 % more on average (sd 4 % among products). A
roll-out of six weeks with a control is looked at after each of 13 weeks, after 26 earlier ones.

- ``cover``: shops whose 90 % limits contain the truth at every look, and at the last one;
- ``false``: of more shops, those whose limits are ever above 0 although each new price earns what the old one did;
- ``bias``: of the estimate, shocks and counts left out, as a share of profit: by clusters, and naive, with each
  substitute on its own by two-way fixed effects;
- ``waiting``: gain of the first quarter that is given up, without and with a control;
- ``error``: sd of the error of the estimate as a share of profit, that of two-way fixed effects, and the least of any
  linear unbiased estimate by somebody who knows the shocks' law, if all products had the same effect (Gauss, Markov).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from runner import read_options

from pricerl.arrays import FloatArray, IntArray
from pricerl.experiments.receipt import Effect, Panel, read_effect
from pricerl.experiments.roll_out import QUARTER, WEEKS, draw_plan

BEFORE = 26
SHOCK, LASTS = 0.15, 0.5
"""Sd of a week's shock in logs, and the share that lasts to the next."""
SIZES = 0.5
"""Sd of the products' sizes in logs."""
GROUP = 4
VOLUMES = (5.5, 50.0)
"""Units per product and day."""
GOALS = {200: (1.1, 1.0), 60: (2.0, 2.0), 20: (None, None)}
"""Largest error in percent of profit by number of products, at the two volumes."""


class World(NamedTuple):
    """A shop whose truth is known; profits are in units of a product's earlier margin."""

    outcome: FloatArray
    """``(N, T)`` profit."""
    truth: FloatArray
    """``(T,)`` what the new prices have earned in each week."""
    clusters: IntArray
    plan: FloatArray
    """``(C, K)``."""

    @property
    def due(self) -> FloatArray:
        """``(N, T)`` whether a product has its new price."""
        return np.pad(self.plan[self.clusters], ((0, 0), (BEFORE, 0)))

    def panel(self, weeks: int = QUARTER) -> Panel:
        """Return the first weeks of the roll-out, in which all follow."""
        seen = self.outcome[:, : BEFORE + weeks]
        return Panel(
            seen, seen[:, :BEFORE].mean(axis=1), self.clusters, self.plan, self.due[:, BEFORE : BEFORE + weeks]
        )

    def read(self, weeks: int = QUARTER) -> Effect:
        """Return the receipt after some weeks."""
        return read_effect(self.panel(weeks), 0)

    def fixed_effects(self) -> float:
        """Return what two-way fixed effects alone say, as a total."""
        panel = self.panel()
        rows = self.due - self.due.mean(axis=1, keepdims=True)
        rows -= panel.scale @ rows / panel.scale.sum()
        effect = (panel.scale @ (rows * panel.share)).sum() / (panel.scale @ (rows * self.due)).sum()
        return float(effect * (panel.scale @ self.due).sum())

    def least_error(self) -> float:
        """Return the sd of generalised least squares with effects of products and weeks, as a share of profit."""
        due, size = self.due, self.panel().scale
        weeks = np.arange(due.shape[1])
        shocks = SHOCK**2 * LASTS ** np.abs(np.subtract.outer(weeks, weeks))
        known = np.linalg.inv(shocks + np.eye(len(weeks)) / size[:, None, None])
        ones = known.sum(axis=2)
        known -= ones[:, :, None] * ones[:, None] / ones.sum(axis=1)[:, None, None]  # products' effects
        moved = np.einsum("nst,nt->ns", known, due)
        by_week = moved.sum(axis=0)
        return float(((moved * due).sum() - by_week @ np.linalg.pinv(known.sum(axis=0)) @ by_week) ** -0.5)

    @property
    def profit(self) -> float:
        """Profit of the products and weeks at new prices, by which errors are measured."""
        return float((self.panel().scale @ self.due).sum())


def make_world(
    products: int, units: float, seed: int, earns: bool = True, noise: bool = True, together: bool = True
) -> World:
    """Return a shop; substitutes begin ``together`` or each on its own."""
    rng = np.random.default_rng([seed, products, int(units)])
    groups = np.arange(products) // GROUP
    group = np.where(groups < products // 3 // GROUP, groups, -1)
    alone = np.arange(products)
    clusters = np.unique(np.where((group >= 0) & together, group, products + alone), return_inverse=True)[1]
    plan = draw_plan(int(clusters.max()) + 1, WEEKS, True, seed)[:, :QUARTER]
    weeks = BEFORE + QUARTER
    due = np.pad(plan[clusters], ((0, 0), (BEFORE, 0)))
    lost = rng.uniform(0.04, 0.12, (products, 1))
    margin = rng.uniform(1.06, 1.18, (products, 1)) if earns else 1 / (1 - lost)
    size = 7 * units * np.exp(SIZES * rng.standard_normal((products, 1)) - SIZES**2 / 2)
    week = np.arange(weeks)
    common = np.exp(0.2 * np.sin(2 * np.pi * (week / 52 + rng.uniform())) + rng.normal(0, 0.004) * week)
    shocks = rng.standard_normal((products, weeks))
    for at in week[1:]:
        shocks[:, at] = LASTS * shocks[:, at - 1] + np.sqrt(1 - LASTS**2) * shocks[:, at]
    base = size * common * np.exp(noise * (SHOCK * shocks - SHOCK**2 / 2))
    diverted = rng.uniform(0.15, 0.25) * lost * base * due if earns else 0 * base
    mates = (group[:, None] == group) & (group[:, None] >= 0) & (alone[:, None] != alone)
    gained = mates.T / np.maximum(mates.sum(axis=0), 1)[:, None] @ diverted
    mean = base * (1 - lost * due) + gained
    worth = np.where(due > 0, margin, 1.0)
    sold = rng.poisson(mean) if noise else mean
    return World(sold * worth, (mean * worth - base).sum(axis=0), clusters, plan)


def look(shops: int, nulls: int, products: int, units: float) -> None:
    """Print coverage and false claims."""
    weeks = range(1, QUARTER + 1)
    covered = []
    for seed in range(shops):
        world = make_world(products, units, seed)
        found = [world.read(passed) for passed in weeks]
        truth = np.cumsum(world.truth[BEFORE:])
        covered.append([effect.low <= true <= effect.high for effect, true in zip(found, truth, strict=True)])
    every, last = 100 * np.all(covered, axis=1).mean(), 100 * np.mean(covered, axis=0)[-1]
    worlds = (make_world(products, units, seed, earns=False) for seed in range(nulls))
    false = 100 * np.mean([any(world.read(passed).low > 0 for passed in weeks) for world in worlds])
    verdict = judge(88 <= every <= 93 and false <= 5)
    print(
        f"cover  {units:>4g} units: {every:.1f} % at all looks, {last:.1f} % at the last; false {false:.1f} %{verdict}"
    )


def bias(shops: int, products: int) -> None:
    """Print the bias by substitutes."""
    errors = []
    for seed in range(shops):
        own, naive = (make_world(products, 50.0, seed, noise=False, together=together) for together in (True, False))
        errors.append(
            (
                (own.read().mean - own.truth.sum()) / own.profit,
                (naive.fixed_effects() - naive.truth.sum()) / naive.profit,
            )
        )
    ours, theirs = 100 * np.mean(errors, axis=0)
    verdict = judge(abs(ours) <= abs(theirs) / 4)
    print(f"bias   by substitutes: {ours:+.2f} % of profit in clusters, {theirs:+.2f} % naive{verdict}")


def waiting(products: int) -> None:
    """Print the gain of the first quarter that is given up."""
    clusters = int(make_world(products, 50.0, 0).clusters.max()) + 1
    costs = [100 * (1 - draw_plan(clusters, WEEKS, control, 0)[:, :QUARTER].mean()) for control in (False, True)]
    print(
        f"waiting costs {costs[0]:.0f} % of a quarter's gain, {costs[1]:.0f} % with a control{judge(max(costs) <= 25)}"
    )


def errors(shops: int) -> None:
    """Print the errors by number of products, next to those of two-way fixed effects."""
    for products, goals in GOALS.items():
        for units, goal in zip(VOLUMES, goals, strict=True):
            found, least = [], []
            for seed in range(shops):
                world = make_world(products, units, seed)
                least.append(100 * world.least_error())
                pair = np.array([world.read().mean, world.fixed_effects()])
                found.append(100 * (pair - world.truth.sum()) / world.profit)
            ours, theirs = np.std(found, axis=0)
            verdict = "" if goal is None else judge(ours <= goal)
            print(
                f"error  {products:>3} products, {units:>4g} units: {ours:.2f} %; fixed effects {theirs:.2f} %; "
                f"least {np.mean(least):.2f} %{verdict}"
            )


def judge(is_met: bool) -> str:
    """Return whether a goal is met, in words."""
    return " · goal met" if is_met else " · goal MISSED"


def main() -> None:
    options = read_options(__doc__, shops=200, nulls=3000, products=60)
    for units in VOLUMES:
        look(options.shops, options.nulls, options.products, units)
    bias(options.shops, options.products)
    waiting(options.products)
    errors(options.shops)


if __name__ == "__main__":
    main()
