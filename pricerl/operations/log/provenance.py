"""Provenance: log entries with hashes of everything behind an advice, and their comparison with replays."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pricerl import __version__
from pricerl.advice.result import DayAdvice, ProductAdvice
from pricerl.arrays import to_plain
from pricerl.data.days import DAY, RECENT_DAYS
from pricerl.data.history import ProductHistory
from pricerl.data.naming import list_sources
from pricerl.env.product import Product
from pricerl.errors import DataError
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.operations.log.decision_log import FEWEST_DIGITS, Entry, stamp
from pricerl.operations.log.orders import ADVICE, PRICE_TEST
from pricerl.operations.log.typed_limits import own_settings
from pricerl.runs.checkpoint import Checkpoint, without_query
from pricerl.writing import hash_file

if TYPE_CHECKING:
    from pricerl.runs.run import Run

HASHED = {"data": "the history", "file": "the data file", "config": "the settings", "model": "the weights"}
"""Hashes of an entry that a replay must have as well, in words; the code and its libraries may have changed."""


def describe_origin(run: Run, today: date) -> Entry:
    """Return the origin of a command's decisions: data, settings, weights, code, terms and the day taken as today.

    The path is None if the history comes from the checkpoint, and the checkpoint None if none was written. Settings are
    those that differ from the checkpoint's.
    """
    options = run.options
    data = run.pricing
    checkpoint = run.checkpoint
    files = list(map(Path, list_sources(data.path)))
    hashes = [hash_file(file) for file in files] if all(file.is_file() for file in files) else []
    several = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return {
        "today": today.isoformat(),
        "terms": {
            "approval": run.configs["decision"].approval or "auto",
            "waits": run.options.waits or "",
            "since": run.known,
            "currency": run.formatter.currency,
            "price_decimals": run.formatter.price_decimals,
            "relations": list(data.guardrails.relations or ()),
        },
        "command": run.command,
        "path": data.path,
        "checkpoint": None if checkpoint is None else checkpoint.name,
        "seed": data.seed,
        "horizon": options.horizon,
        "threads": options.threads,
        "matmul_precision": options.matmul_precision,
        "settings": differing(run.settings, {} if checkpoint is None else checkpoint.settings),
        "hashes": {
            "data": hash_history(data.preprocessor.products),
            "file": several if len(hashes) > 1 else next(iter(hashes), None),
            "config": hash_settings({**run.settings, "horizon": options.horizon}),
            "model": hash_weights(run.module.state_dict()),
            "code": hash_code(),
        },
        "versions": current_versions(),
    }


def current_versions() -> dict[str, str]:
    """Return the versions of pricerl, torch and numpy."""
    return {"pricerl": __version__, "torch": str(torch.__version__), "numpy": np.__version__}


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


def draft_advice(item: ProductAdvice, origin: Entry, product: Product) -> Entry:
    """Draft the entry of one product's advice, with its origin from `describe_origin`."""
    history = product.history
    next_ = product.today.describe()
    named = [relation for relation in origin["terms"]["relations"] if item.product in relation["products"]]
    costs = product.today.costs
    forced = refuse_price(item.current_price, product.hard_limits, "current price")
    terms = {
        **origin["terms"],
        "relations": named,
        "guardrails": own_settings(product.dynamics.guardrails, item.product),
        "forced": product.today.hard_rule if forced else "",
    }
    draft = {
        **stamp(ADVICE, "pricerl", item.reason),
        **origin,
        "product": item.product,
        "history_end": str(history.dates[-1]),
        "current_price": item.current_price,
        "limits": {
            **asdict(product.hard_limits),
            **{"lowest": next_.lowest, "highest": next_.highest},
            "costs": [costs.share_kept, costs.unit_cost] if costs.known else None,
        },
        "known": describe_history(history),
        "terms": terms,
        "tried": [round(price, 6) for price in history.tried_prices],
        "grade": item.decision.grade,
        "source": item.decision.source,
        "follow": item.decision.follow,
        "reasons": to_plain(item.decision.reasons),
        "proposal": list(item.proposal.prices),
        "days": [_day(day) for day in item.days],
        "edits": [asdict(edit) for edit in item.guardrails],
    }
    if item.model is not None:
        draft["model_days"] = [_day(day) for day in item.model.days]
        draft["model_grade"] = item.model.decision.grade
        draft["model_source"] = item.model.decision.source
    if item.order is not None:  # days of a price test are the model's own: no demand moved their prices
        draft["test" if item.order.kind == PRICE_TEST else "order"] = item.order.id
    draft["elasticity"] = list(item.market.elasticity)
    if item.previous is not None and item.previous.contradiction:
        draft["restarts"] = item.previous.contradiction
    if item.account is not None:
        draft["account"] = to_plain(item.account)
    return draft


def describe_history(history: ProductHistory) -> dict[str, Any]:
    """Return what a later file is compared with: the days of a history, and its recent price and units."""
    recent = history.dates > history.dates[-1] - RECENT_DAYS * DAY
    seen = recent & history.observed if (recent & history.observed).any() else history.observed
    return {
        "first": str(history.dates[0]),
        "days": int(history.observed.sum()),
        "since": str(history.dates[seen][0]),
        "price": float(f"{history.price[seen].mean():.7g}"),
        "units": float(f"{history.units[seen].sum():.7g}"),
    }


