"""Cloning of a teacher into actor and critics before SAC improves on it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pricerl.arrays import check_shapes
from pricerl.sac.agent import SACAgent
from pricerl.sac.losses import critic_loss, polyak_update
from pricerl.sac.optimizer import Adam

UPDATES = 200
"""Gradient updates."""
BATCH_SIZE = 256
"""Demonstrations per update."""
LEARNING_RATE = 3e-3
"""Initial learning rate, which falls linearly to 0."""
ALPHA = 1e-3
"""Highest temperature after cloning, in rewards, if gradients pass through the market: more noise undoes the clone."""


class Demonstrations(NamedTuple):
    """``N`` situations with the teacher's action, and the teacher's value of an action that was tried."""

    observation: Tensor
    """``(N, O)``."""
    taught: Tensor
    """Actions of the teacher, ``(N, A)``."""
    tried: Tensor
    """Other actions, ``(N, A)``."""
    value: Tensor
    """Discounted reward of the tried action, then of the teacher, ``(N,)``."""


def clone(agent: SACAgent, shown: Demonstrations, generator: torch.Generator) -> None:
    """Fit the actor's deterministic actions and the critics' values to a teacher's (Pomerleau 1991).

    Input statistics are those of the demonstrations. The spread of the actor's random actions is not changed, nor is
    plain SAC's temperature; it falls to `ALPHA` where the actor's gradient passes through an environment.

    Args:
        agent: networks to train.
        shown: demonstrations on the agent's device.
        generator: random numbers of the batches.
    """
    check_shapes(*zip(Demonstrations._fields, shown, ("NO", "NA", "NA", "N"), strict=True))
    agent.observe(shown.observation)
    limit = agent.config.max_grad_norm
    actor = Adam(agent.actor.parameters(), LEARNING_RATE, limit)
    critic = Adam(agent.critic.parameters(), LEARNING_RATE, limit)
    for update in range(UPDATES):
        for optimizer in (actor, critic):
            optimizer.set_learning_rate(LEARNING_RATE * (1 - update / UPDATES))
        drawn = torch.randint(len(shown.value), (BATCH_SIZE,), generator=generator, device=generator.device)
        observation, taught, tried, value = (field[drawn] for field in shown)
        mean, _ = agent.actor(observation)
        losses = F.mse_loss(torch.tanh(mean), taught), critic_loss(agent.critic(observation, tried), value)
        for optimizer, loss in zip((actor, critic), losses, strict=True):
            optimizer.descend(torch.autograd.grad(loss, optimizer.params))
    polyak_update(agent.target_critic, agent.critic, tau=1.0)
    if agent.env is not None:
        with torch.no_grad():
            agent.log_alpha.clamp_(max=math.log(ALPHA))
