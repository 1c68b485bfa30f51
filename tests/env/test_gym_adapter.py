"""Any environment with boxes becomes rows of tensors; what SAC cannot learn in is refused with what to do."""

from __future__ import annotations

import importlib
import re

import gymnasium
import numpy as np
import pytest
import torch
from adapter_toys import TOY, Toy, rows
from gymnasium import spaces

from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.errors import NonFiniteError, UsageError
from pricerl.tasks.imports import refuse_paths


def test_pendulum_has_three_observations_one_action_and_200_steps():
    env = GymVectorEnv("Pendulum-v1", 4)
    assert (env.env_id, env.num_envs, env.observation_dim, env.action_dim) == ("Pendulum-v1", 4, 3, 1)
    assert env.max_episode_steps == 200
    assert env.single_observation_space == spaces.Box(np.float32([-1, -1, -8]), np.float32([1, 1, 8]))
    assert env.single_action_space == spaces.Box(-1.0, 1.0, (1,), np.float32)


def test_what_comes_out_are_tensors_of_the_documented_types():
    env = GymVectorEnv(TOY, 2, device=torch.device("cpu"))
    observation, info = env.reset(seed=0)
    assert observation.shape == (2, 3) and observation.dtype == torch.float32 and info == {}
    observation, reward, terminated, truncated, info = env.step(rows(0, 0))
    assert observation.shape == (2, 3) and observation.dtype == torch.float32 and info == {}
    assert reward.shape == (2,) and reward.dtype == torch.float32
    assert terminated.shape == truncated.shape == (2,) and terminated.dtype == truncated.dtype == torch.bool


def test_the_rows_walk_as_the_bare_environment_does():
    env, bare = GymVectorEnv("Pendulum-v1", 2), gymnasium.make("Pendulum-v1")
    observation, _ = env.reset(seed=[3, 7])
    expected, _ = bare.reset(seed=7)
    np.testing.assert_array_equal(observation[1], expected)
    generator = np.random.default_rng(0)
    for _ in range(200):
        action = generator.uniform(-1, 1, (2, 1)).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(torch.from_numpy(action))
        expected, gain, *ends, _ = bare.step(2 * action[1])
        following = info["final_obs"] if truncated[1] else observation
        np.testing.assert_array_equal(following[1], expected)
        assert reward[1] == np.float32(gain) and [terminated[1], truncated[1]] == ends
    assert truncated.all()


def test_actions_reach_the_bounds_of_the_environment_and_no_further():
    env = GymVectorEnv(TOY, 5, settings={"low": -0.5, "high": 3.5})
    env.reset(seed=0)
    observation, reward, *_ = env.step(rows(-1, 0, 1, -9, 9))
    assert observation[:, 2].tolist() == reward.tolist() == [-0.5, 1.5, 3.5, -0.5, 3.5]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_never_carries_an_action_past_a_bound(dtype):
    generator = np.random.default_rng(1)
    low = generator.uniform(-1, 1, 500).astype(dtype)
    high = low + generator.uniform(0.01, 1, 500).astype(dtype)
    env = GymVectorEnv(TOY, settings={"low": low, "high": high, "shape": (500,), "dtype": dtype})
    env.reset(seed=0)
    for end, bound in ((-1.0, low), (1.0, high)):
        observation, *_ = env.step(torch.full((1, 500), end))  # the toy asserts its own bounds
        np.testing.assert_allclose(observation[0, 2:], bound, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("shape", "size"), [((2, 3), 6), ((1, 2, 2), 4), ((), 1)])
def test_an_action_box_of_any_shape_is_filled_row_by_row(shape, size):
    env = GymVectorEnv("adapter/Toy-v1", 2, settings={"low": -1.0, "high": 1.0, "shape": shape, "dtype": "float64"})
    assert env.action_dim == size
    env.reset(seed=0)
    action = torch.linspace(-0.9, 0.9, 2 * size).reshape(2, size)
    observation, *_ = env.step(action)
    torch.testing.assert_close(observation[:, 2:], action)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (2, 2, 3), np.uint8),
        spaces.Box(-5, 5, (4,), np.int64),
        spaces.Box(-1e300, 1e300, (2, 1), np.float64),
        spaces.Box(0, 1, (), np.float32),
    ],
    ids=str,
)
def test_an_observation_box_of_any_shape_and_type_becomes_flat_float32(space):
    env = GymVectorEnv("adapter/Spaces-v0", 2, settings={"observed": space})
    size = int(np.prod(space.shape))
    assert env.single_observation_space.shape == (size,) and env.single_observation_space.dtype == np.float32
    observation, _ = env.reset(seed=0)
    assert observation.dtype == torch.float32
    assert observation.tolist() == [list(range(size))] * 2


