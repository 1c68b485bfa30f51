"""Results of a price test: its pairs of blocks in a fresh history, judged by the stop rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data import ProductHistory
from pricerl.evaluation.price_tests.carry_over import carry_over_check
from pricerl.evaluation.price_tests.randomisation import list_turns, randomisation_limits
from pricerl.evaluation.price_tests.stop_verdict import Judgement, judge
from pricerl.evaluation.price_tests.switchback import TEST, pair_differences
from pricerl.guardrails.price_grid import same_price
from pricerl.operations.decision_log import Entry
from pricerl.operations.orders import ADVICE, OVERRIDE, PAUSE, RESUME
from pricerl.operations.price_test_records import ARMS, design_of

FEWEST_SHARE = 0.5
"""Smallest share of a block's days that must be left for the block to count."""

LEVEL = 0.05
"""Level of the interval of the effect on other products."""


class LostDay(NamedTuple):
    """Day that should have counted but does not."""

    date: str
    price: float | None
    """Recorded price, money; None without recorded sales."""
    why: str


class Interference(NamedTuple):
    """Effect of the test price on the sales of the file's other products, money per row."""

    own: float
    """Effect on the sales of the tested product."""
    others: float
    """Effect on the sum of all others."""
    low: float
    """Lower 95 % limit."""
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


@dataclass(frozen=True)
class Reading:
    """Reading of a test at some day."""

    question: Judgement
    """Outcome on which the stop rule decides."""
    units: Judgement
    profit: Judgement | None
    """None if costs are unknown."""
    lost: tuple[LostDay, ...]
    passed: int
    """Scheduled days in the file."""
    ended: bool
    """Whether all scheduled days have passed."""
    last_day: str
    """Last scheduled day in the file; empty before the first."""
    carry_over: tuple[float, float] | None
    """Difference of the effect on units on the first day that counts minus later ones, and its p-value."""
    interference: Interference | None
    """None without other products, or without a complete pair."""


@dataclass(frozen=True)
class _Blocks:
    """Rows of a test in one history, ``(2 n, block)`` each."""

    place: IntArray
    """Row of the history; -1 where it has none."""
    counts: BoolArray
    """Whether the row counts."""

    def means(self, values: FloatArray, first: bool | None = None) -> FloatArray:
        """Return the mean over the rows of each block that count, ``(2 n,)``; NaN without enough of them.

        ``first`` selects the first row that a block keeps, or the others.
        """
        kept = np.array(self.counts)
        if first is not None:
            washout = int(np.argmax(kept.any(axis=0)))
            kept[:, :washout] = False
            kept[:, washout + 1 :] &= not first
            kept[:, washout] &= first
        total = np.where(kept, values[self.place], 0.0).sum(axis=1)
        number = kept.sum(axis=1)
        return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def read_test(entry: Entry, products: Sequence[ProductHistory], product: int, entries: Sequence[Entry]) -> Reading:
    """Read a test in a fresh history.

    Args:
        entry: its start.
        products: all products of the file.
        product: index of the tested one.
        entries: entries of the log, for the reasons of lost days.
    """
    history, design = products[product], design_of(entry)
    blocks, lost, passed = _match(entry, history, entries, design.block)
    arms = np.array([ARMS.index(row["arm"]) for row in entry["schedule"][:: design.block]])
    enough = blocks.counts.sum(axis=1) >= FEWEST_SHARE * design.kept
    pairs = enough.reshape(-1, 2).all(axis=1)
    ended = passed == len(entry["schedule"])

    def differences(values: FloatArray, worth: Sequence[float] = (1.0, 1.0), first: bool | None = None) -> FloatArray:
        means = blocks.means(values, first) * np.where(arms == TEST, worth[1], worth[0])
        return np.asarray(pair_differences(means, arms)[pairs])

    def judged(worth: Sequence[float], scale: float) -> Judgement:
        found = differences(history.units, worth)
        return judge(found, design.pairs, scale, np.random.default_rng(entry["seed"]), ended)

    worth, profits = entry["values"], entry["profits"]
    in_units = entry["scale"] / float(np.mean(np.abs(worth)))
    question = judged(worth, entry["scale"])
    early, late = (differences(history.units, first=first) for first in (True, False))
    both = np.isfinite(early) & np.isfinite(late)
    generator = np.random.default_rng(entry["seed"])
    return Reading(
        question=question,
        units=judged((1.0, 1.0), in_units),
        profit=None if profits is None else judged(profits, in_units * float(np.mean(np.abs(profits)))),
        lost=tuple(lost),
        passed=passed,
        ended=ended,
        last_day=entry["schedule"][passed - 1]["date"] if passed else "",
        carry_over=carry_over_check(early[both], late[both], generator) if both.any() else None,
        interference=_interference(entry, products, product, differences) if pairs.any() else None,
    )


