"""The market as a Gymnasium environment: one product, or thousands of rows in one torch batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

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
from pricerl.env.history_tensors import Starts
from pricerl.env.noise import draw_z
from pricerl.env.state import State, same_shapes, varying
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.runtime import CompiledFunction
from pricerl.simulation.seller import SellerConfig, simulated_history

Array = NDArray[Any]
Space = spaces.Space[NDArray[np.float32]]
Draws = Literal["posterior", "mean"]

RESET_OPTIONS = ("product", "index", "draw")
"""Options of ``reset``, which fix what is random otherwise."""


def default_market() -> Market:
    """Fit the market of the built-in simulated seller."""
    preprocessor = DataPreprocessor.fit(simulated_history(SellerConfig(), DataConfig()), DataConfig())
    return fit_market(preprocessor)


class _Episodes:
    """Rows that step through episodes together: their state, random numbers and elapsed days."""

    dynamics: Dynamics
    state: State
    """State of all rows; ``PricingEnv`` has only one."""

    def _open(self, num_rows: int, dynamics: Dynamics, starts: Starts, draws: Draws) -> tuple[Space, Space]:
        """Prepare the rows; return a row's observation space and action space."""
        self.dynamics = dynamics
        self._num_rows = num_rows
        self._starts: Starts = starts
        self._draws = draws
        self._generator = torch.Generator(dynamics.market.device).manual_seed(int(torch.randint(2**31, ())))
        self._elapsed = 0
        if dynamics.config.noise:
            _ = dynamics.quantiles  # read once, outside compiled steps
        plain = self._decide_and_hold
        self._step: Callable[..., Any] = CompiledFunction(plain, "env steps") if dynamics.config.compile else plain
        return spaces.Box(0.0, 1.0, (dynamics.observation_dim,), np.float32), spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _begin(self, seed: int | None, options: Mapping[str, Any]) -> None:
        """Start an episode in every row; ``options`` as in ``PricingEnv.reset``."""
        if seed is not None:
            self._generator.manual_seed(seed)
        if unknown := [name for name in options if name not in RESET_OPTIONS]:
            raise ValueError(f"unknown reset option {unknown[0]!r}; known are {', '.join(RESET_OPTIONS)}")
        market = self.dynamics.market
        history = self.dynamics.history
        if self._draws == "mean":
            options = {"draw": market.mean_draw, **options}
        product = self._choose(options, "product", market.num_products, 0, market.num_products - 1)
        draw = self._choose(options, "draw", market.num_draws + 1, 0, market.num_draws - 1)
        index = self._choose(options, "index", history.num_days[product], *history.start_range(self._starts, product))
        self.state = self.dynamics.start(product, index, draw)
        self._elapsed = 0

    def _choose(
        self, options: Mapping[str, Any], name: str, count: int | Tensor, first: int | Tensor, last: int | Tensor
    ) -> Tensor:
        """Return an option ``(B,)``, checked to lie in 0 to ``count - 1``; else random numbers of a range."""
        device = self._generator.device
        if name not in options:
            share = torch.rand(self._num_rows, generator=self._generator, device=device)
            return first + (share * (last - first + 1)).long()
        value, limit = (torch.as_tensor(item, device=device).expand(self._num_rows) for item in (options[name], count))
        outside = (value < 0) | (value >= limit)
        if outside.any():
            most = int(limit[outside][0]) - 1
            raise ValueError(f"reset option {name!r} must be 0 to {most}, found {int(value[outside][0])}")
        return value

    def _advance(self, action: Tensor) -> tuple[Tensor, bool, dict[str, Tensor]]:
        """Decide and hold; return reward ``(B,)``, whether the horizon is reached, and the info of ``PricingEnv``."""
        if action.shape != (self._num_rows, 1):
            raise ValueError(f"actions must have shape ({self._num_rows}, 1), found {tuple(action.shape)}")
        days = self.dynamics.days_per_step
        z_cell = draw_z(days, self._num_rows, self._generator) if self.dynamics.config.noise else None
        self.state, reward, info = self._step(self.state, action, z_cell)
        self._elapsed += days
        return reward, self._elapsed >= self.dynamics.config.horizon, {"price": self.state.price, **info}

    def _decide_and_hold(
        self, state: State, action: Tensor, z_cell: Tensor | None
    ) -> tuple[State, Tensor, dict[str, Tensor]]:
        """Return the state, the reward and the info of ``PricingEnv`` but the price, with the noise of ``draw_z``."""
        days = self.dynamics.days_per_step
        after, outcome = self.dynamics.hold(state, self.dynamics.decide(state, action[:, 0]), days, z_cell)
        reward = outcome.reward.sum(1)
        sums = {name: getattr(outcome, name).sum(1) for name in ("expected_units", "sales", "profit")}
        return after, reward, {"days": torch.full_like(reward, days), **sums, "reward_per_day": reward / days}

    def state_dict(self) -> dict[str, Any]:
        """Return all that later steps depend on, as tensors and plain values; the rows' constants follow from it."""
        return {
            "generator": self._generator.get_state(),
            "elapsed": self._elapsed,
            "state": {name: value.clone() for name, value in varying(self.state).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Restore a state saved in the same market; return False, and change nothing, if it does not fit."""
        saved = {name: value.to(self._generator.device) for name, value in state["state"].items()}
        market = self.dynamics.market
        none = torch.zeros(self._num_rows, dtype=torch.long, device=market.device)
        other_device = state["generator"].shape != self._generator.get_state().shape
        if other_device or not same_shapes(saved, varying(self.dynamics.start(none, none))):
            return False
        place = torch.stack([saved["product"], saved["draw"]])
        if ((place < 0) | (place >= place.new_tensor([[market.num_products], [market.num_draws + 1]]))).any():
            return False
        self._elapsed = int(state["elapsed"])
        self.state = State(**{"trail": None, **saved}, rows=self.dynamics.rows(*place))
        self._generator.set_state(state["generator"].cpu())
        return True


class PricingEnv(_Episodes, gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
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
    The objective ``0.4 sales + 0.3 price + 0.15 organic + 0.15 ad + exploration_bonus - sales_drop_penalty`` with the
    weights of the preset, by default the price term alone, minus that at the current price; losses count 2.25 times
    (``pricerl.market.reward``). It is computed from expectations
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
        market: responses to prices; the built-in simulated seller's if absent.
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
        self._begin(seed, options or {})
        return self.state.observation[0].numpy().copy(), {"price": float(self.state.price[0])}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Charge the price of the action until the next decision."""
        reward, truncated, info = self._advance(torch.as_tensor(np.asarray(action, dtype=np.float32))[None])
        observation = self.state.observation[0].numpy().copy()
        return observation, float(reward[0]), False, truncated, {name: float(value[0]) for name, value in info.items()}


class PricingVectorEnv(_Episodes, VectorEnv[Tensor, Tensor, Tensor]):
    """``PricingEnv`` for ``num_envs`` rows as one torch batch, on any device.

    Rows differ in product, starting day and posterior draw. All are truncated at the same time and restart in the same
    call (``AutoresetMode.SAME_STEP``; the finished episode's last observation is ``info["final_obs"]``). Observations,
    rewards and flags are tensors on the market's device; `ArrayVectorEnv` has arrays instead. Rules, spaces, info and
    arguments are as in ``PricingEnv``, with ``num_envs`` B, and dynamics may replace the market and its settings; a
    test compares the two step by step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it as an instance variable
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 64,
        market: Market | Dynamics | None = None,
        reward: RewardConfig | None = None,
        guardrails: GuardrailConfig | None = None,
        config: EnvConfig | None = None,
        starts: Starts = "train",
        draws: Draws = "posterior",
    ) -> None:
        dynamics = (
            market if isinstance(market, Dynamics) else Dynamics(market or default_market(), reward, guardrails, config)
        )
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = self._open(num_envs, dynamics, starts, draws)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Reset all rows; ``options`` may fix ``product``, ``index`` and ``draw``, each ``(B,)`` or one number."""
        self._begin(seed, options or {})
        return self.state.observation, {"price": self.state.price}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step all rows with ``actions (B, 1)``; observation ``(B, O)``, the rest ``(B,)``."""
        reward, truncated, info = self._advance(actions)
        if truncated:
            info["final_obs"] = self.state.observation
            self._begin(None, {})
        flags = torch.full_like(reward, truncated, dtype=torch.bool)
        return self.state.observation, reward, torch.zeros_like(flags), flags, info


class ArrayVectorEnv(PricingVectorEnv):
    """`PricingVectorEnv` with arrays in place of tensors, as Gymnasium's wrappers and other libraries expect them.

    ``gymnasium.make_vec`` makes it. As usual there, ``info["_price"]`` says in which rows ``info["price"]`` holds: all.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset all rows; return what `PricingVectorEnv` does, as arrays."""
        observation, info = super().reset(seed=seed, options=options)
        return _as_array(observation), self._as_arrays(info)

    def step(self, actions: Any) -> Any:
        """Step all rows with an array ``(B, 1)``; return what `PricingVectorEnv` does, as arrays."""
        chosen = torch.as_tensor(np.asarray(actions, dtype=np.float32), device=self.dynamics.market.device)
        *outcome, info = super().step(chosen)
        return *map(_as_array, outcome), self._as_arrays(info)

    def _as_arrays(self, info: Mapping[str, Tensor]) -> dict[str, Array]:
        arrays = {name: _as_array(value) for name, value in info.items()}
        return arrays | {f"_{name}": np.ones(self.num_envs, dtype=bool) for name in arrays}


def _as_array(value: Tensor) -> Array:
    return value.cpu().numpy().copy()
