"""Forecasts of price paths and of recorded days: expectations with predictive limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, IntArray, intervals_of, limits_of
from pricerl.data.history import ProductHistory
from pricerl.env.noise import draw_z, sample_units
from pricerl.env.product import Product
from pricerl.evaluation.valuation import expect_days, expect_path
from pricerl.market.market import Market, Response

NOISE_SAMPLES = 16
"""Noise samples per posterior draw for predictive limits. At 256 draws, limits differ from the limits of very many
samples by 1.7 % of the interval's width; with 64 samples by 1.2 %, in three times the time."""


class PathForecast(NamedTuple):
    """Forecast of the days of a path, ``(3, H)``: mean, 90 % limits with daily noise except in conversions, percent."""

    units: FloatArray
    sales: FloatArray
    profit: FloatArray
    organic: FloatArray
    ad: FloatArray
    market_sd: FloatArray
    """Posterior sds of the expected units, sales and profit of each day, ``(3, H)``."""
    sampled_units: FloatArray
    """Units of each day with the daily noise, ``(N, H)``, over posterior draws and noise samples."""


@torch.no_grad()
def forecast_path(product: Product, price: Tensor, seed: int) -> PathForecast:
    """Forecast every day of a path ``price (H,)``, in money, after the history; the seed is for the daily noise."""
    expected = expect_path(product, price)
    market = product.market
    mean = expected.expected_units
    paid = price * market.share_paid[product.index]
    generator = torch.Generator(market.device).manual_seed(seed)
    noise = draw_z(NOISE_SAMPLES * len(mean), len(price), generator)
    units = product.dynamics.quantiles.units(mean.repeat(NOISE_SAMPLES, 1), noise, product.rows(len(price)))
    profit = product.draws.profit(price, units.view(NOISE_SAMPLES, *mean.shape))
    units_limits = _with_limits(mean, units)
    return PathForecast(
        units=units_limits,
        sales=units_limits * _numpy(paid),  # each day has one price
        profit=_with_limits(expected.profit, profit.flatten(0, 1)),
        organic=intervals_of(_numpy(expected.organic)),
        ad=intervals_of(_numpy(expected.ad)),
        market_sd=np.stack([_numpy(values).std(0) for values in (mean, expected.sales, expected.profit)]),
        sampled_units=np.asarray(units.cpu()),
    )


@torch.no_grad()
def respond_on(market: Market, index: int, product: ProductHistory, day: IntArray) -> Response:
    """Return the expected outcome of fitted or later days ``day (N,)`` at the prices charged, ``(K, N)`` each."""
    fitted = market.products[index]
    deals = fitted.ahead.deals
    regular = product.price if deals is None else deals.regular(product)
    price = torch.as_tensor(regular[day], dtype=torch.float32, device=market.device)
    lifts = np.ones((1, len(day)))
    if fitted.memory is not None:
        lifts = fitted.memory.lifts(product.price)[:, day]
    if deals is not None:
        lifts = lifts * deals.lifts(product)[:, day]
    return expect_days(market, index, price, product.dates[day], lifts)


@torch.no_grad()
def predict_units(market: Market, product: ProductHistory, day: IntArray, generator: torch.Generator) -> FloatArray:
    """Forecast units of days ``day (N,)`` in a market of one product, ``(3, N)``: mean and limits with daily noise."""
    units = respond_on(market, 0, product, day).expected_units
    low, high = torch.as_tensor(limits_of(_numpy(units)), dtype=units.dtype)
    samples = sample_units(units.repeat(NOISE_SAMPLES, 1), market.size, generator)
    return _with_limits(units.clamp(low, high), samples)  # at a price far from all tried, few draws would make the mean


def _with_limits(mean: Tensor, samples: Tensor) -> FloatArray:
    """Return the mean of expectations ``(K, H)`` and the limits of noisy samples ``(N, H)``, ``(3, H)``."""
    return np.concatenate([_numpy(mean).mean(0)[None], limits_of(samples.cpu().numpy())])


def _numpy(values: Tensor) -> FloatArray:
    return np.asarray(values.cpu().double().numpy())
