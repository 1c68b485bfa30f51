from __future__ import annotations

import numpy as np
import pytest
import torch
from adapter_toys import TOY, rows
from command_line import run
from gymnasium import spaces

from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.errors import NonFiniteError, UsageError
from pricerl.tasks.imports import refuse_paths


def message_of(error_type, function, *arguments, **keywords):
    """One sentence, stated by an error."""
    with pytest.raises(error_type) as caught:
        function(*arguments, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("env_id", "stated"),
    [
        ("pendulum-v1", "no environment is registered as 'pendulum-v1'; did you mean 'Pendulum-v1'?"),
        ("Pendulum-v9", "no environment is registered as 'Pendulum-v9'; did you mean 'Pendulum-v1'?"),
        ("Pendulum", "no environment is registered as 'Pendulum'; did you mean 'Pendulum-v1'?"),
        (
            "q/q",
            "no environment is registered as 'q/q'; write module:Id-v0 to import the module that registers it",
        ),
        ("", "no environment is registered as ''; write module:Id-v0 to import the module that registers it"),
        (
            "nowhere_to_be_found:X-v0",
            "nowhere_to_be_found:X-v0: the module 'nowhere_to_be_found' is not imported; import it first, or allow it "
            "with --allow nowhere_to_be_found",
        ),
        (
            "adapter/NeedsMujoco-v0",
            "adapter/NeedsMujoco-v0 needs the package 'mujoco', which is not installed; run pip install -e \".[gym]\"",
        ),
        (
            "adapter/NeedsOther-v0",
            "adapter/NeedsOther-v0 needs the package 'package_that_nobody_has', which is not installed; install it",
        ),
        (
            "adapter/NoLongerSupported-v0",
            "adapter/NoLongerSupported-v0 cannot be imported: mujoco-py is no longer supported",
        ),
        (
            "CartPole-v1",
            "CartPole-v1 has a Discrete action space, but SAC learns continuous actions, a Box of floats; "
            "choose another environment, or register this one wrapped so that its actions are such a Box",
        ),
        (
            "FrozenLake-v1",
            "FrozenLake-v1 has a Discrete observation space, but SAC learns from a Box of numbers; "
            "choose another environment, or register this one wrapped so that its observations are a Box",
        ),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused_with_what_to_do(env_id, stated):
    assert message_of(UsageError, GymVectorEnv, env_id) == stated


@pytest.mark.parametrize(
    ("settings", "stated"),
    [
        ({"acted": spaces.MultiDiscrete([3, 2])}, "has a MultiDiscrete action space"),
        ({"acted": spaces.Dict(a=spaces.Box(-1, 1, (1,)))}, "has a Dict action space"),
        ({"acted": spaces.Tuple([spaces.Box(-1, 1, (1,))])}, "has a Tuple action space"),
        ({"acted": spaces.Box(0, 9, (1,), np.int32)}, "has a Box of int32 as action space"),
        ({"observed": spaces.Dict(a=spaces.Box(-1, 1, (1,)))}, "has a Dict observation space"),
        ({"observed": spaces.Tuple([spaces.Box(-1, 1, (1,))])}, "has a Tuple observation space"),
        ({"acted": spaces.Box(-np.inf, np.inf, (2,))}, r"runs from -inf to inf at index \(0,\)"),
        ({"acted": spaces.Box(-1, np.float32([[1, np.inf]]))}, r"runs from -1 to inf at index \(0, 1\)"),
        ({"acted": spaces.Box(np.float32([-1, 2]), np.float32([1, 2]))}, r"runs from 2 to 2 at index \(1,\)"),
        ({"acted": spaces.Box(-np.finfo(np.float32).max, 1, (1,))}, r"runs from -3.40282e\+38 to 1"),
        ({"acted": spaces.Box(-1, 1, (0,))}, r"actions of shape \(0,\), one of them without elements"),
        ({"observed": spaces.Box(-1, 1, (0,))}, r"observations of shape \(0,\) .* without elements"),
    ],
)
def test_spaces_that_sac_cannot_learn_in_are_refused(settings, stated):
    with pytest.raises(UsageError, match=f"^adapter/Spaces-v0 .*{stated}.*; (choose|register)"):
        GymVectorEnv("adapter/Spaces-v0", settings=settings)


def test_wrong_settings_are_named():
    stated = message_of(UsageError, GymVectorEnv, "Pendulum-v1", settings={"gravity": 9.8})
    assert stated == (
        "Pendulum-v1 cannot be made with settings {'gravity': 9.8} (TypeError: PendulumEnv.__init__() got an "
        "unexpected keyword argument 'gravity'); correct, remove or add what it names"
    )
    stated = message_of(UsageError, GymVectorEnv, "adapter/Fails-v0", settings={"file": "x.xml"})
    assert "FileNotFoundError: no such file: {'file': 'x.xml'}" in stated


def test_an_environment_that_fails_without_settings_is_not_blamed_on_them():
    with pytest.raises(FileNotFoundError):
        GymVectorEnv("adapter/Fails-v0")


@pytest.mark.parametrize("num_envs", [0, -1])
def test_fewer_than_one_row_is_refused(num_envs):
    stated = message_of(UsageError, GymVectorEnv, "Pendulum-v1", num_envs)
    assert stated == f"num_envs must be 1 or more, found {num_envs}"


def test_actions_of_another_shape_are_refused():
    env = GymVectorEnv(TOY, 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have shape \(2, 1\), found \(2,\)"):
        env.step(torch.zeros(2))


@pytest.mark.parametrize(
    ("bad", "action", "stated"),
    [
        ({3: (np.nan, 1)}, 0, "returned nan as element 1 of the observation of row 0 in step 3 after the reset"),
        ({2: (-np.inf, 0)}, 0, "returned -inf as element 0 of the observation of row 0 in step 2 after the reset"),
        ({3: (1e300, 0)}, 0, "returned inf as element 0 of the observation of row 0 in step 3 after the reset"),
        ({1: (np.nan, 0)}, 1, "returned nan as element 0 of the observation of row 0 in step 1 after the reset"),
        ({3: (np.nan, "reward")}, 0, "returned nan as the reward of row 0 in step 3 after the reset"),
        ({1: (1e300, "reward")}, 0, "returned inf as the reward of row 0 in step 1 after the reset"),
        ({"reset": (np.nan, 2)}, 0, "returned nan as element 2 of the observation of row 0 at the reset"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_step_and_place(bad, action, stated):
    env = GymVectorEnv(TOY, 2, settings={"bad": bad})

    def walk():
        env.reset(seed=0)
        for _ in range(max(when for when in bad if when != "reset") - 1):
            env.step(rows(0, 0))
        env.step(rows(action, 0))

    mend = "; change the environment or its settings so that it stays finite in float32"
    assert message_of(NonFiniteError, walk) == f"{TOY} {stated}{mend}"


def test_an_action_that_is_no_number_is_not_blamed_on_the_environment():
    env = GymVectorEnv(TOY, 2)
    env.reset(seed=0)
    stated = message_of(NonFiniteError, env.step, rows(0, np.nan))
    assert stated == f"{TOY} was given nan as element 0 of the action of row 1 in step 1 after the reset"


def test_an_error_of_the_environment_itself_passes_unchanged():
    env = GymVectorEnv("adapter/Broken-v0")
    env.reset(seed=0)
    with pytest.raises(ArithmeticError, match="the environment's own error"):
        env.step(rows(0))


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
