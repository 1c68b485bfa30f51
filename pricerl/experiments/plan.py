"""Plan of a price test: the price, blocks and length that are expected to earn the most within a year."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import torch

from pricerl.arrays import FloatArray, Interval, Share, interval_of
from pricerl.data.days import YEAR
from pricerl.env.product import Product
from pricerl.evaluation.valuation import PathValue, expect_days, value_paths
from pricerl.experiments.analysis import StopRule
from pricerl.experiments.design import Sales, SimulatedTests, expect_gains, measure_drift, simulate_tests
from pricerl.experiments.prices import ReachablePrice, find_reachable_prices, gate_blocks
from pricerl.experiments.schedule import FEWEST_PAIRS, PROPENSITY, Question, Switchback, hash_schedule, lay_out
from pricerl.guardrails.price_grid import same_price
from pricerl.market.demand.reference_price import REFERENCE_MEMORY

MOST_DAYS = 182
"""Days of the longest test: demand would change during a longer one."""
MOST_COST = 0.05
"""Largest cost of a test, as a share of what keeping the price earns meanwhile."""
MATTERS = 0.001
"""Money that matters, as a share of what keeping the price earns in a year: a test ends early when its choice is
expected to lose less, and is worth its work if it is expected to earn more."""
BLOCKS = (7, 14)
"""Days of a block: whole weeks, so that all weekdays count alike at both prices."""
WEEKLY_BLOCKS = (1, 2, 4)
"""Weeks of a block where the history has weekly rows."""
FEWEST_KEPT = 3
"""Fewest days of a block that count."""
CARRY_OVER = 0.15
"""Largest mean effect of the buyers' memory of the last price on the days that count, as a share of the effect."""
WEEKS = 4
"""Weeks over which the prices of a test are compared."""
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
    """Most days of the test, half of them at each price."""
    mean_days: int
    """Expected days until it ends, over the posterior draws."""
    block: int
    """Days of a block."""
    washout: int
    """Days at the beginning of a block that do not count."""
    gain: float
    """Expected gain of the verdict within a year, net of the test's expected cost, over keeping the price or, where the
    advice changes it, charging the other one at once, money."""
    largest_loss: float
    """Expected loss of a choice in the rest of the year with which the test ends early, money."""
    decides: Share
    """Share of simulated tests that reach a verdict, over the posterior draws."""
    wrong: Share
    """Share of simulated tests whose verdict names the worse price."""
    cost: float
    """Largest cost of the whole test, money: it costs more in one of 20 plausible scenarios."""
    worst_cost: float
    """Cost in the worst posterior draw, money; 0 if it costs in none."""
    expected_cost: float
    """Mean cost over the posterior draws, money; negative if the test is expected to earn."""
    uplift: Interval
    """Measure per row at the test price minus that of keeping the price, money."""
    pays: bool
    """Whether it is inside the limits on days and money, and expected to earn enough."""


class Budget(NamedTuple):
    """Limits of a price test."""

    days: int = MOST_DAYS
    cost: float | None = None
    """Largest cost, exceeded in one of 20 plausible scenarios, money; ``MOST_COST`` of the earnings if absent."""


@dataclass(frozen=True)
class Candidate:
    """A price, blocks, and the number of pairs that is expected to earn the most."""

    way: ReachablePrice
    design: Switchback
    """In rows of the history."""
    sales: Sales
    gain: FloatArray
    """``(K,)`` measure per row minus that of keeping the price, money."""
    kept: float
    """Measure per row of keeping the price, money."""
    rule: StopRule
    value: float
    """Expected gain within the year, money."""

    @property
    def cost(self) -> float:
        """Cost that the test exceeds in one of 20 posterior draws, money."""
        return max(0.0, -interval_of(self.gain).low) * self.design.rows / 2

    def fits(self, step: int, budget: Budget) -> bool:
        """Return whether it is inside the limits on days and money, with rows of ``step`` days."""
        limit = MOST_COST * self.kept * self.design.rows if budget.cost is None else budget.cost
        return self.design.rows * step <= budget.days and self.cost <= limit


@dataclass(frozen=True)
class PlannedTest(Candidate):
    """A test with everything that its start and its analysis need."""

    test: PriceTest


