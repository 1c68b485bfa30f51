"""Utility of the profit gained over keeping the price, and the loss budget that limits it.

An account holds, per posterior draw, what the prices charged since it was opened have earned over keeping the price of
that day. A plan adds the gain expected from a path of prices over the weeks that are left. Losses weigh several times
as much as gains (Tversky and Kahneman 1992, with linear sides), and a plan may not push a low quantile of the account
below the budget. `pricerl.decide.account` chooses in the same way among the plans of one product.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.decide.account import TAIL_PROBABILITY


class Plans(NamedTuple):
    """Accounts of ``B`` sellers at the end of candidate plans, ``(B, J)`` each, money."""

    mean: Tensor
    """Expected account."""
    losing: Tensor
    """Part of the expected account that losing accounts contribute, at most 0."""

    def utility(self, loss_weight: Tensor | float) -> Tensor:
        """Return the expected utility ``(B, J)``: losing 1 is ``loss_weight`` times as bad as missing a gain of 1.

        The weight is a number or ``(B, 1)``.
        """
        return self.mean + (loss_weight - 1) * self.losing


def weighted_quantile(values: Tensor, weight: Tensor, probability: float) -> Tensor:
    """Return the smallest value at which the cumulated weight reaches a probability, along the last dimension.

    Values and weights, of sum 1, are ``(..., K)``; the result is ``(...)``.
    """
    ordered, order = values.sort(-1)
    reached = weight.expand_as(values).gather(-1, order).cumsum(-1) < probability
    index = reached.sum(-1, keepdim=True).clamp_max(values.shape[-1] - 1)
    return ordered.gather(-1, index)[..., 0]


def value_plans(total: Tensor, weight: Tensor) -> Plans:
    """Value plans that end at accounts ``total (B, J, K)``, money, in draws of ``weight (B, K)``, of sum 1."""
    share = weight[:, None] * total
    return Plans(share.sum(-1), share.clamp_max(0).sum(-1))


def floor_of(total: Tensor, weight: Tensor, low: float = TAIL_PROBABILITY) -> Tensor:
    """Return the quantile ``(B, J)`` of accounts ``total (B, J, K)``, money, that a loss budget limits."""
    return weighted_quantile(total, weight[:, None], low)


def choose_plan(value: Tensor, floor: Tensor, budget: Tensor | float, keep: int | Tensor) -> Tensor:
    """Return the index ``(B,)`` of the plan of the highest value ``(B, J)`` among those inside the budget.

    The ``floor (B, J)``, a low quantile of the account at its end, may show a loss of at most ``budget``, a number or
    ``(B, 1)``. Where none is inside, the plan ``keep`` that risks least is chosen; one for all or ``(B,)``.
    """
    allowed = floor >= -torch.as_tensor(budget)
    best = value.masked_fill(~allowed, -torch.inf).argmax(-1)
    return torch.where(allowed.any(-1), best, torch.as_tensor(keep).expand_as(best))
