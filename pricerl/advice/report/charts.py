"""Charts of the page, each with a text alternative: demand and profit by price, prices and units by day."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from pricerl.advice.report import svg
from pricerl.advice.report.svg import LEFT, WIDTH, Frame
from pricerl.advice.sentences.verdict import Record
from pricerl.formatting import MEASURES, Formatter, unit_digits

MOST_PAST_DAYS = 45
"""Most days of history in the charts by day."""

LABEL_Y = 14
GAP = 5.0
"""Gap between two labels, in units of the view box."""
LETTER = 7.0
"""Upper estimate of the width of a letter, in units of the view box."""


class Figure(NamedTuple):
    """A chart, which contains its text alternative, with a heading and a legend."""

    name: str
    heading: str
    svg: Markup
    caption: str


def draw_figures(product: Record, formatter: Formatter) -> tuple[list[Figure], list[Figure]]:
    """Draw the charts of an entry of ``products`` in ``advice.json``: the first two, and those for the evidence."""
    curves = product["details"]["curves"]
    shown = [what for what in (product["measure"], "units") if curves[what] is not None]
    first, *others = [_by_price(what, product, formatter) for what in shown]
    return [first, _prices(product, formatter)], [*others, _units(product, formatter)]


def _by_price(what: str, product: Record, f: Formatter) -> Figure:
    """Draw a curve with its band over the prices, and dots for the recorded days."""
    details = product["details"]
    quality = product["data_quality"]
    curve = details["curves"][what]
    own = own_days(details["own_days"], what)
    prices = details["curves"]["price"]
    mean, low, high = zip(*curve, strict=True)
    known = [(at, value) for at, value in zip(details["own_days"]["price"], own, strict=True) if value is not None]
    at = [pair[0] for pair in known]
    values = [pair[1] for pair in known]
    bottom, top = _reach(values, low, high)
    frame = svg.frame_of(prices, [bottom, top])
    parts = [
        svg.grey(frame, prices[0], quality["price_min"], "not tried"),
        svg.grey(frame, quality["price_max"], prices[-1], "not tried"),
        svg.band(frame, prices, low, high),
        svg.dots(frame, at, values),
        svg.line(frame, prices, mean, "curve"),
        *_marks(frame, product["current_price"], product["recommended_price"]),
        svg.axes(frame, svg.number_ticks(frame.x_low, frame.x_high, f), "Price", f),
    ]
    name = "demand" if what == "units" else what
    title = f"{MEASURES.get(what, what).capitalize()} per {f.period}"
    outside = sum(not bottom <= value <= top for value in values)
    drawn = svg.chart(name, f"{title} by price", _describe(product, what, len(values), outside, f), parts)
    return Figure(name, f"{title} at each price", drawn, f"Dots: your {f.period}s. Band: 90 %. Hatched: never tried.")


def own_days(days: Record, what: str) -> list[Any]:
    """Return units, sales or profit of the recorded days of ``details``."""
    if what != "sales":
        return list(days[what])
    return [price * units for price, units in zip(days["price"], days["units"], strict=True)]


def _reach(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Return the range shown: the band, and the dots within 3 ranges of the middle 80 % from the median."""
    bottom = min(low)
    top = max(high)
    if not values:
        return bottom, top
    small, middle, large = np.quantile(values, [0.1, 0.5, 0.9])
    reach = max(3 * (large - small), 1e-9)
    near = [value for value in values if middle - reach <= value <= middle + reach]
    return min([bottom, *near]), max([top, *near])


def _marks(frame: Frame, now: float, advised: float) -> list[str]:
    """Draw lines at the current price (dotted) and the advised price, with labels above the chart."""
    if now == advised:
        words = "now and advised"
        x = min(max(frame.x(now), LEFT + LETTER * len(words) / 2), WIDTH - LETTER * len(words) / 2)
        return [svg.upright(frame, now, "now"), svg.text(x, LABEL_Y, words, "middle", "mark")]
    left, right = sorted([(now, "now"), (advised, "advised")])
    starts = min(frame.x(right[0]), WIDTH - LETTER * len(right[1]))
    ends = max(min(frame.x(left[0]), starts - GAP), LETTER * len(left[1]))
    starts = max(starts, ends + GAP)
    return [
        svg.upright(frame, now, "now"),
        svg.upright(frame, advised, "advised"),
        svg.text(ends, LABEL_Y, left[1], "end", "mark"),
        svg.text(starts, LABEL_Y, right[1], "start", "mark"),
    ]


