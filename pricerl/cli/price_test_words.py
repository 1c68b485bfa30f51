"""Words of the command ``price-test``: planned tests and their ranking, refusals, and what a test has shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pricerl.advice.sentences.next_steps import losing_test_words
from pricerl.data.days import WEEK
from pricerl.experiments.analysis import ANYTIME, FINAL, InterimAnalysis
from pricerl.experiments.reading import Reading
from pricerl.experiments.schedule import arm_prices
from pricerl.formatting import Formatter, plural, unit_digits
from pricerl.operations.log.decision_log import Entry
from pricerl.terminal import shown

if TYPE_CHECKING:  # they need torch
    from pricerl.env.product import Product
    from pricerl.experiments.plan import PlannedTest, PriceTest

MOST_LISTED = 10
"""Most lost days that are listed."""


def rank_cells(test: PriceTest, f: Formatter) -> tuple[str, str, str, str, str, str, str]:
    """Return price, width, weeks, net value, expected, largest and worst cost of a test."""
    width = f.percent(test.price / test.regular_price - 1, 0, plus="+")
    gain, expected, most, worst = map(f.money, (test.gain, test.expected_cost, test.cost, test.worst_cost))
    return f.price(test.price), width, str(test.days // WEEK), gain, expected, most, worst


def plan_lines(planned: PlannedTest, order: Mapping[str, Any], draws: int, f: Formatter) -> Iterator[str]:
    """Yield a planned test: its prices, worth, cost and design."""
    test = planned.test
    days = f"{plural(test.days, 'day')}, from {f.date(order['first_day'])} to {f.date(order['until'])}"
    yield f"{shown(order['product'])}: {_against(test.price, test.regular_price, f)}, {days}"
    yield f"  worth      {f.money(test.gain)} within a quarter, net of its cost, over deciding now"
    expected = f"expected: {'costs' if test.expected_cost >= 0 else 'earns'} {f.money(abs(test.expected_cost))}"
    worst = f"{f.money(test.worst_cost)} in the worst of {draws}"
    yield f"  cost       at most {f.money(test.cost)} in 19 of 20 plausible scenarios, {worst}; {expected}"
    yield f"  expected   another price than without the test in {f.percent(test.decides, 0)} of plausible scenarios"
    washout = f"the first {plural(test.washout, 'day')} of each not counted" if test.washout else "every day counts"
    blocks = f"{planned.design.pairs} pairs of blocks of {test.block} days"
    yield f"  design     {blocks} in random order, {washout}"
    yield f"  question   which price brings more {test.question}; the advice after it weighs its days"
    yield f"  proof      a proven difference, with at most {f.percent(ANYTIME + FINAL, 0)} errors, earns grade A"


def refusal_lines(product: Product, planned: PlannedTest | None, question: str | None, f: Formatter) -> Iterator[str]:
    """Yield why no test is planned, with the numbers."""
    start = shown(product.name)
    if planned is None and (question or product.market.measure) == "profit" and not product.fitted.cost.known:
        yield f"{start}: no test of profit, as your costs are unknown"
        yield "  name your costs (--costs costs.csv, made by init), or compare revenue (--question sales)"
    elif planned is None:
        yield f"{start}: no test, as your limits leave no other price from which the price may also come back"
        yield "  widen data.guardrails (guardrails.yaml, made by init) or end a pause"
    elif planned.test.pays:
        yield f"{start}: your limits allow no schedule of that test; widen data.guardrails, or try another --from"
    else:
        test = planned.test
        against = f"{_against(test.price, test.regular_price, f)}, {plural(test.days, 'day')}"
        yield f"{start}: no price test pays; the best one: {against}, for up to {f.money(test.cost)}"
        more = "more" if test.gain >= 0 else "less"
        yield f"  within a quarter it is worth {f.money(abs(test.gain))} {more} than deciding now"


def reading_lines(test: Entry, reading: Reading, f: Formatter) -> Iterator[str]:
    """Yield what a test has shown so far."""
    found = reading.question
    rows = len(test["schedule"])
    prices = _against(*arm_prices(test)[::-1], f)
    yield f"{shown(test['product'])}: {prices}, {reading.passed} of {plural(rows, f.period)} have passed"
    yield f"  verdict    {_verdict(test, found, f)}"
    if found.pairs:
        blocks = test["schedule"][-1]["block"] // 2
        yield f"  evidence   {found.pairs} of {blocks} pairs; randomisation p-value {_p_value(found.p_value)}"
        yield f"  units      {_effect(reading.units, 'units', f)}"
        if reading.profit is not None:
            yield f"  profit     {_effect(reading.profit, 'profit', f)}"
        elif test["question"] == "sales":
            yield f"  sales      {_effect(found, 'sales', f)}"
    if reading.lost:
        yield f"  lost       {plural(len(reading.lost), f.period)} not as scheduled, not counted:"
        for day in reading.lost[:MOST_LISTED]:
            charged = "no recorded sales, or out of stock" if day.price is None else f"at {f.price(day.price)}"
            yield f"             {f.date(day.date)} {charged}"
        if len(reading.lost) > MOST_LISTED:
            yield f"             and {len(reading.lost) - MOST_LISTED} more"


def worth_lines(value: float, product: str, run: str, f: Formatter) -> Iterator[str]:
    """Yield what the rest of a test is worth, and how to end one that is worth less than nothing."""
    if value >= 0:
        yield f"  rest       worth {f.money(value)}, net of its cost"
    else:
        why, command = losing_test_words(value, product, run, f)
        yield f"  rest       {why}"
        yield f"             {command}"


def _verdict(test: Entry, found: InterimAnalysis, f: Formatter) -> str:
    against, price = (f.price(price) for price in arm_prices(test))
    if found.verdict == "running":
        return "the test goes on"
    if found.verdict == "undecided":
        return "not proven, the test has ended: the next advice weighs its days"
    better = f"brings {'more' if found.verdict == 'higher' else 'less'} {test['question']}"
    return f"proven: {price} {better} than {against}"


def _effect(found: InterimAnalysis, question: str, f: Formatter) -> str:
    """Return an effect with its limits."""
    size, low, high = _signed((found.estimate, found.low, found.high), question, f)
    return f"{size} per {f.period} (95 % at every look: {low} to {high})"


def _against(price: float, regular_price: float, f: Formatter) -> str:
    return f"{f.price(price)} against {f.price(regular_price)}"


def _signed(values: Sequence[float], question: str, f: Formatter) -> list[str]:
    """Return effects with the same digits."""
    known = list(filter(math.isfinite, values))
    digits = unit_digits(*known) if question == "units" else f.money_digits(*known)
    show = f.number if question == "units" else f.money
    return [show(value, digits, "+") if math.isfinite(value) else "unlimited" for value in values]


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
