"""Provenance: log entries with what is behind an advice: settings, versions, seed, hashes of data and weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import date
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
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.operations.log.decision_log import FEWEST_DIGITS, Entry, stamp
from pricerl.operations.log.orders import ADVICE, PRICE_TEST
from pricerl.operations.log.typed_limits import own_settings
from pricerl.runs.checkpoint import Checkpoint, without_query

if TYPE_CHECKING:
    from pricerl.runs.run import Run


def describe_origin(run: Run, today: date) -> Entry:
    """Return the origin of a command's decisions: data, settings, weights, versions, terms and the day taken as today.

    The path is None if the history comes from the checkpoint, and the checkpoint None if none was written. Settings are
    those that differ from the checkpoint's.
    """
    options = run.options
    data = run.pricing
    checkpoint = run.checkpoint
    hashes = [*data.hashes.values()] if len(data.hashes) == len(list_sources(data.path)) else []
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
            "file": hashlib.sha256("".join(hashes).encode()).hexdigest() if hashes[1:] else next(iter(hashes), None),
            "config": hash_config(run),
            "model": hash_weights(run.module.state_dict()),
        },
        "versions": current_versions(),
    }


def current_versions() -> dict[str, str]:
    """Return the versions of pricerl, torch and numpy."""
    return {"pricerl": __version__, "torch": str(torch.__version__), "numpy": np.__version__}


def differing(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of nested settings that differs from stored ones."""
    nested = {name: differing(settings[name], stored[name]) for name in _groups_of_both(settings, stored)}
    differs = {name: name not in stored or value != stored[name] for name, value in settings.items()} | nested
    return {name: nested.get(name, value) for name, value in settings.items() if differs[name]}


def combine(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with changes; the inverse of `differing`."""
    nested = {name: combine(settings[name], changes[name]) for name in _groups_of_both(settings, changes)}
    return {**settings, **changes, **nested}


def _groups_of_both(settings: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """Return the names under which both have nested settings."""
    common = settings.keys() & others.keys()
    return [name for name in common if isinstance(settings[name], Mapping) and isinstance(others[name], Mapping)]


def draft_advice(item: ProductAdvice, origin: Entry, product: Product) -> Entry:
    """Draft the entry of one product's advice, with its origin from `describe_origin`."""
    history = product.history
    next_ = product.today.describe()
    costs = product.today.costs
    terms = {
        **origin["terms"],
        "relations": [relation for relation in origin["terms"]["relations"] if item.product in relation["products"]],
        "guardrails": own_settings(product.dynamics.guardrails, item.product),
        "forced": (
            product.today.hard_rule if refuse_price(item.current_price, product.hard_limits, "current price") else ""
        ),
    }
    decision = item.decision
    model = item.model
    order = item.order
    # days of a price test are the model's own: no demand moved their prices
    follows = {} if order is None else {"test" if order.kind == PRICE_TEST else "order": order.id}
    return {
        **stamp(ADVICE, "pricerl", item.reason),
        **origin,
        **follows,
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
        "lowest_prices": item.lowest_prices,
        "grade": decision.grade,
        "source": decision.source,
        "follow": decision.follow,
        "reasons": to_plain(decision.reasons),
        "proposal": list(item.proposal.prices),
        "days": [_day(day) for day in item.days],
        "edits": [asdict(edit) for edit in item.guardrails],
        "model_days": [] if model is None else [_day(day) for day in model.days],
        "model_grade": "" if model is None else model.decision.grade,
        "model_source": "" if model is None else model.decision.source,
        "elasticity": list(item.market.elasticity),
        "category": "" if item.market.substitution is None else item.market.substitution.category,
        "restarts": "" if item.previous is None else item.previous.contradiction,
        "account": to_plain(item.account),
    }


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


def shorten(digest: str | None) -> str:
    """Return the first digits of a hash, enough to name an entry or a model."""
    return "none" if digest is None else digest[:FEWEST_DIGITS]


def _day(day: DayAdvice) -> dict[str, Any]:
    """Return a day's price with all digits, and its forecasts rounded to 7 significant ones."""
    forecasts: dict[str, tuple[float | None, ...] | None] = {
        **{name: getattr(day, name) for name in ("units", "sales", "profit")},
        "sd": day.market_sd,
    }
    return {
        "date": day.date,
        "price": day.recommended_price,
        **{
            name: values and [None if value is None else float(f"{value:.7g}") for value in values]
            for name, values in forecasts.items()
        },
    }


def hash_history(products: Iterable[ProductHistory]) -> str:
    """Hash every value of cleaned histories."""
    found = hashlib.sha256()
    for product in products:
        for item in fields(product):
            value = getattr(product, item.name)
            is_array = isinstance(value, np.ndarray)
            about = f"{value.dtype}{value.shape}" if is_array else repr(value)
            found.update(f"{item.name}\0{about}".encode("utf-8", "backslashreplace"))
            found.update(np.ascontiguousarray(value).tobytes() if is_array else b"")
    return found.hexdigest()


def hash_weights(state: Mapping[str, Any]) -> str:
    """Hash the tensors of a state dict, on any device."""
    found = hashlib.sha256()
    for name, value in ((name, value) for name, value in sorted(state.items()) if isinstance(value, Tensor)):
        found.update(f"{name}\0{value.dtype}{tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hash settings, independent of their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def hash_config(run: Run) -> str:
    """Hash the settings of a run that its advice depends on."""
    return hash_settings({**run.settings, "horizon": run.options.horizon})


def describe_run(run: Run) -> dict[str, Any]:
    """Return what every checkpoint of a run stores about it: settings, fingerprint of the history and limits."""
    return {
        "settings": without_query(run.settings),
        "history": fingerprint(run),
        "versions": current_versions(),
        "limits": {"max_steps": run.options.trainer.get("max_steps")},
    }


def fingerprint(run: Run) -> str | None:
    """Return the hash of a seller's history, None for other data."""
    return hash_history(run.pricing.preprocessor.products) if run.advises else None


def other_versions(checkpoint: Checkpoint) -> list[str]:
    """Return what differs between this program and the one that wrote a checkpoint."""
    stored = checkpoint.about.get("versions", {})
    now = current_versions()
    return [f"{name} {now[name]} instead of {stored[name]}" for name in now if stored.get(name, now[name]) != now[name]]
