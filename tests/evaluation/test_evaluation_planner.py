from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
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
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices, planner_gaps, value_average_day
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.rollout import approach_prices, hold_left, roll_out, roll_path
from pricerl.simulation.seller import SellerConfig

PROFIT, REWARD = best_for_profit, best_for_objective

WIDE = GuardrailConfig(support_margin=0.5)
GRID_STEP = 0.05
"""The box from 6 (the unit cost) to 15 holds 201 candidates."""

AT_TWELVE = 1 / 3
"""The absolute action of price 12 in that box."""

ABSOLUTE = EnvConfig(action="absolute")
TRIO = SellerConfig(days=130, units=30.0, products=3, seed=5)


def dynamics_at_ten(known_demand, preset, config=None):
    return Dynamics(known_demand(price=10.0), RewardConfig(preset), WIDE, config)


def keep(observation):
    return torch.zeros(len(observation), 1)


def shop(dynamics, gate=0.9):
    product = Product(dynamics, 0)
    return Candidates(product, gate)


@pytest.mark.parametrize(("preset", "rule"), [("profit", PROFIT), ("profit", REWARD), ("balanced", PROFIT)])
def test_the_planner_finds_the_price_of_the_closed_form(known_demand, preset, rule):
    assert rule(shop(dynamics_at_ten(known_demand, preset))) == pytest.approx(12.0, abs=GRID_STEP)


