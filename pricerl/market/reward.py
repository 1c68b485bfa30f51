"""The reward: a weighted sum of sales, price and conversion terms.

``reward = 0.4 sales + 0.3 price + 0.15 organic + 0.15 ad + exploration_bonus - sales_drop_penalty``, each term squashed
smoothly into [-3, 3]; only the profit gain stays strictly increasing instead (``compress``). Sales and conversions are
compared with those at the *median price* of ``env.references``, which is not the reference price that buyers remember
(``demand.reference_price``), profit with that at the current price. Terms are expectations: no day's noise enters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from pricerl.errors import UsageError, did_you_mean
from pricerl.market.cost import Measure

TERM_BOUND = 3.0
"""Terms are in [-3, 3], except for the profit gain; squashed instead of clipped."""
UNIT = 0.10
"""Unit of the terms: 10 % of their reference."""

# torch converts a Python number in every operation, which with 64 rows takes longer than the operation itself
_BOUND = torch.tensor(TERM_BOUND)
_UNIT = torch.tensor(UNIT)

MAX_GAIN = 1000.0
"""Largest relative profit gain that the reward distinguishes, so that value bounds are known before the market is."""


@dataclass(frozen=True)
class RewardConfig:
    """Daily objective; the preset sets every field left at ``None``."""

    preset: Literal["balanced", "profit", "revenue", "upward"] = "balanced"
    """Objective of the advice. ``balanced``: profit while sales and conversions are maintained; ``profit``: profit
    alone; ``revenue``: revenue alone, without costs; ``upward``: prices and sales above their medians, at a cost."""
    sales_weight: float | None = None
    """Weight of the sales term."""
    price_weight: float | None = None
    """Weight of the price term (gain in profit or revenue; in ``upward``, the price above its median)."""
    organic_weight: float | None = None
    """Weight of the organic-conversion term."""
    ad_weight: float | None = None
    """Weight of the ad-conversion term."""
    drop_weight: float | None = None
    """Weight of the penalty on a 7-day mean of sales below 90 % of the reference."""
    exploration: float | None = None
    """Weight of the exploration bonus; negative is pessimism, which avoids prices with uncertain gains."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            close = did_you_mean(str(self.preset), PRESETS)
            raise UsageError(f"data.reward.preset must be one of {', '.join(PRESETS)}, found {self.preset!r}{close}")
        for name, value in self._chosen().items():
            if not math.isfinite(value):
                raise UsageError(f"data.reward.{name} must be a finite number, found {value}")

    def resolved(self) -> ResolvedReward:
        """Return the preset's values, overridden by those that were set."""
        return replace(PRESETS[self.preset], **self._chosen())

    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "preset" and value is not None}


@dataclass(frozen=True)
class ResolvedReward:
    """Resolved settings of the reward; see ``RewardConfig``."""

    rewards_profit: bool
    """Whether the measure is rewarded while sales and conversions are maintained. ``upward`` instead rewards price,
    sales and conversions above their medians, in shares of their historical span."""
    sales_weight: float
    price_weight: float
    organic_weight: float
    ad_weight: float
    sales_tolerance: float
    """Share of the sales at the median price that may be lost without a penalty; so for conversions below."""
    conversion_tolerance: float
    drop_threshold: float
    """7-day mean of sales, as a share of those at the median price, below which the drop is penalised."""
    drop_weight: float
    exploration: float
    measure: Measure = "profit"
    """Measure of a gain: in the reward, in the decision and wherever prices are compared."""

    @property
    def profit_share(self) -> float | None:
        """Share of the measure at the current price that earns one reward per day; None if none earns rewards."""
        return UNIT / self.price_weight if self.rewards_profit and self.price_weight > 0 else None

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and highest reward of a day."""
        squashed = [self.sales_weight, self.organic_weight, self.ad_weight, self.exploration, self.drop_weight]
        price_bound = TERM_BOUND * math.asinh(MAX_GAIN / UNIT / TERM_BOUND) if self.rewards_profit else TERM_BOUND
        bound = TERM_BOUND * sum(map(abs, squashed)) + price_bound * abs(self.price_weight)
        return -bound, bound

    def evaluate(self, day: RewardInputs) -> Tensor:
        """Return a day's reward ``(B,)``, inside ``bounds()``, which limit critics; a subclass may override both."""
        return total_reward(reward_terms(day, self), self)


