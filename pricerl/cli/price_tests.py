"""Command ``price-test``: plan a randomised test of two prices, start it, and judge it by its stop rule."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from pricerl.cli.decisions import actor_of, add_run_options, outbox_lines, shop_of, typed_text
from pricerl.cli.usage import Parser, add_author_options, option_words, with_first
from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, DataError, UsageError, did_you_mean
from pricerl.experiments.analysis import ANYTIME, FINAL, POWER, Interference, InterimAnalysis, Reading, read_test
from pricerl.experiments.schedule import PLAN, SCHEDULE, read_plan, render_plan, render_schedule
from pricerl.formatting import Formatter, plural, unit_digits
from pricerl.guardrails.hard_limits import refuse_price
from pricerl.guardrails.price_grid import same_price
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.orders import PRICE_TEST, TEST_RESULT, TOLERANCE, doubt_price, explain_price
from pricerl.operations.outbox import limits_of
from pricerl.operations.shop import Shop, choose_product
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.terminal import shown, write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:  # they need torch
    from pricerl.env.product import Product
    from pricerl.experiments.plan import PlannedTest
    from pricerl.training.run import Run

MOST_LOST = 10
"""Most lost days that are listed."""

CARRIES_OVER = 0.05
"""Largest p-value at which buyers seem to react to the switch itself."""


def price_test(words: Sequence[str]) -> int:
    """Plan a randomised test of two prices (plan), follow its schedule (start), or judge it (read)."""
    actions = {"plan": _plan, "start": _start, "read": _read}
    if words and words[0] in actions:
        return actions[words[0]](with_first(words[1:], "--run_name"))
    if words and words[0] in ("-h", "--help"):
        write_lines([f"usage: pricerl price-test {'|'.join(actions)} RUN [options]", str(price_test.__doc__)])
        return EXIT_OK
    found = f"found {words[0]!r}{did_you_mean(words[0], actions)}" if words else "found nothing"
    raise UsageError(f"price-test: the first word must be plan, start or read, {found}")


def _parser(action: str, purpose: str) -> Parser:
    parser = Parser(prog=f"pricerl price-test {action}", description=purpose, allow_abbrev=False)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if there are several")
    return parser


def _load(options: argparse.Namespace, rest: Sequence[str]) -> tuple[Run, Product]:
    """Return the run with its file, and the product."""
    from pricerl.cli.advise import run_lightning
    from pricerl.env.product import Product

    given = {"data.path": options.path, **{name: getattr(options, name) for name in ("run_name", "ckpt_path", "today")}}
    run = run_lightning("predict", [*rest, *option_words(given)])
    names = run.pricing.preprocessor.names
    index = names.index(choose_product(names, options.product, "the file"))
    return run, Product(run.pricing.dynamics_on_cpu, index)


def _plan(words: Sequence[str]) -> int:
    """Choose prices, blocks and length of a test, and write its schedule."""
    parser = _parser("plan", "Plan a price test and write its schedule; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", help="the seller's file; those of the newest advice if absent")
    parser.add_argument("--question", choices=("profit", "sales", "units"), help="what is compared; profit if absent")
    parser.add_argument("--max_days", type=int, default=182, help="most days of the test")
    parser.add_argument("--max_cost", type=float, help="largest cost, exceeded in one of 20 plausible scenarios, money")
    parser.add_argument("--from", dest="first", help="first day, such as 2026-01-31; the earliest possible if absent")
    parser.add_argument("--test_seed", type=int, default=0, help="seed of the random order of the blocks")
    options, rest = parser.parse_known_args(words)
    first = _check(options)
    run, product = _load(options, rest)
    from pricerl.experiments.design import SIMULATED
    from pricerl.experiments.plan import Budget, make_order, plan_price_test, plan_schedule

    if first is not None and first < product.first_day:
        end = product.history.dates[-1]
        raise UsageError(f"--from: {first} is in the history, which ends on {end}; choose a later day")
    budget = Budget(options.max_days, options.max_cost)
    planned, schedule = plan_schedule(product, options.question, budget, SIMULATED, options.test_seed, first)
    if planned is None or not schedule:
        of_units = None
        if options.question != "units":
            of_units = plan_price_test(product, "units", budget, SIMULATED, options.test_seed)
        write_lines(_refusal_lines(product.name, planned, of_units, run.formatter))
        return EXIT_NOT_ENOUGH_EVIDENCE
    order = make_order(planned, schedule, product, options.test_seed)
    write_text(run.folder / SCHEDULE, render_schedule(schedule))
    write_text(run.folder / PLAN, render_plan(order, asdict(planned.test)))
    others = len(run.pricing.preprocessor.names) > 1
    write_lines(_plan_lines(planned, order, product.market.num_draws, others, run.formatter))
    name = needed_name(run.folder, LOG_FILE)
    command = f"pricerl price-test start{f' {shlex.quote(name)}' if name else ''}"
    write_lines([f"  written    {run.folder / SCHEDULE}; start it with {command}"])
    return EXIT_OK


def _check(options: argparse.Namespace) -> date | None:
    """Refuse limits that no test can keep, and return the first day."""
    if options.max_days < 1:
        raise UsageError(f"--max_days: must be 1 or more, found {options.max_days}")
    if options.max_cost is not None and not 0 <= options.max_cost < math.inf:
        raise UsageError(f"--max_cost: must be an amount of money, 0 or more, found {options.max_cost:g}")
    if options.test_seed < 0:
        raise UsageError(f"--test_seed: must be 0 or more, found {options.test_seed}")
    try:
        return None if options.first is None else date.fromisoformat(options.first)
    except ValueError:
        raise UsageError(f"--from: must be a day such as 2026-01-31, found {options.first!r}") from None


def _plan_lines(
    planned: PlannedTest, order: Mapping[str, Any], draws: int, others: bool, f: Formatter
) -> Iterator[str]:
    test = planned.test
    days = f"{plural(test.days, 'day')} from {f.date(order['first_day'])} to {f.date(order['until'])}"
    yield f"{shown(order['product'])}: {_against(test.price, test.regular_price, f)}, {days}"
    washout = f"the first {plural(test.washout, 'day')} of each not counted" if test.washout else "every day counts"
    blocks = f"{planned.design.pairs} pairs of blocks of {test.block} days"
    yield f"  design     {blocks} in random order, {washout}"
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


def _refusal_lines(
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
        yield f"  {_against(test.price, test.regular_price, f)}: a difference of {effect} per {f.period}"
        yield f"  would need {need}; {found}"
    if of_units is not None and of_units.test.affordable:
        test = of_units.test
        prices = _against(test.price, test.regular_price, f)
        found = f"find that with a probability of {f.percent(test.power, 0)}"
        yield "  How strongly units react can be measured (price-test plan --question units):"
        yield f"  {plural(test.days, 'day')} of {prices} {found}, at most {f.money(test.cost)}"


def _start(words: Sequence[str]) -> int:
    """Record the planned test; advice follows its schedule from now on."""
    parser = _parser("start", "Start the planned price test: predict and prices.csv follow its schedule.")
    add_author_options(parser)
    far = "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%"
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=far)
    parser.add_argument("--force", action="store_true", help="charge prices beyond that, or never tried")
    options = parser.parse_args(words)
    shop = shop_of(options)
    order = read_plan(shop.log_path.parent)
    if options.product not in (None, order["product"]):
        raise UsageError(f"--product: the plan is for {shown(order['product'])}, not for {shown(options.product)}")
    draft = stamp(PRICE_TEST, actor_of(options.by), typed_text(options.reason) or "to measure which price is better")
    (*_, entry), after = shop.record(lambda shop: [_checked(shop, order | draft, options)])
    blocks = entry["schedule"][-1]["block"]
    about = f"{entry['test_price']:g} against {entry['regular_price']:g} from {entry['first_day']} to {entry['until']}"
    chance = f"Every block has the test price with probability {entry['propensity']:g}"
    write_lines(
        [
            f"{shown(entry['product'])}: {about}, {blocks} blocks (entry {entry['id']} of {shop.log_path})",
            f"{chance}; schedule {entry['schedule_hash'][:12]}",
            "fit and predict follow the schedule from now on; override, pause and the kill switch take precedence",
            *outbox_lines(after),
        ]
    )
    return EXIT_OK


def _checked(shop: Shop, draft: Entry, options: argparse.Namespace) -> Entry:
    """Return the draft of a test if nothing stands in its way.

    Raises:
        UsageError: the plan is outdated, its prices break a hard limit or are doubtful, or another order is in force.
    """
    product = draft["product"]
    if product not in shop.newest:
        raise UsageError(f"the run has no advice on {shown(product)} yet; run predict first")
    last = shop.newest[product]
    again = "make it again with price-test plan"
    first = shop.first_day_for(last)
    if draft["first_day"] < first:
        raise UsageError(f"the planned test begins on {draft['first_day']}, before {first}, the next day; {again}")
    if not same_price(last["current_price"], draft["regular_price"]):
        now = f"{last['current_price']:g}, not {draft['regular_price']:g} as when the test was planned"
        raise UsageError(f"the current price of {shown(product)} is {now}; {again}")
    doubts = []
    for price in sorted({row["price"] for row in draft["schedule"]}):
        if refusal := refuse_price(price, limits_of(last), "scheduled price"):
            raise UsageError(f"{refusal}; {again}")
        doubts.append(doubt_price(price, last["current_price"], last["tried"], options.tolerance))
    if any(doubts) and not options.force:
        raise UsageError(f"the scheduled price of {next(filter(None, doubts))}; add --force if you mean it, or {again}")
    if (order := shop.order_on(product)) is not None:
        kind = order.kind.replace("_", " ")
        raise UsageError(f"a {kind} of {shown(product)} until {order.until} is in force; end it with resume first")
    return draft | {"forced": any(doubts)}


def _read(words: Sequence[str]) -> int:
    """Judge the last test by its stop rule from a fresh file."""
    parser = _parser("read", "Judge the last price test of a product; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", required=True, help="the seller's file with the days of the test")
    parser.add_argument("--by", help="person who reads; your user name if absent")
    options, rest = parser.parse_known_args(words)
    run, product = _load(options, rest)
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    log = shop.log_path
    entries = shop.log.entries
    tests = [item for item in entries if item["kind"] == PRICE_TEST and item["product"] == product.name]
    if not tests:
        missing = f"has no price test of {shown(product.name)}; start one with price-test plan and start"
        raise DataError(str(log), [missing])
    test = tests[-1]
    reading = read_test(test, run.pricing.preprocessor.products, product.index)
    write_lines(_reading_lines(test, reading, entries, run.formatter))
    recorded = any(entry["kind"] == TEST_RESULT and entry.get("test") == test["id"] for entry in entries)
    found = reading.question
    if found.verdict != "running" and not recorded:
        result = {
            **{key: test[key] for key in ("product", "question", "regular_price", "test_price")},
            "test": test["id"],
            "verdict": found.verdict,
            "pairs": found.pairs,
            "estimate": found.estimate if found.pairs else 0.0,
            "limits": [limit if math.isfinite(limit) else None for limit in (found.low, found.high)],
            "p_value": found.p_value,
            "last_day": reading.last_day,
            "lost": [day.date for day in reading.lost],
        }
        draft = stamp(TEST_RESULT, actor_of(options.by), "by the stop rule of the test")
        (*_, entry), after = shop.record([draft | result])
        write_lines([f"  recorded   entry {entry['id']} of {log}; the test has ended", *outbox_lines(after)])
    return EXIT_OK


def _reading_lines(test: Entry, reading: Reading, entries: Sequence[Entry], f: Formatter) -> Iterator[str]:
    found = reading.question
    rows = len(test["schedule"])
    prices = _against(test["test_price"], test["regular_price"], f)
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
        size = _signed(gap, "units", f)
        yield f"  carry-over first day minus later ones: {size} units, p-value {_p_value(p_value)}; {words}"
    if reading.interference is not None:
        yield from _interference_lines(reading.interference, f)
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
    if test["question"] == "units":
        better = f"sells {'more' if found.verdict == 'higher' else 'fewer'} units"
    else:
        better = f"brings {'more' if found.verdict == 'higher' else 'less'} {test['question']}"
    return f"decided: {f.price(test['test_price'])} {better} than {f.price(test['regular_price'])}"


def _effect(found: InterimAnalysis, question: str, f: Formatter) -> str:
    """Return an effect with its limits."""
    size, low, high = (
        _signed(value, question, f) if math.isfinite(value) else "unlimited"
        for value in (found.estimate, found.low, found.high)
    )
    return f"{size} per {f.period} (95 % at every look: {low} to {high})"


def _interference_lines(found: Interference, f: Formatter) -> Iterator[str]:
    own, others, low, high = (
        _signed(value, "sales", f) if math.isfinite(value) else "unlimited"
        for value in (found.own, found.others, found.low, found.high)
    )
    span = f"(95 %: {low} to {high})"
    yield f"  others     sales of this product {own}, of all others {others} per {f.period} {span}"
    if found.opposite and found.bound > 0:
        names = ", ".join(shown(name, 40) for name in found.opposite[:3])
        bias = f"a test of one product overstates the effect on all sales by at most {f.percent(found.bound, 0)}"
        yield f"             {names} moved the other way: {bias} (arXiv 2310.17165)"


def _against(price: float, regular_price: float, f: Formatter) -> str:
    return f"{f.price(price)} against {f.price(regular_price)}"


def _amount(value: float, question: str, f: Formatter) -> str:
    return f"{f.number(value, unit_digits(value))} units" if question == "units" else f.money(value)


def _signed(value: float, question: str, f: Formatter) -> str:
    return f.number(value, unit_digits(value), "+") if question == "units" else f.money(value, plus="+")


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
