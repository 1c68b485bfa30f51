"""Value of prices in a quarter: the one rule by which a change is planned, judged and published.

A path is judged by what it gains over keeping the current price in a quarter from today on, by the objective: by the
expected utility of this gain, in which losses weigh more, as in the reward (``market.reward.weigh_losses``). Gains and
losses count for equally many days, on any day, so that a weight of 3 means 3. The first advice on a product opens an
account that lasts 91 days: it states what the prices charged since then, and the path, gain over the price that would
have been kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, interval_of
from pricerl.data.days import WEEK
from pricerl.decide.standing import Account, AccountPlan
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.pricing_rules import HARM
from pricerl.evaluation.valuation import PathValue, gains_over
from pricerl.market.reward import weigh_losses
from pricerl.planner.constant_price import find_candidates
from pricerl.planner.rollout import approach_all

DAYS_PER_QUARTER = 91
"""Days that an account is open."""
TAIL_PROBABILITY = 0.10
"""Probability with which an account may end below the loss that is stated."""
NUM_TARGETS = 41
"""Prices within reach that a plan compares."""


@dataclass(frozen=True)
class Quarter:
    """A product's next 91 days, and its open account."""

    product: Product
    account: Account
    days_left: int
    loss_weight: float
    """How much worse losing 1 is than missing a gain of 1."""
    value_all: Callable[[Tensor], list[PathValue]]
    """Values paths ``(N, H)``, in money, per row in the same posterior draws."""
    lasting: bool = True
    """Whether a path is valued with its last price on all days left, instead of as it is."""

    @property
    def rows(self) -> int:
        """Rows for which a path counts."""
        return DAYS_PER_QUARTER // self.product.history.step_days

    @cached_property
    def _now(self) -> Tensor:
        return self.product.money([self.product.current_price])[:, None]

    @cached_property
    def scale(self) -> float:
        """Money that keeping the current price earns in a quarter, of at least ``MIN_MARGIN`` of its sales."""
        (kept,) = self._value(self._now)
        daily = max(float(getattr(kept, kept.measure).mean()), MIN_MARGIN * float(kept.sales.mean()), 1e-9)
        return daily * self.rows

    def _value(self, *prices: Tensor) -> list[PathValue]:
        rows = self.rows if self.lasting else max(paths.shape[1] for paths in prices)
        heads = (paths[:, :rows] for paths in prices)
        return self.value_all(
            torch.cat([torch.cat([it, it[:, -1:].expand(-1, rows - it.shape[1])], 1) for it in heads])
        )

    def gains(self, *prices: Tensor) -> list[FloatArray]:
        """Return what paths ``(N, H)``, in money, gain in a quarter over the current price, ``(K,)`` as money each."""
        *values, kept = self._value(*prices, self._now)
        return [(value.worth - kept.worth) * self.rows for value in values]

    def weigh(self, gain: FloatArray) -> float:
        """Return the expected utility of gains ``(K,)``, in money, as a share of what keeping earns in a quarter."""
        return float(weigh_losses(gain, self.loss_weight).mean()) / self.scale

    def prefers(self, path: Tensor) -> bool:
        """Return whether a path ``(H,)``, in money, is worth more than keeping the current price."""
        (gain,) = self.gains(path[None])
        return self.weigh(gain) > 0

    def describe(self, path: Tensor) -> AccountPlan:
        """Return the account with its end after a path ``(H,)``, in money."""
        chosen, kept = self._value(path[None], self.product.money([self.account.price])[:, None])
        so_far = gain_so_far(self.account, self.product)
        gain = so_far + (chosen.earned - kept.earned) * (counted_days(self.days_left) / self.product.history.step_days)
        return AccountPlan(
            account=self.account,
            target=float(path[-1]),
            so_far=interval_of(so_far),
            at_end=interval_of(gain),
            budget=max(-float(np.quantile(gain, TAIL_PROBABILITY)), 0.0),
            probability_loss=float((gain < -HARM * self.scale).mean()),
            ends=(date.fromisoformat(self.account.opened) + timedelta(days=DAYS_PER_QUARTER)).isoformat(),
            loss_weight=self.loss_weight,
        )


@torch.no_grad()
def plan_quarter(quarter: Quarter, proposed: Tensor, margin: float) -> float | None:
    """Return the price within reach, in money, that is worth the most.

    There is none if no price is worth more than the current price, or more than the path ``proposed (H,)``, which
    stays at its end, by over a ``margin``, a share of what keeping earns.
    """
    product = quarter.product
    targets, paths = (values[product.index] for values in find_reach(product.dynamics))
    proposal, *others = map(quarter.weigh, quarter.gains(proposed[None], paths))
    best = max(others)
    return None if best <= 0 or proposal >= best - margin else float(targets[others.index(best)])


@lru_cache(maxsize=1)
@torch.no_grad()
def find_reach(dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Return the prices within reach that are compared ``(P, N)``, and the ways there ``(P, N, H)``, in money."""
    count = dynamics.market.num_products
    allowed = find_candidates(dynamics)
    targets = allowed[:, torch.linspace(0, allowed.shape[1] - 1, NUM_TARGETS, device=allowed.device).round().long()]
    products = torch.arange(count, device=allowed.device).repeat_interleave(NUM_TARGETS)
    paths = approach_all(targets.flatten(), dynamics, products, DAYS_PER_QUARTER // dynamics.history.step_days)
    return targets, paths.view(count, NUM_TARGETS, -1)


def days_left(account: Account, passed: date) -> int:
    """Return the days of an account after a day that has passed."""
    return max(DAYS_PER_QUARTER - (passed - date.fromisoformat(account.opened)).days, 0)


def counted_days(left: int) -> int:
    """Return the days left as whole weeks, so that most records stay the same from day to day."""
    return -(-left // WEEK) * WEEK


def gain_so_far(account: Account, product: Product) -> FloatArray:
    """Return what the prices since an account was opened have earned over keeping, ``(K,)`` money in all draws."""
    history = product.history
    own = history.dates.astype("datetime64[D]") > np.datetime64(account.opened)
    days = np.flatnonzero(history.observed & own)
    return np.asarray(gains_over(history, product.counted, days, account.price).sum(1))
