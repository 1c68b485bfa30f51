"""How well the market forecasts days it has not seen, beside the 7-day mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricerl.data import DataPreprocessor, kinds_of_dates, weekday_of
from pricerl.env.noise import sample_units
from pricerl.market import CostConfig, Market, SimilarConfig, fit_market

SAMPLES_PER_DRAW = 16


class Backtest(NamedTuple):
    """Forecast errors of one product on its held-out days, at the prices really charged."""

    product: str
    days: int
    wape_market: float
    """Weighted absolute percentage error of daily units: sum of absolute errors over sum of units."""
    wape_mean_7: float
    """The same for the mean of the last 7 training days."""
    coverage: float
    """Share of held-out days inside the 90 % predictive interval."""

    @property
    def skill(self) -> float:
        """1 minus the ratio of the two errors: above 0 the market beats the 7-day mean."""
        return 1 - self.wape_market / self.wape_mean_7 if self.wape_mean_7 > 0 else 0.0


def backtest(preprocessor: DataPreprocessor, similar: SimilarConfig, cost: CostConfig, seed: int = 0) -> list[Backtest]:
    """Fit the market on the training days alone and forecast the held-out days of every product.

    Products without an observed held-out day are left out.
    """
    training = preprocessor.training_part()
    market = fit_market(training, similar, cost, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index, (known, whole) in enumerate(zip(training.products, preprocessor.products, strict=True)):
        later = slice(len(known.dates), None)
        seen = whole.observed[later]
        if not seen.any():
            continue
        units = whole.units[later][seen]
        price = torch.as_tensor(whole.price[later][seen], dtype=torch.float32)
        dates = whole.dates[later][seen]
        weekday, kind = weekday_of(dates.astype(np.int64)), kinds_of_dates(dates, whole.holidays)
        day = torch.as_tensor(weekday), torch.as_tensor(kind)
        samples = _predictive(market, index, price, day, generator)
        low, high = np.quantile(samples, [0.05, 0.95], axis=0)
        total = max(float(units.sum()), 1e-9)
        rows.append(
            Backtest(
                product=whole.product,
                days=int(seen.sum()),
                wape_market=float(np.abs(units - samples.mean(0)).sum()) / total,
                wape_mean_7=float(np.abs(units - known.units[-7:].mean()).sum()) / total,
                coverage=float(((units >= low) & (units <= high)).mean()),
            )
        )
    return rows


def _predictive(
    market: Market, product: int, price: Tensor, day: tuple[Tensor, Tensor], generator: torch.Generator
) -> NDArray[np.float32]:
    """Sampled units ``(S, D)`` under every drawn market; ``day`` holds weekdays and kinds of date, ``(D,)`` each."""
    days = len(price)
    draw = torch.arange(market.num_draws).repeat_interleave(days).repeat(SAMPLES_PER_DRAW)
    rows = torch.full_like(draw, product)
    repeats = market.num_draws * SAMPLES_PER_DRAW
    mean = market.respond(price.repeat(repeats), rows, draw, *(part.repeat(repeats) for part in day)).expected_units
    units = sample_units(mean, market.size[rows], generator).view(repeats, days)
    return np.asarray(units.numpy(), dtype=np.float32)
