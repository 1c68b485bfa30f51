"""Records of price tests: schedule, its CSV and hash, the plan that ``start`` reads, and what a result measured."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pricerl.data.days import WEEK
from pricerl.decide.standing import MeasuredPair
from pricerl.errors import UsageError
from pricerl.evaluation.price_tests.switchback import PROPENSITY, TEST, Switchback, draw_arms
from pricerl.guardrails.price_grid import RECORDED, same_price
from pricerl.operations.decision_log import Entry, stamp
from pricerl.operations.entry_parts import FORMAT as ENTRY_FORMAT
from pricerl.operations.log_head import BEFORE_THE_FIRST
from pricerl.operations.orders import PRICE_TEST, TEST_RESULT
from pricerl.operations.price_test_entries import PriceTestEntry

if TYPE_CHECKING:
    from pricerl.advice.price_test import PlannedTest
    from pricerl.data import ProductHistory
    from pricerl.env import Product

PLAN, SCHEDULE = "price_test.json", "price_test.csv"
"""Plan and schedule that ``price-test plan`` writes and ``price-test start`` reads."""

COLUMNS = ("Date", "Block", "Arm", "Price", "Washout")
ARMS = ("regular", "test")

MEASURED_DAYS = 182
"""Days for which the result of a test stands for demand; later it may have changed."""

FORMAT = 1
"""Format of the plan."""


def lay_out(
    planned: PlannedTest, product: Product, seed: int, first: date | None = None
) -> list[dict[str, Any]] | None:
    """Return the schedule of a test, one row per day or week; None if the gate changes a price that should count.

    Args:
        planned: the test.
        product: with its guardrails.
        seed: of the random order of the blocks.
        first: first day; the earliest possible one if absent.
    """
    from pricerl.advice.switchback_prices import gate_blocks

    design, history = planned.design, product.history
    earliest = product.first_day
    wait = planned.wait if first is None else max(planned.wait, (first - earliest).days // history.step_days)
    arms = draw_arms(design.pairs, np.random.default_rng(seed))
    prices = (planned.test.regular_price, planned.test.price)
    wanted = np.repeat([prices[arm] for arm in arms], design.block)
    charged = gate_blocks(product, wait, wanted.tolist())
    start = earliest + timedelta(days=wait * history.step_days)
    schedule = []
    for row, (price, target) in enumerate(zip(charged, wanted.tolist(), strict=True)):
        block, place = divmod(row, design.block)
        if place >= design.washout and not same_price(price, target):
            return None
        day = start + timedelta(days=row * history.step_days)
        arm = ARMS[int(arms[block] == TEST)]
        about = {"date": day.isoformat(), "block": block + 1, "arm": arm, "price": price}
        schedule.append({**about, "washout": place < design.washout})
    return schedule


def render_schedule(schedule: Iterable[Mapping[str, Any]]) -> str:
    """Return a schedule as CSV."""
    text = io.StringIO(newline="")
    rows = ([row["date"], row["block"], row["arm"], f"{row['price']:.10g}", int(row["washout"])] for row in schedule)
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def hash_schedule(schedule: Iterable[Mapping[str, Any]]) -> str:
    """Return the sha256 of a schedule's CSV."""
    return hashlib.sha256(render_schedule(schedule).encode()).hexdigest()


