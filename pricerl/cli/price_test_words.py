"""Plan and result of a price test in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pricerl.experiments.analysis import ANYTIME, FINAL, InterimAnalysis
from pricerl.experiments.design import POWER
from pricerl.experiments.reading import Interference, Reading
from pricerl.formatting import Formatter, plural, unit_digits
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import explain_price
from pricerl.terminal import shown

if TYPE_CHECKING:
    from pricerl.experiments.plan import PlannedTest

MOST_LOST = 10
"""Most lost days that are listed."""

CARRIES_OVER = 0.05
"""Largest p-value at which buyers seem to react to the switch itself."""


def plan_words(planned: PlannedTest, order: Mapping[str, Any], draws: int, others: bool, f: Formatter) -> Iterator[str]:
    """Yield the plan of a test in lines."""
    test, design = planned.test, planned.design
    days = f"{plural(test.days, 'day')} from {f.date(order['first_day'])} to {f.date(order['until'])}"
    prices = f"{f.price(test.price)} against {f.price(test.regular_price)}"
    yield f"{shown(order['product'])}: {prices}, {days}"
    washout = f"the first {plural(test.washout, 'day')} of each not counted" if test.washout else "every day counts"
    yield f"  design     {design.pairs} pairs of blocks of {test.block} days in random order, {washout}"
    yield f"  question   which price brings more {test.question}"
    effect = _amount(abs(test.effect), test.question, f)
    yield f"  power      finds a difference of {effect} per {f.period} with a probability of {f.percent(test.power, 0)}"
    if test.detectable is not None:
        smallest = _amount(test.detectable, test.question, f)
        yield f"             smallest difference found with {f.percent(POWER, 0)}: {smallest} per {f.period}"
    yield f"             averaged over the plausible scenarios it decides with {f.percent(test.decides, 0)}"
    expected = f"expected: {'costs' if test.expected_cost >= 0 else 'earns'} {f.money(abs(test.expected_cost))}"
    worst = f"{f.money(test.worst_cost)} in the worst of {draws}"
    yield f"  cost       at most {f.money(test.cost)} in 19 of 20 plausible scenarios, {worst}; {expected}"
    yield f"  stop rule  at every look the {f.percent(1 - ANYTIME, 0)} confidence sequence may decide;"
    yield f"             at the end, once, the randomisation test at {f.percent(FINAL, 0)}: together at most 5 % errors"
    if others:
        yield "  others     if buyers switch to other products of the file, a test of one product overstates effects,"
        yield "             by up to 100 % (arXiv 2402.14538), or has the wrong sign (2310.17165); read measures that"


def refusal_words(
    product: str, planned: PlannedTest | None, of_units: PlannedTest | None, f: Formatter
) -> Iterator[str]:
    """Yield why no test can decide, with the numbers, and the question that one can answer."""
    if planned is None:
        yield f"{shown(product)}: no test: the guardrails allow no other price with a way back, or costs are unknown"
        yield "  name your costs (--costs costs.csv, made by init), widen data.guardrails, or ask --question units"
    elif planned.test.affordable:
        yield f"{shown(product)}: no schedule passes the guardrails; begin later with --from, or widen data.guardrails"
    else:
        test = planned.test
        volume = f"{f.number(test.units, unit_digits(test.units))} units per {f.period}"
        lift = f"at {volume} a 5 % lift would need {f.number(test.arm_days, 0)} days per arm"
        yield f"{shown(product)}: no affordable test can show which price brings more {test.question}; {lift}"
        effect = _amount(abs(test.effect), test.question, f)
        need = f"{f.number(test.needed_days, 0)} days and up to {f.money(test.cost * test.needed_days / test.days)}"
        found = f"in {plural(test.days, 'day')} it is found with a probability of {f.percent(test.power, 0)}"
        yield f"  {f.price(test.price)} against {f.price(test.regular_price)}: a difference of {effect} per {f.period}"
        yield f"  would need {need}; {found}"
    if of_units is not None and of_units.test.affordable:
        test = of_units.test
        prices = f"{f.price(test.price)} against {f.price(test.regular_price)}"
        found = f"find that with a probability of {f.percent(test.power, 0)}"
        yield "  How strongly units react can be measured (price-test plan --question units):"
        yield f"  {plural(test.days, 'day')} of {prices} {found}, at most {f.money(test.cost)}"


def reading_words(test: Entry, reading: Reading, entries: Sequence[Entry], f: Formatter) -> Iterator[str]:
    """Yield the state of a test in lines."""
    found, rows = reading.question, len(test["schedule"])
    prices = f"{f.price(test['test_price'])} against {f.price(test['regular_price'])}"
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
    if reading.carry_over is not None:
        gap, p_value = reading.carry_over
        words = "buyers seem to react to the switch itself" if p_value <= CARRIES_OVER else "no sign of carry-over"
        size = f.number(gap, unit_digits(gap), "+")
        yield f"  carry-over first day minus later ones: {size} units, p-value {_p_value(p_value)}; {words}"
    if reading.interference is not None:
        yield from _interference_words(reading.interference, f)
    if reading.lost:
        yield f"  lost       {plural(len(reading.lost), f.period)} not as scheduled, not counted:"
        for day in reading.lost[:MOST_LOST]:
            charged = "" if day.price is None else f" at {f.price(day.price)}"
            why = explain_price(test, day.date, day.price, entries)
            yield f"             {f.date(day.date)}{charged}: {why}"
        if len(reading.lost) > MOST_LOST:
            yield f"             and {len(reading.lost) - MOST_LOST} more"


def _verdict(test: Entry, found: InterimAnalysis, f: Formatter) -> str:
    if found.verdict == "running":
        return "the test goes on: neither price is clearly better yet"
    if found.verdict == "undecided":
        return "not decided: no difference was found, and the test has ended"
    more = "more" if found.verdict == "higher" else "less"
    measured = "sells more units" if test["question"] == "units" else f"brings more {test['question']}"
    measured = measured.replace("more", more if test["question"] != "units" or more == "more" else "fewer")
    return f"decided: {f.price(test['test_price'])} {measured} than {f.price(test['regular_price'])}"


def _effect(found: InterimAnalysis, question: str, f: Formatter) -> str:
    """Return an effect with its limits."""
    ends = [f"{_signed(end, question, f)}" if math.isfinite(end) else "unlimited" for end in (found.low, found.high)]
    return f"{_signed(found.estimate, question, f)} per {f.period} (95 % at every look: {ends[0]} to {ends[1]})"


def _interference_words(found: Interference, f: Formatter) -> Iterator[str]:
    limits = [f.money(end, plus="+") if math.isfinite(end) else "unlimited" for end in (found.low, found.high)]
    own, others = f.money(found.own, plus="+"), f.money(found.others, plus="+")
    span = f"(95 %: {limits[0]} to {limits[1]})"
    yield f"  others     sales of this product {own}, of all others {others} per {f.period} {span}"
    if found.opposite and found.bound > 0:
        names = ", ".join(shown(name, 40) for name in found.opposite[:3])
        bias = f"a test of one product overstates the effect on all sales by at most {f.percent(found.bound, 0)}"
        yield f"             {names} moved the other way: {bias} (arXiv 2310.17165)"


def _signed(value: float, question: str, f: Formatter) -> str:
    return f.number(value, unit_digits(value), "+") if question == "units" else f.money(value, plus="+")


def _amount(value: float, question: str, f: Formatter) -> str:
    return f"{f.number(value, unit_digits(value))} units" if question == "units" else f.money(value)


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
