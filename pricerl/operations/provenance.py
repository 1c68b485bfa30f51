"""Provenance: the log entry of an advice, with hashes of the data, settings, weights and code behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pricerl import __version__
from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.data import ProductHistory
from pricerl.env import Dynamics
from pricerl.operations.decision_log import Entry, stamp
from pricerl.operations.orders import ADVICE, hard_limits_of

SHORT_HASH = 12
"""Hexadecimal digits of a shortened hash; among a million models, two share one with probability 0.2 %."""

DIGITS = 7
"""Significant digits of forecasts in the log; prices keep all of theirs."""

HASHED = {
    "data": "the history",
    "file": "the data file",
    "config": "the settings",
    "model": "the weights",
    "code": "the code",
}
"""Hashes of an entry, in words."""


@dataclass(frozen=True)
class Origin:
    """Origin of all decisions of one command."""

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
        """Return plain values, with the versions of the libraries that computed."""
        versions = {"pricerl": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
        return {**asdict(self), "versions": versions}

    def short_hash(self, name: str) -> str:
        """Return one of the hashes, shortened."""
        return shorten(self.hashes[name])


def collect_hashes(
    products: Sequence[ProductHistory], path: str | None, config: Mapping[str, Any], weights: Any
) -> dict[str, Any]:
    """Hash everything that a decision is made from.

    Args:
        products: the cleaned history.
        path: the data file, if there is one.
        config: every setting that the decision depends on.
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
    """Return the part of nested settings that differs from stored ones."""
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
    """Draft the entry of one product's advice.

    Args:
        item: the advice.
        origin: of the advice.
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
        "proposal": list(item.policy.prices),
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
    """Return the prices that an entry recommended, per day."""
    return [day["price"] for day in entry["days"]]


def shorten(digest: str | None) -> str:
    """Return the first digits of a hash."""
    return "none" if digest is None else digest[:SHORT_HASH]


def _day(day: DayAdvice) -> dict[str, Any]:
    return {
        "date": day.date,
        "price": day.recommended_price,
        "units": _round(day.units),
        "sales": _round(day.sales),
        "profit": _round(day.profit),
        "sd": _round(day.market_sd),
    }


def _round(values: tuple[float | None, ...] | None) -> list[float | None] | None:
    return None if values is None else [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]


def hash_file(path: Path) -> str:
    """Hash a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_history(products: Iterable[ProductHistory]) -> str:
    """Hash cleaned histories: every value of every day."""
    found = hashlib.sha256()
    for product in products:
        for item in fields(product):
            value = getattr(product, item.name)
            found.update(f"{item.name}\0".encode())
            if isinstance(value, np.ndarray):
                found.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
            else:
                found.update(repr(value).encode("utf-8", "backslashreplace"))
    return found.hexdigest()


def hash_weights(state: Mapping[str, Any]) -> str:
    """Hash the tensors of a state dict, on any device."""
    found = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if isinstance(value, Tensor):
            found.update(f"{name}\0{value.dtype}{tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hash settings, in any order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def hash_code() -> str:
    """Hash every source file of the package and its relative path."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()
