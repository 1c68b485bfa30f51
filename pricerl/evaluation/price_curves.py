"""Outcome per day by the price charged, and the seller's own days at today's level of demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from pricerl.arrays import DateArray, FloatArray, Floats, Intervals, Share, intervals_of
from pricerl.env.product import Product
from pricerl.evaluation.valuation import value_paths
from pricerl.guardrails.price_grid import from_steps, in_steps
from pricerl.guardrails.today import DIGITS
from pricerl.market.cost import Measure
from pricerl.market.market import log_units_at

MOST_DAYS = 365
"""Most own days that are kept: more would make the page large."""


@dataclass(frozen=True, eq=False)
class PriceCurves:
    """Units and profit per day by the price charged over the forecast horizon, ``(G,)`` each, with 90 % limits."""

    price: Floats
    """Money, ascending."""
    units: Intervals
    """Units."""
    profit: Intervals | None
    """None where costs are unknown."""
    sales: Intervals | None = None
    """Money; None in an older advice."""
    gain: Mapping[str, Intervals | None] = field(default_factory=dict)
    """Units, sales and profit minus the same of keeping the current price, paired over the posterior draws."""
    better: Annotated[FloatArray, tuple[Share, ...]] | None = None
    """Share of the posterior draws in which the price earns more of the measure than the current one, or None if costs
    count and are unknown."""

    def beyond(self, measure: Measure, tried_low: float, tried_high: float) -> str:
        """Return the edge of the tried prices beyond which the measure's mean still rises; empty if it peaks inside."""
        if (earned := getattr(self, measure)) is None:
            return ""
        best = self.price[earned[:, 0].argmax()]
        return "above" if best >= tried_high else "below" if best <= tried_low else ""


@dataclass(frozen=True, eq=False)
class OwnDays:
    """The seller's latest recorded days, oldest first."""

    date: Annotated[DateArray, tuple[str, ...]]
    """ISO format."""
    price: Floats
    """Money."""
    units: Floats
    """Units sold."""
    profit: Annotated[FloatArray, tuple[float | None, ...]]
    """Profit as reported in the file; None on days without."""
    total: int
    """Number of recorded days in the whole history."""
    level: Floats
    """Demand of each day over the demand ahead at the same price: by season, weekday, level and covariates."""


def spread_shown(product: Product, path: FloatArray) -> FloatArray:
    """Return the prices ``(G,)`` of the curves, in money: 41 that reach 4 % beyond tried and advised ones, and these.

    The 41 are multiples of the price step unless that is coarse.
    """
    known = [product.current_price, *path]
    ends = [*product.history.tried_prices, *known]
    step = product.dynamics.guardrails.price_step
    smooth = np.linspace(0.96 * min(ends), 1.04 * max(ends), 41)
    whole = np.unique(
        np.round([from_steps(float(round(in_steps(price, step))), step) for price in smooth.tolist()], DIGITS)
    )
    even = whole if len(whole) == len(smooth) and whole[0] > 0 else np.round(smooth, DIGITS)
    return np.union1d(even, np.round(known, DIGITS))


def draw_curves(product: Product, prices: FloatArray, horizon: int) -> PriceCurves:
    """Return units and profit of each constant price ``(G,)``, in money, over the forecast horizon, days."""
    paths = product.money(np.append(prices, product.current_price))[:, None]
    *values, keep = value_paths(product, paths, horizon)
    measured = ("units", "sales", *(["profit"] if keep.costs_known else []))
    own = [[getattr(value, name) for value in values] for name in measured]
    over = [[value.counted(name) - keep.counted(name) for value in values] for name in measured]
    shown = [*short(intervals_of(np.array([*own, *over]).T).T)]
    curves, gains = (dict(zip(measured, part, strict=False)) for part in (shown, shown[len(measured) :]))
    return PriceCurves(
        price=np.round(prices, DIGITS),
        units=curves["units"],
        profit=curves.get("profit"),
        sales=curves["sales"],
        gain={name: gains.get(name) for name in ("units", "sales", "profit")},
        better=np.array([item.beats(keep) for item in values]) if keep.costs_known or keep.measure == "sales" else None,
    )


def list_own_days(product: Product, curves: PriceCurves) -> OwnDays:
    """Return the latest recorded days, with the level of demand in which each would lie on the curve of units."""
    history = product.history
    recorded = np.flatnonzero(history.observed)
    latest = recorded[-MOST_DAYS:]
    level = np.empty(0)
    if product.fitted.past is not None:
        ahead = curves.units[:, 0] / np.exp(log_units_at(product.fitted, curves.price)).mean(0)
        level = (product.fitted.past / np.interp(history.price, curves.price, ahead))[latest]
    return OwnDays(
        date=history.dates[latest].astype("datetime64[D]"),
        price=short(history.price[latest]),
        units=short(history.units[latest]),
        profit=np.where(history.profit_known[latest], short(history.profit[latest]), np.nan),
        total=len(recorded),
        level=np.array([float(f"{value:.3g}") for value in level]),
    )


def short(values: ArrayLike) -> FloatArray:
    """Round numbers of any shape to 6 significant digits, and not beyond cents, as every face shows a figure."""
    found = np.asarray(values, dtype=np.float64)
    size = np.floor(np.log10(np.maximum(np.abs(found), 1e-9)))
    scale = 10.0 ** np.where(size < 4, 5 - size, 2)
    return np.asarray(np.round(found * scale) / scale)
