"""The decision on one product's price path: follow the policy, fall back to the lower bound, or keep the price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pricerl.advice.account import AccountPlan, plan_account
from pricerl.advice.config import DecisionConfig
from pricerl.advice.decision import SET_BY, Decision, Evidence, MeasuredPair, Speaker, decide, fall_back
from pricerl.advice.exploration import Published, RandomPrice, vary
from pricerl.advice.final_check import GatedPath, confirm, gate_path, refuse_loss
from pricerl.advice.past import FIRST, Past, is_same_price
from pricerl.advice.price_path import PricePath, approach_path
from pricerl.advice.reasons import MEASURES
from pricerl.data import ProductHistory, UnlikelyZeros, unlikely_zeros
from pricerl.data.days import STEP_WORDS
from pricerl.env import Dynamics
from pricerl.evaluation import Causes, Shop, observe_causes, open_shop
from pricerl.evaluation.pricing_rules import lower_bound
from pricerl.evaluation.scores import with_rivals
from pricerl.evaluation.valuation import PathValue, value_paths
from pricerl.guardrails.price_grid import FLOAT32_SLACK

ENOUGH_INFORMATION = 1.0
"""Information on the elasticity, from days at advised prices alone, from which a biased history counts like others,
though it is never claimed: about that of the prior, whose sd is 1.1."""

FAMILIAR = 1.10
"""Largest factor by which the current price may exceed or undercut the prices of training."""


@dataclass(frozen=True)
class DecidedPath:
    """Decision on a proposed path, and the path that it leads to."""

    decision: Decision
    aim: PricePath
    """The proposed path, or the one to the lower bound if the decision fell back on it."""
    path: PricePath
    """The part of the aim that the decision follows, after the gate."""
    gated: GatedPath
    proposal: PathValue
    """Value of the proposed path."""
    keep: PathValue
    """Value of keeping the price."""
    log: PathValue
    """Value of the seller's latest prices, repeated."""
    shop: Shop
    causes: Causes
    proposed: PricePath
    """The path of ``proposal``: that of planner or policy, or of an account or a price test in its place."""
    account: AccountPlan | None = None
    """Account of the quarter and its plan; None if this is the first advice."""
    drawn: tuple[RandomPrice, ...] = ()
    """Distributions of the prices that have a random part."""
    offered: float | None = None
    """Value of ``decision.explore_share`` to offer; None where it is set or would not help."""


def decide_path(
    proposed: PricePath,
    dynamics: Dynamics,
    product: int,
    config: DecisionConfig,
    speaker: Speaker = "policy",
    failed: bool = False,
    past: Past = FIRST,
    seed: int = 0,
) -> DecidedPath:
    """Decide on the path proposed for a product.

    Args:
        proposed: path inside the guardrails.
        dynamics: the market with its reward and guardrails.
        product: product index.
        config: required evidence.
        speaker: proposer of the path.
        failed: whether the policy returned NaN or infinity.
        past: what the decision log holds on the product. From the worse price of a pair that a price test measured,
            the way leads to the better one; else the plan of an open account replaces the gate, unless it is off.
        seed: of the random parts of prices.
    """
    market, measured = dynamics.market, past.measured
    history = market.preprocessor.products[product]
    plan = None
    if measured is not None and is_same_price(history.current_price, measured.worse):
        proposed = approach_path(measured.better, dynamics, product, len(proposed.price))
    elif past.account is not None and not failed and config.min_chance > 0:
        plan = plan_account(past.account, proposed.price, dynamics, product, config)
        if not plan.proposed:
            proposed, speaker = approach_path(plan.target, dynamics, product, len(proposed.price)), "planner"
    own, keep, log = value_paths(market, product, with_rivals(dynamics, product, proposed.price))
    weighing = _Weighing(
        dynamics,
        product,
        config,
        speaker,
        failed,
        open_shop(dynamics, product, config.min_chance),
        observe_causes(history),
        measured,
        plan is not None,
    )
    aim, evidence = weighing.weigh(proposed, own, keep)
    decision = decide(evidence, config)
    if decision.unsure:
        decision, aim = weighing.fall_back(decision, aim, keep)
    final = _publish(decision, aim, keep, dynamics, product)
    centre = past.centre(history.current_price)
    final, drawn, offered = vary(final, centre, dynamics, product, config.explore_share, seed, weighing.suspect)
    return DecidedPath(
        final[0], aim, *final[1:], own, keep, log, weighing.shop, weighing.causes, proposed, plan, drawn, offered
    )


