"""Cleaned history of a seller: one contiguous calendar of days or weeks per product."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from pricerl.arrays import BoolArray, DateArray, FloatArray, grouped
from pricerl.data.cleaning.quality import ProductReport
from pricerl.data.days import DAY, PRIOR_DAYS, RECENT_DAYS
from pricerl.data.price_setting import PriceSetting, classify_prices, find_prices_in_force
from pricerl.data.reading.problems import Problem
from pricerl.reasons import Reason

PRICE_DOUBT = 0.01
"""Largest difference between the last row's price and the price in force, as a share, that needs no confirmation."""

LARGEST_CATEGORY = 50
"""Most products of a group that is a category; in a larger one no product takes a share worth pricing for."""

SOLD_OUT = 1 / 3
"""Log price, over the latest, that sends as many buyers to the others as a stock-out: one over the slope of a logit,
which is 3 for an elasticity of -2.4 and a share of a fifth. Of 1/4, 1/3 and 2/5 it estimates the diversion of simulated
categories with the least bias (benchmarks/categories.py, 2026)."""

AHEAD = ("future_dates", "future_predicted")
"""Arrays of the days after the history."""

UNNAMED_PRODUCT = "product"
"""Stands for the product of a file without a ``Product`` column until the history is named."""


@dataclass(frozen=True, eq=False)
class ProductHistory:
    """History of one product: ``D`` contiguous days or weeks, followed by ``H`` future ones of its file.

    One row is one step; a weekly row is called a day wherever the distinction does not matter.
    """

    product: str
    """Name in the ``Product`` column, or the file's name without one."""

    dates: DateArray
    """``(D,)`` days, unit D; the last one is the last day of history."""

    price: FloatArray
    """``(D,)`` money per unit, positive: posted, or averages of what buyers paid; blanks repeat the last one."""

    units: FloatArray
    """``(D,)`` units sold; unknown days are imputed by the mean of the seven preceding days."""

    sales: FloatArray
    """``(D,)`` revenue in money, even if the file reports units; imputed like the units."""

    profit: FloatArray
    """``(D,)`` money, 0 if not reported."""

    organic: FloatArray
    """``(D,)`` percent 0 to 100, blanks filled with the median; all NaN if never reported."""

    ad: FloatArray
    """``(D,)`` percent 0 to 100, blanks filled with the median; all NaN if never reported."""

    predicted: FloatArray
    """``(D,)`` the file's forecast as revenue, NaN where absent."""

    observed: BoolArray
    """``(D,)`` True on days with known price and sales: observations of demand."""

    profit_known: BoolArray
    """``(D,)`` True on observed days with a reported profit."""

    future_dates: DateArray
    """``(H,)`` contiguous days after the history; ``H`` may be 0."""

    future_predicted: FloatArray
    """``(H,)`` the file's forecast for these days as revenue, NaN where absent."""

    unit_cost: float | None = None
    """Money per unit: the last value of the ``Unit Cost`` column, if any."""

    costs: FloatArray | None = None
    """``(D,)`` the column's money per unit on each day, if any; blanks repeat the last known value."""

    competitor: FloatArray | None = None
    """``(D,)`` competitor's price per unit, if reported; blanks repeat the last known one."""

    promotion: BoolArray | None = None
    """``(D,)`` True on days with a promotion, if reported."""

    in_stock: BoolArray | None = None
    """``(D,)`` True on days reported as in stock, if any day was."""

    sold_out: BoolArray | None = None
    """``(D,)`` True on days without stock, reported or by the sales alone."""

    stock_units: FloatArray | None = None
    """``(D,)`` units in stock at the end of each day, if reported; NaN where blank."""

    step_days: int = 1
    """Days from row to row: 1, or 7 for weekly rows, which are dated as in the file."""

    in_force: FloatArray | None = None
    """``(D,)`` price in force at the end of each day, if it differs from ``price``."""

    asks: bool = False
    """Whether a seller whose last row has another price than the one in force must confirm one of them."""

    holidays: DateArray | None = None
    """``(N,)`` public holidays of the country, if set, to several years after the last day."""

    own_price: BoolArray | None = None
    """``(D,)`` True on days whose price pricerl set, if any."""

    coupons: FloatArray | None = None
    """``(D,)`` share of sales at posted prices that buyers did not pay, such as coupons, if reported."""

    ad_spend: FloatArray | None = None
    """``(D,)`` money spent on advertising, if reported; 0 on days without an entry."""

    category_price: FloatArray | None = None
    """``(D,)`` mean log price of the other products of the category over their latest, by their sales, if there are
    any."""

    group: str = ""
    """Name in the ``Group`` column: products that demand is pooled with first; empty without one."""

    @property
    def own_days(self) -> BoolArray:
        """``(D,)`` True on observed days whose price pricerl set, so that demand did not move it."""
        return np.zeros_like(self.observed) if self.own_price is None else self.observed & self.own_price

    @cached_property
    def setting(self) -> PriceSetting:
        """How the prices were set that pricerl did not set."""
        others = self.observed & ~self.own_days
        setting = classify_prices(self.price[self.observed], self.step_days)
        if self.own_days.any() and others.any():
            # its few changes would hide a repricer, and prices that it kept are the regular ones between promotions
            found = classify_prices(self.price[others], self.step_days)
            setting = setting._replace(changes=found.changes) if found.kind == "plain" else found
        return setting

    @property
    def prices_in_force(self) -> FloatArray:
        """``(D,)`` price in force at the end of each day; the last row's own until a doubt is answered."""
        found = self._believed_in_force
        return np.append(found[:-1], self.price[-1]) if self.asks and self.price_doubt else found

    @property
    def _believed_in_force(self) -> FloatArray:
        """``(D,)`` price that seems to be in force, doubt or not; so is a price that pricerl set, deal or not."""
        if self.in_force is None:
            return self.price
        return self.in_force if self.own_price is None else np.where(self.own_price, self.price, self.in_force)

    @property
    def share_paid(self) -> float:
        """Share of the posted price that buyers paid over the last four weeks, at most 1; 1 if no coupons are known."""
        sold = self.observed & (self.units > 0)
        if self.coupons is None or not sold.any():
            return 1.0
        recent = sold & (self.dates > self.dates[-1] - RECENT_DAYS * DAY)
        counted = recent if recent.any() else sold
        return min(float(self.sales[counted].sum() / (self.price * self.units)[counted].sum()), 1.0)

    @property
    def lowest_prices(self) -> list[tuple[str, float]]:
        """Last day and lowest price, in money, of the last `PRIOR_DAYS`, then of the days after that one, and so on."""
        ends = (self.dates + (self.step_days - 1) * DAY).astype("datetime64[D]")
        last = ends > ends[-1] - PRIOR_DAYS * DAY
        price = self.price[last].round(6)
        later = np.minimum.accumulate(np.append(price[1:], np.inf)[::-1])[::-1]
        lowest = price < later
        return [*zip(map(str, ends[last][lowest]), price[lowest].tolist(), strict=True)]

    @property
    def next_day(self) -> date:
        """First day, or week, after the history."""
        return self.last_day + timedelta(days=self.step_days)

    @property
    def current_price(self) -> float:
        """Price in force at the end of the history; the last row's own until a doubt is answered."""
        return float(self.prices_in_force[-1])

    @property
    def price_doubt(self) -> Reason | None:
        """How the last row's price differs from the price in force; None up to 1 %."""
        last = float(self.price[-1])
        now = float(self._believed_in_force[-1])
        if abs(last / now - 1) <= PRICE_DOUBT:
            return None
        deal = self.promotion is not None and bool(self.promotion[-1])
        above = self.observed & (
            self.price > (1 + PRICE_DOUBT) * self._believed_in_force
        )  # deals lie below, all of them
        return Reason("price_differs", {"last": last, "in_force": now, "deal": deal or not bool(above.any())})

    @property
    def last_day(self) -> date:
        """Day of the last row."""
        return date.fromisoformat(str(self.dates[-1]))

    @property
    def tried_prices(self) -> tuple[float, float]:
        """Lowest and highest price ever charged."""
        charged = self.price[self.observed]
        return float(charged.min()), float(charged.max())

    @property
    def stock_unknown(self) -> BoolArray:
        """``(D,)`` True on observed days that are not reported as in stock."""
        return self.observed if self.in_stock is None else self.observed & ~self.in_stock

    def first_days(self, days: int) -> ProductHistory:
        """Return the first ``days`` days of the history, without future days: later prices say nothing about them."""
        kept: dict[str, Any] = {
            name: value[: 0 if name in AHEAD else days]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray) and name != "holidays"
        }
        if self.in_force is not None:
            kept["in_force"] = find_prices_in_force(kept["price"], self.step_days, kept.get("promotion"))
        return replace(self, **kept)


