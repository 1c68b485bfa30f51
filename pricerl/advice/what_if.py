"""Comparison of a price with keeping the current one: the answer, from the curves of an advice, and its lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.arrays import Interval, to_plain
from pricerl.formatting import Formatter, better_words, plural
from pricerl.terminal import table

if TYPE_CHECKING:
    from pricerl.evaluation.stock.product import StockOutlook

COSTS_UNKNOWN = "unknown without costs"
CATEGORY = "the difference counts what the rest of the category earns by it"
MEASURED = ("units", "sales", "profit")
HIDDEN = ("objective", "measure", "spreads")
"""Fields of an answer that its lines need and programs do not."""


class Effect(NamedTuple):
    """Units or amounts per day at two prices, with 90 % limits, rounded as in ``advice.json``."""

    asked: Interval
    kept: Interval
    gain: Interval
    """Their difference in the same draws."""


class Answer(NamedTuple):
    """Value of charging a price on all days of the forecast horizon, or until the half-year or season of stock ends."""

    product: str
    current_price: float
    """Money, as the other prices."""
    num_draws: int
    price: float
    days: int
    """Days, or weeks for weekly rows, over which the values are means."""
    measures: dict[str, Effect]
    """Units, sales and profit per day, if known."""
    probability_better: float | None
    """Share of the posterior draws in which the price is worth more by the objective, or None if costs are unknown."""
    objections: tuple[str, ...]
    """Objections of the guardrails, each with its reason."""
    allowed: float
    """Nearest price that all guardrails and relations to other products allow on the next day."""
    objective: str
    """Name of the objective where it is not the ``measure`` alone, else empty."""
    measure: str
    outlooks: tuple[StockOutlook, ...] = ()
    """Outlook of the stock at the price and at the current one; empty where no stock is known."""
    unit_cost: float | None = None
    """Cost of a unit that was assumed, in money; None for the costs of the advice."""
    spreads: bool = False
    """Whether the difference counts the rest of a category."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; an unknown one is None or left out, and ``unknown`` says why."""
        values = {name: to_plain(value) for name, value in self._asdict().items() if name not in HIDDEN}
        return {**values, "unknown": COSTS_UNKNOWN if self.probability_better is None else ""}


def read_off(product: Mapping[str, Any], price: float) -> Answer | None:
    """Return the answer that the record of an advice has for a price of its curves; None for others, and with stock."""
    details = product["details"]
    curves = details["curves"]
    prices = curves["price"]
    if product["stock"] is not None or not {price, product["current_price"]} <= {*prices} or not curves["better"]:
        return None
    at, kept = prices.index(price), prices.index(product["current_price"])
    said = [item for item in details["objections"] if item["low"] <= price <= item["high"]]
    return Answer(
        product=product["product"],
        current_price=product["current_price"],
        num_draws=product["num_draws"],
        price=price,
        days=len(product["days"]),
        measures={
            name: Effect(*(Interval(*values) for values in (curves[name][at], curves[name][kept], gains[at])))
            for name in MEASURED
            if (gains := curves["gain"][name]) is not None
        },
        probability_better=curves["better"][at],
        objections=tuple(item["why"] for item in said),
        allowed=said[0]["nearest"] if said else price,
        objective=product["objective"],
        measure=product["measure"],
        spreads=product["substitution"] is not None,
    )


def answer_lines(answer: Answer, formatter: Formatter) -> list[str]:
    """Return a table of both prices, the probability of a gain and the objections."""
    asked = formatter.price(answer.price)
    now = formatter.price(answer.current_price)
    head = (f"per {formatter.period}, mean of {answer.days} (90 %)", f"at {asked}", f"keeping {now}", "difference")
    rows = [head, *(_cells(name, *values, formatter) for name, values in answer.measures.items())]
    better = (
        f"better: {COSTS_UNKNOWN}"
        if answer.probability_better is None
        else better_words(answer.probability_better, answer.num_draws, answer.objective, answer.measure)
    )
    objections = [
        *(f"  outside a limit: {text}" for text in answer.objections),
        f"  the nearest price within all limits: {formatter.price(answer.allowed)}",
    ]
    cost = "" if answer.unit_cost is None else f", if a unit costs {formatter.price(answer.unit_cost)}"
    return [
        f"{answer.product}: {asked} instead of {now}{cost}",
        *table(rows),
        f"  {better}",
        *([f"  {CATEGORY}"] if answer.spreads else []),
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
    digits = f.compared_digits(name, (asked.mean, kept.mean), difference)
    show = f.number if name == "units" else f.money
    shown = [
        f"{show(side.mean, digits, plus)}{f.limits(side.low, side.high, digits, plus)}"
        for side, plus in ((asked, ""), (kept, ""), (difference, "+"))
    ]
    return (name, *shown) if any(difference) else (name, *shown[:2], "no change")
