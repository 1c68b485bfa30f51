"""Settings of the networks and of the SAC updates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from pricerl.errors import UsageError

MOST_WEIGHTS = 100_000_000
"""Most weights of an actor or of all critics, 0.4 GB; a target network and the optimizer take three times as much."""

USUAL_INPUTS = 1000
"""Columns of an observation with which weights are counted before the data are known."""


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the actor and the critics; all switches are independent.

    With normalization, LayerNorm, residual connections, dropout and value bounds off and ``small_init`` 1.0 the
    networks are plain ReLU multilayer perceptrons.
    """

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers, first to last."""

    input_normalization: bool = True
    """Whether observations are centered and scaled by running statistics."""

    layer_norm: bool = True
    """Whether every hidden layer of actor and critics is layer-normalized."""

    residual: bool = True
    """Whether a critic's hidden layer adds its input to its output where both have the same width."""

    actor_dropout: float = 0.0
    """Dropout rate of the actor's hidden units in training; deterministic actions use none."""

    critic_dropout: float = 0.0
    """Dropout rate of the critics' hidden units in training."""

    columns: int = 0
    """Columns of one product in observations of several, which the networks of `pricerl.sac.pooled` read; 0 for a
    single one."""

    normalized: bool = False
    """Whether `pricerl.sac.normalized` supplies the critics: batch-normalized, of fixed width, with a histogram of the
    value. Rewards are then scaled, a target entropy of null is minus half the number of action dimensions, and the
    other settings here, except ``num_critics``, are the actor's."""

    num_critics: int = 2
    """Number of critics in the ensemble; updates use the minimum of their values."""

    value_bounds: bool = True
    """Whether values are softly squashed and TD targets clamped to the range implied by the reward bounds."""

    small_init: float = 1e-2
    """Factor on the last layers' initial weights: first actions are near the center, values near 0; 1.0 is off."""

    log_std_min: float = -5.0
    """Smallest log standard deviation of the action before the tanh."""

    log_std_max: float = 2.0
    """Largest log standard deviation of the action before the tanh."""

    def __post_init__(self) -> None:
        """Convert a YAML list of widths to a tuple and report all invalid settings at once."""
        widths: object = self.hidden
        if isinstance(widths, Iterable) and not isinstance(widths, str):
            object.__setattr__(self, "hidden", tuple(widths))
        counts = isinstance(self.hidden, tuple) and bool(self.hidden) and all(map(_is_count, self.hidden))
        constant = counts and self.layer_norm and 1 in self.hidden
        known = counts and _is_count(self.num_critics)
        weights = sum(map(math.prod, pairwise((USUAL_INPUTS, *self.hidden)))) * self.num_critics if known else 0
        unread = self.normalized and (self.residual or self.critic_dropout or self.value_bounds)
        ordered = -math.inf < self.log_std_min < self.log_std_max < math.inf
        _refuse(
            self,
            "network settings",
            [
                ("hidden", counts, "at least one width of 1 or more, such as [256, 256]"),
                ("hidden", not constant, "wider than 1 with layer_norm, which over one unit gives a constant"),
                ("hidden", weights <= MOST_WEIGHTS, f"smaller: more than {MOST_WEIGHTS:,} weights are needed"),
                ("actor_dropout", 0.0 <= self.actor_dropout < 1.0, "at least 0 and below 1"),
                ("critic_dropout", 0.0 <= self.critic_dropout < 1.0, "at least 0 and below 1"),
                ("normalized", not unread, "off with residual, critic_dropout or value_bounds, which it does not read"),
                ("columns", _is_count(self.columns, at_least=0), "a whole number of 0 or more"),
                ("columns", not (self.columns and self.normalized), "0 with normalized"),
                ("num_critics", _is_count(self.num_critics), "a whole number of 1 or more"),
                ("small_init", _is_positive(self.small_init), "above 0 (1.0 turns it off)"),
                ("log_std_min", ordered, f"below log_std_max, which is {self.log_std_max!r}"),
            ],
        )


