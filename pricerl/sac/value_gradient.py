"""Actor's loss through a differentiable environment: rewards of ``H`` steps, then the critics' value of the last state.

Sources:
    arXiv:1510.09142  Heess et al., Learning Continuous Control Policies by Stochastic Value Gradients
    arXiv:2204.07137  Xu et al., Accelerated Policy Learning with Parallel Differentiable Simulation (SHAC)
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pricerl.sac.networks import Actor


class Observed(Protocol):
    """State of ``B`` rows that a policy can observe."""

    @property
    def observation(self) -> Tensor:
        """``(B, O)``."""


class DifferentiableEnv(Protocol):
    """Environment whose rewards and states carry gradients with respect to earlier actions.

    Random numbers come from torch's global generator, so that a resumed run repeats them and a graph can record them.
    """

    def start(self) -> Any:
        """Return newly drawn first states of ``B`` rows, an `Observed`."""

    def step(self, state: Any, action: Tensor) -> tuple[Any, Tensor, Tensor]:
        """Return states after actions ``(B, A)``, rewards, and discounts of the values after them, ``(B,)`` each."""


def roll_out_actor(
    actor: Actor, critic: nn.Module, env: DifferentiableEnv, horizon: int, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss ``()`` of ``horizon`` decisions of the actor, and all their log probabilities, as constants.

    ``-mean_b [sum_{k<H} D_k (r_k - alpha log pi_k) + D_H (min_n Q_n(s_H, a_H) - alpha log pi_H)]`` with ``D_k`` the
    product of the first ``k`` discounts: the soft value of SAC expanded by ``H`` steps. With ``H`` 0
    it is the loss of `pricerl.sac.losses.actor_loss` in the first states.

    Args:
        actor: policy, whose actions are sampled by reparameterization.
        critic: ensemble that values the last state; its weights are held constant by the caller.
        env: environment, which draws the first states.
        horizon: ``H``.
        alpha: temperature, ``()``; held constant.

    Returns:
        Loss ``()`` and log probabilities ``((H + 1) B,)``.
    """
    alpha = alpha.detach()
    state = env.start()
    value = torch.zeros((), device=alpha.device)
    weight = torch.ones((), device=alpha.device)
    log_probs = []
    for _ in range(horizon):
        action, log_prob = actor.sample(state.observation)
        log_probs.append(log_prob.detach())
        state, reward, discount = env.step(state, action)
        value = value + weight * (reward - alpha * log_prob)
        weight = weight * discount
    action, log_prob = actor.sample(state.observation)
    log_probs.append(log_prob.detach())
    value = value + weight * (critic(state.observation, action).amin(dim=0) - alpha * log_prob)
    return -value.mean(), torch.cat(log_probs)