def test_the_rule_and_the_yardstick_of_the_objective_are_one_price(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    plan = best_constant_price(dynamics)
    assert plan.price.tolist() == [pytest.approx(REWARD(shop(dynamics)))]
    reward, _ = value_average_day(Product(dynamics, 0), plan.price)
    assert plan.value.tolist() == pytest.approx([float(reward.mean())])


def test_the_balanced_optimum_is_where_sales_leave_their_tolerance(known_demand):
    plan = best_constant_price(dynamics_at_ten(known_demand, "balanced"))
    assert plan.price.tolist() == pytest.approx([10 / 0.95], abs=GRID_STEP)


def test_the_upward_planner_charges_more_than_the_median(known_demand):
    market = known_demand(price=np.repeat([9.0, 10.0, 11.0], 20))
    dynamics = Dynamics(market, weighted("upward", sales_weight=0.05, drop_weight=0.0), WIDE)
    assert float(best_constant_price(dynamics).price) > 11.0


def test_the_planner_never_leaves_the_guardrails(known_demand):
    dynamics = Dynamics(known_demand(), RewardConfig("profit"), GuardrailConfig(support_margin=0.5, ceiling=11.0))
    assert best_constant_price(dynamics).price.tolist() == pytest.approx([11.0])


def test_no_candidate_beats_the_plan_of_any_product(fitted):
    dynamics = Dynamics(fitted(TRIO, DemandConfig(num_draws=8)))
    plan = best_constant_price(dynamics)
    for product in range(3):
        value = value_average_day(Product(dynamics, product), candidate_prices(Product(dynamics, product)))[0].mean(0)
        assert float(value.max()) == pytest.approx(float(plan.value[product]))


def test_a_policy_that_keeps_the_price_gains_and_loses_nothing(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    scores = score_episodes(keep, dynamics)
    assert scores.price_mean.unique().tolist() == [10.0]
    assert scores.profit_uplift.abs().max() == 0
    assert scores.sales_ratio.unique().tolist() == [1.0]
    expected_gap = 1 - (4 * 20) / (6 * 20 / 1.2**2)
    np.testing.assert_allclose(scores.planner_gap.numpy(), expected_gap, atol=1e-3)


def test_a_policy_that_charges_the_best_price_leaves_no_gap(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit", ABSOLUTE)
    scores = score_episodes(lambda observation: torch.full((len(observation), 1), AT_TWELVE), dynamics)
    np.testing.assert_allclose(scores.price_mean.numpy(), 12.0, atol=1e-4)
    np.testing.assert_allclose(scores.planner_gap.numpy(), 0.0, atol=1e-4)
    np.testing.assert_allclose(scores.reward_gap.numpy(), 0.0, atol=1e-3)
    np.testing.assert_allclose(scores.profit_uplift.numpy(), (6 / 1.2**2) / 4 - 1, atol=1e-4)
    np.testing.assert_allclose(scores.sales_ratio.numpy(), 1 / 1.2, atol=1e-4)


def test_an_episode_returns_its_daily_rewards(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit", ABSOLUTE)
    scores = score_episodes(lambda observation: torch.full((len(observation), 1), AT_TWELVE), dynamics, days=9)
    gain = ((6 * 20 / 1.2**2) / 80 - 1) / 0.10
    np.testing.assert_allclose(scores.episode_return.numpy(), 9 * 30 * np.arcsinh(gain / 30), rtol=1e-3)


def test_every_held_out_day_starts_one_episode(fitted):
    dynamics = Dynamics(fitted(TRIO, DemandConfig(num_draws=8)))
    assert len(score_episodes(keep, dynamics, days=3).sales_ratio) == 3 * (130 - 110 + 1)


def test_gaps_are_measured_against_each_rows_own_product(fitted):
    dynamics = Dynamics(fitted(TRIO, DemandConfig(num_draws=8)), RewardConfig("profit"))
    best, rows = best_constant_price(dynamics).price, torch.arange(3)
    gap, reward_gap = planner_gaps(dynamics, best, rows, rows, best)
    assert gap.tolist() == pytest.approx([0, 0, 0], abs=1e-6) and reward_gap.tolist() == [0, 0, 0]


def test_the_best_past_price_earned_most_a_day(make_product, prepare):
    product = make_product(np.repeat([9.0, 10.0, 12.0], [20, 20, 20]), np.repeat([20.0, 16.0, 11.0], 20))
    market = fit_market(prepare(product), DemandConfig(num_draws=4), CostConfig(unit_cost=6.0, share_kept=1.0))
    assert best_past(shop(Dynamics(market))) == 12.0


def test_past_prices_below_a_cent_apart_are_told_apart_on_a_finer_grid(make_product, prepare):
    product = make_product(np.repeat([0.051, 0.053], 20), np.repeat([900.0, 700.0], 20))
    market = fit_market(prepare(product), DemandConfig(num_draws=4))
    assert best_past(shop(Dynamics(market, guardrails=GuardrailConfig(price_step=0.001)))) == pytest.approx(0.051)


def test_the_best_past_price_goes_by_sales_where_costs_are_unknown(make_product, prepare):
    product = make_product(np.repeat([9.0, 10.0, 12.0], [20, 20, 20]), np.repeat([20.0, 16.0, 11.0], 20))
    market = fit_market(prepare(product), DemandConfig(num_draws=4))
    assert best_past(shop(Dynamics(market))) == 9.0


def test_one_lucky_day_is_no_best_past_price(make_product, prepare):
    price, units = np.repeat([10.0, 15.0], [58, 2]), np.repeat([10.0, 50.0], [58, 2])
    product = make_product(price, units)
    market = fit_market(prepare(product), DemandConfig(num_draws=4))
    assert best_past(shop(Dynamics(market))) == 10.0


def baselines(dynamics, days=14):
    found = shop(dynamics)
    product = Product(dynamics, 0)
    (keep,) = value_paths(product, torch.full((1, days), found.current_price))
    rows = compare_baselines(product, found.gate, days, partial(value_paths, product))
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


def test_more_caution_stays_closer_to_the_current_price(fitted):
    market = fitted(SellerConfig("linear", days=130, units=30.0, seed=0), DemandConfig())
    dynamics = Dynamics(market, RewardConfig("profit"))
    now = float(dynamics.history.price[-1])
    moves = [abs(lower_bound(shop(dynamics, gate)) / now - 1) for gate in (0.5, 0.8, 0.95, 0.999)]
    assert moves[0] > 0.01 and moves[0] >= moves[1] >= moves[2] >= moves[3] < moves[0], moves


def test_a_certain_loss_keeps_the_price(known_demand):
    dynamics = Dynamics(known_demand(price=12.0), RewardConfig("profit"), WIDE)
    assert lower_bound(shop(dynamics)) == pytest.approx(12.0, abs=GRID_STEP)


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


def follow_sales(dynamics, seed):
    """Roll out a rule that raises the price after a good day, its noise seeded unless ``seed`` is None."""
    state, noise = latest(dynamics), None if seed is None else torch.Generator().manual_seed(seed)

    def choose(now):
        sold_more = torch.where(now.sales[-1] > now.sales.mean(0), 1.0, -1.0)
        return dynamics.decide(now, sold_more)

    price, outcome = roll_out(choose, dynamics, state, 60, noise)
    return price, outcome.reward


def test_a_rollout_with_noise_repeats_its_seed_and_differs_without_noise(known_demand):
    dynamics = dynamics_at_ten(known_demand, "profit")
    noisy, again, other, expected = (follow_sales(dynamics, seed) for seed in (3, 3, 4, None))
    assert all(map(torch.equal, noisy, again))
    assert not torch.equal(noisy[0], other[0]) and not torch.equal(noisy[0], expected[0])


def test_noise_changes_only_what_a_rollout_observes(known_demand):
    dynamics, noise = dynamics_at_ten(known_demand, "profit"), torch.Generator()
    _, noisy = roll_out(lambda now: now.price, dynamics, latest(dynamics), 9, noise)
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
