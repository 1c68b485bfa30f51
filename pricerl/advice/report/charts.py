"""The report's four charts: demand and profit by price, prices and units by day; each with what it says in words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from pricerl.advice.report.formatting import long_date, money_digits, number, unit_digits
from pricerl.advice.report.svg import (
    LEFT,
    WIDTH,
    Frame,
    axes,
    band,
    chart,
    dots,
    frame_of,
    grey,
    line,
    number_ticks,
    steps,
    text,
    upright,
)

MOST_PAST_DAYS = 45
"""Days before the coming ones that the charts by day show."""

FAR_OUT = 3.0
"""A dot more than this many times above nine in ten of the others is drawn at the edge, or it would flatten all."""

LABEL_Y = 14
GAP = 5.0
"""Between two labels, units of the view box."""

Product = Mapping[str, Any]


class Figure(NamedTuple):
    """A chart, its heading and its text alternative."""

    name: str
    heading: str
    svg: Markup
    caption: str


def draw_figures(product: Product, decimals: int) -> list[Figure]:
    """All charts of a product of ``advice.json``.

    Args:
        product: an entry of its ``products``, with details.
        decimals: digits after the point of a price.
    """
    figures = [_demand(product, decimals)]
    if product["details"]["curves"]["profit"] is not None:
        figures.append(_profit(product, decimals))
    return [*figures, _prices(product, decimals), _units(product)]


def _demand(product: Product, decimals: int) -> Figure:
    curves, own = product["details"]["curves"], product["details"]["own_days"]
    svg, outside = _by_price("demand", "Units a day by price", product, curves["units"], own["units"])
    return Figure("demand", "Units a day at each price", svg, _caption(product, "units", outside, decimals))


def _profit(product: Product, decimals: int) -> Figure:
    curves, own = product["details"]["curves"], product["details"]["own_days"]
    svg, outside = _by_price("profit", "Profit a day by price", product, curves["profit"], own["profit"])
    return Figure("profit", "Profit a day at each price", svg, _caption(product, "profit", outside, decimals))


def _by_price(
    name: str, title: str, product: Product, curve: Sequence[Sequence[float]], own: Sequence[float | None]
) -> tuple[Markup, int]:
    """A curve with its band over the prices, dots for the own days; and how many dots lie outside."""
    details, quality = product["details"], product["data_quality"]
    prices, (mean, low, high) = details["curves"]["price"], zip(*curve, strict=True)
    known = [(at, value) for at, value in zip(details["own_days"]["price"], own, strict=True) if value is not None]
    at, values = [pair[0] for pair in known], [pair[1] for pair in known]
    bottom, top = _reach(values, low, high)
    frame = frame_of(prices, [bottom, top])
    parts = [
        grey(frame, prices[0], quality["price_min"], "not tried"),
        grey(frame, quality["price_max"], prices[-1], "not tried"),
        band(frame, prices, low, high),
        dots(frame, at, values),
        line(frame, prices, mean, "curve"),
        *_marks(frame, product["current_price"], product["recommended_price"]),
        axes(frame, number_ticks(frame.x_low, frame.x_high), "Price"),
    ]
    return chart(name, title, parts), sum(not bottom <= value <= top for value in values)


def _reach(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value shown: the band whole, and the dots but for those far out."""
    bottom, top = min(low), max(high)
    if not values:
        return bottom, top
    small, middle, large = np.quantile(values, [0.1, 0.5, 0.9])
    reach = max(FAR_OUT * (large - small), 1e-9)
    near = [value for value in values if middle - reach <= value <= middle + reach]
    return min([bottom, *near]), max([top, *near])


def _marks(frame: Frame, now: float, advised: float) -> list[str]:
    """The current price, dotted, and the one advised, each with its name above the chart."""
    if now == advised:
        words = "now and advised"
        x = min(max(frame.x(now), LEFT + _width(words) / 2), WIDTH - _width(words) / 2)
        return [upright(frame, now, "now"), text(x, LABEL_Y, words, "middle", "mark")]
    left, right = sorted([(now, "now"), (advised, "advised")])
    starts = min(frame.x(right[0]), WIDTH - _width(right[1]))
    ends = max(min(frame.x(left[0]), starts - GAP), _width(left[1]))
    starts = max(starts, ends + GAP)
    return [
        upright(frame, now, "now"),
        upright(frame, advised, "advised"),
        text(ends, LABEL_Y, left[1], "end", "mark"),
        text(starts, LABEL_Y, right[1], "start", "mark"),
    ]


def _width(words: str) -> float:
    """Generous width of a label, units of the view box."""
    return 7.0 * len(words)