def _match(
    entry: Entry, history: ProductHistory, entries: Sequence[Entry], block: int
) -> tuple[_Blocks, list[LostDay], int]:
    """Find the rows of a schedule in a history; days at another price or without recorded sales are lost."""
    row_of = {str(day): row for row, day in enumerate(history.dates.astype("datetime64[D]"))}
    known = history.observed if history.in_stock is None else history.observed & history.in_stock
    place, counts, lost, passed = [], [], [], 0
    for day in entry["schedule"]:
        row = row_of.get(day["date"], -1)
        passed += row >= 0
        good = row >= 0 and not day["washout"]
        if good and not (known[row] and same_price(history.price[row], day["price"])):
            price = float(history.price[row]) if known[row] else None
            lost.append(LostDay(day["date"], price, _reason(day["date"], price, entry, entries)))
            good = False
        place.append(row)
        counts.append(good)
    return _Blocks(np.array(place).reshape(-1, block), np.array(counts).reshape(-1, block)), lost, passed


def _reason(day: str, price: float | None, test: Entry, entries: Sequence[Entry]) -> str:
    """Return why a day had another price than scheduled, as far as the log shows."""
    if price is None:
        return "no recorded sales, or out of stock"
    own = [item for item in entries if item.get("product") == test["product"] and item["id"] > test["id"]]
    ended = {item["ends"] for item in own if item["kind"] == RESUME}
    for item in reversed(own):
        orders = item["kind"] in (OVERRIDE, PAUSE) and day <= item["until"] and item["id"] not in ended
        if orders and item.get("price", price) == price:
            return f"{item['kind']} of entry {item['id']}"
    for item in reversed(own):
        rows = item["days"] if item["kind"] == ADVICE and not item.get("test") else ()
        if any(row["date"] == day and same_price(row["price"], price) for row in rows):
            return f"advice of entry {item['id']}, source {item['source']}"
    return "another price was charged"


def _interference(
    entry: Entry, products: Sequence[ProductHistory], product: int, differences: object
) -> Interference | None:
    """Return the effect of the test price on the other products of the file, on the same days."""
    assert callable(differences)
    tested = products[product]
    total, opposite = np.zeros(len(tested.dates)), []
    own = float(differences(tested.sales).mean())
    for other in products:
        if other.product != tested.product:
            row = np.searchsorted(other.dates, tested.dates)
            inside = (row < len(other.dates)) & (other.dates[np.minimum(row, len(other.dates) - 1)] == tested.dates)
            sales = np.where(inside, other.sales[np.minimum(row, len(other.dates) - 1)], 0.0)
            total += sales
            if float(differences(sales).mean()) * own < 0:
                opposite.append(other.product)
    if len(products) < 2:
        return None
    found = differences(total)
    low, high = randomisation_limits(found, list_turns(len(found), np.random.default_rng(entry["seed"])), LEVEL)
    return Interference(own, float(found.mean()), low, high, tuple(opposite))
