"""Adapter for Gymnasium environments with Box observations and actions to the interface of the collector."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation
from numpy.typing import NDArray
from torch import Tensor

from pricerl.errors import NonFiniteError, UsageError, did_you_mean, refuse

Array = NDArray[Any]
Env = gymnasium.Env[Any, Any]


class GymVectorEnv:
    """``num_envs`` copies of a registered Gymnasium environment as one batch of tensors.

    Observations of any Box shape and type become flat float32; actions are clipped to [-1, 1], rescaled to the
    environment's bounds and reshaped. Each row is reset in the call in which it finishes
    (``AutoresetMode.SAME_STEP``). Gymnasium's environment checker is off unless ``settings`` enable
    it with ``disable_env_checker: false``; the environment's ``info`` is dropped.

    Args:
        env_id: a registered id, or ``module:Id-v0`` with the module that registered it.
        num_envs: number of rows, B.
        device: of the returned tensors.
        settings: keyword arguments of ``gymnasium.make``: the environment's, ``max_episode_steps`` and the like.

    Attributes:
        observation_dim: columns of an observation, O.
        action_dim: columns of an action, A.
        max_episode_steps: steps after which an episode is truncated, or None if unknown.

    Raises:
        UsageError: if the environment cannot be made, or if its spaces are not Boxes that SAC can learn in.
    """

    _steps = 0

    def __init__(
        self,
        env_id: str,
        num_envs: int = 1,
        device: torch.device | str = "cpu",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.env_id = env_id
        self.num_envs = num_envs
        self.device = torch.device(device)
        with warnings.catch_warnings():
            # Gymnasium calls ids such as HalfCheetah-v4 out of date, but comparisons with published returns need them.
            warnings.filterwarnings("ignore", module=r"gymnasium\.")
            name = _registered_name(env_id)
            self._envs = SyncVectorEnv(
                [lambda: _make(name, settings or {})] * num_envs,
                copy=False,  # step and reset copy
                autoreset_mode=AutoresetMode.SAME_STEP,
            )
        self.max_episode_steps = getattr(self._envs.envs[0].spec, "max_episode_steps", None)
        observed: Any = self._envs.single_observation_space
        self._acted = acted = cast(spaces.Box, self._envs.single_action_space)
        with np.errstate(over="ignore"):  # a bound beyond float32 is infinite
            low, high = (bounds.astype(np.float32) for bounds in (observed.low, observed.high))
        self.observation_dim = low.size
        self.action_dim = int(np.prod(acted.shape))
        self.single_observation_space: spaces.Space[Any] = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (self.action_dim,), np.float32)
        self._middle = (acted.low + acted.high) / 2
        self._reach = acted.high - self._middle

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Reset all rows; return observation ``(B, O)`` and an empty info.

        Seeds are one per row, or a number ``n`` for ``n, n + 1, …``; without one the rows' generators continue. Every
        row's ``reset`` gets the options.

        Raises:
            NonFiniteError: if an observation is NaN or infinite.
        """
        observation, _ = self._envs.reset(seed=list(seed) if isinstance(seed, list) else seed, options=options)
        self._steps = 0
        return self._finite("observation", observation), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step all rows with ``actions (B, A)`` in [-1, 1].

        Returns:
            Observation ``(B, O)``, reward, terminated and truncated ``(B,)``, and info. If a row finished, info holds
            ``final_obs (B, O)``: the episode's last observation in rows that finished, in the others the one returned.

        Raises:
            ValueError: if ``actions`` has another shape.
            NonFiniteError: if an action, an observation or a reward is NaN or infinite.
        """
        if actions.shape != (self.num_envs, self.action_dim):
            raise ValueError(
                f"actions must have shape ({self.num_envs}, {self.action_dim}), found {tuple(actions.shape)}"
            )
        self._steps += 1
        given = self._finite("action", actions.detach().cpu().numpy()).cpu().numpy()
        chosen = given.astype(self._acted.dtype, copy=False).reshape(self.num_envs, *self._acted.shape)
        scaled = self._middle + self._reach * chosen.clip(-1, 1)
        scaled = scaled.clip(self._acted.low, self._acted.high)  # it may round past a bound, which environments assert
        following, rewards, terminated, truncated, raw = self._envs.step([*map(np.asarray, scaled)])
        info: dict[str, Any] = {}
        if "final_obs" in raw:
            last = following.copy()
            for row in np.flatnonzero(terminated | truncated):
                last[row] = raw["final_obs"][row]
            info["final_obs"] = self._finite("observation", last)
        reward = self._finite("reward", rewards)
        ended, cut = (torch.from_numpy(flags).to(self.device) for flags in (terminated, truncated))
        return self._finite("observation", following), reward, ended, cut, info

    def close(self) -> None:
        """Close every row's environment; a second call changes nothing."""
        self._envs.close()

    def _finite(self, name: str, values: Array) -> Tensor:
        """Return a checked copy of ``values (B, …)`` as float32 on the device."""
        copied = torch.from_numpy(values).to(torch.float32, copy=True)
        if not copied.isfinite().all():
            row, *place = copied.isfinite().logical_not().nonzero()[0].tolist()
            found = f"{name}{place or ''} of row {row} is {float(copied[(row, *place)])} in step {self._steps}"
            raise NonFiniteError(f"{self.env_id}: {found}; keep actions and environment finite in float32")
        return copied.to(self.device)


def _registered_name(env_id: str) -> str:
    """Return the name of an id in Gymnasium's registry; nothing is imported, also not the module before a colon."""
    module, _, name = env_id.rpartition(":")
    refuse(
        {
            f"{env_id}: the module {module!r} is not imported; import it first, or allow it with --allow "
            f"{module.partition('.')[0]}": module and module not in sys.modules
        }
    )
    try:
        gymnasium.spec(name)
    except gymnasium.error.Error as error:
        hint = did_you_mean(name, gymnasium.registry) or "; write module:Id-v0 to import the module that registers it"
        raise UsageError(f"no environment is registered as {name!r}{hint}") from error
    return name


def _make(name: str, settings: Mapping[str, Any]) -> Env:
    """Make one row, with flat observations."""
    try:
        made = gymnasium.make(name, **{"disable_env_checker": True, **settings})
    except Exception as error:
        reason = str(error).partition(" was raised from the environment creator")[0]  # Gymnasium repeats the settings
        raise UsageError(
            f"{name} cannot be made with settings {dict(settings)} ({type(error).__name__}: {reason}); install the "
            'package that it needs (for MuJoCo, pip install -e ".[gym]"), or correct what it names'
        ) from error
    if not _can_be_learned(made.observation_space, made.action_space):
        made.close()
        raise UsageError(
            f"{name} observes {made.observation_space} and acts in {made.action_space}, but SAC needs a Box of numbers "
            "and a Box of floats between finite bounds; choose another environment, or register this one wrapped"
        )
    return FlattenObservation(made)  # it copies, as environments may write every observation into the same array


def _can_be_learned(observed: spaces.Space[Any], acted: spaces.Space[Any]) -> bool:
    """Return whether SAC can learn in these spaces."""
    if not (isinstance(observed, spaces.Box) and isinstance(acted, spaces.Box)):
        return False
    huge = np.finfo(np.float32).max  # some environments use it instead of infinity
    bounded = (acted.low > -huge) & (acted.high < huge) & (acted.low < acted.high)
    return bool(np.issubdtype(acted.dtype, np.floating) and bounded.all() and bounded.size and np.prod(observed.shape))
