"""Protocol between a learner and its users: data, collector, evaluation and advice."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from pricerl.sac.config import ReplayConfig


class TaskSpec(NamedTuple):
    """Task as seen by the networks; a named tuple, because jsonargparse cannot link into a nested dataclass."""

    observation_dim: int
    """``O``."""
    action_dim: int
    """``A``."""
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

    @property
    def starts_from_plan(self) -> bool:
        """Whether a plan teaches it before the first update."""
        return False

    @property
    def updates_per_item(self) -> int:
        """Gradient updates per item of the train loader: above 1 an item is a stream of batches."""
        return 1

    @abstractmethod
    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""

    @abstractmethod
    def observe(self, observation: Tensor) -> None:
        """Update input statistics with observations ``(B, O)``."""

    def policy(self, observation: Tensor) -> Tensor:
        """Return deterministic actions ``(B, A)`` for evaluation and advice."""
        return self.act(observation, deterministic=True)


class ForeignLearner(Algorithm):
    """Learner of a user's own LightningModule, which has ``act`` and ``policy``, and ``observe`` if it wants to.

    Its attributes ``algorithm`` and ``step_discount`` are read if it has them.

    Args:
        module: the module.
        step_discount: discount of one env step by default.
    """

    def __init__(self, module: Any, step_discount: float) -> None:
        self.module = module
        self.algorithm = getattr(module, "algorithm", ReplayConfig(updates_per_iteration=1))
        self.step_discount = getattr(module, "step_discount", step_discount)

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return the module's actions."""
        actions: Tensor = self.module.policy(observation) if deterministic else self.module.act(observation)
        return actions

    def observe(self, observation: Tensor) -> None:
        """Let the module see the observations."""
        if hasattr(self.module, "observe"):
            self.module.observe(observation)
