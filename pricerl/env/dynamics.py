"""Transition dynamics: pure functions over batched state, shared by the env and the advice.

A row is one product in one posterior draw. ``decide`` turns an action into a price inside today's feasible band;
``hold`` charges it for a number of days and returns the new state with the outcome of those days.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, WEEK, steps_in
from pricerl.data.history import ProductHistory
from pricerl.env.config import EnvConfig
from pricerl.env.description import PRICES, REACH, Landmarks, describe
from pricerl.env.history_tensors import LOOK_BACK_DAYS, HistoryTensors
from pricerl.env.noise import Noise, UnitQuantiles, draw_z, tabulate_units
from pricerl.env.references import References, find_references, find_spans, find_spread
from pricerl.env.state import Outcome, Rows, State
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts
from pricerl.guardrails.limits import GuardedProduct, price_limits, recent_prices, support_box
from pricerl.guardrails.projection import PriceBand, feasible_band, price_box, project, waits_for_pace
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, fade, lift
from pricerl.market.market import GridPosition, Market, ProductMarket, Response
from pricerl.market.reward import RewardConfig, RewardInputs, Spans, weigh_losses


class Dynamics:
    """Market, reward, guardrails and calendar: the constants of ``decide`` and ``hold``, on the market's device."""

    def __init__(
        self,
        market: Market,
        reward: RewardConfig | None = None,
        guardrails: GuardrailConfig | None = None,
        config: EnvConfig | None = None,
    ) -> None:
        self.reward = (reward or RewardConfig()).resolved()
        self.market = market = replace(market, measure=self.reward.measure)
        self.guardrails = guardrails or GuardrailConfig()
        self.config = config or EnvConfig()
        self.history = HistoryTensors(market.preprocessor, market.device)
        self.remembers = market.remembers  # read once, outside compiled steps: torch cannot trace its first use
        self.is_measure = self.reward.is_measure
        self.guarded = list(map(self._guard, market.preprocessor.products, market.products))
        self.limits = price_limits(self.guarded, market.device)
        median = self.history.median_price(not self.reward.rewards_profit)
        self.references = find_references(market, median, self.history.current_price())
        self.spread = find_spread(market, self.references)
        self.spans = find_spans(market, self.references)
        self.calendar = self.history.build_calendar(market.weekday, market.holiday, market.ahead)
        self.description = market.size.new_zeros(market.num_products, 0)
        self.landmarks: Landmarks | None = None
        if self.config.describe:
            self.description = describe(market, self.references, self.history)
            edges = market.lower_edge.log(), market.upper_edge.log()
            largest = torch.as_tensor(self.limits.rise).clamp(min=0.01).log1p().expand_as(edges[0])
            self.landmarks = Landmarks(self._best_price().log(), *edges, REACH * largest.to(market.device))
        if not self.is_measure:  # whose gain is 0 there
            draw = torch.arange(market.num_draws + 1, device=market.device)
            now = self.history.current_price()[:, None]
            objective, _ = self.average_day(now, self.history.latest()[0][:, None], draw)
            self.references = self.references._replace(objective=objective)

    def _guard(self, history: ProductHistory, product: ProductMarket) -> GuardedProduct:
        """Return a product with its guardrails, the prices that its history supports, and its costs."""
        rails = self.guardrails.of(history.product)
        cost = product.cost
        steps = (cost.fee_steps * [1, cost.share_paid, 1]).tolist()
        costs = UnitCosts(*cost.means, cost.known, tuple(map(tuple, steps)), self.reward.measure == "profit")
        return GuardedProduct(rails, support_box(history.price[history.observed], rails), costs)

    def _best_price(self) -> Tensor:
        """Return the constant price ``(P,)`` of the highest posterior-mean reward inside the fixed limits, in money."""
        product, _ = self.history.latest()
        box = price_box(self.limits.rows(product), self.history.current_price())
        share = torch.linspace(0, 1, PRICES, device=product.device)
        return self.best_among(torch.lerp(box.low[:, None], box.high[:, None], share))[0]

    @torch.no_grad()
    def best_among(self, prices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the constant prices of the highest posterior-mean reward among ``(P, N)``, and it, ``(P,)`` each."""
        draw = torch.arange(self.market.num_draws, device=prices.device)[:, None]
        rows = zip(self.history.latest()[0][:, None, None], prices[:, None], strict=True)
        rewards = [self.constant_price(price, row, draw)[0].mean(0) for row, price in rows]
        value, best = torch.stack(rewards).max(1, keepdim=True)
        return prices.gather(1, best)[:, 0], value[:, 0]

    @cached_property
    def quantiles(self) -> UnitQuantiles:
        """Quantiles of every product's units, for the noise."""
        return tabulate_units(self.market.size)

    @property
    def days_per_step(self) -> int:
        """Days, or weeks, per decision."""
        return self.config.days_per_step(self.guardrails, self.history.step_days)

    @property
    def observation_dim(self) -> int:
        """O: days of the window times features per day."""
        return self.history.window * self.config.num_features

    def rows(self, product: Tensor, draw: Tensor) -> Rows:
        """Return the constants of the rows of ``product (B,)`` in ``draw (B,)``."""
        reference = self.references
        return Rows(
            market=self.market.rows(product, draw),
            limits=self.limits.rows(product),
            references=References(reference.price[product], *(values[product, draw] for values in reference[1:])),
            spans=Spans(*(values[product] for values in self.spans)),
            gain=self.history.gain.T[:, product],
            bias=self.history.bias.T[:, product],
            **self.described(product),
            first_spread=product * self.spread.shape[1],
            first_date=self.history.first_date(product),
        )

    def described(self, product: Tensor) -> dict[str, Any]:
        """Return what observations say about the market of each row's product ``(B,)``, as fields of `Rows`."""
        marks = None if self.landmarks is None else Landmarks(*(value[product] for value in self.landmarks))
        return {"description": self.description.T[:, product], "landmarks": marks}

    def start(self, product: Tensor, index: Tensor, draw: Tensor | None = None) -> State:
        """Return the state at the end of day ``index (B,)`` of each row's history; the draw is the mean if absent."""
        draw = torch.full_like(product, self.market.mean_draw) if draw is None else draw
        rows = self.rows(product, draw)
        history = self.history
        days = history.positions(product, index, max(history.window, RECENT_DAYS))
        week = history.price[days[-WEEK:]]
        level = self.market.average_day_at(week, self.market.grid_position(week, rows.market), rows.market)
        reference = history.log_reference_price[days[-WEEK - 1 :]]
        lifted = lift(week.log() - reference[:-1], rows.market.memory_gain, rows.market.memory_loss)
        shown = days[-history.window :]
        window = self.with_description(rows, history.scaled[shown].transpose(1, 2), history.price[shown])
        trail = None
        if self.limits.max_above_median is not None:
            trail = history.price[days[-steps_in(RECENT_DAYS, history.step_days) :]]
        return State(
            product=product,
            draw=draw,
            day=history.first_day[product] + index,
            rows=rows,
            window=window.reshape(-1, len(product)),
            prices=history.price[days[-LOOK_BACK_DAYS:]],
            sales=history.sales[days[-LOOK_BACK_DAYS:]],
            ratios=level.sales * lifted / rows.references.sales,
            log_reference_price=reference[-1],
            trail=trail,
        )

    def band(self, state: State) -> PriceBand:
        """Return the prices allowed on the next day, ``(B,)`` each."""
        if self.config.action == "absolute":
            return price_box(state.rows.limits, state.price)
        return feasible_band(state.rows.limits, recent_prices(state.prices, state.trail, self.history.step_days))

    def waits(self, state: State) -> Tensor:
        """Return whether prices beyond hard limits cannot walk back inside before a later day, ``(B,)`` bool."""
        if self.config.action == "absolute":
            return torch.zeros_like(state.price, dtype=torch.bool)
        return waits_for_pace(state.rows.limits, recent_prices(state.prices, state.trail, self.history.step_days))

    def propose(self, state: State, action: Tensor, band: PriceBand) -> Tensor:
        """Return the price proposed by an action ``(B,)`` in [-1, 1], before the guardrails, in money ``(B,)``."""
        if self.config.action == "absolute":
            return band.low + 0.5 * (action + 1) * (band.high - band.low)
        return state.price * (1 + band.limits.change(action.clamp(-1, 1)))

    def decide(self, state: State, action: Tensor) -> Tensor:
        """Return the price of an action ``(B,)`` in [-1, 1], projected by the guardrails, in money ``(B,)``."""
        band = self.band(state)
        return project(self.propose(state, action, band), state.price, band)

    def charge(self, state: State, price: Tensor, days: int) -> State:
        """Return the state after ``days`` days at ``price (B,)`` with new prices only: sales and window stay old."""
        prices = torch.cat([state.prices, price.expand(days, -1)])[days:]
        trail = None if state.trail is None else torch.cat([state.trail, price.expand(days, -1)])[days:]
        reference = state.log_reference_price
        if self.remembers:
            reference = torch.lerp(price.log(), reference, REFERENCE_MEMORY ** (days * self.history.step_days))
        return state._replace(day=state.day + days, prices=prices, log_reference_price=reference, trail=trail)

    def advance(self, state: State, price: Tensor, days: int, noise: Noise | None) -> tuple[State, Outcome]:
        """Draw the noise in observed sales, if any, and ``hold``."""
        return self.hold(state, price, days, None if noise is None else draw_z(days, len(price), noise))

    def hold(self, state: State, price: Tensor, days: int, z_cell: Tensor | None) -> tuple[State, Outcome]:
        """Charge ``price (B,)`` for ``days`` days with the noise ``z_cell (n, B)`` from ``draw_z``, or without.

        Curves are read once, as the price is constant. Days are the first axis, so that a day's rows are contiguous.
        """
        rows = state.rows
        position = self.market.grid_position(price, rows.market)
        level = self.market.average_day_at(price, position, rows.market)
        dates = self.dates_after(state, days)
        lifted = price.new_ones(1, 1)
        if self.remembers:
            rise = (price.log() - state.log_reference_price) * fade(days, price.device, self.history.step_days)
            lifted = lift(rise, rows.market.memory_gain, rows.market.memory_loss)
        expected_units = level.expected_units * dates[0] * lifted
        units = expected_units if z_cell is None else self.quantiles.units(expected_units, z_cell, state.product)
        day = level._replace(expected_units=level.expected_units * lifted, sales=level.sales * lifted)
        prices = torch.cat([state.prices, price.expand(days, -1)])
        sales = torch.cat([state.sales, units * price * rows.market.share_paid])
        ratios = torch.cat([state.ratios, (day.sales / rows.references.sales).expand(days, -1)])
        gain = self.evaluate(rows, price, position, day, _week_means(ratios, 1, days))
        outcomes = level.organic, level.ad, rows.market.profit(price, units)
        features = self._features(rows, dates, prices, sales, outcomes)
        features = self.with_description(rows, features, price.expand(days, -1))
        window = torch.cat([state.window, features.flatten(0, 1)])[-len(state.window) :]
        after = self.charge(state, price, days)._replace(window=window, sales=sales[days:], ratios=ratios[days:])
        outcome = Outcome(
            reward=weigh_losses(gain, self.reward.loss_weight),
            expected_units=expected_units,
            sales=day.sales * dates[0],
            profit=rows.market.profit(price, expected_units),
            organic=level.organic,
            ad=level.ad,
        )
        return after, Outcome(*(value.expand(days, -1).T for value in outcome))

    def with_description(self, rows: Rows, features: Tensor, price: Tensor) -> Tensor:
        """Append the market's description and the places of prices ``(n, B)`` to features ``(n, F, B)`` of days."""
        if rows.landmarks is None:
            return features
        return torch.cat([features, rows.description.expand(len(price), -1, -1), rows.landmarks.locate(price)], 1)

    def dates_after(self, state: State, days: int) -> Tensor:
        """Return the calendar of the next days, ``(3 or 4, n, B)``; see ``HistoryTensors.build_calendar``."""
        ahead = torch.arange(1, days + 1, device=state.day.device)
        column = state.rows.first_date + state.day + ahead[:, None]
        return self.calendar.index_select(1, column.flatten()).view(-1, days, len(state.day))

    def _features(
        self, rows: Rows, dates: Tensor, prices: Tensor, sales: Tensor, outcomes: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """Return the scaled features ``(n, F, B)`` of the days of ``dates (3 or 4, n, B)``.

        Prices and sales ``(14 + n, B)`` end on the last of them. Outcomes are organic conversion, ad conversion and
        observed profit.
        """
        days = dates.shape[1]
        price = prices[LOOK_BACK_DAYS:]
        price_mean = _week_means(prices, WEEK, days)
        sales_mean = _week_means(sales, WEEK, days)
        earlier = _week_means(sales, 0, days)
        _, weekday, month, *supplied = dates
        columns = [
            price,
            price_mean,
            sales_mean,
            weekday,
            month,
            torch.where(supplied[0].isnan(), sales_mean, supplied[0]) if supplied else sales_mean,
            price / price_mean - 1,
            (sales_mean - earlier) / (sales_mean + earlier).clamp(min=1e-9),
            *outcomes,
            sales[LOOK_BACK_DAYS:],
        ]
        raw = torch.stack([column.expand(days, -1) for column in columns], 1)
        return torch.addcmul(rows.bias, raw, rows.gain).clamp_(0, 1)

    def constant_price(
        self, price: Tensor, product: Tensor, draw: Tensor, lifts: Tensor | float = 1.0
    ) -> tuple[Tensor, Response]:
        """Return reward and response of an average day after a week at a price, ``(B,)`` each; arguments broadcast."""
        gain, level = self.average_day(price, product, draw, lifts)
        return weigh_losses(gain, self.reward.loss_weight), level

    def average_day(
        self, price: Tensor, product: Tensor, draw: Tensor, lifts: Tensor | float = 1.0
    ) -> tuple[Tensor, Response]:
        """Return gain in the objective and response of the same day, with demand times ``lifts``."""
        rows = self.rows(product, draw)
        position = self.market.grid_position(price, rows.market)
        usual = self.market.average_day_at(price, position, rows.market)
        level = usual._replace(expected_units=usual.expected_units * lifts, sales=usual.sales * lifts)
        return self.evaluate(rows, price, position, level, level.sales / rows.references.sales), level

    def evaluate(
        self, rows: Rows, price: Tensor, position: GridPosition, level: Response, mean_sales_ratio: Tensor
    ) -> Tensor:
        """Return the gain in the objective over the current price of a day at ``price (B,)``, or of days ``(n, B)``.

        ``level`` is an average weekday's, as weekdays cancel against the reference. Sales ratios are means
        over the last 7 days, the current one included.
        """
        reference = rows.references
        contribution = rows.market.contribution(price, level.expected_units)
        profit_gain = (contribution - reference.profit) / reference.profit_unit
        if self.is_measure:  # and nothing else counts
            return self.reward.evaluate_measure(profit_gain).expand_as(contribution + mean_sales_ratio)
        left = rows.first_spread + position.left
        spread = self.spread.flatten()
        day = RewardInputs(
            sales_ratio=level.sales / reference.sales,
            profit_gain=profit_gain,
            price_ratio=price / reference.price,
            spans=rows.spans,
            organic_ratio=level.organic / reference.organic,
            ad_ratio=level.ad / reference.ad,
            mean_sales_ratio=mean_sales_ratio,
            spread=torch.lerp(spread.take(left), spread.take(left + 1), position.share.clamp(0, 1)),
        )
        gain = self.reward.evaluate(day) - reference.objective
        return gain if gain.shape == mean_sales_ratio.shape else gain.expand_as(level.sales + mean_sales_ratio)


def _week_means(series: Tensor, first: int, count: int) -> Tensor:
    """Return ``count`` 7-day means of ``series (D, B)``, starting on day ``first``, ``first + 1``, ..."""
    return series[first : first + count + WEEK - 1].unfold(0, WEEK, 1).mean(-1)
