"""Charts of the page, each with a text alternative: demand and profit by price, prices and units by day."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from pricerl.advice.report import svg
from pricerl.advice.report.svg import LEFT, WIDTH, Frame
from pricerl.advice.sentences.verdict import Record, outcome_words
from pricerl.formatting import Formatter, translate
from pricerl.terminal import shown

MOST_PAST_DAYS = 45
"""Most days of history in the charts by day."""

ASIDE = {
    "repricer": " The line need not follow the dots: a repricer seems to have set the prices with demand in view.",
    "averages": " The line need not follow the dots: their prices are averages of what buyers paid.",
}
"""Why the days do not show what a change of the price does, by ``price_setting``."""

LABEL_Y = 14
LABELS = 150.0
"""Width of the names of products, in units of the view box."""
MOST_MEMBERS = 8
"""Most products of a category in a picture: this one, and those that sell most."""
GAP = 5.0
"""Gap between two labels, in units of the view box."""
LETTER = 8.0
"""Upper estimate of the width of a letter, in units of the view box."""


class Figure(NamedTuple):
    """A chart, which contains its text alternative, with a heading and a legend."""

    name: str
    heading: str
    svg: Markup
    caption: str


def draw_figures(product: Record, f: Formatter) -> tuple[list[Figure], list[Figure]]:
    """Draw the charts of an entry of ``products`` in ``advice.json``: the first two, and those for the evidence."""
    shown = [what for what in (product["measure"], "units") if product["details"]["curves"][what] is not None]
    first, *others = [_by_price(what, product, f) for what in shown]
    days = product["days"]
    prices = [(day["recommended_price"], day["price_low"], day["price_high"]) for day in days]
    words = f.say(
        "Thin line: your price, {now:price} on {last:date}. Thick: advised price, {price:price} on {until:date}. Band: "
        "90 % limits of the proposed price over the plausible scenarios.",
        {
            "now": product["current_price"],
            "last": product["details"]["own_days"]["date"][-1],
            "price": prices[-1][0],
            "until": days[-1]["date"],
        },
    )
    by_day = _by_day("price", product, words, prices, translate("Thin: your price. Thick: the advised one."), f)
    units = [day["units"] for day in days]
    known = (f.say(", first {units}", {"units": outcome_words("units", item, f)}) for item in units if item is not None)
    given = {"ahead": next(known, ""), "band": f.say("with the noise of each {period}.")}
    words = f.say("Dots: units you sold. Line: expected units{ahead}. Band: 90 % limits, {band}", given)
    legend = f.say("Dots: units you sold. Band: 90 %, {band}", given)
    return [first, by_day], [*others, _by_day("units", product, words, units, legend, f), *_who_takes_whose(product, f)]


def _who_takes_whose(product: Record, f: Formatter) -> list[Figure]:
    """Draw a circle per pair of a category: the lost buyers of the row's product who take the column's."""
    members: dict[str, tuple[float, float]] = (product.get("substitution") or {}).get("members") or {}
    if len(members) < 2:
        return []
    names = sorted(members, key=lambda name: (name != product["product"], -members[name][1]))[:MOST_MEMBERS]
    total = sum(units for _, units in members.values())
    taken = {
        (row, column): members[name][0] * members[other][1] / max(total - members[name][1], 1e-9)
        for row, name in enumerate(names)
        for column, other in enumerate(names)
        if row != column
    }
    largest = max(*taken.values(), 1e-9)
    side = min((svg.HEIGHT - svg.TOP) / len(names), (WIDTH - LABELS) / len(names))
    middle = [side * (at + 0.5) for at in range(len(names))]
    labels = [f"{row} {shown(name, round(LABELS / LETTER) + 4)}" for row, name in enumerate(names, 1)]
    parts = [
        *(svg.text(LABELS + x, LABEL_Y, f"{at}", "middle", "tick") for at, x in enumerate(middle, 1)),
        *(
            svg.text(0, svg.TOP + y + 4, label, "start", "tick" if row else "mark")
            for row, (y, label) in enumerate(zip(middle, labels, strict=True))
        ),
        *(
            f'<circle class="band" cx="{LABELS + middle[column]:.1f}" cy="{svg.TOP + middle[row]:.1f}" '
            f'r="{0.48 * side * (share / largest) ** 0.5:.1f}"/>'
            for (row, column), share in taken.items()
        ),
    ]
    of_hundred = [f"{f.number(100 * taken[0, at], 0)} take {shown(name)}" for at, name in enumerate(names) if at]
    words = f"Of 100 buyers whom a higher price of {shown(names[0])} loses, {', '.join(of_hundred)}."
    caption = f"Row: loses buyers. Column: takes them. Largest circle: {f.number(100 * largest, 0)} of 100 lost buyers."
    title = "Who takes whose buyers"
    return [Figure("category", title, svg.chart("category", title, words, parts), caption)]


def _by_price(what: str, product: Record, f: Formatter) -> Figure:
    """Draw a curve with its band over the prices, and dots for the recorded days."""
    details = product["details"]
    quality = product["data_quality"]
    prices, curve = (details["curves"][name] for name in ("price", what))
    mean, low, high = zip(*curve, strict=True)
    days = _days_as_of_now(what, product)
    values = [value for _, value in days]
    frame = svg.frame_of(prices, _reach(values, low, high))
    parts = [
        svg.axes(frame, svg.number_ticks(frame.x_low, frame.x_high, f), translate("Price"), f),
        svg.grey(frame, prices[0], quality["price_min"], translate("not tried")),
        svg.grey(frame, quality["price_max"], prices[-1], translate("not tried")),
        svg.band(frame, prices, low, high),
        svg.dots(frame, [price for price, _ in days], values),
        svg.line(frame, prices, mean, "curve"),
        *_marks(frame, product["current_price"], product["recommended_price"]),
        f'<g data-x="{frame.x_low} {frame.x_high}" data-y="{frame.y_low} {frame.y_high}"/>',
    ]
    ends = [
        f.say("{found} at {price:price}", {"found": outcome_words(what, curve[end], f), "price": prices[end]})
        for end in (0, -1)
    ]
    given = {
        "word": f.measure(what),
        "title": f.measure(what).capitalize(),
        "first": ends[0],
        "last": ends[1],
        "count": len(values),
        "level": translate(", at today's season and level of demand") if details["own_days"].get("level") else "",
        **quality,
    }
    given["dotted"] = f.say(" Dots: {count} of your {periods}{level}.", given) if values else ""
    words = f.say(
        "Line: expected {word} per {period}, from {first} to {last}; band: 90 % limits.{dotted} Dotted: current price. "
        "Hatched, never tried: below {price_min:price} and above {price_max:price}.",
        given,
    )
    name = "demand" if what == "units" else what
    caption = f.say(
        "Dots: your {periods}{level}. Line: the average {period}, band: its 90 % limits. Hatched: never tried.", given
    )
    chart = svg.chart(name, f.say("{title} per {period} by price", given), words, parts)
    aside = translate(ASIDE.get(product.get("price_setting", ""), ""))
    return Figure(name, f.say("{title} per {period} at each price", given), chart, caption + aside)


def _days_as_of_now(what: str, product: Record) -> list[tuple[float, float]]:
    """Return price and value of each recorded day, its units over the level of demand of the day."""
    own = product["details"]["own_days"]
    levels = own.get("level") or [1.0] * len(own["price"])
    days = list(zip(own["price"], own["units"], own["profit"], levels, strict=True))
    if what != "profit":
        return [(price, (1 if what == "units" else price) * (sold / level)) for price, sold, _, level in days]
    kept, cost = product["cost_means"].values()
    return [
        (price, profit + (kept * price - cost) * (sold / level - sold))
        for price, sold, profit, level in days
        if profit is not None
    ]


def _reach(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Return the range shown: the band, and the dots within 3 ranges of the middle 80 % from the median."""
    small, middle, large = np.quantile(values or low, [0.1, 0.5, 0.9])
    reach = max(3 * (large - small), 1e-9)
    near = [value for value in values if middle - reach <= value <= middle + reach]
    return min([*low, *near]), max([*high, *near])


