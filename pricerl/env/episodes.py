"""Episodes of a batch of rows: their starts, posterior draws, steps and ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.history_tensors import Starts
from pricerl.env.noise import draw_z
from pricerl.env.state import State
from pricerl.runtime import CompiledFunction, GraphedFunction, keep_freed_memory

Draws = Literal["posterior", "mean"]


class EpisodeBatch:
    """Rows that step through episodes together: their state, random numbers and elapsed days.

    ``num_rows`` is B; ``starts`` and ``draws`` are those of ``PricingEnv``.
    """

    def __init__(self, dynamics: Dynamics, num_rows: int, starts: Starts, draws: Draws) -> None:
        self.dynamics = dynamics
        self.num_rows = num_rows
        self.starts = starts
        self.draws = draws
        self.generator = torch.Generator(dynamics.market.device)
        self.generator.manual_seed(int(torch.randint(2**31, ()).item()))
        self.elapsed = 0
        self.state: State
        self._quantiles = dynamics.quantiles if dynamics.config.noise else None
        self._step = self._decide_and_record
        if dynamics.config.compile:
            self._step = CompiledFunction(self._step, "env steps")
        if dynamics.market.device.type == "cuda":
            self._step = GraphedFunction(self._step, "env steps")
        if num_rows >= 4096:  # from here on, glibc would return freed batches of observations to the system
            keep_freed_memory()

    def reset(self, options: dict[str, Any]) -> None:
        """Start an episode in every row; ``options`` as in ``PricingEnv.reset``."""
        known = ("product", "index", "draw")
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"unknown reset option {unknown[0]!r}; known are {', '.join(known)}")
        market = self.dynamics.market
        history = self.dynamics.history
        product = self._chosen(options, "product", market.num_products, lambda: self._below(market.num_products))
        draw = self._chosen(options, "draw", market.num_draws + 1, self._random_draws)
        index = self._chosen(options, "index", history.num_days[product], lambda: self._random_starts(product))
        self.state = self.dynamics.start(product, index, draw)
        self.elapsed = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the generator, the elapsed days and the state of all rows, as tensors and plain values.

        The rows' constants are left out: product and draw determine them.
        """
        tensors = {name: value.clone() for name, value in _varying(self.state).items()}
        return {"generator": self.generator.get_state(), "elapsed": self.elapsed, "state": tensors}

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Restore a state saved with the same dynamics; return False, and change nothing, if it does not fit.

        It does not fit if the number of rows, the products, the window or the limits differ, or the type of device.
        """
        saved = {name: value.to(self.generator.device) for name, value in state["state"].items()}
        product = saved["product"]
        draw = saved["draw"]
        market = self.dynamics.market
        rows = (self.num_rows,)
        if state["generator"].shape != self.generator.get_state().shape or not rows == product.shape == draw.shape:
            return False
        if ((product < 0) | (product >= market.num_products) | (draw < 0) | (draw > market.num_draws)).any():
            return False
        start = self.dynamics.start(product, torch.zeros_like(product), draw)
        restored = State(**{"trail": None, **saved}, rows=start.rows)
        if _shapes(restored) != _shapes(start):
            return False
        self.elapsed = int(state["elapsed"])
        self.state = restored
        self.generator.set_state(state["generator"].cpu())
        return True

    def step(self, action: Tensor) -> tuple[Tensor, bool, dict[str, Tensor]]:
        """Decide and hold; return reward ``(B,)``, whether the horizon is reached, and the info of ``PricingEnv``."""
        if action.shape != (self.num_rows, 1):
            raise ValueError(f"actions must have shape ({self.num_rows}, 1), found {tuple(action.shape)}")
        days = self.dynamics.days_per_step
        z_cell = None if self._quantiles is None else draw_z(days, self.num_rows, self.generator)
        self.state, reward, info = self._step(self.state, action, z_cell)
        self.elapsed += days
        return reward, self.elapsed >= self.dynamics.config.horizon, {"price": self.state.price, **info}

    def _decide_and_record(
        self, state: State, action: Tensor, z_cell: Tensor | None
    ) -> tuple[State, Tensor, dict[str, Tensor]]:
        """Return the state, the reward and the info of ``PricingEnv`` but the price.

        The noise ``(n, B)`` is from ``draw_z``; without it units are as expected.
        """
        dynamics = self.dynamics
        days = self.dynamics.days_per_step
        expected = dynamics.expect(state, dynamics.decide(state, action[:, 0]), days)
        units = expected.units
        if self._quantiles is not None and z_cell is not None:
            units = self._quantiles.units(units, z_cell, state.product)
        after, outcome = dynamics.record(state, expected, units)
        reward = outcome.reward.sum(1)
        sums = {name: getattr(outcome, name).sum(1) for name in ("expected_units", "sales", "profit")}
        return after, reward, {"days": torch.full_like(reward, days), **sums, "reward_per_day": reward / days}

    def _chosen(
        self, options: dict[str, Any], name: str, count: int | Tensor, otherwise: Callable[[], Tensor]
    ) -> Tensor:
        """Return an option ``(B,)``, checked to lie in 0 to ``count - 1``, or ``otherwise()`` if it is not given."""
        if name not in options:
            return otherwise()
        value, count = (
            torch.as_tensor(number, device=self.dynamics.market.device).expand(self.num_rows)
            for number in (options[name], count)
        )
        outside = (value < 0) | (value >= count)
        if outside.any():
            row = int(outside.nonzero()[0])
            raise ValueError(f"reset option {name!r} must be 0 to {int(count[row]) - 1}, found {int(value[row])}")
        return value

    def _random_starts(self, product: Tensor) -> Tensor:
        first, last = self.dynamics.history.start_range(self.starts, product)
        return first + self._below(last - first + 1)

    def _random_draws(self) -> Tensor:
        market = self.dynamics.market
        if self.draws == "mean":
            return torch.full((self.num_rows,), market.mean_draw, device=market.device)
        return self._below(market.num_draws)

    def _below(self, count: int | Tensor) -> Tensor:
        """Draw an integer from 0 to ``count - 1`` for each row, ``(B,)``."""
        device = self.generator.device
        return (torch.rand(self.num_rows, generator=self.generator, device=device) * count).long()


def _varying(state: State) -> dict[str, Tensor]:
    """Return the fields of a state that change during an episode, product and draw included."""
    return {name: value for name, value in state._asdict().items() if isinstance(value, Tensor)}


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in _varying(state).items()}
