"""Command ``price-test``: plan a randomised test of two prices, start it, and judge it by its stop rule."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

from pricerl.cli.decisions import actor_of, add_run_options, outbox_lines, shop_of, typed_text
from pricerl.cli.usage import Parser, add_author_options, option_words, with_first
from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, DataError, UsageError, did_you_mean
from pricerl.experiments.schedule import PLAN, SCHEDULE, read_plan, render_plan, render_schedule
from pricerl.guardrails.hard_limits import refuse_price
from pricerl.guardrails.price_grid import same_price
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.orders import PRICE_TEST, TEST_RESULT, TOLERANCE, doubt_price
from pricerl.operations.outbox import limits_of
from pricerl.operations.shop import Shop, choose_product
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.terminal import shown, write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.env.product import Product
    from pricerl.experiments.reading import Reading
    from pricerl.training.run import Run


def price_test(words: Sequence[str]) -> int:
    """Plan a randomised test of two prices (plan), follow its schedule (start), or judge it (read)."""
    actions = {"plan": _plan, "start": _start, "read": _read}
    if not words or words[0] not in actions:
        if words and words[0] in ("-h", "--help"):
            write_lines([f"usage: pricerl price-test {'|'.join(actions)} RUN [options]", str(price_test.__doc__)])
            return EXIT_OK
        found = f"found {words[0]!r}{did_you_mean(words[0], actions)}" if words else "found nothing"
        raise UsageError(f"price-test: the first word must be plan, start or read, {found}")
    return actions[words[0]](with_first(words[1:], "--run_name"))


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
    from pricerl.cli.price_test_words import plan_words, refusal_words
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
        write_lines(refusal_words(product.name, planned, of_units, run.formatter))
        return EXIT_NOT_ENOUGH_EVIDENCE
    order = make_order(planned, schedule, product, options.test_seed)
    write_text(run.folder / SCHEDULE, render_schedule(schedule))
    write_text(run.folder / PLAN, render_plan(order, asdict(planned.test)))
    others = len(run.pricing.preprocessor.names) > 1
    write_lines(plan_words(planned, order, product.market.num_draws, others, run.formatter))
    name = needed_name(run.folder, LOG_FILE)
    command = f"pricerl price-test start{f' {shlex.quote(name)}' if name else ''}"
    write_lines([f"  written    {run.folder / SCHEDULE}; start it with {command}"])
    return EXIT_OK


def _check(options: argparse.Namespace) -> date | None:
    """Refuse limits that no test can keep, and return the first day.

    Raises:
        UsageError: an option is wrong.
    """
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


def _start(words: Sequence[str]) -> int:
    """Record the planned test; advice follows its schedule from now on."""
    parser = _parser("start", "Start the planned price test: predict and prices.csv follow its schedule.")
    add_author_options(parser)
    far = "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%"
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=far)
    parser.add_argument("--force", action="store_true", help="charge prices beyond that, or never tried")
    options = parser.parse_args(words)
    shop = shop_of(options)
    log = shop.log_path
    order = read_plan(log.parent)
    if options.product not in (None, order["product"]):
        raise UsageError(f"--product: the plan is for {shown(order['product'])}, not for {shown(options.product)}")
    draft = stamp(PRICE_TEST, actor_of(options.by), typed_text(options.reason) or "to measure which price is better")
    (*_, entry), after = shop.record(lambda shop: [_checked(shop, order | draft, options)])
    blocks = entry["schedule"][-1]["block"]
    about = f"{entry['test_price']:g} against {entry['regular_price']:g} from {entry['first_day']} to {entry['until']}"
    write_lines(
        [
            f"{shown(entry['product'])}: {about}, {blocks} blocks (entry {entry['id']} of {log})",
            f"Every block has the test price with probability {entry['propensity']:g}; schedule "
            f"{entry['schedule_hash'][:12]}",
            "fit and predict follow the schedule from now on; override, pause and the kill switch take precedence",
        ]
    )
    write_lines(outbox_lines(after))
    return EXIT_OK


def _checked(shop: Shop, draft: Entry, options: argparse.Namespace) -> Entry:
    """Return the draft of a test if nothing stands in its way.

    Raises:
        UsageError: the plan is outdated, its prices break a hard limit or are doubtful, or another order is in force.
    """
    product = draft["product"]
    if product not in shop.newest:
        raise UsageError(f"the run has no advice on {shown(product)} yet; run predict first")
    last, again = shop.newest[product], "make it again with price-test plan"
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
    from pricerl.cli.price_test_words import reading_words
    from pricerl.experiments.reading import read_test

    shop = Shop.open(RunFolder(run.folder), run.options.today)
    log = shop.log_path
    entries = shop.log.entries
    name = product.name
    tests = [entry for entry in entries if entry["kind"] == PRICE_TEST and entry["product"] == name]
    if not tests:
        raise DataError(str(log), [f"has no price test of {shown(name)}; start one with price-test plan and start"])
    test = tests[-1]
    reading = read_test(test, run.pricing.preprocessor.products, product.index)
    write_lines(reading_words(test, reading, entries, run.formatter))
    recorded = any(entry["kind"] == TEST_RESULT and entry.get("test") == test["id"] for entry in entries)
    if reading.question.verdict != "running" and not recorded:
        draft = stamp(TEST_RESULT, actor_of(options.by), "by the stop rule of the test")
        (*_, entry), after = shop.record([draft | _result_of(test, reading)])
        write_lines([f"  recorded   entry {entry['id']} of {log}; the test has ended", *outbox_lines(after)])
    return EXIT_OK


def _result_of(test: Entry, reading: Reading) -> Entry:
    """Return the content of the log entry of a decided test."""
    found = reading.question
    return {
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
