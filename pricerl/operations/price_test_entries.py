"""Entries of price tests in the decision log."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from pricerl.operations.entry_parts import Count, Hash, LogEntry, Money, Part


class ScheduledDay(Part):
    """Row of a price test's schedule."""

    date: date
    block: Annotated[int, msgspec.Meta(ge=1)]
    arm: Literal["regular", "test"]
    price: Money
    """Price to charge, on its way to that of the arm at the beginning of a block."""
    washout: bool
    """Whether the day does not count."""


class PriceTestEntry(LogEntry, tag="price_test", kw_only=True):
    """Start of a price test: its schedule as an order of one price per day, and how it will be analysed."""

    product: str
    first_day: date
    until: date
    question: Literal["profit", "sales", "units"]
    regular_price: Money
    test_price: Money
    propensity: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """Probability with which a block has the test price."""
    seed: Count
    """Seed of the random order of the blocks."""
    schedule: Annotated[list[ScheduledDay], msgspec.Meta(min_length=1)]
    schedule_hash: Hash
    """sha256 of the schedule's CSV."""
    values: tuple[float, float]
    """Worth of a unit at the regular and at the test price: its profit or its price, money, or 1."""
    profits: tuple[float, float] | None
    """Profit per unit at the two prices, money; None if costs are unknown."""
    scale: Money
    """Planned sd of the difference within a pair of blocks."""
    effect: float
    """Difference per row that the test is planned for."""
    power: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Probability with which it finds that effect."""
    cost: Annotated[float, msgspec.Meta(ge=0)]
    """Cost of the whole test, money, exceeded in one of 20 plausible scenarios."""
    expected_cost: float
    forced: bool = False
    """Whether the person confirmed prices far from the current one, or outside the prices tried."""


class PriceTestResultEntry(LogEntry, tag="price_test_result", kw_only=True):
    """Result of a price test that has ended, by its stop rule."""

    product: str
    test: Count
    """Number of the test."""
    verdict: Literal["higher", "lower", "undecided"]
    """Whether the outcome is higher or lower at the test price."""
    question: Literal["profit", "sales", "units"]
    regular_price: Money
    test_price: Money
    last_day: date
    """Last day that counts."""
    pairs: Count
    """Pairs of blocks that count."""
    estimate: float
    """Outcome per row at the test price minus that at the regular one."""
    limits: tuple[float | None, float | None]
    """95 % limits, valid at every look; None if infinite."""
    p_value: Annotated[float, msgspec.Meta(ge=0, le=1)]
    lost: list[date]
    """Days that should have counted but had another price, or no recorded sales."""
