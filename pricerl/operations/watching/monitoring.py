"""Watch of a run: the market fitted to the model's own days, compared with the days of a fresh file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np

from pricerl import __version__
from pricerl.advice.result import TrackRecord
from pricerl.data import DataPreprocessor
from pricerl.errors import UsageError
from pricerl.market import Market, fit_market
from pricerl.operations.decision_log import Entry
from pricerl.operations.track_record import find_own_prices, find_predictions, keep_record
from pricerl.operations.watching.monitor_document import MONITOR_FORMAT, Finding, Kept, Monitor, WatchedProduct, worst
from pricerl.operations.watching.new_days import NewDays, WatchSettings, check_age, check_delay, check_product
from pricerl.progress import stage
from pricerl.training.checkpointing import Checkpoint
from pricerl.training.run import Run


def watch_run(run: Run, entries: Sequence[Entry], settings: WatchSettings, today: date) -> Monitor:
    """Check the days of a run's fresh file that its model has not seen.

    Args:
        run: run with its checkpoint and the fresh history.
        entries: entries of its decision log.
        settings: limits.
        today: day of the watch.

    Raises:
        UsageError: the checkpoint holds no history to compare with.
    """
    assert run.checkpoint is not None
    fresh, trained = run.pricing.preprocessor, trained_history(run, run.checkpoint, entries)
    market = fit_stored(run, trained)
    last_fitted = max(str(product.dates[-1]) for product in trained.products)
    last_day = max(str(product.dates[-1]) for product in fresh.products)
    findings = [
        check_delay(last_day, today, fresh.step_days, settings),
        check_age(last_fitted, today, settings),
        *(
            Finding("data", "warning", f"{name} is not in the file")
            for name in trained.names
            if name not in fresh.names
        ),
        *(Finding("data", "warning", f"{name} is skipped: its rows cannot be used") for name in _skipped(run)),
    ]
    with stage("checking the new days"):
        products = [_watch(run, index, market, entries, settings) for index in range(len(fresh.products))]
    generation = None if run.generation is None else run.generation.name
    severity = worst([*findings, *(finding for item in products for finding in item.findings)])
    about = (MONITOR_FORMAT, __version__, run.folder.name, generation, today.isoformat())
    return Monitor(*about, severity, findings, products)


def failed_watch(run: str, today: date, problem: str) -> Monitor:
    """Return the document of a watch whose file could not be read."""
    finding = Finding("data", "alarm", f"the file cannot be used: {problem}")
    return Monitor(MONITOR_FORMAT, __version__, run, None, today.isoformat(), "alarm", [finding], [])


def trained_history(run: Run, checkpoint: Checkpoint, entries: Sequence[Entry]) -> DataPreprocessor:
    """Return the history that a checkpoint of a run was fitted to, with the days marked whose price pricerl had set.

    Raises:
        UsageError: the checkpoint holds none.
    """
    state = preprocessor_state(run, checkpoint)
    if "products" not in state:
        raise UsageError(
            f"{checkpoint.path} is portable: it holds no history, with which new days could be compared; train "
            "without --portable"
        )
    return DataPreprocessor.from_state_dict(state).mark_own_prices(partial(find_own_prices, entries))


def preprocessor_state(run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the state of the preprocessor in a checkpoint of a run."""
    found: dict[str, Any] = checkpoint.content[type(run.data).__qualname__]["preprocessor"]
    return found


def fit_stored(run: Run, history: DataPreprocessor) -> Market:
    """Fit a market to a history with the settings and the seed of a run."""
    data = run.pricing
    with stage("fitting the market of the model's own days"):
        return fit_market(history, data.market_config, data.cost, data.seed)


def _skipped(run: Run) -> list[str]:
    return sorted({problem.product for problem in run.pricing.problems if problem.product})


def _watch(run: Run, index: int, market: Market, entries: Sequence[Entry], settings: WatchSettings) -> WatchedProduct:
    history = run.pricing.preprocessor.products[index]
    known = market.preprocessor.names.index(history.product)
    last = market.preprocessor.products[known].dates[-1]
    day = np.flatnonzero(history.dates > last)
    record = keep_record(find_predictions(entries, history), history)
    new = NewDays(history, market, known, day, record, settings, run.formatter)
    findings = check_product(new) if len(day) else [Finding("drift", "unknown", f"no day after {last} to judge")]
    return WatchedProduct(history.product, str(history.dates[-1]), len(day), findings, _kept(record))


def _kept(record: TrackRecord | None) -> Kept | None:
    return None if record is None else Kept(len(record.days), record.followed, dict(record.inside))
