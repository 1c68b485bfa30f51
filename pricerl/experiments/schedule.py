"""Schedule of a switchback price test: pairs of blocks, one at each of two prices, in random order; and its files.

One product has one price at a time, so a test compares times, not customers (Bojinov, Simchi-Levi and Zhao 2023,
"Design and analysis of switchback experiments"). Pairs of neighbouring blocks cancel slow changes of demand.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from pricerl.arrays import IntArray
from pricerl.entry_parts import Count, Hash, LogEntry, Money, Part
from pricerl.errors import UsageError, refuse
from pricerl.formatting import csv_text
from pricerl.writing import write_text

TEST = 1
"""Arm of the test price; 0 is the arm of the regular price."""
ARMS = ("regular", "test")

PROPENSITY = 0.5
"""Probability with which a block has the test price: each pair is put in order by the toss of a coin."""
PLAN = "price_test.json"
"""Plan that ``price-test plan`` writes and ``price-test start`` reads; further ones have a number."""
SCHEDULE = "price_test.csv"
"""Its schedule."""
FORMAT = 2
"""Format of the plan."""
Question = Literal["profit", "sales", "units"]
"""Outcome that a test compares at the two prices; units in tests of older versions only."""


class ScheduledDay(Part):
    """Row of a price test's schedule."""

    date: date
    block: Annotated[int, msgspec.Meta(ge=1)]
    arm: Literal["regular", "test"]
    price: Money
    """Price to charge, on its way to the arm's price at the beginning of a block."""
    washout: bool
    """Whether the day does not count."""


class StopTerms(Part):
    """Terms of the stop rule on money that ended tests of older versions."""

    spread: Money
    loss: Money
    year: Annotated[int, msgspec.Meta(ge=1)]


class PriceTestEntry(LogEntry, tag="price_test", kw_only=True):
    """Start of a price test: its schedule as an order of one price per day, and how it will be analysed."""

    product: str
    first_day: date
    until: date
    question: Question
    regular_price: Money
    test_price: Money
    propensity: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    seed: Count
    """Seed of the random order of the blocks."""
    schedule: Annotated[list[ScheduledDay], msgspec.Meta(min_length=1)]
    schedule_hash: Hash
    """sha256 of the schedule's CSV."""
    values: tuple[float, float]
    """Worth of a unit at the regular and at the test price: its profit or its price in money, or 1."""
    profits: tuple[float, float] | None
    """Profit per unit at the two prices, in money; absent where costs are unknown."""
    scale: Money
    """Planned sd of the difference within a pair of blocks."""
    effect: float
    """Expected difference per row; in tests without ``stop`` the one that is found with the probability ``power``."""
    power: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """Probability that another price is advised after the test than without it."""
    cost: Annotated[float, msgspec.Meta(ge=0)]
    """Cost of the whole test in money, exceeded in one of 20 plausible scenarios."""
    expected_cost: float
    against: Money | None = None
    """Price of the regular arm in money, in tests of older versions that was not the regular price."""
    consent: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """Consent to prices up to this far from the regular one, as a share: ``guardrails.test_change``."""
    stop: StopTerms | None = None
    """In tests of older versions."""
    forced: bool = False
    """Whether the person confirmed prices far from the current one, or outside the prices tried."""


@dataclass(frozen=True)
class Switchback:
    """Blocks of equal length, in pairs."""

    pairs: int
    block: int
    """Rows (days, or weeks) of a block."""
    washout: int
    """Rows at the beginning of a block that do not count: the price is on its way, or buyers remember the last one."""

    @property
    def kept(self) -> int:
        """Rows of a block that count."""
        return self.block - self.washout

    @property
    def rows(self) -> int:
        """Rows of the whole test."""
        return 2 * self.pairs * self.block


def arm_prices(order: Mapping[str, Any]) -> tuple[float, float]:
    """Return the prices of the regular and of the test arm, in money."""
    return order.get("against") or order["regular_price"], order["test_price"]


