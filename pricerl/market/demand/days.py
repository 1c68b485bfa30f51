"""What moves a day's units beside its price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from pricerl.data import ProductHistory, weekday_of
from pricerl.market.similar import RECENT_DAYS

FloatArray = NDArray[np.float64]

WEEKDAY_SD, SEASON_SD, REFERENCE_SD, AD_SD = 0.2, 0.3, 0.5, 0.2
"""Prior sds of the coefficients, in logs: weekdays differ by about a fifth."""

SEASON_DAYS, MOST_KNOTS = 21.0, 120
"""The season may turn every three weeks: whatever moves demand more slowly than that, and the price with it, is not
taken for the price's work. Longer histories have wider turns, so that fitting them takes no minutes."""

REFERENCE_MEMORY = 0.9
"""Share of yesterday's reference price in today's: buyers get used to a price in some ten days."""

WEEK = 7
MIN_AD_DAYS = 28
"""Fewer days with an ad conversion than this say nothing about ads."""


@dataclass(frozen=True)
class DemandDays:
    """The days of one product on which price and sales are known, ``D`` of them, newest last."""

    log_price: FloatArray
    """``(D,)`` log money."""
    units: FloatArray
    """``(D,)``."""
    age: FloatArray
    """``(D,)`` days before the end of history."""
    causes: FloatArray
    """``(D, C)`` everything but the price that moves demand."""
    cause_sd: FloatArray
    """``(C,)`` prior sds of their coefficients; all prior means are 0."""
    now: FloatArray
    """``(C,)`` the causes on an average weekday of the coming days."""
    names: tuple[str, ...] = ()
    """Which cause each of the first columns of ``causes`` belongs to."""

    def keep(self, mask: NDArray[np.bool_]) -> DemandDays:
        """Return the days where ``mask`` holds."""
        kept = self.log_price[mask], self.units[mask], self.age[mask], self.causes[mask]
        return DemandDays(*kept, self.cause_sd, self.now, self.names)

    def weekday_factors(self, coefficients: FloatArray) -> FloatArray:
        """Demand of each weekday over the average, ``(7,)``, from the causes' coefficients ``(C,)``."""
        factors = np.exp(coefficients[:WEEK])
        return np.asarray(factors / factors.mean())


def gather_days(product: ProductHistory) -> DemandDays:
    """Collect the causes of demand: weekday, slow season, reference price, ad conversion of the week before.

    Same-day ad conversion is left out: the price moves it, so it is a consequence and no cause. So is the demand of the
    days before: beside a season that turns as fast as this one its coefficient is biased downwards (Nickell 1981), and
    the price's with it. The price buyers are used to counts twice: by its distance from the price, and once more where
    the price lies above it.

    Args:
        product: its whole history; lags are of dates, so days without sales count.
    """
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    weekday = np.eye(WEEK)[weekday_of(product.dates.astype(np.int64))]
    season = _season(age)
    rise = _rise_over_reference(np.log(product.price))
    reference = -np.stack([rise, np.maximum(rise, 0)], axis=1)
    columns = [weekday, season, reference]
    sds = [np.full(WEEK, WEEKDAY_SD), np.full(season.shape[1], SEASON_SD), np.full(2, REFERENCE_SD)]
    recent = age <= max(RECENT_DAYS - 1, age.min())
    names = ("weekday",) * WEEK + ("season",) * season.shape[1] + ("reference",) * 2
    now = [np.full(WEEK, 1 / WEEK), season[recent].mean(0), np.zeros(2)]
    if np.isfinite(product.ad).sum() >= MIN_AD_DAYS and np.ptp(product.ad) > 0:
        ad = _lagged(product.ad)
        columns.append(ad[:, None])
        sds.append(np.array([AD_SD]))
        names += ("ads",)
        now.append(ad[recent].mean(keepdims=True))
    causes, sd, means = np.concatenate(columns, axis=1), np.concatenate(sds), np.concatenate(now)
    everything = DemandDays(np.log(product.price), product.units, age, causes, sd, means, names)
    return everything.keep(product.observed)


def _season(age: FloatArray) -> FloatArray:
    """Broken line through time ``(D, S)``: the weight of each of its knots on each day."""
    spacing = max(SEASON_DAYS, float(age.max()) / MOST_KNOTS)
    knots = np.arange(0, age.max() + spacing, spacing)
    return np.asarray(np.maximum(1 - np.abs(age[:, None] - knots) / spacing, 0))


def _rise_over_reference(x: FloatArray) -> FloatArray:
    """How far log prices ``(D,)`` lie above the one that buyers were used to before."""
    reference = lfilter([0.0, 1 - REFERENCE_MEMORY], [1.0, -REFERENCE_MEMORY], x - x[0]) + x[0]
    return np.asarray(x - reference)


def _lagged(series: FloatArray) -> FloatArray:
    """Log of the mean of the seven days before over that of all days, ``(D,)``; 0 where nothing came before."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    last = np.arange(len(series))
    first = np.maximum(last - WEEK, 0)
    overall = max(float(series.mean()), 1e-9)
    before = (total[last] - total[first]) / np.maximum(last - first, 1)
    ratio = np.log((before + overall) / (2 * overall)) * 2
    return np.where(last > 0, ratio, 0.0)
