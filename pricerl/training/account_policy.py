"""The policy of accounts that pricerl ships: trained by SAC in ``pricerl/Learning-v0``.

It is an ordinary checkpoint of ``fit --config gym/learning`` without all that training alone needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from torch import Tensor

from pricerl.sac import NetworkConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.networks import Actor
from pricerl.training.algorithm import TaskSpec
from pricerl.training.checkpointing import CHECKPOINT_KEY, Checkpoint
from pricerl.training.tree_file import write_tree

SHIPPED = Path(__file__).with_name("account_policy.ckpt")
ACTOR = "agent.actor."
"""Prefix of the actor's weights in a checkpoint."""


@cache
def read_account_policy(path: Path = SHIPPED) -> Callable[[Tensor], Tensor]:
    """Return the deterministic policy of a checkpoint: from observations ``(B, O)`` to actions ``(B, 1)``.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
    """
    checkpoint = Checkpoint.read(path)
    stored = checkpoint.content["hyper_parameters"]
    task, network = TaskSpec(**stored["task"]), NetworkConfig(**stored["network"])
    seen = InputNormalization(task.observation_dim) if network.input_normalization else None
    actor = Actor(task.observation_dim, task.action_dim, network, seen, task.privileged_dim).eval()
    checkpoint.content["state_dict"] = _actor_of(checkpoint, "")
    checkpoint.restore_weights(actor)

    def policy(observation: Tensor) -> Tensor:
        return actor.act(observation, deterministic=True)

    return policy


def ship(checkpoint: Checkpoint, path: Path = SHIPPED) -> None:
    """Write the actor of a checkpoint.

    Args:
        checkpoint: of a run of `pricerl.training.learning_data`.
        path: file to write.
    """
    kept = {name: checkpoint.content[name] for name in ("global_step", "epoch", "hyper_parameters", CHECKPOINT_KEY)}
    write_tree(path, {**kept, "state_dict": _actor_of(checkpoint, ACTOR)})


def _actor_of(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """Return the actor's weights under other names: ``prefix`` replaces that of the checkpoint."""
    weights = checkpoint.content["state_dict"]
    return {prefix + name.removeprefix(ACTOR): value for name, value in weights.items() if name.startswith(ACTOR)}
