"""Rules on shops whose market is known, so that their prices follow by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rivals import BAYESIAN, NAMES, bayesian_log_log, rival_rules
from shops.known_market import known_market

from pricerl.data.costs import CostConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import RULES, Candidates
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.fitting import assemble
from pricerl.market.reward import RewardConfig

WIDE = GuardrailConfig(support_margin=0.6)
"""A box that reaches as far as the curves do."""


@pytest.fixture
def build(prepare):
    """Return the candidates of a product with a certain history, market and support margin."""

    def candidates(history, market, guardrails=WIDE):
        product = Product(Dynamics(assemble(prepare(history), [market]), RewardConfig("profit"), guardrails), 0)
        return Candidates(product)

    return candidates


@pytest.fixture
def shop(make_product, prepare, build):
    """Elasticity -2 at a unit cost of 6: the best price is 12.00."""
    price = np.repeat([10.0, 9.0, 11.0, 12.0, 10.0], 20)
    history = make_product(price, np.round(20000 * price**-2.0))
    market = known_market(prepare(history), lambda at: 20000 * at**-2.0, CostConfig(unit_cost=6.0))
    return build(history, market.products[0])


@pytest.fixture
def in_markets(shop, build):
    return lambda *factors: build(shop.product.history, multiply(shop, *factors))


def multiply(shop, *factors):
    """The shop's market in several posterior draws, demand multiplied by each factor within 2 % above the price."""
    units = shop.market.units
    above = np.clip((shop.market.log_grid - np.log(shop.current_price)) / 0.02, 0, 1)
    logs = np.concatenate([units.log_value + above * np.log(factor) for factor in factors])
    cost = shop.market.cost
    many = {name: np.repeat(getattr(cost, name), len(factors)) for name in ("share_kept", "unit_cost", "fixed_cost")}
    return replace(shop.market, units=replace(units, log_value=logs), cost=replace(cost, **many))


@pytest.mark.parametrize("rule", [RULES["planner, profit alone"], RULES["lower bound"]])
def test_in_a_certain_market_every_rule_takes_the_best_price(shop, rule):
    assert rule(shop) == pytest.approx(12.0, rel=0.01)


def test_the_best_past_price_was_charged(shop):
    assert RULES["best past price"](shop) == 12.0


def test_the_lower_bound_looks_at_the_worst_fifth_of_the_posterior_draws(shop, in_markets):
    unsure = in_markets(*[1.0] * 8, 0.8, 0.8)
    assert RULES["planner, profit alone"](unsure) > 10.5
    assert RULES["lower bound"](unsure) <= 10.0
    assert RULES["lower bound"](in_markets(*[1.0] * 19, 0.7)) > 10.5


def test_no_rule_leaves_the_support_box(shop, build):
    narrow = build(shop.product.history, shop.market, GuardrailConfig(support_margin=0.0))
    for rule in (*RULES.values(), bayesian_log_log):
        assert 9.0 - 1e-9 <= rule(narrow) <= 12.0 + 1e-9


def test_rivals_price_at_the_true_cost(shop):
    truth = {"share_kept": 1.0, "unit_cost": 5.5}
    rules = rival_rules((truth,))
    assert set(rules) <= set(NAMES)
    path = rules[BAYESIAN](shop.product, shop)
    assert path.price[-1] == pytest.approx(11.0, rel=0.03) and not path.claims
