"""What moves a day's units beside its price."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data import ProductHistory, weekday_of
from pricerl.market.demand.causes import optional_causes
from pricerl.market.demand.reference_price import PriceMemory, reference_prices
from pricerl.market.demand.similar_prices import RECENT_DAYS

WEEKDAY_SD, SEASON_SD, TREND_SD, REFERENCE_SD, AD_SD = 0.5, 0.3, 2.0, 0.5, 0.2
"""Prior sds of the coefficients, in logs. Those of weekdays and of the growth over the whole history are wide: where
the price moves with one of them, a narrow one would give the price what the weekday or the growth did."""

SEASON_DAYS, MOST_KNOTS = 21.0, 120
"""The season may turn every three weeks: whatever moves demand more slowly than that, and the price with it, is not
taken for the price's work. Longer histories have wider turns, so that fitting them takes no minutes."""

WEEK = 7
REFERENCE = "reference"
"""Name of the two causes that the price buyers are used to stands in."""
FEWEST_ALIKE = 3
"""Days of a kind from which on their median is worth anything."""
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
    """``(C,)`` prior sds of their coefficients."""
    now: FloatArray
    """``(C,)`` the causes on an average weekday of the next days."""
    names: tuple[str, ...]
    """``(C,)`` which cause each column belongs to."""
    cause_mean: FloatArray
    """``(C,)`` prior means of their coefficients."""
    optional: tuple[str, ...]
    """Names of the last causes, those that only some files tell of."""

    def keep(self, mask: BoolArray) -> DemandDays:
        """Return the days where ``mask`` holds."""
        daily = ("log_price", "units", "age", "causes")
        return replace(self, **{name: getattr(self, name)[mask] for name in daily})

    @property
    def reference(self) -> slice:
        """Columns of the reference price: minus the rise over it, and minus the rise where it lies above."""
        first = self.names.index(REFERENCE)
        return slice(first, first + 2)

    def without_reference(self) -> DemandDays:
        """Return the days as buyers see them who remember no price."""
        columns = np.arange(len(self.names))[self.reference]
        by_cause = ("causes", "cause_sd", "now", "cause_mean")
        names = tuple(name for name in self.names if name != REFERENCE)
        kept = {name: np.delete(getattr(self, name), columns, axis=-1) for name in by_cause}
        return replace(self, names=names, **kept)

    def weekday_factors(self, coefficients: FloatArray) -> FloatArray:
        """Demand of each weekday over the average, ``(7,)``, from the causes' coefficients ``(C,)``."""
        factors = np.exp(coefficients[:WEEK])
        return np.asarray(factors / factors.mean())

    def price_memory(self, coefficients: FloatArray) -> PriceMemory:
        """What buyers make of a price they are not used to, from draws of the causes' coefficients ``(K, C)``."""
        gain, further = np.maximum(coefficients[:, self.reference], 0).T
        return PriceMemory(gain, gain + further)

    def kinds(self) -> IntArray:
        """Number the days ``(D,)`` by the optional yes-or-no causes at work; a few alike count as usual."""
        last = self.causes[:, self.causes.shape[1] - len(self.optional) :]
        flags = last[:, ((last == 0) | (last == 1)).all(0)].astype(np.int64)
        kind = flags @ 2 ** np.arange(flags.shape[1])
        count = np.bincount(kind)
        return np.where(count[kind] < FEWEST_ALIKE, count.argmax(), kind)

    def effects(self, coefficients: FloatArray) -> dict[str, float]:
        """Coefficients of the optional causes by name, from those of all causes ``(C,)``."""
        last = coefficients[len(coefficients) - len(self.optional) :].tolist()
        return dict(zip(self.optional, last, strict=True))


def gather_days(product: ProductHistory) -> DemandDays:
    """Collect the causes of demand: weekday, season, reference price, earlier ad conversion, and ``optional_causes``.

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
    log_price = np.log(product.price)
    rise = log_price - reference_prices(log_price)[:-1]
    reference = -np.stack([rise, np.maximum(rise, 0)], axis=1)
    columns = [weekday, season, reference]
    turns = np.append(np.full(season.shape[1] - 1, SEASON_SD), TREND_SD)
    sds = [np.full(WEEK, WEEKDAY_SD), turns, np.full(2, REFERENCE_SD)]
    recent = age <= max(RECENT_DAYS - 1, age.min())
    names = ("weekday",) * WEEK + ("season",) * season.shape[1] + (REFERENCE,) * 2
    now = [np.full(WEEK, 1 / WEEK), season[recent].mean(0), np.zeros(2)]
    if np.isfinite(product.ad).sum() >= MIN_AD_DAYS and np.ptp(product.ad) > 0:
        ad = _lagged(product.ad)
        columns.append(ad[:, None])
        sds.append(np.array([AD_SD]))
        names += ("ads",)
        now.append(ad[recent].mean(keepdims=True))
    optional = optional_causes(product)
    columns += [cause.values[:, None] for cause in optional]
    sds += [np.array([cause.sd]) for cause in optional]
    now += [np.array([cause.now]) for cause in optional]
    told = tuple(cause.name for cause in optional)
    cause_sd = np.concatenate(sds)
    cause_mean = np.zeros_like(cause_sd)
    cause_mean[len(cause_sd) - len(optional) :] = [cause.mean for cause in optional]
    everything = DemandDays(
        log_price=log_price,
        units=product.units,
        age=age,
        causes=np.concatenate(columns, axis=1),
        cause_sd=cause_sd,
        now=np.concatenate(now),
        names=(*names, *told),
        cause_mean=cause_mean,
        optional=told,
    )
    return everything.keep(product.observed)


def _season(age: FloatArray) -> FloatArray:
    """Broken line through time ``(D, S)``, the weight of each of its knots on each day; last a trend."""
    spacing = max(SEASON_DAYS, float(age.max()) / MOST_KNOTS)
    knots = np.arange(0, age.max() + spacing, spacing)
    turns = np.maximum(1 - np.abs(age[:, None] - knots) / spacing, 0)
    return np.column_stack([turns, 0.5 - age / max(float(age.max()), spacing)])


def _lagged(series: FloatArray) -> FloatArray:
    """Log of the mean of the seven days before over that of all days, ``(D,)``; 0 where nothing came before."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    last = np.arange(len(series))
    first = np.maximum(last - WEEK, 0)
    overall = max(float(series.mean()), 1e-9)
    before = (total[last] - total[first]) / np.maximum(last - first, 1)
    ratio = np.log((before + overall) / (2 * overall)) * 2
    return np.where(last > 0, ratio, 0.0)
