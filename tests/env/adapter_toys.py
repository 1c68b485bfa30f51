"""Environments that the tests of the adapter register with Gymnasium."""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from gymnasium import spaces


class Toy(gymnasium.Env):
    """Observes ``[start, steps, *action]``, earns the sum of the action, ends where its first element asks for it.

    Terminates above 5, is truncated below -1. Writes every observation into the same array, as some environments do.
    ``bad`` maps a step to the value and the place of the observation (or "reward") that is replaced by it.
    """

    num_open = 0

    def __init__(self, low=-2.0, high=6.0, shape=(1,), dtype="float32", bad=None):
        self.action_space = spaces.Box(low, high, shape, np.dtype(dtype))
        self.observation_space = spaces.Box(-np.inf, np.inf, (2 + int(np.prod(shape)),), np.float64)
        self.bad = bad or {}
        self.seen = np.zeros(self.observation_space.shape)
        Toy.num_open += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.seen[:] = 0
        self.seen[0] = (options or {}).get("start", self.np_random.integers(1000))
        self._spoil("reset")
        return self.seen, {"noise": object()}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        self.seen[1], self.seen[2:] = self.steps, action.ravel()
        reward = self._spoil(self.steps) or float(action.sum())
        first = action.flat[0]
        return self.seen, reward, bool(first > 5), bool(first < -1), {"noise": object()}

    def close(self):
        Toy.num_open -= 1

    def _spoil(self, when):
        value, place = self.bad.get(when, (None, None))
        if isinstance(place, int):
            self.seen[place] = value
            return None
        return value


class Spaces(gymnasium.Env):
    """Has the spaces it is told to have; observes 0, 1, 2 … in the shape of its observation space."""

    def __init__(self, observed=None, acted=None):
        self.observation_space = spaces.Box(-1.0, 1.0, (2,)) if observed is None else observed
        self.action_space = spaces.Box(-1.0, 1.0, (1,)) if acted is None else acted

    def reset(self, *, seed=None, options=None):
        return self._observe(), {}

    def step(self, action):
        return self._observe(), 0.0, False, False, {}

    def _observe(self):
        space = self.observation_space
        return np.arange(np.prod(space.shape), dtype=space.dtype).reshape(space.shape)


class Broken(Toy):
    def step(self, action):
        raise ArithmeticError("the environment's own error")


def needs_mujoco(**settings):
    try:
        raise ModuleNotFoundError("No module named 'mujoco'", name="mujoco")
    except ModuleNotFoundError as error:
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed") from error


def fails(**settings):
    raise FileNotFoundError(f"no such file: {settings}")


def no_longer_supported(**settings):
    raise ImportError("mujoco-py is no longer supported")


TOY = "adapter/Toy-v1"
for env_id, entry_point in {
    "adapter/Toy-v0": Toy,
    TOY: Toy,
    "adapter/Spaces-v0": Spaces,
    "adapter/Broken-v0": Broken,
    "adapter/NeedsMujoco-v0": needs_mujoco,
    "adapter/NeedsOther-v0": "package_that_nobody_has:Env",
    "adapter/NoLongerSupported-v0": no_longer_supported,
    "adapter/Fails-v0": fails,
}.items():
    gymnasium.register(env_id, entry_point)


def rows(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(len(values), -1)
