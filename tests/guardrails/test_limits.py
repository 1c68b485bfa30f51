from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from guardrail_cases import draw_case, draw_config, faults

from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.limits import GuardedProduct, RecentPrices, price_limits, support_box
from pricerl.guardrails.projection import feasible_band, lasting_band, price_box, project, spread_prices, waits_for_pace
from pricerl.guardrails.today import Today

CENT = 0.01
INF = float("inf")
WIDE = (0.01, 1e6)
NO_COSTS = UnitCosts(1.0, 0.0, known=False)


def column(value):
    return torch.tensor([value], dtype=torch.float32)


def limits(config=None, floor=0.01, ceiling=INF, low=0.01, high=1e6):
    """Limits of one product whose fixed bounds are given."""
    low, high = min(low, ceiling), max(high, floor)
    bounds = {"floor": floor, "ceiling": ceiling, "support_low": low, "support_high": high}
    own = price_limits([GuardedProduct(config or GuardrailConfig(), WIDE, NO_COSTS)])
    reachable = torch.tensor([floor <= ceiling and floor < INF])
    return own._replace(**{name: column(value) for name, value in bounds.items()}, reachable=reachable)


def decided(proposal, now=10.0, week_ago=None, config=None, **bounds):
    """Return the price charged and whether the limits left any."""
    now = column(now)
    week_ago = now if week_ago is None else column(week_ago)
    band = feasible_band(limits(config, **bounds), RecentPrices(now, week_ago, None))
    return float(project(column(proposal), now, band)), bool(band.feasible)


NAN = float("nan")
BOX = {"low": 6.0, "high": 9.0}
LADDER = {"config": GuardrailConfig(price_ladder=(8.0, 9.79, 10.29, 11.0))}
ENDINGS = {"config": GuardrailConfig(charm_endings=(0.95, 0.99))}
APART = {"config": GuardrailConfig(max_rise=0.02, max_drop=0.04)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {NAN: 10.0, INF: 10.0, -INF: 10.0, 0.0: 9.5, -5.0: 9.5, 1e30: 10.5, 10.2345: 10.23}),
        ({}, {10.09: 10.0, 10.11: 10.11}),
        ({"now": 100.0}, {101.0: 101.0}),  # one percent itself is no less
        ({"now": 12.0}, {12.0: 12.0}),
        ({"now": 12.0, "floor": 12.0, "ceiling": 12.0}, {12.0: 12.0}),
        ({"floor": 10.05}, {10.0: 10.05}),  # a small change that the floor demands
        ({"floor": 10.4}, {10.0: 10.4}),
        ({"ceiling": 9.7}, {10.0: 9.7}),
        (BOX, {10.0: 10.0, 10.5: 10.0, 9.6: 9.6}),  # not forced back, but no further out
        ({"now": 10.8, "week_ago": 10.0}, {11.0: 11.0, 12.0: 11.0}),
        *(({"week_ago": week}, {10.0: 10.0, 11.0: 10.0, 9.0: 9.5}) for week in (8.0, 8.7)),
        *(({"week_ago": week}, {10.0: 10.0, 9.0: 10.0, 11.0: 10.5}) for week in (11.5, 13.0)),
        ({"config": GuardrailConfig(price_step=0.25)}, {10.3: 10.25}),
        ({"now": 50.0, "config": GuardrailConfig(price_step=2.5)}, {52.4: 52.5}),
        (APART, {12.0: 10.2, 8.0: 9.6}),
        (LADDER, {10.2: 10.29, 9.9: 9.79, 20.0: 10.29, 0.0: 9.79, NAN: 10.0, 10.0: 10.0}),
        (ENDINGS, {10.5: 10.0}),  # 9.99 is too small a change
        ({**ENDINGS, "now": 50.0}, {52.3: 51.99}),
        ({**ENDINGS, "now": 1999.0}, {2050.97: 2050.95}),
    ],
    ids=str,
)
def test_a_proposal_is_moved_to_the_nearest_allowed_price(given, expected):
    for proposal, price in expected.items():
        assert decided(proposal, **given) == (pytest.approx(price, rel=1e-7), True), proposal


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({"floor": 9.0, "ceiling": 8.0}, {}),
        ({"floor": INF}, {}),
        ({"floor": 12.0}, {"max_rise": 0.0}),
        ({"floor": 12.0}, {"price_ladder": (9.0, 10.0, 13.0)}),
        ({}, {"price_ladder": (8.0, 12.0)}),
        ({}, {"charm_endings": (0.7,), "max_drop": 0.02}),
    ],
)
def test_limits_that_leave_no_price_hold_the_current_one_and_say_so(given, config):
    assert decided(10.2, config=GuardrailConfig(**config), **given) == (10.0, False)


