"""The market as a Gymnasium environment: one product, or thousands of rows in one torch batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.episodes import Draws, EpisodeBatch
from pricerl.env.history_tensors import Starts
from pricerl.env.state import State
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig, simulated_history

Space = spaces.Space[NDArray[np.float32]]


def default_market() -> Market:
    """Fit the market of the built-in simulated seller."""
    preprocessor = DataPreprocessor.fit(simulated_history(SellerConfig(), DataConfig()), DataConfig())
    return fit_market(preprocessor)


class _Batched:
    """An env's batch of rows."""

    _batch: EpisodeBatch
    dynamics: Dynamics
    """The transition dynamics."""

    def _open(self, num_rows: int, dynamics: Dynamics, starts: Starts, draws: Draws) -> tuple[Space, Space]:
        """Open the batch; return a row's observation space and action space."""
        self.dynamics = dynamics
        self._batch = EpisodeBatch(dynamics, num_rows, starts, draws)
        observed = spaces.Box(0.0, 1.0, (dynamics.observation_dim,), np.float32)
        return observed, spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> None:
        if seed is not None:
            self._batch.generator.manual_seed(seed)
        self._batch.reset(options or {})

    @property
    def state(self) -> State:
        """State of all rows; ``PricingEnv`` has only one."""
        return self._batch.state

    def state_dict(self) -> dict[str, Any]:
        """Return all that later steps depend on as a nested dict of tensors and plain values."""
        return self._batch.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Restore a state saved in the same market; return False, and change nothing, if it does not fit."""
        return self._batch.load_state_dict(state)


class PricingEnv(_Batched, gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Charge a price, see what sells, decide again.

    ## Description
    A seller changes one product's price at most every few days. The market is learned from the seller's own
    history (``Market``); it is uncertain, so every episode is played in one of its posterior draws.

    ## Action space
    ``Box(-1, 1, (1,), float32)``. With ``action="step"`` (default) the price becomes
    ``current price * (1 + action * max_change)``; with ``action="absolute"`` the action is a position between the
    lowest and the highest price of the price box. Either way the guardrails project it: into the feasible band
    (support box, margin floor, floor and ceiling, caps on one change and on a week), onto the price grid, and a change
    under ``min_change`` is no change. Where limits exclude each other the price is held.

    ## Observation space
    ``Box(0, 1, (window * num_features,), float32)``: the last 7 days, oldest first, each with the features
    of ``pricerl.data.features.FEATURES``, min-max scaled with the bounds of the training days and clipped. All of them
    are known when the decision is made. With ``describe`` every day also carries the features of
    ``pricerl.env.description.DESCRIPTION``.

    ## Time
    One step is one decision. In ``step`` mode the price then stays for ``guardrails.min_hold_days`` days, so a step
    lasts that long and its reward is summed over those days; the matching discount is gamma to that power.
    In ``absolute`` mode a step is a day. ``info["days"]`` contains the number.

    ## Reward
    ``0.4 sales + 0.3 price + 0.15 organic + 0.15 ad + exploration_bonus - sales_drop_penalty`` with the weights of the
    preset, each term but the profit gain in [-3, 3] (``pricerl.market.reward``). It is computed from expectations
    under the posterior draw: the same prices earn the same reward whatever the day's noise.

    ## Starting state
    The end of a random training day of the seller's history (``starts="train"``), a held-out day
    (``"holdout"``) or the last day (``"latest"``). ``reset(options={"product": 0, "index": 40, "draw": 3})`` fixes
    any of them.

    ## Episode end
    Never terminates. Truncated once ``horizon`` days are reached: a horizon is not the end of the shop,
    so values bootstrap beyond it.

    ## Info
    ``days``, ``price`` (money, the one charged), and over the step's days: ``expected_units`` (sum), ``sales`` and
    ``profit`` (expected money, sum), ``reward_per_day``.

    Args:
        market: responses to prices; that of the built-in simulated seller if absent.
        reward: objective and weights.
        guardrails: limits on the price.
        config: horizon, type of action, observation noise.
        starts: days on which episodes start.
        draws: ``posterior`` for a new posterior draw per episode, ``mean`` for the posterior mean.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it as an instance variable

    def __init__(
        self,
        market: Market | None = None,
        reward: RewardConfig | None = None,
        guardrails: GuardrailConfig | None = None,
        config: EnvConfig | None = None,
        starts: Starts = "train",
        draws: Draws = "posterior",
    ) -> None:
        dynamics = Dynamics(market or default_market(), reward, guardrails, config)
        self.observation_space, self.action_space = self._open(1, dynamics, starts, draws)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` may fix ``product``, ``index`` (day of its history) and ``draw``."""
        super().reset(seed=seed)
        self._reset(seed, options)
        return self.state.observation[0].numpy().copy(), {"price": float(self.state.price[0])}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Charge the price of the action until the next decision."""
        chosen = torch.as_tensor(np.asarray(action, dtype=np.float32))
        if chosen.shape != (1,):
            raise ValueError(f"action must have shape (1,), found {tuple(chosen.shape)}")
        reward, truncated, info = self._batch.step(chosen[None])
        observation = self.state.observation[0].numpy().copy()
        return observation, float(reward[0]), False, truncated, {name: float(value[0]) for name, value in info.items()}


class PricingVectorEnv(_Batched, VectorEnv[Tensor, Tensor, Tensor]):
    """``PricingEnv`` for ``num_envs`` rows as one torch batch, on any device.

    Rows differ in product, starting day and posterior draw. All are truncated at the same time and restart in the same
    call (``AutoresetMode.SAME_STEP``; the finished episode's last observation is ``info["final_obs"]``). Observations,
    rewards and flags are tensors on the market's device. Rules, spaces, info and arguments are those of ``PricingEnv``,
    with ``num_envs`` B; a test compares the two step by step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it as an instance variable
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 64,
        market: Market | None = None,
        reward: RewardConfig | None = None,
        guardrails: GuardrailConfig | None = None,
        config: EnvConfig | None = None,
        starts: Starts = "train",
        draws: Draws = "posterior",
    ) -> None:
        dynamics = Dynamics(market or default_market(), reward, guardrails, config)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = self._open(num_envs, dynamics, starts, draws)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Reset all rows; ``options`` may fix ``product``, ``index`` and ``draw``, each ``(B,)`` or one number."""
        self._reset(seed, options)
        return self.state.observation, {"price": self.state.price}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step all rows with ``actions (B, 1)``; observation ``(B, O)``, the rest ``(B,)``."""
        reward, truncated, info = self._batch.step(actions)
        if truncated:
            info["final_obs"] = self.state.observation
            self._batch.reset({})
        flags = torch.full_like(reward, truncated, dtype=torch.bool)
        return self.state.observation, reward, torch.zeros_like(flags), flags, info
