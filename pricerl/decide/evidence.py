"""Evidence on a proposed path, and the decision that it allows: follow it, a part of it, or keep the price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import chain
from typing import Literal

import numpy as np
import torch

from pricerl.arrays import FloatArray
from pricerl.data.history import ProductHistory
from pricerl.decide.account import plan_quarter
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import LARGEST_STEP, SET_BY, Evidence, Reasons, decide
from pricerl.decide.price_path import PricePath, approach_path
from pricerl.decide.standing import MEASURED_DAYS, MeasuredPair
from pricerl.evaluation.card.evidence_card import PRIOR_QUESTION
from pricerl.evaluation.card.prior_share import shows_response
from pricerl.evaluation.valuation import PathValue
from pricerl.guardrails.price_grid import is_outside, same_price
from pricerl.guardrails.round_prices import charms_between
from pricerl.market.market import ProductMarket
from pricerl.market.visitor_tests import VisitorTest
from pricerl.planner.rollout import approach_prices
from pricerl.reasons import Reason

NUM_STEPS = 5
"""Sizes of a careful step that are compared, equally spaced up to the largest."""

FAMILIAR = 1.10
"""Largest factor by which the current price may exceed or undercut the prices of training."""


def follow_measured_pair(case: Case, course: Course) -> Course | None:
    """Lead from the worse price of a pair that a price test measured to the better one."""
    pair = worse_of(case)
    if pair is None:
        return None
    path = approach_path(pair.better, case.product, case.horizon)
    return replace(course, proposed=course.proposed._replace(path=path), aim=path, path=path)


def worse_of(case: Case) -> MeasuredPair | None:
    """Return the measured pair of which the current price is the worse one, if there is one."""
    pair = case.standing.measured
    return pair if pair is not None and same_price(case.product.current_price, pair.worse) else None


def aim_for_quarter(case: Case, course: Course) -> Course | None:
    """Aim at the price that is worth the most in a quarter, unless the gate is off or stock known.

    The proposal stays the aim if it is worth as much but for `DecisionConfig.policy_margin`, and to be weighed if no
    price is worth more than the current one.
    """
    proposed = course.proposed
    if proposed.failed or case.config.min_chance == 0 or worse_of(case) or case.stocked is not None:
        return None
    path = proposed.path.price
    if path[-1] != path[-1 - case.product.dynamics.days_per_step :][0]:  # it goes on after the horizon
        path = case.propose(case.product, case.quarter.rows).path.price
    target = plan_quarter(case.quarter, path, case.config.policy_margin)
    if target is None or same_price(target, case.product.current_price):
        return None
    approach = approach_path(target, case.product, case.horizon)
    return replace(course, aim=approach, aimed_by="planner", path=approach)


def weigh_evidence(case: Case, course: Course) -> Course:
    """Grade the proposed path and decide whether it, a part of it, or no change is advised."""
    aim, evidence = _weigh(case, course, course.aim)
    return replace(course, decision=decide(evidence, case.config), aim=aim)


def _weigh(case: Case, course: Course, path: PricePath) -> tuple[PricePath, Evidence]:
    """Return a path with its evidence or, where it cannot be claimed, its part or careful step that is worth most.

    Where none is advised, that is the largest step. What buyers do at a round price is part of every step's worth.
    """
    known = _evidence_of(case, course)
    (evidence,) = _find_all(case, course, known, [path])
    decision = decide(evidence, case.config)
    if not decision.unsure and decision.follow != "step":
        return path, evidence
    parts = _parts_of(case, path)
    found = _find_all(case, course, known, parts)
    advised = [decide(item, case.config).follow in ("path", "step") for item in found]
    worth = np.where(advised, [item.utility for item in found], -np.inf)
    best = int(worth.argmax()) if any(advised) else len(parts) - 1
    return parts[best], found[best]


def _parts_of(case: Case, path: PricePath) -> list[PricePath]:
    """Return a path stopped at each of its prices, then single changes of at most 5 % in its direction.

    They lead to the charm prices in reach, and by equal steps towards the path's last price.
    """
    now = case.kept[0]
    change = (path.price[-1] / now - 1).clamp(-LARGEST_STEP, LARGEST_STEP)
    even = now * (1 + change * torch.arange(1, NUM_STEPS + 1, device=now.device) / NUM_STEPS)
    furthest = now * (1 + LARGEST_STEP * change.sign())
    targets = torch.cat([even.new_tensor(charms_between(*sorted([float(now), float(furthest)]))), even])
    stops = dict.fromkeys(path.price.tolist())
    found = [path.price.clamp(min(float(now), stop), max(float(now), stop)) for stop in stops]
    begun = ((path.price - now) * change > 0).cumsum(0) > 0  # a plan may wait, such as for a delivery
    ways = [row for row in approach_prices(targets, case.product, case.horizon) if (row != now).any()]
    found += [torch.where((way != now) & begun, way[way != now][0], now) for way in ways]
    return [path._replace(price=price, low=price, high=price, asked=price) for price in found]


def _find_all(case: Case, course: Course, known: Callable[..., Evidence], paths: Sequence[PricePath]) -> list[Evidence]:
    """Return the evidence on paths, given all of it that is the same for every path."""
    prices = torch.stack([path.price for path in paths])
    valued = torch.cat([prices, case.kept[None], course.proposed.path.price[None]])  # the record needs these two, too
    rows = zip(paths, case.value_all(valued)[: len(paths)], case.quarter.gains(prices), strict=True)
    return [_find_evidence(case, known, *row) for row in rows]


def _find_evidence(
    case: Case, known: Callable[..., Evidence], proposed: PricePath, value: PathValue, gain: FloatArray
) -> Evidence:
    """Return the evidence on a path, given all of it that is the same for every path."""
    product = case.product
    path = proposed.price.tolist()
    now = product.current_price
    kept = case.quarter.account.price
    lowest, highest = product.history.tried_prices
    return known(
        proposes_change=not all(same_price(price, now) for price in path),
        probability_better=value.beats(case.keep),
        utility=case.quarter.weigh(gain),
        leads_back=abs(path[-1] - kept) < abs(now - kept),
        inside_tried_prices=not any(is_outside(price, lowest, highest) for price in path),
        limits=proposed.limits,
        hold_lasts=proposed.limits.wait >= len(path),
        measured=_find_measured(case.standing.measured, now, path[-1]),
        tested=any(_shows_way(test, product.history, [now, *path]) for test in product.counted.tests),
        target=path[-1],
        is_step=_is_step(path, now),
    )


def _evidence_of(case: Case, course: Course) -> Callable[..., Evidence]:
    """Return the evidence that is the same for every path, to which one adds its own."""
    product = case.product
    history = product.history
    market = product.counted
    failed = [line for line in case.card if line.verdict == "FAIL"]
    doubt = history.price_doubt if history.asks else None
    trusted = shows_response(history, market)
    lowest, highest = product.market.preprocessor.scaler.bounds(product.index, "price")
    return partial(
        Evidence,
        proposed_by=course.proposed.by,
        aimed_by=course.aimed_by,
        failed=course.proposed.failed,
        set_by=_cause_of_bias(market),
        rule_known=market.follows > 0,
        suspect=market.price_setting in SET_BY and not market.follows and history.step_days == 1 and not trusted,
        usable_days=int(history.observed.sum()),
        distinct_prices=len(
            {*history.price[history.observed].tolist(), *chain(*(test.prices for test in market.tests))}
        ),
        costs_known=market.cost.known,
        objective=product.dynamics.reward.objective,
        paused=product.today.config.pause,
        familiar=lowest / FAMILIAR <= product.current_price <= highest * FAMILIAR,
        entangled_with=case.entangled_with,
        unlikely_zeros=case.zeros,
        sold_days=int((history.units[history.observed] > 0).sum()),
        price_doubt=doubt,
        doubt=None if trusted or not failed else Reason("card_doubt", {"finding": failed[0].finding}),
        prior_alone=any(line.question == PRIOR_QUESTION for line in failed),
        clears_by=case.standing.clears_by if case.stocked and not doubt else "",
    )


def _shows_way(test: VisitorTest, history: ProductHistory, prices: Sequence[float]) -> bool:
    """Return whether a test made elsewhere proves that buyers respond between some prices, in money."""
    return (
        test.proven
        and (history.last_day - date.fromisoformat(test.last_day)).days <= MEASURED_DAYS
        and not any(is_outside(price, test.prices[0], test.prices[-1]) for price in prices)
    )


def _cause_of_bias(market: ProductMarket) -> Reasons:
    """Return the rule that the price follows, or else who set it if that biases the elasticity."""
    if market.follows:
        return (Reason("follows_demand", {"percent": market.follows}),)
    return (Reason(SET_BY[market.price_setting]),) if market.price_setting in SET_BY else ()


def _is_step(path: list[float], now: float) -> bool:
    """Return whether the prices of a path, in money, are one change of at most 5 % from the current one, or none."""
    changed = [price for before, price in zip([now, *path], path, strict=False) if not same_price(price, before)]
    largest = LARGEST_STEP * now
    return len(changed) < 2 and not any(is_outside(price, now - largest, now + largest) for price in changed)


def _find_measured(pair: MeasuredPair | None, now: float, settled: float) -> Literal["", "better", "worse"]:
    """Return what a price test measured of a way from one price to another, in money."""
    if pair is None:
        return ""
    if same_price(now, pair.worse) and same_price(settled, pair.better):
        return "better"
    stays = same_price(settled, now) or (settled < now) == (pair.worse < now)
    return "worse" if same_price(now, pair.better) and stays else ""
