"""Content of a checkpoint as types, by which every one is validated when it is read.

Parts of Lightning and of users' own classes are free; tensors and arrays stand in the file's safetensors part.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from torch import Tensor

FORMAT = 6
"""Version of the format. Up to 4, checkpoints were torch files."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct):
    """Settings of a run that apply to later commands."""

    data: dict[str, Any]
    model: dict[str, Any]
    decision: dict[str, Any] = {}
    seed_everything: int | bool | None = None


class About(msgspec.Struct):
    """The run that a checkpoint belongs to."""

    format: Literal[6]
    version: str
    """Version of pricerl."""
    settings: Settings | None = None
    """None if the run was started from Python with objects that no command can make."""
    history: str | None = None
    """Fingerprint of the seller's history."""
    contains_history: bool = False
    """Whether the checkpoint holds the seller's history."""
    code: str | None = None
    """Hash of pricerl's source."""
    versions: dict[str, str] = {}
    """Versions of pricerl, torch and numpy."""
    limits: dict[str, int | None] = {}
    """Limits of the training."""


class OptimizerState(msgspec.Struct):
    """State of one optimizer, as torch has it."""

    state: dict[int, dict[str, Any]]
    param_groups: list[dict[str, Any]]


class Content(msgspec.Struct):
    """Content of a checkpoint."""

    state_dict: dict[str, Tensor]
    global_step: Count
    """Gradient updates made."""
    epoch: Count
    pricerl: About
    loops: dict[str, Any] = {}
    callbacks: dict[str, Any] = {}
    optimizer_states: list[OptimizerState] = []
    hyper_parameters: dict[str, Any] = {}
