"""Covariates of demand: everything but the day's price that affects a product's units. Add new ones here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data import ProductHistory, day_types, weekday_of
from pricerl.data.days import DAYS_PER_YEAR, RECENT_DAYS, WEEK
from pricerl.data.holidays import DAY_BEFORE, FEWEST_HOLIDAYS, HOLIDAY
from pricerl.market.demand.reference_price import PriceMemory, reference_prices
from pricerl.market.demand.regression import Prior

WEEKDAY_SD, SEASON_SD, TREND_SD, REFERENCE_SD, AD_SD = 0.5, 0.3, 2.0, 0.5, 0.2
"""Prior sds of the coefficients, in logs. Those of weekdays and of the trend over the whole history are wide: with
narrow ones, their effect would be attributed to a price that moves with them."""

SEASON_DAYS, MOST_KNOTS = 21.0, 120
"""Days between knots of the season, and their maximum number, which keeps the fit of long histories fast. With sparser
knots, slow changes of demand would be attributed to a price that moves with them."""

YEARLY_HARMONICS = 2
"""Number of yearly harmonics: one and two cycles per year."""

REFERENCE = "reference"
"""Name of the two reference-price covariates."""
FEWEST_ALIKE = 3
"""Minimum number of days for a group to have its own median."""
MIN_AD_DAYS = 28
"""Minimum number of days with a reported ad conversion for it to be a covariate."""

COMPETITOR_PRIOR = (0.26, 0.5)
"""Mean and sd of the cross-price elasticity: the mean of 7,264 estimates is 0.26, and most are between -0.5 and 1
(Auer and Papies 2020)."""

PROMOTION_PRIOR = (0.0, 0.5)
"""Mean and sd of a promotion's log effect at an unchanged price: it seldom doubles demand and may have no effect."""

HOLIDAY_PRIOR = (0.0, 0.3)
"""Mean and sd of the log effect of a holiday and of the day before one: up or down by about a third."""
HOLIDAY_TYPES = {"day_before_holiday": DAY_BEFORE, "holiday": HOLIDAY}
"""Covariates by the day types of ``data.day_types``."""

WAVE_PRIOR = (0.0, 0.3)
"""Mean and sd of a yearly harmonic's log amplitude, the same as for a knot of the season."""
FEWEST_WAVE_DAYS = 730
"""Days; a yearly pattern must be observed twice."""

ANSWER_SHARE = 0.9
"""Share of a competitor's price explained by the seller's, above which the competitor merely follows the seller."""
ANSWER_DAYS = 7
"""Days within which a competitor reacts."""


class Covariate(NamedTuple):
    """One column of the regression; its coefficient is the change of log units per unit of the covariate."""

    name: str
    values: FloatArray
    """``(D,)`` on every day of the history."""
    ahead: float
    """Value on an average weekday of the forecast horizon."""
    mean: float
    """Prior mean of the coefficient."""
    sd: float
    """Prior sd of the coefficient."""


