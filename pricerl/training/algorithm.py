"""Protocol between a learner and its users, and the arguments of learners and data that checkpoints store."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from typing_extensions import Self

from pricerl.runs.checkpoint import without_query
from pricerl.runs.names import USUAL_CLASSES
from pricerl.sac.config import ReplayConfig, SACConfig


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


class Algorithm(Protocol):
    """Off-policy learner that acts and updates input statistics; its ``training_step`` learns from batches."""

    algorithm: ReplayConfig
    """Settings of the updates."""
    step_discount: float
    """Discount of one env step."""

    @abstractmethod
    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""

    @abstractmethod
    def observe(self, observation: Tensor) -> None:
        """Update input statistics with observations ``(B, O)``."""

    def observe_returns(self, returns: Tensor) -> None:
        """Update statistics of the discounted sums ``(B,)`` of the rewards of each row's episode so far, if any."""
        return

    def policy(self, observation: Tensor) -> Tensor:
        """Return deterministic actions ``(B, A)`` for evaluation and advice."""
        return self.act(observation, deterministic=True)


class ForeignLearner(Algorithm):
    """Learner of a user's LightningModule, which has ``act`` and ``policy``, and perhaps the other attributes."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.algorithm = getattr(module, "algorithm", ReplayConfig(updates_per_iteration=1))
        self.step_discount = getattr(module, "step_discount", SACConfig().gamma)

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return the module's actions."""
        actions: Tensor = self.module.policy(observation) if deterministic else self.module.act(observation)
        return actions

    def observe(self, observation: Tensor) -> None:
        """Let the module see the observations."""
        if hasattr(self.module, "observe"):
            self.module.observe(observation)


class KeepsArguments:
    """Base of classes whose objects keep their arguments, so that a checkpoint of a plain Trainer stores them."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Return a new object with its arguments, defaults included, under the attribute ``arguments``."""
        made = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind_partial(made, *values, **named)
        except TypeError:  # the constructor says what is wrong
            return made
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        kept: dict[str, Any] = {}
        for name, value in given:
            collects = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            kept |= value if collects else {name: value}
        vars(made)["arguments"] = kept
        return made


def settings_of(data: Any, module: Any) -> dict[str, Any] | None:
    """Return a run's settings from its arguments, as commands store them; None if they cannot be rebuilt."""
    try:
        settings = {"data": _group("data", data), "model": _group("model", module)}
    except TypeError:
        return None
    return without_query({**settings, "seed_everything": data.seed})


def _group(group: str, made: Any) -> dict[str, Any]:
    kind = type(made)
    path = f"{kind.__module__}.{kind.__qualname__}"
    kept = getattr(made, "arguments", None)
    if kept is None or kind.__module__ == "__main__" or "<locals>" in path:
        raise TypeError(f"{path} cannot be rebuilt")
    settings = {name: _plain(value) for name, value in kept.items() if name not in ("task", "seed", "path")}
    return settings if path == USUAL_CLASSES[group] else {"class_path": path, "init_args": settings}


def _plain(value: Any) -> Any:
    """Return a value as the command line has it, or raise a ``TypeError`` if it is an object of a user's."""
    if is_dataclass(value) and type(value).__module__.startswith("pricerl."):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a setting")
