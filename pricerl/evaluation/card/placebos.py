"""Placebo tests of a demand regression, and its sales replayed: features of the real sales beyond chance.

At its mode the regression is a weighted least-squares fit, so a further column is tested without a refit (score test;
Rao 1948). Sales simulated from the fit go through the same projection and show what chance does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK
from pricerl.data.price_setting import CHANGE
from pricerl.env.noise import cell_of, tabulate_units
from pricerl.market.working_fit import ENTANGLED, WorkingFit, left_over, span

REPLAYS = 128
"""Simulated histories: enough for the mean and sd of a feature."""
MOST_SHIFTS = 100
"""Most circular shifts of the prices."""
FEWEST_SHIFTED = 3
"""Smallest shift, rows; prices that are shifted less resemble the real ones."""
LEAST_CHANCE = 0.1
"""Smallest spread of the sales over the spread of simulated ones; what varies less was computed rather than sold."""


class Placebos(NamedTuple):
    """Features of a history as z scores among simulated sales."""

    lead: float
    """Slope of the units on the next price that differs."""
    shifted: float
    """Mean square of the slopes on prices shifted in a circle, which keeps their runs."""
    busy: float
    """Curvature of log sales in their expectation, apart from that in price: negative if busy days sell too little."""
    capped: float
    """Sum of too little spread, too small a largest day, and too little on busy days."""


def find_placebos(fit: WorkingFit) -> Placebos | None:
    """Test a demand regression, or None if other causes explain the price, days are few, or sales show no chance."""
    x = fit.days.log_price - fit.days.log_price.mean()
    days = len(x)
    *causes, price, squared = fit.whiten(np.column_stack([fit.causes[1], x, x**2])).T
    own = left_over(price, span(np.stack(causes, 1)))
    alone = left_over(price, span(causes[-1][:, None]))
    basis = span(np.stack([*causes, price, squared], 1))
    free = days - basis.shape[1]
    if free < WEEK or own @ own <= (1 - ENTANGLED) * (alone @ alone) or not np.ptp(x):
        return None
    cells, normals = _draw_chance(days)
    quantiles = tabulate_units(torch.tensor([fit.size]))
    mean = torch.as_tensor(fit.mean, dtype=torch.float32)[:, None].expand_as(cells)
    drawn = quantiles.units(mean, cells, torch.zeros(REPLAYS, dtype=torch.long)).double().numpy()
    luck = np.column_stack([fit.days.units, drawn]) / fit.mean[:, None] - 1
    levels = np.linalg.cholesky(fit.levels + 1e-9 * np.eye(days)) @ normals
    noise = left_over(fit.whiten(np.column_stack([fit.level, levels]) + luck), basis)
    spread = np.square(noise).sum(0) / free
    if spread[0] < LEAST_CHANCE * spread[1:].mean():
        return None
    noise = noise / np.sqrt(spread)

    def slopes(columns: FloatArray) -> FloatArray:
        rest = left_over(fit.whiten(columns), basis)
        return np.asarray((rest / np.maximum(np.linalg.norm(rest, axis=0), 1e-9)).T @ noise)

    changes = np.flatnonzero(np.abs(np.diff(x)) > CHANGE)
    following = np.append(x[changes + 1], x[-1])[np.searchsorted(changes, np.arange(days))]
    shifts = np.arange(FEWEST_SHIFTED, days - FEWEST_SHIFTED, -(-days // MOST_SHIFTS))
    shifted = slopes(x[(np.arange(days)[:, None] - shifts) % days])
    expected = np.log(fit.mean) - fit.shock
    busy = _score(slopes(np.square(expected - expected.mean())[:, None])[0])
    capped = -(busy + _score(spread) + _score(noise.max(0))) / np.sqrt(3)
    unlike = _score(np.log(np.square(shifted).mean(0)))
    return Placebos(_score(slopes(following[:, None])[0]), unlike, busy, float(capped))


@lru_cache(maxsize=8)
def _draw_chance(days: int) -> tuple[Tensor, FloatArray]:
    """Return the chance of the replays, the same for all products: cells of the day's units, and normal numbers."""
    normals = np.random.default_rng(0).normal(size=(2, days, REPLAYS))
    return cell_of(torch.as_tensor(normals[0], dtype=torch.float32)), normals[1]


def _score(values: FloatArray) -> float:
    """Return the z score of the first of ``values (1 + N,)`` among the others; 0 if these are all equal."""
    sd = float(values[1:].std())
    return float(values[0] - values[1:].mean()) / sd if sd > 1e-9 else 0.0
