"""Rows of the market for gradients: decisions whose rewards and states are differentiable in earlier actions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import cell_of
from pricerl.env.state import State, varying
from pricerl.guardrails.projection import pass_through, price_box, project

SETTLING_DAYS = 14
"""Days, or weeks, at a random price before a start: the window then holds that price, and buyers are used to it."""


class DifferentiableMarket:
    """Batch of rows that carry gradients, each in a posterior draw.

    Half of them start on training days, as the env does. The others have charged a random allowed price for two weeks:
    roll-outs are short, and the policy must know settled prices far from those of the history.

    Prices are those that the guardrails allow, but their gradient is that of the proposal, as if no rule had changed
    it: limits, price grid and smallest change pass it straight through (arXiv:1308.3432). Observed units vary in
    proportion to their expectation. Random numbers come from torch's global generator.

    Args:
        dynamics: market, reward, guardrails and calendar.
        num_rows: B.
        step_discount: discount of one decision.
    """

    def __init__(self, dynamics: Dynamics, num_rows: int, step_discount: float) -> None:
        self.dynamics = dynamics
        self._discount = torch.full((num_rows,), step_discount, device=dynamics.market.device)
        if dynamics.config.noise:
            _ = dynamics.quantiles  # read once, outside compiled updates

    def start(self) -> State:
        """Return rows of random products and posterior draws, on random training days or settled after them."""
        dynamics = self.dynamics
        share = torch.rand(5, len(self._discount), device=self._discount.device)
        product = (share[0] * dynamics.market.num_products).long()
        first, last = dynamics.history.start_range("train", product)
        index = first + (share[1] * (last - first + 1)).long()
        state = dynamics.start(product, index, (share[2] * dynamics.market.num_draws).long())
        box = price_box(state.rows.limits, state.price)
        price = torch.lerp(box.low, box.high, share[3])
        settled, _ = dynamics.hold(state, price, SETTLING_DAYS, self._draw_z(SETTLING_DAYS))
        after = varying(settled)
        stays = share[4] < 0.5
        mixed: dict[str, Any] = {name: torch.where(stays, now, after[name]) for name, now in varying(state).items()}
        return state._replace(**mixed)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        """Charge the prices of actions ``(B, 1)`` until the next decision; return states, rewards and discounts."""
        dynamics = self.dynamics
        days = dynamics.days_per_step
        band = dynamics.band(state)
        proposal = dynamics.propose(state, action[:, 0], band)
        price = pass_through(proposal, project(proposal, state.price, band))
        after, outcome = dynamics.hold(state, price, days, self._draw_z(days))
        return after, outcome.reward.sum(1), self._discount

    def _draw_z(self, days: int) -> Tensor | None:
        """Return the noise of ``draw_z`` from the global generator, or None without noise."""
        if not self.dynamics.config.noise:
            return None
        return cell_of(torch.randn(days, len(self._discount), device=self._discount.device))
