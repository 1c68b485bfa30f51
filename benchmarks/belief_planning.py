"""Dynamic programming on the belief of sellers who learn (`learning.belief`), for the benchmark `loop.py`.

The plans of a week assume that nothing more is learned; these rules foresee that each price teaches something about
demand (dual control, Feldbaum 1960). Values come from backward induction over a compressed belief: mean and sd of the
slope of log demand over log price, and the tilt, by which the believed level changes with the slope. A week's units
update it as a Kalman filter does; the level's variance is at its limit. The next week is not compressed: every curve of
the belief is weighed by the units that may be sold, and only the belief that follows is valued from the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from learning.belief import (
    GRID_STEP,
    NUM_PRICES,
    REACH,
    STEPS_PER_WEEK,
    DemandCurves,
    LearningConfig,
    Sellers,
    settled_variance,
)
from learning.utility import choose_plan, floor_of
from scipy.sparse import csr_matrix
from torch import Tensor

from pricerl.arrays import FloatArray

MEAN = np.arange(-8.0, -0.39, 0.2)
"""Means of the slope in the table."""
SD = np.arange(0.05, 1.5, 0.15)
"""Sds of the slope in the table."""
TILT = np.linspace(-0.24, 0.24, 7)
"""Tilts in the table."""
COST = np.linspace(0.05, 0.9, 18)
"""Unit costs in the table, over the first price."""
SLOPE = np.arange(-11.0, 0.01, 0.05)
"""Slopes over which demand and profit are averaged."""
BANDWIDTH = 0.12
"""Sd of the kernel that averages curves of similar slope, in logs of the slope."""
LOWEST = -2.0
"""Lowest log units of a curve from which its slope is taken."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
AHEAD = torch.linspace(-2.6, 2.6, 9)
"""Units that next week may bring, in sds around the mean of their log."""
CHANGES = torch.arange(-STEPS_PER_WEEK, STEPS_PER_WEEK + 1)

Rule = Callable[[Sellers, torch.Generator], Tensor]
"""Function from sellers to the grid price ``(B,)`` that each approaches."""


class Summary(NamedTuple):
    """Compressed belief, any shape."""

    mean: Tensor
    """Of the slope, negative."""
    sd: Tensor
    """Of the slope."""
    tilt: Tensor
    """Change of the believed log level per unit of slope."""
    level: Tensor
    """Believed log level."""


def slopes(curves: DemandCurves) -> Tensor:
    """Return the slope of each curve, ``(K,)``: least squares of log units on log price, through the first price."""
    grid = GRID_STEP * torch.arange(-REACH, REACH + 1)
    return (curves.log_units.clamp_min(LOWEST) * grid).sum(-1) / grid.square().sum()


def summarize(slope: Tensor, weight: Tensor, intercept: Tensor, lift: Tensor) -> Summary:
    """Compress beliefs of ``B`` sellers in ``N`` cases.

    Args:
        slope: ``(K,)``.
        weight: ``(B, N, K)`` of the curves, of sum 1.
        intercept: ``(B, K)`` log level under each curve.
        lift: ``(B, N)`` what each case adds to it.

    Returns:
        Summary of shape ``(B, N)``.
    """
    repeated = slope.expand_as(intercept)
    features = torch.stack([repeated, repeated.square(), intercept, repeated * intercept], -1)
    mean, square, level, product = (weight @ features).unbind(-1)
    var = (square - mean.square()).clamp_min(1e-6)
    return Summary(mean, var.sqrt(), (product - mean * level) / var, level + lift)


def mean_curves(curves: DemandCurves) -> FloatArray:
    """Return the mean units of the curves of each slope in ``SLOPE``, relative to the first price, ``(SLOPE, G)``."""
    grid = GRID_STEP * np.arange(-REACH, REACH + 1)
    slope = slopes(curves).numpy().astype(np.float64)
    distance = np.log(np.minimum(SLOPE, -0.05) / slope[:, None]).T / BANDWIDTH
    kernel = np.exp(-0.5 * (distance**2 - (distance**2).min(1, keepdims=True)))
    residual = np.exp(curves.log_units.numpy() - slope[:, None] * grid)
    return np.asarray(np.exp(SLOPE[:, None] * grid) * (kernel @ residual) / kernel.sum(1, keepdims=True))


