"""Price grid: the prices of a ladder, those with charm endings, or every multiple of the price step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Number = TypeVar("Number", float, "Tensor")

WHOLE = 1e-6
"""Tolerance for a whole number, in price steps: 9.99 / 0.01 is 998.9999999999999."""

ROUNDING_SLACK = 1e-4
"""Tolerance of a limit, as a share of the price step."""

FLOAT32_SLACK = 2.5e-7
"""The same as a share of the price, two float32 roundings: 49.99 is stored as 49.990002 and must count as 49.99."""


class PriceMenu(NamedTuple):
    """Allowed prices in price steps: ``points + k * period`` for every whole ``k``, or the points of a ladder (0)."""

    points: tuple[int, ...]
    """Ascending."""
    period: int

    def above(self, low: float) -> float:
        """Return the first allowed price at or above ``low``, in price steps; infinite if a ladder has none."""
        if not self.period:
            return min((point for point in self.points if point >= low), default=math.inf)
        if math.isinf(low):
            return low
        return min(point + self.period * math.ceil((low - point) / self.period) for point in self.points)

    def below(self, high: float) -> float:
        """Return the last allowed price at or below ``high``, in price steps; minus infinity if a ladder has none."""
        mirrored = PriceMenu(tuple(-point for point in self.points), self.period)
        return -mirrored.above(-high)


EVERY_STEP = PriceMenu((0,), 1)


def ladder_menu(prices: tuple[float, ...], price_step: float) -> PriceMenu:
    """Return the menu of an explicit list of prices, in money, each a whole multiple of ``price_step``."""
    return PriceMenu(tuple(sorted({round(price / price_step) for price in prices})), 0)


def endings_menu(endings: tuple[float, ...], price_step: float) -> PriceMenu:
    """Return the menu of prices that end in one of ``endings``, in money, each a whole multiple of ``price_step``."""
    return ladder_menu(endings, price_step)._replace(period=round(ending_period(endings) / price_step))


def ending_period(endings: tuple[float, ...]) -> float:
    """Return the amount after which endings repeat: the smallest of 1, 10, 100, ... above the largest ending."""
    period = 1.0
    while period <= max(endings):
        period *= 10
    return period


def is_multiple(price: float, price_step: float) -> bool:
    """Return whether a price is a whole number of price steps."""
    steps = price / price_step
    return abs(steps - round(steps)) <= WHOLE * max(1.0, steps)


def steps_per_unit(price_step: float) -> int | None:
    """Return the price steps per unit of money if that is a whole number; dividing by it rounds correctly."""
    per_unit = round(1 / price_step)
    return per_unit if per_unit and abs(per_unit * price_step - 1) < 1e-9 else None


def in_steps(price: Number, price_step: float) -> Number:
    """Return a price, in money, in price steps."""
    per_unit = steps_per_unit(price_step)
    return price / price_step if per_unit is None else price * per_unit


def from_steps(steps: Number, price_step: float) -> Number:
    """Return the price of a whole number of steps; 1200 cents are exactly 12.00 as read from a file."""
    per_unit = steps_per_unit(price_step)
    return steps * price_step if per_unit is None else steps / per_unit


def slack(price: Number, price_step: float) -> Number:
    """Return the tolerance of a limit at a price, in money; it is finer than in `same_price`, so that limits hold."""
    return FLOAT32_SLACK * price + ROUNDING_SLACK * price_step


RECORDED = 5e-4
"""Largest difference that rounding in records and files explains: half a thousandth of the unit of money. This and the
next limit on it are far below the smallest change of a price."""
OF_PRICE = 1e-3
"""Largest such difference as a share of the price."""


def same_price(price: float, other: float) -> bool:
    """Return whether two prices, in money, differ only by the rounding of single precision, records and files."""
    return abs(price - other) <= FLOAT32_SLACK * abs(other) + min(RECORDED, OF_PRICE * abs(other))


def is_outside(price: float, low: float, high: float) -> bool:
    """Return whether a price, in money, lies outside an interval, by more than rounding explains."""
    return not low <= price <= high and not same_price(price, min(max(price, low), high))
