"""Twelve daily features of an observation."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.history import ProductHistory

FEATURES: tuple[str, ...] = (
    "price",
    "price_mean_7",
    "sales_mean_7",
    "day_of_week",
    "month",
    "predicted_sales",
    "price_momentum",
    "sales_trend",
    "organic_conversion",
    "ad_conversion",
    "profit",
    "sales",
)


def build_features(history: ProductHistory, predicted: FloatArray | None = None) -> FloatArray:
    """Return the features of every day.

    Rolling means end the day before. Only ``profit``, ``sales`` and the conversions of a row depend on that day's own
    outcome; a decision uses rows up to the previous day.

    Args:
        history: one product, ``D`` days.
        predicted: ``(D,)`` revenue forecast; the trailing 7-day mean replaces NaN or an absent forecast.

    Returns:
        ``(D, 12)`` in the order of `FEATURES`, unscaled.
    """
    price = history.prices_in_force
    price_mean = shifted_mean(price, price[0])
    sales_mean = shifted_mean(history.sales, 0.0)
    last_week = sales_mean.copy()
    last_week[WEEK + 1 :] = sales_mean[1:-WEEK]
    total = sales_mean + last_week  # the trend is 0 without a last week or sales
    forecast = np.full_like(sales_mean, np.nan) if predicted is None else predicted
    columns = [
        price,
        price_mean,
        sales_mean,
        weekday_of(history.dates.astype(np.int64)),
        history.dates.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        np.where(np.isfinite(forecast), forecast, sales_mean),
        price / price_mean - 1.0,
        np.divide(sales_mean - last_week, total, out=np.zeros_like(total), where=total != 0),
        np.nan_to_num(history.organic),
        np.nan_to_num(history.ad),
        history.profit,
        history.sales,
    ]
    return np.column_stack(columns).astype(np.float64)


def shifted_mean(values: FloatArray, first: float) -> FloatArray:
    """Return the mean of the seven ``values (D,)`` before each day, of fewer at the start.

    The first day has no predecessor and takes the value ``first``.
    """
    padded = np.concatenate([np.zeros(WEEK), values])
    days = len(values)
    sums = padded[:days].copy()
    for lag in range(1, WEEK):
        sums += padded[lag : lag + days]
    means: FloatArray = sums / np.minimum(np.maximum(np.arange(days), 1), WEEK)
    means[0] = first
    return means
