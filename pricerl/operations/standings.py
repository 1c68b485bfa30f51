"""Standings of products: all in the decision log that their next prices depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType

import msgspec
import numpy as np

from pricerl.arrays import grouped
from pricerl.data.history import ProductHistory
from pricerl.decide.account import days_left
from pricerl.decide.standing import MEASURED_DAYS, Account, EndedTest, MeasuredPair, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.price_grid import same_price
from pricerl.guardrails.relations import Bound
from pricerl.market.visitor_tests import VisitorTest
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import ADVICE, TEST_RESULT, VISITOR_TEST, clearances_on, judged_orders
from pricerl.operations.track_record import advised_low, find_predictions, keep_record, last_advice


def find_account(entries: Iterable[Entry], history: ProductHistory, passed: date | None = None) -> Account | None:
    """Return the account of a product that is open after a history, unless the next advice opens one.

    An advice opens an account if none is open on its last day of data, at the price of that day, unless that was
    doubted and was not the price in force. The last day that has ``passed`` is the history's if absent.
    """
    account = None
    end = history.last_day
    for entry in (item for item in entries if item["kind"] == ADVICE and item["product"] == history.product):
        day = date.fromisoformat(entry["history_end"])
        at = history.dates == np.datetime64(day)
        prices = (*history.price[at].tolist(), *history.prices_in_force[at].tolist())
        doubted = [same_price(price, entry["current_price"]) for price in prices] == [True, False]
        account = None if entry.get("restarts") else account
        if day < end and not doubted and (account is None or days_left(account, day) == 0):
            account = Account(entry["history_end"], entry["current_price"])
    return None if account is None or days_left(account, passed or end) == 0 else account


def find_measured(entries: Iterable[Entry], history: ProductHistory, measure: str) -> MeasuredPair | None:
    """Return the pair of prices of which the last price test of a measure on a product proved the better one."""
    results = reversed(_results(entries, history.product))
    last = next((entry for entry in results if entry["question"] == measure), None)
    earliest = (history.last_day - timedelta(days=MEASURED_DAYS)).isoformat()
    if last is None or not _is_proven(last) or last["last_day"] < earliest:
        return None
    pair = (last["test_price"], last["regular_price"])
    return MeasuredPair(*(pair if last["verdict"] == "higher" else pair[::-1]))


def find_tests(entries: Iterable[Entry], product: str, account: Account | None) -> tuple[EndedTest, ...]:
    """Return the price tests of a product that have ended since its account was opened; empty without an account."""
    return tuple(
        EndedTest(
            price=entry["test_price"],
            against=entry["regular_price"],
            last_day=entry["last_day"],
            question=entry["question"],
            estimate=entry["estimate"],
            limits=tuple(entry["limits"]),
            proven=_is_proven(entry),
        )
        for entry in _results(entries, product)
        if account is not None and entry["last_day"] > account.opened
    )


def find_visitor_tests(entries: Iterable[Entry]) -> dict[str, list[VisitorTest]]:
    """Return the tests made elsewhere by product, oldest first; one that was added again counts once."""
    given = (entry for entry in entries if entry["kind"] == VISITOR_TEST)
    found = grouped((entry["product"], msgspec.convert(entry["test"], VisitorTest)) for entry in given)
    return {
        name: [test for at, test in enumerate(tests, 1) if not any(later.replaces(test) for later in tests[at:])]
        for name, tests in found.items()
    }


def _is_proven(result: Entry) -> bool:
    return bool(result["proven"] and result["verdict"] != "undecided")


def _results(entries: Iterable[Entry], product: str) -> list[Entry]:
    return [entry for entry in entries if entry["kind"] == TEST_RESULT and entry["product"] == product]


def find_standings(
    entries: Sequence[Entry],
    dynamics: Dynamics,
    today: date | None = None,
    bound: Mapping[str, Bound] = MappingProxyType({}),
    currency: str | None = None,
) -> dict[str, Standing]:
    """Return the standing of every product of a market, by name, from the entries of a log, oldest first.

    ``today`` is the clock's day, no earlier than the first one after each history, which it is if absent. ``bound`` has
    the prices that relations leave, ``currency`` is the file's, if known.
    """
    found = {}
    clearing = clearances_on(entries, today or date.min)
    for index, history in enumerate(dynamics.market.preprocessor.products):
        product = Product(dynamics, index)
        name = history.product
        day = max(today or product.first_day, product.first_day)
        predictions = find_predictions(entries, history)
        previous = last_advice(entries, history)
        restarts = "" if previous is None else previous.contradiction
        known = (history.last_day.isoformat(), product.hard_limits, day.isoformat(), currency, restarts)
        account = None if restarts else find_account(entries, history, day - timedelta(days=history.step_days))
        found[name] = Standing(
            today=day,
            measured=find_measured(entries, history, dynamics.market.measure),
            account=account,
            tests=find_tests(entries, name, account),
            advised_low=advised_low(predictions, history),
            orders=tuple(judged_orders(entries, name, product.current_price, *known)),
            bound=bound.get(name),
            clears_by=clearing.get(name, {}).get("until", ""),
            track_record=keep_record(predictions, history),
            previous=previous,
        )
    return found
