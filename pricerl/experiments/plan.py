"""Plan of a price test: the price, blocks and length that show at the least cost whether a change pays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import torch

from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.env.product import Product
from pricerl.evaluation.valuation import PathValue, expect_days, value_paths
from pricerl.experiments.analysis import POWER
from pricerl.experiments.design import (
    Sales,
    SimulatedTests,
    approximate_pairs,
    find_pairs,
    measure_drift,
    rows_per_arm,
)
from pricerl.experiments.prices import ReachablePrice, find_reachable_prices, gate_blocks
from pricerl.experiments.schedule import PROPENSITY, Question, Switchback, hash_schedule, lay_out
from pricerl.guardrails.price_grid import same_price
from pricerl.market.demand.reference_price import REFERENCE_MEMORY

MOST_DAYS = 182
"""Days of the longest test: demand would change during a longer one."""
MOST_COST = 0.05
"""Largest cost of a test, as a share of what keeping the price earns meanwhile."""
BLOCKS = (7, 14)
"""Days of a block: whole weeks, so that all weekdays count alike at both prices."""
WEEKLY_BLOCKS = (1, 2, 4)
"""Weeks of a block where the history has weekly rows."""
FEWEST_KEPT = 3
"""Fewest days of a block that count."""
CARRY_OVER = 0.15
"""Largest mean effect of the buyers' memory of the last price on the days that count, as a share of the effect."""
DEARER = 1.25
"""A shorter test may cost this much more than the cheapest one."""
WEEKS = 4
"""Weeks over which the prices of a test are compared."""
QUICK = 250
"""Simulated tests where the plan is only a suggestion."""
MOST_EXTRA = 3
"""Most further rows of a block that are dropped because the gate has no scheduled price ready before."""


@dataclass(frozen=True)
class PriceTest:
    """Blocks at another price in turn with blocks at the current one, in random order."""

    question: Question
    """Outcome that it compares."""
    price: float
    """Money."""
    regular_price: float
    """Current price, money."""
    days: int
    """Days of the whole test, half of them at each price."""
    block: int
    """Days of a block."""
    washout: int
    """Days at the beginning of a block that do not count."""
    effect: float
    """Difference per row that the test is planned for, the median size over the posterior draws: money, or units."""
    power: float
    """Probability with which it finds that effect, by simulation of the test."""
    detectable: float | None
    """Smallest difference per row that it finds with a probability of ``POWER``; None if there is none."""
    decides: float
    """Mean of that probability over the posterior draws."""
    cost: float
    """Largest cost of the whole test, money: it costs more in one of 20 plausible scenarios."""
    worst_cost: float
    """Cost in the worst posterior draw, money; 0 if it costs in none."""
    expected_cost: float
    """Mean cost over the posterior draws, money; negative if the test is expected to earn."""
    uplift: Interval
    """Measure per row at the test price minus that of keeping the price, money."""
    needed_days: int
    """Days that such a test of this effect would need, by a normal approximation."""
    arm_days: int
    """Days at each price that an ordinary test of a 5 % lift of units would need at this volume."""
    units: float
    """Expected units per row at the current price."""
    affordable: bool
    """Whether it finds the effect with a probability of ``POWER`` within the limits on days and money."""


@dataclass(frozen=True)
class PlannedTest:
    """A test with everything that its start and its analysis need."""

    test: PriceTest
    design: Switchback
    """In rows of the history."""
    sales: Sales
    scale: float
    """Planned sd of the difference within a pair of blocks."""
    wait: int
    """Rows after the history before the test can begin."""


class Budget(NamedTuple):
    """Limits of a price test."""

    days: int = MOST_DAYS
    cost: float | None = None
    """Largest cost, exceeded in one of 20 plausible scenarios, money; ``MOST_COST`` of the earnings if absent."""


USUAL_BUDGET = Budget()


@dataclass(frozen=True)
class _Candidate:
    """A price and a block length."""

    way: ReachablePrice
    block: int
    washout: int
    sales: Sales
    gain: FloatArray
    """``(K,)`` measure per row minus that of keeping the price, money."""
    kept: float
    """Measure per row of keeping the price, money."""

    @property
    def pairs(self) -> int:
        return approximate_pairs(self.sales, self.block - self.washout)

    def cost(self, pairs: int) -> float:
        """Return the cost that the test exceeds in one of 20 posterior draws, money."""
        return max(0.0, -interval_of(self.gain).low) * pairs * self.block

    def fits(self, pairs: int, step: int, budget: Budget) -> bool:
        """Return whether a number of pairs is inside the limits on days and money, with rows of ``step`` days."""
        rows = 2 * pairs * self.block
        limit = MOST_COST * self.kept * rows if budget.cost is None else budget.cost
        return rows <= budget.days // step and self.cost(pairs) <= limit


