"""Questions to the market of a shop: what would another price earn, and which prices sell a stock by a day?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock

from pricerl.advice.what_if import MEASURED, Answer, Effect
from pricerl.arrays import Interval, interval_of
from pricerl.data.days import WEEK, read_day, steps_in
from pricerl.data.row_table import TABLES
from pricerl.data.stock import MOST_WEEKS
from pricerl.decide.objections import nearest_chargeable, object_along
from pricerl.env.product import Product
from pricerl.errors import DataError, UsageError, refuse
from pricerl.evaluation.price_curves import short
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.evaluation.valuation import value_paths
from pricerl.market.market import Market
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.drafts import typed_stamp
from pricerl.operations.log.orders import ADVICE, CLEAR, LIMITS, positive_price
from pricerl.operations.outbox import open_day
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.run import Run
from pricerl.tasks.configs import Nested
from pricerl.tasks.imports import OWN
from pricerl.tasks.load import load_run
from pricerl.training.saved_policy import act_on_shelves


@dataclass(frozen=True)
class Questions:
    """Questions about prices to the market of a run, each of whose products is fitted once."""

    run: Run
    horizons: Mapping[str, int]
    """Days of the forecast horizon by product; the run's for others."""
    fitted: dict[str, Market] = field(default_factory=dict)

    def ask(self, name: str, price: float, unit_cost: float | None = None) -> Answer:
        """Compare a price of a product with its current one, at another cost of a unit if one is given, in money."""
        data = self.run.pricing
        if name not in self.fitted:
            self.fitted[name] = data.fit(data.preprocessor.select([data.preprocessor.names.index(name)]))
        market = self.fitted[name] if unit_cost is None else self.fitted[name].at_unit_cost(unit_cost)
        horizon = self.horizons.get(name, self.run.options.horizon)
        answer = compare_prices(
            Product(data.build_dynamics(market), 0), price, horizon, data.preprocessor.current_prices
        )
        return answer._replace(unit_cost=unit_cost)


def compare_prices(product: Product, price: float, horizon: int, current: Mapping[str, float] | None = None) -> Answer:
    """Compare charging a price, in money, over the forecast horizon, days, with keeping the current price.

    The ``current`` prices belong to other markets' products, in money, to which relations may lead.
    """
    steps = steps_in(horizon, product.history.step_days)
    paths = product.money([price, product.current_price])[:, None].expand(2, steps)
    stocked = plan_half_years(product.dynamics, act_on_shelves).get(product.index)
    asked, kept = value_paths(product, paths) if stocked is None else stocked.value(paths)
    sides = (asked, kept, asked.minus(kept))
    prices = {**product.market.preprocessor.current_prices, **(current or {})}
    return Answer(
        product=product.name,
        current_price=product.current_price,
        num_draws=product.market.num_draws,
        price=price,
        days=steps if stocked is None else stocked.stock.season_end * WEEK // product.history.step_days,
        measures={
            name: Effect(*(Interval(*short(interval_of(getattr(side, name))).tolist()) for side in sides))
            for name in (MEASURED if asked.costs_known else MEASURED[:2])
        },
        probability_better=asked.over(kept).probability_better,
        objections=tuple(item.why for item in object_along([price], product, prices)),
        allowed=nearest_chargeable(price, product, prices),
        objective=product.dynamics.reward.objective,
        measure=product.market.measure,
        outlooks=() if stocked is None else tuple(stocked.look_ahead(path) for path in paths),
        spreads=product.fitted.diversion is not None,
    )


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
        questions = _load_questions(shop.folder.path.name, day, newest["hash"], *state)
        answer = questions.ask(product, price, unit_cost)
    if str(questions.fitted[product].preprocessor.products[0].dates[-1]) != shop.newest[product]["history_end"]:
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
