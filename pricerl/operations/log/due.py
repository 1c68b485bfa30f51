"""Products whose advice is due; of all others the last advice stands, as nothing about them has changed.

An advice depends on its product's days, on what `find_basis` hashes, on the log's entries about the product and, while
the account of its quarter is open, on the day. What stands is not computed again; its prices pass the limits in force
through the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pricerl.advice.result import ProductAdvice
from pricerl.data.days import WEEK
from pricerl.decide.account import days_left
from pricerl.evaluation.backtest import tested_products
from pricerl.operations.exports import read_standing
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import ADVICE, OVERRIDE, PAUSE, PRICE_TEST
from pricerl.operations.log.provenance import current_versions, hash_config, hash_settings, hash_weights
from pricerl.operations.shop import Shop
from pricerl.planner.plan_benchmark import FEWEST_DRAWS, MOST_ROWS
from pricerl.shop.database import ask

if TYPE_CHECKING:
    from pricerl.runs.run import Run

ALWAYS = "9999-12-31"
"""Last day of an advice on which no day has an effect."""


def find_basis(run: Run) -> dict[str, str]:
    """Hash, by product of a run's catalogue, all but its days, log and day that an advice depends on.

    Of other products only relations count, the evidence of training, and up to some number how many there are.
    """
    options = run.options
    names = run.pricing.catalogue or run.pricing.preprocessor.names
    shared = {
        "config": hash_config(run),
        "model": hash_weights(run.module.state_dict()),
        "versions": current_versions(),
        **{name: getattr(options, name) for name in ("threads", "matmul_precision", "locale")},
        "products": min(len(names), MOST_ROWS // FEWEST_DRAWS),
    }
    tested = tested_products(names)
    hashes = {flag: hash_settings({**shared, "tested": flag}) for flag in (True, False)}
    return {name: hashes[name in tested] for name in names}


def find_due(run: Run, shop: Shop) -> set[str]:
    """Return the products of a run's catalogue whose newest advice no longer stands, apart from new days in a file."""
    basis = find_basis(run)
    if has_own_code(run):
        return {*basis}
    stands = ask(shop.log_path, read_standing, shop.newest.values())
    day = shop.today.isoformat()
    decided = {
        entry["product"]: entry["id"]  # None ends a whole roll-out
        for entry in shop.log.entries
        if entry["kind"] != ADVICE and "product" in entry
    }
    return {
        name
        for name, hashed in basis.items()
        if (advice := shop.newest.get(name)) is None
        or advice.get("basis") != hashed
        or not str(advice["today"]) <= day <= stands.get(name, "")
        or max(decided.get(name, 0), decided.get(None, 0)) > advice["id"]
        or (advice["terms"]["waits"] and not run.options.waits)
    }


def has_own_code(run: Run) -> bool:
    """Return whether learner, data or demand model are a user's own, whose code may have changed."""
    used = type(run.pricing.market_config), type(run.module), type(run.data)
    return any(item.__module__.partition(".")[0] != __name__.partition(".")[0] for item in used)


def stands_until(advice: Entry, item: ProductAdvice, entries: Iterable[Entry], step_days: int) -> str:
    """Return the last day through which an advice is what a whole computation returns, ISO format; empty for none.

    Without an order, alarm or stock only the quarter's account depends on the day, and on that in whole weeks.
    ``entries`` are the log's about the product.
    """
    ordered = (entry["until"] for entry in entries if entry["kind"] in (OVERRIDE, PAUSE, PRICE_TEST))
    first = str(advice["days"][0]["date"])
    if advice.get("restarts"):
        return ""
    if item.alarm or item.stock or item.order or max(ordered, default="") >= first:
        return str(advice["today"])
    if item.account is None:
        return ALWAYS
    day = date.fromisoformat(max(advice["today"], first))
    left = days_left(item.account.account, day - timedelta(days=step_days))
    return (day + timedelta(days=max(left - 1, 0) % WEEK)).isoformat()  # as long as its weeks are as many, rounded up
