"""Every weight and tolerance of the reward moves the best price where it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_market_runs import BEST_PRICE, WIDE_BOX, constant_elasticity_market, train
from weighted_reward import weighted

from pricerl.decide.price_path import propose_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices, value_average_day


@pytest.fixture(scope="module")
def market():
    """Best price 12.00 from a reference near 10, with conversions that fall with the price."""
    known = constant_elasticity_market()
    steps = torch.arange(known.log_curves.shape[2])
    log_price = known.log_price_low[:, None] + known.log_step[:, None] * steps
    curves = known.log_curves.clone()
    curves[..., 1] = 5.0 - 1.0 * log_price[:, None]
    curves[..., 2] = 5.5 - 1.5 * log_price[:, None]
    return replace(known, log_curves=curves)


def best(market, **settings):
    dynamics = Dynamics(market, weighted(**settings), WIDE_BOX)
    return float(best_constant_price(dynamics).price[0])


def test_profit_alone_goes_to_the_closed_form(market):
    assert best(market, preset="profit") == pytest.approx(BEST_PRICE, rel=0.005)


@pytest.mark.parametrize("weight", ["sales_weight", "organic_weight", "ad_weight", "drop_weight"])
def test_each_maintenance_weight_holds_the_price_back(market, weight):
    assert best(market, **{weight: 5.0}) < 0.97 * BEST_PRICE, weight


def test_more_weight_on_profit_lets_sales_go(market):
    careful = best(market, sales_weight=1.0, price_weight=0.1)
    keen = best(market, sales_weight=1.0, price_weight=10.0)
    assert keen > 1.05 * careful


def test_pessimism_stays_nearer_to_the_reference_where_the_spread_is_zero(market):
    uncertain = _with_uncertain_slope(market)
    free, shy = best(uncertain), best(uncertain, exploration=-3.0)
    reference = float(Dynamics(uncertain).references.price[0])
    assert abs(shy - reference) < 0.7 * abs(free - reference)


def test_the_upward_preset_charges_more_than_the_median(market):
    median = float(Dynamics(market, RewardConfig(preset="upward")).references.price[0])
    assert best(market, preset="upward") > 1.02 * median


BELOW_COST = np.array([10.0] * 60 + [5.0] * 25 + [10.0] * 5)
"""A promotion at 5.00, below the unit cost of 6.00, fills the last four weeks but for the last days."""


@pytest.mark.parametrize("preset", ["balanced", "profit"])
def test_a_reference_price_below_cost_does_not_turn_the_reward_upside_down(known_demand, preset):
    dynamics = Dynamics(known_demand(BELOW_COST, num_days=90), RewardConfig(preset), WIDE_BOX)
    assert float(dynamics.references.price[0]) == 5.0 and float(dynamics.references.profit[0, 0]) > 0
    prices = torch.tensor([5.0, 5.5, 6.5, 8.0, 10.0, 12.0])
    reward, day = value_average_day(Product(dynamics, 0), prices)
    if preset == "profit":
        assert (reward.diff() > 0.01).all() and (day.profit.diff() > 0).all()
        assert float(best_constant_price(dynamics).price[0]) == pytest.approx(BEST_PRICE, rel=0.005)
    assert float(best_constant_price(dynamics).price[0]) > 6.0


def test_a_current_price_below_cost_is_left_upwards(known_demand):
    prices = np.array([10.0] * 60 + [5.0] * 30)
    dynamics = Dynamics(known_demand(prices, num_days=90), RewardConfig("profit"), WIDE_BOX)
    assert float(dynamics.references.profit[0, 0]) < 0
    assert float(best_constant_price(dynamics).price[0]) == pytest.approx(BEST_PRICE, rel=0.005)


THIN = 6.06
"""Current price of a seller whose margin is 1 % of sales; the best price is 12.00."""


@pytest.mark.parametrize("preset", ["balanced", "profit"])
def test_a_thin_margin_is_widened_where_that_earns_more_in_every_draw(preset):
    thin = constant_elasticity_market(current_price=THIN)
    dynamics = Dynamics(thin, RewardConfig(preset), WIDE_BOX)
    higher, now = value_average_day(Product(dynamics, 0), torch.tensor([THIN * 1.05, THIN]))[1].profit.T
    assert (higher > now).all()
    gain = (higher - now)[0] / dynamics.references.profit_unit[0, 0]
    assert 0.2 < float(gain) < 0.5, "the margin grows fivefold, but 5 % of sales are no gain of 400 %"
    assert float(best_constant_price(dynamics).price[0]) > THIN * 1.04


@pytest.mark.slow
def test_a_trained_policy_raises_a_thin_margin():
    run = train(constant_elasticity_market(current_price=THIN), RewardConfig(), GuardrailConfig(), EnvConfig(), 0, 300)
    path = propose_path(run.module.policy, Product(run.dynamics, 0), 14).price
    assert float(path.min()) > THIN * 0.999 and float(path[-1]) > THIN * 1.03


def _with_uncertain_slope(market):
    """Two posterior draws that agree at the reference price and disagree beyond it."""
    reference = float(Dynamics(market).references.price[0])
    steps = torch.arange(market.log_curves.shape[2])
    distance = market.log_price_low[:, None] + market.log_step[:, None] * steps - torch.tensor(reference).log()
    curves = torch.cat([market.log_curves[:, :1], market.log_curves], 1).clone()
    curves[:, 0, :, 0] -= 0.7 * distance
    curves[:, 1, :, 0] += 0.7 * distance
    wider = {name: torch.cat([value[:, :1], value], 1) for name, value in _by_draw(market).items()}
    return replace(market, log_curves=curves, **wider)


def _by_draw(market):
    return {
        name: getattr(market, name) for name in ("share_kept", "unit_cost", "fixed_cost", "memory_gain", "memory_loss")
    }


@pytest.mark.parametrize(("elasticity", "best_of_box"), [(-1.8, min), (-0.6, max)])
def test_revenue_alone_lowers_an_elastic_price_and_raises_an_inelastic_one_whatever_a_unit_costs(
    known_demand, elasticity, best_of_box
):
    dynamics = Dynamics(known_demand(10.0, elasticity=elasticity), RewardConfig("revenue"), WIDE_BOX)
    assert float(best_constant_price(dynamics).price[0]) == best_of_box(candidate_prices(Product(dynamics, 0)).tolist())