def check_replay(entry: Entry, run: Run, origin: Entry, log: Path) -> list[str]:
    """Return what may make a replay of an entry of a log differ: code, versions of libraries, settings added since.

    Other data, settings or weights, by their hashes, are a ``DataError`` that names them all. Settings that a newer
    version has added, at their defaults, are no change.
    """
    added = new_settings(entry, run)
    then = entry["hashes"]
    now = origin["hashes"] if added is None else {**origin["hashes"], "config": then["config"]}
    changed = [
        f"entry {entry['id']}: {words} changed, {name} hash {shorten(then[name])} then and {shorten(now[name])} now"
        for name, words in HASHED.items()
        if then[name] != now[name]
    ]
    if changed:
        raise DataError(str(log), changed)
    old, new = ({"code": shorten(item["hashes"]["code"]), **item["versions"]} for item in (entry, origin))
    found = [
        f"{name} {old.get(name, 'none')} then and {new.get(name, 'none')} now"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return [*found, f"new settings {json.dumps(added, sort_keys=True)}"] if added else found


def new_settings(entry: Entry, run: Run) -> dict[str, Any] | None:
    """Return the settings of a replay that did not exist when an entry was made; None if others differ as well."""
    then = combine({} if run.checkpoint is None else run.checkpoint.settings, entry["settings"])
    if hash_settings({**then, "horizon": entry["horizon"]}) != entry["hashes"]["config"]:
        return None
    added = differing(run.settings, then)
    return added if combine(added, then) == combine(then, added) else None


def combine(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with changes; the inverse of `differing`."""
    found = dict(settings)
    for name, value in changes.items():
        other = found.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            value = combine(other, value)
        found[name] = value
    return found


def compare(entry: Entry, advice: Sequence[ProductAdvice], differences: Sequence[str], log: Path) -> str:
    """Return that a replayed advice has the prices of its entry in a log, in words, or raise a ``DataError``."""
    (item,) = (item for item in advice if item.product == entry["product"])
    pairs = list(zip(entry["days"], item.days, strict=True))
    other = [(then, again) for then, again in pairs if again.recommended_price != then["price"]]
    name = f"entry {entry['id']}"
    if other:
        then, again = other[0]
        found = f"{again.recommended_price!r} now, {then['price']!r} then, on {then['date']}"
        why = f"different are {', '.join(differences)}" if differences else "code and versions are the same"
        found = f"{len(other)} of {len(pairs)} prices differ, the first is {found}; {why}"
        raise DataError(str(log), [f"{name} is not reproduced: {found}"])
    same = f"{name} is reproduced: {len(pairs)} prices, the same to the last bit"
    return f"{same}, though different are {', '.join(differences)}" if differences else same


def shorten(digest: str | None) -> str:
    """Return the first digits of a hash, enough to name an entry or a model."""
    return "none" if digest is None else digest[:FEWEST_DIGITS]


def _day(day: DayAdvice) -> dict[str, Any]:
    """Return a day's price with all digits, and its forecasts rounded to 7 significant ones."""
    forecasts: dict[str, tuple[float | None, ...] | None] = {
        **{name: getattr(day, name) for name in ("units", "sales", "profit")},
        "sd": day.market_sd,
    }
    rounded = {
        name: values and [None if value is None else float(f"{value:.7g}") for value in values]
        for name, values in forecasts.items()
    }
    return {"date": day.date, "price": day.recommended_price, **rounded}


def hash_history(products: Iterable[ProductHistory]) -> str:
    """Hash every value of cleaned histories."""
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
    """Hash settings, independent of their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def hash_code() -> str:
    """Hash every source file of the package and its relative path."""
    return _hash_sources([Path(__file__).parents[2]])


def hash_own_code(modules: Iterable[str]) -> str:
    """Hash the source of the users' packages that imported modules belong to; pricerl's own is left out.

    It is a new text at every call if a module has no source file, as in a notebook.
    """
    names = sorted({name.partition(".")[0] for name in modules} - {__name__.partition(".")[0]})
    roots: list[Path] = []
    for module in (sys.modules.get(name) for name in names):
        file = getattr(module, "__file__", None)
        found = [*getattr(module, "__path__", []), *([] if file is None or hasattr(module, "__path__") else [file])]
        if not found:
            return secrets.token_hex()
        roots += map(Path, found)
    return _hash_sources(roots)


def _hash_sources(roots: Iterable[Path]) -> str:
    """Hash files, and the Python files below folders with their relative paths."""
    found = hashlib.sha256()
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            found.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


def describe_run(run: Run) -> dict[str, Any]:
    """Return what every checkpoint of a run stores about it: settings, fingerprint of the history and limits."""
    return {
        "settings": without_query(run.settings),
        "history": fingerprint(run),
        "code": hash_code(),
        "versions": current_versions(),
        "limits": {"max_steps": run.options.trainer.max_steps},
    }


def fingerprint(run: Run) -> str | None:
    """Return the hash of a seller's history, None for other data."""
    return hash_history(run.pricing.preprocessor.products) if run.advises else None


def other_versions(checkpoint: Checkpoint) -> list[str]:
    """Return what differs between this program and the one that wrote a checkpoint."""
    stored = checkpoint.about.get("versions", {})
    now = current_versions()
    found = [
        f"{name} {now[name]} instead of {stored[name]}" for name in now if stored.get(name, now[name]) != now[name]
    ]
    return [*found, *(["other code of pricerl"] if checkpoint.about.get("code") not in (None, hash_code()) else [])]
