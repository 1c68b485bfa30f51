"""Reading of a price test in a fresh history: its pairs of blocks, lost days, and effects on other products."""

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
    """Recorded price, money; None without recorded sales."""


class Interference(NamedTuple):
    """Effect of the test price on the sales of the file's other products, money per row."""

    own: float
    """Effect on the sales of the tested product."""
    others: float
    """Effect on the sum of all others, with its 95 % limits."""
    low: float
    high: float
    opposite: tuple[str, ...]
    """Products whose sales moved the other way."""

    @property
    def bound(self) -> float:
        """Largest bias of a test of one product alone, as a share of its effect on sales; 0 if others move alike.

        What buyers take elsewhere in the same file counts as an effect of the price in such a test, up to all of it
        (Roemheld and Rao 2024, arXiv 2402.14538), and more with dearer substitutes, so that even the sign may be wrong
        (Dhaouadi, Johari, Page and Weintraub 2023, arXiv 2310.17165).
        """
        away = -self.low if self.own > 0 else self.high
        return max(0.0, away) / abs(self.own) if self.own and np.isfinite(away) else 0.0


class Reading(NamedTuple):
    """Reading of a test at some day."""

    question: InterimAnalysis
    """Outcome that the test compares."""
    units: InterimAnalysis
    profit: InterimAnalysis | None
    """None if costs are unknown."""
    lost: tuple[LostDay, ...]
    passed: int
    """Scheduled days in the file."""
    last_day: str
    """Last of them in ISO format; empty if none."""
    carry_over: tuple[float, float] | None
    """Difference of the effect on units on the first day that counts minus later ones, and its p-value."""
    interference: Interference | None
    """None without other products, or without a complete pair."""


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

    def differences(
        self, values: FloatArray, worth: Sequence[float] = (1.0, 1.0), first: bool | None = None
    ) -> FloatArray:
        """Return the difference of each complete pair in ``values``, one per row of the history, test minus regular.

        ``worth`` is what a value counts at the regular and at the test price. Only the ``first`` row that a block
        keeps counts, or only the others; all of them if absent.
        """
        kept = np.array(self.counts)
        if first is not None:
            washout = int(np.argmax(kept.any(axis=0)))
            kept[:, :washout] = False
            kept[:, washout + 1 :] &= not first
            kept[:, washout] &= first
        means = np.ma.array(values[self.place], mask=~kept).mean(axis=1).filled(np.nan)
        valued = means * np.where(self.arms == TEST, worth[1], worth[0])
        return np.asarray(analysis.pair_differences(valued, self.arms)[self.complete])


def read_test(test: Mapping[str, Any], products: Sequence[ProductHistory], product: int) -> Reading:
    """Read a test, its order as the plan or the log holds it, in a fresh history of all products of the file."""
    history = products[product]
    design = design_of(test)
    pairs = design.pairs
    blocks, lost = _match(test, history)
    passed = int((blocks.place >= 0).sum())
    ended = passed == len(test["schedule"])

    def analysed(worth: Sequence[float], scale: float) -> InterimAnalysis:
        found = blocks.differences(history.units, worth)
        return analysis.analyse_pairs(found, pairs, scale, np.random.default_rng(test["seed"]), ended)

    in_units = test["scale"] / float(np.mean(np.abs(test["values"])))
    profits = test["profits"]
    early = blocks.differences(history.units, first=True)
    late = blocks.differences(history.units, first=False)
    both = np.isfinite(early) & np.isfinite(late)
    generator = np.random.default_rng(test["seed"])
    return Reading(
        question=analysed(test["values"], test["scale"]),
        units=analysed((1.0, 1.0), in_units),
        profit=None if profits is None else analysed(profits, in_units * float(np.mean(np.abs(profits)))),
        lost=tuple(lost),
        passed=passed,
        last_day=test["schedule"][passed - 1]["date"] if passed else "",
        carry_over=analysis.check_carry_over(early[both], late[both], generator) if both.any() else None,
        interference=_interference(blocks, products, product, test["seed"]),
    )


def _match(test: Mapping[str, Any], history: ProductHistory) -> tuple[_Blocks, list[LostDay]]:
    """Find the rows of a schedule in a history; days at another price or without recorded sales are lost."""
    design = design_of(test)
    row_of = {str(day): row for row, day in enumerate(history.dates)}
    known = history.observed if history.in_stock is None else history.observed & history.in_stock
    rows = [row_of.get(day["date"], -1) for day in test["schedule"]]
    counts = list[bool]()
    lost = list[LostDay]()
    for row, day in zip(rows, test["schedule"], strict=True):
        due = row >= 0 and not day["washout"]
        good = due and bool(known[row]) and same_price(history.price[row], day["price"])
        if due and not good:
            lost.append(LostDay(day["date"], float(history.price[row]) if known[row] else None))
        counts.append(good)
    kept = np.array(counts).reshape(-1, design.block)
    place = np.array(rows).reshape(kept.shape)
    enough = (place[:, -1] >= 0) & (kept.sum(axis=1) >= FEWEST_SHARE * design.kept)
    arms = np.array([ARMS.index(day["arm"]) for day in test["schedule"][:: design.block]])
    return _Blocks(place, kept, arms, enough.reshape(-1, 2).all(axis=1)), lost


def _interference(blocks: _Blocks, products: Sequence[ProductHistory], product: int, seed: int) -> Interference | None:
    """Return the effect of the test price on the other products of the file, on the same days."""
    if len(products) < 2 or not blocks.complete.any():
        return None
    tested = products[product]
    own = float(blocks.differences(tested.sales).mean())
    total = np.zeros(len(tested.dates))
    opposite = []
    for other in products:
        if other.product != tested.product:
            row = np.minimum(np.searchsorted(other.dates, tested.dates), len(other.dates) - 1)
            sales = np.where(other.dates[row] == tested.dates, other.sales[row], 0.0)
            total += sales
            if float(blocks.differences(sales).mean()) * own < 0:
                opposite.append(other.product)
    found = blocks.differences(total)
    low, high = analysis.randomisation_limits(found, analysis.list_turns(len(found), np.random.default_rng(seed)), 0.05)
    return Interference(own, float(found.mean()), low, high, tuple(opposite))
