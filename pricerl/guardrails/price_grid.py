"""Which prices may be charged at all: those of a ladder, with charm endings, or every multiple of the price step."""

from __future__ import annotations

import math
from typing import NamedTuple

WHOLE = 1e-6
"""Price steps; this far from a whole number still counts as one: 9.99 / 0.01 is 998.9999999999999."""

ROUNDING_SLACK = 1e-4
"""A price this share of a price step outside a limit counts as on it."""

FLOAT32_SLACK = 2.5e-7
"""The same as a share of the price, two float32 roundings: 49.99 is stored as 49.990002 and must count as 49.99."""


class PriceMenu(NamedTuple):
    """Allowed prices as whole numbers of price steps: ``points + k * period`` for every whole ``k``.

    A ladder has period 0, so its points are all there is; endings repeat, .99 once in every unit of money.
    """

    points: tuple[int, ...]
    """Ascending."""
    period: int

    def at_or_above(self, steps: float) -> float:
        """The lowest allowed price not below ``steps``, in price steps; infinite where there is none."""
        return min((point for point in self._around(steps) if point >= steps), default=math.inf)

    def at_or_below(self, steps: float) -> float:
        """The highest allowed price not above ``steps``, in price steps; minus infinity where there is none."""
        return max((point for point in self._around(steps) if point <= steps), default=-math.inf)

    def nearest(self, steps: float) -> float:
        """The allowed price nearest to ``steps``, in price steps; of two equally near ones the lower."""
        below, above = self.at_or_below(steps), self.at_or_above(steps)
        return below if steps - below <= above - steps else above

    def _around(self, steps: float) -> list[int]:
        """Every allowed price within a period of ``steps``."""
        if not self.period or math.isinf(steps):
            return [point for point in self.points if not self.period]
        cycle = math.floor(steps / self.period)
        return [point + self.period * (cycle + shift) for shift in (-1, 0, 1) for point in self.points]


EVERY_STEP = PriceMenu((0,), 1)


def ladder_menu(prices: tuple[float, ...], price_step: float) -> PriceMenu:
    """The menu of an explicit list of prices, money, each a whole multiple of ``price_step``."""
    return PriceMenu(_whole_steps(prices, price_step), 0)


def endings_menu(endings: tuple[float, ...], price_step: float) -> PriceMenu:
    """The menu of prices that end in one of ``endings``, money, each a whole multiple of ``price_step``."""
    return PriceMenu(_whole_steps(endings, price_step), round(ending_period(endings) / price_step))


def ending_period(endings: tuple[float, ...]) -> float:
    """After how much money endings repeat: the smallest 1, 10, 100, ... above the largest of them."""
    period = 1.0
    while period <= max(endings):
        period *= 10
    return period


def is_multiple(price: float, price_step: float) -> bool:
    """Whether a price is a whole number of price steps."""
    steps = price / price_step
    return abs(steps - round(steps)) <= WHOLE * max(1.0, steps)


def steps_per_unit(price_step: float) -> int | None:
    """Price steps in one unit of money where that is a whole number: dividing by it rounds correctly."""
    per_unit = round(1 / price_step)
    return per_unit if per_unit and abs(per_unit * price_step - 1) < 1e-9 else None


def _whole_steps(prices: tuple[float, ...], price_step: float) -> tuple[int, ...]:
    return tuple(sorted({round(price / price_step) for price in prices}))
