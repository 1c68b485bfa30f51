"""Pricing while learning, as an environment: each row is a seller with a belief, an account and weeks left.

A policy of it is one network for all sellers, volumes and attitudes to losses:
they are part of the observation.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from learning.account_view import OBSERVATION_DIM, PERCENT, WIDEST, AccountView, weigh_losses
from learning.belief import (
    NUM_PRICES,
    REACH,
    STEPS_PER_WEEK,
    DemandCurves,
    LearningConfig,
    Sellers,
    open_accounts,
)
from pricerl.errors import UsageError

SHOWN = (-8, -4, -2, 2, 4, 8)
"""Grid steps from the first price at which critics may see the true gain."""
PRIVILEGED_DIM = len(SHOWN) + 2 * STEPS_PER_WEEK + 4
CURVES, TRUTHS = 240, 3000
"""Demand curves of the beliefs, and of the sellers, both drawn from the prior of the demand families."""
UNITS = (5.0, 500.0)
LOSS_WEIGHTS = (2.0, 100.0)
"""Ranges, log-uniform, of mean daily units and of the weight of losses."""


def scale_of(sellers: Sellers) -> Tensor:
    """Return a percent of what keeping the first price earns over the account, ``(B,)``."""
    return PERCENT * sellers.config.weeks * (1 - sellers.cost)


def view_of(sellers: Sellers) -> AccountView:
    """Return what sellers know of their accounts."""
    return AccountView(
        weight=sellers.weight,
        elasticity=sellers.curves.elasticity,
        so_far=sellers.account,
        future=sellers.plan_gains(),
        log_price=sellers.curves.price.log(),
        stays=sellers.position,
        margin=1 - sellers.cost,
        units=sellers.units_per_week / 7,
        left=torch.full_like(sellers.cost, sellers.weeks_left / sellers.config.weeks),
        percent=scale_of(sellers),
    )


def observe_truth(sellers: Sellers, planned: Tensor) -> Tensor:
    """Return what no seller knows, ``(B, 14)``, for critics in training.

    They are the true weekly gains over keeping the first price, as a share of what keeping earns and times 5, at fixed
    prices and at those within a week's reach, the level, the true gain so far, and a quarter of the true gain at the
    end of the account if the plan is followed.

    Args:
        sellers: B sellers.
        planned: ``(B,)`` targets of their plans.
    """
    kept = 1 - sellers.cost[:, None]
    gain = 5 * (sellers.log_units.exp() * (sellers.curves.price - sellers.cost[:, None]) - kept) / kept
    reach = torch.arange(-STEPS_PER_WEEK, STEPS_PER_WEEK + 1)
    within = gain.gather(1, (sellers.position[:, None] + reach).clamp(0, NUM_PRICES - 1))
    fixed = gain[:, [REACH + step for step in SHOWN]]
    at_end, unit = expect_truth(sellers, planned), scale_of(sellers)
    so_far = torch.stack([10 * sellers.level, sellers.gain / unit, at_end / unit / 4], 1)
    return torch.cat([fixed, within, so_far], 1).clamp(-WIDEST, WIDEST)


def expect_truth(sellers: Sellers, planned: Tensor) -> Tensor:
    """Return the true gain ``(B,)`` at the end of the account if plans ``(B,)`` are followed at today's level."""
    return sellers.gain + sellers.level.exp() * sellers.true_gains().gather(1, planned[:, None])[:, 0]


class LearningVectorEnv(VectorEnv[Tensor, Tensor, Tensor]):
    """Sellers who price weekly and learn from their own noisy sales, as one torch batch.

    An action changes the weight of losses with which the week's plan is made, see `AccountView.choose`. The reward is
    the change of the utility of the true gain over keeping the first price, in percent of what keeping earns over the
    account, so that an episode's return is the utility of its gain. Observations hold only what a seller would know,
    unless ``privileged``. All rows end after ``config.weeks`` steps and start anew in the same call.

    Args:
        num_envs: B.
        config: of the sellers.
        units: range of mean daily units, log-uniform.
        loss_weights: range of the weight of losses, log-uniform.
        privileged: whether observations end in the truth of `observe_truth`, for critics only.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it as an instance variable
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 256,
        config: LearningConfig | None = None,
        units: tuple[float, float] = UNITS,
        loss_weights: tuple[float, float] = LOSS_WEIGHTS,
        privileged: bool = False,
    ) -> None:
        for name, (low, high), least in (("units", units, 0.0), ("loss_weights", loss_weights, 1.0)):
            if not least < high or not least <= low <= high:
                raise UsageError(f"{name} must be a range of numbers from {least:g} on, found {low} to {high}")
        self.num_envs, self.config = num_envs, config or LearningConfig()
        self._ranges, self._privileged = (units, loss_weights), privileged
        self._curves, self._truths = DemandCurves(CURVES), DemandCurves(TRUTHS, seed=1)
        self._generator = torch.Generator()
        columns = OBSERVATION_DIM + PRIVILEGED_DIM * privileged
        self.single_observation_space = spaces.Box(-WIDEST, WIDEST, (columns,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Draw new sellers."""
        if seed is not None:
            self._generator.manual_seed(seed)
        units, self.loss_weight = (self._log_uniform(*limits) for limits in self._ranges)
        chosen = torch.randint(TRUTHS, (self.num_envs,), generator=self._generator)
        truth = self._truths.log_units[chosen], self._truths.elasticity[chosen]
        self.sellers = open_accounts(self.config, self._curves, *truth, self._generator, units)
        return self._observe(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Price for a week by ``actions (B, 1)``; observation ``(B, O)``, the rest ``(B,)``."""
        before, unit = self.sellers, scale_of(self.sellers)
        action = torch.as_tensor(actions).reshape(-1)
        chosen = self._view.choose(*self._valued, self.loss_weight, action)
        self.sellers = before.advance(chosen.target, self._generator)
        was, now = (weigh_losses(sellers.gain / unit, self.loss_weight) for sellers in (before, self.sellers))
        ended = self.sellers.weeks_left == 0
        info: dict[str, Any] = {}
        if ended:
            info["final_obs"] = self._last
            observation, _ = self.reset()
        else:
            observation = self._observe()
        flags = torch.full((self.num_envs,), ended)
        return observation, now - was, flags, torch.zeros_like(flags), info

    def _observe(self) -> Tensor:
        self._view = view_of(self._believers())
        self._valued = self._view.value()
        seen = self._view.observe(*self._valued, self.loss_weight)
        self._planned = self._valued[1].utility(self.loss_weight[:, None]).argmax(-1)
        self._last = torch.cat([seen, observe_truth(self.sellers, self._planned)], 1) if self._privileged else seen
        return self._last

    def _believers(self) -> Sellers:
        """Return the sellers whose beliefs are observed."""
        return self.sellers

    def _log_uniform(self, low: float, high: float) -> Tensor:
        share = torch.rand(self.num_envs, generator=self._generator)
        return low * (high / low) ** share
