"""Short names of a model and of settings: the same name, the same policy and the same rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torch import nn

LENGTH = 12
"""Hexadecimal digits; among a million models, two share a name once in 500 times."""


def fingerprint_model(module: nn.Module) -> str:
    """Name a network by its weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:LENGTH]


def fingerprint_settings(settings: Iterable[object]) -> str:
    """Name settings by what frozen config objects and plain values print."""
    return hashlib.sha256("\n".join(repr(item) for item in settings).encode()).hexdigest()[:LENGTH]