def _marks(frame: Frame, now: float, advised: float) -> list[str]:
    """Draw lines at the current price (dotted) and the advised price, with labels above the chart."""
    if now == advised:
        words = translate("now and advised")
        x = min(max(frame.x(now), LEFT + LETTER * len(words) / 2), WIDTH - LETTER * len(words) / 2)
        return [svg.upright(frame, now, "now"), svg.text(x, LABEL_Y, words, "middle", "mark")]
    left, right = sorted([(now, translate("now")), (advised, translate("advised"))])
    starts = min(frame.x(right[0]), WIDTH - LETTER * len(right[1]))
    ends = max(min(frame.x(left[0]), starts - GAP), LETTER * len(left[1]))
    starts = max(starts, ends + GAP)
    return [
        svg.upright(frame, now, "now"),
        svg.upright(frame, advised, "advised"),
        svg.text(ends, LABEL_Y, left[1], "end", "mark"),
        svg.text(starts, LABEL_Y, right[1], "start", "mark"),
    ]


def _by_day(
    what: str, product: Record, words: str, ahead: Sequence[Sequence[float] | None], legend: str, f: Formatter
) -> Figure:
    """Draw the last days of the history, then the days ``ahead`` in the advice: line, lower and upper limit."""
    own = product["details"]["own_days"]
    sold = what == "units"
    start = datetime.date.fromisoformat(product["days"][0]["date"])
    past = [(datetime.date.fromisoformat(day) - start).days // f.step_days for day in own["date"]]
    shown = {day: value for day, value in zip(past, own[what], strict=True) if day >= -MOST_PAST_DAYS}
    days, values = list(shown), list(shown.values())
    at = [index for index, triple in enumerate(ahead) if triple is not None]
    mean, low, high = ([triple[place] for triple in ahead if triple is not None] for place in range(3))
    frame = svg.frame_of([-MOST_PAST_DAYS, len(ahead)], [*([0.0] if sold else []), *low, *high, *values])
    # Ticks are sparse enough for their labels not to overlap.
    every = 14 if len(ahead) <= 21 else 14 * -(-(len(ahead) + MOST_PAST_DAYS) // 70)
    dates = {day: start + datetime.timedelta(day * f.step_days) for day in range(-42, len(ahead), every)}
    ticks = [(float(day), f.day_of_month(date.isoformat())) for day, date in dates.items()]
    room = frame.x(len(ahead)) - frame.x(0) > LETTER * len(translate("ahead"))
    parts = [
        svg.axes(frame, ticks, translate(f.period).capitalize(), f),
        svg.band(frame, svg.steps(at), svg.twice(low), svg.twice(high)) if at else "",
        svg.dots(frame, [day + 0.5 for day in days], values)
        if sold
        else svg.line(frame, svg.steps(days), svg.twice(values), "past"),
        svg.line(frame, svg.steps(at), svg.twice(mean), "curve" if sold else "advised") if at else "",
        svg.upright(frame, 0, "now"),
        svg.text(frame.x(0) - GAP, LABEL_Y, translate("your history"), "end", "mark"),
        svg.text(frame.x(0) + GAP, LABEL_Y, translate("ahead"), "start", "mark") if room else "",
    ]
    name = "units" if sold else "prices"
    given = {"what": translate(what.capitalize())}
    title = f.say("{what}, last weeks and next {periods}", given)
    return Figure(name, title, svg.chart(name, f.say("{what} by {period}", given), words, parts), legend)
