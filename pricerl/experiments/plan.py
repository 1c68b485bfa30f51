"""Plan of a price test: the prices, blocks and length with the largest net value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from pricerl.arrays import FloatArray, Interval, Share, interval_of
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.decide.decision import DecisionConfig
from pricerl.env.product import Product
from pricerl.evaluation.valuation import PathValue, demand_on, value_paths
from pricerl.experiments.design import NODE_WEIGHTS, Rule, Sales, decide_after, measure_drift
from pricerl.experiments.prices import NEAREST, ArmPrices, find_arm_prices, gate_blocks
from pricerl.experiments.reading import known_days
from pricerl.experiments.schedule import (
    PROPENSITY,
    Question,
    Switchback,
    arm_prices,
    design_of,
    hash_schedule,
    lay_out,
)
from pricerl.guardrails.price_grid import same_price
from pricerl.market.demand.reference_price import REFERENCE_MEMORY
from pricerl.market.market import log_units_at
from pricerl.planner.constant_price import candidate_prices

MOST_DAYS = 28
"""Days of the longest test by default; ``--max_days`` allows longer ones."""
MATTERS = 0.001
"""Money that matters, as a share of what keeping the price earns in the time that counts: a test is worth its work if
its net value is larger."""
BLOCKS = (7, 14)
"""Days of a block: whole weeks, so that all weekdays count alike at both prices."""
WEEKLY_BLOCKS = (1, 2, 4)
"""Weeks of a block where the history has weekly rows."""
FEWEST_PAIRS = 2
"""Fewest pairs: a single change of the price is one more change of the season to the regression."""
LENGTHS = 8
"""Most lengths of a test that are compared, for each pair of prices and each block."""
FEWEST_KEPT = 3
"""Fewest days of a block that count."""
CARRY_OVER = 0.15
"""Largest mean effect of the buyers' memory of the last price on the days that count, as a share of the effect."""
WEEKS = 4
"""Weeks over which the prices of a test are compared."""
MOST_EXTRA = 3
"""Most further rows of a block that are dropped because the gate has no scheduled price ready before."""
OFFERED = 0.10
"""Value of ``guardrails.test_change`` to offer."""
TARGETS = 20
"""Every so many of the prices within reach may be charged after a test."""


@dataclass(frozen=True)
class PriceTest:
    """Blocks at one price in turn with blocks at another, in random order."""

    question: Question
    """Outcome that it compares."""
    price: float
    """In money."""
    regular_price: float
    """The other price in money: the current one."""
    days: int
    """Days of the test, half of them at each price."""
    block: int
    """Days of a block."""
    washout: int
    """Days at the beginning of a block that do not count."""
    gain: float
    """Net value: expected utility of the time that counts with the test, its own prices charged, and with what it makes
    the advice do, minus the same without it, in money. A loss counts ``decision.loss_weight`` times."""
    decides: Share
    """Share of plausible scenarios after which another price is advised than without the test."""
    cost: float
    """Largest cost of the whole test in money: it costs more in one of 20 plausible scenarios."""
    worst_cost: float
    """Cost in the worst posterior draw, in money; 0 if it costs in none."""
    expected_cost: float
    """Mean cost over the posterior draws, in money; negative if the test is expected to earn."""
    uplift: Interval
    """Measure per row at the test price minus the same at the regular one, in money."""
    pays: bool
    """Whether it is inside the limits on days and money, and its net value matters."""


class Budget(NamedTuple):
    """Limits of a price test."""

    days: int = MOST_DAYS
    cost: float | None = None
    """Largest cost, exceeded in one of 20 plausible scenarios, in money; if absent ``decision.loss_budget``, a share of
    what keeping the price earns in a quarter."""

    @property
    def counts(self) -> int:
        """Days in which a test and what follows it count: a quarter, as in an account, or twice a longer test."""
        return max(DAYS_PER_QUARTER, 2 * self.days)


