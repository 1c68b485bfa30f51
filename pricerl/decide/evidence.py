"""Evidence on a proposed path, and the decision that it allows: follow it, a part of it, the lower bound, or keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from pricerl.data.days import STEP_WORDS
from pricerl.data.history import ProductHistory
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import SET_BY, Evidence, decide, fall_back
from pricerl.decide.price_path import PricePath, approach_path
from pricerl.decide.standing import MeasuredPair
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import lower_bound
from pricerl.evaluation.valuation import PathValue, value_paths
from pricerl.formatting import MEASURES
from pricerl.guardrails.price_grid import is_outside, same_price

ENOUGH_PRECISION = 1.0
"""Precision of the elasticity from advised-price days above which a confounded history is trusted (it never earns
grade B). It is about that of the prior, whose sd is 1.1."""

FAMILIAR = 1.10
"""Largest factor by which the current price may exceed or undercut the prices of training."""


def follow_measured_pair(case: Case, course: Course) -> Course | None:
    """Lead from the worse price of a pair that a price test measured to the better one."""
    if not at_worse_price(case):
        return None
    assert case.standing.measured is not None
    path = approach_path(case.standing.measured.better, case.product, case.horizon)
    return replace(course, proposed=course.proposed._replace(path=path), aim=path, path=path)


def at_worse_price(case: Case) -> bool:
    """Return whether the current price is the worse one of a measured pair."""
    pair = case.standing.measured
    return pair is not None and same_price(case.product.current_price, pair.worse)


def weigh_evidence(case: Case, course: Course) -> Course:
    """Grade the proposed path and decide whether it, a part of it, or no change is advised."""
    path = course.proposed.path
    aim, evidence = _weigh(case, course, path, case.value(path.price))
    return replace(course, decision=decide(evidence, case.config), aim=aim)


def take_lower_bound(case: Case, course: Course) -> Course | None:
    """Lead to the lower bound's price if only the uncertainty of its gain prevents the proposed change."""
    if not course.decision.unsure:
        return None
    path = approach_path(lower_bound(case.candidates), case.product, case.horizon)
    part, evidence = _weigh(case, course, path, case.value(path.price))
    cautious = fall_back(course.decision, evidence, case.config)
    return None if cautious is course.decision else replace(course, decision=cautious, aim=part)


def _weigh(case: Case, course: Course, path: PricePath, value: PathValue) -> tuple[PricePath, Evidence]:
    """Return a path with its evidence or, where it cannot be claimed, its allowed part that earns most.

    A part stops at one of the path's prices.
    """
    evidence = _find_evidence(case, course, path, value)
    decision = decide(evidence, case.config)
    best = 0.0
    chosen = (path, evidence)
    if evidence.planned or not (decision.unsure or decision.follow == "step"):
        return chosen
    now = case.product.current_price
    parts = []
    for stop in dict.fromkeys(path.price.tolist()):
        price = path.price.clamp(min(now, stop), max(now, stop))
        asked = path.asked.where(price == path.price, price)
        low = path.low.minimum(price)
        parts.append(path._replace(price=price, low=low, high=path.high.maximum(price), asked=asked))
    values = value_paths(case.product, torch.stack([part.price for part in parts]))
    for part, part_value in zip(parts, values, strict=True):
        gain = float((part_value.earned - case.keep.earned).mean())
        evidence = _find_evidence(case, course, part, part_value)
        if gain > best and decide(evidence, case.config).follow in ("path", "step"):
            best = gain
            chosen = (part, evidence)
    return chosen


def _find_evidence(case: Case, course: Course, proposed: PricePath, value: PathValue) -> Evidence:
    product = case.product
    path = proposed.price.tolist()
    history = product.history
    market = product.counted
    now = product.current_price
    lowest, highest = product.market.preprocessor.scaler.bounds(product.index, "price")
    return Evidence(
        proposed_by=course.proposed.by,
        failed=course.proposed.failed,
        proposes_change=not all(same_price(price, now) for price in path),
        probability_better=value.beats(case.keep),
        risk=value.risk_over(case.keep),
        set_by=SET_BY.get(market.price_setting, ""),
        suspect=is_suspect(product),
        inside_tried_prices=not any(is_outside(price, *history.tried_prices) for price in path),
        usable_days=int(history.observed.sum()),
        distinct_prices=len(np.unique(history.price[history.observed])),
        costs_known=market.cost.known,
        measure=MEASURES[value.measure],
        limits=proposed.limits,
        hold_lasts=proposed.limits.wait >= len(path),
        paused=product.today.config.pause,
        familiar=lowest / FAMILIAR <= now <= highest * FAMILIAR,
        entangled_with=case.causes.entangled,
        unlikely_zeros=case.zeros,
        measured=_find_measured(case.standing.measured, now, path[-1]),
        period=STEP_WORDS[history.step_days],
        target=case.formatter.price(path[-1]),
        planned=course.account is not None,
    )


def is_suspect(product: Product) -> bool:
    """Return whether whatever set the prices may have followed demand, and own prices varied too little to show it."""
    history = product.history
    market = product.fitted
    biased = market.price_setting in SET_BY and history.step_days == 1
    return biased and own_precision(history, market.units.size) < ENOUGH_PRECISION


def own_precision(history: ProductHistory, size: float) -> float:
    """Return the precision of the elasticity from days at advised prices: one over the variance of its estimate.

    ``size`` is the negative-binomial size of daily units.
    """
    own = history.own_days
    if not own.any():
        return 0.0
    log_price = np.log(history.price[own])
    units = float(history.units[own].mean())
    return float(np.square(log_price - log_price.mean()).sum() * units / (1 + units / size))


def _find_measured(pair: MeasuredPair | None, now: float, settled: float) -> Literal["", "better", "worse"]:
    """Return what a price test measured of a way from one price to another, money."""
    if pair is None:
        return ""
    if same_price(now, pair.worse) and same_price(settled, pair.better):
        return "better"
    stays_or_leads_back = same_price(settled, now) or same_price(settled, pair.worse)
    return "worse" if same_price(now, pair.better) and stays_or_leads_back else ""
