"""Limits in force on one product's price, as reports state them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LimitsInForce:
    """Limits on one product's next price, and on every later change."""

    lowest: float
    """Lowest next price, money; the current price if the limits leave none."""
    lowest_rule: str
    """Setting that determines it."""
    highest: float
    """Highest next price, money."""
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
    """Nearest price inside the hard limits, money, if it is more than one step away from the current price."""