def plan_price_test(
    product: Product,
    question: Question | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    more_washout: int = 0,
    keeps: bool = True,
    current: Mapping[str, float] | None = None,
) -> PlannedTest | None:
    """Return the test that is expected to earn the most within a year, net of its cost.

    If none is inside the limits or pays, the one that comes closest is returned, marked as such. There is none if the
    guardrails allow no other price with a way back, or costs are needed and unknown.

    Args:
        product: with its guardrails.
        question: outcome to compare; the market's measure if absent.
        budget: limits on days and money; the usual ones if absent.
        seed: of the simulation.
        more_washout: further rows of a block that do not count.
        keeps: whether the advice without a test is to keep the price.
        current: current prices of related products of other markets, by name, money.
    """
    step = product.history.step_days
    budget = budget or Budget()
    question = question or product.market.measure
    if question == "profit" and not product.fitted.cost.known:
        return None
    ways = find_reachable_prices(product, current)
    candidates = list(_propose(product, question, budget, more_washout, ways)) if ways else []
    if not candidates:
        return None
    chosen = max(candidates, key=lambda item: (item.fits(step, budget), item.value))
    simulated = simulate_tests(chosen.design, chosen.sales, chosen.rule, np.random.default_rng(seed))
    test = _describe(chosen, simulated, question, step, budget, keeps)
    return PlannedTest(**vars(chosen), test=test)


def _describe(
    chosen: Candidate, simulated: SimulatedTests, question: Question, step: int, budget: Budget, keeps: bool
) -> PriceTest:
    design = chosen.design
    mean = float(chosen.gain.mean())
    at_once = 0.0 if keeps else max(mean, 0.0) * chosen.rule.year
    cost = min(mean, 0.0) * simulated.pairs * design.block
    gain = float((chosen.gain * simulated.chosen).mean()) + cost - at_once
    return PriceTest(
        question=question,
        price=chosen.way.price,
        regular_price=chosen.way.current,
        days=design.rows * step,
        mean_days=round(2 * simulated.pairs * design.block * step),
        block=design.block * step,
        washout=design.washout * step,
        gain=gain,
        largest_loss=chosen.rule.loss,
        decides=simulated.decided,
        wrong=simulated.wrong,
        cost=chosen.cost,
        worst_cost=max(0.0, -float(chosen.gain.min())) * design.rows / 2,
        expected_cost=-mean * design.rows / 2,
        uplift=interval_of(chosen.gain),
        pays=gain >= chosen.rule.loss and chosen.fits(step, budget),
    )


@torch.no_grad()
def _propose(
    product: Product, question: Question, budget: Budget, more: int, ways: list[ReachablePrice]
) -> Iterator[Candidate]:
    """Yield every price that the guardrails let a test charge, with every length of its blocks."""
    step = product.history.step_days
    prices = [ways[0].current, *(way.price for way in ways)]
    keep, *values = value_paths(product, product.money(prices)[:, None].expand(-1, WEEKS * 7 // step))
    kept = float(getattr(keep, question).mean())
    size = float(product.market.size[product.index])
    drifts: dict[tuple[int, int], float] = {}
    for way, value in zip(ways, values, strict=True):
        worth = _unit_values(product, question, (way.current, way.price))
        for block in BLOCKS if step == 1 else WEEKLY_BLOCKS:
            washout = _washout(product, way, block, value, keep) + more
            if block - washout < (FEWEST_KEPT if step == 1 else 1):
                continue
            if (block, washout) not in drifts:
                drifts[block, washout] = _drift(product, block, washout)
            sales = Sales((keep.units, value.units), worth, size, drifts[block, washout])
            gain = getattr(value, question) - getattr(keep, question)
            rule = StopRule(sales.spread, MATTERS * abs(kept) * YEAR / step, YEAR // step, block)
            most = max(budget.days // (2 * block * step), FEWEST_PAIRS)
            pairs = np.arange(FEWEST_PAIRS, most + 1)
            expected = expect_gains(sales, gain, block - washout, rule, pairs)
            best = int(expected.argmax())
            design = Switchback(int(pairs[best]), block, washout)
            yield Candidate(way, design, sales, gain, kept, rule, float(expected[best]))


def _unit_values(product: Product, question: Question, prices: tuple[float, float]) -> tuple[float, float]:
    """Return what a unit counts at two prices: its profit at the mean costs, or its price."""
    if question == "sales":
        return prices
    cost = product.fitted.cost
    return cost.mean_margin(prices[0]), cost.mean_margin(prices[1])


def _washout(product: Product, way: ReachablePrice, block: int, value: PathValue, keep: PathValue) -> int:
    """Return the rows of a block that do not count: its first day, the way to its price, and what memory distorts."""
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
    seed: int,
    first: date | None = None,
    keeps: bool = True,
) -> tuple[PlannedTest | None, list[dict[str, Any]]]:
    """Return the planned test and its schedule; empty if no test pays, or the gate changes a price that counts."""
    planned = None
    for extra in range(MOST_EXTRA + 1):
        planned = plan_price_test(product, question, budget, seed, extra, keeps)
        if planned is None or not planned.test.pays:
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
    wait = planned.way.wait if first is None else max(planned.way.wait, (first - earliest).days // step)
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
        "scale": planned.sales.difference_sd(planned.design.kept),
        "effect": test.uplift.mean,
        "power": test.decides,
        "cost": test.cost,
        "expected_cost": test.expected_cost,
        "stop": {key: getattr(planned.rule, key) for key in ("spread", "loss", "year")},
    }