def design_of(order: Mapping[str, Any]) -> Switchback:
    """Return the design of a planned or a started test."""
    first = [row for row in order["schedule"] if row["block"] == 1]
    return Switchback(order["schedule"][-1]["block"] // 2, len(first), sum(row["washout"] for row in first))


def draw_arms(pairs: int, generator: np.random.Generator) -> IntArray:
    """Return the arm of each block, ``(2 * pairs,)``: in each pair one of either, in random order."""
    first = generator.integers(0, 2, size=pairs)
    return np.stack([first, 1 - first], axis=1).ravel().astype(np.int64)


def lay_out(
    design: Switchback, seed: int, first_day: date, step_days: int, prices: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return the rows of a schedule whose order ``seed`` draws, each at the regular or the test price, in money."""
    arms = draw_arms(design.pairs, np.random.default_rng(seed)).repeat(design.block).tolist()
    return [
        {
            "date": (first_day + timedelta(days=row * step_days)).isoformat(),
            "block": row // design.block + 1,
            "arm": ARMS[arm],
            "price": prices[arm],
            "washout": row % design.block < design.washout,
        }
        for row, arm in enumerate(arms)
    ]


def render_schedule(schedule: Iterable[Mapping[str, Any]]) -> str:
    """Return a schedule as CSV."""
    rows = ([row["date"], row["block"], row["arm"], f"{row['price']:.10g}", int(row["washout"])] for row in schedule)
    return csv_text([["Date", "Block", "Arm", "Price", "Washout"], *rows])


def hash_schedule(schedule: Iterable[Mapping[str, Any]]) -> str:
    """Return the sha256 of a schedule's CSV."""
    return hashlib.sha256(render_schedule(schedule).encode()).hexdigest()


def render_plan(order: Mapping[str, Any], promised: Mapping[str, Any]) -> str:
    """Return the plan of a test as JSON: its order, the numbers that were promised, and a hash of both."""
    content = {"format": FORMAT, "order": order, "test": promised}
    own = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "hash": own}, indent=1, allow_nan=False) + "\n"


def plan_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Return plan and schedule of one of the planned tests in a run's folder, the first of which has no number."""
    end = f"_{number}." if number > 1 else "."
    return folder / PLAN.replace(".", end), folder / SCHEDULE.replace(".", end)


def write_plans(folder: Path, plans: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Write the planned tests, each its order and the numbers that were promised, in place of earlier ones."""
    for old in itertools.chain.from_iterable(folder.glob(name.replace(".", "*.")) for name in (PLAN, SCHEDULE)):
        old.unlink()
    for number, (order, promised) in enumerate(plans, start=1):
        plan, schedule = plan_files(folder, number)
        write_text(schedule, render_schedule(order["schedule"]))
        write_text(plan, render_plan(order, promised))


def read_plans(folder: Path) -> list[dict[str, Any]]:
    """Return the orders of the plans in a run's folder; one that is missing or changed is refused."""
    more = itertools.takewhile(lambda files: files[0].exists(), map(partial(plan_files, folder), itertools.count(2)))
    return list(itertools.starmap(read_plan, [plan_files(folder, 1), *more]))


def read_plan(plan: Path, schedule: Path) -> dict[str, Any]:
    """Return the order of a plan; a plan or schedule that is missing or changed is refused."""
    try:
        text = plan.read_text(encoding="utf-8")
        document = json.loads(text)
        order: dict[str, Any] = document["order"]
        unchanged = text == render_plan(order, document["test"])
        unchanged &= hashlib.sha256(schedule.read_bytes()).hexdigest() == order["schedule_hash"]
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is missing; plan the test first: price-test plan") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        unchanged = False
    refuse(
        {
            f"{plan} is no plan of this version, or it or {schedule.name} was changed; make it again with price-test "
            "plan": not unchanged
        }
    )
    return order