def render_plan(
    planned: PlannedTest,
    schedule: Sequence[Mapping[str, Any]],
    product: str,
    seed: int,
    profits: tuple[float, float] | None,
) -> str:
    """Return the plan of a test as JSON: the content of its log entry, with the numbers that were promised."""
    test = planned.test
    order = {
        "product": product,
        "first_day": schedule[0]["date"],
        "until": schedule[-1]["date"],
        "question": test.question,
        "regular_price": test.regular_price,
        "test_price": test.price,
        "propensity": PROPENSITY,
        "seed": seed,
        "schedule": list(schedule),
        "schedule_hash": hash_schedule(schedule),
        "values": list(planned.sales.values),
        "profits": None if profits is None else list(profits),
        "scale": planned.simulated.scale,
        "effect": test.effect,
        "power": test.power,
        "cost": test.cost,
        "expected_cost": test.expected_cost,
    }
    document = {"format": FORMAT, "order": order, "test": {**asdict(test), "uplift": list(test.uplift)}}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the order of the plan in a run's folder, if its schedule is as planned.

    Raises:
        UsageError: plan or schedule is missing, damaged, not the one that was planned, or contradicts itself.
    """
    again = "make it again with price-test plan"
    try:
        document = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        json.dumps(document, allow_nan=False)  # refuses numbers that are not finite
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        order: dict[str, Any] = document["order"]
        place = {"format": ENTRY_FORMAT, "id": 1, "previous": BEFORE_THE_FIRST, "hash": BEFORE_THE_FIRST}
        msgspec.convert({**order, **stamp(PRICE_TEST, "", ""), **place}, type=PriceTestEntry)
        text = (folder / SCHEDULE).read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is missing; plan the test first: price-test plan") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{folder / PLAN} is no plan of a price test of this version ({error}); {again}") from None
    if {hash_schedule(order["schedule"]), hashlib.sha256(text).hexdigest()} != {order["schedule_hash"]}:
        raise UsageError(
            f"{folder / SCHEDULE} is not the schedule that was planned: one of the files was changed; {again}"
        )
    if wrong := _contradiction(order):
        raise UsageError(f"{folder / PLAN} contradicts itself: {wrong}; {again}")
    return order


def _contradiction(order: Entry) -> str:
    """Return which parts of an order contradict each other, as a clause; empty if all fit."""
    rows, design = order["schedule"], design_of(order)
    prices = order["regular_price"], order["test_price"]
    first, last = (date.fromisoformat(order[name]) for name in ("first_day", "until"))
    step = (last - first) / max(len(rows) - 1, 1)
    if len(rows) != design.rows or step.days not in (1, WEEK) or order["propensity"] != PROPENSITY:
        return "the schedule has other days, blocks or chances than the test"
    arms = np.repeat(draw_arms(design.pairs, np.random.default_rng(order["seed"])), design.block).tolist()
    laid_out = [
        ((first + at * step).isoformat(), at // design.block + 1, ARMS[arm], at % design.block < design.washout)
        for at, arm in enumerate(arms)
    ]
    if [(row["date"], row["block"], row["arm"], row["washout"]) for row in rows] != laid_out:
        return "the schedule is not that of its days and its seed"
    spans = [prices if row["washout"] else (prices[arm],) for row, arm in zip(rows, arms, strict=True)]
    off = [max(min(span) - row["price"], row["price"] - max(span)) for row, span in zip(rows, spans, strict=True)]
    if max(off) > RECORDED or same_price(*prices):
        return "the prices of the schedule are not those of the test"
    worth = {"units": [1, 1], "sales": [*prices], "profit": order["profits"] or order["values"]}
    if order["values"] != worth[order["question"]]:
        return f"a unit does not count as in a test of {order['question']}"
    return ""


def design_of(entry: Entry) -> Switchback:
    """Return the design of a test from its log entry."""
    first = [row for row in entry["schedule"] if row["block"] == 1]
    blocks = entry["schedule"][-1]["block"]
    return Switchback(blocks // 2, len(first), sum(row["washout"] for row in first))


def find_measured(
    entries: Sequence[Entry], products: Sequence[ProductHistory], measure: str
) -> dict[str, MeasuredPair]:
    """Return the pairs of prices of which the last decided price test measured the better one, by product.

    Args:
        entries: entries of the decision log.
        products: histories; a test counts for ``MEASURED_DAYS`` after its last day.
        measure: what must have been compared, ``profit`` or ``sales``.
    """
    last = {item.product: item.last_day for item in products}
    found: dict[str, MeasuredPair] = {}
    for entry in entries:
        if entry["kind"] != TEST_RESULT or entry["product"] not in last or entry["question"] != measure:
            continue
        age = (last[entry["product"]] - date.fromisoformat(entry["last_day"])).days
        found.pop(entry["product"], None)
        pair = (entry["test_price"], entry["regular_price"])
        if entry["verdict"] != "undecided" and age <= MEASURED_DAYS:
            found[entry["product"]] = MeasuredPair(*(pair if entry["verdict"] == "higher" else pair[::-1]))
    return found
