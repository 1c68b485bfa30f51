"""Command ``price-test``: plan a randomised test of two prices, start it, and judge it by its stop rule."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pricerl.cli.decisions import actor_of, add_run_options, outbox_lines, shop_of, typed_text
from pricerl.cli.usage import Parser, add_author_options, option_words, with_first
from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, DataError, UsageError, did_you_mean
from pricerl.experiments.analysis import ANYTIME, FINAL, SURE, InterimAnalysis
from pricerl.experiments.reading import Interference, Reading, read_test
from pricerl.experiments.schedule import PLAN, SCHEDULE, read_plan, render_plan, render_schedule
from pricerl.formatting import Formatter, plural, unit_digits
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.guardrails.price_grid import same_price
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.orders import PRICE_TEST, TEST_RESULT, TOLERANCE, doubt_price
from pricerl.operations.outbox import limits_of
from pricerl.operations.shop import Shop, choose_product, read_day
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.terminal import shown, write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:  # they need torch
    from pricerl.env.product import Product
    from pricerl.experiments.plan import PlannedTest
    from pricerl.training.run import Run

MOST_LISTED = 10
"""Most lost days, and most products, that are listed."""

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


def _load(options: argparse.Namespace, rest: Sequence[str]) -> tuple[Run, list[Product]]:
    """Return the run with its file, and the product that is named or else all."""
    from pricerl.cli.advise import run_lightning
    from pricerl.env.product import Product

    given = {"data.path": options.path, **{name: getattr(options, name) for name in ("run_name", "ckpt_path", "today")}}
    run = run_lightning("predict", [*rest, *option_words(given)])
    names = run.pricing.preprocessor.names
    chosen = names if options.product is None else [choose_product(names, options.product, "the file")]
    return run, [Product(run.pricing.dynamics_on_cpu, names.index(name)) for name in chosen]


def _plan(words: Sequence[str]) -> int:
    """Choose product, prices, blocks and length of the test that earns the most, and write its schedule."""
    parser = _parser("plan", "Plan a price test and write its schedule; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", help="the seller's file; those of the newest advice if absent")
    parser.add_argument("--question", choices=("profit", "sales"), help="what is compared; profit if absent")
    parser.add_argument("--max_days", type=int, default=182, help="most days of the test")
    parser.add_argument("--max_cost", type=float, help="largest cost, exceeded in one of 20 plausible scenarios, money")
    parser.add_argument("--from", dest="first", help="first day, such as 2026-01-31; the earliest possible if absent")
    parser.add_argument("--test_seed", type=int, default=0, help="seed of the random order of the blocks")
    options, rest = parser.parse_known_args(words)
    first = _check(options)
    run, products = _load(options, rest)
    from pricerl.experiments.plan import Budget, make_order, plan_schedule

    if first is not None and first < (earliest := max(product.first_day for product in products)):
        raise UsageError(f"--from: {first} is in the history, which ends before {earliest}; choose a later day")
    budget = Budget(options.max_days, options.max_cost)
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    free = [product for product in products if len(products) == 1 or shop.order_on(product.name) is None]
    if not free:
        raise UsageError("every product of the file has a test or another order in force; end one with resume first")
    plans = [
        (item, *plan_schedule(item, options.question, budget, options.test_seed, first, _keeps(shop, item.name)))
        for item in free
    ]
    plans.sort(key=lambda found: (bool(found[2]), found[1].test.gain if found[1] else -math.inf), reverse=True)
    product, planned, schedule = plans[0]
    name = needed_name(run.folder, LOG_FILE)
    if planned is None or not schedule:
        write_lines([f"none of {len(plans)} products has a test to start; the nearest to one:"] if plans[1:] else [])
        write_lines(_refusal_lines(product, planned, options.question, name, run.formatter))
        return EXIT_NOT_ENOUGH_EVIDENCE
    order = make_order(planned, schedule, product, options.test_seed)
    write_text(run.folder / SCHEDULE, render_schedule(schedule))
    write_text(run.folder / PLAN, render_plan(order, asdict(planned.test)))
    others = len(run.pricing.preprocessor.names) > 1
    write_lines(_plan_lines(planned, order, product.market.num_draws, others, run.formatter))
    command = f"pricerl price-test start{f' {shlex.quote(name)}' if name else ''}"
    write_lines([f"  written    {run.folder / SCHEDULE}; start it with {command}"])
    if more := [shown(item.name, 40) for item, _, found in plans[1:] if found]:
        pays = f"tests of {', '.join(more[:MOST_LISTED])} pay as well"
        write_lines([f"  also       {pays}: start this one, then plan again; several may run at once"])
    return EXIT_OK


def _keeps(shop: Shop, product: str) -> bool:
    """Return whether the last advice on a product, if there is one, is to keep its price."""
    last = shop.newest.get(product)
    return last is None or all(same_price(day["price"], last["current_price"]) for day in last["days"])


def _check(options: argparse.Namespace) -> date | None:
    """Refuse limits that no test can keep, and return the first day."""
    if options.max_days < 1:
        raise UsageError(f"--max_days: must be 1 or more, found {options.max_days}")
    if options.max_cost is not None and not 0 <= options.max_cost < math.inf:
        raise UsageError(f"--max_cost: must be an amount of money, 0 or more, found {options.max_cost:g}")
    if options.test_seed < 0:
        raise UsageError(f"--test_seed: must be 0 or more, found {options.test_seed}")
    return None if options.first is None else read_day(options.first, "--from")


def _plan_lines(
    planned: PlannedTest, order: Mapping[str, Any], draws: int, others: bool, f: Formatter
) -> Iterator[str]:
    test = planned.test
    days = f"up to {plural(test.days, 'day')}, from {f.date(order['first_day'])} to {f.date(order['until'])}"
    yield f"{shown(order['product'])}: {_against(test.price, test.regular_price, f)}, {days}"
    yield f"  worth      {f.money(test.gain)} within a year, net of its cost, over deciding now"
    expected = f"expected: {'costs' if test.expected_cost >= 0 else 'earns'} {f.money(abs(test.expected_cost))}"
    worst = f"{f.money(test.worst_cost)} in the worst of {draws}"
    yield f"  cost       at most {f.money(test.cost)} in 19 of 20 plausible scenarios, {worst}; {expected}"
    shares = f"a verdict in {f.percent(test.decides, 0)} of plausible scenarios, a wrong one in"
    yield f"  expected   {shares} {f.percent(test.wrong, 0)}; it ends after {plural(test.mean_days, 'day')} on average"
    washout = f"the first {plural(test.washout, 'day')} of each not counted" if test.washout else "every day counts"
    blocks = f"{planned.design.pairs} pairs of blocks of {test.block} days"
    yield f"  design     {blocks} in random order, {washout}"
    yield f"  question   which price brings more {test.question}"
    yield f"  stop rule  ends early when a choice is expected to lose at most {f.money(test.largest_loss)};"
    yield f"             a price must be better with a probability of {f.percent(SURE, 0)} to be chosen"
    yield f"  proof      a proven difference, with at most {f.percent(ANYTIME + FINAL, 0)} errors, earns grade A"
    if others:
        yield "  others     buyers who switch to your other products bias a test of one; read measures that"


def _refusal_lines(
    product: Product, planned: PlannedTest | None, question: str | None, name: str, f: Formatter
) -> Iterator[str]:
    """Yield why no test is planned, with the numbers, and what shows the response of buyers instead."""
    from pricerl.decide.exploration import OFFERED, mind_changes

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
        against = f"{_against(test.price, test.regular_price, f)}, up to {plural(test.days, 'day')}"
        yield f"{start}: no price test pays; the best one: {against}, for up to {f.money(test.cost)}"
        more = "more" if test.gain >= 0 else "less"
        yield f"  within a year it is expected to earn {f.money(abs(test.gain))} {more} than deciding now"
        if not mind_changes(product.fitted.memory):
            run = f" --run_name {shlex.quote(name)}" if name else ""
            yield f"  random prices, {f.percent(OFFERED, 0)} up or down, cost little and show how buyers respond:"
            yield f"  pricerl predict{run} --decision.explore_share {OFFERED:g}"


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
    """Return the draft of a test, or raise a ``UsageError`` if plan, limits, doubts or another order forbid it."""
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
    """Judge the last test of each product by its stop rule from a fresh file."""
    parser = _parser("read", "Judge the last price test of a product; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", required=True, help="the seller's file with the days of the test")
    parser.add_argument("--by", help="person who reads; your user name if absent")
    options, rest = parser.parse_known_args(words)
    run, products = _load(options, rest)
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    log = shop.log_path
    entries = shop.log.entries
    named = {product.name: product for product in products}
    tests = [item for item in entries if item["kind"] == PRICE_TEST and item["product"] in named]
    if not tests:
        of = f" of {shown(options.product)}" if options.product else ""
        raise DataError(str(log), [f"has no price test{of}; start one with price-test plan and start"])
    for test in {item["product"]: item for item in tests}.values():
        product = named[test["product"]]
        reading = read_test(test, run.pricing.preprocessor.products, product.index)
        write_lines(_reading_lines(test, reading, run.formatter))
        if reading.question.verdict == "undecided" and not same_price(product.current_price, test["regular_price"]):
            back = ["override", f"{test['regular_price']:g}", "--product", test["product"], "--reason", "price test"]
            back += ["--until", str(shop.today + timedelta(days=13)), "--run_name", run.folder.name]
            write_lines([f"  next       {shlex.join(['pricerl', *back])}"])
        recorded = any(entry["kind"] == TEST_RESULT and entry.get("test") == test["id"] for entry in entries)
        if reading.question.verdict != "running" and not recorded:
            draft = stamp(TEST_RESULT, actor_of(options.by), "by the stop rule of the test")
            (*_, entry), after = shop.record([draft | _result(test, reading)])
            done = f"entry {entry['id']} of {log}; the test has ended, and predict advises with its result"
            write_lines([f"  recorded   {done}", *outbox_lines(after)])
    return EXIT_OK


def _result(test: Entry, reading: Reading) -> Entry:
    """Return the content of the log's entry of a decided test."""
    found = reading.question
    return {
        **{key: test[key] for key in ("product", "question", "regular_price", "test_price")},
        "test": test["id"],
        "verdict": found.verdict,
        "pairs": found.pairs,
        "estimate": found.estimate if found.pairs else 0.0,
        "limits": [limit if math.isfinite(limit) else None for limit in (found.low, found.high)],
        "p_value": found.p_value,
        "proven": found.proven,
        "last_day": reading.last_day,
        "lost": [day.date for day in reading.lost],
    }


