"""Knowledge of a seller about an open account, and the plan that a policy makes of it.

A plan aims at one of some prices. The policy's action changes the weight of losses in its utility.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from learning.utility import Plans, choose_plan, floor_of, value_plans, weighted_quantile
from pricerl.decide.account import TAIL_PROBABILITY

OBSERVATION_DIM = 16
WIDEST = 10.0
"""Largest absolute value of an observation."""
FACTOR = 8.0
"""Largest factor by which an action changes the weight of losses, either way."""
HOLDS = 0.9
"""Action from which the price is kept."""
LAST_RESORT = 1e6
"""Percent by which other prices than a kept one are worth less: they serve only where it is outside a budget."""
PERCENT = 0.01
"""Unit of gains: a percent of what keeping the first price earns over the account."""


class Choice(NamedTuple):
    """Plans that ``B`` sellers follow."""

    target: Tensor
    """``(B,)`` index of the price to aim at."""
    loss_weight: Tensor
    """``(B,)`` by which they were chosen."""
    inside: Tensor
    """``(B,)`` whether the budget holds; if not, no plan keeps to it, and this one risks the least."""


class AccountView(NamedTuple):
    """Accounts of ``B`` sellers, their beliefs in ``K`` draws, and ``J`` prices to aim at; money of any unit."""

    weight: Tensor
    """``(B, K)`` of the draws, of sum 1."""
    elasticity: Tensor
    """``(K,)`` or ``(B, K)``, at the first price."""
    so_far: Tensor
    """``(B, K)`` gain over keeping the first price since the account was opened."""
    future: Tensor
    """``(B, J, K)`` gain of approaching each price and staying there to the end."""
    log_price: Tensor
    """``(J,)`` or ``(B, J)`` prices to aim at, logs over the first one."""
    stays: Tensor
    """``(B,)`` index of the current price."""
    margin: Tensor
    """``(B,)`` share of the first price that is left of it after fees and cost."""
    units: Tensor
    """``(B,)`` per day at the first price."""
    left: Tensor
    """``(B,)`` share of the account that is left."""
    percent: Tensor
    """``(B,)`` a percent of what keeping the first price earns over the account."""

    def value(self) -> tuple[Tensor, Plans]:
        """Return the accounts at the end of all plans ``(B, J, K)``, and the value of the plans."""
        total = self.so_far[:, None] + self.future
        return total, value_plans(total, self.weight)

    def observe(self, total: Tensor, plans: Plans, loss_weight: Tensor) -> Tensor:
        """Return the observation ``(B, 16)``.

        Args:
            total: ``(B, J, K)``, from `value`.
            plans: from `value`.
            loss_weight: ``(B,)`` how much worse losing 1 is than missing a gain of 1.
        """
        weight, rows = self.weight, torch.arange(len(self.weight))
        mean = (weight * self.elasticity).sum(-1)
        sd = ((weight * self.elasticity.square()).sum(-1) - mean.square()).clamp_min(0).sqrt()
        utility = plans.utility(loss_weight[:, None])
        target, greedy = utility.argmax(-1), plans.mean.argmax(-1)
        at_end, log_price = total[rows, target], self.log_price.expand_as(utility)
        now = log_price[rows, self.stays]
        money = [
            (weight * self.so_far).sum(-1),
            *(weighted_quantile(self.so_far, weight, share) for share in (TAIL_PROBABILITY, 0.5)),
            plans.mean[rows, target],
            utility[rows, target] - utility[rows, self.stays],
            weighted_quantile(at_end, weight, TAIL_PROBABILITY),
        ]
        seen = [
            mean / 4,
            sd,
            1 - 2 * self.margin,
            self.units.log() / 3 - 1,
            self.left,
            5 * now,
            20 * (log_price[rows, target] - now),
            20 * (log_price[rows, greedy] - now),
            loss_weight.log() / 2 - 1,
            (weight * (at_end < 0)).sum(-1),
            *(value / self.percent for value in money),
        ]
        return torch.stack([value.float() for value in seen], 1).clamp(-WIDEST, WIDEST)

    def choose(
        self, total: Tensor, plans: Plans, loss_weight: Tensor, action: Tensor, budget: float | None = None
    ) -> Choice:
        """Choose the plans of a policy.

        Args:
            total: ``(B, J, K)``, from `value`.
            plans: from `value`.
            loss_weight: ``(B,)``.
            action: ``(B,)`` in [-1, 1]: the weight of losses counts 8 to its power times; at 0 plans stay as they are,
                and from 0.9 on the price is kept.
            budget: largest loss that accounts may show at their end with 90 % confidence, as a share of what keeping
                the first price earns over them; None for any.
        """
        weight = (loss_weight * FACTOR**action).clamp_min(1)
        utility = plans.utility(weight[:, None])
        others = torch.arange(utility.shape[1]) != self.stays[:, None]
        held = others & (action >= HOLDS)[:, None]
        utility = torch.where(held, utility - LAST_RESORT * self.percent[:, None], utility)
        if budget is None:
            return Choice(utility.argmax(-1), weight, torch.ones_like(self.stays, dtype=torch.bool))
        floor, lowest = floor_of(total, self.weight), -budget / PERCENT * self.percent[:, None]
        target = choose_plan(utility, floor, -lowest, floor.argmax(-1))
        return Choice(target, weight, floor.gather(1, target[:, None])[:, 0] >= lowest[:, 0])


def weigh_losses(gain: Tensor, loss_weight: Tensor | float) -> Tensor:
    """Return the utility of a gain over keeping the price: losses times ``loss_weight``, at least 1; any shape."""
    return torch.where(gain < 0, gain * loss_weight, gain)