def linear_weights(values: FloatArray, axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return indices and weights of linear interpolation on an even axis, ``(..., 2)`` each; constant outside."""
    place = np.clip((values - axis[0]) / (axis[1] - axis[0]), 0, len(axis) - 1)
    low = np.minimum(place.astype(np.int64), len(axis) - 2)
    return low[..., None] + np.arange(2), np.stack([low + 1 - place, place - low], -1)


def cubic_weights(values: FloatArray, axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return indices and weights of cubic interpolation, ``(..., 4)`` each.

    Linear interpolation would pay for spread between the nodes of a convex value.
    """
    place = np.clip((values - axis[0]) / (axis[1] - axis[0]), 0, len(axis) - 1)
    low = np.clip(place.astype(np.int64), 1, len(axis) - 3)
    t = place - low
    weight = [-t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2, -(t + 1) * t * (t - 2) / 2]
    return low[..., None] + np.arange(-1, 3), np.stack([*weight, (t + 1) * t * (t - 1) / 6], -1)


def interpolate(mean: FloatArray, sd: FloatArray, tilt: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return flat indices in the table of compressed beliefs and their weights, ``(..., 16)`` each."""
    (at_mean, of_mean), (at_sd, of_sd) = cubic_weights(mean, MEAN), linear_weights(sd, SD)
    at_tilt, of_tilt = linear_weights(tilt, TILT)
    rows = at_mean[..., :, None, None] * len(SD) + at_sd[..., None, :, None]
    index = rows * len(TILT) + at_tilt[..., None, None, :]
    weight = of_mean[..., :, None, None] * of_sd[..., None, :, None] * of_tilt[..., None, None, :]
    shape = (*np.shape(mean), 16)
    return index.reshape(shape), weight.reshape(shape)


class BeliefPlanner:
    """Values of compressed beliefs by backward induction.

    Args:
        curves: of the belief.
        config: of the sellers; its weeks are the longest horizon.

    Attributes:
        slope: ``(K,)`` of the curves.
        values: per number of weeks left, the best expected gain over keeping the first price, over the believed level,
            ``(G, MEAN * SD * TILT, COST)``.
    """

    def __init__(self, curves: DemandCurves, config: LearningConfig) -> None:
        self.slope, self.config = slopes(curves), config
        self._units, self._price = mean_curves(curves), curves.price.numpy().astype(np.float64)
        self._mean, self._sd, self._tilt = (axis.ravel() for axis in np.meshgrid(MEAN, SD, TILT, indexing="ij"))
        rewards, moves = self._rewards(), self._transitions()
        self.values = [np.zeros_like(rewards)]
        for _ in range(config.weeks):
            later = self.values[-1]
            acted = rewards + np.stack([moves[price] @ later[price] for price in range(NUM_PRICES)])
            reach = np.arange(NUM_PRICES)[:, None] + CHANGES.numpy()
            self.values.append(acted[np.clip(reach, 0, NUM_PRICES - 1)].max(1))
        self._tables = [torch.as_tensor(values, dtype=torch.float32) for values in self.values]

    def _averages(self) -> FloatArray:
        """Return the weight of each slope in each compressed belief, with the tilted level, ``(beliefs, SLOPE)``."""
        distance = SLOPE - self._mean[:, None]
        weight = np.exp(-0.5 * (distance / self._sd[:, None]) ** 2)
        return np.asarray(weight / weight.sum(1, keepdims=True) * np.exp(self._tilt[:, None] * distance))

    def _rewards(self) -> FloatArray:
        """Return the expected gain of a week, ``(G, beliefs, COST)``."""
        weight = self._averages()
        revenue, units = weight @ (self._units * self._price - 1), weight @ (self._units - 1)
        return np.asarray(revenue.T[..., None] - units.T[..., None] * COST)

    def _transitions(self) -> list[csr_matrix]:
        """Return per price the expectation of the next value, a matrix ``(beliefs, beliefs)``."""
        per_week = torch.tensor([7 * self.config.units])
        prior_var = float(settled_variance(per_week, self.config)) + self.config.level_sd**2
        at_mean = np.array([np.interp(MEAN, SLOPE, units) for units in self._units.T])
        repeat = len(SD) * len(TILT)
        found = []
        for units in at_mean:
            sensitivity = np.repeat(np.gradient(np.log(units), MEAN), repeat) + self._tilt
            noise = 1 / (float(per_week) * np.repeat(units, repeat) + 0.5) + self.config.dispersion
            total = prior_var + noise
            surprise = np.sqrt(total + (sensitivity * self._sd) ** 2)
            gain, kalman = sensitivity * self._sd**2 / surprise**2, prior_var / total
            level = self._tilt * gain + kalman * (1 - sensitivity * gain)
            draws = surprise[:, None] * NODES
            index, weight = interpolate(
                self._mean[:, None] + gain[:, None] * draws,
                np.repeat((self._sd * np.sqrt(total) / surprise)[:, None], len(NODES), 1),
                np.repeat((self._tilt - kalman * sensitivity)[:, None], len(NODES), 1),
            )
            weight = weight * (WEIGHTS / WEIGHTS.sum() * np.exp(level[:, None] * draws))[..., None]
            rows = np.repeat(np.arange(len(index)), index[0].size)
            found.append(csr_matrix((weight.ravel(), (rows, index.ravel())), shape=2 * (len(index),)))
        return found

    def value(self, weeks: int, position: Tensor, belief: Summary, cost: Tensor) -> Tensor:
        """Return the expected gain of the best prices from a position ``(...)`` over the weeks left."""
        index, weight = interpolate(*(part.numpy().astype(np.float64) for part in belief[:3]))
        at_cost, of_cost = linear_weights(cost.numpy().astype(np.float64), COST)
        read = self._tables[weeks][
            position[..., None, None],
            torch.as_tensor(index)[..., None],
            torch.as_tensor(at_cost)[..., None, :],
        ]
        shares = torch.as_tensor(weight[..., None] * of_cost[..., None, :], dtype=torch.float32)
        return belief.level.exp() * (read * shares).sum((-1, -2))

    def values_of_changes(self, sellers: Sellers) -> Tensor:
        """Return the expected gain of each change of the price this week and the best prices after it, ``(B, 5)``."""
        position = (sellers.position[:, None] + CHANGES).clamp(0, NUM_PRICES - 1)
        return torch.stack([self._value_at(sellers, at) for at in position.T], -1)

    def _value_at(self, sellers: Sellers, position: Tensor) -> Tensor:
        """Return the expected gain of a week at prices ``(B,)`` and of the best prices after it, ``(B,)``."""
        config, weight, level = sellers.config, sellers.weight, sellers.level_mean
        curve = sellers.curves.log_units[:, position].T
        margin, keeping = sellers.margin_at(position)[:, None], 1 - sellers.cost[:, None]
        week = (weight * level.exp() * (curve.exp() * margin - keeping)).sum(-1)
        if sellers.weeks_left == 1:
            return week
        expected = level + curve
        mean = (weight * expected).sum(-1, keepdim=True)
        prior_var = (sellers.level_var + config.level_sd**2)[:, None]
        total = prior_var + 1 / (sellers.units_per_week[:, None] * mean.exp() + 0.5) + config.dispersion
        kalman, away = prior_var / total, expected - mean
        units = (total + (weight * away.square()).sum(-1, keepdim=True)).sqrt() * AHEAD  # in logs, around the mean
        logits = (weight.log() - 0.5 * away.square() / total)[:, None] + (units / total)[..., None] * away[:, None]
        likely = (logits.logsumexp(-1) - 0.5 * units.square() / total).softmax(-1)
        belief = summarize(self.slope, logits.softmax(-1), level - kalman * away, kalman * units)
        places, cost = (part[:, None].expand_as(units) for part in (position, sellers.cost))
        return week + (likely * self.value(sellers.weeks_left - 1, places, belief, cost)).sum(-1)


@lru_cache(maxsize=2)
def planner_of(curves: DemandCurves, config: LearningConfig) -> BeliefPlanner:
    """Return the planner of the sellers of a configuration."""
    return BeliefPlanner(curves, config)


def first_changes(position: Tensor) -> Tensor:
    """Return the index in ``CHANGES`` of the first change of the path to each price, ``(B, G)``."""
    change = torch.arange(NUM_PRICES) - position[:, None]
    return change.clamp(-STEPS_PER_WEEK, STEPS_PER_WEEK) + STEPS_PER_WEEK


def dynamic(sellers: Sellers, generator: torch.Generator) -> Tensor:
    """Follow dynamic programming on the belief, without regard to harm."""
    values = planner_of(sellers.curves, sellers.config).values_of_changes(sellers)
    return (sellers.position + CHANGES[values.argmax(-1)]).clamp(0, NUM_PRICES - 1)


def budgeted_dynamic(share: float, low: float) -> Rule:
    """Return the rule that follows dynamic programming among first changes whose plans are inside a loss budget.

    Args:
        share: budget, a share of the profit of keeping the first price over all weeks.
        low: probability of the quantile of account and plan that it limits.
    """

    def rule(sellers: Sellers, generator: torch.Generator) -> Tensor:
        floor = floor_of(sellers.account[:, None] + sellers.plan_gains(), sellers.weight, low)
        values = planner_of(sellers.curves, sellers.config).values_of_changes(sellers)
        budget = share * sellers.config.weeks * (1 - sellers.cost[:, None])
        worth = values.gather(1, first_changes(sellers.position))
        return choose_plan(worth, floor, budget, floor.argmax(-1))

    return rule
