"""Command ``price-test``: plan randomised tests of two prices, start them, and read them."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.cli.commands.decisions import add_run_options, outbox_lines, shop_of
from pricerl.cli.price_test_words import plan_lines, rank_cells, reading_lines, refusal_lines, worth_lines
from pricerl.cli.usage import Parser, add_author_options, option_words, with_first
from pricerl.data.days import read_day
from pricerl.data.naming import choose_product
from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, DataError, UsageError, did_you_mean
from pricerl.experiments.reading import Reading, read_test
from pricerl.experiments.schedule import SCHEDULE, arm_prices, read_plans, write_plans
from pricerl.formatting import plural
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.drafts import actor_of, draft_price_test, price_words
from pricerl.operations.log.orders import PRICE_TEST, TEST_RESULT, TOLERANCE
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.terminal import shown, table, write_lines

if TYPE_CHECKING:  # they need torch
    from pricerl.env.product import Product
    from pricerl.experiments.plan import PlannedTest, PriceTest
    from pricerl.runs.run import Run


RANKED = ("product", "price", "width", "weeks", "net value", "cost", "at most", "worst", "planned")
"""Columns of a ranking: the net value is that of a quarter, the cost is expected, and at most in 19 of 20 scenarios."""


def price_test(words: Sequence[str]) -> int:
    """Rank products by the value of a test and plan those that pay (plan), follow them (start), or judge (read)."""
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
    from pricerl.cli.loading import load_words
    from pricerl.env.product import Product

    given = {"data.path": options.path, **{name: getattr(options, name) for name in ("run_name", "ckpt_path", "today")}}
    run = load_words("price-test", [*rest, *option_words(given)])
    names = run.pricing.preprocessor.names
    chosen = names if options.product is None else [choose_product(names, options.product, "the file")]
    dynamics = run.pricing.build_dynamics(run.pricing.market)
    return run, [Product(dynamics, names.index(name)) for name in chosen]


class _Found(NamedTuple):
    """Best test of a product."""

    product: Product
    planned: PlannedTest | None
    """None if there is none."""
    order: dict[str, Any] | None
    """None if it does not pay, or the limits leave no schedule."""

    @property
    def test(self) -> PriceTest | None:
        """The test with its promised numbers."""
        return None if self.planned is None else self.planned.test


def _search(words: Sequence[str]) -> tuple[argparse.Namespace, Run, list[_Found]]:
    """Return the best test of every product without an order in force, the largest net value first."""
    purpose = "Rank the products by the net value of a price test, and plan the tests that pay"
    parser = _parser("plan", f"{purpose}; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", help="the seller's file; those of the newest advice if absent")
    parser.add_argument("--question", choices=("profit", "sales"), help="what is compared; profit if absent")
    parser.add_argument("--max_days", type=int, default=28, help="most days of a test; 84 or more may prove something")
    most = "largest cost of all tests, each exceeded in one of 20 plausible scenarios, money"
    parser.add_argument("--max_cost", type=float, help=most)
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
    found = list[_Found]()
    for product in free:
        about = (options.question, budget, options.test_seed, first, run.configs["decision"])
        planned, schedule = plan_schedule(product, *about)
        order = make_order(planned, schedule, product, options.test_seed) if planned and schedule else None
        found.append(_Found(product, planned, order))
    found.sort(key=lambda item: (bool(item.order), item.test.gain if item.test else -math.inf), reverse=True)
    return options, run, found


def _write(run: Run, found: Sequence[_Found]) -> list[str]:
    """Write the plans of some tests, and return how to start them."""
    write_plans(run.folder, [(item.order, asdict(item.test)) for item in found if item.order and item.test])
    name = needed_name(run.folder, LOG_FILE)
    command = f"pricerl price-test start{f' {shlex.quote(name)}' if name else ''}"
    what = (
        f"{run.folder / SCHEDULE}; start it" if len(found) == 1 else f"{len(found)} plans in {run.folder}; start them"
    )
    return [f"  written    {what} with {command}"]


def _offer_lines(found: Sequence[_Found], options: argparse.Namespace, run: Run) -> Iterator[str]:
    """Yield what the seller's consent to wider tests would bring, and cost at most."""
    from pricerl.experiments.plan import OFFERED, Budget, plan_price_test

    gain = cost = 0.0
    for item in (item for item in found if item.product.today.config.test_change is None):
        budget = Budget(options.max_days, options.max_cost)
        config = run.configs["decision"]
        wider = plan_price_test(item.product, options.question, budget, config=config, consent=OFFERED)
        before = item.test.gain if item.order and item.test else 0.0
        if wider is not None and wider.test.pays and wider.test.gain > before:
            gain += wider.test.gain - before
            cost += wider.test.cost
    if gain > 0:
        f = run.formatter
        yield f"  wider      may I try prices up to {f.percent(OFFERED, 0)} away for {plural(options.max_days, 'day')}?"
        yield f"             It is worth {f.money(gain)} more and costs at most {f.money(cost)} in 19 of 20 scenarios:"
        yield f"             --data.guardrails.test_change {OFFERED:g}, or test_change in guardrails.yaml"


