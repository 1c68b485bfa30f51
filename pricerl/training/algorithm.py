"""Protocol between a learner and its users, and the settings that checkpoints of a plain Trainer store."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from pricerl.evaluation.pricing_data import PricingData
from pricerl.runs.checkpoint import without_query
from pricerl.runs.names import USUAL_CLASSES
from pricerl.sac.config import ReplayConfig


class TaskSpec(NamedTuple):
    """Task as seen by the networks; a named tuple, because jsonargparse cannot link into a nested dataclass."""

    observation_dim: int
    """Columns of an observation, ``O``."""
    action_dim: int
    """Columns of an action, ``A``."""
    reward_low: float = -math.inf
    """Lowest reward of one env step."""
    reward_high: float = math.inf
    """Highest reward of one env step."""
    days_per_step: int = 1
    """Days (or other units of time) per env step; the step's discount is gamma to this power."""
    privileged_dim: int = 0
    """``P``, last columns of an observation that are known in training only: critics read them, the actor does not."""


def pricing_task(data: PricingData) -> TaskSpec:
    """Return dimensions and reward bounds for a seller's data; a file is read for the days from row to row."""
    low, high = data.reward.resolved().bounds()
    days = data.env_config.days_per_step(data.guardrails, 1 if data.file is None else data.file.step_days)
    return TaskSpec(data.reading.window * data.env_config.num_features, 1, low * days, high * days, days)


class Algorithm(Protocol):
    """Off-policy learner that acts and updates input statistics; its ``training_step`` learns from batches."""

    algorithm: ReplayConfig
    """Settings of the updates."""
    step_discount: float
    """Discount of one env step."""

    @abstractmethod
    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""

    def observe(self, observation: Tensor) -> None:
        """Update input statistics with observations ``(B, O)``, if any."""
        return

    def observe_returns(self, returns: Tensor) -> None:
        """Update statistics of the discounted sums ``(B,)`` of the rewards of each row's episode so far, if any."""
        return

    def policy(self, observation: Tensor) -> Tensor:
        """Return deterministic actions ``(B, A)`` for evaluation and advice."""
        return self.act(observation, deterministic=True)


def settings_of(data: Any, module: Any) -> dict[str, Any] | None:
    """Return a run's settings by its hyperparameters, as commands store them; None with classes of a user's own."""
    settings: dict[str, Any] = {"seed_everything": data.seed}
    for group, made in (("data", data), ("model", module)):
        path = f"{type(made).__module__}.{type(made).__qualname__}"
        kept = {name: value for name, value in made.hparams.items() if name not in ("task", "seed", "path")}
        try:
            plain = json.loads(json.dumps(kept, default=_fields))
        except TypeError:
            return None
        if not path.startswith("pricerl."):
            return None
        settings[group] = plain if path == USUAL_CLASSES[group] else {"class_path": path, "init_args": plain}
    return without_query(settings)


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a config of pricerl's; a ``TypeError`` for an object of another class."""
    if is_dataclass(value) and type(value).__module__.startswith("pricerl."):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} is not a setting")
