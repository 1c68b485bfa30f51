"""Valuation: units, sales, profit and conversions of prices and price paths in every posterior draw.

Two quantities must not be confused: the value of a *path*, per day over the forecast horizon, with its weekdays,
holidays and the buyers' memory of earlier prices; and the value of an *average day* at a constant price to which buyers
are accustomed, which rules and planners maximise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import DateArray, FloatArray, IntArray, Interval, Share, interval_of, intervals_of
from pricerl.data.days import day_types, weekday_of
from pricerl.data.history import ProductHistory
from pricerl.env.product import Product
from pricerl.market.cost import Measure, add_fees
from pricerl.market.market import Market, ProductMarket, Response, elasticity_at, log_units_at


@dataclass(frozen=True)
class DailyOutcome:
    """Expected units, sales and profit per day, in units and money, with 90 % limits over the posterior draws."""

    units: Interval
    """Units."""
    sales: Interval
    """Money."""
    profit: Interval | None
    """None where costs are unknown."""


@dataclass(frozen=True)
class Uplift(DailyOutcome):
    """Outcome per day of one price path minus another's, paired over the posterior draws.

    The measure's is the whole category's.
    """

    probability_better: Share | None
    """Share of the posterior draws in which it is worth more by the objective, or None if costs count and are unknown,
    as for ``cvar``."""
    cvar: float | None
    """Conditional value at risk: mean uplift of the measure over the worst tenth of the posterior draws, in money."""


@dataclass(frozen=True)
class PathValue:
    """Expected units, and money, of a path per day in all draws, ``(K,)`` each."""

    units: FloatArray
    sales: FloatArray
    profit: FloatArray
    elsewhere: FloatArray
    """Minus what its units would earn in the rest of the category if they were not sold."""
    worth: FloatArray
    """Worth by the objective, as money: the measure, or else the objective's gain over the current price."""
    costs_known: bool
    """Whether profit can be shown."""
    measure: Measure
    """Measure of gains in money."""

    def counted(self, name: str) -> FloatArray:
        """Return units, sales or profit as they count, ``(K,)``: the measure with the rest of the category."""
        own: FloatArray = getattr(self, name)
        return own + self.elsewhere if name == self.measure else own

    @property
    def earned(self) -> FloatArray:
        """The category's measure, in money ``(K,)``: profit, at costs as estimated if they are unknown, or revenue."""
        return self.counted(self.measure)

    def outcome(self) -> DailyOutcome:
        """Return means and 90 % limits over the posterior draws."""
        units, sales, profit = intervals_of(np.column_stack([self.units, self.sales, self.profit])).T.tolist()
        return DailyOutcome(Interval(*units), Interval(*sales), Interval(*profit) if self.costs_known else None)

    def minus(self, other: PathValue) -> PathValue:
        """Return units and money minus another path's; the gain of the measure is the whole category's."""
        gain: dict[str, Any] = {name: self.counted(name) - other.counted(name) for name in ("units", "sales", "profit")}
        return replace(self, **gain, elsewhere=np.zeros_like(self.elsewhere))

    def over(self, other: PathValue) -> Uplift:
        """Return the uplift over another path, valued in the same posterior draws."""
        gain = self.minus(other)
        if self.measure == "profit" and not self.costs_known:
            return Uplift(**vars(gain.outcome()), probability_better=None, cvar=None)
        return Uplift(**vars(gain.outcome()), probability_better=self.beats(other), cvar=value_at_risk(gain.earned))

    def beats(self, other: PathValue) -> float:
        """Return the share of the posterior draws in which this path is worth more by the objective."""
        return float((self.worth - other.worth > 0).mean())


def value_at_risk(gain: FloatArray) -> float:
    """Return the conditional value at risk, mean of the lowest tenth of ``gain (K,)`` (Rockafellar, Uryasev 2000)."""
    return float(np.sort(gain)[: max(1, round(0.1 * len(gain)))].mean())


@torch.no_grad()
def expect_days(
    market: Market, product: int, price: Tensor, dates: DateArray, lifts: FloatArray | float = 1.0
) -> Response:
    """Return the expected outcome of a path ``price (H,)``, in money, on ``dates (H,)`` in all draws, ``(K, H)`` each.

    Lifts ``(K, H)`` are the effect of the buyers' memory of earlier prices on demand.
    """
    rows = market.draws(product)
    distinct, at = torch.unique(price, return_inverse=True)
    level = market.average_day_at(distinct, market.grid_position(distinct, rows), rows)
    units, sales, _, organic, ad = (values.index_select(1, at) for values in level)
    demand = torch.as_tensor(demand_on(market, product, dates) * lifts, dtype=torch.float32, device=market.device)
    units = units * demand
    sales = sales * demand
    return Response(units, sales, rows.profit(price, units), organic, ad)


