"""Presets of the reward with other weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pricerl.market.reward import ResolvedReward, RewardConfig


def weighted(preset: str = "profit", **weights: float) -> RewardConfig:
    """A preset whose ``weights`` are replaced."""

    class Weighted(RewardConfig):
        def resolved(self) -> ResolvedReward:
            return replace(super().resolved(), **weights)

    chosen: Any = preset
    return Weighted(chosen)
