"""Words of the command ``price-test``: planned tests and their ranking, refusals, and what a test has shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pricerl.advice.sentences.next_steps import losing_test_words
from pricerl.data.days import WEEK
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.env.product import Product
from pricerl.experiments.analysis import ANYTIME, FINAL, InterimAnalysis
from pricerl.experiments.plan import MATTERS, PlannedTest, PriceTest
from pricerl.experiments.reading import Reading
from pricerl.experiments.schedule import arm_prices
from pricerl.formatting import Formatter, plural, unit_digits
from pricerl.operations.log.decision_log import Entry
from pricerl.terminal import shown

MOST_LISTED = 10
"""Most lost days that are listed."""


def rank_cells(test: PriceTest, f: Formatter) -> tuple[str, str, str, str, str, str, str]:
    """Return price, width, weeks, net value, expected, largest and worst cost of a test."""
    width = f.percent(test.price / test.regular_price - 1, 0, plus="+")
    gain, expected, most, worst = map(f.money, (test.gain, test.expected_cost, test.cost, test.worst_cost))
    return f.price(test.price), width, str(test.days // WEEK), gain, expected, most, worst


def plan_lines(planned: PlannedTest, order: Mapping[str, Any], draws: int, f: Formatter) -> list[str]:
    """Return a planned test: its prices, worth, cost and design."""
    test = planned.test
    days = f"{plural(test.days, 'day')}, from {f.date(order['first_day'])} to {f.date(order['until'])}"
    expected = f"expected: {'costs' if test.expected_cost >= 0 else 'earns'} {f.money(abs(test.expected_cost))}"
    worst = f"{f.money(test.worst_cost)} in the worst of {draws}"
    washout = f"the first {plural(test.washout, 'day')} of each not counted" if test.washout else "every day counts"
    return [
        f"{shown(order['product'])}: {_against(test.price, test.regular_price, f)}, {days}",
        f"  worth      {f.money(test.gain)} within {_time_of(planned)}, net of its cost, over deciding now",
        f"  cost       at most {f.money(test.cost)} in 19 of 20 plausible scenarios, {worst}; {expected}",
        f"  expected   another price than without the test in {f.percent(test.decides, 0)} of plausible scenarios",
        f"  design     {planned.design.pairs} pairs of blocks of {test.block} days in random order, {washout}",
        f"  question   which price brings more {test.question}; the advice after it weighs its days",
        f"  proof      a proven difference, with at most {f.percent(ANYTIME + FINAL, 0)} errors, earns grade A",
    ]


def refusal_lines(product: Product, planned: PlannedTest | None, question: str | None, f: Formatter) -> list[str]:
    """Return why no test is planned, with the numbers, and what to do about it."""
    if planned is None and (question or product.market.measure) == "profit" and not product.fitted.cost.known:
        why = "no test of profit, as your costs are unknown"
        remedy = "name your costs (--costs costs.csv, made by init), or compare revenue (--question sales)"
    elif planned is None:
        why = "no test, as your limits leave no other price from which the price may also come back"
        remedy = "widen data.guardrails (guardrails.yaml, made by init) or end a pause"
    elif planned.test.pays:
        why = "your limits allow no schedule of that test"
        remedy = "widen data.guardrails, or try another --from"
    else:
        test = planned.test
        against = f"{_against(test.price, test.regular_price, f)}, {plural(test.days, 'day')}"
        why = f"no price test pays; the best one: {against}, for up to {f.money(test.cost)}"
        more = "more" if test.gain >= 0 else "less"
        remedy = f"within {_time_of(planned)} it is worth {f.money(abs(test.gain))} {more} than deciding now"
        if test.gain >= 0:
            few = f"; below {f.money(planned.matters)} ({f.percent(MATTERS, 1)} of earnings) it is not worth the work"
            remedy += few if planned.fits else ", but --max_days or --max_cost (else decision.loss_budget) allows less"
    return [f"{shown(product.name)}: {why}", f"  {remedy}"]


def reading_lines(test: Entry, reading: Reading, f: Formatter) -> Iterator[str]:
    """Yield what a test has shown so far."""
    found = reading.question
    rows = len(test["schedule"])
    prices = _against(*arm_prices(test)[::-1], f)
    yield f"{shown(test['product'])}: {prices}, {reading.passed} of {plural(rows, f.period)} have passed"
    yield f"  verdict    {_verdict(test, found, f)}"
    if found.pairs:
        blocks = test["schedule"][-1]["block"] // 2
        p_value = "below 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
        yield f"  evidence   {found.pairs} of {blocks} pairs; randomisation p-value {p_value}"
        sales = found if reading.profit is None and test["question"] == "sales" else None
        effects = {"units": reading.units, "profit": reading.profit, "sales": sales}
        yield from (f"  {name:<10} {_effect(item, name, f)}" for name, item in effects.items() if item is not None)
    if reading.lost:
        yield f"  lost       {plural(len(reading.lost), f.period)} not as scheduled, not counted:"
    for day in reading.lost[:MOST_LISTED]:
        charged = "no recorded sales, or out of stock" if day.price is None else f"at {f.price(day.price)}"
        yield f"             {f.date(day.date)} {charged}"
    if more := reading.lost[MOST_LISTED:]:
        yield f"             and {len(more)} more"


def worth_lines(value: float, product: str, run: str, f: Formatter) -> list[str]:
    """Return what the rest of a test is worth, and how to end one that is worth less than nothing."""
    if value >= 0:
        return [f"  rest       worth {f.money(value)}, net of its cost"]
    why, command = losing_test_words(value, product, run, f)
    return [f"  rest       {why}", f"             {command}"]


def _time_of(planned: PlannedTest) -> str:
    """Return the time in which a test and what follows it count."""
    return "a quarter" if planned.counts <= DAYS_PER_QUARTER else plural(planned.counts, "day")


def _verdict(test: Entry, found: InterimAnalysis, f: Formatter) -> str:
    against, price = (f.price(price) for price in arm_prices(test))
    better = "more" if found.verdict == "higher" else "less"
    others = {
        "running": "the test goes on",
        "undecided": "not proven, the test has ended: the next advice weighs its days",
    }
    return others.get(found.verdict, f"proven: {price} brings {better} {test['question']} than {against}")


def _effect(found: InterimAnalysis, question: str, f: Formatter) -> str:
    """Return an effect with its limits, all with the same digits."""
    values = (found.estimate, found.low, found.high)
    known = list(filter(math.isfinite, values))
    digits = unit_digits(*known) if question == "units" else f.money_digits(*known)
    show = f.number if question == "units" else f.money
    size, low, high = (show(value, digits, "+") if math.isfinite(value) else "unlimited" for value in values)
    return f"{size} per {f.period} (95 % at every look: {low} to {high})"


def _against(price: float, regular_price: float, f: Formatter) -> str:
    return f"{f.price(price)} against {f.price(regular_price)}"
