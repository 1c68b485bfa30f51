"""Covariates of demand: everything but the day's price that affects a product's units. Add new ones here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import DateArray, FloatArray
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
from pricerl.market.demand.reference_price import reference_prices, smooth
from pricerl.market.demand.regression import Prior
from pricerl.market.demand.regression_data import REFERENCE, WEEKDAY, Covariate, RegressionData

WEEKDAY_SD = 0.5
"""Prior sd of the effect of a weekday, in logs. It is wide, as is that of the trend: with narrow ones, their effect
would be attributed to a price that moves with them."""
SEASON_SD = 0.3
"""Prior sd of a knot of the season, in logs."""
TREND_SD = 2.0
"""Prior sd of the trend over the whole history, in logs."""
REFERENCE_SD = 0.5
"""Prior sd of the reference-price effect, in logs."""
AD_SD = 0.2
"""Prior sd of the effect of advertising, in logs."""

SEASON_DAYS = 21.0
"""Days between knots of the season, three weekly rows. With sparser knots, slow changes of demand would be attributed
to a price that moves with them."""
MOST_KNOTS = 120
"""Maximum number of knots, which keeps the fit of long histories fast."""

YEARLY_HARMONICS = 2
"""Number of yearly harmonics: one and two cycles per year."""

ADS = "ads"
"""Name of the covariates of advertising."""
MIN_AD_DAYS = 28
"""Minimum number of days with a reported conversion for it to be a covariate."""
CAMPAIGN_PRIOR = (0.0, 0.5)
"""Mean and sd of the effect of ad over organic conversion, in logs."""
CAMPAIGN_DAYS = 3
"""Days over which that ratio is averaged, because conversions of few visitors are noisy."""
LEAST_CONVERSION = 0.1
"""Share of the mean conversion that is added to each day's, so that days without a buyer have a logarithm."""

COMPETITOR_PRIOR = (0.26, 0.5)
"""Mean and sd of the cross-price elasticity: the mean of 7,264 estimates is 0.26, and most are between -0.5 and 1
(Auer and Papies 2020)."""

DEAL_DEPTH_PRIOR = (-1.0, 1.5)
"""Mean and sd of a promotion's further elasticity with respect to its discount."""
DEAL_PRIOR = (0.2, 0.4)
"""Mean and sd of a promotion's step of demand at an unchanged price, in logs."""
STOCK_PRIOR = (0.0, 0.3)
"""Mean and sd of the effect of what buyers still have at home after a promotion, in logs."""
DEAL_DEPTH_NAME = "deal_depth"
"""Name of the covariate of a deal's depth."""
STOCK_MEMORY = 0.93
"""Share of the buyers' stock that is left after a day."""

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


class Terms(NamedTuple):
    """Terms of one regression; demand models average several by their evidence."""

    season_sd: float = SEASON_SD
    """Prior sd of the season's knots, in logs."""
    window: int | None = None
    """Longest promotion of the filter for the regular price, days; 0 for reported ones alone, None for none."""
    bias: tuple[float, float] | None = None
    """Prior mean and sd of the bias of the elasticity by what moved the price; None for no bias. Changes that pricerl
    made to the price have none."""
    follows: bool = False
    """Whether the price followed demand. A day whose price pricerl set then has the bias of the last price before:
    pricerl began there, and demand is slow to change."""


