"""The decision on one product's price path: follow the policy, fall back to the lower bound, or keep the price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricerl.advice.decision import Decision, DecisionConfig, Evidence, decide, fall_back
from pricerl.advice.final_check import GatedPath, confirm, gate_path, refuse_loss
from pricerl.advice.price_path import PricePath, approach_path
from pricerl.data import unlikely_zeros
from pricerl.data.days import STEP_WORDS
from pricerl.env import Dynamics
from pricerl.evaluation import Causes, Shop, find_sensitivity, observe_causes, open_shop
from pricerl.evaluation.pricing_rules import lower_bound
from pricerl.evaluation.scores import with_rivals
from pricerl.evaluation.valuation import PathValue, value_paths
from pricerl.guardrails.price_grid import FLOAT32_SLACK

FAMILIAR = 1.10
"""Largest factor by which the current price may exceed or undercut the prices of training."""


@dataclass(frozen=True)
class DecidedPath:
    """Decision on a proposed path, and the path that it leads to."""

    decision: Decision
    aim: PricePath
    """The policy's path, or the one to the lower bound if the decision fell back on it."""
    path: PricePath
    """The part of the aim that the decision follows, after the gate."""
    gated: GatedPath
    proposal: PathValue
    """Value of the policy's path."""
    keep: PathValue
    """Value of keeping the price."""
    log: PathValue
    """Value of the seller's latest prices, repeated."""
    shop: Shop
    causes: Causes


def decide_path(proposed: PricePath, dynamics: Dynamics, product: int, config: DecisionConfig) -> DecidedPath:
    """Decide on the path that a policy proposes for a product.

    Args:
        proposed: the policy's path, inside the guardrails.
        dynamics: the market with its reward and guardrails.
        product: product index.
        config: required evidence.
    """
    market = dynamics.market
    history = market.preprocessor.products[product]
    own, keep, log = value_paths(market, product, with_rivals(dynamics, product, proposed.price))
    weighing = _Weighing(
        dynamics, product, config, open_shop(dynamics, product, config.min_chance), observe_causes(history)
    )
    decision, aim = decide(weighing.evidence(proposed, own.beats(keep)), config), proposed
    if decision.unsure:
        decision, aim = weighing.fall_back(decision, proposed, keep)
    decision, path, gated = _publish(decision, aim, keep, dynamics, product)
    return DecidedPath(decision, aim, path, gated, own, keep, log, weighing.shop, weighing.causes)


@dataclass(frozen=True)
class _Weighing:
    """Constants of the evidence on one product."""

    dynamics: Dynamics
    product: int
    config: DecisionConfig
    shop: Shop
    causes: Causes

    def fall_back(self, decision: Decision, proposed: PricePath, keep: PathValue) -> tuple[Decision, PricePath]:
        """Return the decision and its path after considering the lower bound's price."""
        path = approach_path(lower_bound(self.shop), self.dynamics, self.product, len(proposed.price))
        (value,) = value_paths(self.dynamics.market, self.product, path.price[None])
        cautious = fall_back(decision, self.evidence(path, value.beats(keep)), self.config)
        return cautious, (proposed if cautious is decision else path)

    def evidence(self, proposed: PricePath, probability_better: float) -> Evidence:
        """Return the evidence on a path that gains with a probability."""
        shop = self.shop
        history, limits = shop.history, proposed.limits
        tried, now = history.price[history.observed], shop.current_price
        path, slack = proposed.price.cpu().double().numpy(), FLOAT32_SLACK * float(tried.max())
        lowest, highest = self.dynamics.market.preprocessor.scaler.bounds(self.product, "price")
        sensitivity = find_sensitivity(shop, float(path[-1]), self.causes)
        return Evidence(
            proposes_change=bool((np.abs(path - now) > slack).any()),
            probability_better=probability_better,
            inside_tried_prices=bool((path >= tried.min() - slack).all() and (path <= tried.max() + slack).all()),
            usable_days=int(history.observed.sum()),
            distinct_prices=len(np.unique(tried)),
            costs_known=shop.market.cost.known,
            feasible=limits.feasible,
            keep_allowed=limits.keep_allowed,
            movable=limits.movable,
            hold_lasts=limits.wait >= len(path),
            paused=shop.guardrails.pause,
            overturned_by="" if sensitivity is None else sensitivity.overturned_by(self.config.hidden_strength),
            familiar=lowest / FAMILIAR <= now <= highest * FAMILIAR,
            entangled_with=self.causes.entangled,
            unlikely_zeros=unlikely_zeros(history),
            period=STEP_WORDS[history.step_days],
        )


def _publish(
    decision: Decision, aim: PricePath, keep: PathValue, dynamics: Dynamics, product: int
) -> tuple[Decision, PricePath, GatedPath]:
    """Return the part of the aim that passes the gate and pays in that form, else the current price."""
    now = dynamics.market.preprocessor.products[product].current_price
    followed = _followed(aim, torch.full_like(aim.price, now), decision)
    gated = gate_path(dynamics, product, followed)
    path, confirmed = gated.onto(followed), confirm(decision, gated, now)
    (value,) = value_paths(dynamics.market, product, path.price[None])
    checked = refuse_loss(confirmed, value, keep, aim.limits.keep_allowed)
    if checked is confirmed:
        return confirmed, path, gated
    return _publish(checked, aim, keep, dynamics, product)


def _followed(proposed: PricePath, now: Tensor, decision: Decision) -> PricePath:
    """Return the part of the proposed path that the decision follows."""
    if decision.follow == "path":
        return proposed
    if decision.follow == "hold":
        return proposed._replace(price=now, low=now, high=now, asked=now)
    limit = decision.follow == "limit"
    first = proposed.limits.nearest if limit else first_change(proposed.price, float(now[0]))
    reached = (proposed.price != now).cumsum(0) > 0
    price = now.where(~reached, first)
    asked = price.where(reached.cumsum(0) != 1, now if limit else proposed.asked)
    return proposed._replace(
        price=price, low=proposed.low.minimum(price), high=proposed.high.maximum(price), asked=asked
    )


def first_change(price: Tensor, now: float) -> float:
    """Return the first price of a path that differs from the current price, else the current price."""
    changed = price[price != now]
    return float(changed[0]) if len(changed) else now
