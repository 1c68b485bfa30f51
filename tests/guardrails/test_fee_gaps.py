"""Prices that steps in fees leave less at than at a lower one are never decided on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from guardrail_cases import Case, _prices_between, _reach, draw_case, draw_config, hard_limits

from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts, fee_gaps, least_price
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.limits import GuardedProduct, price_limits, recent_prices
from pricerl.guardrails.projection import feasible_band, lasting_band, project, spread_prices
from pricerl.guardrails.today import PriceLog, Today

FeeStep = tuple[float, float, float]
EIGHT_TO_TEN: tuple[FeeStep, ...] = ((10.0, 0.07, 0.0),)
"""8 % of prices up to 10.00, 15 % above."""
CASES = 2_000
ALL_CASES = 10_000


def left_of(price: np.ndarray, costs: UnitCosts) -> np.ndarray:
    """What fees leave of a unit, reckoned anew."""
    share, money = costs.share_kept, 0.0
    for edge, more, unit in costs.steps:
        share, money = share - more * (price > edge * (1 + 1e-9)), money + unit * (price > edge * (1 + 1e-9))
    return share * price - money


def dominated(price: float, case: Case, least: float = 0.0) -> bool:
    """Whether an allowed price at or below an edge of the fees, as limits and history permit, leaves more of a unit."""
    lowest = max(case.config.floor or 0, case.config.min_advertised_price or 0, case.config.price_step, least)
    lowest = max(lowest, min(case.log.support[0], case.config.ceiling or np.inf))
    edges = [edge for edge, *_ in case.costs.steps if edge < price * (1 - 1e-6)]
    allowed = [_prices_between(lowest, edge * (1 + 1e-9), case.config)[-1:] for edge in edges]
    below = np.concatenate([*allowed, np.empty(0)])
    return bool((left_of(below, case.costs) > left_of(np.array(price), case.costs) + 2e-6 * price).any())


def draw_steps(rng: np.random.Generator, around: float) -> tuple[FeeStep, ...]:
    """One to three steps near a price: higher or lower shares and fees per unit."""
    edges = np.unique(np.round(around * rng.uniform(0.85, 1.15, rng.integers(1, 4)), 2))
    return tuple((edge, rng.choice([0.02, 0.07, 0.12, -0.05]), rng.choice([0.0, 0.3, -0.2])) for edge in edges.tolist())


def draw_cases(seed: int, count: int) -> list[Case]:
    """Random limits, logs, proposals and fees."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        around = float(rng.choice([4.0, 10.0, 60.0]))
        case = draw_case(rng, draw_config(rng, around), around)
        costs = UnitCosts(0.85, 0.0, known=False, steps=draw_steps(rng, around))
        found.append(case._replace(costs=costs))
    return found


@pytest.mark.parametrize("count", [CASES, pytest.param(ALL_CASES, marks=pytest.mark.slow)])
def test_no_decided_price_earns_less_than_a_lower_one_unless_limits_force_it(count: int) -> None:
    """Forced are a pause, a minimum hold, and steps too short for the lower end, which then lead down."""
    found = dict.fromkeys(("proposed", "inside", "kept", "on the way down", "no lower price"), 0)
    for case in draw_cases(0, count):
        price = pass_gate(case.proposed, Today(case.log, case.costs, case.config)).price
        wanted = isinstance(case.proposed, float) and np.isfinite(case.proposed) and case.proposed > 0
        found["proposed"] += wanted and dominated(case.proposed, case)
        if not dominated(price, case):
            continue
        lowest, highest = hard_limits(case)
        reach = _prices_between(*_reach(case, -1e-6), case.config)
        inward = reach[(reach >= lowest * (1 - 1e-6)) & (reach <= highest * (1 + 1e-6))]
        young = (case.log.prices[-case.config.min_hold_days :] != case.now).any()
        if price == case.now and (young or case.config.pause or not wanted):
            found["kept"] += 1
        elif price < case.now and not dominated(price, case, _reach(case, 1e-6)[0]):
            found["on the way down"] += 1
        elif all(dominated(other, case) or other >= case.now for other in inward.tolist()):
            found["no lower price"] += 1
        else:
            found["inside"] += 1
    assert found["inside"] == 0 and found["proposed"] > count / 10 and found["on the way down"] > count / 100, found