@dataclass(frozen=True)
class PlannedTest:
    """A test with everything that its start and its analysis need."""

    arms: ArmPrices
    design: Switchback
    """In rows of the history."""
    sales: Sales
    test: PriceTest
    fits: bool
    """Whether it is inside the limits on days and money."""
    counts: int
    """Days in which it and what follows it count."""
    matters: float
    """Smallest net value that is worth its work, in money."""


def plan_price_test(
    product: Product,
    question: Question | None = None,
    budget: Budget | None = None,
    more_washout: int = 0,
    current: Mapping[str, float] | None = None,
    config: DecisionConfig | None = None,
    consent: float | None = None,
) -> PlannedTest | None:
    """Return the test with the largest net value, within a quarter or twice the longest test if that is longer.

    If none is inside the limits or pays, the one that comes closest is returned, marked as such. There is none if the
    guardrails allow no other price with a way back, or costs are needed and unknown.

    Args:
        product: with its guardrails.
        question: outcome to compare; the market's measure if absent.
        budget: limits on days and money; the usual ones if absent.
        more_washout: further rows of a block that do not count.
        current: current prices of related products of other markets, by name, in money.
        config: how much losses count, and the loss budget; the usual ones if absent.
        consent: value of ``guardrails.test_change`` to plan with instead of the seller's.
    """
    budget = budget or Budget()
    question = question or product.market.measure
    arms = find_arm_prices(product, current, consent) if _is_known(product, question) else []
    if not arms:
        return None
    prices = value_prices(product, question, config or DecisionConfig(), arms, budget.counts)
    designs = list(_propose(prices, budget, more_washout))
    fitting = [item for item in designs if prices.fits(*item, budget)] or designs
    return max((_value_test(prices, *item, budget) for item in fitting), key=lambda item: item.test.gain, default=None)


def _is_known(product: Product, question: str) -> bool:
    """Return whether the outcome of a test can be valued: profit needs costs."""
    return question != "profit" or product.fitted.cost.known


def remaining_value(product: Product, test: Mapping[str, Any], passed: int, config: DecisionConfig) -> float | None:
    """Return the net value, in money, of the rest of a started test, of which some rows have ``passed``.

    It is unknown where costs are needed and unknown.
    """
    if not _is_known(product, test["question"]):
        return None
    design = design_of(test)
    arms = ArmPrices(*arm_prices(test), 0, 0)
    left = max(math.ceil((design.rows - passed) / (2 * design.block)), 1)
    budget = Budget(design.rows * product.history.step_days)
    prices = value_prices(product, test["question"], config, [arms], budget.counts)
    return _value_test(prices, arms, replace(design, pairs=left), budget).test.gain


@dataclass(frozen=True)
class ValuedPrices:
    """Prices that may be tested, and that may follow a test, valued in all posterior draws of one product."""

    product: Product
    question: Question
    config: DecisionConfig
    rule: Rule
    """Rule by which one of the prices is chosen."""
    arms: tuple[ArmPrices, ...]
    rows: int
    """Rows that count."""
    values: dict[float, PathValue]
    """Values of the current price and of the prices of the tests, per row."""
    targets: FloatArray
    """``(N,)`` prices that may follow, the current one first, in money."""
    after: FloatArray
    """``(N, K)`` gain of them per row over keeping the price, in money."""

    def earned(self, price: float) -> FloatArray:
        """Return what counts per row at one of the prices, in money ``(K,)``."""
        return self.values[price].counted(self.question)

    def during(self, arms: ArmPrices, design: Switchback) -> FloatArray:
        """Return what a test earns more than the current price while it lasts, in money ``(K,)``."""
        return design.rows * (self.earned(arms.price) - self.earned(arms.current)) / 2

    @cached_property
    def uplifts(self) -> dict[ArmPrices, Interval]:
        """Outcome per row at the price of a test minus the same at the current one, in money."""
        return {arms: interval_of(self.earned(arms.price) - self.earned(arms.current)) for arms in self.arms}

    def cost(self, arms: ArmPrices, design: Switchback) -> float:
        """Return the largest cost of a test, in money."""
        return max(0.0, -design.rows * self.uplifts[arms].low / 2)

    def fits(self, arms: ArmPrices, design: Switchback, budget: Budget) -> bool:
        """Return whether a test is inside the limits on days and money."""
        most = self.config.loss_budget * self.daily * DAYS_PER_QUARTER if budget.cost is None else budget.cost
        return design.rows * self.product.history.step_days <= budget.days and self.cost(arms, design) <= most

    @cached_property
    def daily(self) -> float:
        """Mean of what keeping the price earns per day, in money; 0 if it loses."""
        kept = getattr(self.values[self.arms[0].current], self.question)
        return max(float(kept.mean()), 0.0) / self.product.history.step_days

    @cached_property
    def without(self) -> FloatArray:
        """Utility of each of the prices that may follow, without a test, in money ``(N,)``; -inf of unsure changes."""
        return self.rule.utility(np.ones(self.after.shape[1]), 0.0, self.rows * self.after)

    @cached_property
    def expected_units(self) -> FloatArray:
        """Mean units of each row of the history at the prices charged, ``(D,)``."""
        product = self.product
        prices, at = np.unique(product.history.price, return_inverse=True)
        units = np.exp(log_units_at(product.fitted, prices)).mean(0)[at]
        return np.asarray(units * demand_on(product.market, product.index, product.history.dates))


