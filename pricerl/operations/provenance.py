"""What the log keeps of an advice, so that it can be proved, replayed and scored later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pricerl import __version__
from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.data import ProductHistory
from pricerl.env import Dynamics
from pricerl.operations.decision_log import Entry, stamp
from pricerl.operations.fingerprint import hash_code, hash_file, hash_history, hash_settings, hash_weights
from pricerl.operations.orders import ADVICE, hard_limits_of

DIGITS = 7
"""Significant digits of forecasts in the log; prices keep all of theirs."""

HASHED = {
    "data": "the history",
    "file": "the data file",
    "config": "the settings",
    "model": "the weights",
    "code": "the code",
}
"""What an entry hashes, in words."""


@dataclass(frozen=True)
class Origin:
    """What every decision of one command was made from."""

    command: str
    path: str | None
    """The data file as the user wrote it; None where the checkpoint brought the history."""
    checkpoint: str | None
    """File name in the run's folder; None where no checkpoint was written."""
    seed: int
    horizon: int
    threads: int
    matmul_precision: str
    settings: dict[str, Any]
    """Those that differ from the checkpoint's."""
    hashes: dict[str, str | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the versions of what computed."""
        versions = {"pricerl": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
        return {**asdict(self), "versions": versions}


def collect_hashes(
    products: Sequence[ProductHistory], path: str | None, config: Mapping[str, Any], weights: Any
) -> dict[str, Any]:
    """Hash what a decision is made from.

    Args:
        products: the cleaned history.
        path: the data file, if there is one.
        config: every setting that counts.
        weights: the model's state dict.
    """
    return {
        "data": hash_history(products),
        "file": None if path is None else hash_file(Path(path)),
        "config": hash_settings(config),
        "model": hash_weights(weights),
        "code": hash_code(),
    }


def differing(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The part of nested settings that differs from stored ones."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        other = stored.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            if inner := differing(value, other):
                found[name] = inner
        elif value != other or name not in stored:
            found[name] = value
    return found


def draft_advice(item: ProductAdvice, origin: Origin, dynamics: Dynamics, index: int) -> Entry:
    """Write down one product's advice.

    Args:
        item: the advice.
        origin: what it was made from.
        dynamics: its market.
        index: position of the product.
    """
    draft = stamp(ADVICE, "pricerl", item.reason)
    draft |= origin.to_dict()
    draft |= {
        "product": item.product,
        "history_end": str(dynamics.market.preprocessor.products[index].dates[-1]),
        "current_price": item.current_price,
        "limits": asdict(hard_limits_of(dynamics, index)),
        "grade": item.decision.grade,
        "source": item.decision.source,
        "follow": item.decision.follow,
        "proposal": list(item.proposed_prices),
        "days": [_day(day) for day in item.days],
    }
    draft["edits"] = item.to_dict()["guardrails"]
    if item.model is not None:
        draft["model_days"] = [_day(day) for day in item.model.days]
        draft["model_grade"], draft["model_source"] = item.model.decision.grade, item.model.decision.source
    if item.order is not None:
        draft["order"] = item.order.id
    return draft


def recommended(entry: Entry) -> list[float]:
    """The prices that an entry recommended, day by day."""
    return [day["price"] for day in entry["days"]]


def _day(day: DayAdvice) -> dict[str, Any]:
    return {
        "date": day.date,
        "price": day.recommended_price,
        "units": _short(day.units),
        "sales": _short(day.sales),
        "profit": _short(day.profit),
        "sd": _short(day.market_sd),
    }


def _short(values: tuple[float | None, ...] | None) -> list[float | None] | None:
    return None if values is None else [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
