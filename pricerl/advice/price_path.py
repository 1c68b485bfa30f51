"""From a policy and a market to a price path with its consequences, for one product."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.data import weekday_of
from pricerl.env import Dynamics, State
from pricerl.env.noise import sample_units
from pricerl.evaluation import Policy
from pricerl.guardrails import PriceBand, project
from pricerl.guardrails.limits import days_held
from pricerl.market import Response

NOISE_SAMPLES = 64
"""Noisy days per posterior draw behind the predictive limits."""

LIMITS = (0.05, 0.95)


class PricePath(NamedTuple):
    """Prices of the next days, money, each ``(H,)``."""

    price: Tensor
    """Charged in the posterior-mean market."""
    low: Tensor
    """5 % limit over the prices the policy charges in the posterior draws."""
    high: Tensor
    """95 % limit."""
    asked: Tensor
    """What was asked of the guardrails in the posterior-mean market; on days of the hold the price held."""
    limits: Limits
    """What the guardrails say about the first change."""


class Limits(NamedTuple):
    """What the guardrails leave of one product's price now."""

    feasible: bool
    """Whether they allow any price; not where floor, ceiling or margin lie out of a step's reach."""
    keep_allowed: bool
    """Whether the limits allow the current price."""
    movable: bool
    """Whether they allow a price other than the one now."""
    nearest: float
    """The allowed price nearest to the one now, money."""
    wait: int
    """Days until the minimum hold of the last change is over."""


class PathForecast(NamedTuple):
    """What a price path brings; ``mean``, ``low`` and ``high`` are ``(H,)``, limits include the day's noise."""

    units: tuple[FloatArray, FloatArray, FloatArray]
    sales: tuple[FloatArray, FloatArray, FloatArray]
    profit: tuple[FloatArray, FloatArray, FloatArray]
    organic: FloatArray
    """Mean, 5 % and 95 % limit over the posterior draws, ``(3, H)``; so is ``ad``. A day's own noise is not in them."""
    ad: FloatArray
    units_by_draw: FloatArray
    """``(K,)`` expected units a day in every posterior draw, for paired comparisons; the next two likewise."""
    sales_by_draw: FloatArray
    profit_by_draw: FloatArray
    """``(K,)`` expected profit a day in every posterior draw, for paired comparisons."""
    market_sd: tuple[FloatArray, FloatArray, FloatArray]
    """``(H,)`` each: how far the expected units, sales and profit of a day differ between the posterior draws."""


def propose_path(policy: Policy, dynamics: Dynamics, product: int, horizon: int) -> PricePath:
    """Roll the policy forward from the end of the product's history.

    Args:
        policy: deterministic policy.
        dynamics: the market with its reward and guardrails.
        product: product index.
        horizon: H, days.
    """

    def ask(state: State, band: PriceBand) -> Tensor:
        return dynamics.propose(state, policy(state.observation)[:, 0], band)

    return _roll(ask, dynamics, product, horizon)


def approach_path(target: float, dynamics: Dynamics, product: int, horizon: int) -> PricePath:
    """Go to a price as fast as the guardrails allow and stay there.

    Args:
        target: money.
        dynamics: the market with its reward and guardrails.
        product: product index.
        horizon: H, days.
    """
    return _roll(lambda state, band: torch.full_like(state.price, target), dynamics, product, horizon)


@torch.no_grad()
def _roll(ask: Callable[[State, PriceBand], Tensor], dynamics: Dynamics, product: int, horizon: int) -> PricePath:
    """Charge what the guardrails make of the price asked in each state, in every posterior draw and in the mean.

    The price simulated is the price advised: the same projection and ``advance`` as in training. If the last price
    change is younger than the minimum hold, the first decision waits until that is over.
    """
    market = dynamics.market
    draw = torch.arange(market.num_draws + 1, device=market.device)
    rows = torch.full_like(draw, product)
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, draw)
    limits = _limits(dynamics, state, product)
    waiting = min(limits.wait, horizon)
    prices, asked = [state.price] * waiting, [state.price] * waiting
    if waiting:
        state, _ = dynamics.advance(state, state.price, waiting, None)
    while len(prices) < horizon:
        band, days = dynamics.band(state), min(dynamics.days_per_step, horizon - len(prices))
        proposal = ask(state, band)
        price = project(proposal, state.price, band)
        state, _ = dynamics.advance(state, price, days, None)
        prices += [price] * days
        asked += [proposal, *[price] * (days - 1)]
    by_draw = torch.stack(prices, 1)
    low, high = torch.quantile(by_draw, torch.tensor(LIMITS, device=by_draw.device), dim=0)
    chosen = by_draw[market.mean_draw]
    proposed = torch.stack(asked, 1)[market.mean_draw]
    return PricePath(chosen, torch.minimum(low, chosen), torch.maximum(high, chosen), proposed, limits)