def gather_covariates(product: ProductHistory, terms: Terms | None = None) -> RegressionData:
    """Collect the covariates: weekday, season, reference price, advertising, and ``optional_covariates``.

    Same-day ad conversion enters only relative to organic conversion: a price moves both, so it does not cause their
    ratio, while a campaign moves the former. Alone it would be a mediator of the price. Lagged units are excluded
    because, next to so flexible a season, their coefficient is biased downwards (Nickell 1981), and the price's with
    it. With promotions there is no reference price: both describe what a passing discount does.

    Args:
        product: its whole history; lags are in calendar days, so days without sales count.
        terms: terms and their priors; the default ones if absent.

    Returns:
        All days; those that are observations of demand are ``product.observed``.
    """
    terms = terms or Terms()
    age = (product.dates[-1] - product.dates).astype(np.int64).astype(np.float64)
    log_price = np.log(product.price)
    deals: list[Covariate] = []
    regular = log_price
    if terms.window is not None:
        regular, deals = _promotions(product, log_price, terms.window)
    optional = optional_covariates(product, deals)
    permanent = _permanent_covariates(product, log_price, age, terms)
    names, values, ahead, mean, sd = zip(*permanent, *optional, strict=True)
    return RegressionData(
        log_price=log_price,
        regular=regular,
        units=product.units,
        age=age,
        covariates=np.stack(values, axis=1),
        ahead=np.array(ahead),
        prior=Prior(np.array(mean), np.array(sd)),
        names=names,
        optional=tuple(covariate.name for covariate in optional),
        step_days=product.step_days,
    )


def _permanent_covariates(
    product: ProductHistory, log_price: FloatArray, age: FloatArray, terms: Terms
) -> list[Covariate]:
    recent = age <= max(RECENT_DAYS - 1, age.min())
    season = _season(age)
    turns = [terms.season_sd] * (season.shape[1] - 1) + [TREND_SD]
    found = []
    if product.step_days < WEEK:
        weekday = np.eye(WEEK)[weekday_of(product.dates.astype(np.int64))]
        found = [Covariate(WEEKDAY, column, 1 / WEEK, 0.0, WEEKDAY_SD) for column in weekday.T]
    found += [
        Covariate("season", column, float(ahead), 0.0, sd)
        for column, ahead, sd in zip(season.T, season[recent].mean(0), turns, strict=True)
    ]
    if not terms.window:
        rise = log_price - reference_prices(log_price, product.step_days)[:-1]
        found += [Covariate(REFERENCE, -column, 0.0, 0.0, REFERENCE_SD) for column in (rise, np.maximum(rise, 0))]
    others = ~product.own_days
    if terms.bias is not None and others.any():
        centre = np.median(log_price if terms.window else log_price[others])
        moved = carry_forward(np.where(others, log_price - centre, np.nan if terms.follows else 0.0))
        found.append(Covariate("bias", moved, 0.0 if others[-1] else float(moved[-1]), *terms.bias))
    if _varies(product.ad):
        ad = _week_before(product.ad, steps_in(WEEK, product.step_days))
        found.append(Covariate(ADS, ad, float(ad[recent].mean()), 0.0, AD_SD))
        if _varies(product.organic):
            campaign = _campaigns(product)
            found.append(Covariate(ADS, campaign, float(campaign[recent].mean()), *CAMPAIGN_PRIOR))
    return found


def _varies(conversion: FloatArray) -> bool:
    """Return whether a conversion ``(D,)`` is reported on enough days, and not always the same."""
    return bool(np.isfinite(conversion).sum() >= MIN_AD_DAYS and np.ptp(conversion) > 0)


