"""Small pictures: a line and a gain in a row of a table, a product's sales as they were read, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup, escape

from pricerl.advice.report import svg
from pricerl.advice.report.svg import WIDTH
from pricerl.advice.sentences.verdict import Record
from pricerl.formatting import Formatter, translate
from pricerl.terminal import shown

MOST_DAYS = 45
"""Most days of a picture of what happened."""
MOST_POINTS = 30
"""Most points of a line in a row."""
PRICES = (40, 16)
"""Vertical positions of the lowest and of the highest price."""
SOLD = "Price from {first:price} on {start:date} to {last:price} on {end:date}, and units sold per {period}"
OUTCOME = "Band: expected units, 90 %. Dots: units sold, on {inside} of {all} {periods} inside the band."
FOOT, TALLEST = 104, 54
"""Vertical position of the bars of units, and their greatest height."""


@lru_cache(maxsize=4096)
def spark(daily: tuple[float, ...]) -> Markup:
    """Return a line of values without axes, each the mean of some days."""
    some = -(-len(daily) // MOST_POINTS)
    values = [sum(days) / len(days) for at in range(0, len(daily), some) if (days := daily[at : at + some])]
    low, high = svg.apart(min(values), max(values))
    wide = 118 / max(len(values) - 1, 1)
    places = [(1 + wide * at, 26 - 24 * (value - low) / (high - low)) for at, value in enumerate(values)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Markup(
        f'<svg class="spark" viewBox="0 0 120 28" aria-hidden="true"><polyline class="past" points="{points}"/></svg>'
    )


def whisker(ends: Sequence[float], least: float, most: float) -> Markup:
    """Return mean and limits ``(3,)`` as a dot on a bar, in a range that all rows of a table share, and a line at 0."""
    low, high = svg.apart(min(least, 0.0), max(most, 0.0))
    zero, mean, left, right = (round(4 + 152 * (value - low) / (high - low), 1) for value in (0.0, *ends))
    style = "loss" if ends[0] < 0 else "gain"
    return Markup(
        f'<svg class="whisker {style}" viewBox="0 0 160 12" aria-hidden="true"><path class="now" d="M{zero} 0V12"/>'
        f'<path class="reach" d="M{left} 6H{right}"/><circle cx="{mean}" cy="6" r="4"/></svg>'
    )


def draw_sales(dates: Sequence[str], prices: Sequence[float], units: Sequence[float], f: Formatter) -> Markup:
    """Return the prices of some days as a line, above bars of the units sold."""
    low, high = svg.apart(min(prices), max(prices))
    wide = WIDTH / len(dates)
    heights = [PRICES[0] + (PRICES[1] - PRICES[0]) * (price - low) / (high - low) for price in prices]
    points = " ".join(f"{wide * side:.1f},{y:.1f}" for at, y in enumerate(heights) for side in (at, at + 1))
    scale = TALLEST / max(*units, 1e-9)
    bars = "".join(
        f"M{wide * at:.1f} {FOOT}v-{scale * max(sold, 0):.1f}h{0.7 * wide:.1f}V{FOOT}z" for at, sold in enumerate(units)
    )
    texts = [
        svg.text(-WIDTH * at, y, words, anchor, style)
        for at, anchor in ((0, "start"), (-1, "end"))
        for y, words, style in ((FOOT + 15, f.day_of_month(dates[at]), "tick"), (10, f.price(prices[at]), "mark"))
    ]
    words = escape(f.say(SOLD, {"first": prices[0], "start": dates[0], "last": prices[-1], "end": dates[-1]}))
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {FOOT + 20}" role="img" aria-label="{words}"><path class="sold" d="{bars}"/>'
        f'<polyline class="advised" points="{points}"/>{"".join(texts)}</svg>'
    )


def draw_outcome(name: str, product: Record, f: Formatter) -> Markup:
    """Return the expected units of past advised days as a band, and those sold as dots; empty without such days."""
    record = product["track_record"] or {"days": ()}
    tested = [(day["date"], day["units"]) for day in record["days"] if day["units"]][-MOST_DAYS:]
    if not tested:
        return Markup()
    days = range(len(tested))
    low, high, sold, inside = ([units[name] for _, units in tested] for name in ("low", "high", "actual", "inside"))
    frame = svg.frame_of([0, len(tested)], [0.0, *low, *high, *sold])
    ticks = [(day + 0.5, f.day_of_month(tested[day][0])) for day in days[:: -(-len(tested) // 4)]]
    parts = [
        svg.axes(frame, ticks, translate(f.period).capitalize(), f),
        svg.band(frame, svg.steps(days), svg.twice(low), svg.twice(high)),
        *(
            svg.dots(
                frame,
                [day + 0.5 for day in days if inside[day] is hit],
                [sold[day] for day in days if inside[day] is hit],
                style,
            )
            for hit, style in ((True, "dots"), (False, "dots missed"))
        ),
    ]
    given = {"inside": sum(inside), "all": len(tested), "product": shown(product["product"])}
    return svg.chart(name, f.say("Expected and sold units of {product}", given), f.say(OUTCOME, given), parts)
