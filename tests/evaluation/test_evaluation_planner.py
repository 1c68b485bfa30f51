"""Planner, pricing rules and scores in shops whose market is known, so that prices and gains follow by hand."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from advising import moving
from rivals import BAYESIAN, NAMES, bayesian_log_log, rival_rules
from shops.known_market import known_market
from weighted_reward import weighted

from pricerl.data.costs import CostConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import (
    RULES,
    Candidates,
    best_for_objective,
    best_for_profit,
    best_past,
    compare_baselines,
    lower_bound,
)
from pricerl.evaluation.scores import score_episodes
from pricerl.evaluation.valuation import value_paths
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.projection import project
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.fitting import assemble, fit_market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices, planner_gaps, value_average_day
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.rollout import approach_prices, hold_left, roll_out, roll_path
from pricerl.simulation.seller import SellerConfig

PROFIT, REWARD = best_for_profit, best_for_objective

WIDE = GuardrailConfig(support_margin=0.5)
GRID_STEP = 0.05
"""The box from 6 (the unit cost) to 15 holds 201 candidates."""

ABSOLUTE = EnvConfig(action="absolute")


@pytest.fixture(scope="module")
def trio(fitted):
    """Three products of a simulated seller, by the profit objective."""
    market = fitted(SellerConfig(days=130, units=30.0, products=3, seed=5), DemandConfig(num_draws=8))
    return Dynamics(market, RewardConfig("profit"))


def dynamics_at_ten(known_demand, preset, config=None):
    return Dynamics(known_demand(price=10.0), RewardConfig(preset), WIDE, config)


KEEP = moving(0.0)
CHARGE_TWELVE = moving(1 / 3)
"""Absolute action of price 12 in the box."""


def shop(dynamics, gate=0.9):
    return Candidates(Product(dynamics, 0), gate)


@pytest.mark.parametrize(("preset", "rule"), [("profit", PROFIT), ("profit", REWARD), ("balanced", PROFIT)])
def test_the_planner_finds_the_price_of_the_closed_form(known_demand, preset, rule):
    assert rule(shop(dynamics_at_ten(known_demand, preset))) == pytest.approx(12.0, abs=GRID_STEP)


def test_the_rule_and_the_yardstick_of_the_objective_are_one_price(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    plan = best_constant_price(dynamics)
    assert plan.price.tolist() == [pytest.approx(REWARD(shop(dynamics)))]
    reward, _ = value_average_day(Product(dynamics, 0), plan.price)
    assert plan.value.tolist() == pytest.approx([float(reward.mean())])


@pytest.mark.parametrize(
    ("preset", "limits", "best"),
    [
        pytest.param("balanced", {}, 10 / 0.95, id="balanced: where sales leave their tolerance"),
        pytest.param("profit", {"ceiling": 11.0}, 11.0, id="inside the guardrails"),
    ],
)
def test_the_best_constant_price_follows_objective_and_guardrails(known_demand, preset, limits, best):
    dynamics = Dynamics(known_demand(price=10.0), RewardConfig(preset), GuardrailConfig(support_margin=0.5, **limits))
    assert best_constant_price(dynamics).price.tolist() == pytest.approx([best], abs=GRID_STEP)


def test_the_upward_planner_charges_more_than_the_median(known_demand):
    market = known_demand(price=np.repeat([9.0, 10.0, 11.0], 20))
    dynamics = Dynamics(market, weighted("upward", sales_weight=0.05, drop_weight=0.0), WIDE)
    assert float(best_constant_price(dynamics).price) > 11.0


def test_no_candidate_beats_the_plan_of_any_product(trio):
    plan = best_constant_price(trio)
    for product in range(3):
        value = value_average_day(Product(trio, product), candidate_prices(Product(trio, product)))[0].mean(0)
        assert float(value.max()) == pytest.approx(float(plan.value[product]))


def test_a_policy_that_keeps_the_price_gains_and_loses_nothing(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    scores = score_episodes(KEEP, dynamics)
    assert scores.price_mean.unique().tolist() == [10.0]
    assert scores.profit_uplift.abs().max() == 0
    assert scores.sales_ratio.unique().tolist() == [1.0]
    expected_gap = 1 - (4 * 20) / (6 * 20 / 1.2**2)
    np.testing.assert_allclose(scores.planner_gap.numpy(), expected_gap, atol=1e-3)


def test_a_policy_that_charges_the_best_price_leaves_no_gap_and_returns_its_daily_rewards(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit", ABSOLUTE)
    scores = score_episodes(CHARGE_TWELVE, dynamics)
    np.testing.assert_allclose(scores.price_mean.numpy(), 12.0, atol=1e-4)
    np.testing.assert_allclose(scores.planner_gap.numpy(), 0.0, atol=1e-4)
    np.testing.assert_allclose(scores.reward_gap.numpy(), 0.0, atol=1e-3)
    np.testing.assert_allclose(scores.profit_uplift.numpy(), (6 / 1.2**2) / 4 - 1, atol=1e-4)
    np.testing.assert_allclose(scores.sales_ratio.numpy(), 1 / 1.2, atol=1e-4)
    gain = ((6 * 20 / 1.2**2) / 80 - 1) / 0.10
    returned = score_episodes(CHARGE_TWELVE, dynamics, days=9).episode_return
    np.testing.assert_allclose(returned.numpy(), 9 * 30 * np.arcsinh(gain / 30), rtol=1e-3)


def test_every_held_out_day_starts_one_episode_and_gaps_are_measured_against_each_rows_own_product(trio):
    assert len(score_episodes(KEEP, trio, days=3).sales_ratio) == 3 * (130 - 110 + 1)
    best, rows = best_constant_price(trio).price, torch.arange(3)
    gap, reward_gap = planner_gaps(trio, best, rows, rows, best)
    assert gap.tolist() == pytest.approx([0, 0, 0], abs=1e-6) and reward_gap.tolist() == [0, 0, 0]


KNOWN = CostConfig(unit_cost=6.0, share_kept=1.0)


@pytest.mark.parametrize(
    ("days", "price", "units", "cost", "step", "best"),
    [
        pytest.param(20, (9.0, 10.0, 12.0), (20.0, 16.0, 11.0), KNOWN, 0.01, 12.0, id="earned most per day"),
        pytest.param(20, (9.0, 10.0, 12.0), (20.0, 16.0, 11.0), CostConfig(), 0.01, 9.0, id="by sales without costs"),
        pytest.param(20, (0.051, 0.053), (900.0, 700.0), CostConfig(), 0.001, 0.051, id="less than a cent apart"),
        pytest.param((58, 2), (10.0, 15.0), (10.0, 50.0), CostConfig(), 0.01, 10.0, id="one lucky day is none"),
    ],
)
def test_the_best_past_price(days, price, units, cost, step, best, make_product, prepare):
    history = prepare(make_product(np.repeat(price, days), np.repeat(units, days)))
    market = fit_market(history, DemandConfig(num_draws=4), cost)
    assert best_past(shop(Dynamics(market, guardrails=GuardrailConfig(price_step=step)))) == pytest.approx(best)


def baselines(dynamics, days=14):
    found = shop(dynamics)
    (keep,) = value_paths(found.product, torch.full((1, days), found.current_price))
    rows = compare_baselines(found.product, found.gate, days, partial(value_paths, found.product))
    return {row.rule: row for row in rows}, keep


def test_baselines_value_the_way_to_each_rules_price_and_compare_by_the_objective(known_demand):
    dynamics = dynamics_at_ten(known_demand, "balanced")
    rows, keep = baselines(dynamics)
    assert keep.outcome().profit.mean == pytest.approx(80, rel=1e-3)
    best = rows["planner, profit alone"]
    assert best.price == pytest.approx(12.0, abs=GRID_STEP) and best.probability_better == 0.0, "it sells too little"
    path = approach_prices(torch.tensor([best.price]), Product(dynamics, 0), 14)
    expected = float((20 * (path / 10) ** -2 * (path - 6)).mean())
    assert best.outcome.profit.mean == pytest.approx(expected, rel=1e-3)
    own = rows["planner, this objective"]
    assert own.price == pytest.approx(10 / 0.95, abs=GRID_STEP) and own.probability_better == 1.0


@pytest.mark.parametrize("rails", [{}, {"max_above_median": 0.03}, {"max_week_change": 0.02}])
def test_an_approach_that_ends_early_is_the_one_played_to_its_end(rails, known_demand):
    market = known_demand(price=np.repeat([11.0, 9.0, 10.0], [25, 10, 25]))
    product = Product(Dynamics(market, RewardConfig("profit"), GuardrailConfig(**rails)), 0)
    targets = torch.tensor([9.1, 10.0, 10.1, 10.9])
    state = product.dynamics.start(product.rows(4), product.rows(4) + len(product.history.price) - 1)
    whole, _ = roll_path(lambda now, band: targets, product.dynamics, state, 91, hold_left(product), observes=False)
    found = approach_prices(targets, product, 91)
    assert (found == whole).all() and found[:, -1].tolist() == pytest.approx(targets.tolist(), rel=0.01)


@pytest.mark.parametrize(
    "limits",
    [{"ceiling": 9.8}, {"floor": 10.4}, {"max_rise": 0.0}, {"charm_endings": (0.99,)}, {"price_ladder": (9.9, 10.9)}],
)
def test_every_price_of_the_table_of_rules_obeys_the_guardrails(limits, known_demand):
    dynamics = Dynamics(known_demand(np.repeat([9.0, 10.0, 11.0, 10.0], 15)), guardrails=GuardrailConfig(**limits))
    allowed = {
        "ceiling": lambda price: price <= 9.8,
        "floor": lambda price: price >= 10.4,
        "max_rise": lambda price: price <= 10.0,
        "price_ladder": lambda price: price in (9.9, 10.0, 10.9),
        "charm_endings": lambda price: price == 10.0 or abs(price % 1 - 0.99) < 1e-5,
    }[next(iter(limits))]
    prices = {rule: row.price for rule, row in baselines(dynamics)[0].items()}
    assert len(prices) == len(RULES) + 1 and {rule: price for rule, price in prices.items() if not allowed(price)} == {}


def test_without_costs_only_rules_that_need_none_are_compared(make_product, prepare):
    product = make_product(np.repeat([9.0, 10.0, 12.0], 20), np.repeat([20.0, 16.0, 11.0], 20))
    rows, _ = baselines(Dynamics(fit_market(prepare(product), DemandConfig(num_draws=4))))
    assert set(rows) == {"best past price", "planner, this objective"}
    assert all(row.outcome.profit is None and row.probability_better is None for row in rows.values())


def test_more_caution_stays_closer_to_the_current_price_and_a_certain_loss_keeps_it(fitted, known_demand):
    market = fitted(SellerConfig("linear", days=130, units=30.0, seed=0), DemandConfig())
    dynamics = Dynamics(market, RewardConfig("profit"))
    now = float(dynamics.history.price[-1])
    moves = [abs(lower_bound(shop(dynamics, gate)) / now - 1) for gate in (0.5, 0.8, 0.95, 0.999)]
    assert moves[0] > 0.01 and moves[0] >= moves[1] >= moves[2] >= moves[3] < moves[0], moves
    at_best = Dynamics(known_demand(price=12.0), RewardConfig("profit"), WIDE)
    assert lower_bound(shop(at_best)) == pytest.approx(12.0, abs=GRID_STEP)


def remembering(make_product, prepare, loss, current_price=10.0):
    """Demand ``2000 p^-2`` at a unit cost of 6 and buyers who mind a rise over the price they are used to."""
    memory = PriceMemory(gain=np.array([0.5]), loss=np.array([loss]))
    history = prepare(make_product(np.repeat([0.9, 1.1, 1.0], 30) * current_price, np.full(90, 20.0)))
    market = known_market(history, lambda price: 2000 * price**-2.0, CostConfig(unit_cost=6.0), memory)
    return Dynamics(market, RewardConfig("profit"), WIDE, EnvConfig(noise=False))


def latest(dynamics):
    product, index = dynamics.history.latest()
    return dynamics.start(product, index, torch.zeros_like(product))


def discounted(choose, dynamics):
    price, outcome = roll_out(choose, dynamics, latest(dynamics), 120)
    weight = 0.97 ** (torch.arange(outcome.reward.shape[1]) // 3 * 3)
    return float((outcome.reward[0] * weight).sum()), float(price[0, -1])


def follow_sales(dynamics, seed=None):
    """Roll out a rule that raises the price after a good day, with noise of a seed."""
    state, noise = latest(dynamics), seed and torch.Generator().manual_seed(seed)

    def choose(now):
        sold_more = torch.where(now.sales[-1] > now.sales.mean(0), 1.0, -1.0)
        return dynamics.decide(now, sold_more)

    price, outcome = roll_out(choose, dynamics, state, 60, noise)
    return price, outcome.reward


def test_noise_repeats_its_seed_and_changes_only_what_a_rollout_observes(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    noisy, again, other, expected = (follow_sales(dynamics, seed) for seed in (3, 3, 4, None))
    assert all(map(torch.equal, noisy, again))
    assert not torch.equal(noisy[0], other[0]) and not torch.equal(noisy[0], expected[0])
    _, noisy = roll_out(lambda now: now.price, dynamics, latest(dynamics), 9, torch.Generator())
    _, expected = roll_out(lambda now: now.price, dynamics, latest(dynamics), 9)
    assert all(map(torch.equal, noisy, expected))


def test_without_memory_dynamic_programming_settles_at_the_best_constant_price(known_demand):
    dynamics = Dynamics(known_demand(price=10.0), RewardConfig("profit"), WIDE, EnvConfig(noise=False))
    _, settled = discounted(plan_dynamically(dynamics, 0.97**dynamics.days_per_step), dynamics)
    assert settled == pytest.approx(12.0, rel=0.01)


@pytest.mark.slow
def test_with_memory_dynamic_programming_beats_the_way_to_any_constant_price(make_product, prepare):
    dynamics = remembering(make_product, prepare, loss=1.0)
    planned, settled = discounted(plan_dynamically(dynamics, 0.97**dynamics.days_per_step), dynamics)

    def approach(target):
        return lambda now: project(torch.full_like(now.price, target), now.price, dynamics.band(now))

    ways = {target: discounted(approach(target), dynamics)[0] for target in np.linspace(8, 14, 61)}
    assert planned > max(ways.values()) - 0.01 * 33, "within a thousandth of profit a day"
    assert planned > ways[min(ways, key=lambda target: abs(target - 12.0))] + 0.1, "12.00 is too dear to go to"
    assert 10.0 < settled < 11.8


def test_the_more_buyers_mind_a_rise_the_sooner_it_stops(make_product, prepare):
    settled = []
    for loss in (0.5, 1.0, 2.0):
        dynamics = remembering(make_product, prepare, loss, current_price=9.0)
        settled.append(discounted(plan_dynamically(dynamics, 0.97**dynamics.days_per_step), dynamics)[1])
    assert settled[0] > settled[1] > settled[2]


WIDEST = GuardrailConfig(support_margin=0.6)
"""A box that reaches as far as the curves do."""


@pytest.fixture
def build(prepare):
    """Return the candidates of a product with a certain history, market and support margin."""

    def candidates(history, market, guardrails=WIDEST):
        market = assemble(prepare(history), [market])
        return Candidates(Product(Dynamics(market, RewardConfig("profit"), guardrails), 0))

    return candidates


@pytest.fixture
def known_shop(make_product, prepare, build):
    """Elasticity -2 at a unit cost of 6: the best price is 12.00."""
    price = np.repeat([10.0, 9.0, 11.0, 12.0, 10.0], 20)
    history = make_product(price, np.round(20000 * price**-2.0))
    market = known_market(prepare(history), lambda at: 20000 * at**-2.0, CostConfig(unit_cost=6.0))
    return build(history, market.products[0])


def multiply(known_shop, *factors):
    """The shop's market in several posterior draws, demand multiplied by each factor within 2 % above the price."""
    units = known_shop.market.units
    above = np.clip((known_shop.market.log_grid - np.log(known_shop.current_price)) / 0.02, 0, 1)
    logs = np.concatenate([units.log_value + above * np.log(factor) for factor in factors])
    cost = known_shop.market.cost
    many = {name: np.repeat(getattr(cost, name), len(factors)) for name in ("share_kept", "unit_cost", "fixed_cost")}
    return replace(known_shop.market, units=replace(units, log_value=logs), cost=replace(cost, **many))