def test_termination_and_truncation_are_kept_apart_and_final_obs_holds_what_followed():
    env = GymVectorEnv(TOY, 3)
    env.reset(seed=0, options={"start": 40})
    *_, info = env.step(rows(0, 0, 0))
    assert info == {}
    observation, reward, terminated, truncated, info = env.step(rows(1, 0, -1))
    assert reward.tolist() == [6, 2, -2]
    assert terminated.tolist() == [True, False, False]
    assert truncated.tolist() == [False, False, True]
    assert list(info) == ["final_obs"]
    assert info["final_obs"].tolist() == [[40, 2, 6], [40, 2, 2], [40, 2, -2]]
    assert observation[:, 1].tolist() == [0, 2, 0] and observation[:, 2].tolist() == [0, 2, 0]
    observation, *_, info = env.step(rows(0, 0, 0))
    assert observation[:, 1].tolist() == [1, 3, 1] and info == {}


@pytest.mark.parametrize("env_id", [TOY, "Pendulum-v1"])
def test_an_observation_given_out_is_not_written_to_later(env_id):
    env = GymVectorEnv(env_id)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(rows(0))
    kept = first.clone(), second.clone()
    third, *_ = env.step(rows(0))
    assert torch.equal(first, kept[0]) and torch.equal(second, kept[1]) and not torch.equal(second, third)


def test_the_same_seed_gives_the_same_episodes_and_every_row_its_own():
    def walk(seed):
        env = GymVectorEnv(TOY, 3)
        starts = [env.reset(seed=seed)[0]]
        starts += [env.step(rows(1, 1, 1))[0] for _ in range(5)]  # each step starts a new episode
        return torch.stack(starts)[:, :, 0]

    starts = walk(5)
    assert torch.equal(starts, walk(5)) and torch.equal(starts, walk([5, 6, 7]))
    assert not torch.equal(starts, walk(6))
    assert len(set(starts.flatten().tolist())) > 10


def test_settings_reach_the_environment_and_a_time_limit_among_them_truncates():
    env = GymVectorEnv(TOY, settings={"high": 2.0, "max_episode_steps": 2})
    assert env.max_episode_steps == 2
    env.reset(seed=0)
    ends = [[flags.item() for flags in env.step(rows(1))[1:4]] for _ in range(2)]
    assert ends == [[2.0, False, False], [2.0, False, True]]
    assert GymVectorEnv(TOY).max_episode_steps is None