def _describe(product: Record, what: str, days: int, outside: int, f: Formatter) -> str:
    curves = product["details"]["curves"]
    quality = product["data_quality"]
    ends = [f"{_triple(curves[what][end], what, f)} at {f.price(curves['price'][end])}" for end in (0, -1)]
    far = f", {outside} of them beyond the edge" if outside else ""
    dotted = f" Dots: {days} of your {f.period}s{far}." if days else ""
    word = MEASURES.get(what, what)
    return (
        f"Line: expected {word} per {f.period}, from {ends[0]} to {ends[1]}; band: 90 % limits.{dotted} "
        f"Dotted: current price. Hatched, never tried: below {f.price(quality['price_min'])} and above "
        f"{f.price(quality['price_max'])}."
    )


def _prices(product: Record, f: Formatter) -> Figure:
    days = product["days"]
    last = product["details"]["own_days"]["date"][-1]
    prices = [(day["recommended_price"], day["price_low"], day["price_high"]) for day in days]
    words = (
        f"Thin line: your price, {f.price(product['current_price'])} on {f.date(last)}. Thick: advised price, "
        f"{f.price(prices[-1][0])} on {f.date(days[-1]['date'])}. Band: 90 % limits of the proposed price over the "
        "plausible scenarios."
    )
    heading = f"Price, last weeks and next {f.period}s"
    legend = "Thin: your price. Thick: the advised one."
    return Figure("prices", heading, _by_day("prices", product, words, prices, f), legend)


def _units(product: Record, f: Formatter) -> Figure:
    units = [day["units"] for day in product["days"]]
    known = [values for values in units if values is not None]
    first = f", first {_triple(known[0], 'units', f)}" if known else ""
    noise = f"with the noise of each {f.period}"
    words = f"Dots: units you sold. Line: expected units{first}. Band: 90 % limits, {noise}."
    heading = f"Units, last weeks and next {f.period}s"
    legend = f"Dots: units you sold. Band: 90 %, {noise}."
    return Figure("units", heading, _by_day("units", product, words, units, f), legend)


def _by_day(name: str, product: Record, words: str, ahead: Sequence[Sequence[float] | None], f: Formatter) -> Markup:
    """Draw the last days of the history, then those of the advice ``ahead``: line, lower and upper limit."""
    own = product["details"]["own_days"]
    sold = name == "units"
    what = "units" if sold else "price"
    start = _ordinal(product["days"][0]["date"])
    past = {(_ordinal(day) - start) // f.step_days: value for day, value in zip(own["date"], own[what], strict=True)}
    days = [day for day in past if day >= -MOST_PAST_DAYS]
    values = [past[day] for day in days]
    at = [index for index, triple in enumerate(ahead) if triple is not None]
    mean, low, high = ([triple[place] for triple in ahead if triple is not None] for place in range(3))
    frame = svg.frame_of([-MOST_PAST_DAYS, len(ahead)], [*([0.0] if sold else []), *low, *high, *values])
    corners, lower = svg.steps(at, low)
    parts = [
        svg.band(frame, corners, lower, svg.steps(at, high)[1]) if at else "",
        svg.dots(frame, [day + 0.5 for day in days], values)
        if sold
        else svg.line(frame, *svg.steps(days, values), "past"),
        svg.line(frame, *svg.steps(at, mean), "curve" if sold else "advised") if at else "",
        *_today(frame, len(ahead)),
        svg.axes(frame, _date_ticks(start, len(ahead), f), f.period.capitalize(), f),
    ]
    return svg.chart(name, f"{what.capitalize()} by {f.period}", words, parts)


def _triple(values: Sequence[float], what: str, f: Formatter) -> str:
    if what != "units":
        return f.estimate(values)
    mean, low, high = values
    digits = unit_digits(*values)
    return f"{f.number(mean, digits)}{f.limits(low, high, digits, label='90 %: ')}"


def _today(frame: Frame, ahead: int) -> list[str]:
    marks = [svg.upright(frame, 0, "now"), svg.text(frame.x(0) - GAP, LABEL_Y, "your history", "end", "mark")]
    if frame.x(ahead) - frame.x(0) > LETTER * len("ahead"):
        marks.append(svg.text(frame.x(0) + GAP, LABEL_Y, "ahead", "start", "mark"))
    return marks


def _date_ticks(start: int, ahead: int, f: Formatter) -> list[tuple[float, str]]:
    """Return ticks sparse enough for their labels not to overlap."""
    every = 14 if ahead <= 21 else 14 * -(-(ahead + MOST_PAST_DAYS) // 70)
    days = [day for day in range(-42, ahead, every) if day > -MOST_PAST_DAYS]
    return [
        (float(day), f.day_of_month(datetime.date.fromordinal(start + day * f.step_days).isoformat())) for day in days
    ]


def _ordinal(day: str) -> int:
    return datetime.date.fromisoformat(day).toordinal()
