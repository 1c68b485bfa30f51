from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.errors import UsageError
from pricerl.market import GuardrailConfig, PriceLimits, feasible_band, price_box, project
from pricerl.market.guardrails import hard_limits, support_box

CENT = 0.01
INF = float("inf")
prices = st.integers(100, 100_000).map(lambda cents: cents / 100)
configs = st.builds(
    GuardrailConfig,
    max_change=st.sampled_from([0.02, 0.05, 0.2]),
    max_week_change=st.sampled_from([0.05, 0.1, 0.3]),
    min_change=st.sampled_from([0.0, 0.01]),
    price_step=st.sampled_from([0.01, 0.05, 0.5, 0.99]),
)
proposals = st.one_of(st.floats(width=32), st.sampled_from([float("nan"), INF, -INF, 0.0, -1.0, 1e38]))


def column(value):
    return torch.tensor([value], dtype=torch.float32)


def limits(floor=0.01, ceiling=INF, low=0.01, high=1e6):
    return PriceLimits(*(column(value) for value in (floor, ceiling, low, high)))


def decided(proposal, now=10.0, week_ago=None, bounds=None, config=None):
    """Return the price charged and whether the limits left any."""
    config, now = config or GuardrailConfig(), column(now)
    week_ago = now if week_ago is None else column(week_ago)
    band = feasible_band(now, week_ago, bounds or limits(), config)
    return float(project(column(proposal), now, band, config)), bool(band.feasible)


@settings(max_examples=600, deadline=None)
@given(
    proposal=proposals,
    now=prices,
    drift=st.floats(0.8, 1.25),
    walls=st.tuples(prices, prices, prices, prices),
    config=configs,
)
def test_no_proposal_leaves_the_limits(proposal, now, drift, walls, config):
    floor, low, high, ceiling = sorted(walls)
    week_ago = now * drift
    price, feasible = decided(proposal, now, week_ago, limits(floor, ceiling, low, high), config)
    assert np.isfinite(price)
    if not feasible:
        assert price == np.float32(now)
        return
    slack = 1e-6 * price + 2e-4 * config.price_step
    assert floor - slack <= price <= ceiling + slack
    assert abs(price - now) <= config.max_change * now + slack
    assert abs(price - week_ago) <= max(config.max_week_change * week_ago, abs(now - week_ago)) + slack
    assert min(low, now) - slack <= price <= max(high, now) + slack
    steps = price / config.price_step
    assert price == np.float32(now) or abs(steps - round(steps)) < 1e-6 * steps + 1e-3


@pytest.mark.parametrize("proposal", [float("nan"), INF, -INF])
def test_a_proposal_that_is_no_number_keeps_the_price(proposal):
    assert decided(proposal) == (10.0, True)


@pytest.mark.parametrize(("proposal", "expected"), [(0.0, 9.5), (-5.0, 9.5), (1e30, 10.5), (10.2345, 10.23)])
def test_a_proposal_is_moved_to_the_nearest_allowed_price(proposal, expected):
    assert decided(proposal) == (pytest.approx(expected, abs=1e-6), True)


def test_limits_that_exclude_each_other_hold_the_price_and_say_so():
    assert decided(11.0, bounds=limits(floor=12.0)) == (10.0, False)
    assert decided(11.0, bounds=limits(floor=9.0, ceiling=8.0)) == (10.0, False)
    assert decided(11.0, bounds=limits(floor=INF)) == (10.0, False)


@pytest.mark.parametrize("week_ago", [8.0, 8.7, 11.5, 13.0])
def test_a_price_the_seller_moved_beyond_the_week_cap_is_kept_but_moves_no_further_out(week_ago):
    outward = 11.0 if week_ago < 10 else 9.0
    assert decided(10.0, week_ago=week_ago) == (10.0, True)
    assert decided(outward, week_ago=week_ago) == (10.0, True)
    assert decided(20 - outward, week_ago=week_ago)[0] == pytest.approx(9.5 if week_ago < 10 else 10.5)


def test_changes_below_one_percent_are_ignored():
    assert decided(10.09) == (10.0, True)
    assert decided(10.11) == (pytest.approx(10.11), True)


def test_a_small_change_is_made_where_the_floor_demands_it():
    assert decided(10.0, bounds=limits(floor=10.05)) == (pytest.approx(10.05), True)


