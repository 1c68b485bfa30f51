"""Questions to the market of a shop: what would another price earn, and which prices sell a stock by a day?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock

from pricerl.advice.what_if import Answer, Questions
from pricerl.data.days import WEEK, read_day
from pricerl.data.row_table import TABLES
from pricerl.data.stock import MOST_WEEKS
from pricerl.errors import DataError, UsageError, refuse
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.drafts import typed_stamp
from pricerl.operations.log.orders import ADVICE, CLEAR, LIMITS, positive_price
from pricerl.operations.outbox import open_day
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.tasks.configs import Nested
from pricerl.tasks.imports import OWN
from pricerl.tasks.load import load_run


def check_question(price: float, unit_cost: float | None) -> None:
    """Refuse a price or a cost of a unit that cannot be one with a ``UsageError``."""
    positive_price(price)
    if fault := TABLES["costs"].columns["unit_cost"].find_fault(unit_cost):
        raise UsageError(f"--unit_cost {fault}")


def draft_clearance(shop: Shop, product: str | None, until: str, by: str | None, reason: str) -> Entry:
    """Draft the clearance of a product's stock by a day; one that no plan reaches is a ``UsageError``."""
    advice = shop.advice_on(product)
    last = read_day(until, "--by").isoformat()
    day = date.fromisoformat(open_day(advice, shop.today))
    ends = [(day + timedelta(days=WEEK * weeks - 1)).isoformat() for weeks in (1, MOST_WEEKS)]
    wrong = f"--by: must be a day from {ends[0]} to {ends[1]}, a week to half a year ahead, found {last}"
    refuse({wrong: not ends[0] <= last <= ends[1]})
    return typed_stamp(CLEAR, by, reason) | {"product": advice["product"], "until": last}


def ask_shop(shop: Shop, product: str, price: float, unit_cost: float | None = None) -> Answer:
    """Answer as ``what-if`` does to a price and perhaps another cost of a unit in money; the run is loaded once.

    Files that hold other days than the newest advice knew are a ``DataError``.
    """
    check_question(price, unit_cost)
    paths = [path for path in map(Path, shop.sources) if path.exists()]
    state = [(path.resolve(), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    newest = next(entry for entry in reversed(shop.log.entries) if entry["kind"] in (ADVICE, LIMITS))
    day = None if shop.given_day is None else shop.given_day.isoformat()
    with _ASKING:
        answer = _load_questions(shop.folder.path.name, day, newest["hash"], *state).ask(product, price, unit_cost)
    if str(answer.product.history.dates[-1]) != shop.newest[product]["history_end"]:
        raise DataError(shop.sources[0], ["holds other days than the newest advice knew; run predict first"])
    return answer


_ASKING = Lock()


@lru_cache(maxsize=4)
def _load_questions(run_name: str, today: str | None, *state: Hashable) -> Questions:
    """Load a run anew only if its newest advice or the files of that have changed."""
    return load_questions({"run_name": run_name, "today": today})


def load_questions(given: Nested, packages: Sequence[str] = OWN) -> Questions:
    """Load a run as `load_run` does, with files, settings and horizon of its newest advice where none are given."""
    run = load_run(given, packages)
    newest = {} if "horizon" in given else Shop.open(RunFolder(run.folder), run.options.today).newest
    step = run.pricing.preprocessor.step_days
    return Questions(run, {name: step * len(entry["days"]) for name, entry in newest.items()})
