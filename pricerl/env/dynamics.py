"""How a day follows a day: pure functions over batched state, shared by both envs and by the advice.

A row is one product in one drawn market. ``decide`` turns an action into a price inside today's feasible band,
``advance`` charges it for a number of days and returns the new state with what those days brought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pricerl.data import weekday_of
from pricerl.env.history import CALENDAR_DAYS, MEMORY, WEEK, HistoryTensors
from pricerl.env.references import find_references, find_spans, find_spread
from pricerl.errors import UsageError
from pricerl.market import GuardrailConfig, Market, PriceBand, PriceLimits, Response, feasible_band, price_box, project
from pricerl.market.guardrails import hard_limits, support_box
from pricerl.market.reward import DayOutcome, ResolvedReward, Spans, reward_terms, total_reward

MAX_HORIZON = CALENDAR_DAYS - 366
"""Days; the calendar also covers the days of a decision that reaches beyond the horizon."""


@dataclass(frozen=True)
class EnvConfig:
    """Length and interface of an episode."""

    horizon: int = 28
    """Days in an episode; its end is a truncation, values bootstrap beyond it."""

    action: Literal["step", "absolute"] = "step"
    """``step``: the action is a relative change inside today's feasible band, the default wherever guardrails
    hold; ``absolute``: a place in the price box, decided every day, for markets without step caps."""

    noise: bool = True
    """Whether the sales an observation shows carry the day's noise; rewards never do."""

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= MAX_HORIZON:
            raise UsageError(f"env.horizon must be 1 to {MAX_HORIZON} days, found {self.horizon}")
        if self.action not in ("step", "absolute"):
            raise UsageError(f"env.action must be 'step' or 'absolute', found {self.action!r}")

    def days_per_step(self, guardrails: GuardrailConfig) -> int:
        """Days one decision lasts: the minimum hold, or 1 for absolute actions."""
        return guardrails.min_hold_days if self.action == "step" else 1


class State(NamedTuple):
    """Everything the next day depends on, for ``B`` rows."""

    product: Tensor
    """``(B,)`` product index."""
    draw: Tensor
    """``(B,)`` which drawn market the row lives in."""
    day: Tensor
    """``(B,)`` days of the last known day since 1970-01-01."""
    window: Tensor
    """``(B, W, F)`` scaled features, oldest day first."""
    prices: Tensor
    """``(B, 14)`` prices charged, money, newest last."""
    sales: Tensor
    """``(B, 14)`` observed sales, money, newest last."""
    ratios: Tensor
    """``(B, 7)`` expected sales over those at the reference price, newest last."""

    @property
    def observation(self) -> Tensor:
        """``(B, W * F)`` in [0, 1]."""
        return self.window.flatten(1)

    @property
    def price(self) -> Tensor:
        """``(B,)`` price now, money."""
        return self.prices[:, -1]


class Outcome(NamedTuple):
    """What the days of one decision brought, each ``(B, n)`` for ``n`` days, expectations under the row's market."""

    reward: Tensor
    expected_units: Tensor
    sales: Tensor
    profit: Tensor
    organic: Tensor
    ad: Tensor


