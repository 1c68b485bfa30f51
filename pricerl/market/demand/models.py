"""Demand model: posterior draws of a product's demand curve from its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.history import ProductHistory
from pricerl.guardrails.round_prices import overlooked
from pricerl.market.demand.averaging import Part, fit_parts, price_prior
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import (
    DEAL_DEPTH_NAME,
    OVERLOOKED,
    PRICE_TERMS,
    SEASON,
    holiday_factors,
    shows_a_year,
)
from pricerl.market.demand.curves import (
    MAX_LEVEL_SD,
    CurveDraws,
    DemandAhead,
    DemandPosterior,
    SeasonSource,
    closeness,
    effective_days,
    recency_of,
)
from pricerl.market.demand.families import STEEPNESS, bin_prices, draw_curves
from pricerl.market.demand.priors import LOG_SD, StatedPrior, log_normal_prior, own_price_log_ratio, settings_of_prior
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import LOOSE_SD, RegressionPosterior
from pricerl.market.level import Shock
from pricerl.market.working_fit import WorkingFit

LIFT_PRIOR = 10.0
"""Units as expected that count next to the units of the days in a lift by outliers."""
LARGEST_LIFT = 2.0
"""Largest lift by outliers."""
LARGEST_OUTLIER = 10.0
"""Times the expected units that a day counts as at most in a lift: more may be a slip of the pen."""
NEGLIGIBLE = 1e-3
"""Smallest information about the elasticity that counts: an sd of 30."""

DemandModel = Callable[[ProductHistory, FloatArray, DemandSettings, np.random.Generator], DemandPosterior]
"""Function that draws ``settings.num_draws`` curves of a product at ascending log prices ``(G,)``."""


def fit_mixture(
    product: ProductHistory, log_grid: FloatArray, settings: DemandSettings, rng: np.random.Generator
) -> DemandPosterior:
    """Draw curves from several families; the effects of the covariates come from regressions averaged by evidence."""
    stage = settings
    if settings.pooled is not None:  # the curves have it; the regressions must not exclude another elasticity
        elasticity, sd = settings_of_prior(settings.pooled.mean, max(settings.pooled.sd, LOG_SD))
        stage = replace(settings, prior_elasticity=elasticity, prior_elasticity_sd=sd)
    setting, parts = fit_parts(product, stage)
    likeliest = max(parts, key=lambda part: part.weight)
    data, posterior = likeliest.data, likeliest.posterior
    current_price = float(np.exp(data.regular[-1])) if product.in_force is None else product.current_price
    reached = np.cumsum([0.0] + [part.weight for part in parts]) * settings.num_draws
    others = settings.pooled or log_normal_prior(settings.prior_elasticity, settings.prior_elasticity_sd)
    prior = StatedPrior(others, settings.own_price)
    counts = np.diff(np.round(reached)).astype(int).tolist()
    drawn = [item for item in zip(parts, counts, strict=True) if item[1]]
    drawn.sort(key=_regular_prices)
    found = []
    for _, alike in groupby(drawn, key=_regular_prices):
        found += _draw_log_units(list(alike), stage, prior, current_price, log_grid, rng)
    gain, loss = np.hstack([part.draw_memory(count, rng) for part, count in drawn])
    effects = posterior.mode[PRICE_TERMS:]
    everything = likeliest.everything
    lift, deal_lift, deal_sd = _lifts_by_outliers(product, likeliest)
    known = effective_days(recency_of(data.age)[:, None] * closeness(data.regular, log_grid))
    ahead = _demand_ahead(parts, likeliest, "product" if shows_a_year(product) else "catalogue")
    size = 1 / (1 / posterior.size + ahead.shock.variance)
    curves, overlooks = (np.concatenate(items) for items in zip(*found, strict=True))
    log_value = curves + np.log(lift)
    unit = settings.rounds.unit
    at_regular, at_price = (
        np.interp(np.log(price) - overlooks.mean() * overlooked(price, unit), log_grid, np.exp(log_value).mean(0))
        for price in (np.exp(everything.regular), product.price)
    )
    past = everything.past_multiplier(posterior.mode[1], effects)
    return DemandPosterior(
        units=CurveDraws(log_value, known, size),
        overlooked=overlooks,
        whole_unit=unit,
        weekday=data.weekday_factors(effects),
        memory=PriceMemory(gain, loss, product.step_days),
        holiday=holiday_factors(data.effects(effects)),
        price_setting=setting.kind,
        follows=setting.follows,
        bias=data.bias,
        past=past * np.exp(posterior.level) / (lift * np.exp(posterior.future.mean)) * at_regular / at_price,
        ahead=replace(ahead, deals=likeliest.draw_deals(settings.num_draws, np.log(deal_lift / lift), deal_sd, rng)),
        prior=prior,
        fit=WorkingFit.of(data if product.promotion is not None else data.without("promotion"), posterior),
    )


def _demand_ahead(parts: Sequence[Part], likeliest: Part, source: SeasonSource) -> DemandAhead:
    """Return demand after the history: the level of the likeliest regression, and the season of those that have one."""
    future = likeliest.posterior.future
    seasonal = [part for part in parts if SEASON in part.data.names]
    return DemandAhead(
        path=np.exp(future.path - future.mean + sum(part.weight * part.season_ahead() for part in seasonal)),
        shock=Shock(likeliest.posterior.motions[0].memory, float(np.expm1(future.scatter))),
        yearly_season=sum(part.weight for part in seasonal) if seasonal else None,
        season_of=source if seasonal else None,
    )


def _lifts_by_outliers(product: ProductHistory, part: Part) -> tuple[float, float, float]:
    """Return units over what the regression expects, 1 without outliers, and by how much deals differ.

    The units are those on days without a deal and with one. The difference is the sd of a deal's log units.
    """
    expected = np.full(len(product.observed), np.nan)
    expected[part.data.row] = np.exp(part.posterior.log_mean)
    fitted = np.isfinite(expected)
    deal = part.everything.log_price < part.everything.regular
    if product.promotion is not None:
        deal |= product.promotion

    def lift_on(days: BoolArray) -> tuple[float, float]:
        alike = days & fitted
        if not alike.any():
            return 1.0, 0.0
        due = np.where(fitted, expected, expected[alike].mean())[days]  # a fit may be far off for an outlier's price
        sold = np.minimum(product.units[days], LARGEST_OUTLIER * due)
        ratio = (sold.sum() + LIFT_PRIOR) / (due.sum() + LIFT_PRIOR)
        spread = float(np.mean(((sold - due) / due) ** 2 - 1 / due)) - 1 / part.posterior.size
        return float(np.clip(ratio, 1 / LARGEST_LIFT, LARGEST_LIFT)), spread

    lift, _ = lift_on(product.observed & ~deal)
    deal_lift, spread = lift_on(product.observed & deal)
    return lift, deal_lift, float(np.sqrt(np.log1p(np.clip(spread, 0.0, 1.0))))


def _regular_prices(drawn: tuple[Part, int]) -> bytes:
    """Return a key that regressions with the same regular prices share: their curves are drawn in one batch."""
    return drawn[0].data.regular.tobytes()


def _draw_log_units(
    drawn: Sequence[tuple[Part, int]],
    settings: DemandSettings,
    stated: StatedPrior,
    current_price: float,
    log_grid: FloatArray,
    rng: np.random.Generator,
) -> list[tuple[FloatArray, FloatArray]]:
    """Return log units of an average day, ``(count, G)`` by regression, and what buyers overlook ``(count,)``.

    The curves see regular prices, which the regressions share. Their likelihood holds as much information about the
    elasticity as the regression at a known curvature, around the elasticity that it finds without a prior of its own:
    the curves have that prior already, and shapes in place of the curvature. What the regression learns from deals,
    through the prior of their further slope, is added as a Gaussian.
    """
    data = drawn[0][0].data  # of the same days as all others
    priors = [price_prior(part.data, settings) for part, _ in drawn]
    linked = [part.posterior.without_prior([1], prior) for (part, _), prior in zip(drawn, priors, strict=True)]
    free = [
        part.posterior.without_prior([1, *part.data.places(DEAL_DEPTH_NAME)], prior)
        for (part, _), prior in zip(drawn, priors, strict=True)
    ]
    multipliers = [_multiplier_of(part, item) for (part, _), item in zip(drawn, free, strict=True)]
    log_current = np.log(current_price)
    tried = np.exp([data.regular.min(), data.regular.max()])
    edges = np.log(settings.rounds.edges(*tried)) - log_current
    bins = bin_prices(data.regular - log_current, data.units, np.stack(multipliers), edges)
    known, alone = (np.array([_elasticity_information(item) for item in items]) for items in (linked, free))
    slope, free_slope = (np.array([item.mode[1] for item in items]) for items in (linked, free))
    from_deals = np.where(known - alone > NEGLIGIBLE, known - alone, 0.0)
    bins = replace(
        bins,
        weight=np.minimum(1.0, alone / np.maximum(bins.slope_information(free_slope), 1e-9)),
        elasticity=(known * slope - alone * free_slope) / np.maximum(from_deals, NEGLIGIBLE),
        precision=from_deals,
        endings=np.transpose([_known_endings(part, item) for (part, _), item in zip(drawn, free, strict=True)]),
        rounds=settings.rounds,
        tests=settings.tests,
    )
    if (own := stated.own_price) is not None:
        ratio = own_price_log_ratio(own.log_elasticity, STEEPNESS, stated.others, own.sd, own.informed)
        bins = replace(bins, own_price=own, own_ratio=ratio)
    found = []
    sampled = draw_curves(bins, stated.others, current_price, rng, [part.weight for part, _ in drawn])
    for (part, count), exposure, curves in zip(drawn, bins.exposure, sampled, strict=True):
        chosen = curves.take(np.resize(rng.permutation(len(curves.family)), count))
        future = part.posterior.future
        ahead = np.concatenate([[1.0, 0.0, 0.0], part.data.ahead]) + future.response
        level_sd = min(float(np.sqrt(ahead @ part.posterior.covariance @ ahead + future.variance)), MAX_LEVEL_SD)
        grid = log_grid - log_current
        tried = chosen.at(bins.x, current_price)
        at_grid = chosen.add_jumps(chosen.without_jumps(grid), grid, current_price)
        level = np.log(max(data.units.sum(), 0.5) / (np.exp(tried) @ exposure)) + rng.normal(size=count) * level_sd
        level += future.mean - level_sd**2 / 2
        found.append((level[:, None] + at_grid, chosen.overlooked))
    return found


def _multiplier_of(part: Part, free: RegressionPosterior) -> FloatArray:
    """Return the demand of each day over that ahead at its regular price ``(D,)``, by a posterior without priors."""
    data = part.data
    kept = [name != OVERLOOKED for name in data.names]  # curves have what endings do
    log_multiplier = (data.covariates - data.ahead)[:, kept] @ free.mode[PRICE_TERMS:][kept] + _level_of(part)
    return np.asarray(np.exp(log_multiplier + free.mode[1] * (data.log_price - data.regular)))


def _known_endings(part: Part, free: RegressionPosterior) -> tuple[float, float]:
    """Return the rise of log demand per log price that follows whole units, without its prior, and its precision."""
    columns = part.data.places(OVERLOOKED)
    if not len(columns):
        return 0.0, 0.0
    alone = free.without_prior(columns, price_prior(part.data, DemandSettings()))
    return float(alone.mode[columns[0]]), 1 / float(alone.covariance[columns[0], columns[0]])


def _elasticity_information(posterior: RegressionPosterior) -> float:
    """Return the information about the elasticity at a known curvature, its own prior of `LOOSE_SD` apart."""
    return max(float(np.linalg.inv(posterior.covariance[1:PRICE_TERMS, 1:PRICE_TERMS])[0, 0]) - 1 / LOOSE_SD**2, 0.0)


def _level_of(part: Part) -> FloatArray:
    """Return the log level of each day ``(D,)``: of the shocks, the part that goes with the price's regression.

    The rest may be a fall at a round price, which a regression takes for shocks and the curves have to see.
    """
    posterior, row = part.posterior, part.data.row
    root = np.exp(posterior.log_mean / 2)
    price = part.data.design[:, :PRICE_TERMS]
    shock = posterior.shock[row]
    along = np.linalg.lstsq(root[:, None] * price, root * shock, rcond=None)[0]
    return np.asarray(posterior.walk[row] + price @ along)