def plan_price_test(
    product: Product,
    question: Question | None = None,
    budget: Budget = USUAL_BUDGET,
    tests: int = QUICK,
    seed: int = 0,
    more_washout: int = 0,
    current: Mapping[str, float] | None = None,
) -> PlannedTest | None:
    """Return the test that shows at the least cost which of two prices is better.

    All candidates are as long as a power of ``POWER`` needs, so they yield equal information and the cheapest yields
    most per unit of money. If none is inside the limits, the one that comes closest is returned, marked as such. There
    is none if the guardrails allow no other price with a way back, or costs are needed and unknown.

    Args:
        product: with its guardrails.
        question: outcome to compare; the market's measure if absent.
        budget: limits on days and money.
        tests: number of simulated tests.
        seed: of the simulation.
        more_washout: further rows of a block that do not count.
        current: current prices of related products of other markets, by name, money.
    """
    step = product.history.step_days
    question = question or product.market.measure
    if question == "profit" and not product.fitted.cost.known:
        return None
    ways = find_reachable_prices(product, current)
    candidates = list(_propose(product, question, more_washout, ways)) if ways else []
    if not candidates:
        return None
    inside = [item for item in candidates if item.fits(item.pairs, step, budget)]
    if inside:  # the shortest of the cheap ones
        cheapest = min(item.cost(item.pairs) for item in inside)
        near = [item for item in inside if item.cost(item.pairs) <= DEARER * cheapest + 1e-9]
        chosen = min(near, key=lambda item: (item.pairs * item.block, item.cost(item.pairs)))
    else:
        chosen = min(candidates, key=lambda item: item.pairs * item.block)
    most_pairs = max(budget.days // step // (2 * chosen.block), 1)
    design, simulated = find_pairs(chosen.block, chosen.washout, chosen.sales, most_pairs, seed, tests)
    test = _describe(chosen, design, simulated, question, step, budget)
    return PlannedTest(test, design, chosen.sales, simulated.scale, chosen.way.wait)


def _describe(
    chosen: _Candidate, design: Switchback, simulated: SimulatedTests, question: Question, step: int, budget: Budget
) -> PriceTest:
    sales = chosen.sales
    rows = design.pairs * design.block
    power = simulated.power(sales.effect)
    effects = chosen.gain if question != "units" else np.full(1, sales.effect)
    needed = max(chosen.pairs, design.pairs if power >= POWER else design.pairs + 1)
    return PriceTest(
        question=question,
        price=chosen.way.price,
        regular_price=chosen.way.current,
        days=design.rows * step,
        block=design.block * step,
        washout=design.washout * step,
        effect=sales.effect,
        power=power,
        detectable=simulated.detectable if math.isfinite(simulated.detectable) else None,
        decides=simulated.assurance(effects),
        cost=chosen.cost(design.pairs),
        worst_cost=max(0.0, -float(chosen.gain.min())) * rows,
        expected_cost=-float(chosen.gain.mean()) * rows,
        uplift=interval_of(chosen.gain),
        needed_days=2 * needed * design.block * step,
        arm_days=rows_per_arm(sales.units[0], sales.size) * step,
        units=sales.units[0],
        affordable=power >= POWER and chosen.fits(design.pairs, step, budget),
    )


@torch.no_grad()
def _propose(product: Product, question: Question, more: int, ways: list[ReachablePrice]) -> Iterator[_Candidate]:
    """Yield every price that the guardrails let a test charge, with every length of its blocks.

    The effect has the median size over the posterior draws, in the probable direction; the units that count at the test
    price follow from it.
    """
    step = product.history.step_days
    prices = [ways[0].current, *(way.price for way in ways)]
    keep, *values = value_paths(product, product.money(prices)[:, None].expand(-1, WEEKS * 7 // step))
    size = float(product.market.size[product.index])
    drifts: dict[tuple[int, int], float] = {}
    for way, value in zip(ways, values, strict=True):
        gain = value.earned - keep.earned
        counted = value.units - keep.units if question == "units" else gain
        effect = math.copysign(float(np.median(np.abs(counted))), float(np.median(counted)))
        units = (float(keep.units.mean()), float(value.units.mean()))
        worth = _unit_values(product, question, (way.current, way.price))
        for block in BLOCKS if step == 1 else WEEKLY_BLOCKS:
            washout = _washout(product, way, block, value, keep) + more
            if block - washout < (FEWEST_KEPT if step == 1 else 1):
                continue
            if (block, washout) not in drifts:
                drifts[block, washout] = _drift(product, block, washout)
            sales = Sales(units, worth, size, drifts[block, washout]).with_effect(effect)
            yield _Candidate(way, block, washout, sales, gain, float(keep.earned.mean()))


def _unit_values(product: Product, question: Question, prices: tuple[float, float]) -> tuple[float, float]:
    """Return what a unit counts at two prices: its profit at the mean costs, its price, or 1 if units are measured."""
    if question == "units":
        return 1.0, 1.0
    if question == "sales":
        return prices
    cost = product.fitted.cost
    return cost.mean_margin(prices[0]), cost.mean_margin(prices[1])


def _washout(product: Product, way: ReachablePrice, block: int, value: PathValue, keep: PathValue) -> int:
    """Return the rows of a block that do not count: the way to its price, and those that buyers' memory distorts.

    At least one day; a week of weekly rows cannot be split. Memory fades by the factor of the reference price per day.
    """
    step = product.history.step_days
    memory = product.fitted.memory
    least = way.rows + (1 if step == 1 else 0)
    if memory is None:
        return least
    kept = REFERENCE_MEMORY**step
    reaction = abs(math.log(float(value.units.mean()) / float(keep.units.mean())))
    excess = float(memory.loss.mean()) * abs(math.log(way.price / way.current))
    most = max(block // 2, least)
    for washout in range(least, most):
        left = excess * np.mean(kept ** np.arange(washout - way.rows, block - way.rows))
        if left <= CARRY_OVER * reaction:
            return washout
    return most


def _drift(product: Product, block: int, washout: int) -> float:
    """Return the drift of demand between blocks of the history."""
    market = product.market
    history = product.history
    days = expect_days(market, product.index, product.money(history.price)[None], history.dates, None)
    expected = days.expected_units[0].double().mean(0).cpu().numpy()
    known = history.observed if history.in_stock is None else history.observed & history.in_stock
    return measure_drift(history.units, expected, known, float(market.size[product.index]), block, washout)


def plan_schedule(
    product: Product,
    question: Question | None,
    budget: Budget,
    tests: int,
    seed: int,
    first: date | None = None,
) -> tuple[PlannedTest | None, list[dict[str, Any]]]:
    """Return the planned test and its schedule, one row per day or week.

    There is no schedule if no test is affordable, or if the gate changes a price that should count in each of them.
    """
    planned = None
    for extra in range(MOST_EXTRA + 1):
        planned = plan_price_test(product, question, budget, tests, seed, extra)
        if planned is None or not planned.test.affordable:
            break
        if schedule := gate_schedule(planned, product, seed, first):
            return planned, schedule
    return planned, []


def gate_schedule(planned: PlannedTest, product: Product, seed: int, first: date | None = None) -> list[dict[str, Any]]:
    """Return the schedule of a test at the prices that pass the gate; empty if it changes a price that should count.

    The ``seed`` is that of the random order of the blocks, the ``first`` day the earliest possible one if absent.
    """
    step = product.history.step_days
    earliest = product.first_day
    wait = planned.wait if first is None else max(planned.wait, (first - earliest).days // step)
    prices = (planned.test.regular_price, planned.test.price)
    schedule = lay_out(planned.design, seed, earliest + timedelta(days=wait * step), step, prices)
    charged = gate_blocks(product, wait, [row["price"] for row in schedule])
    for row, price in zip(schedule, charged, strict=True):
        if not row["washout"] and not same_price(price, row["price"]):
            return []
        row["price"] = price
    return schedule


def make_order(planned: PlannedTest, schedule: list[dict[str, Any]], product: Product, seed: int) -> dict[str, Any]:
    """Return a planned test as an order, the content of its plan and of its log entry."""
    test = planned.test
    known = product.fitted.cost.known
    return {
        "product": product.name,
        "first_day": schedule[0]["date"],
        "until": schedule[-1]["date"],
        "question": test.question,
        "regular_price": test.regular_price,
        "test_price": test.price,
        "propensity": PROPENSITY,
        "seed": seed,
        "schedule": schedule,
        "schedule_hash": hash_schedule(schedule),
        "values": list(planned.sales.values),
        "profits": list(_unit_values(product, "profit", (test.regular_price, test.price))) if known else None,
        "scale": planned.scale,
        "effect": test.effect,
        "power": test.power,
        "cost": test.cost,
        "expected_cost": test.expected_cost,
    }
