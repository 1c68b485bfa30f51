"""Questions to the market of a shop: what would another price earn?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

from pricerl.advice.what_if import Answer, Questions
from pricerl.data.row_table import TABLES
from pricerl.errors import DataError, UsageError
from pricerl.operations.log.orders import ADVICE, LIMITS, positive_price
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
