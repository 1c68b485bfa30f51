"""The reward: a weighted sum of sales, price and conversion terms.

``objective = 0.4 sales + 0.3 price + 0.15 organic + 0.15 ad + exploration_bonus - sales_drop_penalty``, each term
squashed smoothly into [-3, 3]; only the profit gain stays strictly increasing instead (``compress``). Sales and
conversions are compared with those at the *median price* of ``env.references``, which is not the reference price that
buyers remember (``demand.reference_price``), profit with that at the current price. Terms are expectations: no day's
noise enters. The reward is the utility of the objective's gain over the current price, in which losses weigh more
(``weigh_losses``), so that plan and policy learn what the account of a quarter decides by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from pricerl.arrays import LOSS_WEIGHT, FloatArray
from pricerl.errors import UsageError, did_you_mean
from pricerl.market.cost import Measure

Gain = TypeVar("Gain", Tensor, FloatArray)

TERM_BOUND = 3.0
"""Terms are in [-3, 3], except for the profit gain; squashed instead of clipped."""
UNIT = 0.10
"""Unit of the terms: 10 % of their reference."""

GAIN_SCALE = 30.0
"""Profit gain, in units, beyond which ``compress`` flattens: gains of up to 50 % of the profit count within 0.5 %."""

# torch converts a Python number in every operation, which with 64 rows takes longer than the operation itself
_BOUND = torch.tensor(TERM_BOUND)
_SCALE = torch.tensor(GAIN_SCALE)
_UNIT = torch.tensor(UNIT)

MAX_GAIN = 1000.0
"""Largest relative profit gain that the reward distinguishes, so that value bounds are known before the market is."""


@dataclass(frozen=True)
class RewardConfig:
    """Daily objective; for other weights, override ``resolved()``."""

    preset: Literal["balanced", "profit", "revenue", "upward"] = "profit"
    """Objective of the advice. ``profit``: profit alone; ``balanced``: profit while sales and conversions are
    maintained; ``revenue``: revenue alone, without costs; ``upward``: prices and sales above their medians, at a
    cost."""
    loss_weight: float = LOSS_WEIGHT
    """How much worse losing 1 counts than missing a gain of 1; commands take it from ``decision.loss_weight``."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            close = did_you_mean(str(self.preset), PRESETS)
            raise UsageError(f"data.reward.preset must be one of {', '.join(PRESETS)}, found {self.preset!r}{close}")
        if not math.isfinite(self.loss_weight):
            raise UsageError(f"data.reward.loss_weight must be a finite number, found {self.loss_weight}")

    def resolved(self) -> ResolvedReward:
        """Return the preset's values."""
        return replace(PRESETS[self.preset], loss_weight=self.loss_weight)


@dataclass(frozen=True)
class ResolvedReward:
    """Resolved settings of the reward; see ``RewardConfig``."""

    rewards_profit: bool
    """Whether the measure is rewarded while sales and conversions are maintained. ``upward`` instead rewards price,
    sales and conversions above their medians, in shares of their historical span."""
    sales_weight: float
    price_weight: float
    """Weight of the gain in profit or revenue; in ``upward``, of the price above its median."""
    organic_weight: float
    ad_weight: float
    sales_tolerance: float
    """Share of the sales at the median price that may be lost without a penalty; so for conversions below."""
    conversion_tolerance: float
    drop_threshold: float
    """7-day mean of sales, as a share of those at the median price, below which the drop is penalised."""
    drop_weight: float
    exploration: float
    """Weight of the exploration bonus; negative is pessimism, which avoids prices with uncertain gains."""
    measure: Measure = "profit"
    """Measure of a gain in money."""
    loss_weight: float = LOSS_WEIGHT
    name: str = ""
    """Name of the preset."""

    @property
    def other_weights(self) -> tuple[float, ...]:
        """Weights of the terms but the price's, in their order; sales drops are subtracted."""
        return self.sales_weight, self.organic_weight, self.ad_weight, self.exploration, -self.drop_weight

    @property
    def profit_share(self) -> float:
        """Share of the measure at the current price as which one point of the objective per day counts."""
        return UNIT / self.price_weight if self.price_weight > 0 else UNIT

    @property
    def is_measure(self) -> bool:
        """Whether the objective is the measure and nothing else, so that its gains are money."""
        own = type(self).evaluate is not ResolvedReward.evaluate
        return self.rewards_profit and self.price_weight > 0 and not any(self.other_weights) and not own

    @property
    def objective(self) -> str:
        """Name of the objective where it is not the measure alone; else empty, and gains are money."""
        return "" if self.is_measure else self.name

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and highest reward of a day, which limit critics; their mean is 0, where critics begin."""
        price_bound = GAIN_SCALE * math.asinh(MAX_GAIN / UNIT / GAIN_SCALE) if self.rewards_profit else TERM_BOUND
        bound = TERM_BOUND * sum(map(abs, self.other_weights)) + price_bound * abs(self.price_weight)
        most = 2 * self.loss_weight * bound  # a loss from the highest objective to the lowest
        return -most, most

    def evaluate(self, day: RewardInputs) -> Tensor:
        """Return a day's objective ``(B,)``; a subclass may override it, and ``bounds()`` for larger rewards."""
        return total_reward(reward_terms(day, self), self)

    def evaluate_measure(self, gain: Tensor) -> Tensor:
        """Return the same of a ``profit_gain (B,)`` where the objective is nothing else."""
        return self.price_weight * _gain_term(gain)


