"""Sensitivity to hidden causes, on histories whose causes were put there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shops.known_market import known_market

from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import Candidates
from pricerl.evaluation.sensitivity import (
    bias,
    elasticity_to_spare,
    find_sensitivity,
    fit_demand,
    observe_causes,
    partial_share,
    robustness,
)
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.fitting import assemble
from pricerl.market.reward import RewardConfig

DAYS = 364
WIDE = GuardrailConfig(support_margin=0.5)


def history_of(make_product, weekend=1.0, season=0.0, seed=0):
    """Random prices that follow a season of 90 days, weekends that sell more, elasticity -2."""
    rng = np.random.default_rng(seed)
    day = np.arange(DAYS)
    wave = np.sin(2 * np.pi * day / 90)
    price = np.round(10 * np.exp(rng.normal(0, 0.06, DAYS) + season * wave), 2)
    expected = 40 * (price / 10) ** -2.0 * np.where(day % 7 >= 5, weekend, 1.0) * np.exp(season * wave)
    return make_product(np.append(price[:-1], 10.0), rng.poisson(expected).astype(float))


def candidates_of(prepared, market):
    product = Product(Dynamics(assemble(prepared, [market]), RewardConfig("profit"), WIDE), 0)
    return Candidates(product)


def shop_of(history, prepare, *elasticities):
    """The shop in one posterior draw an elasticity, at a unit cost of 6."""
    market = known_market(prepare(history), lambda at: 40 * (at / 10) ** -1.0, CostConfig(unit_cost=6.0)).products[0]
    first, cost = market.units.log_value, market.cost
    level = np.log(40.0)
    logs = np.concatenate([level - value * (first - level) for value in elasticities])
    many = {name: np.repeat(getattr(cost, name), len(logs)) for name in ("share_kept", "unit_cost", "fixed_cost")}
    drawn = replace(market, units=replace(market.units, log_value=logs), cost=replace(cost, **many))
    return candidates_of(prepare(history), drawn)


def causes_of(history):
    return observe_causes(fit_demand(history))


def by_name(causes):
    return {cause.name: cause for cause in causes.observed}


@pytest.mark.parametrize("effect", [0.01, 0.3, 2.0])
def test_a_cause_of_the_robustness_values_strength_bends_by_just_that_much(effect):
    share = robustness(effect)
    assert bias(share, share) == pytest.approx(effect)


def test_nothing_is_robust_that_gains_nothing():
    assert robustness(0.0) == robustness(-1.0) == robustness(-np.inf) == 0.0
    assert robustness(np.inf) == 1.0


def test_the_formula_tells_how_a_regression_errs_that_leaves_a_cause_out():
    rng = np.random.default_rng(0)
    hidden, own, noise = rng.normal(size=(3, 20_000))
    price = 0.8 * hidden + own
    units = -2.0 * price + 1.5 * hidden + 2.0 * noise
    ones = np.ones(len(price))
    naive = np.linalg.lstsq(np.stack([price, ones], 1), units, rcond=None)[0]
    rest = units - naive[0] * price - naive[1]
    shares = (
        partial_share(price, np.stack([hidden, ones], 1), np.array([True, False]), len(price)),
        partial_share(units, np.stack([hidden, ones, price], 1), np.array([True, False, False]), len(price)),
    )
    assert bias(*shares) * rest.std() / price.std() == pytest.approx(naive[0] + 2.0, rel=0.03)


def test_what_an_elasticity_has_to_spare_by_hand(make_product, prepare):
    shop = shop_of(history_of(make_product), prepare, -1.0, -2.0, -3.0)
    margins = np.log((11 - 6) / (10 - 6)) / np.log(1.1)
    assert elasticity_to_spare(shop, 11.0, (0.0, 0.5, 1.0)) == pytest.approx(
        [margins - 3, margins - 2, margins - 1], rel=1e-3
    )
    cut = np.log((9 - 6) / (10 - 6)) / np.log(10 / 9)
    assert elasticity_to_spare(shop, 9.0, (0.5,)) == pytest.approx([cut + 2], rel=1e-3)


def test_a_price_below_cost_has_nothing_to_spare(make_product, prepare):
    assert elasticity_to_spare(shop_of(history_of(make_product), prepare, -2.0), 5.9, (0.5,)) == [-np.inf]


def test_a_weekend_that_sells_more_moves_units_and_not_the_price(make_product):
    busy, even = (by_name(causes_of(history_of(make_product, weekend)))["weekday"] for weekend in (1.6, 1.0))
    assert busy.units_share > 0.5 > 0.05 > even.units_share
    assert busy.price_share < 0.03 and even.price_share < 0.03


def test_a_season_that_the_price_follows_is_seen_in_both(make_product):
    turning, still = (by_name(causes_of(history_of(make_product, season=size)))["season"] for size in (0.15, 0.0))
    assert turning.price_share > 0.4 and turning.units_share > 0.05 and turning.bias > 0.5
    assert still.price_share < 0.1 and still.bias < 0.1


def test_a_weekly_rhythm_that_prices_do_not_follow_takes_no_trust_away(make_product, prepare):
    history = history_of(make_product, weekend=2.0)
    found = find_sensitivity(shop_of(history, prepare, -1.0, -2.0, -2.2), 10.5, causes_of(history))
    assert found.strength is None or found.strength > 3


def test_causes_made_of_prices_are_no_measure(make_product):
    assert list(by_name(causes_of(history_of(make_product)))) == ["weekday", "season"]


def test_strength_is_that_of_the_cause_that_undoes_the_gain(make_product, prepare):
    history = history_of(make_product, 1.3, 0.1)
    shop, causes = shop_of(history, prepare, -1.0, -1.2, -2.0, -2.6), causes_of(history)
    found = find_sensitivity(shop, 10.5, causes)
    assert found.strongest == "season"
    season = by_name(causes)["season"]
    (half,) = elasticity_to_spare(shop, 10.5, (0.5,))
    undoing = bias(found.strength * season.price_share, found.strength * season.units_share)
    assert causes.scale * undoing == pytest.approx(half)
    assert found.robustness == 0 and found.undoing > 0


def test_hidden_seasons_make_the_same_gain_less_trustworthy(make_product, prepare):
    strengths = []
    for season in (0.0, 0.15):
        history = history_of(make_product, season=season)
        found = find_sensitivity(shop_of(history, prepare, -1.0, -2.0, -2.2), 10.5, causes_of(history))
        strengths.append(np.inf if found.strength is None else found.strength)
    assert strengths[1] < 0.5 * strengths[0]


def test_where_nothing_is_claimed_nothing_can_be_undone(make_product, prepare):
    history = history_of(make_product)
    shop, causes = shop_of(history, prepare, -2.0), causes_of(history)
    assert find_sensitivity(shop, shop.current_price, causes) is None
    blind = replace(shop.market, cost=replace(shop.market.cost, known=False))
    assert find_sensitivity(candidates_of(prepare(history), blind), 11.0, causes) is None
    constant = make_product(np.full(60, 10.0), np.full(60, 5.0))
    assert find_sensitivity(candidates_of(prepare(constant), shop.market), 11.0, causes_of(constant)) is None