def expect_path(product: Product, price: Tensor) -> Response:
    """Return the outcome of all days of a path ``(H,)``, in money, after the history, ``(K, H)`` each."""
    memory = product.fitted.memory
    past = product.log_reference_price
    lifts = 1.0 if memory is None else memory.lifts_after(past, price[None].cpu().numpy())[:, 0]
    return expect_days(product.market, product.index, price, product.dates_ahead(len(price)), lifts)


@torch.no_grad()
def value_paths(product: Product, prices: Tensor, horizon: int | None = None) -> list[PathValue]:
    """Value paths in money ``(N, H)`` per day after the history in the same draws; ``(N, 1)`` last for the horizon.

    Demand is computed once per distinct price; days in a row at one price are summed before they are multiplied by it.
    """
    paths = prices.expand(-1, horizon or prices.shape[1]).cpu().numpy()
    days = paths.shape[1]
    first_days = np.arange(0, paths.size, days)
    runs = np.union1d(first_days, np.flatnonzero(np.diff(paths.ravel())) + 1)
    first_runs = np.searchsorted(runs, first_days)
    distinct, at = np.unique(paths.ravel()[runs], return_inverse=True)
    market = product.market
    rows = product.draws
    price = product.money(distinct)
    level = market.values_at(market.grid_position(price, rows), rows, 1)[0]
    demand = np.tile(_demand_ahead(product, days), len(paths)).astype(np.float32)
    plain = np.add.reduceat(demand, runs, dtype=np.float64)
    demands = np.tile(plain, (market.num_draws, 1))
    if (memory := product.fitted.memory) is not None:
        felt = memory.loss > 0
        felt_memory = replace(memory, gain=memory.gain[felt], loss=memory.loss[felt])
        lifted = felt_memory.lifts_after(product.log_reference_price, paths).reshape(-1, paths.size)
        demands[felt] = np.add.reduceat(np.multiply(lifted, demand, out=lifted), runs, axis=1, dtype=np.float64)

    def average(sums: FloatArray) -> FloatArray:
        """Average the sums of a quantity over the days at each price ``(K, R)`` over the days of each path."""
        return np.ascontiguousarray(np.add.reduceat(sums, first_runs, axis=1).T / days)

    units = average(_numpy(level)[:, at] * demands)
    sales = average(_numpy(level * price * rows.share_paid)[:, at] * demands)
    constants = rows.share_kept, rows.unit_cost, rows.fixed_cost, rows.opportunity
    kept, cost, fixed, opportunity = (_numpy(values)[:, 0] for values in constants)
    profit = kept * sales - cost * units - fixed
    if rows.fee_steps is not None:
        profit -= average(_numpy(level * add_fees(rows.fee_steps.unbind(1), rows.share_paid, price))[:, at] * demands)
    elsewhere = -opportunity * units
    worth = elsewhere + (profit if market.measure == "profit" else sales)
    if not product.dynamics.reward.is_measure:
        daily = _evaluate(product, price[at], demands / plain)
        worth = average(_numpy(daily) * np.diff(runs, append=paths.size))
    known = product.fitted.cost.known
    values = zip(units, sales, profit, elsewhere, worth, strict=True)
    return [PathValue(*value, known, market.measure) for value in values]


def _evaluate(product: Product, price: Tensor, lifts: FloatArray) -> Tensor:
    """Return the gain of average days at prices ``(R,)``, in money, with lifted demand, as money ``(K, R)``.

    The week before is taken as if it had been at the same price.
    """
    dynamics = product.dynamics
    draw = torch.arange(product.market.num_draws, device=price.device)[:, None]
    points, _ = dynamics.average_day(price[None], product.rows()[None], draw, price.new_tensor(lifts))
    return points * dynamics.reward.profit_share * dynamics.references.profit_unit[product.index, 0]


def _numpy(values: Tensor) -> FloatArray:
    return np.asarray(values.double().cpu().numpy())


@lru_cache(maxsize=2)  # of the horizon and of a quarter
def _demand_ahead(product: Product, days: int) -> FloatArray:
    return demand_on(product.market, product.index, product.dates_ahead(days))


def demand_on(market: Market, product: int, dates: DateArray) -> FloatArray:
    """Return the demand on dates ``(H,)``, by weekday, type and time after the history, over an average day's."""
    weekday, holiday, ahead = (_numpy(part[product]) for part in (market.weekday, market.holiday, market.ahead))
    history = market.preprocessor.products[product]
    types = day_types(dates, history.holidays)
    row = (dates - history.dates[-1]).astype(np.int64) // history.step_days
    later = ahead[row.clip(1, len(ahead)) - 1]
    return np.asarray(weekday[weekday_of(dates.astype(np.int64))] * holiday[types] * np.where(row > 0, later, 1.0))


