"""Limits in force on one product's price, as reports state them, and the hard ones, which no order can break."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pricerl.guardrails.price_grid import from_steps, in_steps, slack


@dataclass(frozen=True)
class LimitsInForce:
    """Limits on one product's next price, and on every later change."""

    lowest: float
    """Lowest next price, in money; the current price if the limits leave none."""
    lowest_rule: str
    """Setting that determines it."""
    highest: float
    """Highest next price, in money."""
    highest_rule: str
    """Setting that determines it."""
    conflict: str
    """The two conflicting rules; empty if there is no conflict."""
    beyond: tuple[str, ...]
    """Settings whose limits the current price exceeds; it may stay there or move inward."""
    max_rise: float | None
    """Share of the price at one decision, 0 if prices never rise; None for absolute actions, as the next two."""
    max_drop: float | None
    """Share of the price at one decision."""
    max_week_change: float | None
    """Share of the price 7 days before."""
    min_hold_days: int
    """Days for which each price must stay."""
    paused: bool
    """Whether the seller keeps the price as it is."""
    walks_to: float | None = None
    """Nearest price inside the hard limits, in money, if it is more than one step away from the current price."""


@dataclass(frozen=True)
class HardLimits:
    """Hard limits on a price, in money, which no order can break."""

    floor: float
    """Largest of ``guardrails.floor``, the price that leaves the minimum margin, and one price step."""
    ceiling: float | None
    price_step: float


def refuse_price(price: float, limits: HardLimits, what: str = "override") -> str:
    """Describe the hard limit that a price of an order (``what``), in money, breaks; empty if it breaks none."""
    step = limits.price_step
    ceiling = math.inf if limits.ceiling is None else limits.ceiling
    tolerance = slack(price, step)
    off = abs(price - from_steps(round(in_steps(price, step)), step))
    faults = {
        f"below the floor of {limits.floor:g} (floor, minimum margin or price step)": price < limits.floor - tolerance,
        f"above the ceiling of {ceiling:g} (guardrails.ceiling)": price > ceiling + tolerance,
        f"not a multiple of the price step of {step:g}": what in ("override", "price") and off > tolerance,
    }
    return next((f"the {what} of {price:g} is {fault}" for fault, is_so in faults.items() if is_so), "")


def name_limit(setting: str) -> str:
    """Return the setting of a limit in a seller's words, such as largest change."""
    words = {"support_margin": "the edge of the prices you tried", "min_hold_days": "shortest hold"}
    return words.get(setting, setting.replace("max_", "largest ").replace("min_", "smallest ").replace("_", " "))
