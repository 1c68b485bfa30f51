"""Covariates of demand: everything but the day's price that affects a product's units. Add new ones here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import carry_forward
from pricerl.data.days import (
    DAY_BEFORE,
    DAYS_PER_YEAR,
    FEWEST_HOLIDAYS,
    HOLIDAY,
    RECENT_DAYS,
    WEEK,
    day_types,
    steps_in,
    weekday_of,
)
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import DEAL_DEPTH, regular_prices
from pricerl.guardrails.round_prices import NO_UNIT, overlooked
from pricerl.market.demand.priors import CrossPrior, SeasonPrior
from pricerl.market.demand.reference_price import reference_prices, smooth
from pricerl.market.demand.regression import Prior
from pricerl.market.level import AHEAD_ROWS

PRICE_TERMS = 3
"""Number of regression columns before the covariates: level, log price and its square."""
WEEKDAY = "weekday"
"""Name of the seven weekday covariates."""
REFERENCE = "reference"
"""Name of the two reference-price covariates: minus the rise above it, and the same again on days above it."""
DEAL_DEPTH_NAME = "deal_depth"
"""Name of the covariate of a deal's depth."""
BIAS = "bias"
"""Name of the covariate of what moved the price."""
CATEGORY = "category"
"""Name of the covariate of the price of the rest of the category."""
OVERLOOKED = "overlooked"
"""Name of the covariate of what follows the whole units of a price."""
SEASON = "yearly_wave"
"""Name of the covariates of the yearly season."""
HOLIDAY_TYPES = {"day_before_holiday": DAY_BEFORE, "holiday": HOLIDAY}
"""Covariates by the day types of ``data.day_types``, ascending from 1."""

PRIORS = {
    WEEKDAY: (0.0, 0.5),
    REFERENCE: (0.0, 0.5),
    "ad_spend": (0.12, 0.2),
    "advertising": (0.0, 0.2),
    "campaign": (0.0, 0.5),
    DEAL_DEPTH_NAME: (-1.0, 1.5),
    "coupons": (-1.0, 1.5),
    "promotion": (0.2, 0.4),
    "stock_at_home": (0.0, 0.3),
    "competitor": (0.26, 0.5),
    "holiday": (0.0, 0.3),
    SEASON: (0.0, 0.2),
    OVERLOOKED: (0.3, 0.5),
}
"""Prior means and sds of the covariates' coefficients, in logs.

Priors of weekdays are wide: with narrow ones, their effect would be attributed to a price that moves with them. The
mean short-term elasticity to advertising is 0.12 (Sethuraman, Tellis and Briesch 2011), the mean of 7,264 cross-price
elasticities 0.26, most between -0.5 and 1 (Auer and Papies 2020). Promotions have a further elasticity to the depth of
the discount, a step of demand at an unchanged price, and an effect of what buyers still have at home.
"""

YEARLY_HARMONICS = 2
"""Number of yearly harmonics: one and two cycles per year."""
FEWEST_WAVE_DAYS = 365
"""Days from which on a yearly season may explain demand; its evidence decides whether it does."""

MIN_AD_DAYS = 28
"""Minimum number of days with a reported conversion for it to be a covariate."""
CAMPAIGN_DAYS = 3
"""Days over which that ratio is averaged, because conversions of few visitors are noisy."""
LEAST_CONVERSION = 0.1
"""Share of the mean conversion that is added to each day's, so that days without a buyer have a logarithm."""
STOCK_MEMORY = 0.93
"""Share of the buyers' stock that is left after a day."""
ANSWER_SHARE = 0.9
"""Share of a competitor's price explained by the seller's, above which the competitor merely follows the seller."""
ANSWER_DAYS = 7
"""Days within which a competitor reacts."""


class Terms(NamedTuple):
    """Terms of one regression; demand models average several by their evidence."""

    window: int | None = None
    """Longest promotion of the filter for the regular price, days; 0 for reported ones alone, None for none."""
    bias: tuple[float, float] | None = None
    """Prior mean and sd of the bias of the elasticity by what moved the price; None for no bias. Changes that pricerl
    made to the price have none."""
    follows: bool = False
    """Whether the price followed demand. A day whose price pricerl set then has the bias of the last price before:
    pricerl began there, and demand is slow to change."""
    season: SeasonPrior | None = None
    """Season of the seller's other products; without one, a yearly season needs a year."""
    cross: CrossPrior | None = None
    """Prior of the effect of the category's price; None leaves that out."""
    unit: float = NO_UNIT
    """Whole unit of prices, in money, of which buyers may overlook what follows; `NO_UNIT` leaves that out."""


NO_TERMS = Terms()


