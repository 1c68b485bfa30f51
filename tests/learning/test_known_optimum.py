"""SAC against optima known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_market_runs import ABSOLUTE, BEST_PRICE, ELASTICITY, UNIT_COST, WIDE_BOX, constant_elasticity_market, train
from price_training import PLAIN

from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.evaluation.scores import holdout_states, score_episodes
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.rollout import roll_out


def settled_prices(run, days=28):
    """Prices ``(steps, B)`` of deterministic episodes from every held-out day."""
    state, prices = holdout_states(run.dynamics), []
    for _ in range(0, days, run.dynamics.days_per_step):
        price = run.dynamics.decide(state, run.module.policy(state.observation)[:, 0])
        state, _ = run.dynamics.advance(state, price, run.dynamics.days_per_step, None)
        prices.append(price)
    return torch.stack(prices)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_sac_finds_the_closed_form_best_price(known, seed):
    run = train(
        known, RewardConfig(preset="profit"), WIDE_BOX, ABSOLUTE, seed, algorithm=replace(PLAIN, batch_size=512)
    )
    price = float(settled_prices(run)[-1].mean())
    assert price == pytest.approx(BEST_PRICE, rel=0.05)
    profit, best = ((at - UNIT_COST) * at**ELASTICITY for at in (price, BEST_PRICE))
    assert profit >= (1 - DecisionConfig.policy_margin) * best  # seeds 0 to 2: off by up to 3.5 %, 0.12 % of profit


@pytest.mark.slow
def test_balanced_settles_where_sales_begin_to_cost(known):
    run = train(known, RewardConfig("balanced"), WIDE_BOX, ABSOLUTE, seed=0)
    planner = best_constant_price(run.dynamics).price[0]
    reference = float(run.dynamics.references.price[0])
    assert planner == pytest.approx(reference / 0.95, rel=0.01), "the kink of a 5 % tolerance at elasticity -2"
    # Noise on the policy's own prices keeps it below the kink, beyond which losses weigh more: by 2.0 %.
    assert settled_prices(run)[-1].mean() == pytest.approx(float(planner), rel=0.03)


@pytest.mark.slow
def test_inside_the_guardrails_the_price_arrives_and_stays():
    market = constant_elasticity_market(current_price=11.0)
    run = train(market, RewardConfig(preset="profit"), GuardrailConfig(), EnvConfig(), seed=0)
    prices = settled_prices(run, days=60)
    late = prices[-8:]
    changes_a_day = (late[1:] != late[:-1]).float().mean() / run.dynamics.days_per_step
    assert changes_a_day <= 0.2
    assert (late.std(0) / late.mean(0)).max() < 0.01
    low, high = float(run.dynamics.limits.support_low[0]), float(run.dynamics.limits.support_high[0])
    assert low < 0.98 * BEST_PRICE and high > 1.02 * BEST_PRICE, "the optimum lies inside the box"
    assert late.min() > 1.005 * low and late.max() < 0.995 * high, "no day at the box's edge"
    scores = score_episodes(run.module.policy, run.dynamics, days=60)
    assert scores.planner_gap.mean() < 0.01


@pytest.mark.slow
def test_the_action_depends_on_the_observation():
    market = constant_elasticity_market(current_price=BEST_PRICE)
    run = train(market, RewardConfig(preset="profit"), GuardrailConfig(), EnvConfig(), seed=1)
    prices = run.dynamics.history.price
    cheap, dear = int(prices[14:].argmin()) + 14, int(prices[14:].argmax()) + 14
    assert prices[cheap] < 0.95 * BEST_PRICE and prices[dear] > 1.05 * BEST_PRICE
    index = torch.tensor([cheap, dear])
    state = run.dynamics.start(torch.zeros_like(index), index, torch.full_like(index, run.dynamics.market.mean_draw))
    raised, lowered = run.module.policy(state.observation)[:, 0].tolist()
    assert raised > 0.2, "from a price below the best one it goes up"
    assert lowered < -0.2, "from a price above it goes down"


def train_briefly(market, updates):
    config = replace(PLAIN, warmup_steps=256)
    return train(market, RewardConfig(), WIDE_BOX, ABSOLUTE, seed=4, updates=updates, algorithm=config)


def test_the_gradient_reaches_every_layer(known):
    run = train_briefly(known, updates=20)
    torch.manual_seed(0)
    observation = torch.rand(64, run.module.agent.actor.observation_dim)
    run.module.zero_grad()
    action, log_prob = run.module.agent.actor.sample(observation)
    (log_prob.mean() - run.module.agent.critic(observation, action).amin(0).mean()).backward()
    for name, parameter in [*run.module.agent.actor.named_parameters(), *run.module.agent.critic.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_training_moves_every_network_and_the_temperature(known):
    before, after = train_briefly(known, updates=10), train_briefly(known, updates=20)
    for (name, old), new in zip(before.module.named_parameters(), after.module.parameters(), strict=True):
        assert not torch.equal(old, new), name


def test_the_same_seed_trains_the_same_policy(known):
    first, second = train_briefly(known, updates=20), train_briefly(known, updates=20)
    for old, new in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(old, new)


def earned(run, choose, days=84):
    """Return the mean daily profit from all held-out days on."""
    _, outcome = roll_out(choose, run.dynamics, holdout_states(run.dynamics), days)
    return float(outcome.profit.mean())


@pytest.mark.slow
@pytest.mark.parametrize(("gamma", "arrives"), [(0.97, True), (0.0, False)])
def test_with_buyers_who_remember_prices_sac_earns_what_dynamic_programming_earns(gamma, arrives):
    memory = PriceMemory(gain=np.array([0.5]), loss=np.array([2.0]))
    market = constant_elasticity_market(current_price=9.0, memory=memory)
    profit = RewardConfig(preset="profit")
    algorithm = replace(PLAIN, gamma=gamma)
    run = train(market, profit, GuardrailConfig(), EnvConfig(), seed=0, updates=2000, algorithm=algorithm)
    learned = earned(run, lambda now: run.dynamics.decide(now, run.module.policy(now.observation)[:, 0]))
    planned = earned(run, plan_dynamically(run.dynamics, 0.97**run.dynamics.days_per_step))
    assert (learned > 0.98 * planned) == arrives, (learned, planned)  # three seeds: 0.985, 0.994, 0.990
