"""Data that only the report shows: price curves, the seller's recorded days, limits in force, the price test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pricerl.arrays import FloatArray, Interval, intervals_of
from pricerl.env.product import Product
from pricerl.evaluation.valuation import value_paths
from pricerl.experiments.plan import PriceTest
from pricerl.guardrails.limits_in_force import LimitsInForce
from pricerl.guardrails.today import DIGITS

MEASURED = ("units", "sales", "profit")


@dataclass(frozen=True)
class PriceCurves:
    """Units and profit per day by the price charged over the forecast horizon, ``(G,)`` each, with 90 % limits."""

    price: tuple[float, ...]
    """Money, ascending."""
    units: tuple[Interval, ...]
    """Units."""
    profit: tuple[Interval, ...] | None
    """None where costs are unknown."""
    sales: tuple[Interval, ...] | None = None
    """Money; None unless revenue is the objective."""
    gain: Mapping[str, tuple[Interval, ...] | None] = field(default_factory=dict)
    """Units, sales and profit minus those of keeping the current price, paired over the posterior draws."""


@dataclass(frozen=True)
class OwnDays:
    """The seller's latest recorded days, oldest first."""

    date: tuple[str, ...]
    """ISO format."""
    price: tuple[float, ...]
    """Money."""
    units: tuple[float, ...]
    """Units sold."""
    profit: tuple[float | None, ...]
    """Profit as reported in the file, None if absent."""
    total: int
    """Number of recorded days in the whole history."""


@dataclass(frozen=True)
class Details:
    """Data of one product that only the report shows."""

    curves: PriceCurves
    """Outcome per day by price."""
    own_days: OwnDays
    """Recorded days."""
    bounds: LimitsInForce
    """Limits on the next price and on later changes."""
    beyond: str
    """``above`` or ``below``: edge of the tried prices at which profit, or revenue if that is the objective, still
    rises; the best price may be beyond it."""
    price_test: PriceTest | None
    """None unless a test can make clear whether the proposed change pays."""


def gather_details(product: Product, path: FloatArray, price_test: PriceTest | None = None) -> Details:
    """Return the data of one product, whose recommended prices are ``path (H,)``, money."""
    history = product.history
    tried = history.tried_prices
    shown = np.concatenate([tried, [product.current_price], path])
    # The curves reach 4 % beyond the tried, current and advised prices; 41 points make a smooth line.
    prices = np.linspace(0.96 * shown.min(), 1.04 * shown.max(), 41)
    curves = draw_curves(product, prices, len(path))
    recorded = np.flatnonzero(history.observed)
    latest = recorded[-365:]  # more would make the page large
    return Details(
        curves=curves,
        own_days=OwnDays(
            date=tuple(str(day) for day in history.dates[latest].astype("datetime64[D]")),
            price=tuple(_short(value) for value in history.price[latest]),
            units=tuple(_short(value) for value in history.units[latest]),
            profit=tuple(_short(history.profit[day]) if history.profit_known[day] else None for day in latest),
            total=len(recorded),
        ),
        bounds=product.today.describe(),
        beyond=find_beyond(curves, *tried),
        price_test=price_test,
    )


def draw_curves(product: Product, prices: FloatArray, horizon: int) -> PriceCurves:
    """Return units and profit of each constant price ``(G,)``, money, over the forecast horizon, days."""
    money = product.money(np.append(prices, product.current_price))
    *values, keep = value_paths(product, money[:, None], horizon)
    units, sales, profit = (_along([getattr(value, name) for value in values]) for name in MEASURED)
    gains = {name: _along([getattr(value, name) - getattr(keep, name) for value in values]) for name in MEASURED}
    return PriceCurves(
        price=tuple(round(float(price), DIGITS) for price in prices),
        units=units,
        profit=profit if keep.costs_known else None,
        sales=sales if product.market.measure == "sales" else None,
        gain={**gains, "profit": gains["profit"] if keep.costs_known else None},
    )


def _along(draws: Sequence[FloatArray]) -> tuple[Interval, ...]:
    """Return mean and 90 % limits of draws ``(K,)`` at each price."""
    return tuple(Interval(*map(_short, ends)) for ends in intervals_of(np.stack(draws, axis=1)).T.tolist())


def find_beyond(curves: PriceCurves, tried_low: float, tried_high: float) -> str:
    """Return the edge of the tried prices beyond which the mean gain still rises; empty if it peaks inside."""
    earned = curves.profit if curves.sales is None else curves.sales
    if earned is None:
        return ""
    best = curves.price[int(np.argmax([mean for mean, *_ in earned]))]
    return "above" if best >= tried_high else "below" if best <= tried_low else ""


def _short(value: float) -> float:
    """Round to 6 significant digits, enough for a chart."""
    return float(f"{value:.6g}")
