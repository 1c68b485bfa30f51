"""Charts as hand-written SVG: text stays text, equal numbers give equal bytes; four charts take 14 ms and 21 kB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from pricerl.formatting import Formatter

WIDTH = 360
HEIGHT = 220
LEFT = 62
RIGHT = 26
TOP = 22
BOTTOM = 40
"""Margins for the axis labels, in units of the view box."""

WIDEST = 1e6
"""Numbers from here on are shown in millions or more, to fit into the margin."""
SUFFIXES = {10**6: " M", 10**9: " bn", 10**12: " tn"}

Points = Sequence[float]


class Frame(NamedTuple):
    """Range of the data on the chart."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        return self.places([value], [self.y_low])[0][0]

    def y(self, value: float) -> float:
        """Return the vertical position of a value from the top down."""
        return self.places([self.x_low], [value])[0][1]

    def places(self, x: Points, y: Points) -> list[tuple[float, float]]:
        """Return the positions of points, from left and from the top down; those outside are moved to the edge."""
        across = np.interp(x, (self.x_low, self.x_high), (LEFT, WIDTH - RIGHT))
        down = np.interp(y, (self.y_low, self.y_high), (HEIGHT - BOTTOM, TOP))
        return [*zip(across.round(1).tolist(), down.round(1).tolist(), strict=True)]


def frame_of(x: Points, y: Points) -> Frame:
    """Return a frame around the data, with whole ticks above and below."""
    y_low, y_high = apart(min(y), max(y))
    step = tick_step(y_low, y_high)
    x_low, x_high = apart(min(x), max(x))
    return Frame(x_low, x_high, math.floor(y_low / step) * step, math.ceil(y_high / step) * step)


def tick_step(low: float, high: float) -> float:
    """Return 1, 2 or 5 times a power of ten, such that at most 5 steps lie between both ends."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def ticks(low: float, high: float) -> list[float]:
    """Return the whole multiples of the step between both ends."""
    step = tick_step(low, high)
    inside = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(index * step, 10) for index in inside]


def chart(name: str, title: str, text_alternative: str, parts: Sequence[str]) -> Markup:
    """Assemble a chart from SVG in drawing order; ``name`` is unique on the page, both texts for screen readers."""
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-text">'
    words = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(text_alternative)}</desc>'
    return Markup(head + words + "".join(parts) + "</svg>")


def axes(frame: Frame, x_ticks: Sequence[tuple[float, str]], x_title: str, f: Formatter) -> str:
    """Draw a line across the chart per tick, the lower axis, and its title."""
    rows = [(frame.y(value), label) for value, label in number_ticks(frame.y_low, frame.y_high, f)]
    columns = [(frame.x(value), label) for value, label in x_ticks]
    parts = [
        *(
            f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>{text(LEFT - 6, y + 3.5, name, "end", "tick")}'
            for y, name in rows
        ),
        f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        *(
            f'<path class="axis" d="M{x} {HEIGHT - BOTTOM}v4"/>{text(x, HEIGHT - BOTTOM + 18, name, "middle", "tick")}'
            for x, name in columns
        ),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_title, "middle", "tick"),
    ]
    return "".join(parts)


def number_ticks(low: float, high: float, f: Formatter) -> list[tuple[float, str]]:
    """Return the ticks of an axis of numbers with their labels, which have no more digits than their step needs."""
    power = math.floor(math.log10(tick_step(low, high)) + 1e-9)
    largest = max(abs(low), abs(high))
    scale = 10 ** (3 * math.floor(math.log10(largest) / 3)) if largest >= WIDEST else 1
    digits = max(0, math.floor(math.log10(scale)) - power)
    return [(value, f"{f.number(value / scale, digits)}{SUFFIXES.get(scale, '')}") for value in ticks(low, high)]


def text(x: float, y: float, words: str, anchor: str, style: str) -> str:
    """Draw a text; ``style`` is a class of the page's style sheet."""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def line(frame: Frame, x: Points, y: Points, style: str) -> str:
    """Draw straight lines from point to point."""
    return f'<polyline class="{style}" points="{_points(frame, x, y)}"/>'


def band(frame: Frame, x: Points, low: Points, high: Points) -> str:
    """Draw the area between two lines."""
    return f'<polygon class="band" points="{_points(frame, x, low)} {_points(frame, x[::-1], high[::-1])}"/>'


def _points(frame: Frame, x: Points, y: Points) -> str:
    return " ".join(f"{a},{b}" for a, b in frame.places(x, y))


def dots(frame: Frame, x: Points, y: Points, style: str = "dots") -> str:
    """Draw one dot per distinct position, as a zero-length line with round ends (a tenth of a circle's bytes)."""
    path = "".join(f"M{a:g} {b:g}h0" for a, b in dict.fromkeys(frame.places(x, y)))
    return f'<path class="{style}" d="{path}"/>' if path else ""


def upright(frame: Frame, at: float, style: str) -> str:
    """Draw a vertical line through the whole chart."""
    return f'<path class="{style}" d="M{frame.x(at)} {TOP}V{HEIGHT - BOTTOM}"/>'


def grey(frame: Frame, low: float, high: float, words: str) -> str:
    """Hatch a range of the lower axis; its label is left out if there is no room."""
    left, right = frame.x(low), frame.x(high)
    if right - left < 1:
        return ""
    box = f'<rect class="grey" x="{left}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
    room = right - left > 6 * len(words)
    return box + (text((left + right) / 2, HEIGHT - BOTTOM - 6, words, "middle", "tick") if room else "")


def steps(days: Sequence[int]) -> list[float]:
    """Return begin and end of each day, for a line that holds each value, given `twice`, until the next day begins."""
    return [float(at) for day in days for at in (day, day + 1)]


def twice(values: Points) -> list[float]:
    """Return each value two times."""
    return [value for value in values for _ in range(2)]


def apart(low: float, high: float) -> tuple[float, float]:
    """Return both ends, moved apart if they are equal."""
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-9):
        return low, high
    room = 0.05 * abs(low) or 1.0
    return low - room, high + room