class Dynamics:
    """The market with reward, guardrails and calendar: constant data of ``decide`` and ``advance``.

    Args:
        market: responses to prices; its device is the dynamics' device.
        reward: the reward's numbers in force.
        guardrails: limits on the price.
        config: episode settings.
    """

    def __init__(self, market: Market, reward: ResolvedReward, guardrails: GuardrailConfig, config: EnvConfig) -> None:
        self.market, self.reward, self.guardrails, self.config = market, reward, guardrails, config
        self.history = HistoryTensors(market.preprocessor, market.device)
        self.limits = product_limits(market, guardrails)
        self.references = find_references(market, self.history.reference_price(reward.seeks_gain))
        self.spread = find_spread(market, self.references)
        self.spans = find_spans(market, self.references)

    @property
    def days_per_step(self) -> int:
        """Days one decision lasts."""
        return self.config.days_per_step(self.guardrails)

    @property
    def reward_bounds(self) -> tuple[float, float]:
        """Lowest and highest reward of one decision."""
        low, high = self.reward.bounds()
        return low * self.days_per_step, high * self.days_per_step

    def start(self, product: Tensor, index: Tensor, draw: Tensor) -> State:
        """State at the end of day ``index (B,)`` of each row's product history."""
        rows = self.history.rows(product, index, self.history.window)
        memory = self.history.rows(product, index, MEMORY)
        prices = self.history.price[memory]
        day = self.history.first_day[product] + index
        level = self.market.average_day(prices[:, -WEEK:], product[:, None], draw[:, None])
        ratios = self.sales_ratio(product[:, None], draw[:, None], level)
        return State(product, draw, day, self.history.scaled[rows], prices, self.history.sales[memory], ratios)

    def band(self, state: State) -> PriceBand:
        """Prices allowed on the next day, ``(B,)`` each."""
        limits = PriceLimits(*(limit[state.product] for limit in self.limits))
        if self.config.action == "absolute":
            return price_box(state.price, limits, self.guardrails)
        return feasible_band(state.price, state.prices[:, -WEEK], limits, self.guardrails)

    def decide(self, state: State, action: Tensor) -> Tensor:
        """Price for an action ``(B,)`` in [-1, 1], projected by the guardrails, money ``(B,)``."""
        band = self.band(state)
        if self.config.action == "absolute":
            proposal = band.low + 0.5 * (action + 1) * (band.high - band.low)
        else:
            proposal = state.price * (1 + action.clamp(-1, 1) * self.guardrails.max_change)
        return project(proposal, state.price, band, self.guardrails)

    def advance(
        self, state: State, price: Tensor, days: int, generator: torch.Generator | None
    ) -> tuple[State, Outcome]:
        """Charge ``price (B,)`` for ``days`` days; noise in observed sales only with a generator.

        The price is the same on every day, so the curves are read once; days differ by weekday, noise and memory.
        """
        product, draw, charged = state.product[:, None], state.draw[:, None], price[:, None]
        day = state.day[:, None] + torch.arange(1, days + 1, device=price.device)
        level = self.market.average_day(charged, product, draw)
        response = self.market.on_weekday(level, product, draw, weekday_of(day))
        units = response.expected_units
        if generator is not None:
            units = sample_units(units, self.market.size[product], generator)
        prices = torch.cat([state.prices, charged.expand(-1, days)], 1)
        sales = torch.cat([state.sales, units * charged], 1)
        ratio = self.sales_ratio(product, draw, level)
        ratios = torch.cat([state.ratios, ratio.expand(-1, days)], 1)
        reward = self.score(product, draw, charged, level, _week_means(ratios, 1, days))
        profit = self.market.profit(sales[:, MEMORY:], units, product, draw)
        rows = self._features(product, day, prices, sales, (response.organic, response.ad, profit))
        window = torch.cat([state.window[:, days:], rows[:, -state.window.shape[1] :]], 1)
        memory = prices[:, days:], sales[:, days:], ratios[:, days:]
        outcome = Outcome(reward, *(value.expand(-1, days) for value in response))
        return State(state.product, state.draw, state.day + days, window, *memory), outcome

    def _features(
        self, product: Tensor, day: Tensor, prices: Tensor, sales: Tensor, outcomes: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """Scaled feature rows ``(B, n, F)`` of ``day (B, n)``; prices and sales are ``(B, 14 + n)``.

        ``outcomes`` are organic conversion, ad conversion and observed profit of those days.
        """
        count, price = day.shape[1], prices[:, MEMORY:]
        price_mean = _week_means(prices, WEEK, count)
        sales_mean, earlier = _week_means(sales, WEEK, count), _week_means(sales, 0, count)
        columns = [
            price,
            price_mean,
            sales_mean,
            weekday_of(day).to(price.dtype),
            self.history.month(day),
            self.history.predicted_sales(product, day, sales_mean),
            price / price_mean - 1,
            (sales_mean - earlier) / (sales_mean + earlier).clamp(min=1e-9),
            *outcomes,
            sales[:, MEMORY:],
        ]
        return self.history.scale(torch.stack([column.expand_as(price) for column in columns]), product)

    def constant_price(self, price: Tensor, product: Tensor, draw: Tensor) -> tuple[Tensor, Response]:
        """Reward a day and response on an average weekday once a price has been kept for a week, ``(B,)`` each."""
        level = self.market.average_day(price, product, draw)
        return self.score(product, draw, price, level, self.sales_ratio(product, draw, level)), level

    def sales_ratio(self, product: Tensor, draw: Tensor, level: Response) -> Tensor:
        """Expected sales on an average weekday over those at the reference price, in the shape of ``level``."""
        return level.sales / self.references.sales[product, draw]

    def score(self, product: Tensor, draw: Tensor, price: Tensor, level: Response, mean_sales_ratio: Tensor) -> Tensor:
        """Reward of a day ``(B,)``, or of ``n`` days ``(B, n)`` where the price is ``(B, 1)``.

        Args:
            product: ``(B,)`` or ``(B, 1)``.
            draw: shape of ``product``.
            price: shape of ``product``, money.
            level: expectations at that price on an average weekday; weekdays cancel against the reference.
            mean_sales_ratio: ``(B,)`` or ``(B, n)``, mean sales ratio of the last 7 days, that one included.
        """
        reference, market = self.references, self.market
        contribution = market.share_kept[product, draw] * level.sales
        contribution = contribution - market.unit_cost[product, draw] * level.expected_units
        day = DayOutcome(
            sales_ratio=self.sales_ratio(product, draw, level),
            profit_gain=(contribution - reference.profit[product, draw]) / reference.contribution[product, draw],
            price_ratio=price / reference.price[product],
            spans=Spans(*(span[product] for span in self.spans)),
            organic_ratio=level.organic / reference.organic[product, draw],
            ad_ratio=level.ad / reference.ad[product, draw],
            mean_sales_ratio=mean_sales_ratio,
            spread=self._spread_at(product, price),
        )
        return total_reward(reward_terms(day, self.reward), self.reward)

    def _spread_at(self, product: Tensor, price: Tensor) -> Tensor:
        place = (price.log() - self.market.log_price_low[product]) / self.market.log_step[product]
        grid = self.spread.shape[1]
        left = place.floor().clamp(0, grid - 2)
        below = self.spread[product, left.long()]
        return below + (place - left).clamp(0, 1) * (self.spread[product, left.long() + 1] - below)


def _week_means(series: Tensor, first: int, count: int) -> Tensor:
    """Means of the 7 columns from ``first``, ``first + 1``, ... on: ``count`` of them, ``(B, count)``."""
    return torch.stack([series[:, day : day + WEEK].mean(1) for day in range(first, first + count)], 1)


def sample_units(mean: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a day's units from NegativeBinomial(mean, size): a Poisson with a gamma-distributed rate."""
    rate = torch._standard_gamma(size.expand_as(mean).contiguous(), generator=generator) * (mean / size)
    return torch.poisson(rate, generator=generator)


def product_limits(market: Market, guardrails: GuardrailConfig) -> PriceLimits:
    """Limits of every product, ``(P,)`` each: support box from its tried prices, floor from its margin."""
    boxes, hard = [], []
    for history, item in zip(market.preprocessor.products, market.products, strict=True):
        boxes.append(support_box(history.price[history.observed], guardrails))
        cost = item.cost
        hard.append(hard_limits(guardrails, float(cost.share_kept.mean()), float(cost.unit_cost.mean()), cost.known))
    low, high = torch.tensor(boxes, dtype=torch.float32, device=market.device).T
    floor, ceiling = torch.tensor(hard, dtype=torch.float32, device=market.device).T
    return PriceLimits(floor, ceiling, low, high)
