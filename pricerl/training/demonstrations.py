"""Demonstrations of a plan: its prices and their values in states that it and random prices reach."""

from __future__ import annotations

import torch

from pricerl.env.pricing import PricingVectorEnv
from pricerl.evaluation.dynamic_planner import DynamicPlan
from pricerl.sac.cloning import Demonstrations

ROWS, DECISIONS = 512, 28
"""Rows of the vector env and decisions of each; half of the rows follow the plan, half decide at random."""


@torch.no_grad()
def demonstrate(plan: DynamicPlan, env: PricingVectorEnv, seed: int) -> Demonstrations:
    """Return ``N = rows * DECISIONS`` demonstrations of a plan, in states with the day's noise.

    Args:
        plan: the teacher.
        env: vector env of an even number of rows in the plan's market.
        seed: of the env and of the random actions.
    """
    observation, _ = env.reset(seed=seed)
    generator = torch.Generator(observation.device).manual_seed(seed)
    follows = torch.arange(env.num_envs, device=observation.device) % 2 == 0
    shown = []
    for _ in range(DECISIONS):
        state = env.state
        taught = env.dynamics.find_action(state, plan(state))
        tried = 2 * torch.rand(taught.shape, generator=generator, device=generator.device) - 1
        value = plan.value_at(state, env.dynamics.decide(state, tried))
        shown.append(Demonstrations(state.observation, taught[:, None], tried[:, None], value))
        env.step(torch.where(follows, taught, tried)[:, None])
    return Demonstrations(*map(torch.cat, zip(*shown, strict=True)))
