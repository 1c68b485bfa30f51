"""What an environment must have for SAC to learn in it, and what is said where it lacks it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from adapter_toys import TOY, Toy, rows
from command_line import run
from gymnasium import spaces

from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.errors import NonFiniteError, UsageError
from pricerl.tasks.imports import refuse_paths


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


@pytest.mark.parametrize(
    ("option", "value", "stated"),
    [
        ("seed_everything", "true", "--seed_everything: must be a whole number, found 'True'"),
    ],
)
def test_a_setting_that_no_run_can_have_is_one_sentence(option, value, stated, tmp_path):
    words = ["--data.env_id", "Pendulum-v1", "--trainer.max_steps", "20", "--trainer.enable_progress_bar", "false"]
    result = run(tmp_path, "fit", *words, f"--{option}", value)
    assert result.code == 2 and result.err.startswith(f"error: {stated}") and result.err.count("\n") == 1, result.err


@pytest.mark.parametrize("named", [{"xml_file": "/etc/hostname"}, {"size": 3, "parts": [{"file": "..\\secret"}]}])
def test_settings_of_a_strangers_environment_name_no_file(named):
    refuse_paths({"size": 3, "mode": "fast"}, "best.ckpt: ")
    with pytest.raises(UsageError, match=r"best.ckpt: data.env_settings names .*; if it is yours, name it with"):
        refuse_paths(named, "best.ckpt: ")
