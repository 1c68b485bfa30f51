"""Run a policy through seeded episodes of any Gymnasium environment and count what they earn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.env import GymVectorEnv
from pricerl.evaluation.episodes import Policy

MAX_STEPS = 10_000
"""Steps after which an episode is cut where the environment has no time limit: ten times the usual limit."""

POLICY_ROWS = 16
"""Rows that the policy sees at once, always: a network rounds differently for another number of rows."""


class ReturnScores(NamedTuple):
    """One number an episode, each ``(E,)``."""

    episode_return: Tensor
    """Sum of rewards."""
    episode_length: Tensor
    """Steps."""


@torch.no_grad()
def score_returns(
    policy: Policy,
    env_id: str,
    settings: Mapping[str, Any] | None,
    seeds: Sequence[int],
    device: torch.device | str,
) -> ReturnScores:
    """Roll a policy through one episode a seed, all of them stepped together.

    An episode counts until it is first terminated or truncated. A seed scores the same in whatever company, so the
    seeds may be split among calls.

    Args:
        policy: deterministic policy, ``observation (B, O) -> action (B, A)``, each row for itself.
        env_id: as in ``GymVectorEnv``.
        settings: as in ``GymVectorEnv``.
        seeds: one an episode; there may be none.
        device: where the policy lives.

    Raises:
        UsageError: if the environment cannot be made.
        NonFiniteError: if an action, an observation or a reward is NaN or infinite.
    """
    episode_return = torch.zeros(len(seeds), device=device)
    episode_length = torch.zeros(len(seeds), dtype=torch.int64, device=device)
    if not seeds:
        return ReturnScores(episode_return, episode_length)
    env = GymVectorEnv(env_id, len(seeds), device, settings)
    try:
        observation, _ = env.reset(seed=list(seeds))
        running = torch.ones(len(seeds), dtype=torch.bool, device=device)
        for _ in range(env.max_episode_steps or MAX_STEPS):
            observation, reward, terminated, truncated, _ = env.step(_act(policy, observation))
            episode_return += reward * running
            episode_length += running
            running &= ~(terminated | truncated)
            if not running.any():
                break
    finally:
        env.close()
    return ReturnScores(episode_return, episode_length)


def _act(policy: Policy, observation: Tensor) -> Tensor:
    """Actions ``(B, A)``, asked for in blocks of ``POLICY_ROWS`` rows; the last block is filled up with zeros."""
    rows = len(observation)
    filled = torch.nn.functional.pad(observation, (0, 0, 0, -rows % POLICY_ROWS))
    return torch.cat([policy(block) for block in torch.split(filled, POLICY_ROWS)])[:rows]