def test_a_module_before_the_id_must_be_imported_already(tmp_path, monkeypatch):
    (tmp_path / "my_shop.py").write_text(
        "import gymnasium\ngymnasium.register('adapter/MyShop-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="the module 'my_shop' is not imported; import it first"):
        GymVectorEnv("my_shop:adapter/MyShop-v0")
    importlib.import_module("my_shop")
    env = GymVectorEnv("my_shop:adapter/MyShop-v0")
    assert env.env_id == "my_shop:adapter/MyShop-v0" and env.observation_dim == 3


def test_an_id_that_is_out_of_date_runs_without_a_warning():
    with pytest.warns(DeprecationWarning, match="out of date"):
        gymnasium.make("adapter/Toy-v0")
    assert GymVectorEnv("adapter/Toy-v0").action_dim == 1  # a warning would be an error here


def test_every_row_is_closed_once():
    already_open = Toy.num_open
    env = GymVectorEnv(TOY, 3)
    assert Toy.num_open == already_open + 3
    env.close()
    env.close()
    assert Toy.num_open == already_open


def test_half_cheetah_v4_runs_and_its_random_actions_run_backwards(tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    env = GymVectorEnv("HalfCheetah-v4", 2)
    assert (env.observation_dim, env.action_dim, env.max_episode_steps) == (17, 6, 1000)
    observation, _ = env.reset(seed=0)
    assert observation[:, :8].abs().max() <= 0.1  # positions start within 0.1 of the model's own
    generator = torch.Generator().manual_seed(0)
    episode_return = torch.zeros(2)
    for _ in range(1000):
        _, reward, terminated, truncated, _ = env.step(2 * torch.rand(2, 6, generator=generator) - 1)
        episode_return += reward
    assert truncated.all() and not terminated.any()
    assert ((episode_return > -600) & (episode_return < 0)).all()


@pytest.mark.parametrize(
    ("env_id", "settings", "stated"),
    [
        ("pendulum-v1", None, "registered as 'pendulum-v1'; did you mean 'Pendulum-v1'"),
        ("Pendulum-v9", None, "registered as 'Pendulum-v9'; did you mean 'Pendulum-v1'"),
        ("q/q", None, "registered as 'q/q'; write module:Id-v0 to import the module that registers it"),
        ("", None, "registered as ''; write module:Id-v0"),
        (
            "nowhere:X-v0",
            None,
            "the module 'nowhere' is not imported; import it first, or allow it with --allow nowhere",
        ),
        ("adapter/NeedsMujoco-v0", None, 'MuJoCo is not installed); install the package .* pip install -e ".[gym]"'),
        ("adapter/NeedsOther-v0", None, "No module named 'package_that_nobody_has'); install the package"),
        ("adapter/NoLongerSupported-v0", None, "mujoco-py is no longer supported"),
        ("adapter/Fails-v0", {"file": "x.xml"}, "with settings {'file': 'x.xml'} (FileNotFoundError: no such file"),
        ("Pendulum-v1", {"gravity": 9.8}, "unexpected keyword argument 'gravity'); .* correct what it names"),
        ("CartPole-v1", None, "acts in Discrete(2), but SAC needs"),
        ("FrozenLake-v1", None, "observes Discrete(16)"),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused_with_what_to_do(env_id, settings, stated):
    with pytest.raises(UsageError, match=re.escape(stated).replace(r"\.\*", ".*")) as caught:
        GymVectorEnv(env_id, settings=settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"acted": spaces.MultiDiscrete([3, 2])},
        {"acted": spaces.Dict(a=spaces.Box(-1, 1, (1,)))},
        {"acted": spaces.Box(0, 9, (1,), np.int32)},
        {"observed": spaces.Tuple([spaces.Box(-1, 1, (1,))])},
        {"acted": spaces.Box(-np.inf, np.inf, (2,))},
        {"acted": spaces.Box(-1, np.float32([[1, np.inf]]))},
        {"acted": spaces.Box(np.float32([-1, 2]), np.float32([1, 2]))},
        {"acted": spaces.Box(-np.finfo(np.float32).max, 1, (1,))},
        {"acted": spaces.Box(-1, 1, (0,))},
        {"observed": spaces.Box(-1, 1, (0,))},
    ],
    ids=str,
)
def test_spaces_that_sac_cannot_learn_in_are_refused_and_the_environment_is_closed(settings):
    with pytest.raises(UsageError, match=r"^adapter/Spaces-v0 observes .* and acts in .*; choose another environment"):
        GymVectorEnv("adapter/Spaces-v0", settings=settings)
    already_open = Toy.num_open
    with pytest.raises(UsageError, match="int64"):
        GymVectorEnv(TOY, settings={"dtype": "int64"})
    assert Toy.num_open == already_open


@pytest.mark.parametrize(
    ("bad", "action", "stated"),
    [
        ({3: (np.nan, 1)}, 0, "observation[1] of row 0 is nan in step 3"),
        ({2: (-np.inf, 0)}, 0, "observation[0] of row 0 is -inf in step 2"),
        ({3: (1e300, 0)}, 0, "observation[0] of row 0 is inf in step 3"),
        ({1: (np.nan, 0)}, 1, "observation[0] of row 0 is nan in step 1"),
        ({1: (1e300, "reward")}, 0, "reward of row 0 is inf in step 1"),
        ({"reset": (np.nan, 2)}, 0, "observation[2] of row 0 is nan in step 0"),
        ({}, np.nan, "action[0] of row 0 is nan in step 1"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_step_and_place(bad, action, stated):
    env = GymVectorEnv(TOY, 2, settings={"bad": bad})
    with pytest.raises(NonFiniteError) as caught:
        env.reset(seed=0)
        for _ in range(max((when for when in bad if when != "reset"), default=1) - 1):
            env.step(rows(0, 0))
        env.step(rows(action, 0))
    assert str(caught.value) == f"{TOY}: {stated}; keep actions and environment finite in float32"


def test_wrong_actions_are_refused_and_an_error_of_the_environment_itself_passes_unchanged():
    env = GymVectorEnv("adapter/Broken-v0")
    env.reset(seed=0)
    with pytest.raises(ArithmeticError, match="the environment's own error"):
        env.step(rows(0))
    with pytest.raises(ValueError, match=r"actions must have shape \(1, 1\), found \(2,\)"):
        env.step(torch.zeros(2))


@pytest.mark.parametrize("named", [{"xml_file": "/etc/hostname"}, {"size": 3, "parts": [{"file": "..\\secret"}]}])
def test_settings_of_a_strangers_environment_name_no_file(named):
    refuse_paths({"size": 3, "mode": "fast"}, "best.ckpt: ")
    with pytest.raises(UsageError, match=r"best.ckpt: data.env_settings names .*; if it is yours, name it with"):
        refuse_paths(named, "best.ckpt: ")