def _plan(words: Sequence[str]) -> int:
    """Rank the products by the net value of their best tests, and plan all that pay within one budget."""
    options, run, found = _search(words)
    left = math.inf if options.max_cost is None else options.max_cost
    chosen = list[_Found]()
    for item in found:
        if item.order and item.test and item.test.cost <= left:
            chosen.append(item)
            left -= item.test.cost
    f = run.formatter
    rows = [RANKED]
    for item in found:
        cells = ("–",) * 7 if item.test is None else rank_cells(item.test, f)
        rows.append((shown(item.product.name, 40), *cells, "yes" if item in chosen else "no"))
    write_lines(table(rows) if found[1:] else [])
    best = found[0]
    if not chosen:
        write_lines(["no test pays; the nearest to one that does:"] if found[1:] else [])
        write_lines(refusal_lines(best.product, best.planned, options.question, f))
    elif best.planned and best.order and not found[1:]:
        write_lines(plan_lines(best.planned, best.order, best.product.market.num_draws, f))
    write_lines(_write(run, chosen) if chosen else [])
    write_lines(_offer_lines(found, options, run))
    return EXIT_OK if chosen else EXIT_NOT_ENOUGH_EVIDENCE


def _check(options: argparse.Namespace) -> date | None:
    """Refuse limits that no test can keep, and return the first day."""
    if options.max_days < 1:
        raise UsageError(f"--max_days: must be 1 or more, found {options.max_days}")
    if options.max_cost is not None and not 0 <= options.max_cost < math.inf:
        raise UsageError(f"--max_cost: must be an amount of money, 0 or more, found {options.max_cost:g}")
    if options.test_seed < 0:
        raise UsageError(f"--test_seed: must be 0 or more, found {options.test_seed}")
    return None if options.first is None else read_day(options.first, "--from")


def _start(words: Sequence[str]) -> int:
    """Record the planned tests; advice follows their schedules from now on."""
    parser = _parser("start", "Start the planned price tests: predict and prices.csv follow their schedules.")
    add_author_options(parser)
    far = "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%"
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=far)
    parser.add_argument("--force", action="store_true", help="charge prices beyond that, or never tried")
    options = parser.parse_args(words)
    shop = shop_of(options)
    orders = read_plans(shop.log_path.parent)
    planned = ", ".join(shown(order["product"]) for order in orders)
    orders = [order for order in orders if options.product in (None, order["product"])]
    if not orders:
        raise UsageError(f"--product: the plan is for {planned}, not for {shown(options.product)}")
    said = (options.by, options.reason, options.tolerance, options.force)
    entries, after = shop.record(lambda shop: [draft_price_test(shop, order, *said) for order in orders])
    for entry in entries[-len(orders) :]:
        blocks = entry["schedule"][-1]["block"]
        against, price = (price_words(price, after) for price in arm_prices(entry))
        about = f"{price} against {against} from {entry['first_day']} to {entry['until']}"
        write_lines([f"{shown(entry['product'])}: {about}, {blocks} blocks (entry {entry['id']} of {shop.log_path})"])
        chance = f"Every block has the test price with probability {entry['propensity']:g}"
        write_lines([f"{chance}; schedule {entry['schedule_hash'][:12]}"])
    follow = "fit and predict follow the schedule from now on; override, pause and the kill switch take precedence"
    write_lines([follow, *outbox_lines(after)])
    return EXIT_OK


def _read(words: Sequence[str]) -> int:
    """Read the last test of each product in a fresh file: what it shows, and what its rest is worth."""
    parser = _parser("read", "Read the last price test of a product; all options of predict apply as well.")
    parser.add_argument("--data.path", dest="path", required=True, help="the seller's file with the days of the test")
    parser.add_argument("--by", help="person who reads; your user name if absent")
    options, rest = parser.parse_known_args(words)
    run, products = _load(options, rest)
    from pricerl.experiments.plan import remaining_value

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
        reading = read_test(test, product.history)
        write_lines(reading_lines(test, reading, run.formatter))
        name = run.folder.name
        if reading.question.verdict == "running" and reading.passed:
            worth = remaining_value(product, test, reading.passed, run.configs["decision"])
            write_lines([] if worth is None else worth_lines(worth, test["product"], name, run.formatter))
        if reading.question.verdict == "undecided":
            write_lines([f"  next       pricerl predict --run_name {shlex.quote(name)}"])
        recorded = any(entry["kind"] == TEST_RESULT and entry.get("test") == test["id"] for entry in entries)
        if reading.question.verdict != "running" and not recorded:
            draft = stamp(TEST_RESULT, actor_of(options.by), "by proof, or at the planned end")
            (*_, entry), after = shop.record([draft | _result(test, reading)])
            done = f"entry {entry['id']} of {log}; the test has ended, and predict advises with its days"
            write_lines([f"  recorded   {done}", *outbox_lines(after)])
    return EXIT_OK


def _result(test: Entry, reading: Reading) -> Entry:
    """Return the content of the log's entry of a decided test."""
    found = reading.question
    return {
        **{key: test[key] for key in ("product", "question", "test_price")},
        "regular_price": arm_prices(test)[0],
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
