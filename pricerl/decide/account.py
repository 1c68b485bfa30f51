"""Value of prices by the end of a quarter: the one rule by which a change is planned, judged and published.

The first advice on a product opens an account that lasts 91 days. Its gain is that of the prices charged since then,
and of a path for the days left, over the price that would have been kept. A path is judged by the expected utility of
this gain, in which losses weigh more than gains (Tversky and Kahneman 1992, with linear sides), inside the loss budget.
Each advice plans again, in a market fitted to all days so far. A plan therefore loses only until falling sales show
that it does, which counts as `DAYS_TO_UNDO`: staying at a price is worth what will be learned there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, IntArray, interval_of
from pricerl.data.days import WEEK
from pricerl.decide.decision import Worth
from pricerl.decide.standing import Account, AccountPlan
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.references import MIN_MARGIN
from pricerl.evaluation.pricing_rules import HARM, candidate_prices
from pricerl.evaluation.rollout import approach_all
from pricerl.evaluation.valuation import PathValue, gains_over

DAYS_PER_QUARTER = 91
"""Days that an account is open."""
DAYS_TO_UNDO = 35
"""Days until a losing change is seen in sales and undone."""
TAIL_PROBABILITY = 0.10
"""Probability with which an account may end below its loss budget."""
NUM_TARGETS = 41
"""Prices within reach that a plan compares."""
PROPOSAL_SHARE = 0.9
"""Share of the best utility from which on the path that planner or policy proposes is followed."""


@dataclass(frozen=True)
class Quarter:
    """Open account of a product and the paths that its last days may take."""

    product: Product
    account: Account
    days_left: int
    loss_weight: float
    """How much worse losing 1 is than missing a gain of 1."""
    value_all: Callable[[Tensor], list[PathValue]]
    """Values paths ``(N, H)``, money, per row in the same posterior draws."""
    lasting: bool = True
    """Whether a path is valued with its last price on all days left, instead of as it is."""

    @property
    def rows(self) -> int:
        """Rows in the days that count."""
        return counted_days(self.days_left) // self.product.history.step_days

    @cached_property
    def so_far(self) -> FloatArray:
        """Gain over keeping of the prices charged since the account was opened, ``(K,)`` money."""
        return gain_so_far(self.account, self.product)

    @cached_property
    def _kept(self) -> PathValue:
        (value,) = self.value_all(self.product.money([self.account.price])[:, None].expand(1, self.rows))
        return value

    @cached_property
    def keeping(self) -> FloatArray:
        """Gain of keeping the current price, ``(K,)`` money."""
        (gain,) = self.gains(self.product.money([self.product.current_price])[:, None])
        return gain

    @cached_property
    def scale(self) -> float:
        """Money that keeping the account's price earns in a quarter, of at least ``MIN_MARGIN`` of its sales."""
        daily = max(float(self._kept.earned.mean()), MIN_MARGIN * float(self._kept.sales.mean()), 1e-9)
        return daily * DAYS_PER_QUARTER / self.product.history.step_days

    def gains(self, *prices: Tensor) -> list[FloatArray]:
        """Return the account's gain at its end after each path ``(N, H)``, money, ``(K,)`` money each."""
        if self.lasting:
            heads = (paths[:, : self.rows] for paths in prices)
            prices = tuple(torch.cat([head, head[:, -1:].expand(-1, self.rows - head.shape[1])], 1) for head in heads)
        found = (value.earned - self._kept.earned for value in self.value_all(torch.cat(prices)))
        undone = DAYS_TO_UNDO // self.product.history.step_days
        return [self.so_far + gain * np.where(gain < 0, undone, self.rows) for gain in found]

    def utility(self, gain: FloatArray) -> float:
        """Return the expected utility of gains at the end ``(K,)``, money."""
        return float(weigh_losses(gain, self.loss_weight).mean())

    def weigh(self, gain: FloatArray, draws: IntArray | slice = slice(None)) -> Worth:
        """Return the worth of a path by its gains ``(K,)``, money, in all posterior draws or some, by index."""
        ends = (gain[draws], self.keeping[draws])
        risks = np.maximum(-np.quantile(ends, TAIL_PROBABILITY, axis=1), 0.0) / self.scale
        path, keep = map(self.utility, ends)
        return Worth((path - keep) / self.scale, *risks.tolist())

    def prefers(self, path: Tensor) -> bool:
        """Return whether a path ``(H,)``, money, is worth more than keeping the current price."""
        (gain,) = self.gains(path[None])
        return self.utility(gain) > self.utility(self.keeping)

    def describe(self, path: Tensor, loss_budget: float) -> AccountPlan:
        """Return the account with its end after a path ``(H,)``, money."""
        (gain,) = self.gains(path[None])
        return AccountPlan(
            account=self.account,
            target=float(path[-1]),
            so_far=interval_of(self.so_far),
            at_end=interval_of(gain),
            budget=loss_budget * self.scale,
            probability_loss=float((gain < -HARM * self.scale).mean()),
            days_left=self.days_left,
            inside_budget=self.weigh(gain).risk <= loss_budget,
            loss_weight=self.loss_weight,
        )