def test_an_action_is_a_share_of_the_largest_rise_or_drop():
    action = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    assert limits(**APART).change(action).tolist() == pytest.approx([-0.04, -0.02, 0.0, 0.01, 0.02])
    assert limits().change(action).tolist() == pytest.approx([-0.05, -0.025, 0.0, 0.025, 0.05])


@pytest.mark.parametrize(
    ("settings", "costs", "floor"),
    [
        ({"min_margin": 0.2}, (0.8, 6.0, True), 10.0),  # 0.8 * 10 - 6 = 0.2 * 10
        ({"min_margin": 0.2, "floor": 11.0}, (0.8, 6.0, True), 11.0),
        ({"min_margin": 0.2}, (0.8, 6.0, False), CENT),
        ({"min_margin": 0.8}, (0.8, 6.0, True), INF),
        ({"min_margin": 0.9}, (0.8, 6.0, True), INF),
        ({"floor": 5.0, "min_advertised_price": 6.0}, (0.8, 4.0, True), 6.0),
        ({"floor": 5.0, "min_advertised_price": 6.0}, (0.8, 5.6, True), 7.0),
    ],
)
def test_the_lowest_price_counts_all_lower_limits(settings, costs, floor):
    product = GuardedProduct(GuardrailConfig(**settings), WIDE, UnitCosts(*costs))
    assert float(price_limits([product], dtype=torch.float64).floor) == pytest.approx(floor)


@pytest.mark.parametrize("proposal", [0.0, 9.0, 10.0, 10.2, 12.0, 1e30, float("nan"), INF])
def test_a_hard_limit_out_of_reach_is_walked_to_in_the_largest_steps_whatever_is_proposed(proposal):
    assert decided(proposal, floor=12.0) == (10.5, True)
    assert decided(proposal, ceiling=8.0) == (9.5, True)
    assert decided(proposal, floor=12.0, config=GuardrailConfig(max_rise=0.02)) == (pytest.approx(10.2), True)
    assert decided(proposal, floor=12.0, high=10.2) == (10.5, True), "prices tried are no obstacle"
    ladder = GuardrailConfig(price_ladder=(9.0, 10.1, 10.4, 12.5))
    assert decided(proposal, floor=12.0, config=ladder) == (pytest.approx(10.4), True)


def test_a_walk_keeps_the_pace_of_a_week_and_goes_on_when_it_allows():
    assert decided(10.0, now=10.8, week_ago=10.0, floor=12.0) == (11.0, True)
    assert decided(10.0, now=11.0, week_ago=10.0, floor=12.0) == (11.0, False)
    bounds, recent = limits(floor=12.0), RecentPrices(column(11.0), column(10.0), None)
    assert waits_for_pace(bounds, recent).tolist() == [True]
    for settled in (recent._replace(week_ago=column(11.0)), recent._replace(current=column(12.0))):
        assert waits_for_pace(bounds, settled).tolist() == [False]
    assert waits_for_pace(limits(floor=9.0, ceiling=8.0), recent).tolist() == [False]
    assert waits_for_pace(limits(GuardrailConfig(max_rise=0.0), floor=12.0), recent).tolist() == [False]


def test_a_walk_ends_at_the_first_price_inside():
    price, path = 10.0, []
    for _ in range(6):
        price, feasible = decided(9.0, now=price, floor=12.0)
        path.append(price)
        assert feasible
    assert path == pytest.approx([10.5, 11.02, 11.57, 12.0, 12.0, 12.0])


