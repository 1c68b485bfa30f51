"""Demand models by name: posterior draws of a product's demand curve from its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.days import weekday_of
from pricerl.data.history import ProductHistory
from pricerl.errors import UsageError
from pricerl.market.demand.averaging import PRICE_TERMS, Part, fit_parts, price_prior
from pricerl.market.demand.config import MIXTURE, MODEL_NAMES, DemandSettings
from pricerl.market.demand.covariates import BIAS, DEAL_DEPTH_NAME, holiday_factors
from pricerl.market.demand.curves import CurveDraws, DailyValues, DemandPosterior, closeness, effective_days, recency_of
from pricerl.market.demand.families import STEEPNESS, bin_prices, draw_curves
from pricerl.market.demand.priors import LOG_SD, StatedPrior, log_normal_prior, own_price_log_ratio, settings_of_prior
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import LOOSE_SD, RegressionPosterior

MAX_LEVEL_SD = 2.0
"""Largest sd of the log level, a factor of seven; with almost no sales, larger ones would overflow."""
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
    setting, parts, outliers = fit_parts(product, stage)
    likeliest = max(parts, key=lambda part: part.weight)
    data = likeliest.data
    posterior = likeliest.posterior
    current_price = float(np.exp(data.regular[-1])) if product.in_force is None else product.current_price
    reached = np.cumsum([0.0] + [part.weight for part in parts]) * settings.num_draws
    others = settings.pooled or log_normal_prior(settings.prior_elasticity, settings.prior_elasticity_sd)
    prior = StatedPrior(others, settings.own_price)
    counts = np.diff(np.round(reached)).astype(int).tolist()
    drawn = [item for item in zip(parts, counts, strict=True) if item[1]]
    drawn.sort(key=_regular_prices)
    log_units = []
    for _, alike in groupby(drawn, key=_regular_prices):
        log_units += _draw_log_units(list(alike), stage, prior, current_price, log_grid, rng)
    memories = [part.draw_memory(count, rng) for part, count in drawn]
    gain = np.concatenate([memory.gain for memory in memories])
    loss = np.concatenate([memory.loss for memory in memories])
    memory = PriceMemory(gain, loss, product.step_days)
    effects = posterior.mode[PRICE_TERMS:]
    weekday = data.weekday_factors(effects)
    everything = likeliest.everything
    multiplier = everything.past_multiplier(posterior.mode[1], effects, everything.optional)
    multiplier *= memory.lifts(product.price).mean(0)
    offset = weekday[weekday_of(product.dates.astype(np.int64))] * multiplier
    known = effective_days(recency_of(data.age)[:, None] * closeness(data.regular, log_grid))
    return DemandPosterior(
        curves=CurveDraws(np.concatenate(log_units), known, posterior.dispersion(data.units), posterior.size, outliers),
        weekday=weekday,
        days=DailyValues(everything.regular, product.units, offset, everything.age),
        memory=memory,
        holiday=holiday_factors(data.effects(effects)),
        kind=setting.kind,
        follows=setting.follows,
        bias=data.bias,
        past=everything.past_multiplier(posterior.mode[1], effects, {*everything.names} - {BIAS})
        * np.exp(posterior.level),
        prior=prior,
    )


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
) -> list[FloatArray]:
    """Return log units of an average day, ``(count, G)`` by regression, on curves from all families.

    The curves see regular prices, which the regressions share. Their likelihood holds as much information about the
    elasticity as the regression at a known curvature, around the elasticity that it finds without a prior of its own:
    the curves have that prior already, and shapes in place of the curvature. What the regression learns from deals,
    through the prior of their further slope, is added as a Gaussian.
    """
    linked = []
    free = []
    multipliers = []
    for part, _ in drawn:
        data = part.data
        prior = price_prior(data, settings)
        deals = [PRICE_TERMS + column for column, name in enumerate(data.names) if name == DEAL_DEPTH_NAME]
        linked.append(part.posterior.without_prior([1], prior))
        free.append(part.posterior.without_prior([1, *deals], prior) if deals else linked[-1])
        log_multiplier = (data.covariates - data.ahead) @ free[-1].mode[PRICE_TERMS:] + _level_of(part)
        multipliers.append(np.exp(log_multiplier + free[-1].mode[1] * (data.log_price - data.regular)))
    log_current = np.log(current_price)
    edges = np.log(settings.rounds.price) - log_current
    bins = bin_prices(data.regular - log_current, data.units, np.stack(multipliers), edges)
    known, alone = (np.array([_elasticity_information(item) for item in items]) for items in (linked, free))
    slope, free_slope = (np.array([item.mode[1] for item in items]) for items in (linked, free))
    from_deals = np.where(known - alone > NEGLIGIBLE, known - alone, 0.0)
    bins = replace(
        bins,
        weight=np.minimum(1.0, alone / np.maximum(bins.slope_information(free_slope), 1e-9)),
        elasticity=(known * slope - alone * free_slope) / np.maximum(from_deals, NEGLIGIBLE),
        precision=from_deals,
        rounds=settings.rounds,
    )
    if (own := stated.own_price) is not None:
        ratio = own_price_log_ratio(own.log_elasticity, STEEPNESS, stated.others, own.sd, own.informed)
        bins = replace(bins, own_price=own, own_ratio=ratio)
    found = []
    sampled = draw_curves(bins, stated.others, current_price, rng, [part.weight for part, _ in drawn])
    for (part, count), exposure, curves in zip(drawn, bins.exposure, sampled, strict=True):
        chosen = curves.take(np.resize(rng.permutation(len(curves.family)), count))
        ahead = np.concatenate([[1.0, 0.0, 0.0], part.data.ahead])  # the level over the horizon, the season's included
        level_sd = min(float(np.sqrt(ahead @ part.posterior.covariance @ ahead)), MAX_LEVEL_SD)
        log_demand = chosen.at(np.append(bins.x, log_grid - log_current), current_price)
        tried, at_grid = np.split(log_demand, [len(bins.x)], axis=1)
        level = np.log(max(data.units.sum(), 0.5) / (np.exp(tried) @ exposure)) + rng.normal(size=count) * level_sd
        found.append(level[:, None] + at_grid)
    return found


def _elasticity_information(posterior: RegressionPosterior) -> float:
    """Return the information about the elasticity at a known curvature, its own prior of `LOOSE_SD` apart."""
    precision = np.linalg.inv(posterior.covariance[1:PRICE_TERMS, 1:PRICE_TERMS])
    return max(float(precision[0, 0]) - 1 / LOOSE_SD**2, 0.0)


def _level_of(part: Part) -> FloatArray:
    """Return the log level of each day ``(D,)``: of the shocks, the part that goes with the price's regression.

    The rest may be a fall at a round price, which a regression takes for shocks and the curves have to see.
    """
    data = part.data
    posterior = part.posterior
    root = np.exp(posterior.log_mean / 2)
    price = data.design[:, :PRICE_TERMS]
    shock = posterior.shock[data.row]
    along = np.linalg.lstsq(root[:, None] * price, root * shock)[0]
    return np.asarray(posterior.walk[data.row] + price @ along)


DEMAND_MODELS: dict[str, DemandModel] = {MIXTURE: fit_mixture}
"""Demand models by name."""


def register_demand_model(name: str, model: DemandModel) -> None:
    """Add a demand model, which ``data.market.demand`` then accepts.

    Args:
        name: name of the model.
        model: function of a module, so that a second process can import it.

    Raises:
        UsageError: the name belongs to a model of pricerl.
    """
    if name == MIXTURE:
        raise UsageError(f"the demand model {name!r} is pricerl's own; register yours by another name")
    if name not in MODEL_NAMES:
        MODEL_NAMES.append(name)
    DEMAND_MODELS[name] = model