def test_the_lower_bound_looks_at_the_worst_fifth_of_the_posterior_draws(known_shop, build):
    def in_markets(*factors):
        return build(known_shop.product.history, multiply(known_shop, *factors))

    assert RULES["lower bound"](known_shop) == pytest.approx(12.0, rel=0.01), "the best price in a certain market"
    unsure = in_markets(*[1.0] * 8, 0.8, 0.8)
    assert RULES["planner, profit alone"](unsure) > 10.5
    assert RULES["lower bound"](unsure) <= 10.0
    assert RULES["lower bound"](in_markets(*[1.0] * 19, 0.7)) > 10.5


def test_no_rule_leaves_the_support_box(known_shop, build):
    narrow = build(known_shop.product.history, known_shop.market, GuardrailConfig(support_margin=0.0))
    for rule in (*RULES.values(), bayesian_log_log):
        assert 9.0 - 1e-9 <= rule(narrow) <= 12.0 + 1e-9


def test_rivals_price_at_the_true_cost(known_shop):
    truth = {"share_kept": 1.0, "unit_cost": 5.5}
    rules = rival_rules((truth,))
    assert set(rules) <= set(NAMES)
    path = rules[BAYESIAN](known_shop.product, known_shop)
    assert path.price[-1] == pytest.approx(11.0, rel=0.03) and not path.claims
