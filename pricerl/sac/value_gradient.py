"""Actor's loss through a differentiable environment: rewards of ``H`` steps, then the critics' value of the last state.

Sources:
    arXiv:1510.09142  Heess et al., Learning Continuous Control Policies by Stochastic Value Gradients
    arXiv:2204.07137  Xu et al., Accelerated Policy Learning with Parallel Differentiable Simulation (SHAC)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pricerl.sac.networks import Actor


class DifferentiableEnv(Protocol):
    """Environment whose rewards and states carry gradients with respect to earlier actions.

    Random numbers come from torch's global generator, so that a resumed run repeats them and a graph can record them.
    """

    def start(self) -> Any:
        """Return first states of ``B`` rows, with an ``observation (B, O)``: kept or newly drawn ones."""

    def step(self, state: Any, action: Tensor) -> tuple[Any, Tensor, Tensor]:
        """Return states after actions ``(B, A)``, rewards, and discounts of the values after them, ``(B,)`` each."""

    def keep(self, state: Any) -> None:
        """Keep the last states of a roll-out, from which later ones may go on."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the states kept."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> bool:
        """Restore the states kept; return False, and change nothing, if they do not fit."""


def roll_out_actor(
    actor: Actor, critic: nn.Module, env: DifferentiableEnv, horizon: int, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss ``()`` of ``horizon`` decisions of the actor and one more, and the log probabilities of the last.

    ``-mean_b [sum_{k<H} D_k r(s_k, tanh mu(s_k)) + D_H (min_n Q_n(s_H, a_H) - alpha log pi(a_H | s_H))]`` with ``D_k``
    the product of the first ``k`` discounts. The ``H`` decisions are the deployed ones, without noise, and so is the
    market's gradient; only the action that the critics value is sampled, as in
    plain SAC, and its entropy counts. With ``H`` 0 this is `pricerl.sac.losses.actor_loss` in the first states.

    Args:
        actor: policy; its last action is sampled by reparameterization.
        critic: ensemble that values the last state; its weights are held constant by the caller.
        env: environment, which gives the first states and keeps the last ones.
        horizon: ``H``.
        alpha: temperature, ``()``; held constant.

    Returns:
        Loss ``()`` and log probabilities of the last action ``(B,)``.
    """
    alpha = alpha.detach()
    state = env.start()
    value = torch.zeros((), device=alpha.device)
    weight = torch.ones((), device=alpha.device)
    for _ in range(horizon):
        mean, _ = actor(state.observation)
        state, reward, discount = env.step(state, torch.tanh(mean))
        value = value + weight * reward
        weight = weight * discount
    env.keep(state)
    action, log_prob = actor.sample(state.observation)
    value = value + weight * (critic(state.observation, action).amin(dim=0) - alpha * log_prob)
    return -value.mean(), log_prob.detach()
