from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector

from pricerl.env import ENV_ID, register_envs
from pricerl.env.config import EnvConfig
from pricerl.env.pricing import ArrayVectorEnv, PricingEnv, PricingVectorEnv
from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.simulation.seller import SellerConfig

SELLER = SellerConfig(days=130, units=30.0)
TRIO = SellerConfig(days=130, units=30.0, products=3, seed=5)
SMALL = DemandConfig(num_draws=8)
QUIET = EnvConfig(noise=False)


@pytest.fixture(scope="module")
def market(fitted):
    return fitted(SELLER, SMALL)


@pytest.fixture(scope="module")
def trio(fitted):
    return fitted(TRIO, SMALL)


def one(value):
    return np.array([value], dtype=np.float32)


def random_actions(num_steps, num_rows, seed=0):
    return torch.rand(num_steps, num_rows, 1, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_gymnasium_makes_both_envs_by_name_with_boxes_of_168_observations_and_one_action(market):
    env = gymnasium.make(ENV_ID, market=market).unwrapped
    assert isinstance(env, PricingEnv)
    check_env(env)
    assert env.observation_space == gymnasium.spaces.Box(0, 1, (168,), np.float32)
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    register_envs()
    rows = gymnasium.make_vec(ENV_ID, num_envs=5, market=market).unwrapped
    assert isinstance(rows, ArrayVectorEnv) and rows.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert rows.single_observation_space == env.observation_space
    assert rows.single_action_space == env.action_space
    assert rows.observation_space.shape == (5, 168) and rows.action_space.shape == (5, 1)


@pytest.mark.parametrize(
    "order", ["import gymnasium, pricerl", "import pricerl; loaded = {*sys.modules}; import gymnasium"]
)
def test_importing_pricerl_registers_the_envs_and_loads_neither_torch_nor_gymnasium(order):
    heavy = "'torch' in sys.modules or 'gymnasium' in globals().get('loaded', ())"
    code = f"import sys; {order}; gymnasium.spec({ENV_ID!r}); sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_env_made_by_name_takes_and_returns_arrays_equal_to_the_tensors(market):
    config = EnvConfig(horizon=6)
    rows = gymnasium.make_vec(ENV_ID, num_envs=3, market=market, config=config)
    tensors = PricingVectorEnv(3, market, config=config)
    np.testing.assert_array_equal(rows.reset(seed=4)[0], tensors.reset(seed=4)[0])
    for _ in range(2):
        action = rows.action_space.sample()
        *outcome, info = rows.step(action)
        *expected, expected_info = tensors.step(torch.from_numpy(action))
        assert {type(item) for item in (*outcome, *info.values())} == {np.ndarray}
        assert rows.observation_space.contains(outcome[0])
        for found, known in zip(outcome, expected, strict=True):
            np.testing.assert_array_equal(found, known)
    np.testing.assert_array_equal(info["final_obs"], expected_info["final_obs"])


def test_gymnasiums_wrappers_of_vector_envs_count_episodes_rescale_actions_and_list_infos(market):
    rows = gymnasium.make_vec(ENV_ID, num_envs=3, market=market, config=EnvConfig(horizon=6))
    wrapped = vector.RescaleAction(vector.RecordEpisodeStatistics(rows), np.float32(0), np.float32(1))
    listed = vector.DictInfoToList(wrapped)
    listed.reset(seed=0)
    steps = [listed.step(listed.action_space.sample()) for _ in range(2)]
    info = steps[-1][4][2]
    assert info["episode"]["r"] == pytest.approx(sum(step[1] for step in steps)[2])
    assert steps[-1][3].all() and info["final_obs"].shape == (168,)


@pytest.mark.parametrize(("horizon", "decisions"), [(28, 10), (3, 1), (4, 2)])
def test_the_horizon_truncates_and_never_terminates(market, horizon, decisions):
    env = PricingEnv(market, config=EnvConfig(horizon=horizon))
    env.reset(seed=0)
    ends = [env.step(one(0.3))[2:4] for _ in range(decisions)]
    assert ends == [(False, False)] * (decisions - 1) + [(False, True)]


@pytest.mark.parametrize("horizon", [0, 10_000])
def test_a_horizon_outside_the_calendar_is_refused(horizon):
    with pytest.raises(UsageError, match=f"env.horizon must be 1 to .* found {horizon}"):
        EnvConfig(horizon=horizon)


def test_the_longest_horizon_can_be_walked_to_its_end(known_demand):
    market = known_demand()
    longest = EnvConfig(horizon=732, noise=False)
    env = PricingVectorEnv(2, market, config=longest, starts="latest")
    env.reset(seed=0)
    truncated = [bool(env.step(torch.zeros(2, 1))[3].all()) for _ in range(244)]
    assert truncated == [False] * 243 + [True]


@pytest.mark.parametrize("action", ["step", "absolute"])
def test_single_and_vector_env_agree_step_by_step(trio, action):
    config = EnvConfig(noise=False, action=action)
    starts = {"product": [0, 1, 2, 1], "index": [40, 60, 129, 5], "draw": [0, 3, 7, 8]}
    rows = PricingVectorEnv(4, trio, config=config)
    observation, _ = rows.reset(options={name: torch.tensor(value) for name, value in starts.items()})
    singles = [PricingEnv(trio, config=config) for _ in range(4)]
    for row, env in enumerate(singles):
        first, _ = env.reset(options={name: value[row] for name, value in starts.items()})
        np.testing.assert_array_equal(first, observation[row].numpy())
    for actions in random_actions(9, 4):
        observation, reward, _, _, info = rows.step(actions)
        for row, env in enumerate(singles):
            single, earned, _, _, told = env.step(actions[row].numpy())
            np.testing.assert_allclose(single, observation[row].numpy(), atol=1e-6)
            assert earned == pytest.approx(float(reward[row]), abs=1e-5)
            assert told == pytest.approx({name: float(info[name][row]) for name in told}, rel=1e-5, abs=1e-5)


def test_single_and_vector_env_share_their_noise_under_one_seed(market):
    single, rows = PricingEnv(market), PricingVectorEnv(1, market)
    first, _ = single.reset(seed=11)
    observation, _ = rows.reset(seed=11)
    np.testing.assert_array_equal(first, observation[0].numpy())
    for actions in random_actions(8, 1):
        seen, reward, *_ = single.step(actions[0].numpy())
        observation, earned, *_ = rows.step(actions)
        np.testing.assert_array_equal(seen, observation[0].numpy())
        assert reward == float(earned[0])


def episode(env, seed, options=None):
    observation, _ = env.reset(seed=seed, options=options)
    steps = [env.step(one(value)) for value in (0.5, -1.0, 0.2, 0.0)]
    return np.stack([observation, *(step[0] for step in steps)]), [step[1] for step in steps]


def test_the_same_seed_gives_the_same_episode_and_another_seed_another(market):
    env = PricingEnv(market)
    (first, rewards), (again, repeated), (other, _) = (episode(env, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert rewards == repeated
    assert not np.array_equal(first, other)


def test_the_days_noise_changes_observations_but_no_reward(market):
    env, start = PricingEnv(market), {"product": 0, "index": 60, "draw": 2}
    (seen, rewards), (other, repeated) = (episode(env, seed, start) for seed in (1, 2))
    assert not np.array_equal(seen[1:], other[1:])
    assert rewards == repeated


def test_different_draws_expect_different_units(market):
    rows = PricingVectorEnv(8, market, config=QUIET)
    rows.reset(options={"index": 60, "draw": torch.arange(8)})
    info = rows.step(torch.zeros(8, 1))[4]
    assert info["price"].unique().numel() == 1
    assert info["expected_units"].unique().numel() == 8


def test_a_price_stays_for_the_days_of_the_hold(known_demand):
    env = PricingEnv(known_demand(price=10.0), guardrails=GuardrailConfig(min_hold_days=4), starts="latest")
    env.reset(seed=0)
    info = env.step(one(1.0))[4]
    assert info["days"] == 4
    assert env.state.prices[-5:, 0].tolist() == pytest.approx([10.0, 10.5, 10.5, 10.5, 10.5])


def test_the_reward_of_a_step_is_the_sum_over_its_days(market):
    env = PricingEnv(market)
    env.reset(seed=5)
    _, reward, _, _, info = env.step(one(-1.0))
    assert reward == pytest.approx(3 * info["reward_per_day"], abs=1e-5) and abs(reward) > 1e-4


@pytest.mark.parametrize(("action", "price"), [(-1.0, 7.2), (1.0, 13.2), (0.0, 10.2)])
def test_an_absolute_action_reaches_both_ends_of_the_box(known_demand, action, price):
    market = known_demand(price=np.repeat([8.0, 10.0, 12.0], 20))
    env = PricingEnv(market, config=EnvConfig(action="absolute"))
    env.reset(seed=0)
    info = env.step(one(action))[4]
    assert (info["price"], info["days"]) == (pytest.approx(price), 1)


def test_rows_keep_to_their_own_products(trio):
    rows = PricingVectorEnv(3, trio, config=QUIET)
    rows.reset(options={"product": torch.arange(3), "index": 129, "draw": 8})
    price = torch.stack([rows.step(torch.zeros(3, 1))[4]["price"] for _ in range(4)])
    last = [product.price[-1] for product in trio.preprocessor.products]
    torch.testing.assert_close(price, torch.tensor(last, dtype=torch.float32).expand(4, 3))


@pytest.mark.parametrize(
    ("settings", "options", "products", "days", "draws"),
    [
        ({}, {}, [0, 1, 2], (13, 109), list(range(8))),
        ({"starts": "holdout"}, {"product": 1}, [1], (109, 129), list(range(8))),
        ({"starts": "latest", "draws": "mean"}, {"product": 1}, [1], (129, 129), [8]),
    ],
)
def test_episodes_start_where_they_may_and_keep_a_chosen_product(trio, settings, options, products, days, draws):
    assert trio.preprocessor.train_days == (110, 110, 110) and trio.mean_draw == 8
    rows = PricingVectorEnv(500, trio, **settings)
    rows.reset(seed=0, options=options)
    index = rows.state.day - rows.dynamics.history.first_day[rows.state.product]
    assert rows.state.product.unique().tolist() == products
    assert rows.state.draw.unique().tolist() == draws
    assert (int(index.min()), int(index.max())) == days


def test_the_last_observation_of_an_episode_is_the_final_observation(market):
    config = EnvConfig(horizon=6, noise=False)
    rows, twin = (PricingVectorEnv(3, market, config=item) for item in (config, QUIET))
    start = {"index": torch.tensor([30, 50, 70]), "draw": torch.tensor([1, 2, 3])}
    rows.reset(seed=0, options=start)
    twin.reset(seed=0, options=start)
    for actions in random_actions(2, 3):
        observation, _, _, truncated, info = rows.step(actions)
        last = twin.step(actions)[0]
    assert truncated.all()
    assert torch.equal(info["final_obs"], last)
    assert not torch.equal(observation, last) and torch.equal(observation, rows.state.observation)


@pytest.mark.parametrize("shape", [(4,), (3, 1), (4, 2)])
def test_actions_of_the_wrong_shape_are_refused(market, shape):
    rows = PricingVectorEnv(4, market)
    rows.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have shape \(4, 1\), found"):
        rows.step(torch.zeros(shape))
    env = PricingEnv(market)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have shape \(1, 1\), found"):
        env.step(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("action", ["step", "absolute"])
def test_an_action_that_is_no_number_holds_the_price(market, action):
    env = PricingEnv(market, config=EnvConfig(action=action))
    _, start = env.reset(seed=1)
    observation, reward, _, _, info = env.step(one(np.nan))
    assert info["price"] == start["price"]
    assert np.isfinite(observation).all() and np.isfinite(reward)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"produkt": 0}, "unknown reset option 'produkt'; known are product, index, draw"),
        ({"product": 3}, "'product' must be 0 to 2, found 3"),
        ({"index": 130}, "'index' must be 0 to 129, found 130"),
        ({"draw": -1}, "'draw' must be 0 to 8, found -1"),
    ],
)
def test_a_reset_option_outside_the_market_is_refused(trio, options, message):
    with pytest.raises(ValueError, match=message):
        PricingEnv(trio).reset(options=options)


@pytest.mark.compiler
@pytest.mark.parametrize("action", ["step", pytest.param("absolute", marks=pytest.mark.slow)])
def test_compiled_steps_give_the_numbers_of_plain_ones(trio, action):
    rows = 7
    plain, compiled = (
        PricingVectorEnv(rows, replace(trio), config=EnvConfig(horizon=6, action=action, compile=compile))
        for compile in (False, True)
    )  # each with a market of its own, so that the compiled step is the first that reads it
    before = [env.reset(seed=3)[0] for env in (plain, compiled)]
    assert torch.equal(*before)
    for actions in random_actions(13, rows):
        *expected, expected_info = plain.step(actions)
        *found, found_info = compiled.step(actions)
        torch.testing.assert_close([*found, found_info], [*expected, expected_info], rtol=1e-4, atol=1e-5)
    assert not compiled._step.failed
