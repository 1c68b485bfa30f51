"""Rows of the market for gradients: decisions whose rewards and states are differentiable in earlier actions."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import cell_of
from pricerl.env.state import State, same_shapes, varying
from pricerl.guardrails.projection import pass_through, price_box, project

LATEST = 0.5
"""Share of the other rows that start on the last day of a history, where the policy is deployed."""
SETTLING_DAYS = 14
"""Days, or weeks, at a random price before a start: the window then holds that price, and buyers are used to it."""
GO_ON = 0.75
"""Share of the rows that go on where the last roll-out ended: they show prices on the policy's own path."""
LAST_DAY = 366
"""Days, or weeks, after the end of its history from which a row starts anew: the calendar ends two years later."""

FALL_WIDTH = 0.006
"""Log distance over which demand falls before a round price, as a fall at once has no gradient: its mean under noise in
the price (randomised smoothing, arXiv:2202.00817)."""


class DifferentiableMarket:
    """Batch of rows that carry gradients, each in a posterior draw.

    The first roll-out starts on the last days of the histories. Later, `GO_ON` of the rows go on where the last one
    ended. `LATEST` of the others start on the last day again, a quarter on training days, as the env does, and a
    quarter after two weeks at a random allowed price: roll-outs are short, and the policy must know settled prices far
    from the history's.

    Prices are those that the guardrails allow, but their gradient is the proposal's, as if no rule had changed
    it: limits, price grid and smallest change pass it straight through (arXiv:1308.3432). Observed units vary in
    proportion to their expectation. Random numbers come from torch's global generator.

    Args:
        dynamics: market, reward, guardrails and calendar.
        num_rows: number of rows, B.
        step_discount: discount of one decision.
    """

    def __init__(self, dynamics: Dynamics, num_rows: int, step_discount: float) -> None:
        self.dynamics = dynamics = copy(dynamics)
        dynamics.market = market = replace(dynamics.market, fall_width=FALL_WIDTH)
        self._discount = torch.full((num_rows,), step_discount, device=market.device)
        row = torch.arange(num_rows, device=market.device)
        product = row * market.num_products // num_rows
        latest = dynamics.start(product, dynamics.history.num_days[product] - 1, row % market.num_draws)
        self._kept = varying(latest)
        if dynamics.config.noise:
            _ = dynamics.quantiles  # read once, outside compiled updates

    def start(self) -> State:
        """Return the rows that go on, and the others in random products and posterior draws, newly started."""
        dynamics = self.dynamics
        history = dynamics.history
        kept = self._kept
        share = torch.rand(6, len(self._discount), device=self._discount.device)
        end = history.first_day + history.num_days + LAST_DAY
        goes_on = (share[5] < GO_ON) & (kept["day"] < end[kept["product"]])
        product = torch.where(goes_on, kept["product"], (share[0] * dynamics.market.num_products).long())
        draw = torch.where(goes_on, kept["draw"], (share[2] * dynamics.market.num_draws).long())
        first, last = history.start_range("train", product)
        day = first + (share[1] * (last - first + 1)).long()
        state = dynamics.start(product, torch.where(share[4] < LATEST, history.num_days[product] - 1, day), draw)
        box = price_box(state.rows.limits, state.price)
        price = torch.lerp(box.low, box.high, share[3])
        settled, _ = dynamics.hold(state, price, SETTLING_DAYS, self._draw_z(SETTLING_DAYS))
        after = varying(settled)
        stays = share[4] < 0.5 * (1 + LATEST)
        new = {name: torch.where(stays, now, after[name]) for name, now in varying(state).items()}
        mixed: dict[str, Any] = {name: torch.where(goes_on, kept[name], value) for name, value in new.items()}
        return state._replace(**mixed)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        """Charge the prices of actions ``(B, 1)`` until the next decision; return states, rewards and discounts."""
        dynamics = self.dynamics
        days = dynamics.days_per_step
        with torch.no_grad():  # the gradient passes straight through
            band = dynamics.band(state)
        proposal = dynamics.propose(state, action[:, 0], band)
        with torch.no_grad():
            allowed = project(proposal, state.price, band)
        after, outcome = dynamics.hold(state, pass_through(proposal, allowed), days, self._draw_z(days))
        return after, outcome.reward.sum(1), self._discount

    def keep(self, state: State) -> None:
        """Keep the last states of a roll-out, from which rows of the next one go on."""
        self._copy(varying(state))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the states kept; the rows' constants follow from them."""
        return {name: value.clone() for name, value in self._kept.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> bool:
        """Restore states kept in the same market; return False, and change nothing, if they do not fit."""
        if fits := same_shapes(state, self._kept):
            self._copy(state)
        return fits

    def _copy(self, state: Mapping[str, Tensor]) -> None:
        for name, value in state.items():
            self._kept[name].copy_(value.detach())

    def _draw_z(self, days: int) -> Tensor | None:
        """Return the noise of ``draw_z`` from the global generator, or None without noise."""
        if not self.dynamics.config.noise:
            return None
        return cell_of(torch.randn(days, len(self._discount), device=self._discount.device))
