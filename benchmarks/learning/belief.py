"""Simulated sellers who learn from their own sales, many in one batch.

Each week a seller charges a price, sells a noisy number of units, and updates a belief: a weight per demand curve of
the families' prior, and a Kalman filter of the demand level under each curve (a Rao-Blackwellised particle filter,
Doucet et al. 2000, whose particles never move). Money is in units of a week's revenue at the first price and level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.market.demand.families import draw_prior
from pricerl.market.demand.priors import (
    INFORMED_SD,
    LOG_SD,
    USUAL_ELASTICITY,
    LogNormal,
    own_price_log_ratio,
)

GRID_STEP = 0.025
"""Distance of two prices in logs."""
REACH = 8
"""Grid steps from the first price to either end of the allowed prices: a factor of 1.22."""
STEPS_PER_WEEK = 2
"""Most grid steps of one weekly change: 5 %."""
NUM_PRICES = 2 * REACH + 1
SETTLED = 60
"""Weeks after which the variance of the level's filter no longer changes."""


@dataclass(frozen=True)
class LearningConfig:
    """Sellers who price by what they learn."""

    weeks: int = 13
    """Weeks of an account."""
    units: float = 50.0
    """Mean units per day at the first price."""
    level_sd: float = 0.02
    """Sd of the weekly change of the log demand level."""
    dispersion: float = 0.007
    """Variance of a week's units beyond Poisson's, over the squared mean: that of daily sizes of 20."""
    history_sd: float = 0.9
    """Sd of the error of the elasticity that the history shows."""
    curves: int = 240
    """Demand curves of the belief."""
    cost_sd: float = 0.35
    """Sd of the log of minus the elasticity at which the first price would be the best, around the prior's median."""
    informed: float = 0.0
    """Weight of the true elasticity in that one: 0 for costs that say nothing about demand, 1 for sellers whose first
    price is the best but for ``cost_sd``. Beliefs do not know it, see ``prior_informed``."""
    prior_informed: float = 0.0
    """Prior probability of beliefs that the seller chose the first price well (`pricerl.market.demand.priors`)."""


class DemandCurves:
    """Prior demand curves on the grid of prices, the same for all sellers.

    Attributes:
        log_units: ``(K, G)`` log units relative to the first price.
        elasticity: ``(K,)`` at the first price, negative.
        price: ``(G,)`` relative to the first price.
        prior: distribution of minus the elasticity.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        grid: FloatArray = GRID_STEP * np.arange(-REACH, REACH + 1, dtype=np.float64)
        self.prior = LogNormal(float(np.log(-USUAL_ELASTICITY)), LOG_SD)
        drawn = draw_prior(count, self.prior, np.random.default_rng(seed))
        self.log_units = torch.as_tensor(drawn.at(grid, 31.0), dtype=torch.float32)
        self.elasticity = torch.as_tensor(drawn.elasticity, dtype=torch.float32)
        self.price = torch.as_tensor(np.exp(grid), dtype=torch.float32)
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}

    @cached_property
    def units(self) -> Tensor:
        """``(K, G)`` units relative to the first price."""
        return self.log_units.exp()

    def path_sums(self, weeks: int) -> tuple[Tensor, Tensor]:
        """Return revenue and units of the paths from every price to every other over the weeks left, ``(G, G, K)``."""
        if weeks not in self._sums:
            spent = time_on_paths(weeks)
            self._sums[weeks] = spent @ (self.units * self.price).T, spent @ self.units.T
        return self._sums[weeks]


@cache
def time_on_paths(weeks: int) -> Tensor:
    """Return the weeks that a path from one price to another spends at each price, ``(from, to, G)``.

    It approaches its end as fast as allowed, changes in its first week and stays.
    """
    spent = torch.zeros(NUM_PRICES, NUM_PRICES, NUM_PRICES)
    start, end = torch.meshgrid(torch.arange(NUM_PRICES), torch.arange(NUM_PRICES), indexing="ij")
    at = start
    for _ in range(weeks):
        at = at + (end - at).clamp(-STEPS_PER_WEEK, STEPS_PER_WEEK)
        spent.scatter_add_(2, at[..., None], torch.ones(NUM_PRICES, NUM_PRICES, 1))
    return spent


@dataclass(frozen=True)
class Sellers:
    """``B`` sellers with their truth, belief and account."""

    config: LearningConfig
    curves: DemandCurves
    log_units: Tensor
    """``(B, G)`` true log units relative to the first price."""
    units_per_week: Tensor
    """``(B,)`` at the first price and level."""
    cost: Tensor
    """``(B,)`` unit cost over the first price."""
    level: Tensor
    """``(B,)`` true log demand level."""
    log_weight: Tensor
    """``(B, K)`` of the curves, up to a constant."""
    level_mean: Tensor
    """``(B, K)`` believed log level under each curve."""
    level_var: Tensor
    """``(B,)``."""
    account: Tensor
    """``(B, K)`` believed gain over keeping the first price, under each curve."""
    gain: Tensor
    """``(B,)`` true gain over keeping it."""
    kept: Tensor
    """``(B,)`` true profit that keeping would have earned so far."""
    position: Tensor
    """``(B,)`` index of the current price."""
    week: int = 0

    @property
    def weight(self) -> Tensor:
        """``(B, K)`` weight of the curves, of sum 1."""
        return self.log_weight.softmax(-1)

    @property
    def weeks_left(self) -> int:
        """Weeks until the account ends."""
        return self.config.weeks - self.week

    def margin_at(self, position: Tensor) -> Tensor:
        """Return the profit of a unit at prices ``(B,)``."""
        return self.curves.price[position] - self.cost

    def plan_gains(self) -> Tensor:
        """Return the believed gain of approaching each price and staying there to the end, ``(B, J, K)``."""
        revenue, units = self.curves.path_sums(self.weeks_left)
        profit = revenue[self.position] - self.cost[:, None, None] * units[self.position]
        keeping = self.weeks_left * (1 - self.cost)
        return self.level_mean.exp()[:, None] * (profit - keeping[:, None, None])

    def true_gains(self) -> Tensor:
        """Return the true gain of approaching each price and staying there to the end at level 0, ``(B, J)``."""
        spent = time_on_paths(self.weeks_left)[self.position]
        gain = self.log_units.exp() * (self.curves.price - self.cost[:, None]) - (1 - self.cost[:, None])
        return torch.einsum("bjg,bg->bj", spent, gain)

    def advance(self, target: Tensor, generator: torch.Generator) -> Sellers:
        """Move toward prices ``(B,)`` of the grid, sell for a week, and learn from the units sold."""
        config = self.config
        change = (target - self.position).clamp(-STEPS_PER_WEEK, STEPS_PER_WEEK)
        position = self.position + change
        level = self.level + config.level_sd * torch.randn(self.level.shape, generator=generator)
        log_true = self.log_units.gather(1, position[:, None])[:, 0]
        mean = self.units_per_week * (level + log_true).exp()
        sold = sample_units(mean, config.dispersion, generator)
        learned = self._learn(position, sold)
        margin, level_factor = self.margin_at(position), level.exp()
        keeping = 1 - self.cost
        curve = self.curves.log_units[:, position].T
        believed = learned.level_mean.exp() * (curve.exp() * margin[:, None] - keeping[:, None])
        return replace(
            learned,
            level=level,
            account=self.account + believed,
            gain=self.gain + level_factor * (log_true.exp() * margin - keeping),
            kept=self.kept + level_factor * keeping,
            position=position,
            week=self.week + 1,
        )

    def _learn(self, position: Tensor, sold: Tensor) -> Sellers:
        """Update weights and levels by a week's units: a Kalman step per curve on log units."""
        config = self.config
        observed = (sold + 0.5).log() - self.units_per_week.log()
        curve = self.curves.log_units[:, position].T
        prior_var = self.level_var + config.level_sd**2
        noise = 1 / (sold + 0.5) + config.dispersion
        total = prior_var + noise
        surprise = observed[:, None] - self.level_mean - curve
        learned = (prior_var / total)[:, None] * surprise
        return replace(
            self,
            log_weight=self.log_weight - 0.5 * surprise.square() / total[:, None],
            level_mean=self.level_mean + learned,
            level_var=prior_var * noise / total,
        )


