"""Actions of the command ``price-test`` that need the market: plan randomised tests of two prices, and read them."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from pricerl.cli.commands.decisions import outbox_lines
from pricerl.cli.experiments.price_test_words import plan_lines, rank_cells, reading_lines, refusal_lines, worth_lines
from pricerl.cli.loading import load_words
from pricerl.cli.usage import PRODUCT, Options, takes_file
from pricerl.data.days import read_day
from pricerl.data.naming import choose_product
from pricerl.decide.standing import blocking_of
from pricerl.env.product import Product
from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, DataError, UsageError, refuse
from pricerl.experiments.plan import (
    OFFERED,
    Budget,
    PlannedTest,
    make_order,
    plan_price_test,
    plan_schedule,
    remaining_value,
)
from pricerl.experiments.reading import Reading, read_test
from pricerl.experiments.schedule import SCHEDULE, arm_prices, write_plans
from pricerl.formatting import plural
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.drafts import actor_of
from pricerl.operations.log.orders import PRICE_TEST, TEST_RESULT
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.runs.run import Run
from pricerl.terminal import shown, table, write_lines

RANKED = ("product", "price", "width", "weeks", "net value", "cost", "at most", "worst", "planned")
"""Columns of a ranking: the net value counts a quarter, the cost is expected, and at most in 19 of 20 scenarios."""

PLANNED: Options = {
    "--question": {"choices": ("profit", "sales"), "help": "what is compared; profit if absent"},
    "--max_days": {"type": int, "default": 28, "help": "most days of a test; 84 or more may prove something"},
    "--max_cost": {
        "type": float,
        "help": "largest cost of all tests in money, each exceeded in one of 20 plausible scenarios",
    },
    "--from": {"dest": "first", "help": "first day, such as 2026-01-31; the earliest possible if absent"},
    "--test_seed": {"type": int, "default": 0, "help": "seed of the random order of the blocks"},
}
"""Options of a plan."""


class _Found(NamedTuple):
    """Best test of a product, if it has one, and its order if that pays and the limits leave a schedule."""

    product: Product
    planned: PlannedTest | None
    order: dict[str, Any]

    @property
    def worth(self) -> float:
        """Net value of the test if it can be started."""
        return self.planned.test.gain if self.planned and self.order else 0.0

    def rank(self) -> tuple[bool, float]:
        """Return the place among the tests of other products: first those that can be started, by net value."""
        return bool(self.order), self.planned.test.gain if self.planned else -math.inf


@takes_file("price-test plan", PRODUCT, PLANNED)
def plan(options: argparse.Namespace, rest: list[str]) -> int:
    """Rank the products by the net value of a price test, and plan the tests that pay within one budget."""
    first = _check(options)
    run, products = _load(options, rest)
    if first is not None and first < (earliest := max(product.first_day for product in products)):
        raise UsageError(f"--from: {first} is in the history, which ends before {earliest}; choose a later day")
    found = _search(options, run, products, first)
    left = math.inf if options.max_cost is None else options.max_cost
    chosen = list[_Found]()
    for item in found:
        if item.planned and item.order and item.planned.test.cost <= left:
            chosen.append(item)
            left -= item.planned.test.cost
    f = run.formatter
    rows = [
        (
            shown(item.product.name, 40),
            *(rank_cells(item.planned.test, f) if item.planned else ("–",) * 7),
            "yes" if item in chosen else "no",
        )
        for item in found
    ]
    write_lines(table([RANKED, *rows]) if found[1:] else [])
    best = found[0]
    if not chosen:
        write_lines(["no test pays; the nearest to one that does:"] if found[1:] else [])
        write_lines(refusal_lines(best.product, best.planned, options.question, f))
    elif best.planned and not found[1:]:
        write_lines(plan_lines(best.planned, best.order, best.product.market.num_draws, f))
    write_lines([*_write(run, chosen), *_offer_lines(found, options, run)])
    return EXIT_OK if chosen else EXIT_NOT_ENOUGH_EVIDENCE


def _check(options: argparse.Namespace) -> date | None:
    """Refuse limits that no test can keep, and return the first day."""
    refuse(
        {
            f"--max_days: must be 1 or more, found {options.max_days}": options.max_days < 1,
            f"--max_cost: must be an amount of money, 0 or more, found {options.max_cost or 0:g}": (
                options.max_cost is not None and not 0 <= options.max_cost < math.inf
            ),
            f"--test_seed: must be 0 or more, found {options.test_seed}": options.test_seed < 0,
        }
    )
    return None if options.first is None else read_day(options.first, "--from")


def _load(options: argparse.Namespace, rest: Sequence[str]) -> tuple[Run, list[Product]]:
    """Return the run with its file, and the product that is named or else all."""
    run = load_words("price-test", rest, options)
    names = run.pricing.preprocessor.names
    chosen = names if options.product is None else [choose_product(names, options.product, "the file")]
    dynamics = run.pricing.build_dynamics(run.pricing.market)
    return run, [Product(dynamics, names.index(name)) for name in chosen]


def _search(options: argparse.Namespace, run: Run, products: list[Product], first: date | None) -> list[_Found]:
    """Return the best test of every product on which one may start, the largest net value first."""
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    free = [product for product in products if len(products) == 1 or not blocking_of(shop.orders_on(product.name))]
    refuse({"every product of the file has a test or another order in force; end one with resume first": not free})
    budget, seed = Budget(options.max_days, options.max_cost), options.test_seed
    about = (options.question, budget, seed, first, run.configs["decision"])
    plans = [(product, *plan_schedule(product, *about)) for product in free]
    found = [
        _Found(product, planned, make_order(planned, schedule, product, seed) if planned and schedule else {})
        for product, planned, schedule in plans
    ]
    return sorted(found, key=_Found.rank, reverse=True)


def _write(run: Run, chosen: Sequence[_Found]) -> list[str]:
    """Write the plans of some tests, and return how to start them."""
    if not chosen:
        return []
    write_plans(run.folder, [(item.order, asdict(item.planned.test)) for item in chosen if item.planned])
    name = needed_name(run.folder, LOG_FILE)
    command = f"pricerl price-test start{f' {shlex.quote(name)}' if name else ''}"
    what = f"{run.folder / SCHEDULE}" if len(chosen) == 1 else f"{len(chosen)} plans in {run.folder}"
    return [f"  written    {what}; next: {command}"]


def _offer_lines(found: Sequence[_Found], options: argparse.Namespace, run: Run) -> Iterator[str]:
    """Yield what the seller's consent to wider tests would bring, and cost at most."""
    budget = Budget(options.max_days, options.max_cost)
    gain = cost = 0.0
    for item in (item for item in found if item.product.today.config.test_change is None):
        wider = plan_price_test(item.product, options.question, budget, config=run.configs["decision"], consent=OFFERED)
        if wider is not None and wider.test.pays and wider.test.gain > item.worth:
            gain += wider.test.gain - item.worth
            cost += wider.test.cost
    if gain > 0:
        f = run.formatter
        yield f"  wider      may I try prices up to {f.percent(OFFERED, 0)} away for {plural(options.max_days, 'day')}?"
        yield f"             It is worth {f.money(gain)} more and costs at most {f.money(cost)} in 19 of 20 scenarios:"
        yield f"             --data.guardrails.test_change {OFFERED:g}, or test_change in guardrails.yaml"