def _caption(product: Product, what: str, outside: int, decimals: int) -> str:
    details = product["details"]
    curves, own, quality = details["curves"], details["own_days"], product["data_quality"]
    if what == "units":
        digits = unit_digits(*(value for row in curves["units"] for value in row))
    else:
        digits = money_digits(*(value for row in curves["profit"] for value in row))
    ends = [f"{_triple(curves[what][end], digits)} at {number(curves['price'][end], decimals)}" for end in (0, -1)]
    days = sum(value is not None for value in own[what])
    far = f", {outside} of them beyond the edge" if outside else ""
    told = f" Dots: {days} of your days{far}." if days else ""
    return (
        f"Line: expected {what} on an average day, from {ends[0]} to {ends[1]}; band: 90 % limits."
        f"{told} Dotted: current price. Hatched, never tried: below {number(quality['price_min'], decimals)} and above "
        f"{number(quality['price_max'], decimals)}."
    )


def _prices(product: Product, decimals: int) -> Figure:
    own, days = product["details"]["own_days"], product["days"]
    past = own["date"][-MOST_PAST_DAYS:]
    start = _ordinal(days[0]["date"])
    charged = [(_ordinal(day) - start, price) for day, price in zip(past, own["price"][-len(past) :], strict=True)]
    charged = [(day, price) for day, price in charged if day >= -MOST_PAST_DAYS]
    coming = list(range(len(days)))
    price, low, high = ([day[key] for day in days] for key in ("recommended_price", "price_low", "price_high"))
    frame = frame_of([-MOST_PAST_DAYS, len(days)], [*low, *high, *(value for _, value in charged)])
    parts = [
        band(frame, steps(coming, low)[0], steps(coming, low)[1], steps(coming, high)[1]),
        line(frame, *steps([day for day, _ in charged], [value for _, value in charged]), "past"),
        line(frame, *steps(coming, price), "advised"),
        *_today(frame, len(days)),
        axes(frame, _date_ticks(start, len(days)), "Day"),
    ]
    caption = (
        f"Thin line: what you charged, up to {long_date(past[-1])} at {number(product['current_price'], decimals)}. "
        "Thick: "
        f"the advised price, ending at {number(price[-1], decimals)} on {long_date(days[-1]['date'])}; band: 90 % "
        "limits of the policy's price between the markets that fit your history."
    )
    return Figure("prices", "Price, the last weeks and the next days", chart("prices", "Price by day", parts), caption)


def _units(product: Product) -> Figure:
    own, days = product["details"]["own_days"], product["days"]
    start = _ordinal(days[0]["date"])
    past = [(_ordinal(day) - start, value) for day, value in zip(own["date"], own["units"], strict=True)]
    past = [(day, value) for day, value in past if day >= -MOST_PAST_DAYS]
    coming = [(index, day["units"]) for index, day in enumerate(days) if day["units"] is not None]
    at, triples = [float(index) for index, _ in coming], [values for _, values in coming]
    mean, low, high = ([values[place] for values in triples] for place in range(3))
    frame = frame_of([-MOST_PAST_DAYS, len(days)], [0.0, *low, *high, *(value for _, value in past)])
    parts = [
        band(frame, steps(at, low)[0], steps(at, low)[1], steps(at, high)[1]),
        dots(frame, [day + 0.5 for day, _ in past], [value for _, value in past]),
        line(frame, *steps(at, mean), "curve"),
        *_today(frame, len(days)),
        axes(frame, _date_ticks(start, len(days)), "Day"),
    ]
    first = f", first {_triple(triples[0], unit_digits(*triples[0]))}" if triples else ""
    caption = f"Dots: units you sold. Line: units expected{first}; band: 90 % limits with the day's own chance."
    return Figure("units", "Units, the last weeks and the next days", chart("units", "Units by day", parts), caption)


def _triple(values: Sequence[float], digits: int) -> str:
    mean, low, high = (number(value, digits) for value in values)
    return f"{mean} (90 %: {low} to {high})"


def _today(frame: Frame, coming: int) -> list[str]:
    marks = [upright(frame, 0, "now"), text(frame.x(0) - GAP, LABEL_Y, "your history", "end", "mark")]
    if frame.x(coming) - frame.x(0) > _width("coming"):
        marks.append(text(frame.x(0) + GAP, LABEL_Y, "coming", "start", "mark"))
    return marks


def _date_ticks(start: int, coming: int) -> list[tuple[float, str]]:
    """Few enough that their labels do not meet."""
    every = 14 if coming <= 21 else 14 * -(-(coming + MOST_PAST_DAYS) // 70)
    return [(float(day), _tick_date(start + day)) for day in range(-42, coming, every) if day > -MOST_PAST_DAYS]


def _tick_date(day: int) -> str:
    date = datetime.date.fromordinal(day)
    return f"{date.day} {date:%b}"


def _ordinal(day: str) -> int:
    return datetime.date.fromisoformat(day).toordinal()