def sample_units(mean: Tensor, dispersion: float, generator: torch.Generator) -> Tensor:
    """Sample Poisson-lognormal units of variance ``mean + dispersion * mean**2``."""
    var = torch.log1p(torch.tensor(dispersion))
    noise = var.sqrt() * torch.randn(mean.shape, generator=generator)
    return torch.poisson(mean * (noise - var / 2).exp(), generator=generator)


def settled_variance(units_per_week: Tensor, config: LearningConfig) -> Tensor:
    """Return the variance ``(B,)`` of the level's filter after a long history at the first price."""
    noise = 1 / units_per_week + config.dispersion
    var = torch.full_like(noise, config.level_sd**2)
    for _ in range(SETTLED):
        prior = var + config.level_sd**2
        var = prior * noise / (prior + noise)
    return var


def _own_price_evidence(config: LearningConfig, curves: DemandCurves, best_at: Tensor) -> Tensor:
    """Return the log ratio ``(B, K)`` by which first prices, the best at elasticities ``(B,)``, change the weights."""
    best, log_elasticity = best_at.log()[:, None].numpy(), (-curves.elasticity).log().numpy()
    found = own_price_log_ratio(best, log_elasticity, curves.prior, INFORMED_SD, config.prior_informed)
    return torch.as_tensor(found, dtype=torch.float32)


def open_accounts(
    config: LearningConfig,
    curves: DemandCurves,
    log_units: Tensor,
    elasticity: Tensor,
    generator: torch.Generator,
    units: Tensor | None = None,
) -> Sellers:
    """Return sellers at the end of their histories.

    Args:
        config: of the sellers.
        curves: of their beliefs.
        log_units: ``(B, G)`` true log units relative to the first price.
        elasticity: ``(B,)`` true elasticity at the first price, negative.
        generator: of the histories.
        units: ``(B,)`` per day; those of the configuration if absent.
    """
    count, num_curves = len(elasticity), len(curves.elasticity)
    normal = torch.randn((3, count), generator=generator)
    seen = elasticity + config.history_sd * normal[0]
    log_known = config.informed * (elasticity / USUAL_ELASTICITY).log()
    best_at = (-USUAL_ELASTICITY * (log_known + config.cost_sd * normal[1]).exp()).clamp_min(1.1)
    per_week = 7 * (torch.full((count,), config.units) if units is None else units)
    level_var = settled_variance(per_week, config)
    zeros = torch.zeros(count)
    return Sellers(
        config=config,
        curves=curves,
        log_units=log_units,
        units_per_week=per_week,
        cost=1 - 1 / best_at,
        level=level_var.sqrt() * normal[2],
        log_weight=-0.5 * ((curves.elasticity - seen[:, None]) / config.history_sd).square()
        + _own_price_evidence(config, curves, best_at),
        level_mean=torch.zeros(count, num_curves),
        level_var=level_var,
        account=torch.zeros(count, num_curves),
        gain=zeros,
        kept=zeros,
        position=torch.full((count,), REACH),
    )