@torch.no_grad()
def forecast_path(dynamics: Dynamics, product: int, price: Tensor, seed: int) -> PathForecast:
    """Forecast every day of a price path ``(H,)`` in all posterior draws.

    Args:
        dynamics: the market.
        product: product index.
        price: money of each day.
        seed: of the days' noise.
    """
    market = dynamics.market
    expected = expect_path(dynamics, product, price)
    repeated = expected.expected_units.repeat(NOISE_SAMPLES, 1)
    draw = torch.arange(market.num_draws, device=market.device)[:, None].repeat(NOISE_SAMPLES, len(price))
    rows = torch.full_like(draw, product)
    generator = torch.Generator(market.device).manual_seed(seed)
    units = sample_units(repeated, market.size[rows], generator)
    sales = units * price
    profit = market.profit(sales, units, rows, draw)
    return PathForecast(
        units=_summary(expected.expected_units, units),
        sales=_summary(expected.sales, sales),
        profit=_summary(expected.profit, profit),
        organic=_over_draws(expected.organic),
        ad=_over_draws(expected.ad),
        units_by_draw=_numpy(expected.expected_units).mean(1),
        sales_by_draw=_numpy(expected.sales).mean(1),
        profit_by_draw=_numpy(expected.profit).mean(1),
        market_sd=(_spread(expected.expected_units), _spread(expected.sales), _spread(expected.profit)),
    )


@torch.no_grad()
def expect_path(dynamics: Dynamics, product: int, price: Tensor) -> Response:
    """What every day of a price path ``(H,)`` can be expected to bring in every posterior draw, ``(K, H)`` each.

    Args:
        dynamics: the market.
        product: product index.
        price: money of each day.
    """
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device).repeat_interleave(len(price))
    rows = torch.full_like(draw, product)
    first = dynamics.history.first_day[product] + dynamics.history.num_days[product]
    days = first + torch.arange(len(price), device=market.device)
    weekday, kind = weekday_of(days).repeat(market.num_draws), dynamics.history.day_types(product, days)
    expected = market.respond(price.repeat(market.num_draws), rows, draw, weekday, kind.repeat(market.num_draws))
    lifted = _lifts(dynamics, product, price).flatten()
    units, sales = expected.expected_units * lifted, expected.sales * lifted
    response = Response(units, sales, market.profit(sales, units, rows, draw), expected.organic, expected.ad)
    return Response(*(values.view(market.num_draws, len(price)) for values in response))


def _lifts(dynamics: Dynamics, product: int, price: Tensor) -> Tensor:
    """What buyers' memory makes of each day of a price path ``(H,)`` in every posterior draw, ``(K, H)``."""
    market, history = dynamics.market, dynamics.market.preprocessor.products[product]
    memory = market.products[product].memory
    if memory is None:
        return price.new_ones(market.num_draws, len(price))
    charged = np.concatenate([history.price, price.cpu().double().numpy()])
    lifts = memory.lifts(charged)[:, len(history.price) :]
    return torch.as_tensor(lifts, dtype=torch.float32, device=market.device)


def elasticity_at(dynamics: Dynamics, product: int, price: float, change: float = 0.05) -> tuple[float, float, float]:
    """Mean and 90 % limits of the demand's elasticity around a price, over the posterior draws."""
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device)
    rows, weekday = torch.full_like(draw, product), torch.zeros_like(draw)
    low, high = (
        market.respond(torch.full_like(draw, price * (1 + side * change), dtype=torch.float32), rows, draw, weekday)
        for side in (-1, 1)
    )
    slope = (high.expected_units / low.expected_units).log() / np.log((1 + change) / (1 - change))
    limits = torch.quantile(slope, torch.tensor(LIMITS, device=slope.device)).tolist()
    return float(slope.mean()), limits[0], limits[1]


def _limits(dynamics: Dynamics, state: State, product: int) -> Limits:
    band, now = dynamics.band(state), float(state.price[0])
    low, high = float(band.low[0]), float(band.high[0])
    return Limits(
        feasible=bool(band.feasible.all()),
        keep_allowed=bool(band.keep[0]),
        movable=low < now or now < high,
        nearest=min(max(now, low), high),
        wait=hold_left(dynamics, product),
    )


def hold_left(dynamics: Dynamics, product: int) -> int:
    """Days until a change is allowed: minimum hold less the days the last price has been charged."""
    history = dynamics.market.preprocessor.products[product]
    return max(0, dynamics.days_per_step - days_held(history.dates, history.price))


def _summary(mean: Tensor, samples: Tensor) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of expectations ``(K, H)`` and limits of noisy days ``(N, H)``."""
    low, high = np.quantile(_numpy(samples), LIMITS, axis=0)
    return _numpy(mean).mean(0), low, high


def _spread(mean: Tensor) -> FloatArray:
    return np.asarray(_numpy(mean).std(0))


def _numpy(values: Tensor) -> FloatArray:
    return np.asarray(values.cpu().double().numpy())


def _over_draws(values: Tensor) -> FloatArray:
    """Mean and limits over the posterior draws ``(K, H)``, ``(3, H)``."""
    plain = _numpy(values)
    return np.concatenate([plain.mean(0)[None], np.quantile(plain, LIMITS, axis=0)])
