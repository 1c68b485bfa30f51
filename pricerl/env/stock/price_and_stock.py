"""Price and stock as a Gymnasium environment: one product, or thousands of rows in one torch batch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.pricing import default_market
from pricerl.env.stock.shelf import Shelf, ShelfState
from pricerl.market.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock

WIDEST = 100.0
"""Bound of every observed number: stock for 100 weeks."""
OBSERVED = 17
"""O: the six weeks of arrivals and eleven more numbers."""


def default_shelf() -> Shelf:
    """Return the shelf of the built-in simulated seller: 600 units, three weeks of lead time, storage at 0.05."""
    return Shelf(Dynamics(default_market()), [Stock(600.0, (200.0,), lead_weeks=3, storage_fee=0.05)])


class PriceAndStockVectorEnv(VectorEnv[Tensor, Tensor, Tensor]):
    """Set a price and an order every week, sell what the shelf holds, decide again.

    ## Description
    A seller's product sells from a shelf. Each week has one price and one order, which arrives after a lead time of one
    to six weeks, some a week late. Demand that finds the shelf empty is lost and is not seen. Demand follows the market
    of ``pricerl/Pricing-v0``: the row's posterior draw, calendar, noise and buyers' memory of prices; in addition its
    level drifts by 5 % per week. Stock costs storage, may perish, and what is left at the end has a leftover value.

    ## Action space
    ``Box(-1, 1, (2,))``: the change of the price in shares of the largest change allowed, and the order, from none to
    twice the usual demand of the lead time and four weeks. Both are projected onto the guardrails: all limits of
    ``Pricing-v0`` on the price; largest and smallest order, whole packs and budget; no order that misses the season.

    ## Observation space
    ``Box(-100, 100, (17,))``: units on hand and arriving in each of six weeks, in weeks of usual demand; share of the
    half-year elapsed, weeks to the season's end over 26; mean and variance of the believed log level of demand; log
    price over that at the start; demand of the next week over the average; then constants: lead time over 6, and
    contribution, weekly storage fee and loss per leftover, over the price.

    ## Reward
    The week's profit over the usual weekly revenue: contribution of the units sold, less storage, spoiled units at
    cost and, in the season's last week, what leftovers lose. Stock is carried at cost, so an order costs nothing
    until it is sold, spoils or is left. It is realised, not expected, and has a derivative by the action.

    ## Episode start and end
    From the end of the product's history, with the stock of its ``Stock``. Terminates after 26 weeks: leftovers have
    been valued. After the end of its season a row earns nothing. All rows end together and restart in the same call
    (``AutoresetMode.SAME_STEP``; the last observation is ``info["final_obs"]``).

    ## Info
    ``price`` (money), ``order``, and the fields of ``pricerl.env.stock.shelf.Week``.

    Args:
        num_envs: B, random products in random posterior draws.
        shelf: market, guardrails and stocks; those of the built-in simulated seller if absent.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it as an instance variable
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, num_envs: int = 64, shelf: Shelf | None = None) -> None:
        self.num_envs = num_envs
        self.shelf = shelf or default_shelf()
        self._generator = torch.Generator(self.shelf.market.device)
        self._generator.manual_seed(int(torch.randint(2**31, ()).item()))
        self.single_observation_space = spaces.Box(-WIDEST, WIDEST, (OBSERVED,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.state: ShelfState

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start an episode in every row; ``options`` may fix ``product`` and ``draw``, each ``(B,)`` or one number."""
        if seed is not None:
            self._generator.manual_seed(seed)
        market = self.shelf.market
        counts = {"product": market.num_products, "draw": market.num_draws}
        rows = []
        for name, count in counts.items():
            drawn = torch.rand(self.num_envs, generator=self._generator, device=market.device) * count
            row = torch.as_tensor((options or {}).get(name, drawn), device=market.device).long().expand(self.num_envs)
            if row.min() < 0 or row.max() >= count:
                raise ValueError(f"reset option {name!r} must be 0 to {count - 1}, found {row.tolist()}")
            rows.append(row)
        self.state = self.shelf.start(*rows)
        return observe(self.state), {"price": self.state.price}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step all rows with ``actions (B, 2)``; observation ``(B, O)``, the rest ``(B,)``."""
        price, order = self.shelf.decide(self.state, actions)
        noise = torch.randn(3, self.num_envs, generator=self._generator, device=price.device)
        self.state, week = self.shelf.charge(self.state, price, order, noise)
        info: dict[str, Any] = {"price": price, "order": order, **week._asdict()}
        reward = week.profit / (self.state.rows.usual.clamp(min=1e-6) * self.state.rows.price)
        ended = torch.full_like(reward, self.state.week == MOST_WEEKS, dtype=torch.bool)
        if self.state.week == MOST_WEEKS:
            info["final_obs"] = observe(self.state)
            self.reset()
        return observe(self.state), reward, ended, torch.zeros_like(ended), info


class PriceAndStockEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """``PriceAndStockVectorEnv`` for one product, in numpy: spaces, rewards and ends are the same."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it as an instance variable

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.rows = PriceAndStockVectorEnv(1, shelf)
        self.observation_space = self.rows.single_observation_space
        self.action_space = self.rows.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` may fix ``product`` and ``draw``."""
        super().reset(seed=seed)
        observation, info = self.rows.reset(seed=seed, options=options)
        return observation[0].numpy(), {name: float(value[0]) for name, value in info.items()}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Charge the price and place the order of the action for a week."""
        observation, reward, ended, _, info = self.rows.step(torch.as_tensor(action, dtype=torch.float32)[None])
        last = info.pop("final_obs", observation)
        reported = {name: float(value[0]) for name, value in info.items()}
        return last[0].numpy(), float(reward[0]), bool(ended[0]), False, reported


def observe(state: ShelfState) -> Tensor:
    """Return the observation ``(B, 17)`` of ``PriceAndStockVectorEnv``."""
    rows = state.rows
    usual = rows.usual.clamp(min=1e-6)
    factor = rows.factor[min(state.week, MOST_WEEKS - 1)]
    margin = rows.believed.share_kept * rows.believed.share_paid - rows.believed.unit_cost / rows.price
    elapsed = torch.full_like(usual, state.week / MOST_WEEKS)
    columns = [
        *(units / usual for units in (state.on_hand, *state.inbound)),
        elapsed,
        rows.stock.season_end / MOST_WEEKS - elapsed,
        state.mean,
        state.variance,
        (state.price / rows.price).log(),
        factor / rows.factor.mean(0),
        rows.stock.lead_weeks / MOST_LEAD_WEEKS,
        margin,
        rows.stock.storage_fee / rows.price,
        rows.stock.write_off(rows.believed.unit_cost) / rows.price,
    ]
    return torch.stack(columns, 1).clamp(-WIDEST, WIDEST)
