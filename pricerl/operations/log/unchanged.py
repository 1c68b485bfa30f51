"""Products whose last advice stands because nothing about them has changed.

An advice depends on what `find_bases` hashes, on the log's entries about the product and, while the account of its
quarter is open, on the day. What stands is not recorded again; its prices pass the limits in force through the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from pricerl.advice.files import StoredAdvice
from pricerl.decide.account import counted_days, days_left
from pricerl.decide.standing import Account
from pricerl.evaluation.backtest import tested_products
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import ADVICE, OVERRIDE, PAUSE, PRICE_TEST
from pricerl.operations.log.provenance import hash_history, hash_settings
from pricerl.operations.shop import Shop
from pricerl.planner.plan_benchmark import FEWEST_DRAWS, MOST_ROWS

if TYPE_CHECKING:
    from pricerl.runs.run import Run


class Stored(msgspec.Struct):
    """Values of stored advice that decide how long it stands."""

    alarm: Any
    stock: Any
    data_quality: dict[str, Any]
    account: Any


def find_bases(run: Run, origin: Entry) -> dict[str, str]:
    """Hash all but log and day that each product's advice depends on; ``origin`` is from `describe_origin`.

    Of other products only relations count, the evidence of training, and up to some number how many there are.
    """
    data = run.pricing
    prepared = data.preprocessor

    shared = hash_settings(
        {
            **{name: origin["hashes"][name] for name in ("config", "model")},
            **{name: origin[name] for name in ("versions", "threads", "matmul_precision")},
            "formatter": asdict(run.formatter),
            "pool": {} if data.pool is None else data.pool.evidence,
            "products": min(len(prepared.names), MOST_ROWS // FEWEST_DRAWS),
        }
    )
    tested = tested_products(prepared)
    found = {}
    for row, (product, report) in enumerate(zip(prepared.products, prepared.reports, strict=True)):
        trained = (prepared.numbers[row], prepared.scaler.gain[row].tolist(), prepared.scaler.bias[row].tolist())
        own = (shared, hash_history([product]), replace(report, notes=()), trained, product.product in tested)
        found[product.product] = sha256(repr(own).encode("utf-8", "backslashreplace")).hexdigest()
    return found


def find_unchanged(run: Run, shop: Shop, origin: Entry, bases: Mapping[str, str]) -> dict[str, StoredAdvice]:
    """Return the advice of a ``predict`` that stands, by product."""
    if run.command != "predict" or _has_own_code(run):
        return {}
    records = shop.records()
    decided = {entry.get("product"): entry["id"] for entry in shop.log.entries if entry["kind"] != ADVICE}
    related = {name for relation in run.pricing.guardrails.related for name in relation.products}
    ends: dict[str, str] = {}
    for entry in (entry for entry in shop.log.entries if entry["kind"] in (OVERRIDE, PAUSE, PRICE_TEST)):
        ends[entry["product"]] = max(entry["until"], ends.get(entry["product"], ""))
    found = {}
    for product, report in zip(run.pricing.preprocessor.products, run.pricing.preprocessor.reports, strict=True):
        name = product.product
        advice = shop.newest.get(name, {})
        if (
            name in related
            or name not in records
            or decided.get(name, 0) > advice["id"]
            or advice.get("basis") != bases[name]
            or (advice["terms"]["waits"] and not origin["terms"]["waits"])
        ):
            continue
        record = msgspec.json.decode(records[name].text, type=Stored)
        passed = max(date.fromisoformat(origin["today"]), product.next_day) - timedelta(days=product.step_days)
        lasts = ends.get(name, "") < advice["days"][0]["date"] and _outlasts(advice, record, passed)
        if (lasts or advice["today"] == origin["today"]) and "restarts" not in advice:
            changes: dict[str, Any] = {}
            if plan := advice.get("account"):
                left = days_left(Account(**plan["account"]), passed)
                changes["account"] = {**record.account, "days_left": left}
            if record.data_quality["notes"] != list(report.notes):  # some are about the file
                changes["data_quality"] = {**record.data_quality, "notes": list(report.notes)}
            found[name] = records[name]._replace(changes=changes)
    return found


def _has_own_code(run: Run) -> bool:
    """Return whether learner, data or demand model are a user's own, whose code may have changed."""
    used = type(run.pricing.market_config), type(run.module), type(run.data)
    return any(item.__module__.partition(".")[0] != __name__.partition(".")[0] for item in used)


def _outlasts(advice: Entry, record: Stored, passed: date) -> bool:
    """Return whether an advice without an order is the same on a later day, given the last one that has passed.

    The day counts for the quarter's account alone, and that in whole weeks.
    """
    if record.alarm or record.stock:
        return False
    if not (plan := advice.get("account")):
        return True
    left = days_left(Account(**plan["account"]), passed)
    return left > 0 and counted_days(left) == counted_days(plan["days_left"])