class Covariate(NamedTuple):
    """One column of the regression; its coefficient is the change of log units per unit of the covariate."""

    name: str
    values: FloatArray
    """``(D,)`` on every day of the history."""
    ahead: float
    """Value on an average weekday of the forecast horizon."""
    mean: float
    """Mean and sd of the coefficient's prior."""
    sd: float


@dataclass(frozen=True)
class RegressionData:
    """Units ``(D,)``, log price ``(D,)`` and ``C`` covariates of one product on ``D`` days, newest last."""

    log_price: FloatArray
    regular: FloatArray
    """``(D,)`` log regular price, in money; without promotions the log price."""
    units: FloatArray
    own: BoolArray
    """``(D,)`` whether pricerl set the price."""
    age: FloatArray
    """``(D,)`` days before the end of history."""
    row: IntArray
    """``(D,)`` place on the calendar."""
    covariates: FloatArray
    """``(D, C)``."""
    ahead: FloatArray
    """``(C,)`` the covariates on an average weekday of the forecast horizon."""
    prior: Prior
    """Prior of their coefficients."""
    names: tuple[str, ...]
    """``(C,)`` name of each column; several columns may share one."""
    optional: tuple[str, ...]
    """Names of the last columns, the optional covariates."""
    step_days: int
    rows: int
    """Rows of the calendar."""
    last_day: int
    """Day of the last row, since 1970."""

    def keep(self, mask: BoolArray) -> RegressionData:
        """Return the days selected by ``mask``."""
        daily = ("log_price", "regular", "units", "own", "age", "row", "covariates")
        return replace(self, **{name: getattr(self, name)[mask] for name in daily})

    def places(self, *names: str) -> IntArray:
        """Return the columns of the design that hold the covariates of some names."""
        return PRICE_TERMS + np.flatnonzero([name in names for name in self.names])

    def without(self, *left_out: str) -> RegressionData:
        """Return the data without the covariates of some names."""
        kept = [column for column, name in enumerate(self.names) if name not in left_out]
        return replace(
            self,
            covariates=self.covariates[:, kept],
            ahead=self.ahead[kept],
            prior=Prior(self.prior.mean[kept], self.prior.sd[kept]),
            names=tuple(self.names[column] for column in kept),
            optional=tuple(name for name in self.optional if name not in left_out),
        )

    @cached_property
    def design(self) -> FloatArray:
        """Columns 1, log price, squared log regular price and the covariates, ``(D, 3 + C)``, prices over a median.

        It follows from the prices that pricerl did not set: around one of its own, kept for weeks at the edge of these
        tried, curvature would hide the slope.
        """
        centre = np.median(self.regular[~self.own] if not self.own.all() else self.regular)
        x = self.log_price - centre
        regular = self.regular - centre
        return np.column_stack([np.ones_like(x), x, regular**2, self.covariates])

    @property
    def bias(self) -> tuple[float, float] | None:
        """Prior mean and sd of the bias of the elasticity; None where pricerl set all prices."""
        found = zip(self.names, self.prior.mean.tolist(), self.prior.sd.tolist(), strict=True)
        return next(((mean, sd) for name, mean, sd in found if name == BIAS), None)

    def past_multiplier(self, elasticity: float, coefficients: FloatArray) -> FloatArray:
        """Return each day's demand over that ahead ``(D,)``, by covariates but price, bias and discounts."""
        chosen = np.array([name not in (BIAS, OVERLOOKED) for name in self.names], dtype=bool)
        log_ratio = (self.covariates[:, chosen] - self.ahead[chosen]) @ coefficients[chosen]
        return np.asarray(np.exp(log_ratio + elasticity * (self.log_price - self.regular)))

    def weekday_factors(self, coefficients: FloatArray) -> FloatArray:
        """Return demand of each weekday over the average, ``(7,)``, from the coefficients ``(C,)``; 1 for weeks."""
        if WEEKDAY not in self.names:
            return np.ones(WEEK)
        factors = np.exp(coefficients[:WEEK])
        return np.asarray(factors / factors.mean())

    def effects(self, coefficients: FloatArray) -> dict[str, float]:
        """Return the coefficients of the optional covariates by name, from all coefficients ``(C,)``."""
        last = coefficients[len(coefficients) - len(self.optional) :].tolist()
        return dict(zip(self.optional, last, strict=True))


