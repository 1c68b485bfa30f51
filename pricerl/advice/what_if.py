"""Comparison of a price with keeping the current one, in the same posterior draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.arrays import Interval, interval_of, to_plain
from pricerl.data.days import WEEK, steps_in
from pricerl.decide.objections import find_objections, nearest_chargeable
from pricerl.env.product import Product
from pricerl.evaluation.price_curves import short
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.evaluation.stock.product import StockOutlook
from pricerl.evaluation.valuation import expect_path, value_paths
from pricerl.formatting import Formatter, better_words, plural
from pricerl.market.market import Market
from pricerl.terminal import table
from pricerl.training.saved_policy import act_on_shelves

if TYPE_CHECKING:
    from pricerl.runs.run import Run

COSTS_UNKNOWN = "unknown without costs"
CATEGORY = "the difference counts what the rest of the category earns by it"


class Effect(NamedTuple):
    """Units, amounts or percent per day at two prices, with 90 % limits, rounded as in ``advice.json``."""

    asked: Interval
    kept: Interval
    gain: Interval
    """Their difference in the same draws."""


class Answer(NamedTuple):
    """Value of charging a price on all days of the forecast horizon, or until the half-year or season of stock ends."""

    product: Product
    price: float
    """Money."""
    days: int
    """Days, or weeks for weekly rows, over which the values are means."""
    measures: dict[str, Effect]
    """Units, sales, profit and conversions per day, if known."""
    probability_better: float | None
    """Share of the posterior draws in which the price is worth more by the objective, or None if costs are unknown."""
    objections: tuple[str, ...]
    """Objections of the guardrails, each with its reason."""
    allowed: float
    """Nearest price that all guardrails and relations to other products allow on the next day, in money."""
    outlooks: tuple[StockOutlook, ...]
    """Outlook of the stock at the price and at the current one; empty where no stock is known."""
    unit_cost: float | None = None
    """Cost of a unit that was assumed, in money; None for the costs of the advice."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; an unknown one is None or left out, and ``unknown`` says why."""
        values = {name: to_plain(value) for name, value in self._asdict().items() if name != "product"}
        return {
            "product": self.product.name,
            "current_price": self.product.current_price,
            "num_draws": self.product.market.num_draws,
            **values,
            "unknown": COSTS_UNKNOWN if self.probability_better is None else "",
        }


@dataclass(frozen=True)
class Questions:
    """Questions about prices to the market of a run, each of whose products is fitted once."""

    run: Run
    horizons: Mapping[str, int]
    """Days of the forecast horizon by product; the run's for others."""
    fitted: dict[str, Market] = field(default_factory=dict)

    def ask(self, name: str, price: float, unit_cost: float | None = None) -> Answer:
        """Compare a price of a product with its current one, at another cost of a unit if one is given, in money."""
        data = self.run.pricing
        if name not in self.fitted:
            self.fitted[name] = data.fit(data.preprocessor.select([data.preprocessor.names.index(name)]))
        market = self.fitted[name] if unit_cost is None else self.fitted[name].at_unit_cost(unit_cost)
        horizon = self.horizons.get(name, self.run.options.horizon)
        answer = ask(Product(data.build_dynamics(market), 0), price, horizon, data.preprocessor.current_prices)
        return answer._replace(unit_cost=unit_cost)


def ask(product: Product, price: float, horizon: int, current: Mapping[str, float] | None = None) -> Answer:
    """Compare charging a price, in money, over the forecast horizon, days, with keeping the current price.

    The ``current`` prices belong to other markets' products, in money, to which relations may lead.
    """
    steps = steps_in(horizon, product.history.step_days)
    paths = product.money([price, product.current_price])[:, None].expand(2, steps)
    stocked = plan_half_years(product.dynamics, act_on_shelves).get(product.index)
    asked, kept = value_paths(product, paths) if stocked is None else stocked.value(paths)
    outlooks = () if stocked is None else tuple(stocked.look_ahead(path) for path in paths)
    known = ("units", "sales", *(["profit"] if asked.costs_known else []))
    gain = asked.minus(kept)
    effects = {name: [getattr(value, name) for value in (asked, kept, gain)] for name in known}
    shown = [name for name in ("organic", "ad") if stocked is None and getattr(product.fitted, name) is not None]
    days = [expect_path(product, path) for path in paths] if shown else []
    for name in shown:
        there, here = (getattr(item, name).double().mean(1).cpu().numpy() for item in days)
        effects[f"{name} conversion %"] = [there, here, there - here]
    prices = {**product.market.preprocessor.current_prices, **(current or {})}
    return Answer(
        product=product,
        price=price,
        days=steps if stocked is None else stocked.stock.season_end * WEEK // product.history.step_days,
        measures={
            name: Effect(*(Interval(*map(short, interval_of(draws))) for draws in values))
            for name, values in effects.items()
        },
        probability_better=asked.over(kept).probability_better,
        objections=tuple(item.why for item in find_objections(price, product, prices)),
        allowed=nearest_chargeable(price, product, prices),
        outlooks=outlooks,
    )


def answer_lines(answer: Answer, formatter: Formatter) -> list[str]:
    """Return a table of both prices, the probability of a gain and the objections."""
    asked = formatter.price(answer.price)
    now = formatter.price(answer.product.current_price)
    head = (f"per {formatter.period}, mean of {answer.days} (90 %)", f"at {asked}", f"keeping {now}", "difference")
    rows = [head, *(_cells(name, *values, formatter) for name, values in answer.measures.items())]
    market = answer.product.market
    better = f"better: {COSTS_UNKNOWN}"
    if answer.probability_better is not None:
        objective = answer.product.dynamics.reward.objective
        better = better_words(answer.probability_better, market.num_draws, objective, market.measure)
    nearest = f"  the nearest price within all limits: {formatter.price(answer.allowed)}"
    objections = [*(f"  outside a limit: {text}" for text in answer.objections), nearest]
    cost = "" if answer.unit_cost is None else f", if a unit costs {formatter.price(answer.unit_cost)}"
    return [
        f"{answer.product.name}: {asked} instead of {now}{cost}",
        *table(rows),
        f"  {better}",
        *([f"  {CATEGORY}"] if answer.product.fitted.diversion is not None else []),
        *(
            f"  stock at {at}: {_stock_words(item, formatter)}"
            for at, item in zip((asked, now), answer.outlooks, strict=False)
        ),
        *(objections if answer.objections else ["  within all limits"]),
    ]


def _stock_words(outlook: StockOutlook, f: Formatter) -> str:
    """Return how long the units on hand last, what to order now, and what is lost all the same."""
    lasts = "is enough" if outlook.cover is None else f"lasts about {f.number(outlook.cover, 1)} weeks"
    order = f"order {plural(round(outlook.order.mean), 'unit')} now" if not outlook.no_order else "order nothing now"
    return f"{lasts}; {order}; {f.number(outlook.lost[0], 0)} units lost to stock-outs until {f.date(outlook.ends)}"


def _cells(name: str, asked: Interval, kept: Interval, difference: Interval, f: Formatter) -> tuple[str, ...]:
    """Return name, both outcomes and their difference, each with its interval."""
    money = name in ("sales", "profit")
    digits = f.compared_digits("sales" if money else "units", (asked.mean, kept.mean), difference)
    show = f.money if money else f.number
    shown = [
        f"{show(side.mean, digits, plus)}{f.limits(side.low, side.high, digits, plus)}"
        for side, plus in ((asked, ""), (kept, ""), (difference, "+"))
    ]
    return (name, *shown) if any(difference) else (name, *shown[:2], "no change")
