"""Watch of a run: the market fitted to the model's own days, compared with the days of a fresh file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.track_record import find_own_prices, find_predictions, keep_record
from pricerl.operations.watching.monitor_document import Finding, Monitor, WatchedProduct
from pricerl.operations.watching.new_days import NewDays, WatchSettings, check_delay, check_product
from pricerl.operations.watching.news import find_stop
from pricerl.progress import stage

if TYPE_CHECKING:
    from pricerl.runs.checkpoint import Checkpoint
    from pricerl.runs.run import Run


def watch_run(
    run: Run,
    entries: Sequence[Entry],
    settings: WatchSettings,
    today: date,
    records: Callable[[str], Mapping[str, Any]],
) -> Monitor:
    """Check the days of a run's fresh file that the model of its checkpoint has not seen.

    ``records`` returns the record of the last advice on a product, empty without one.
    """
    assert run.checkpoint is not None
    data = run.pricing
    fresh = data.preprocessor
    trained = trained_history(run, run.checkpoint, entries)
    with stage("fitting the market of the model's own days"):
        market = fit_market(trained, data.market_config, data.cost, data.seed, spread=data.spread)
    fitted = market.preprocessor.names
    findings = [
        check_delay(max(str(item.dates[-1]) for item in fresh.products), today, fresh.step_days, settings),
        *(
            Finding("data", "warning", f"{name} is not in the file")
            for name in run.checkpoint.data_state(type(run.data))["preprocessor"]["names"]
            if name not in fresh.names
        ),
        *(
            Finding("data", "warning", f"{name} is skipped: its rows cannot be used")
            for name in sorted({problem.product for problem in data.problems} - {""})
        ),
        *(Finding("data", "warning", f"{name} is not in the model") for name in fresh.names if name not in fitted),
    ]
    with stage("checking the new days"):
        own = by_product(entries)
        products = [
            _watch(item, market, own.get(item.product, ()), settings, run, records(item.product))
            for item in fresh.products
            if item.product in fitted
        ]
    return Monitor.of(
        run.folder.name,
        generation=None if run.generation is None else run.generation.name,
        today=today,
        findings=findings,
        products=products,
    )


def trained_history(run: Run, checkpoint: Checkpoint, entries: Sequence[Entry]) -> DataPreprocessor:
    """Return the history that a checkpoint of a run was fitted to, with the days marked whose price pricerl had set."""
    trained = DataPreprocessor.from_state_dict(checkpoint.data_state(type(run.data))["preprocessor"])
    return trained.mark_own_prices(partial(find_own_prices, by_product(entries)))


def _watch(
    history: ProductHistory,
    market: Market,
    entries: Sequence[Entry],
    settings: WatchSettings,
    run: Run,
    advice: Mapping[str, Any],
) -> WatchedProduct:
    known = market.preprocessor.names.index(history.product)
    last = market.preprocessor.products[known].dates[-1]
    day = np.flatnonzero(history.dates > last)
    new = NewDays(
        history,
        market,
        known,
        day,
        record=keep_record(find_predictions(entries, history), history),
        settings=settings,
        formatter=run.formatter,
    )
    findings = check_product(new) if len(day) else [Finding("drift", "unknown", f"no day after {last} to judge")]
    several = len(run.pricing.preprocessor.products) > 1
    if (stopped := find_stop(advice, history, run.folder.name, run.formatter, several)) is not None:
        findings.append(Finding("stop rule", "alarm", stopped.words, step=stopped.step))
    return WatchedProduct(history.product, str(history.dates[-1]), len(day), findings)