def weigh_losses(gain: FloatArray, loss_weight: float) -> FloatArray:
    """Return the utility of gains, money, of their shape: losses count ``loss_weight`` times."""
    return np.asarray(gain + (loss_weight - 1) * np.minimum(gain, 0))


@torch.no_grad()
def plan_quarter(quarter: Quarter, proposed: Tensor, loss_budget: float) -> float | None:
    """Return the price within reach, money, that is worth the most for the days left.

    None if that is the current price, or if the path ``proposed (H,)``, money, which stays at its end, is worth about
    as much. ``loss_budget`` is the largest risk, as a share of a quarter's profit; a price that risks no more than the
    current one is inside.
    """
    product = quarter.product
    targets, paths = (values[product.index] for values in find_reach(product.dynamics))
    ends = quarter.gains(product.money([product.current_price])[:, None], proposed[None], paths)
    floors = np.quantile(ends, TAIL_PROBABILITY, axis=1)
    inside = floors >= min(-loss_budget * quarter.scale, floors[0])
    utility = np.where(inside, [quarter.utility(end) for end in ends], -np.inf)
    best = int(utility.argmax())
    if best == 0 or utility[1] - utility[0] >= PROPOSAL_SHARE * (utility[best] - utility[0]):
        return None
    return float(targets[best - 2])


@lru_cache(maxsize=1)
@torch.no_grad()
def find_reach(dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Return the prices within reach that are compared ``(P, N)``, and the ways there ``(P, N, H)``, money, at once."""
    count = dynamics.market.num_products
    allowed = torch.stack([candidate_prices(Product(dynamics, index)) for index in range(count)])
    targets = allowed[:, torch.linspace(0, allowed.shape[1] - 1, NUM_TARGETS, device=allowed.device).round().long()]
    products = torch.arange(count, device=allowed.device).repeat_interleave(NUM_TARGETS)
    paths = approach_all(targets.flatten(), dynamics, products, DAYS_PER_QUARTER // dynamics.history.step_days)
    return targets, paths.view(count, NUM_TARGETS, -1)


def days_left(account: Account, passed: date) -> int:
    """Return the days of an account after a day that has passed."""
    return max(DAYS_PER_QUARTER - (passed - date.fromisoformat(account.opened)).days, 0)


def counted_days(left: int) -> int:
    """Return the days for which a change counts: whole weeks, at least as many as a losing one takes to be undone.

    In whole weeks, so that most decisions stay the same from day to day.
    """
    return max(-(-left // WEEK) * WEEK, DAYS_TO_UNDO)


def gain_so_far(account: Account, product: Product) -> FloatArray:
    """Return what the prices since an account was opened have earned over keeping, ``(K,)`` money in all draws."""
    history = product.history
    own = history.dates.astype("datetime64[D]") > np.datetime64(account.opened)
    days = np.flatnonzero(history.observed & own)
    return np.asarray(gains_over(history, product.fitted, days, account.price, product.market.measure).sum(1))
