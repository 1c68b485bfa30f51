"""Reading of a price test in a fresh history: its pairs of blocks, and lost days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, IntArray
from pricerl.data.history import ProductHistory
from pricerl.experiments.analysis import InterimAnalysis, analyse_pairs, pair_differences
from pricerl.experiments.schedule import ARMS, design_of
from pricerl.guardrails.price_grid import same_price

FEWEST_SHARE = 0.5
"""Smallest share of a block's days that must be left for the block to count."""


class LostDay(NamedTuple):
    """Day that should have counted but does not."""

    date: str
    price: float | None
    """Recorded price in money; absent without recorded sales."""


class Reading(NamedTuple):
    """Reading of a test at some day."""

    question: InterimAnalysis
    """Outcome that the test compares."""
    units: InterimAnalysis
    profit: InterimAnalysis | None
    """Absent where costs are unknown."""
    lost: tuple[LostDay, ...]
    passed: int
    """Scheduled days in the file."""
    last_day: str
    """Last of them in ISO format; empty if none."""


def known_days(history: ProductHistory) -> BoolArray:
    """Return the days ``(D,)`` with recorded sales on which the product was not sold out."""
    return history.observed if history.in_stock is None else history.observed & history.in_stock


def read_test(test: Mapping[str, Any], history: ProductHistory) -> Reading:
    """Read a test, its order as the plan or the log holds it, in a fresh history of its product."""
    design = design_of(test)
    place, counts, lost = _match(test, history, design.block)
    passed = int((place >= 0).sum())
    ended = passed == len(test["schedule"])
    enough = (place[:, -1] >= 0) & (counts.sum(axis=1) >= FEWEST_SHARE * design.kept)
    complete = enough.reshape(-1, 2).all(axis=1)
    arms = np.array([ARMS.index(day["arm"]) for day in test["schedule"][:: design.block]])
    means = np.ma.array(history.units[place], mask=~counts).mean(axis=1).filled(np.nan)

    def analysed(worth: Sequence[float], scale: float) -> InterimAnalysis:
        """Analyse the complete pairs, of whose units each counts as ``worth`` says for the regular and test price."""
        differences = pair_differences(means * np.array(worth)[arms], arms)[complete]
        return analyse_pairs(differences, design.pairs, scale, np.random.default_rng(test["seed"]), ended)

    in_units = test["scale"] / float(np.mean(np.abs(test["values"])))
    profits = test["profits"]
    return Reading(
        question=analysed(test["values"], test["scale"]),
        units=analysed((1.0, 1.0), in_units),
        profit=None if profits is None else analysed(profits, in_units * float(np.mean(np.abs(profits)))),
        lost=tuple(lost),
        passed=passed,
        last_day=test["schedule"][passed - 1]["date"] if passed else "",
    )


def _match(test: Mapping[str, Any], history: ProductHistory, block: int) -> tuple[IntArray, BoolArray, list[LostDay]]:
    """Find the rows of a schedule in a history; days at another price or without recorded sales are lost.

    Returns:
        Row of the history of each scheduled day ``(2 n, block)``, -1 where it has none; whether the day counts; and
        the lost days.
    """
    row_of = {str(day): row for row, day in enumerate(history.dates)}
    known = known_days(history)
    days = [(row_of.get(day["date"], -1), day) for day in test["schedule"]]
    good = [known[row] and same_price(history.price[row], day["price"]) for row, day in days]
    due = [row >= 0 and not day["washout"] for row, day in days]
    lost = [
        LostDay(day["date"], float(history.price[row]) if known[row] else None)
        for (row, day), counts, is_due in zip(days, good, due, strict=True)
        if is_due and not counts
    ]
    place, kept = (np.array(found).reshape(-1, block) for found in ([row for row, _ in days], np.array(good) & due))
    return place, kept, lost
