"""Agent of SAC from settings, and the policy in a checkpoint, both without Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pricerl.env.stock.category import LAYOUT
from pricerl.errors import CheckpointError, UsageError, refuse
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.names import USUAL_CLASSES
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import value_bounds
from pricerl.sac.normalized import NormalizedAgent
from pricerl.sac.start import SHIPPED, SHIPPED_CATEGORY, pack, read_network, start_from
from pricerl.training.algorithm import TaskSpec
from pricerl.writing import write_file

MAX_ENTROPY_BONUS = 1.0
"""Allowance of the value bounds for ``alpha * log_prob`` per step; alpha settles far below 1."""


def build_agent(task: TaskSpec, algorithm: SACConfig, network: NetworkConfig) -> SACAgent:
    """Return the untrained agent for a task; settings that exclude each other are a ``UsageError``."""
    refuse(
        {
            "model.network.normalized values scaled rewards; leave out model.algorithm.actor_horizon": (
                network.normalized and algorithm.actor_horizon
            )
        }
    )
    rewards = task.reward_low, task.reward_high
    known = all(map(math.isfinite, rewards))
    bounds = value_bounds(*rewards, discount_of(task, algorithm), MAX_ENTROPY_BONUS) if known else None
    kind = NormalizedAgent if network.normalized else SACAgent
    return kind(task.observation_dim, task.action_dim, algorithm, network, bounds, task.privileged_dim)


def discount_of(task: TaskSpec, algorithm: SACConfig) -> float:
    """Return the discount of one env step."""
    return float(algorithm.gamma**task.days_per_step)


@cache
def category_policy(path: Path = SHIPPED_CATEGORY) -> Callable[[Tensor], Tensor]:
    """Return the policy for categories of any size, ``(B, K * F) -> (B, K * 2)``, from a file of weights."""
    network = read_network(path)
    misfit = "they are for single products"
    if network.columns:
        agent = build_agent(TaskSpec(network.columns, 2), SACConfig(), network)
        misfit = start_from(path, agent, network, LAYOUT)
    refuse({f"the weights in {path} do not fit, {misfit}; train others with fit --config category": misfit})
    return partial(agent.actor.act, deterministic=True)


def act_on_shelves(observation: Tensor) -> Tensor:
    """Return the actions ``(B, K * 2)`` of the network for categories that ships, on ``(B, K * F)``."""
    return category_policy()(observation)


def shipped_policy(task: TaskSpec, layout: str) -> dict[str, Any] | None:
    """Return the part of a checkpoint that holds the network that ships, or None if it does not fit a task's rows."""
    algorithm, network = SACConfig(), NetworkConfig()
    agent = build_agent(task, algorithm, network)
    if start_from(SHIPPED, agent, network, layout):
        return None
    return {
        "state_dict": {f"agent.{name}": value for name, value in agent.state_dict().items()},
        "hyper_parameters": {"task": task._asdict(), "algorithm": asdict(algorithm), "network": asdict(network)},
    }


class SavedPolicy(nn.Module):
    """Learner in a checkpoint of SAC, as far as advice needs it.

    Attributes:
        agent: networks and temperature.
        step_discount: discount of one env step.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        try:
            stored = checkpoint.content["hyper_parameters"]
            task = TaskSpec(**stored["task"])
            algorithm = SACConfig(**stored["algorithm"])
            self.network = NetworkConfig(**stored["network"])
            self.step_discount = discount_of(task, algorithm)
            self.agent = build_agent(task, algorithm, self.network)
        except (LookupError, TypeError, ValueError, RuntimeError, UsageError) as error:
            raise CheckpointError(f"{checkpoint.path} describes no network of SAC: {error}; run fit again") from error
        checkpoint.restore_weights(self)

    @classmethod
    def is_in(cls, checkpoint: Checkpoint) -> bool:
        """Return whether a checkpoint's learner is SAC and no class of a user's own."""
        return bool(checkpoint.settings["model"].get("class_path", USUAL_CLASSES["model"]) == USUAL_CLASSES["model"])

    @property
    def layout(self) -> str:
        """Layout of the observations of categories, which is the same for all; empty for other observations."""
        return LAYOUT if self.network.columns else ""

    def write_weights(self, folder: Path, layout: str) -> Path:
        """Write the weights for observations of a ``layout``, from which other trainings may start; return the path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (SHIPPED_CATEGORY if self.layout else SHIPPED).name
        write_file(path, pack(self.agent, self.network, layout))
        return path

    @property
    def worker_policy(self) -> Callable[[Tensor], Tensor]:
        """Deterministic policy, ``(B, O) -> (B, A)``."""
        return partial(self.agent.actor.act, deterministic=True)
