"""Price and stock as a Gymnasium environment of one product; ``Shelf`` plays thousands of rows in one torch batch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
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


class PriceAndStockEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Set a price and an order every week, sell what the shelf holds, decide again.

    ## Description
    A seller's product sells from a shelf. Each week has one price and one order, which arrives after a lead time of one
    to six weeks, some a week late. Demand that finds the shelf empty is lost and is not seen. Demand follows the market
    of ``pricerl/Pricing-v0``: the episode's posterior draw, calendar, noise and buyers' memory of prices; in addition
    its level drifts by 5 % per week. Stock costs storage, may perish, and what is left at the end has a leftover value.

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
    until it is sold, spoils or is left. It is realised, not expected, and in `Shelf` differentiable by the action.

    ## Episode start and end
    From the end of the product's history, with the stock of its ``Stock``. Terminates after 26 weeks: leftovers have
    been valued. After the end of its season a product earns nothing.

    ## Info
    ``price`` (money), ``order``, and the fields of ``pricerl.env.stock.shelf.Week``.

    Args:
        shelf: market, guardrails and stocks. If absent, the built-in simulated seller's: 600 units and 200 more next
            week, three weeks of lead time, storage at 0.05.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it as an instance variable

    def __init__(self, shelf: Shelf | None = None) -> None:
        stock = Stock(600.0, (200.0,), lead_weeks=3, storage_fee=0.05)
        self.shelf = shelf or Shelf(Dynamics(default_market()), [stock])
        self.observation_space = spaces.Box(-WIDEST, WIDEST, (OBSERVED,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.state: ShelfState

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode of a random product in a random posterior draw; ``options`` may fix either."""
        super().reset(seed=seed)
        market = self.shelf.market
        row = []
        for name, count in {"product": market.num_products, "draw": market.num_draws}.items():
            number = int((options or {}).get(name, self.np_random.integers(count)))
            if not 0 <= number < count:
                raise ValueError(f"reset option {name!r} must be 0 to {count - 1}, found {number}")
            row.append(torch.tensor([number], device=market.device))
        self.state = self.shelf.start(*row)
        return observe(self.state)[0].cpu().numpy(), {"price": float(self.state.price)}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Charge the price and place the order of an action for a week."""
        device = self.shelf.market.device
        noise = self.np_random.standard_normal((3, 1), dtype=np.float32)
        price, order = self.shelf.decide(self.state, torch.as_tensor(action, dtype=torch.float32, device=device)[None])
        self.state, week = self.shelf.charge(self.state, price, order, torch.as_tensor(noise, device=device))
        info = {"price": price, "order": order, **week._asdict()}
        revenue = self.state.rows.usual.clamp(min=1e-6) * self.state.rows.price
        ended = self.state.week == MOST_WEEKS
        reported = {name: float(value) for name, value in info.items()}
        return observe(self.state)[0].cpu().numpy(), float(week.profit / revenue), ended, False, reported


def observe(state: ShelfState) -> Tensor:
    """Return the observations ``(B, 17)`` that ``PriceAndStockEnv`` describes."""
    rows = state.rows
    usual = rows.usual.clamp(min=1e-6)
    factor = rows.factor[min(state.week, MOST_WEEKS - 1)]
    margin = rows.believed.contribution(rows.believed.share_paid * rows.price, torch.ones_like(usual)) / rows.price
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
