"""What the report shows beside the advice: curves, the seller's own days, outcomes with limits, limits in force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricerl.advice.final_check import today_of
from pricerl.advice.price_path import LIMITS, PathForecast, PricePath
from pricerl.advice.price_test import PriceTest, plan_price_test
from pricerl.arrays import FloatArray
from pricerl.env import Dynamics
from pricerl.guardrails.today import LimitsInForce

Triple = tuple[float, float, float]
"""Mean and 90 % limits over the posterior draws."""

NUM_CURVE_PRICES = 41
"""Enough for a smooth line of a few centimetres."""

CURVE_ROOM = 0.04
"""The curves go on this share beyond the prices tried, now and advised: far enough to see which way they lead."""

MOST_OWN_DAYS = 365
"""Latest recorded days that the document carries; older ones say little and would only make the page heavy."""

DIGITS = 6
"""Significant digits of what is only drawn."""


@dataclass(frozen=True)
class PriceCurves:
    """Units and profit of an average day by price, ``(G,)`` each, with 90 % limits over the posterior draws."""

    price: tuple[float, ...]
    units: tuple[Triple, ...]
    profit: tuple[Triple, ...] | None
    """None where costs are unknown."""


@dataclass(frozen=True)
class OwnDays:
    """The seller's latest recorded days, oldest first."""

    date: tuple[str, ...]
    price: tuple[float, ...]
    units: tuple[float, ...]
    profit: tuple[float | None, ...]
    """None where the file reports none."""
    total: int
    """Recorded days of the whole history."""


@dataclass(frozen=True)
class DailyOutcome:
    """Expectations a day over the horizon, without a day's own noise."""

    units: Triple
    sales: Triple
    profit: Triple | None


@dataclass(frozen=True)
class Details:
    """Everything that only the report needs."""

    markets: int
    """Drawn markets behind every interval and chance."""
    change: float
    """Recommended price over the current price, less 1."""
    first_change: str | None
    """Date of the first change of price; None where there is none."""
    keep: DailyOutcome
    recommended: DailyOutcome
    difference: DailyOutcome
    """Recommended less keeping, paired in every posterior draw."""
    curves: PriceCurves
    own_days: OwnDays
    bounds: LimitsInForce
    """Limits on the next price and on later changes."""
    beyond: str
    """``above`` or ``below``: profit still rises at that edge of the prices tried, so the best may lie beyond."""
    price_test: PriceTest | None
    """Which price would teach most, and at what cost; None where costs are unknown or no other price is allowed."""


def gather_details(
    dynamics: Dynamics, product: int, path: PricePath, forecast: PathForecast, keep: PathForecast
) -> Details:
    """Gather what the report shows of one product.

    Args:
        dynamics: the market with its guardrails.
        product: product index.
        path: the recommended one.
        forecast: what it brings.
        keep: what keeping the price brings.
    """
    market = dynamics.market
    history, known = market.preprocessor.products[product], market.products[product].cost.known
    now, prices = float(history.price[-1]), path.price.cpu().double().numpy()
    changed = np.flatnonzero(path.price.cpu().numpy() != np.float32(now))
    tried = history.price[history.observed]
    curves = draw_curves(dynamics, product, _curve_prices(tried, now, prices))
    first = history.dates[-1].astype("datetime64[D]") + 1
    return Details(
        markets=market.num_draws,
        change=float(prices[changed[0]]) / now - 1 if len(changed) else 0.0,
        first_change=str(first + changed[0]) if len(changed) else None,
        keep=_outcome(keep, None, known),
        recommended=_outcome(forecast, None, known),
        difference=_outcome(forecast, keep, known),
        curves=curves,
        own_days=_own_days(dynamics, product),
        bounds=today_of(dynamics, product).describe(),
        beyond=find_beyond(curves, float(tried.min()), float(tried.max())),
        price_test=plan_price_test(dynamics, product) if known else None,
    )


@torch.no_grad()
def draw_curves(dynamics: Dynamics, product: int, prices: FloatArray) -> PriceCurves:
    """Units and profit of an average day at each price ``(G,)`` in all posterior draws."""
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device).repeat_interleave(len(prices))
    money = torch.as_tensor(prices, dtype=torch.float32, device=market.device).repeat(market.num_draws)
    response = dynamics.constant_price(money, torch.full_like(draw, product), draw)[1]
    profit = _by_price(response.profit, len(prices)) if market.products[product].cost.known else None
    return PriceCurves(
        tuple(round(float(price), 4) for price in prices), _by_price(response.expected_units, len(prices)), profit
    )


def find_beyond(curves: PriceCurves, tried_low: float, tried_high: float) -> str:
    """Say at which edge of the tried prices mean profit still rises outward; empty where it peaks inside."""
    if curves.profit is None:
        return ""
    best = curves.price[int(np.argmax([mean for mean, _, _ in curves.profit]))]
    return "above" if best >= tried_high else "below" if best <= tried_low else ""


def _curve_prices(tried: FloatArray, now: float, path: FloatArray) -> FloatArray:
    shown = np.concatenate([tried, [now], path])
    return np.linspace(shown.min() * (1 - CURVE_ROOM), shown.max() * (1 + CURVE_ROOM), NUM_CURVE_PRICES)


def _by_price(values: Tensor, num_prices: int) -> tuple[Triple, ...]:
    by_draw = values.view(-1, num_prices).cpu().double().numpy()
    low, high = np.quantile(by_draw, LIMITS, axis=0)
    return tuple(_rounded(*row) for row in zip(by_draw.mean(0), low, high, strict=True))


def _rounded(mean: float, low: float, high: float) -> Triple:
    return _short(mean), _short(low), _short(high)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _outcome(forecast: PathForecast, base: PathForecast | None, known: bool) -> DailyOutcome:
    """Means and limits over the posterior draws; of the difference where there is a ``base``."""

    def summary(name: str) -> Triple:
        values = getattr(forecast, name) - (0.0 if base is None else getattr(base, name))
        low, high = np.quantile(values, LIMITS)
        return float(values.mean()), float(low), float(high)

    profit = summary("profit_by_draw") if known else None
    return DailyOutcome(summary("units_by_draw"), summary("sales_by_draw"), profit)


def _own_days(dynamics: Dynamics, product: int) -> OwnDays:
    history = dynamics.market.preprocessor.products[product]
    recorded = np.flatnonzero(history.observed)
    shown = recorded[-MOST_OWN_DAYS:]
    return OwnDays(
        date=tuple(str(day) for day in history.dates[shown].astype("datetime64[D]")),
        price=tuple(_short(value) for value in history.price[shown]),
        units=tuple(_short(value) for value in history.units[shown]),
        profit=tuple(_short(history.profit[day]) if history.profit_known[day] else None for day in shown),
        total=len(recorded),
    )