PRESETS = {
    "balanced": ResolvedReward(True, 0.4, 0.3, 0.15, 0.15, 0.05, 0.10, 0.90, 0.5, -0.1),
    "profit": ResolvedReward(True, 0.0, 1.0, 0.0, 0.0, 0.05, 0.10, 0.90, 0.0, -0.1),
    "revenue": ResolvedReward(True, 0.0, 1.0, 0.0, 0.0, 0.05, 0.10, 0.90, 0.0, -0.1, "sales"),
    "upward": ResolvedReward(False, 0.4, 0.3, 0.15, 0.15, 0.0, 0.0, 0.90, 1.0, 0.0),
}
"""``profit`` and ``revenue`` are the price term alone. ``balanced`` halves the drop weight, because its sales term
already penalises losses beyond 5 %. ``upward`` has no pessimism, which would pin the price to its median, where the
spread is zero."""


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
        price = compress(day.profit_gain.clamp(-MAX_GAIN, MAX_GAIN) / _UNIT)
        sales = _maintained(day.sales_ratio, config.sales_tolerance)
        organic = _maintained(day.organic_ratio, config.conversion_tolerance)
        ad = _maintained(day.ad_ratio, config.conversion_tolerance)
    else:
        price = squash((day.price_ratio - 1) / day.spans.price)
        sales = squash((day.sales_ratio - 1) / day.spans.sales)
        organic = squash((day.organic_ratio - 1) / day.spans.organic)
        ad = squash((day.ad_ratio - 1) / day.spans.ad)
    exploration = squash(day.spread / _UNIT)
    sales_drop = squash((config.drop_threshold - day.mean_sales_ratio).clamp(min=0) / _UNIT)
    return RewardTerms(sales, price, organic, ad, exploration, sales_drop)


def total_reward(terms: RewardTerms, config: ResolvedReward) -> Tensor:
    """Return the weighted sum of the terms, ``(B,)``, inside ``config.bounds()``."""
    total = config.sales_weight * terms.sales
    total = torch.add(total, terms.price, alpha=config.price_weight)
    total = torch.add(total, terms.organic, alpha=config.organic_weight)
    total = torch.add(total, terms.ad, alpha=config.ad_weight)
    total = torch.add(total, terms.exploration, alpha=config.exploration)
    return torch.sub(total, terms.sales_drop, alpha=config.drop_weight)


def squash(term: Tensor) -> Tensor:
    """Squash a term smoothly into (-3, 3): ``3 tanh(z / 3)``."""
    return _BOUND * torch.tanh(term / _BOUND)


def compress(term: Tensor) -> Tensor:
    """Compress a term to the scale of the others: ``3 asinh(z / 3)``, strictly increasing, with slope 1 at 0.

    Beyond +-3 it grows as the logarithm does, so no gain in profit looks like a larger one. The inverse hyperbolic sine
    is ``sign(x) log(1 + |x| + x^2 / (1 + sqrt(1 + x^2)))``, which takes a fifth of the time of ``torch.asinh``.
    """
    ratio = term / _BOUND
    if ratio.requires_grad:  # the other form has no slope at 0, the price in force
        return _BOUND * torch.asinh(ratio)
    square = ratio.square()
    return _BOUND * (ratio.abs() + square / (1 + (1 + square).sqrt())).log1p().copysign(ratio)


def _maintained(ratio: Tensor, tolerance: float) -> Tensor:
    return squash((ratio - (1 - tolerance)).clamp(max=0) / _UNIT)
