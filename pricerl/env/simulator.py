"""Rows of the market for gradients: decisions whose rewards and states are differentiable in earlier actions."""

from __future__ import annotations

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import MAX_Z, Z_STEP
from pricerl.env.state import State
from pricerl.guardrails.projection import project


class DifferentiableMarket:
    """Batch of rows that start on training days, each in a posterior draw, and carry gradients.

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
        """Return rows on random training days of random products, in random posterior draws."""
        dynamics = self.dynamics
        share = torch.rand(3, len(self._discount), device=self._discount.device)
        product = (share[0] * dynamics.market.num_products).long()
        first, last = dynamics.history.start_range("train", product)
        index = first + (share[1] * (last - first + 1)).long()
        return dynamics.start(product, index, (share[2] * dynamics.market.num_draws).long())

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        """Charge the prices of actions ``(B, 1)`` until the next decision; return states, rewards and discounts."""
        dynamics = self.dynamics
        days = dynamics.days_per_step
        band = dynamics.band(state)
        proposal = dynamics.propose(state, action[:, 0], band)
        allowed = project(proposal, state.price, band).detach()
        price = proposal + (allowed - proposal).detach()
        z_cell = None
        if dynamics.config.noise:
            z_cell = (torch.randn(days, len(price), device=price.device) + MAX_Z) / Z_STEP
        after, outcome = dynamics.hold(state, price, days, z_cell)
        return after, outcome.reward.sum(1), self._discount