PRESETS = {
    "balanced": ResolvedReward(True, 0.4, 0.3, 0.15, 0.15, 0.05, 0.10, 0.90, 0.5, -0.1, name="balanced"),
    "profit": ResolvedReward(True, 0.0, 1.0, 0.0, 0.0, 0.05, 0.10, 0.90, 0.0, 0.0, name="profit"),
    "revenue": ResolvedReward(True, 0.0, 1.0, 0.0, 0.0, 0.05, 0.10, 0.90, 0.0, 0.0, "sales", name="revenue"),
    "upward": ResolvedReward(False, 0.4, 0.3, 0.15, 0.15, 0.0, 0.0, 0.90, 1.0, 0.0, name="upward"),
}
"""``profit`` and ``revenue`` are the price term alone, without pessimism, as losses weigh more anyway. ``balanced``
halves the drop weight, because its sales term already penalises losses beyond 5 %. ``upward`` has no pessimism, which
would pin the price to its median, where the spread is zero."""


class Spans(NamedTuple):
    """5th to 95th percentile of the history over the reference, each ``(B,)``: the scale of ``upward``."""

    price: Tensor
    sales: Tensor
    organic: Tensor
    ad: Tensor


class RewardInputs(NamedTuple):
    """Inputs of one day's reward, each ``(B,)``: expectations under the posterior draw over their references."""

    sales_ratio: Tensor
    """Expected sales over those at the median price."""
    profit_gain: Tensor
    """Expected measure minus that at the current price, over the contribution there; see ``env.references``."""
    price_ratio: Tensor
    """Price over the median price."""
    spans: Spans
    """Historical spans over the references."""
    organic_ratio: Tensor
    """Organic conversion over that at the median price; 1 if never reported."""
    ad_ratio: Tensor
    """The same for ad conversion."""
    mean_sales_ratio: Tensor
    """Mean of ``sales_ratio`` over the last 7 days."""
    spread: Tensor
    """Standard deviation of profit at this price over the posterior draws, relative to that at the median price."""


class RewardTerms(NamedTuple):
    """Terms before weighting, each ``(B,)``: in [-3, 3], except for a profit gain in ``price``."""

    sales: Tensor
    price: Tensor
    organic: Tensor
    ad: Tensor
    exploration: Tensor
    sales_drop: Tensor


def reward_terms(day: RewardInputs, config: ResolvedReward) -> RewardTerms:
    """Return a day's reward terms.

    With ``rewards_profit`` the price term is the profit gain, and the others are maintenance terms
    ``min(0, ratio - 1 + tolerance) / 0.10``: a loss beyond the tolerance is penalised, an excess is not rewarded.
    Otherwise each term is its quantity's distance from its median in shares of its historical span.
    """
    if config.rewards_profit:
        price = _gain_term(day.profit_gain)
        sales = _maintained(day.sales_ratio, config.sales_tolerance)
        organic, ad = (_maintained(ratio, config.conversion_tolerance) for ratio in (day.organic_ratio, day.ad_ratio))
    else:
        ratios = day.price_ratio, day.sales_ratio, day.organic_ratio, day.ad_ratio
        price, sales, organic, ad = (squash((ratio - 1) / span) for ratio, span in zip(ratios, day.spans, strict=True))
    exploration = squash(day.spread / _UNIT)
    sales_drop = squash((config.drop_threshold - day.mean_sales_ratio).clamp(min=0) / _UNIT)
    return RewardTerms(sales, price, organic, ad, exploration, sales_drop)


def _gain_term(gain: Tensor) -> Tensor:
    return compress(gain.clamp(-MAX_GAIN, MAX_GAIN) / _UNIT)


def total_reward(terms: RewardTerms, config: ResolvedReward) -> Tensor:
    """Return the weighted sum of the terms, ``(B,)``."""
    sales_weight, *others = config.other_weights
    total = sales_weight * terms.sales
    for term, weight in zip(terms[1:], (config.price_weight, *others), strict=True):
        total = torch.add(total, term, alpha=weight)
    return total


def weigh_losses(gain: Gain, loss_weight: float) -> Gain:
    """Return the utility of gains over the current price, of their shape: losses count ``loss_weight`` times.

    Its sides are linear (Tversky and Kahneman 1992).
    """
    return gain + (loss_weight - 1) * gain.clip(max=0)


def squash(term: Tensor) -> Tensor:
    """Squash a term smoothly into (-3, 3): ``3 tanh(z / 3)``."""
    return _BOUND * torch.tanh(term / _BOUND)


def compress(term: Tensor) -> Tensor:
    """Compress a far gain: ``30 asinh(z / 30)``, strictly increasing, with slope 1 at 0.

    Far beyond it grows as the logarithm does, so no gain in profit looks like a larger one.
    """
    return _SCALE * torch.asinh(term / _SCALE)


def _maintained(ratio: Tensor, tolerance: float) -> Tensor:
    return squash((ratio - (1 - tolerance)).clamp(max=0) / _UNIT)