@takes_file("price-test read", PRODUCT, {"--by": {"help": "person who reads; your user name if absent"}})
def read(options: argparse.Namespace, rest: list[str]) -> None:
    """Read the last test of each product in a fresh file: what it shows, and what its rest is worth."""
    refuse({"price-test read needs --data.path FILE, your file with the days of the test": not options.path})
    run, products = _load(options, rest)
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    named = {product.name: product for product in products}
    tests = [item for item in shop.log.entries if item["kind"] == PRICE_TEST and item["product"] in named]
    if not tests:
        raise DataError(str(shop.log_path), ["has no price test; start one with price-test plan and start"])
    for test in {item["product"]: item for item in tests}.values():
        reading = read_test(test, named[test["product"]].history)
        write_lines(reading_lines(test, reading, run.formatter))
        running = reading.question.verdict == "running"
        if running and reading.passed:
            worth = remaining_value(named[test["product"]], test, reading.passed, run.configs["decision"])
            write_lines([] if worth is None else worth_lines(worth, test["product"], run.folder.name, run.formatter))
        draft = partial(_draft_result, test, reading, options.by)
        if not running and draft(shop):
            written, after = shop.record(draft)
            for entry in written:
                done = f"entry {entry['id']} of {shop.log_path}; the test has ended, and predict advises with its days"
                write_lines([f"  recorded   {done}", *outbox_lines(after)])


def _draft_result(test: Entry, reading: Reading, by: str | None, shop: Shop) -> list[Entry]:
    """Draft the result of a test, unless a shop's log has it."""
    known = (entry["test"] for entry in shop.log.entries if entry["kind"] == TEST_RESULT)
    about = TEST_RESULT, actor_of(by), "by proof, or at the planned end"
    return [] if test["id"] in known else [stamp(*about) | _result(test, reading)]


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