def categories_of(products: Iterable[ProductHistory]) -> list[list[ProductHistory]]:
    """Return the groups of two products or more that are categories, in their order of appearance."""
    found = grouped((product.group, product) for product in products)
    return [members for group, members in found.items() if group and 1 < len(members) <= LARGEST_CATEGORY]


def relate(products: Sequence[ProductHistory]) -> tuple[ProductHistory, ...]:
    """Return the histories with the price of the rest of their category, ``ProductHistory.category_price``.

    A product counts at its latest price after its history, at its first one before it, and at a price that sends its
    buyers to the others on days without stock.
    """
    related = {product.product: product for product in products}
    for members in categories_of(products):
        weights = np.array([max(float(product.sales[product.observed].mean()), 1e-9) for product in members])
        days = np.unique(np.concatenate([product.dates for product in members]))
        rows = [np.searchsorted(product.dates, days, side="right") - 1 for product in members]
        logs = [
            np.where(False if it.sold_out is None else it.sold_out, SOLD_OUT, np.log(it.price / it.price[-1]))
            for it in members
        ]
        moved = np.stack([log[row.clip(0)] for log, row in zip(logs, rows, strict=True)])
        others = (weights @ moved - weights[:, None] * moved) / (weights.sum() - weights)[:, None]
        for product, price in zip(members, others, strict=True):
            related[product.product] = replace(product, category_price=price[np.searchsorted(days, product.dates)])
    return tuple(related[product.product] for product in products)


Own = TypeVar("Own", bound="Reported")


@dataclass(frozen=True, eq=False)
class Reported:
    """Products of one file with their data reports."""

    source: str
    """Name of the file as the user wrote it."""

    products: tuple[ProductHistory, ...]
    """Products in their order of first appearance."""

    reports: tuple[ProductReport, ...]
    """Data reports, one per product in the same order."""

    def renamed(self: Own, name: str) -> Own:
        """Return the same of the only product under another name."""
        return replace(
            self,
            products=tuple(replace(product, product=name) for product in self.products),
            reports=tuple(replace(report, product=name) for report in self.reports),
        )


@dataclass(frozen=True, eq=False)
class History(Reported):
    """Cleaned content of one file."""

    problems: tuple[Problem, ...] = ()
    """Problems of the products that were skipped, and of rows whose day is unknown."""

    currency: str = ""
    """ISO 4217 code of the prices: written with every one, or in the currency column of an export; else empty."""

    unnamed: bool = False
    """Whether the file names no product, so that its only one has the name of the file."""