def _campaigns(product: ProductHistory) -> FloatArray:
    """Return the log ratio of ad to organic conversion, averaged over the days around each, ``(D,)``."""
    ad, organic = (np.log(rate + LEAST_CONVERSION * rate.mean()) for rate in (product.ad, product.organic))
    days = CAMPAIGN_DAYS if product.step_days == 1 else 1
    ratio = np.pad(ad - organic - np.median(ad - organic), days // 2, mode="edge")
    return np.convolve(ratio, np.full(days, 1 / days), mode="valid")


def _promotions(product: ProductHistory, log_price: FloatArray, window: int) -> tuple[FloatArray, list[Covariate]]:
    """Return the log regular price ``(D,)``, and the promotions' covariates.

    The further slope on the depth of a discount keeps the response to promotions apart from that to the regular price.
    """
    reported = np.zeros(len(log_price), dtype=bool) if product.promotion is None else product.promotion
    usual = carry_forward(np.where(reported, np.nan, log_price)) if not reported.all() else log_price
    regular = regular_prices(log_price, window) if window else np.maximum(log_price, usual)
    deal = reported | (regular - log_price > DEAL_DEPTH)
    regular = np.where(deal, np.maximum(regular, log_price), log_price)
    step = deal.astype(np.float64)
    left = STOCK_MEMORY**product.step_days
    stock = smooth(step, left)
    return regular, [
        Covariate(DEAL_DEPTH_NAME, log_price - regular, 0.0, *DEAL_DEPTH_PRIOR),
        Covariate("promotion", step, 0.0, *DEAL_PRIOR),
        Covariate("stock_at_home", stock, 0.0, *STOCK_PRIOR),
    ]


def optional_covariates(product: ProductHistory, deals: Sequence[Covariate] = ()) -> list[Covariate]:
    """Collect the covariates that only some histories have, unless they never varied.

    A competitor who merely follows the seller's price is excluded: a rise then raises both prices, so the price's slope
    must include both effects. Yearly harmonics absorb recurring seasons; over the forecast horizon they keep their mean
    of the last weeks, because extrapolated harmonics mislead where there is no season.

    Args:
        product: its whole history.
        deals: the promotions' covariates; the reported promotions alone if absent.
    """
    found = list(deals)
    if product.competitor is not None and not _is_answer(product):
        log_price = np.log(product.competitor)
        values = log_price - np.median(log_price[-RECENT_DAYS:])
        found.append(Covariate("competitor", values, float(values[-1]), *COMPETITOR_PRIOR))
    if product.promotion is not None and not deals:
        found.append(Covariate("promotion", product.promotion.astype(np.float64), 0.0, *DEAL_PRIOR))
    types = day_types(product.dates, product.holidays)
    for name, day_type in HOLIDAY_TYPES.items():
        if (product.observed & (types == day_type)).sum() >= FEWEST_HOLIDAYS:
            found.append(Covariate(name, (types == day_type).astype(np.float64), 0.0, *HOLIDAY_PRIOR))
    found += _yearly_waves(product.dates, product.step_days)
    return [covariate for covariate in found if np.ptp(covariate.values[product.observed]) > 0]


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


def _week_before(series: FloatArray, rows: int) -> FloatArray:
    """Return the log ratio of the mean of a week of ``rows`` before to the overall mean, ``(D,)``; 0 on the first."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    last = np.arange(len(series))
    first = np.maximum(last - rows, 0)
    overall = max(float(series.mean()), 1e-9)
    before = (total[last] - total[first]) / np.maximum(last - first, 1)
    ratio = np.log((before + overall) / (2 * overall)) * 2
    return np.where(last > 0, ratio, 0.0)


def _yearly_waves(dates: DateArray, step_days: int) -> list[Covariate]:
    rows = len(dates)
    if rows * step_days < FEWEST_WAVE_DAYS:
        return []
    recent = steps_in(RECENT_DAYS, step_days)
    phase = 2 * np.pi * (step_days * np.arange(1 - rows, 1)) / DAYS_PER_YEAR
    waves = [wave(turn * phase) for turn in range(1, YEARLY_HARMONICS + 1) for wave in (np.sin, np.cos)]
    return [
        Covariate(f"yearly_wave_{number}", wave, float(wave[-recent:].mean()), *WAVE_PRIOR)
        for number, wave in enumerate(waves, start=1)
    ]


def _is_answer(product: ProductHistory) -> bool:
    """Return whether the seller's price of the day and the week before nearly explains the competitor's price."""
    assert product.competitor is not None
    x = np.log(product.price)
    y = np.log(product.competitor)
    rows = steps_in(ANSWER_DAYS, product.step_days)
    lags = [x[np.maximum(np.arange(len(x)) - lag, 0)] for lag in range(rows + 1)]
    design = np.stack([np.ones_like(x), *lags], axis=1)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return bool(residual.var() < (1 - ANSWER_SHARE) * y.var())