def test_limits_that_leave_a_price_are_reachable_and_others_are_not():
    costs = UnitCosts(0.85, 9.0, known=True)
    for config, expected in (
        (GuardrailConfig(), True),
        (GuardrailConfig(min_margin=0.9), False),
        (GuardrailConfig(ceiling=10.0), False),
        (GuardrailConfig(ceiling=11.0), True),
        (GuardrailConfig(price_ladder=(9.0, 10.0)), False),
        (GuardrailConfig(price_ladder=(9.0, 11.0)), True),
        (GuardrailConfig(charm_endings=(0.99,)), True),
        (GuardrailConfig(charm_endings=(0.99,), ceiling=10.9), False),
        (GuardrailConfig(price_step=7.0), True),
        (GuardrailConfig(price_step=7.0, ceiling=13.0), False),
    ):
        assert price_limits([GuardedProduct(config, WIDE, costs)]).reachable.tolist() == [expected], config


def test_every_price_in_cents_survives_limits_of_its_own_value_and_a_box_beyond_it_unchanged():
    price = (torch.arange(1, 200_001, dtype=torch.float64) / 100).float()
    tight = limits(GuardrailConfig(min_change=0.0))
    tight = tight._replace(floor=price, ceiling=price, support_low=price, support_high=price)
    for bounds in (tight, limits(low=1e5, high=2e5)):
        band = feasible_band(bounds, RecentPrices(price, price, None))
        assert band.feasible.all()
        assert torch.equal(project(price, price, band), price)


def test_the_support_box_reaches_ten_percent_beyond_the_central_prices():
    tried = np.concatenate([np.full(98, 10.0), [1.0, 99.0]])
    assert support_box(tried, GuardrailConfig()) == pytest.approx((9.0, 11.0))
    assert support_box(np.linspace(10.0, 30.0, 101), GuardrailConfig()) == pytest.approx((0.9 * 11.0, 1.1 * 29.0))
    assert support_box(np.array([20.0]), GuardrailConfig(support_margin=0.5)) == pytest.approx((10.0, 30.0))


def test_the_price_box_has_no_step_caps():
    band = price_box(limits(floor=7.0, low=5.0, high=20.0, ceiling=15.0), column(10.0))
    assert (float(band.low), float(band.high)) == (7.0, 15.0)


def test_settings_that_all_products_share_stay_plain_numbers():
    products = [GuardedProduct(config, WIDE, NO_COSTS) for config in (GuardrailConfig(), GuardrailConfig(floor=5.0))]
    table = price_limits(products)
    assert table.floor.tolist() == pytest.approx([0.01, 5.0])
    assert table[4:-2] == (0.05, 0.05, 0.1, None, 0.01, None, 0.01)
    rows = table.rows(torch.tensor([0, 1, 1]))
    assert rows[4:-2] == table[4:-2] and rows.floor.tolist() == pytest.approx([0.01, 5.0, 5.0])


@pytest.mark.parametrize(
    ("settings", "edges", "nearest"),
    [
        ({}, (8.0, 12.0), {7.0: 8.0, 9.876: 9.88, 13.0: 12.0, 10.0: 10.0}),
        ({"ceiling": 9.5}, (8.0, 9.5), {10.0: 9.5, 12.0: 9.5}),
        ({"floor": 10.5, "max_change": 0.01}, (10.5, 12.0), {10.0: 10.5}),
        ({"max_rise": 0.0}, (8.0, 10.0), {11.0: 10.0}),
        ({"max_drop": 0.0}, (10.0, 12.0), {9.0: 10.0}),
        ({"price_ladder": (7.5, 8.5, 11.5)}, (8.5, 11.5), {10.6: 11.5, 10.0: 10.0}),
    ],
)
def test_alternatives_obey_the_limits_in_force(settings, edges, nearest):
    product, now = GuardedProduct(GuardrailConfig(**settings), (8.0, 12.0), NO_COSTS), torch.tensor([10.0]).double()
    band = lasting_band(price_limits([product], dtype=torch.float64), now)
    (prices,) = spread_prices(band, 5)
    assert (float(prices[0]), float(prices[-1])) == pytest.approx(edges) and len(prices) == 5
    assert {round(float(price), 6) for price in prices} <= set(
        settings.get("price_ladder", map(float, prices.round(decimals=6)))
    )
    assert all(float(project(torch.tensor([price]).double(), now, band)) == found for price, found in nearest.items())


