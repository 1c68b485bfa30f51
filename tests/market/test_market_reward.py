from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import asinh, log, tanh

import pytest
import torch
from weighted_reward import weighted

from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import (
    PRESETS,
    ResolvedReward,
    RewardConfig,
    RewardInputs,
    Spans,
    reward_terms,
    squash,
    total_reward,
)
from pricerl.simulation.seller import SellerConfig

NEUTRAL = {
    "sales_ratio": 1.0,
    "profit_gain": 0.0,
    "price_ratio": 1.0,
    "organic_ratio": 1.0,
    "ad_ratio": 1.0,
    "mean_sales_ratio": 1.0,
    "spread": 0.0,
}
BAD_DAY = {
    "sales_ratio": 0.8,
    "profit_gain": 0.12,
    "price_ratio": 1.1,
    "organic_ratio": 0.85,
    "ad_ratio": 0.7,
    "mean_sales_ratio": 0.82,
    "spread": 0.05,
}


def day(**changes):
    values = {name: torch.tensor([value]) for name, value in (NEUTRAL | changes).items()}
    return RewardInputs(**values, spans=Spans(*(torch.tensor([span]) for span in (0.4, 0.2, 0.5, 0.25))))


def reward(config=None, **changes):
    config = (config or RewardConfig("balanced")).resolved()
    return float(config.evaluate(day(**changes)))


def squashed(value):
    return 3 * tanh(value / 3)


def compressed(value):
    return 30 * asinh(value / 30)


BALANCED = 0.4 * squashed(-1.5) + 0.15 * squashed(-0.5) + 0.15 * squashed(-2.0)
BALANCED += 0.3 * compressed(1.2) - 0.1 * squashed(0.5) - 0.5 * squashed(0.8)
UPWARD = 0.4 * squashed(-0.2 / 0.2) + 0.3 * squashed(0.1 / 0.4)
UPWARD += 0.15 * squashed(-0.15 / 0.5) + 0.15 * squashed(-0.3 / 0.25) - squashed(0.8)


@pytest.mark.parametrize(
    ("preset", "expected"), [("balanced", BALANCED), ("profit", compressed(1.2)), ("upward", UPWARD)]
)
def test_the_reward_matches_a_hand_computed_day(preset, expected):
    assert reward(RewardConfig(preset), **BAD_DAY) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_day_at_the_reference_earns_nothing_in_any_preset(preset):
    assert RewardConfig(preset).resolved() == PRESETS[preset]
    assert reward(RewardConfig(preset)) == 0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("extreme", [-1e6, -5.0, 0.0, 5.0, 1e6])
def test_terms_and_reward_stay_inside_their_bounds(preset, extreme):
    config = replace(PRESETS[preset], exploration=0.5)
    terms = reward_terms(day(**dict.fromkeys(NEUTRAL, extreme)), config)
    assert all(-3 <= float(term) <= 3 for term in terms if term is not terms.price or not config.rewards_profit)
    low, high = config.bounds()
    assert low - 1e-4 <= float(total_reward(terms, config)) <= high + 1e-4  # single precision


def test_bounds_add_every_weight_times_the_bound_of_its_term():
    upward = ResolvedReward(False, 0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0.5, -0.25, loss_weight=3.0)
    assert upward.bounds() == pytest.approx((-2 * 3 * 5.25, 2 * 3 * 5.25))
    highest = 30 * log(2 * 10_000 / 30)  # asinh of a gain of 1,000
    most = 2 * 3 * (4.35 + 0.3 * highest)
    assert replace(upward, rewards_profit=True).bounds() == pytest.approx((-most, most), rel=1e-4)


@pytest.mark.parametrize("preset", ["balanced", "profit"])
def test_reward_rises_strictly_with_profit_however_large_the_gain(preset):
    gains = [reward(RewardConfig(preset), profit_gain=gain) for gain in (-10.0, -1.0, 0.0, 0.3, 0.6, 1.0, 10.0, 10.1)]
    steps = [later - earlier for earlier, later in pairwise(gains)]
    assert all(step > 0.2 for step in steps[:-1]) and steps[-1] > 0.005


def test_a_gain_of_one_percent_counts_a_tenth_of_a_unit():
    assert reward(RewardConfig("profit"), profit_gain=0.01) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [("sales_ratio", 0.96, 0.94), ("organic_ratio", 0.91, 0.89), ("ad_ratio", 0.91, 0.89)],
)
def test_a_loss_beyond_its_tolerance_costs_something_and_an_excess_earns_nothing_in_balanced(name, inside, outside):
    assert reward(**{name: inside}) == 0
    assert reward(**{name: outside}) < -0.01
    assert reward(**{name: 1.5}) == 0
    assert reward(RewardConfig("upward"), **{name: 1.5}) > 0.1


def test_the_drop_penalty_sets_in_below_ninety_percent_of_the_week():
    assert reward(mean_sales_ratio=0.91) == 0
    assert reward(mean_sales_ratio=0.80) == pytest.approx(-0.5 * squashed(1.0), abs=1e-5)


def test_squashing_keeps_small_terms_and_the_order_of_large_ones():
    small, large = squash(torch.tensor([0.1])), squash(torch.tensor([6.0, 8.0]))
    assert float(small) == pytest.approx(0.1, rel=1e-3)
    assert large[1] > large[0] + 0.01


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"preset": "balance"}, "one of balanced, profit, revenue, upward, found 'balance'; did you mean 'balanced'"),
        ({"loss_weight": float("nan")}, r"reward\.loss_weight must"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(setting, message):
    with pytest.raises(UsageError, match=message):
        RewardConfig(**setting)


CHANGED = {
    "sales_weight": 0.7,
    "price_weight": 0.6,
    "organic_weight": 0.4,
    "ad_weight": 0.4,
    "drop_weight": 0.9,
    "exploration": 0.3,
    "loss_weight": 1.0,
}


@pytest.mark.parametrize("name", CHANGED)
def test_every_setting_changes_what_a_simulated_seller_is_rewarded(fitted, name):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig(num_draws=16))
    draw = torch.arange(16).repeat(2)
    price = torch.tensor([0.85, 1.25]).repeat_interleave(16) * float(market.preprocessor.products[0].price[-1])

    def rewards(config):
        dynamics = Dynamics(market, config, GuardrailConfig(), EnvConfig())
        return dynamics.constant_price(price, torch.zeros_like(draw), draw)[0]

    changed = rewards(weighted("balanced", **{name: CHANGED[name]}))
    assert (changed - rewards(RewardConfig("balanced"))).abs().max() > 1e-3