@dataclass(frozen=True)
class _Weighing:
    """Constants of the evidence on one product."""

    dynamics: Dynamics
    product: int
    config: DecisionConfig
    speaker: Speaker
    failed: bool
    shop: Shop
    causes: Causes
    measured: MeasuredPair | None
    planned: bool
    """Whether the path is the plan of an open account."""

    @property
    def suspect(self) -> bool:
        """Whether whatever set the prices may have followed demand, and own prices varied too little to show it."""
        history, market = self.shop.history, self.shop.market
        biased = market.price_setting in SET_BY and history.step_days == 1
        return biased and own_information(history, market.units.size) < ENOUGH_INFORMATION

    @cached_property
    def zeros(self) -> UnlikelyZeros | None:
        """Zero-sales days too frequent to be chance, the same for every path."""
        return unlikely_zeros(self.shop.history)

    def weigh(self, path: PricePath, value: PathValue, keep: PathValue) -> tuple[PricePath, Evidence]:
        """Return a path with its evidence or, where it cannot be claimed, its allowed part that earns most."""
        evidence = self.evidence(path, value, keep)
        decision = decide(evidence, self.config)
        best, chosen = 0.0, (path, evidence)
        if self.planned or not (decision.unsure or decision.follow == "step"):
            return chosen
        parts = _parts_of(path, self.shop.current_price)
        values = value_paths(self.dynamics.market, self.product, torch.stack([part.price for part in parts]))
        for part, part_value in zip(parts, values, strict=True):
            gain, evidence = float((part_value.earned - keep.earned).mean()), self.evidence(part, part_value, keep)
            if gain > best and decide(evidence, self.config).follow in ("path", "step"):
                best, chosen = gain, (part, evidence)
        return chosen

    def fall_back(self, decision: Decision, aim: PricePath, keep: PathValue) -> tuple[Decision, PricePath]:
        """Return the decision and its path after considering the lower bound's price."""
        path = approach_path(lower_bound(self.shop), self.dynamics, self.product, len(aim.price))
        (value,) = value_paths(self.dynamics.market, self.product, path.price[None])
        part, evidence = self.weigh(path, value, keep)
        cautious = fall_back(decision, evidence, self.config)
        return cautious, (aim if cautious is decision else part)

    def evidence(self, proposed: PricePath, value: PathValue, keep: PathValue) -> Evidence:
        """Return the evidence on a path."""
        shop = self.shop
        history, limits = shop.history, proposed.limits
        tried, now = history.price[history.observed], shop.current_price
        path, slack = proposed.price.cpu().double().numpy(), FLOAT32_SLACK * float(tried.max())
        lowest, highest = self.dynamics.market.preprocessor.scaler.bounds(self.product, "price")
        return Evidence(
            speaker=self.speaker,
            failed=self.failed,
            proposes_change=bool((np.abs(path - now) > slack).any()),
            probability_better=value.beats(keep),
            risk=value.risk_over(keep),
            set_by=SET_BY.get(shop.market.price_setting, ""),
            suspect=self.suspect,
            inside_tried_prices=bool((path >= tried.min() - slack).all() and (path <= tried.max() + slack).all()),
            usable_days=int(history.observed.sum()),
            distinct_prices=len(np.unique(tried)),
            costs_known=shop.market.cost.known,
            measure=MEASURES[value.measure],
            feasible=limits.feasible,
            keep_allowed=limits.keep_allowed,
            movable=limits.movable,
            hold_lasts=limits.wait >= len(path),
            paused=shop.guardrails.pause,
            familiar=lowest / FAMILIAR <= now <= highest * FAMILIAR,
            entangled_with=self.causes.entangled,
            unlikely_zeros=self.zeros,
            measured=_find_measured(self.measured, now, float(path[-1])),
            period=STEP_WORDS[history.step_days],
            planned=self.planned,
        )


def own_information(history: ProductHistory, size: float) -> float:
    """Return the information on the elasticity in days at advised prices: one over the variance of its estimate.

    Args:
        history: history of the product.
        size: negative-binomial size of its daily units.
    """
    own = history.own_days
    if not own.any():
        return 0.0
    log_price, units = np.log(history.price[own]), float(history.units[own].mean())
    return float(np.square(log_price - log_price.mean()).sum() * units / (1 + units / size))


def _find_measured(pair: MeasuredPair | None, now: float, settled: float) -> Literal["", "better", "worse"]:
    """Return what a price test measured of a way from one price to another, money."""
    if pair is None:
        return ""
    if is_same_price(now, pair.worse) and is_same_price(settled, pair.better):
        return "better"
    stays_or_leads_back = is_same_price(settled, now) or is_same_price(settled, pair.worse)
    return "worse" if is_same_price(now, pair.better) and stays_or_leads_back else ""


def _publish(decision: Decision, aim: PricePath, keep: PathValue, dynamics: Dynamics, product: int) -> Published:
    """Return the part of the aim that passes the gate and pays in that form, else the current price."""
    now = dynamics.market.preprocessor.products[product].current_price
    followed = _followed(aim, torch.full_like(aim.price, now), decision, dynamics, product)
    gated = gate_path(dynamics, product, followed)
    path, confirmed = gated.onto(followed), confirm(decision, gated, now)
    (value,) = value_paths(dynamics.market, product, path.price[None])
    checked = refuse_loss(confirmed, value, keep, aim.limits.keep_allowed)
    if checked is confirmed:
        return confirmed, path, gated
    return _publish(checked, aim, keep, dynamics, product)


def _parts_of(proposed: PricePath, now: float) -> list[PricePath]:
    """Return the path stopped at each of its prices."""
    parts = []
    for stop in dict.fromkeys(proposed.price.tolist()):
        price = proposed.price.clamp(min(now, stop), max(now, stop))
        asked = proposed.asked.where(price == proposed.price, price)
        parts.append(
            proposed._replace(
                price=price, low=proposed.low.minimum(price), high=proposed.high.maximum(price), asked=asked
            )
        )
    return parts


def _followed(aim: PricePath, now: Tensor, decision: Decision, dynamics: Dynamics, product: int) -> PricePath:
    """Return the path that a decision follows: the aim, the way into the hard limits, or the current price ``(H,)``."""
    if decision.follow in ("path", "step"):
        return aim
    if decision.follow == "limit":
        way = approach_path(aim.limits.nearest, dynamics, product, len(now))
        return way._replace(asked=now)
    return aim._replace(price=now, low=now, high=now, asked=now)


def first_change(price: Tensor, now: float) -> float:
    """Return the first price of a path that differs from the current price, else the current price."""
    changed = price[price != now]
    return float(changed[0]) if len(changed) else now
