"""Hashes of what a decision was made from: data, settings, weights and code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pricerl.data import ProductHistory

LENGTH = 12
"""Hexadecimal digits of a short name; among a million models, two share one once in 500 times."""


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
    """Hash the tensors of a state dict, whatever device they lie on."""
    found = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if isinstance(value, Tensor):
            found.update(f"{name}\0{value.dtype}{tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hash settings, whatever order they stand in."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def hash_code() -> str:
    """Hash every source file of the package with its place in it."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


def fingerprint_model(module: nn.Module) -> str:
    """Name a network by its weights."""
    return hash_weights(module.state_dict())[:LENGTH]


def fingerprint_settings(settings: Iterable[object]) -> str:
    """Name settings by what frozen config objects and plain values print."""
    return hashlib.sha256("\n".join(repr(item) for item in settings).encode()).hexdigest()[:LENGTH]
