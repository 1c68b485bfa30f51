"""Observation noise: negative-binomial units around their expectation.

Episodes and forecasts draw units from a table of quantiles, backtests exactly. In the table every draw is a standard
normal number ``z``; the units are the quantile of the negative binomial at the normal probability of ``z``.

The distribution function at the integers is the regularized incomplete beta function ``I_p(size, units + 1)`` with
``p = size / (size + mean)``, which is smooth in ``y = units + 1`` and ``mean``. So the table holds ``log(y / mean)``
over ``z`` and the log mean; between its points it is interpolated, and units are the whole part of ``y``. That keeps
the distribution discrete, also for means far below 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import btdtrib, ndtr
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.market.demand.regression import SIZE_RANGE

MAX_Z = 7.0
"""Sds covered to each side: torch makes normal numbers of at most 33 random bits, so none is beyond 6.8."""
Z_STEP = 1 / 8
"""Distance between two points, in sds."""

MEAN_RANGE = (1e-3, 1e6)
"""Smallest and largest mean of the table, units. Below the smallest there are almost no sales; above the largest the
shape depends on the size alone."""
LEAST_MEAN = 1e-30
"""Mean in place of 0 where units are divided by it: a closed day."""
LOG_MEAN_STEP = 0.25
"""Distance between two means, in logs."""

MEAN_CELLS = math.ceil(math.log(MEAN_RANGE[1] / MEAN_RANGE[0]) / LOG_MEAN_STEP)
Z_CELLS = round(2 * MAX_Z / Z_STEP)

LOG_SIZE_STEP = 0.125
"""Distance between two sizes whose tables are computed, in logs: a table takes 35 ms, and products share them."""


class UnitQuantiles(NamedTuple):
    """Quantiles of a day's units for ``P`` products."""

    corners: Tensor
    """``(4, P * MEAN_CELLS * Z_CELLS)`` log of units over their mean at a cell's corners: one lookup reads a draw. The
    first two are those at the smaller mean."""
    scale: Tensor
    """Cells per log mean; a tensor, as is ``origin``, because torch converts numbers again in every operation."""
    origin: Tensor
    """Cells from the smallest mean to a mean of 1."""

    def units(self, mean: Tensor, z_cell: Tensor, product: Tensor) -> Tensor:
        """Return the units of ``n`` days with expectation ``mean (n, B)`` and ``z_cell (n, B)`` from ``draw_z``.

        Their gradient is the units' in proportion to the expectation.
        """
        if mean.requires_grad:
            known = mean.detach().clamp(min=LEAST_MEAN)
            return mean * (self.units(known, z_cell, product) / known)
        largest = MEAN_CELLS - 1e-3  # inside the last cell
        mean_cell = torch.addcmul(self.origin, mean.log(), self.scale).clamp(0, largest)
        column = torch.add(z_cell.long(), mean_cell.long(), alpha=Z_CELLS)
        cell = torch.add(column, product, alpha=MEAN_CELLS * Z_CELLS)
        smaller, larger = self.corners.index_select(1, cell.flatten()).view(2, 2, *mean.shape)
        low, high = torch.lerp(smaller, larger, mean_cell.frac())
        return torch.lerp(low, high, z_cell.frac()).exp_().mul(mean).floor_()


class CommonNoise(NamedTuple):
    """Noise that rows of equal number share: every product of a comparison sees the same draws."""

    generator: torch.Generator
    number: Tensor
    """``(B,)`` number of each row among the ``rows`` of its product, from 0 on."""
    rows: int


Noise = torch.Generator | CommonNoise
"""Source of the noise in observed units."""


def draw_z(days: int, num_rows: int, noise: Noise) -> Tensor:
    """Draw standard normal numbers, as positions among the cells of the table, ``(days, num_rows)``."""
    if isinstance(noise, CommonNoise):
        return draw_z(days, noise.rows, noise.generator)[:, noise.number]
    return torch.empty(days, num_rows, device=noise.device).normal_(MAX_Z / Z_STEP, 1 / Z_STEP, generator=noise)


def cell_of(z: Tensor) -> Tensor:
    """Return standard normal numbers as positions among the cells of the table."""
    return ((z + MAX_Z) / Z_STEP).clamp(0, Z_CELLS - 1e-3)


def tabulate_units(size: Tensor) -> UnitQuantiles:
    """Return the quantiles of products with negative-binomial size ``size (P,)``, on its device."""
    corners = np.concatenate([_interpolate_corners(value) for value in size.tolist()], 1)
    values = (corners, 1 / LOG_MEAN_STEP, -math.log(MEAN_RANGE[0]) / LOG_MEAN_STEP)
    return UnitQuantiles(*(torch.as_tensor(value, dtype=torch.float32, device=size.device) for value in values))


def _interpolate_corners(size: float) -> FloatArray:
    """Return the table of one size, ``(4, MEAN_CELLS * Z_CELLS)``: linear in the log size between two computed ones."""
    cell = math.log(min(max(size, SIZE_RANGE[0]), SIZE_RANGE[1]) / SIZE_RANGE[0]) / LOG_SIZE_STEP
    left = math.floor(cell)
    share = cell % 1
    table = _corners(left)
    return table if share == 0 else np.asarray(table + np.float32(share) * (_corners(left + 1) - table))


@lru_cache(maxsize=64)
def _corners(point: int) -> FloatArray:
    """Return the table of the size at a point of the grid of sizes, ``(4, MEAN_CELLS * Z_CELLS)``."""
    size = SIZE_RANGE[0] * math.exp(LOG_SIZE_STEP * point)
    # One point more on every side: the correction below takes second differences.
    log_mean = math.log(MEAN_RANGE[0]) + LOG_MEAN_STEP * np.arange(-1, MEAN_CELLS + 2)[:, None]
    z = Z_STEP * np.arange(-1, Z_CELLS + 2) - MAX_Z
    points = np.log(btdtrib(size, ndtr(z), 1 / (1 + np.exp(log_mean) / size))) - log_mean
    # A chord misses a curve by a twelfth of the second difference on average. Shifting the points by as much removes
    # that error from every mean.
    inner = points[1:-1, 1:-1]
    curvature = points[2:, 1:-1] + points[:-2, 1:-1] + points[1:-1, 2:] + points[1:-1, :-2] - 4 * inner
    shifted = inner - curvature / 12
    ends = shifted[:-1, :-1], shifted[:-1, 1:], shifted[1:, :-1], shifted[1:, 1:]
    return np.stack(ends).reshape(4, -1).astype(np.float32)


def sample_units(mean: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """Draw units of the shape of ``mean`` exactly from NegativeBinomial(mean, size): a Poisson with a gamma rate."""
    rate = torch._standard_gamma(size.expand_as(mean).contiguous(), generator=generator) * (mean / size)
    return torch.poisson(rate, generator=generator)