@dataclass(frozen=True)
class RegressionData:
    """Response, price and covariates of one product on its ``D`` usable days, newest last."""

    log_price: FloatArray
    """``(D,)`` log money."""
    units: FloatArray
    """``(D,)`` units sold."""
    age: FloatArray
    """``(D,)`` days before the end of history."""
    covariates: FloatArray
    """``(D, C)`` covariates of demand."""
    ahead: FloatArray
    """``(C,)`` the covariates on an average weekday of the forecast horizon."""
    prior: Prior
    """Prior of their coefficients."""
    names: tuple[str, ...]
    """``(C,)`` name of each column; several columns may share one."""
    optional: tuple[str, ...]
    """Names of the last columns, the optional covariates."""

    def keep(self, mask: BoolArray) -> RegressionData:
        """Return the days selected by ``mask``."""
        daily = ("log_price", "units", "age", "covariates")
        return replace(self, **{name: getattr(self, name)[mask] for name in daily})

    @property
    def reference(self) -> slice:
        """Columns of the reference price: minus the rise above it, and the same again on days above it."""
        first = self.names.index(REFERENCE)
        return slice(first, first + 2)

    def without_reference(self) -> RegressionData:
        """Return the data without a reference-price effect."""
        kept = [column for column, name in enumerate(self.names) if name != REFERENCE]
        return replace(
            self,
            covariates=self.covariates[:, kept],
            ahead=self.ahead[kept],
            prior=Prior(self.prior.mean[kept], self.prior.sd[kept]),
            names=tuple(self.names[column] for column in kept),
        )

    def weekday_factors(self, coefficients: FloatArray) -> FloatArray:
        """Return demand of each weekday over the average, ``(7,)``, from the coefficients ``(C,)``."""
        factors = np.exp(coefficients[:WEEK])
        return np.asarray(factors / factors.mean())

    def price_memory(self, coefficients: FloatArray) -> PriceMemory:
        """Return the reference-price effect from draws of the coefficients ``(K, C)``."""
        gain, further = np.maximum(coefficients[:, self.reference], 0).T
        return PriceMemory(gain, gain + further)

    def groups(self) -> IntArray:
        """Return the group of each day ``(D,)`` by its optional flags; small groups join the largest one."""
        last = self.covariates[:, self.covariates.shape[1] - len(self.optional) :]
        flags = last[:, ((last == 0) | (last == 1)).all(0)].astype(np.int64)
        group = flags @ 2 ** np.arange(flags.shape[1])
        count = np.bincount(group)
        return np.where(count[group] < FEWEST_ALIKE, count.argmax(), group)

    def effects(self, coefficients: FloatArray) -> dict[str, float]:
        """Return the coefficients of the optional covariates by name, from those of all ``(C,)``."""
        last = coefficients[len(coefficients) - len(self.optional) :].tolist()
        return dict(zip(self.optional, last, strict=True))


def gather_covariates(product: ProductHistory) -> RegressionData:
    """Collect the covariates: weekday, season, reference price, lagged ad conversion, and ``optional_covariates``.

    Same-day ad conversion is excluded because it is a mediator of the price, not a confounder. Lagged units are
    excluded because, next to so flexible a season, their coefficient is biased downwards (Nickell 1981), and the
    price's with it.

    Args:
        product: its whole history; lags are in calendar days, so days without sales count.
    """
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    log_price, optional = np.log(product.price), optional_covariates(product)
    covariates = [*_permanent_covariates(product, log_price, age), *optional]
    names, values, ahead, mean, sd = zip(*covariates, strict=True)
    everything = RegressionData(
        log_price=log_price,
        units=product.units,
        age=age,
        covariates=np.stack(values, axis=1),
        ahead=np.array(ahead),
        prior=Prior(np.array(mean), np.array(sd)),
        names=names,
        optional=tuple(covariate.name for covariate in optional),
    )
    return everything.keep(product.observed)


def _permanent_covariates(product: ProductHistory, log_price: FloatArray, age: FloatArray) -> list[Covariate]:
    recent = age <= max(RECENT_DAYS - 1, age.min())
    weekday, season = np.eye(WEEK)[weekday_of(product.dates.astype(np.int64))], _season(age)
    turns = [SEASON_SD] * (season.shape[1] - 1) + [TREND_SD]
    rise = log_price - reference_prices(log_price)[:-1]
    found = [Covariate("weekday", column, 1 / WEEK, 0.0, WEEKDAY_SD) for column in weekday.T]
    found += [
        Covariate("season", column, float(ahead), 0.0, sd)
        for column, ahead, sd in zip(season.T, season[recent].mean(0), turns, strict=True)
    ]
    found += [Covariate(REFERENCE, -column, 0.0, 0.0, REFERENCE_SD) for column in (rise, np.maximum(rise, 0))]
    if np.isfinite(product.ad).sum() >= MIN_AD_DAYS and np.ptp(product.ad) > 0:
        ad = _week_before(product.ad)
        found.append(Covariate("ads", ad, float(ad[recent].mean()), 0.0, AD_SD))
    return found