def test_products_with_changes_of_their_own_have_alternatives():
    config = GuardrailConfig(products={"mug": {"max_drop": 0.0}})
    products = [GuardedProduct(config.of(name), (8.0, 12.0), NO_COSTS) for name in ("mug", "bowl")]
    band = lasting_band(price_limits(products).rows(torch.tensor([0, 0, 1])), torch.full((3,), 10.0))
    assert band.low.tolist() == [10.0, 10.0, 8.0] and band.high.tolist() == [12.0] * 3


def test_a_current_price_beyond_the_prices_tried_stays_an_alternative():
    product, now = GuardedProduct(GuardrailConfig(), (5.5, 16.3), NO_COSTS), torch.tensor([17.3]).double()
    band = lasting_band(price_limits([product], dtype=torch.float64), now)
    assert torch.equal(project(now, now, band), now) and float(project(now - 0.5, now, band)) == 16.3


def check_one(case, charged, start):
    """Hold a charged price against every limit; return whether it is a new one, and whether the gate charges it too."""
    price = case.now if charged == start else float(charged)
    assert faults(price, case) == [], (price, case)
    passed = pass_gate(price, Today(case.log, case.costs, case.config))
    assert faults(passed.price, case) == [], (passed, case)
    if passed.price != pytest.approx(price, rel=3e-7):
        return price != case.now, False
    assert all(edit.rule == "conflict" for edit in passed.edits) or passed.price == case.now, (passed, case)
    return price != case.now, True


@pytest.mark.parametrize(
    ("count", "step", "configs_drawn", "seed"),
    [
        *((500, step, 300, 0) for step in (CENT, 0.05, 0.5, 0.99)),
        pytest.param(100_000, CENT, 1_000, 1, marks=pytest.mark.slow),
    ],
)
def test_what_a_batch_of_random_products_is_charged_obeys_every_limit_and_passes_the_gate(
    count, step, configs_drawn, seed
):
    rng = np.random.default_rng(seed)
    drawn = [(draw_config(rng, around), around) for around in np.exp(rng.uniform(0, 6, configs_drawn))]
    drawn = [(replace(config, min_hold_days=1, pause=False), around) for config, around in drawn]
    drawn = [(config, around) for config, around in drawn if config.price_step == step]
    product = rng.integers(0, len(drawn), count)
    cases = [draw_case(rng, *drawn[index]) for index in product]
    proposals = [case.proposed if isinstance(case.proposed, float) else NAN for case in cases]
    past = [(case.now, case.log.prices[-7], np.median(case.log.prices[-28:])) for case in cases]
    now, week, median = torch.tensor(np.array(past), dtype=torch.float32).T
    fixed = price_limits([GuardedProduct(case.config, case.log.support, case.costs) for case in cases])
    bounds = price_limits([GuardedProduct(config, WIDE, NO_COSTS) for config, _ in drawn])
    own = {name: getattr(fixed, name) for name in ("floor", "ceiling", "support_low", "support_high", "reachable")}
    band = feasible_band(bounds.rows(torch.as_tensor(product))._replace(**own), RecentPrices(now, week, median))
    charged = project(torch.tensor(proposals, dtype=torch.float32), now, band)
    assert torch.equal(charged[~band.feasible], now[~band.feasible])
    found = [check_one(case, price, start) for case, price, start in zip(cases, charged, now, strict=True)]
    apart = sum(not agreed for _, agreed in found)
    assert apart <= count // 10_000, "only limits that lie on the edge of a rounding"
    assert sum(moved for moved, _ in found) > 0.3 * count