def gather_covariates(product: ProductHistory, terms: Terms = NO_TERMS) -> RegressionData:
    """Collect the covariates of all days: calendar, prices, advertising, and `optional_covariates`.

    Lagged units are excluded: next to a level that moves, their coefficient is biased downwards (Nickell 1981), and
    the price's with it. With promotions there is no reference price: both describe what a passing discount does.
    """
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    recent = age <= max(RECENT_DAYS - 1, age.min())
    log_price = np.log(product.price)
    regular, deals = (log_price, []) if terms.window is None else deal_covariates(product, log_price, terms.window)
    optional = optional_covariates(product, terms, deals)
    prices = _past_prices(product, log_price, terms)
    found = [*_weekdays(product), *prices, *_advertising(product, recent), *optional]
    return RegressionData(
        log_price=log_price,
        regular=regular,
        units=product.units,
        own=product.own_days,
        age=age,
        row=np.arange(len(age)),
        covariates=np.array([item.values for item in found]).reshape(-1, len(age)).T,
        ahead=np.array([item.ahead for item in found]),
        prior=Prior(np.array([item.mean for item in found]), np.array([item.sd for item in found])),
        names=tuple(item.name for item in found),
        optional=tuple(covariate.name for covariate in optional),
        step_days=product.step_days,
        rows=len(age),
        last_day=int(product.dates[-1].astype(np.int64)),
    )


def _weekdays(product: ProductHistory) -> list[Covariate]:
    """Return the seven weekdays; none for weekly rows."""
    if product.step_days >= WEEK:
        return []
    weekday = np.eye(WEEK)[weekday_of(product.dates.astype(np.int64))]
    return [Covariate(WEEKDAY, column, 1 / WEEK, *PRIORS[WEEKDAY]) for column in weekday.T]


def _past_prices(product: ProductHistory, log_price: FloatArray, terms: Terms) -> list[Covariate]:
    """Return the rise above the reference price, and the bias of what moved the price."""
    found = []
    if not terms.window:
        rise = log_price - reference_prices(log_price, product.step_days)[:-1]
        found = [Covariate(REFERENCE, -column, 0.0, *PRIORS[REFERENCE]) for column in (rise, np.maximum(rise, 0))]
    others = ~product.own_days
    if terms.bias is not None and others.any():
        centre = np.median(log_price if terms.window else log_price[others])
        moved = carry_forward(np.where(others, log_price - centre, np.nan if terms.follows else 0.0))
        found.append(Covariate(BIAS, moved, 0.0 if others[-1] else float(moved[-1]), *terms.bias))
    return found