def optional_covariates(product: ProductHistory) -> list[Covariate]:
    """Collect the covariates that only some histories have, unless they never varied.

    A competitor who merely follows the seller's price is excluded: a rise then raises both prices, so the price's slope
    must include both effects. Yearly harmonics absorb recurring seasons; over the forecast horizon they keep their mean
    of the last weeks, because extrapolated harmonics mislead where there is no season.

    Args:
        product: its whole history.
    """
    found = []
    if product.competitor is not None and not _is_answer(product.competitor, product.price):
        log_price = np.log(product.competitor)
        values = log_price - np.median(log_price[-RECENT_DAYS:])
        found.append(Covariate("competitor", values, float(values[-1]), *COMPETITOR_PRIOR))
    if product.promotion is not None:
        found.append(Covariate("promotion", product.promotion.astype(np.float64), 0.0, *PROMOTION_PRIOR))
    types = day_types(product.dates, product.holidays)
    for name, day_type in HOLIDAY_TYPES.items():
        if (product.observed & (types == day_type)).sum() >= FEWEST_HOLIDAYS:
            found.append(Covariate(name, (types == day_type).astype(np.float64), 0.0, *HOLIDAY_PRIOR))
    found += _yearly_waves(len(product.dates))
    return [covariate for covariate in found if np.ptp(covariate.values[product.observed]) > 0]


def past_multiplier(product: ProductHistory, effects: Mapping[str, float]) -> FloatArray:
    """Return the ratio of each past day's demand to the forecast horizon's due to the optional covariates, ``(D,)``.

    Args:
        product: its whole history.
        effects: coefficients by the covariates' names; missing ones count as 0.
    """
    log_multiplier = np.zeros(len(product.dates))
    for covariate in optional_covariates(product) if effects else ():
        log_multiplier += effects.get(covariate.name, 0.0) * (covariate.values - covariate.ahead)
    return np.asarray(np.exp(log_multiplier))


def holiday_factors(effects: Mapping[str, float]) -> FloatArray:
    """Return demand by day type over that of an ordinary day, ``(3,)`` in the order of ``data.day_types``.

    Args:
        effects: coefficients by the covariates' names.
    """
    factors = np.ones(1 + len(HOLIDAY_TYPES))
    for name, day_type in HOLIDAY_TYPES.items():
        factors[day_type] = np.exp(effects.get(name, 0.0))
    return factors


def _season(age: FloatArray) -> FloatArray:
    """Return the season's columns ``(D, S)``: weights of the knots of a piecewise linear function, then the trend."""
    spacing = max(SEASON_DAYS, float(age.max()) / MOST_KNOTS)
    knots = np.arange(0, age.max() + spacing, spacing)
    turns = np.maximum(1 - np.abs(age[:, None] - knots) / spacing, 0)
    return np.column_stack([turns, 0.5 - age / max(float(age.max()), spacing)])


def _week_before(series: FloatArray) -> FloatArray:
    """Return the log ratio of the trailing 7-day mean to the overall mean, ``(D,)``; 0 on the first day."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    last = np.arange(len(series))
    first = np.maximum(last - WEEK, 0)
    overall = max(float(series.mean()), 1e-9)
    before = (total[last] - total[first]) / np.maximum(last - first, 1)
    ratio = np.log((before + overall) / (2 * overall)) * 2
    return np.where(last > 0, ratio, 0.0)


def _yearly_waves(days: int) -> list[Covariate]:
    if days < FEWEST_WAVE_DAYS:
        return []
    phase = 2 * np.pi * np.arange(1 - days, 1) / DAYS_PER_YEAR
    waves = [wave(turn * phase) for turn in range(1, YEARLY_HARMONICS + 1) for wave in (np.sin, np.cos)]
    return [
        Covariate(f"yearly_wave_{number}", wave, float(wave[-RECENT_DAYS:].mean()), *WAVE_PRIOR)
        for number, wave in enumerate(waves, start=1)
    ]


def _is_answer(competitor: FloatArray, price: FloatArray) -> bool:
    """Return whether the seller's price of the day and the week before nearly explains the competitor's price."""
    x, y = np.log(price), np.log(competitor)
    lags = [x[np.maximum(np.arange(len(x)) - lag, 0)] for lag in range(ANSWER_DAYS + 1)]
    design = np.stack([np.ones_like(x), *lags], axis=1)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return bool(residual.var() < (1 - ANSWER_SHARE) * y.var())