@pytest.mark.parametrize("count", [CASES // 4, pytest.param(ALL_CASES // 2, marks=pytest.mark.slow)])
def test_the_prices_of_a_batch_pass_the_gate_unchanged(count: int) -> None:
    drawn = draw_cases(1, count)
    cases = [case for case in drawn if isinstance(case.proposed, float) and 0 < case.proposed < 1e4]
    assert len(cases) > count / 2
    for case in cases:
        config = replace(case.config, pause=False, min_hold_days=1)
        limits = price_limits([GuardedProduct(config, case.log.support, case.costs)])
        trail = torch.tensor(case.log.prices[-28:], dtype=torch.float32)[:, None]
        band = feasible_band(limits, recent_prices(trail, trail))
        price = project(torch.tensor([case.proposed]), torch.tensor([case.now]), band).item()
        passed = pass_gate(price, Today(case.log, case.costs, config)).price
        assert passed == pytest.approx(price, rel=1e-6), case


def test_a_share_that_rises_above_ten_leaves_a_gap_to_where_as_much_is_left_again() -> None:
    costs = UnitCosts(0.92, 0.0, known=False, steps=EIGHT_TO_TEN)
    assert fee_gaps(costs, GuardrailConfig(), 0.0) == [(1000, 1083)]  # cents: 10.83 leaves 9.2055, 10.82 only 9.197
    assert fee_gaps(costs, GuardrailConfig(charm_endings=(0.99,)), 0.0) == [(999, 1099)]
    assert fee_gaps(costs, GuardrailConfig(price_ladder=(9.5, 10.5)), 0.0) == [(950, np.inf)]


@pytest.mark.parametrize(
    ("costs", "lowest"),
    [
        (UnitCosts(0.92, 9.5, known=True, steps=EIGHT_TO_TEN), 0.0),  # 10.00 is sold at a loss
        (UnitCosts(0.92, 0.0, known=False, steps=EIGHT_TO_TEN), 10.5),  # 10.00 is not allowed
        (UnitCosts(0.92, 0.0, known=False, steps=EIGHT_TO_TEN, counted=False), 0.0),  # revenue has no fees
        (UnitCosts(0.85, 0.0, known=False, steps=((10.0, -0.07, 0.0),)), 0.0),  # fees fall
    ],
)
def test_no_gap_opens_where_the_lower_end_does_not_earn_more(costs: UnitCosts, lowest: float) -> None:
    assert fee_gaps(costs, GuardrailConfig(), lowest) == []


def test_every_price_that_a_smallest_margin_allows_leaves_it() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        costs = UnitCosts(0.9, rng.uniform(2, 7), known=True, steps=draw_steps(rng, 10.0))
        margin = float(rng.choice([0.0, 0.1, 0.25]))
        lowest = least_price(costs, margin)
        prices = np.round(np.arange(1.0, 30.0, 0.01), 2)
        allowed = prices >= lowest - 1e-9
        for low, high in fee_gaps(costs, GuardrailConfig(min_margin=margin), lowest):
            allowed &= (prices <= low / 100 + 1e-9) | (prices >= high / 100 - 1e-9)
        leaves = left_of(prices, costs) - costs.unit_cost >= margin * prices - 1e-6
        assert leaves[allowed].all()
        assert np.isclose(lowest, prices[leaves].min(), atol=0.0101) if leaves.any() else lowest > 29


def test_the_gate_names_the_fees_and_goes_to_the_lower_end() -> None:
    costs = UnitCosts(0.92, 4.0, known=True, steps=EIGHT_TO_TEN)
    log = PriceLog(np.datetime64("2025-01-01") + np.arange(40), np.full(40, 9.8), (8.0, 12.0))
    found = pass_gate(10.2, Today(log, costs, GuardrailConfig()))
    assert found.price == 10.0
    (edit,) = found.edits
    assert (edit.rule, edit.after) == ("fees", 10.0)
    assert edit.why == "after fees it leaves less than 10"
    inside = log._replace(prices=np.full(40, 10.4))
    assert pass_gate(10.4, Today(inside, costs, GuardrailConfig())).price == 10.0  # it may not stay


def test_the_prices_that_are_compared_lie_around_a_gap_and_one_at_its_lower_end() -> None:
    costs = UnitCosts(0.92, 4.0, known=True, steps=EIGHT_TO_TEN)
    limits = price_limits([GuardedProduct(GuardrailConfig(), (8.0, 12.0), costs)], dtype=torch.float64)
    prices = spread_prices(lasting_band(limits, torch.tensor([9.8], dtype=torch.float64)), 201)[0]
    assert not ((prices > 10.001) & (prices < 10.829)).any() and (prices == 10.0).any() and prices.max() == 12.0