def _advertising(product: ProductHistory, recent: BoolArray) -> list[Covariate]:
    """Return log ad spend and conversion of the week before, and log ratio of conversions, as a price moves both."""

    def varies(value: FloatArray) -> bool:
        return bool(np.isfinite(value).sum() >= MIN_AD_DAYS and np.ptp(value) > 0)

    found = []
    for name, value in (("ad_spend", product.ad_spend), ("advertising", product.ad)):
        if value is not None and varies(value):
            before = _log_week_before(value, steps_in(WEEK, product.step_days))
            found.append(Covariate(name, before, float(before[recent].mean()), *PRIORS[name]))
    if varies(product.ad) and varies(product.organic):
        logs = [np.log(rate + LEAST_CONVERSION * rate.mean()) for rate in (product.ad, product.organic)]
        ratio = logs[0] - logs[1]
        days = CAMPAIGN_DAYS if product.step_days == 1 else 1
        padded = np.pad(ratio - np.median(ratio), days // 2, mode="edge")
        campaign = np.convolve(padded, np.full(days, 1 / days), mode="valid")
        found.append(Covariate("campaign", campaign, float(campaign[recent].mean()), *PRIORS["campaign"]))
    return found


def _log_week_before(value: FloatArray, steps: int) -> FloatArray:
    """Return the mean of the ``steps`` rows before each row over the overall mean, in logs that are finite at 0."""
    total = np.concatenate([[0.0], np.cumsum(value)])
    last = np.arange(len(value))
    first = np.maximum(last - steps, 0)
    overall = value.mean()
    before = (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.where(last > 0, np.log((before + overall) / (2 * overall)) * 2, 0.0)


def deal_covariates(product: ProductHistory, log_price: FloatArray, window: int) -> tuple[FloatArray, list[Covariate]]:
    """Return the log regular price ``(D,)``, and covariates that keep the response to promotions apart from it."""
    reported = np.zeros(len(log_price), dtype=bool) if product.promotion is None else product.promotion
    usual = carry_forward(np.where(reported, np.nan, log_price)) if not reported.all() else log_price
    regular = regular_prices(log_price, window) if window else np.maximum(log_price, usual)
    deal = reported | (regular - log_price > DEAL_DEPTH)
    regular = np.where(deal, np.maximum(regular, log_price), log_price)
    step = deal.astype(np.float64)
    return regular, [
        Covariate(DEAL_DEPTH_NAME, log_price - regular, 0.0, *PRIORS[DEAL_DEPTH_NAME]),
        Covariate("promotion", step, 0.0, *PRIORS["promotion"]),
        Covariate("stock_at_home", smooth(step, STOCK_MEMORY**product.step_days), 0.0, *PRIORS["stock_at_home"]),
    ]


@dataclass(frozen=True)
class DealResponse:
    """Effect of deals on demand in ``K`` posterior draws, around the response to the regular price."""

    window: int
    """Longest deal that the prices themselves show, days; 0 where only reported ones count."""
    effects: FloatArray
    """``(K, 3)`` change of log units per log price below the regular one, by a deal, and by what buyers have stored."""

    def regular(self, product: ProductHistory) -> FloatArray:
        """Return the regular price of each day, ``(D,)``, in money."""
        return np.asarray(np.exp(deal_covariates(product, np.log(product.price), self.window)[0]))

    def lifts(self, product: ProductHistory) -> FloatArray:
        """Return the demand of each day over that at its regular price in each draw, ``(K, D)``."""
        _, columns = deal_covariates(product, np.log(product.price), self.window)
        return np.asarray(np.exp(self.effects @ np.stack([column.values for column in columns])))


def optional_covariates(product: ProductHistory, terms: Terms, deals: Sequence[Covariate] = ()) -> list[Covariate]:
    """Collect the covariates that only some histories have, unless they never varied.

    A competitor who follows the seller's price is excluded: the price's slope must include both effects. Without the
    ``deals``, the promotions' covariates, the reported promotions count alone. With less than a year, a yearly season
    needs the prior of other products.
    """
    found = list(deals)
    recent = steps_in(RECENT_DAYS, product.step_days)
    if product.competitor is not None and not _is_answer(product, np.log(product.competitor)):
        log_price = np.log(product.competitor)
        values = log_price - np.median(log_price[-recent:])
        found.append(Covariate("competitor", values, float(values[-1]), *PRIORS["competitor"]))
    rest = product.category_price
    if terms.cross is not None and rest is not None and not _is_answer(product, rest):
        found.append(Covariate(CATEGORY, rest - rest[-1], 0.0, *terms.cross))
    if product.promotion is not None and not deals:
        found.append(Covariate("promotion", product.promotion.astype(np.float64), 0.0, *PRIORS["promotion"]))
    found.append(Covariate(OVERLOOKED, overlooked(product.price, terms.unit), 0.0, *PRIORS[OVERLOOKED]))
    if product.coupons is not None:
        taken = np.log(1 - product.coupons)
        found.append(Covariate("coupons", taken, float(taken[-recent:].mean()), *PRIORS["coupons"]))
    types = day_types(product.dates, product.holidays)
    found += [
        Covariate(name, (types == day_type).astype(np.float64), 0.0, *PRIORS["holiday"])
        for name, day_type in HOLIDAY_TYPES.items()
        if (product.observed & (types == day_type)).sum() >= FEWEST_HOLIDAYS
    ]
    season = terms.season
    if season is not None or shows_a_year(product):
        dates = product.dates.astype(np.int64)
        ahead = yearly_waves(dates[-1] + product.step_days * np.arange(1, 1 + AHEAD_ROWS)).mean(0)
        priors = len(ahead) * [PRIORS[SEASON]] if season is None else zip(season.mean, season.sd, strict=True)
        waves = zip(yearly_waves(dates).T, ahead.tolist(), priors, strict=True)
        found += [Covariate(SEASON, wave, later, *prior) for wave, later, prior in waves]
    return [covariate for covariate in found if np.ptp(covariate.values[product.observed]) > 0]


def shows_a_year(product: ProductHistory) -> bool:
    """Return whether a history is long enough for a yearly season of its own."""
    return len(product.dates) * product.step_days >= FEWEST_WAVE_DAYS


def yearly_waves(day: IntArray) -> FloatArray:
    """Return the harmonics of the year on days ``(D,)`` since 1970, ``(D, 2 YEARLY_HARMONICS)``."""
    phase = 2 * np.pi * day / DAYS_PER_YEAR
    return np.column_stack([wave(turn * phase) for turn in range(1, YEARLY_HARMONICS + 1) for wave in (np.sin, np.cos)])


def _is_answer(product: ProductHistory, competitor: FloatArray) -> bool:
    """Return whether the seller's price of the day and the week before nearly explains another log price."""
    x = np.log(product.price)
    rows = steps_in(ANSWER_DAYS, product.step_days)
    lags = [x[np.maximum(np.arange(len(x)) - lag, 0)] for lag in range(rows + 1)]
    design = np.stack([np.ones_like(x), *lags], axis=1)
    residual = competitor - design @ np.linalg.lstsq(design, competitor, rcond=None)[0]
    return bool(residual.var() < (1 - ANSWER_SHARE) * competitor.var())


def holiday_factors(effects: Mapping[str, float]) -> FloatArray:
    """Return demand by day type over an ordinary day's, ``(3,)``, from the coefficients by covariate."""
    return np.array([1.0, *(np.exp(effects.get(name, 0.0)) for name in HOLIDAY_TYPES)])
