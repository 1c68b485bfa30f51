"""The contract between a learner and whatever uses it: data, collector, evaluation and advice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from pricerl.sac import Transition


class TaskSpec(NamedTuple):
    """A task as the networks see it; a named tuple, because jsonargparse cannot link into a nested dataclass."""

    observation_dim: int
    """O."""
    action_dim: int
    """A."""
    reward_low: float = -math.inf
    """Lowest reward of one env step."""
    reward_high: float = math.inf
    """Highest reward of one env step."""
    days_per_step: int = 1
    """Days, or other units of time, of one env step; its discount is gamma to this number."""


class ReplaySettings(Protocol):
    """Settings that every algorithm with a replay buffer has."""

    @property
    def batch_size(self) -> int:
        """Transitions per gradient update."""

    @property
    def utd_ratio(self) -> int:
        """Gradient updates per env step."""

    @property
    def updates_per_iteration(self) -> int:
        """Gradient updates between two collections."""

    @property
    def warmup_steps(self) -> int:
        """Transitions in the buffer before the first update."""

    @property
    def buffer_capacity(self) -> int:
        """Transitions that the buffer holds."""

    @property
    def buffer_memory_gb(self) -> float:
        """Memory limit of the buffer, GB."""

    @property
    def finite_checks(self) -> bool:
        """Whether batches are checked for NaN and infinity."""


class Algorithm(Protocol):
    """An off-policy learner: acts, takes note of observations, and learns from replayed transitions."""

    @property
    def algorithm(self) -> ReplaySettings:
        """Settings of the updates."""

    @property
    def step_discount(self) -> float:
        """Discount of one env step."""

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""

    def policy(self, observation: Tensor) -> Tensor:
        """Return the deterministic actions ``(B, A)`` that evaluation and advice use."""

    def observe(self, observation: Tensor) -> None:
        """Update input statistics with observations ``(B, O)``."""

    def update(self, batch: Transition, number: int) -> Mapping[str, Tensor]:
        """Make gradient update ``number``, counted from 1, and return its metrics, ``()`` each."""
