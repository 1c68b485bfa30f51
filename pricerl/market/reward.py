"""The reward: the plan's weighted sum, with terms that cannot be gamed.

``reward = 0.4 sales + 0.3 price + 0.15 organic + 0.15 ad + exploration_bonus - sales_drop_penalty``, where every
term is squashed smoothly into [-3, 3]. Expectations enter, never a day's noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pricerl.errors import UsageError, did_you_mean

TERM_BOUND = 3.0
"""Every term lies in [-3, 3]; squashed, not clipped, so that more is always told from less."""

UNIT = 0.10
"""Terms are measured in units of 10 % of their reference."""


@dataclass(frozen=True)
class RewardConfig:
    """Which objective a day is scored by. A preset fills every field left at ``None``."""

    preset: Literal["balanced", "profit", "upward"] = "balanced"
    """``balanced``: more profit while sales and conversions hold; ``profit``: profit alone; ``upward``: higher
    prices and sales above their medians are rewarded, at a cost the report prints."""

    sales_weight: float | None = None
    """Weight of the sales term."""

    price_weight: float | None = None
    """Weight of the price term (profit gain; in ``upward``, the price above its median)."""

    organic_weight: float | None = None
    """Weight of the organic-conversion term."""

    ad_weight: float | None = None
    """Weight of the ad-conversion term."""

    sales_tolerance: float | None = None
    """Share of sales that may be lost before the sales term costs anything."""

    conversion_tolerance: float | None = None
    """Share of a conversion that may be lost before its term costs anything."""

    drop_threshold: float | None = None
    """The penalty sets in when the 7-day mean of sales falls below this share of the reference."""

    drop_weight: float | None = None
    """Weight of that penalty."""

    exploration: float | None = None
    """Weight of the exploration bonus: negative is pessimism, it shuns prices whose profit is uncertain."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            close = did_you_mean(str(self.preset), PRESETS)
            raise UsageError(f"reward.preset must be one of {', '.join(PRESETS)}, found {self.preset!r}{close}")
        for name in ("sales_weight", "price_weight", "organic_weight", "ad_weight", "drop_weight", "exploration"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"reward.{name} must be a finite number, found {value}")
        for name in ("sales_tolerance", "conversion_tolerance", "drop_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"reward.{name} must lie between 0 and 1, found {value}")

    def resolved(self) -> ResolvedReward:
        """Return the numbers in force: the preset's, overridden by those that were set."""
        chosen = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name != "preset" and getattr(self, item.name) is not None
        }
        return replace(PRESETS[self.preset], **chosen)


@dataclass(frozen=True)
class ResolvedReward:
    """The reward's numbers in force; see ``RewardConfig`` for their meaning."""

    rewards_profit: bool
    """Whether profit is rewarded while sales and conversions hold; otherwise (``upward``) price, sales and conversions
    above their medians are, in shares of their historical span."""
    sales_weight: float
    price_weight: float
    organic_weight: float
    ad_weight: float
    sales_tolerance: float
    conversion_tolerance: float
    drop_threshold: float
    drop_weight: float
    exploration: float

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and highest reward a day can earn."""
        weights = [self.sales_weight, self.price_weight, self.organic_weight, self.ad_weight]
        both = TERM_BOUND * sum(abs(weight) for weight in weights)
        spread = TERM_BOUND * abs(self.exploration)
        drop = TERM_BOUND * abs(self.drop_weight)
        return -both - spread - drop, both + spread + drop


PRESETS = {
    "balanced": ResolvedReward(True, 0.4, 0.3, 0.15, 0.15, 0.05, 0.10, 0.90, 0.5, -0.1),
    "profit": ResolvedReward(True, 0.0, 1.0, 0.0, 0.0, 0.05, 0.10, 0.90, 0.0, -0.1),
    "upward": ResolvedReward(False, 0.4, 0.3, 0.15, 0.15, 0.0, 0.0, 0.90, 1.0, 0.0),
}
"""``profit`` is the price term alone; the drop weight of ``balanced`` is half of one: the sales term already
costs from 5 % on. ``upward`` has no pessimism: it would pin the price to the reference, where the spread is zero."""


class Spans(NamedTuple):
    """5th to 95th percentile of the history over the reference, each ``(B,)``: the min-max scale of ``upward``."""

    price: Tensor
    sales: Tensor
    organic: Tensor
    ad: Tensor


class RewardInputs(NamedTuple):
    """What one day is scored on, each ``(B,)``: expectations under the posterior draw, and their references."""

    sales_ratio: Tensor
    """Expected sales over those at the reference price."""
    profit_gain: Tensor
    """Expected profit minus that at the reference price, over the reference's contribution."""
    price_ratio: Tensor
    """Price over the reference price."""
    spans: Spans
    """Historical spans over the references."""
    organic_ratio: Tensor
    """Organic conversion over that at the reference price; 1 where never reported."""
    ad_ratio: Tensor
    """Ad conversion over that at the reference price; 1 where never reported."""
    mean_sales_ratio: Tensor
    """Mean of ``sales_ratio`` over the last 7 days."""
    spread: Tensor
    """Standard deviation of ``profit_gain`` over the posterior draws at this price."""


class RewardTerms(NamedTuple):
    """The formula's terms after squashing and before weighting, each ``(B,)`` in [-3, 3]."""

    sales: Tensor
    price: Tensor
    organic: Tensor
    ad: Tensor
    exploration: Tensor
    sales_drop: Tensor


def reward_terms(day: RewardInputs, config: ResolvedReward) -> RewardTerms:
    """Score a day's outcome term by term.

    Maintenance terms (sales, organic, ad) are ``min(0, ratio - 1 + tolerance) / 0.10``: loss beyond the tolerance
    costs, excess pays nothing, and the price term is the profit gain. Without ``rewards_profit`` every term is its
    quantity's distance from the median in shares of its historical span, as the plan's formula reads literally.
    """
    if config.rewards_profit:
        price = squash(day.profit_gain / UNIT)
        sales = _maintained(day.sales_ratio, config.sales_tolerance)
        organic = _maintained(day.organic_ratio, config.conversion_tolerance)
        ad = _maintained(day.ad_ratio, config.conversion_tolerance)
    else:
        price = squash((day.price_ratio - 1) / day.spans.price)
        sales = squash((day.sales_ratio - 1) / day.spans.sales)
        organic = squash((day.organic_ratio - 1) / day.spans.organic)
        ad = squash((day.ad_ratio - 1) / day.spans.ad)
    exploration = squash(day.spread / UNIT)
    sales_drop = squash((config.drop_threshold - day.mean_sales_ratio).clamp(min=0) / UNIT)
    return RewardTerms(sales, price, organic, ad, exploration, sales_drop)


def total_reward(terms: RewardTerms, config: ResolvedReward) -> Tensor:
    """Weighted sum of the terms, ``(B,)``, inside ``config.bounds()``."""
    return (
        config.sales_weight * terms.sales
        + config.price_weight * terms.price
        + config.organic_weight * terms.organic
        + config.ad_weight * terms.ad
        + config.exploration * terms.exploration
        - config.drop_weight * terms.sales_drop
    )


def squash(term: Tensor) -> Tensor:
    """Squash a term smoothly into (-3, 3): ``3 tanh(z / 3)``."""
    return TERM_BOUND * torch.tanh(term / TERM_BOUND)


def _maintained(ratio: Tensor, tolerance: float) -> Tensor:
    return squash((ratio - 1 + tolerance).clamp(max=0) / UNIT)
