"""Reading of a price test in a fresh history: its pairs of blocks, and lost days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.history import ProductHistory
from pricerl.experiments import analysis
from pricerl.experiments.analysis import InterimAnalysis
from pricerl.experiments.schedule import ARMS, TEST, design_of
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


@dataclass(frozen=True)
class _Blocks:
    """Rows of a test in one history, ``(2 n, block)``."""

    place: IntArray
    """Row of the history; -1 where it has none."""
    counts: BoolArray
    """Whether the row counts."""
    arms: IntArray
    """``(2 n,)`` arm of each block."""
    complete: BoolArray
    """``(n,)`` whether both blocks of a pair have passed and enough of their rows count."""

    def differences(self, units: FloatArray, worth: Sequence[float]) -> FloatArray:
        """Return the difference of each complete pair in ``units``, one per row of the history, test minus regular.

        ``worth`` is what a unit counts at the regular and at the test price.
        """
        means = np.ma.array(units[self.place], mask=~self.counts).mean(axis=1).filled(np.nan)
        valued = means * np.where(self.arms == TEST, worth[1], worth[0])
        return np.asarray(analysis.pair_differences(valued, self.arms)[self.complete])


def known_days(history: ProductHistory) -> BoolArray:
    """Return the days ``(D,)`` with recorded sales on which the product was not sold out."""
    return history.observed if history.in_stock is None else history.observed & history.in_stock


def read_test(test: Mapping[str, Any], history: ProductHistory) -> Reading:
    """Read a test, its order as the plan or the log holds it, in a fresh history of its product."""
    pairs = design_of(test).pairs
    blocks, lost = _match(test, history)
    passed = int((blocks.place >= 0).sum())
    ended = passed == len(test["schedule"])

    def analysed(worth: Sequence[float], scale: float) -> InterimAnalysis:
        found = blocks.differences(history.units, worth)
        return analysis.analyse_pairs(found, pairs, scale, np.random.default_rng(test["seed"]), ended)

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


def _match(test: Mapping[str, Any], history: ProductHistory) -> tuple[_Blocks, list[LostDay]]:
    """Find the rows of a schedule in a history; days at another price or without recorded sales are lost."""
    design = design_of(test)
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
    kept = (np.array(good) & due).reshape(-1, design.block)
    place = np.array([row for row, _ in days]).reshape(kept.shape)
    enough = (place[:, -1] >= 0) & (kept.sum(axis=1) >= FEWEST_SHARE * design.kept)
    arms = np.array([ARMS.index(day["arm"]) for day in test["schedule"][:: design.block]])
    return _Blocks(place, kept, arms, enough.reshape(-1, 2).all(axis=1)), lost