def _reading_lines(test: Entry, reading: Reading, f: Formatter) -> Iterator[str]:
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
        for day in reading.lost[:MOST_LISTED]:
            charged = "no recorded sales, or out of stock" if day.price is None else f"at {f.price(day.price)}"
            yield f"             {f.date(day.date)} {charged}"
        if len(reading.lost) > MOST_LISTED:
            yield f"             and {len(reading.lost) - MOST_LISTED} more"


def _verdict(test: Entry, found: InterimAnalysis, f: Formatter) -> str:
    regular = f.price(test["regular_price"])
    loss = "" if found.loss is None or not math.isfinite(found.loss) else f.money(found.loss)
    now = f"; to choose now is expected to lose {loss} in the rest of the year" if loss else ""
    if found.verdict == "running":
        return f"the test goes on{now}"
    if found.verdict == "undecided":
        return f"not decided, the test has ended: charge {regular}{now}"
    better = f"brings {'more' if found.verdict == 'higher' else 'less'} {test['question']}"
    sure = "proven" if found.proven else f"not proven, but it is expected to lose only {loss} in the rest of the year"
    return f"decided: {f.price(test['test_price'])} {better} than {regular} ({sure})"


def _effect(found: InterimAnalysis, question: str, f: Formatter) -> str:
    """Return an effect with its limits."""
    size, low, high = (_signed(value, question, f) for value in (found.estimate, found.low, found.high))
    return f"{size} per {f.period} (95 % at every look: {low} to {high})"


def _interference_lines(found: Interference, f: Formatter) -> Iterator[str]:
    own, others, low, high = (_signed(value, "sales", f) for value in (found.own, found.others, found.low, found.high))
    span = f"(95 %: {low} to {high})"
    yield f"  others     sales of this product {own}, of all others {others} per {f.period} {span}"
    if found.opposite and found.bound > 0:
        names = ", ".join(shown(name, 40) for name in found.opposite[:3])
        bias = f"a test of one product overstates the effect on all sales by at most {f.percent(found.bound, 0)}"
        yield f"             {names} moved the other way: {bias}"


def _against(price: float, regular_price: float, f: Formatter) -> str:
    return f"{f.price(price)} against {f.price(regular_price)}"


def _signed(value: float, question: str, f: Formatter) -> str:
    if not math.isfinite(value):
        return "unlimited"
    return f.number(value, unit_digits(value), "+") if question == "units" else f.money(value, plus="+")


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