@torch.no_grad()
def value_prices(
    product: Product, question: Question, config: DecisionConfig, arms: Sequence[ArmPrices], days: int
) -> ValuedPrices:
    """Value the prices of tests, and those that may follow them, of which the next ``days`` count."""
    step = product.history.step_days
    now = arms[0].current
    tested = [now, *(item.price for item in arms)]
    targets = [now, *candidate_prices(product)[::TARGETS].tolist()]
    paths = product.money(tested + targets)[:, None].expand(-1, WEEKS * 7 // step)
    values = value_paths(product, paths)
    after = np.stack([value.counted(question) for value in values[len(tested) :]])
    return ValuedPrices(
        product=product,
        question=question,
        config=config,
        rule=Rule(config.loss_weight, config.min_chance),
        arms=tuple(arms),
        rows=days // step,
        values=dict(zip(tested, values, strict=False)),
        targets=np.array(targets),
        after=after - after[0],
    )


def _propose(prices: ValuedPrices, budget: Budget, more: int) -> Iterator[tuple[ArmPrices, Switchback]]:
    """Yield every pair of prices with every length, in blocks of either size."""
    step = prices.product.history.step_days
    for arms in prices.arms:
        for block in BLOCKS if step == 1 else WEEKLY_BLOCKS:
            washout = _washout(prices, arms, block) + more
            if block - washout >= (FEWEST_KEPT if step == 1 else 1):
                most = max(budget.days // (2 * block * step), FEWEST_PAIRS)
                for pairs in sorted({round(count) for count in np.geomspace(FEWEST_PAIRS, most, LENGTHS)}):
                    yield arms, Switchback(pairs, block, washout)


def _value_test(prices: ValuedPrices, arms: ArmPrices, design: Switchback, budget: Budget) -> PlannedTest:
    """Return one test with its net value and its cost."""
    product = prices.product
    step = product.history.step_days
    units = (prices.values[arms.current].units, prices.values[arms.price].units)
    size = float(product.market.size[product.index])
    sales = Sales(units, _unit_values(product, prices.question, arms), size, _drift(prices, design, size))
    during = prices.during(arms, design)
    later = max(prices.rows - design.rows, 0) * prices.after
    after = decide_after(sales.log_ratio, sales.log_ratio_sd(design), during, later, prices.rule)
    gain = after.utility - float(prices.without.max())
    moves = np.abs(prices.targets[after.chosen] / prices.targets[prices.without.argmax()] - 1) >= NEAREST
    fits = prices.fits(arms, design, budget)
    matters = MATTERS * prices.daily * prices.rows * step
    test = PriceTest(
        question=prices.question,
        price=arms.price,
        regular_price=arms.current,
        days=design.rows * step,
        block=design.block * step,
        washout=design.washout * step,
        gain=gain,
        decides=min(float((moves @ NODE_WEIGHTS).mean()), 1.0),
        cost=prices.cost(arms, design),
        worst_cost=max(0.0, -float(during.min())),
        expected_cost=-float(during.mean()),
        uplift=prices.uplifts[arms],
        pays=fits and gain >= matters,
    )
    return PlannedTest(arms, design, sales, test, fits, prices.rows * step, matters)


def _unit_values(product: Product, question: Question, arms: ArmPrices) -> tuple[float, float]:
    """Return what a unit counts at the two prices of a test: its profit at the mean costs that count, or its price."""
    cost = (product.counted if product.market.measure == question else product.fitted).cost
    return arms[:2] if question == "sales" else (cost.mean_margin(arms.current), cost.mean_margin(arms.price))


def _washout(prices: ValuedPrices, arms: ArmPrices, block: int) -> int:
    """Return the rows of a block that do not count: its first day, the way to its price, and what memory distorts."""
    step = prices.product.history.step_days
    memory = prices.product.fitted.memory
    least = arms.rows + (1 if step == 1 else 0)
    if memory is None:
        return least
    kept = REFERENCE_MEMORY**step
    regular, tested = (float(prices.values[price].units.mean()) for price in (arms.current, arms.price))
    reaction = abs(math.log(tested / regular))
    excess = float(memory.loss.mean()) * abs(math.log(arms.price / arms.current))
    most = max(block // 2, least)
    left = (excess * np.mean(kept ** np.arange(first - arms.rows, block - arms.rows)) for first in range(least, most))
    return next((least + more for more, effect in enumerate(left) if effect <= CARRY_OVER * reaction), most)


def _drift(prices: ValuedPrices, design: Switchback, size: float) -> float:
    """Return the drift of demand between blocks of the history."""
    history = prices.product.history
    return measure_drift(history.units, prices.expected_units, known_days(history), size, design.block, design.washout)


def plan_schedule(
    product: Product,
    question: Question | None,
    budget: Budget,
    seed: int,
    first: date | None = None,
    config: DecisionConfig | None = None,
) -> tuple[PlannedTest | None, list[dict[str, Any]]]:
    """Return the planned test and its schedule; empty if no test pays, or the gate changes a price that counts."""
    planned = None
    for extra in range(MOST_EXTRA + 1):
        planned = plan_price_test(product, question, budget, extra, config=config)
        if planned is None or not planned.test.pays:
            break
        if schedule := gate_schedule(planned, product, seed, first):
            return planned, schedule
    return planned, []


def gate_schedule(planned: PlannedTest, product: Product, seed: int, first: date | None = None) -> list[dict[str, Any]]:
    """Return the schedule of a test at the prices that pass the gate; empty if it changes a price that should count.

    The ``seed`` draws the order of the blocks; the ``first`` day is the earliest possible one if absent.
    """
    step = product.history.step_days
    arms = planned.arms
    wait = arms.wait if first is None else max(arms.wait, (first - product.first_day).days // step)
    begin = product.first_day + timedelta(days=wait * step)
    schedule = lay_out(planned.design, seed, begin, step, (arms.current, arms.price))
    rows = list(zip(schedule, gate_blocks(product, wait, [row["price"] for row in schedule]), strict=True))
    kept = all(row["washout"] or same_price(price, row["price"]) for row, price in rows)
    return [{**row, "price": price} for row, price in rows] if kept else []


def make_order(planned: PlannedTest, schedule: list[dict[str, Any]], product: Product, seed: int) -> dict[str, Any]:
    """Return a planned test as an order, the content of its plan and of its log entry."""
    test = planned.test
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
        "profits": list(_unit_values(product, "profit", planned.arms)) if product.fitted.cost.known else None,
        "scale": planned.sales.difference_sd(planned.design.kept),
        "effect": test.uplift.mean,
        "power": test.decides,
        "cost": test.cost,
        "expected_cost": test.expected_cost,
        "consent": product.today.config.test_change,
    }
