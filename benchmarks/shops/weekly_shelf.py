"""Weeks of a shelf, one after another: demand is drawn, the belief learns from it.

Demand that finds the shelf empty is lost and is not seen. Its level drifts by 5 % per week. Projections and whole units
pass gradients straight through, so profit has a derivative by every action; the belief has none. Rules for price and
order react to the cover: what is on hand and on the way over the base stock, the demand expected until an order of
today has arrived and a week later, times a cushion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.env.noise import cell_of
from pricerl.env.stock.shelf import LEVEL_DRIFT, Shelf, ShelfRows, ShelfState, count_profit, move_units
from pricerl.guardrails.projection import price_box
from pricerl.market.demand.reference_price import REFERENCE_MEMORY
from pricerl.planner.stock_planner import (
    BATCHES,
    PATHS,
    draw_paths,
    improve_plan,
    plan_orders,
    plan_prices,
    plan_weeks,
)

SLOPE_RANGE = torch.tensor([1.1, 0.9])
"""Prices over today's between which the slope of every draw is taken."""
SCALE_WEEKS = 4
"""Weeks of demand, in addition to the lead time, that half of the largest order action covers."""
STEPS = 20
"""Gradient steps of a plan that starts from the one of the week before."""

CUSHIONS = (0.8, 1.0, 1.2, 1.5, 1.9, 2.4)
REACTIONS = (0.0, 0.1, 0.2, 0.4)
CAPS = (1.2, 1.6, 2.5, float("inf"))
SETTINGS = torch.tensor(list(itertools.product(CUSHIONS, REACTIONS, CAPS)))
"""96 settings: cushion, log price per log of the cover, largest order over a week's demand (capped base stock)."""

_POINTS, _WEIGHTS = (torch.as_tensor(part, dtype=torch.float32) for part in np.polynomial.hermite_e.hermegauss(9))


class WeeklyState(NamedTuple):
    """A `ShelfState` with the truth and the belief about the slope of demand, each ``(B,)`` unless stated."""

    product: Tensor
    rows: ShelfRows
    week: int
    on_hand: Tensor
    inbound: Tensor
    prices: Tensor
    log_reference_price: Tensor
    mean: Tensor
    variance: Tensor
    level: Tensor
    """True log level of demand over the row's own draw, which no seller sees."""
    slope: Tensor
    """``(3, B)`` how the believed level changes with the log price: mean, variance, and covariance with the level."""

    price = ShelfState.price
    held = ShelfState.held


class Week(NamedTuple):
    """Outcome of a week, each ``(B,)``: money, and units."""

    profit: Tensor
    """Contribution of the units sold, less storage, spoiled units at cost and, at the end, what leftovers lose."""
    sold: Tensor
    lost: Tensor
    """Demand that the shelf could not serve."""
    spoiled: Tensor