@dataclass(frozen=True)
class ReplayConfig:
    """Settings of every algorithm with a replay buffer."""

    batch_size: int = 256
    """Transitions per update."""

    utd_ratio: int = 1
    """Updates per step of the vector env; with one row, updates per env step."""

    updates_per_iteration: int = 10
    """Approximate number of consecutive updates, after as many env steps as utd_ratio requires. More of them reduce
    the overhead per update but collect with an older policy."""

    warmup_steps: int = 4096
    """Env steps taken with random actions before the first update."""

    buffer_capacity: int = 100_000
    """Capacity of the replay buffer in transitions; once it is full, new ones overwrite the oldest."""

    buffer_memory_gb: float = 4.0
    """Gigabytes of replay buffer kept in memory; a larger one on the CPU is mapped to a file in the temporary folder
    (TMPDIR chooses which)."""


@dataclass(frozen=True)
class SACConfig(ReplayConfig):
    """Settings of the SAC updates (arXiv:1812.05905), tuned on price markets."""

    gamma: float = 0.97
    """Discount per day, or per env step of a Gymnasium environment; at least 0 (only today counts) and below 1."""

    tau: float = 0.02
    """Polyak step of the target network towards the critics per update, above 0 and at most 1."""

    actor_lr: float = 3e-3
    """Learning rate of the actor; plain SAC was tuned with 0.001."""

    critic_lr: float = 1e-3
    """Learning rate of the critics."""

    final_lr_share: float = 0.02
    """Final learning rates as a share of the initial ones, decayed linearly over the run; 1.0 keeps them constant.
    The decay reduces the noise of the last updates, so that a run ends near its best evaluation."""

    alpha: float = 0.01
    """Initial temperature: the reward that one nat of entropy is worth. Plain SAC was tuned with
    0.1: at 0.03 its policy narrows before the critics have found the optimum, and the price stays 2 % too low."""

    alpha_lr: float = 3e-3
    """Learning rate of log_alpha."""

    target_entropy: float | None = -2.0
    """Entropy in nats that alpha steers the policy to; null means minus the number of action dimensions."""

    actor_horizon: int | None = None
    """Decisions over which the actor's gradient passes through the market; 0 is plain SAC, and the only choice for
    environments without differentiable dynamics. Null is 8 in a seller's market, else 0."""

    max_grad_norm: float = 10.0
    """Norm to which gradients of the actor and of the critics are clipped; 0 turns clipping off."""

    def __post_init__(self) -> None:
        """Report all invalid settings at once."""
        rates = ("actor_lr", "critic_lr", "alpha", "alpha_lr")
        counts = ("batch_size", "utd_ratio", "updates_per_iteration", "buffer_capacity")
        entropy = self.target_entropy is None or math.isfinite(self.target_entropy)
        _refuse(
            self,
            "sac settings",
            [
                ("gamma", 0.0 <= self.gamma < 1.0, "at least 0 and below 1"),
                ("tau", 0.0 < self.tau <= 1.0, "above 0 and at most 1"),
                *((name, _is_positive(getattr(self, name)), "above 0") for name in rates),
                ("final_lr_share", 0.0 < self.final_lr_share <= 1.0, "above 0 and at most 1"),
                ("target_entropy", entropy, "a finite number or null"),
                ("max_grad_norm", 0.0 <= self.max_grad_norm < math.inf, "0 (off) or more"),
                *((name, _is_count(getattr(self, name)), "a whole number of 1 or more") for name in counts),
                ("buffer_memory_gb", 0.0 <= self.buffer_memory_gb < math.inf, "0 or more"),
                ("actor_horizon", _is_count(self.actor_horizon or 0, at_least=0), "a whole number of 0 or more"),
                ("warmup_steps", _is_count(self.warmup_steps, at_least=0), "a whole number of 0 or more"),
            ],
        )

    def resolve_target_entropy(self, action_dim: int) -> float:
        """Return target_entropy, or minus ``action_dim`` if it is null (arXiv:1812.05905, appendix D)."""
        return -float(action_dim) if self.target_entropy is None else self.target_entropy


def _is_count(value: object, at_least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _is_positive(value: float) -> bool:
    return 0.0 < value < math.inf


def _refuse(config: object, subject: str, rules: list[tuple[str, bool, str]]) -> None:
    """Raise a ``UsageError`` that lists the settings whose rule (name, outcome and requirement) does not hold."""
    problems = [
        f"{name} must be {requirement}; found {getattr(config, name)!r}"
        for name, holds, requirement in rules
        if not holds
    ]
    if problems:
        head = f"{subject}: " if len(problems) == 1 else f"{subject} have {len(problems)} problems:\n  "
        raise UsageError(head + "\n  ".join(problems))