def value_once(
    valued: dict[tuple[float, ...], PathValue], value: Callable[[Tensor], list[PathValue]], paths: Tensor
) -> list[PathValue]:
    """Return the values of ``paths (N, H)``; ``value`` computes those that are not among the ``valued`` yet."""
    keys = [tuple(path) for path in paths.tolist()]
    unknown = {key: row for row, key in enumerate(keys) if key not in valued}
    if unknown:
        valued.update(zip(unknown, value(paths[[*unknown.values()]]), strict=True))
    return [valued[key] for key in keys]


def margins_at(product: ProductMarket, prices: FloatArray) -> FloatArray:
    """Return the profit of a unit at ``prices (G,)`` in every posterior draw, in money ``(K, G)``."""
    cost = product.cost
    return np.asarray(cost.price_kept[:, None] * prices - cost.unit_cost[:, None] - cost.more_fees(prices))


def gains_over(history: ProductHistory, counted: ProductMarket, day: IntArray, kept: float) -> FloatArray:
    """Return the gain of the prices of past days ``day (N,)`` over a kept one, in money ``(K, N)``.

    Both prices count at the level of demand of the day: the units sold over those expected at the price charged, in the
    mean of the posterior draws. The buyers' memory of earlier prices is left out, which estimates simulated gains
    better, as the fitted response contains part of it. Costs are those that count, estimated even if they are unknown.
    """
    price = history.price[day]
    stays = np.array([kept])
    own = np.exp(log_units_at(counted, price))
    other = np.exp(log_units_at(counted, stays))
    level = history.units[day] / own.mean(0)
    return np.asarray((margins_at(counted, price) * own - margins_at(counted, stays) * other) * level)


class Raising(NamedTuple):
    """Whether a slightly higher price earns more; otherwise a slightly lower one does."""

    probability_better: Share
    """Share of the posterior draws in which a slightly higher price earns more."""
    break_even: float | None
    """Break-even loss of units in percent at a 1 % higher price and mean costs, or None if units sell at a loss."""


def would_raising_pay(product: ProductMarket, price: float) -> Raising | None:
    """Compare the unit cost with its break-even in every posterior draw; None where costs are unknown."""
    cost = product.cost
    if not cost.known:
        return None
    kept = cost.price_kept * price
    pays = cost.unit_cost + cost.more_fees(price) >= break_even_costs(kept, elasticity_at(product, price))
    margin = cost.mean_margin(price)
    return Raising(float(pays.mean()), cost.means[0] * price / margin if margin > 0 else None)


def break_even_costs(kept: FloatArray, elasticity: FloatArray) -> FloatArray:
    """Return the unit cost above which a slightly higher price pays and below which a lower one does, ``(K,)``.

    ``d/dp (k p - c) q(p) > 0`` if and only if ``|e| < k p / (k p - c)`` (Lerner 1934), that is ``c > k p (1 - 1/|e|)``,
    with ``k`` the share kept, ``c`` the unit cost and ``e`` the elasticity ``(K,)``; ``kept (K,)`` is ``k p``.
    0 where ``|e| <= 1``: a higher price brings more revenue, so that it pays at any cost.
    """
    return kept * (1 - 1 / np.maximum(-elasticity, 1))


class BreakEven(NamedTuple):
    """Cost at which neither a slightly higher nor a slightly lower price earns more; known costs are not needed."""

    cost: Interval
    """Unit cost above which a rise pays and below which a cut does, in money; 0 where a rise pays at any cost."""
    left: Interval
    """Share of the price left after fees and unit cost, below which a rise pays and above which a cut does."""
    fees_known: bool
    """Whether the share kept after fees is known. If not, both follow from a price without fees: ``cost`` is unit cost
    over share kept, and ``left`` is a share of what fees leave of the price."""
    raises_revenue: Share
    """Share of the posterior draws in which a rise brings more revenue, so that it pays at any cost."""


def find_break_even(product: ProductMarket, price: float) -> BreakEven:
    """Return the break-even unit cost of a product around a price, in money, over the posterior draws of its demand."""
    elasticity = elasticity_at(product, price)
    known = product.cost.fees_known
    share = product.cost.price_kept if known else np.full_like(elasticity, product.cost.share_paid)
    spent = break_even_costs(share * price, elasticity)
    cost = np.maximum(spent - product.cost.more_fees(price), 0)
    return BreakEven(interval_of(cost), interval_of(share - spent / price), known, float((elasticity > -1).mean()))