class WeeklyShelf(Shelf):
    """A `Shelf` whose weeks are played."""

    def start(self, product: Tensor, draw: Tensor) -> WeeklyState:
        """Return the state of ``product (B,)`` in ``draw (B,)`` at the end of its history; the belief is all draws'."""
        state = super().start(product, draw)
        market = self.market
        draws = torch.arange(market.num_draws + 1, device=market.device)
        nearby = torch.cat([SLOPE_RANGE, torch.ones(1)]).to(state.price)[:, None] * state.price
        units = market.average_day(nearby[..., None], product[:, None], draws).expected_units
        above, below, level = (units[..., :-1] / units[..., -1:]).log()
        slope = (above - below) / (SLOPE_RANGE[0] / SLOPE_RANGE[1]).log()
        covariance = ((slope - slope.mean(1, keepdim=True)) * level).sum(1) / (market.num_draws - 1)
        zero = torch.zeros_like(state.price)
        return WeeklyState(*state, level=zero, slope=torch.stack([zero, slope.var(1), covariance]))

    def decide(self, state: WeeklyState, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return price and order (units) of an action ``(B, 2)`` in [-1, 1], projected by the guardrails."""
        rows = state.rows
        change, share = action.clamp(-1, 1).unbind(1)
        largest = torch.minimum(2 * (rows.stock.lead_weeks + SCALE_WEEKS) * rows.usual, rows.stock.largest_order)
        return self.allow(state, state.price * (1 + rows.limits.change(change)), (share + 1) / 2 * largest)

    def believe(self, state: WeeklyState, price: Tensor) -> Tensor:
        """Return what the mean draw expects at prices ``(T, B)`` and the believed slope of its level."""
        return super().believe(state, price) * (price / state.price) ** state.slope[0]

    def charge(self, state: WeeklyState, price: Tensor, order: Tensor, noise: Tensor) -> tuple[WeeklyState, Week]:
        """Settle demand at an allowed price, for ``noise (3, B)`` in the level, the units and the next delivery."""
        level = state.level + LEVEL_DRIFT * noise[0]
        expected = self.expect(state, price[None], state.rows.market)[0] * level.exp()
        units = self.quantiles.units(expected.clamp(min=1e-9)[None], cell_of(noise[1:2]), state.product)[0]
        demand = torch.where(expected > 0, units, 0.0)
        late = torch.special.ndtr(noise[2]) < state.rows.stock.late_share
        return self.settle(state._replace(level=level), price, order, demand, late)

    def settle(
        self, state: WeeklyState, price: Tensor, order: Tensor, demand: Tensor, late: Tensor | float = 0.0
    ) -> tuple[WeeklyState, Week]:
        """Sell a week's ``demand`` from the shelf, place the ``order``, update the belief: ``(B,)`` each.

        The next delivery is put off by a week where it is ``late``. For a real week, ``demand`` is what was sold, or
        anything larger if the shelf emptied.
        """
        rows = state.rows
        stock = rows.stock
        on_hand, inbound, sold = move_units(state.on_hand, state.inbound, order, demand, late, stock)
        left = state.on_hand - sold
        profit = count_profit(rows.market, stock, price, sold, left, on_hand + inbound.sum(0), state.week)
        is_open = stock.season_end > state.week
        expected = self.expect(state, price[None], rows.believed)[0].clamp(min=1e-9)
        seen = (sold, expected, self.size[state.product], demand >= state.on_hand)
        belief = update_belief(state.mean, state.variance, state.slope, (price / state.price).log(), *seen)
        after = state._replace(
            week=state.week + 1,
            on_hand=on_hand,
            inbound=inbound,
            prices=torch.cat([state.prices[1:], price[None]]),
            log_reference_price=torch.lerp(price.log(), state.log_reference_price, REFERENCE_MEMORY**7),
            mean=torch.where(is_open, belief[0], state.mean),
            variance=torch.where(is_open, belief[1], state.variance) + LEVEL_DRIFT**2,
            slope=torch.where(is_open, belief[2], state.slope),
        )
        return after, Week(torch.where(is_open, profit, 0.0), sold, demand - sold, stock.spoilage * left)


@torch.no_grad()
def update_level(
    mean: Tensor, variance: Tensor, sold: Tensor, expected: Tensor, size: Tensor, sold_out: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the log level after a week, ``(B,)`` each, by nine-point Gauss-Hermite quadrature.

    Its points lie around the prior or, if units were left, around prior and sales together. Demand is negative binomial
    of ``size`` around ``expected * exp(level)`` units (Harvey and Fernandes 1989). A week that sold out shows only that
    demand was at least as large; a Poisson number scaled to the same variance has this probability, a regularized gamma
    function. All arguments are ``(B,)``.
    """
    spread = 1 / (sold + 0.5) + 1 / size
    both = variance * spread / (variance + spread)
    seen = ((sold + 0.5) / expected).log()
    centre = torch.where(sold_out, mean, both * (mean / variance + seen / spread))
    sd = torch.where(sold_out, variance, both).sqrt()
    points = _POINTS.to(mean)[:, None]
    level = centre + sd * points
    due = expected * level.exp()
    dispersion = 1 + due / size
    at_least = torch.special.gammainc((sold / dispersion).clamp(min=1e-6), due / dispersion).clamp(min=1e-30).log()
    exactly = sold * level - (sold + size) * (size + due).log()
    prior = points**2 / 2 - (level - mean) ** 2 / (2 * variance)
    weight = (torch.where(sold_out, at_least, exactly) + prior + _WEIGHTS.to(mean)[:, None].log()).softmax(0)
    after = (weight * level).sum(0)
    return after, (weight * (level - after) ** 2).sum(0)


@torch.no_grad()
def update_belief(
    mean: Tensor, variance: Tensor, slope: Tensor, move: Tensor, *seen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of the log level at a new price, ``(B,)`` each, and its slope, after a week there.

    The slope by the log price has mean, variance, and covariance with the level, ``(3, B)``; it is learned as in a
    Kalman filter from what `update_level` learns. ``move (B,)`` is the log of the new price over the old one, and
    ``seen`` is that function's sales, expectation, size and stock-out.
    """
    centre, spread, shared = slope
    prior = mean + move * centre
    wide = variance + move * (2 * shared + move * spread)
    mean, variance = update_level(prior, wide, *seen)
    gain = (shared + move * spread) / wide
    learned = [centre + gain * (mean - prior), spread + gain**2 * (variance - wide), gain * variance]
    return mean, variance, torch.stack(learned)


ShelfPolicy = Callable[[WeeklyState], tuple[Tensor, Tensor]]
"""``state -> (price, order)`` before the guardrails, ``(B,)`` money and units."""


class ShelfRollout(NamedTuple):
    """Decisions and outcomes of ``T`` weeks, each ``(T, B)``."""

    price: Tensor
    order: Tensor
    week: Week

    @property
    def profit(self) -> Tensor:
        """``(B,)`` profit of all weeks."""
        return self.week.profit.sum(0)


@torch.no_grad()
def roll_shelf(shelf: WeeklyShelf, state: WeeklyState, policy: ShelfPolicy, noise: Tensor) -> ShelfRollout:
    """Play a policy inside the guardrails for the ``T`` weeks of standard normal ``noise (T, 3, B)``."""
    weeks = []
    for shock in noise:
        price, order = shelf.allow(state, *policy(state))
        state, week = shelf.charge(state, price, order, shock)
        weeks.append((price, order, *week))
    price, order, *outcome = (torch.stack(values) for values in zip(*weeks, strict=True))
    return ShelfRollout(price, order, Week(*outcome))


@torch.no_grad()
def blind_price(shelf: WeeklyShelf, state: WeeklyState) -> Tensor:
    """Return the price of the highest expected contribution if the shelf never empties, ``(B,)``."""
    rows = state.rows
    box = price_box(rows.limits, state.price)
    prices = torch.lerp(box.low, box.high, torch.linspace(0, 1, 201, device=box.low.device)[:, None])
    day = shelf.market.average_day_at(prices, shelf.market.grid_position(prices, rows.believed), rows.believed)
    best = rows.believed.contribution(day.sales, day.expected_units).argmax(0, keepdim=True)
    return prices.gather(0, best)[0]


@dataclass(frozen=True)
class CoverRule:
    """Base stock, perhaps capped, with a price that reacts to the cover; settings are numbers or ``(B,)``."""

    shelf: WeeklyShelf
    price: Tensor
    """``(B,)`` price that is blind to stock."""
    cushion: Tensor | float = 1.5
    reaction: Tensor | float = 0.0
    cap: Tensor | float = torch.inf

    def __call__(self, state: WeeklyState) -> tuple[Tensor, Tensor]:
        """Return price and order."""
        rows = state.rows
        factor = rows.factor[state.week :]
        weeks = torch.arange(len(factor), device=factor.device)[:, None]
        ahead = torch.where(weeks <= rows.stock.lead_weeks, factor, 0.0).sum(0)
        weekly = self.shelf.expect(state, state.price[None], rows.believed)[0] * state.mean.exp()
        target = self.cushion * weekly * ahead / factor[0].clamp(min=1e-9)
        cover = (state.held / target.clamp(min=1e-9)).clamp(0.25, 4)
        return self.price * cover**-self.reaction, torch.minimum(target - state.held, self.cap * weekly).clamp(min=0)


def tune_rules(shelf: WeeklyShelf, generator: torch.Generator, grid: Tensor = SETTINGS, paths: int = 32) -> Tensor:
    """Return the best settings ``(3, P)`` of a grid ``(N, 3)`` per product, by the mean profit over posterior draws."""
    draw = torch.arange(paths) % shelf.market.num_draws
    noise = torch.randn(MOST_WEEKS, 3, paths, generator=generator).repeat(1, 1, len(grid))
    settings = grid.repeat_interleave(paths, 0).T
    found = []
    for index in range(shelf.market.num_products):
        state = shelf.start(torch.full((settings.shape[1],), index), draw.repeat(len(grid)))
        rule = CoverRule(shelf, blind_price(shelf, state), *settings)
        profit = roll_shelf(shelf, state, rule, noise).profit.view(-1, paths).mean(1)
        found.append(grid[profit.argmax()])
    return torch.stack(found, 1)


class WeeklyPlanner:
    """A policy that plans price and order anew every week, starting from its plan of the week before."""

    def __init__(self, shelf: Shelf, seed: int = 0) -> None:
        self.shelf = shelf
        self._generator = torch.Generator(shelf.market.device).manual_seed(seed)
        self.plan: Tensor | None = None
        """Plan of the remaining weeks, after the first call."""

    @torch.no_grad()
    def __call__(self, state: WeeklyState) -> tuple[Tensor, Tensor]:
        """Return the price and the order (units) of the first week of the plan, ``(B,)`` each."""
        if self.plan is None or self.plan.shape[1] != MOST_WEEKS - state.week + 1:
            self.plan = plan_weeks(self.shelf, state, self._generator)
        else:
            plan = self.plan[:, 1:]
            paths = draw_paths(self.shelf, state, plan, BATCHES * PATHS, self._generator)
            self.plan = improve_plan(self.shelf, state, plan, paths, STEPS, PATHS)
        return plan_prices(state, self.plan)[0].exp(), plan_orders(state, self.plan)[0]