def test_the_week_cap_binds_before_the_change_cap():
    assert decided(11.0, now=10.8, week_ago=10.0)[0] == pytest.approx(11.0)
    assert decided(12.0, now=10.8, week_ago=10.0)[0] == pytest.approx(11.0)


def test_a_price_outside_the_support_box_is_not_forced_back_but_moves_no_further_out():
    bounds = limits(low=6.0, high=9.0)
    assert decided(10.0, bounds=bounds) == (10.0, True)
    assert decided(10.5, bounds=bounds) == (10.0, True)
    assert decided(9.6, bounds=bounds) == (pytest.approx(9.6), True)


def test_floor_and_ceiling_do_force_a_price_back():
    assert decided(10.0, bounds=limits(ceiling=9.7))[0] == pytest.approx(9.7)
    assert decided(10.0, bounds=limits(floor=10.4))[0] == pytest.approx(10.4)


def test_twelve_stays_exactly_twelve():
    assert decided(12.0, now=12.0) == (12.0, True)
    assert decided(12.0, now=12.0, bounds=limits(floor=12.0, ceiling=12.0)) == (12.0, True)


def test_every_price_in_cents_survives_limits_of_its_own_value_unchanged():
    price = (torch.arange(1, 200_001, dtype=torch.float64) / 100).float()
    config = GuardrailConfig(min_change=0.0)
    walls = PriceLimits(price, price, price, price)
    band = feasible_band(price, price, walls, config)
    assert band.feasible.all()
    assert torch.equal(project(price, price, band, config), price)


def test_a_price_beyond_the_box_is_never_pushed_by_rounding():
    price = (torch.arange(1000, 200_001, dtype=torch.float64) / 100).float()
    outside = PriceLimits(*(torch.full_like(price, value) for value in (0.01, INF, 1e5, 2e5)))
    config = GuardrailConfig()
    band = feasible_band(price, price, outside, config)
    assert torch.equal(project(price, price, band, config), price)


def test_the_price_grid_is_that_of_the_price_step():
    assert decided(10.3, config=GuardrailConfig(price_step=0.25))[0] == 10.25
    assert decided(52.4, now=50.0, config=GuardrailConfig(price_step=2.5))[0] == 52.5


def test_the_margin_floor_keeps_the_asked_share_of_the_price():
    floor, ceiling = hard_limits(GuardrailConfig(min_margin=0.2), share_kept=0.8, unit_cost=6.0, costs_known=True)
    assert floor == pytest.approx(10.0) and ceiling == INF
    assert 0.8 * floor - 6.0 == pytest.approx(0.2 * floor)


def test_the_margin_floor_needs_known_costs_and_yields_to_a_higher_floor():
    config = GuardrailConfig(floor=11.0, min_margin=0.2)
    assert hard_limits(config, 0.8, 6.0, costs_known=True)[0] == 11.0
    assert hard_limits(GuardrailConfig(min_margin=0.2), 0.8, 6.0, costs_known=False)[0] == CENT


def test_a_margin_no_price_can_earn_leaves_no_price():
    assert hard_limits(GuardrailConfig(min_margin=0.9), 0.8, 6.0, costs_known=True)[0] == INF


def test_the_support_box_reaches_ten_percent_beyond_the_central_prices():
    tried = np.concatenate([np.full(98, 10.0), [1.0, 99.0]])
    assert support_box(tried, GuardrailConfig()) == pytest.approx((9.0, 11.0))
    assert support_box(np.array([20.0]), GuardrailConfig(support_margin=0.5)) == pytest.approx((10.0, 30.0))


def test_the_price_box_has_no_step_caps():
    band = price_box(column(10.0), limits(floor=7.0, low=5.0, high=20.0, ceiling=15.0), GuardrailConfig())
    assert (float(band.low), float(band.high)) == (7.0, 15.0)


def test_a_floor_above_the_ceiling_is_refused_naming_both():
    with pytest.raises(UsageError, match=r"guardrails.floor 9.0 lies above guardrails.ceiling 8.0"):
        GuardrailConfig(floor=9.0, ceiling=8.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ceiling", 0.0),
        ("ceiling", float("nan")),
        ("max_change", 0.0),
        ("max_week_change", 1.0),
        ("price_step", -0.01),
        ("min_margin", 1.0),
        ("min_hold_days", 0),
        ("min_change", 0.06),
    ],
)
def test_an_impossible_limit_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"guardrails.{name} "):
        GuardrailConfig(**{name: value})
