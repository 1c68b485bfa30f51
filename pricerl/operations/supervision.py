"""Supervision of the model's advice: kill switch, people's orders and track record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pricerl.advice.config import DecisionConfig
from pricerl.advice.decided_path import first_change
from pricerl.advice.decision import KEEP_NOT_ALLOWED, Decision, Source
from pricerl.advice.final_check import DayEdit, gate_path
from pricerl.advice.price_path import PricePath, approach_path
from pricerl.advice.reasons import MEASURES, explain, sentence
from pricerl.advice.recommend import day_rows, money, stop_rule_of
from pricerl.advice.result import Alarm, DayAdvice, ModelAdvice, Order, ProductAdvice
from pricerl.env import Dynamics
from pricerl.evaluation.forecast import forecast_path
from pricerl.evaluation.valuation import value_paths
from pricerl.formatting import PLAIN, Formatter, counted
from pricerl.guardrails.price_grid import FLOAT32_SLACK
from pricerl.guardrails.relations import Bound
from pricerl.operations.decision_log import Entry
from pricerl.operations.kill_switch import find_alarm
from pricerl.operations.orders import (
    OVERRIDE,
    PAUSE,
    PRICE_TEST,
    hard_limits_of,
    is_untried,
    judge_orders,
    orders_of,
    tried_prices,
)
from pricerl.operations.track_record import advised_low, find_predictions, keep_record, last_advice
from pricerl.terminal import shown

RELATIONS = "relations"
"""Rule of the edits that relations between products make."""
NOT_FORECAST = "not forecast: outside tried prices"

WORDS = {OVERRIDE: "override", PAUSE: "paused", PRICE_TEST: "price test"}
SOURCES: dict[str, Source] = {OVERRIDE: "override", PAUSE: "manual", PRICE_TEST: "price test"}
"""Words and source of an advice that follows an order, by the kind of the order."""


@dataclass(frozen=True)
class Supervisor:
    """Supervision of the advice on all products of one history."""

    dynamics: Dynamics
    """Market of the new history, with reward and guardrails."""
    entries: Sequence[Entry]
    """Entries of the run's log, before this advice."""
    config: DecisionConfig
    seed: int
    """Seed of the daily noise."""
    formatter: Formatter = PLAIN
    """Formatter of the reasons."""

    def look_over(self, advice: list[ProductAdvice]) -> list[ProductAdvice]:
        """Stop the model if sales at its prices fell below its predictions, follow orders, add the track record."""
        return [self._look_at(item, index) for index, item in enumerate(advice)]

    def bind(self, item: ProductAdvice, index: int, bound: Bound) -> ProductAdvice:
        """Charge the prices that relations to other products leave, or the current one if they do not pay here."""
        now = torch.tensor(item.current_price, dtype=torch.float32, device=self.dynamics.market.device)
        price = now.new_tensor(bound.prices)
        limits = approach_path(item.current_price, self.dynamics, index, 1).limits
        gated = gate_path(self.dynamics, index, PricePath(price, price, price, price, limits))
        kept, why = torch.full_like(price, item.current_price), bound.why
        keep, value = value_paths(self.dynamics.market, index, torch.stack([kept, price]))
        if not bool((price == price.new_tensor(gated.prices)).all()):
            price, why = kept, f"{why}; the product's own limits forbid that"
        elif bool((price != kept).any()) and item.decision.gated and not value.pays_over(keep):
            price, why = kept, f"{why}; it would not pay here"
        decision = replace(item.decision, why=why)
        if not bool((price != kept).any()):
            decision = Decision("hold", "C", "hold", False, why)
        first = next((day for day, new in zip(item.days, price.tolist(), strict=True) if differs(day, new)), None)
        edits = item.guardrails
        if first is not None:
            after = money(float(price[item.days.index(first)]))
            edits = (*edits, DayEdit(RELATIONS, first.recommended_price, after, why, first.date))
        path = PricePath(price, price, price, price, limits)
        return self._redirect(replace(item, guardrails=edits), index, path, decision)

    def _look_at(self, item: ProductAdvice, index: int) -> ProductAdvice:
        history = self.dynamics.market.preprocessor.products[index]
        predictions = find_predictions(self.entries, history)
        if alarm := find_alarm(history, advised_low(predictions, history), self.config.kill_days):
            item = self._stop(item, index, alarm)
        limits = hard_limits_of(self.dynamics, index)
        orders = judge_orders(orders_of(self.entries, item.product, item.days[0].date), item.current_price, limits)
        record, previous = keep_record(predictions, history), last_advice(self.entries, item.product)
        item = replace(item, orders=tuple(orders), track_record=record, previous=previous)
        if item.order is None:
            return item
        if item.order.kind == PRICE_TEST and item.alarm is not None:
            return replace(
                item,
                orders=tuple(
                    replace(order, status="suspended") if order is item.order else order for order in item.orders
                ),
            )
        return self._obey(item, index, item.order)

    def _stop(self, item: ProductAdvice, index: int, alarm: Alarm) -> ProductAdvice:
        """Replace the model's path by the way back to the last good price if that pays, else keep the price."""
        now = self.dynamics.market.preprocessor.products[index].current_price
        path, edits = self._approach(item, index, alarm.last_good_price)
        objection = self._object_to(index, path, alarm.last_good_price, now)
        if objection:
            path, edits = self._approach(item, index, now)
        f = self.formatter
        sales, low = (f.money(value, f.money_digits(alarm.sales, alarm.low)) for value in (alarm.sales, alarm.low))
        why = (
            f"sales at the advised price were below the 5 % limit of their prediction on {alarm.days} {f.period}s in a "
            f"row, so the model is stopped. Since {f.date(alarm.first_day)} they were {sales} per {f.period}, the "
            f"limit {low}. The last good price was {f.price(alarm.last_good_price)}{objection}"
        )
        moves = _moves(path, now)
        decision = Decision("path" if moves else "hold", "C", "hold", False, why)
        if moves and objection:
            decision = replace(decision, follow="limit", source="limits", why=f"{why}. {sentence(KEEP_NOT_ALLOWED)}")
        stopped = replace(item, alarm=alarm, settled_price=money(float(path.price[-1])), guardrails=edits)
        return self._redirect(stopped, index, path, decision)

    def _approach(self, item: ProductAdvice, index: int, target: float) -> tuple[PricePath, tuple[DayEdit, ...]]:
        path = approach_path(target, self.dynamics, index, len(item.days))
        gated = gate_path(self.dynamics, index, path)
        return gated.onto(path), gated.edits

    def _object_to(self, index: int, path: PricePath, target: float, now: float) -> str:
        """Return why the way back to the last good price is not taken, as the end of a sentence; empty if it is."""
        if abs(float(path.price[-1]) - target) >= abs(now - target) - FLOAT32_SLACK * now:
            return ", which is the current price" if target == now else "; the limits allow no price closer to it"
        market, kept = self.dynamics.market, torch.full_like(path.price, now)
        costs, lowest = market.counted(index).cost, float(path.price[path.price != kept].min())
        if float(costs.share_kept.mean()) * lowest <= float(costs.unit_cost.mean()):
            return f", but a unit sold at {self.formatter.price(lowest)} would earn nothing"
        keep, back = value_paths(market, index, torch.stack([kept, path.price]))
        if back.pays_over(keep):
            return ""
        gain = self.formatter.money(float((back.earned - keep.earned).mean()), plus="+")
        what = MEASURES[market.measure]
        better = counted(back.beats(keep), market.num_draws)
        return f", but going back does not pay: {gain} {what} per day, better in {better} plausible scenarios"

    def _obey(self, item: ProductAdvice, index: int, order: Order) -> ProductAdvice:
        """Charge the ordered price, which stays after the order's last day until the next advice.

        A price test has one for each of its days, and the regular price after it.
        """
        targets = [order.price_on(day.date, item.current_price) for day in item.days]
        now = torch.tensor(item.current_price, dtype=torch.float32, device=self.dynamics.market.device)
        price = now.new_tensor(targets)
        what = WORDS[order.kind]
        until = self.formatter.date(order.until)
        why = (
            f"{what} by {shown(order.actor, 40)} until {until} (entry {order.id}): “{shown(order.reason)}”. The model "
            f"alone: {self.formatter.price(item.recommended_price)}, grade {item.decision.grade}, source "
            f"{item.decision.source}"
        )
        tried, f = tried_prices(self.dynamics.market.preprocessor.products[index]), self.formatter
        if untried := order.price is not None and any(is_untried(target, tried) for target in targets):
            why += f". Nothing is forecast: you have charged {f.price(tried[0])} to {f.price(tried[1])}"
        moves = bool((price != now).any())
        decision = Decision("step" if moves else "hold", "C", SOURCES[order.kind], False, why)
        limits = approach_path(item.current_price, self.dynamics, index, 1).limits
        path = PricePath(price, price, price, price, limits)
        obeyed = self._redirect(replace(item, asked_price=None, guardrails=()), index, path, decision, not untried)
        return replace(obeyed, days=tuple(self._noted(day, order, untried) for day in obeyed.days))

    def _noted(self, day: DayAdvice, order: Order, untried: bool) -> DayAdvice:
        """Add to a day's note that the order has ended or that its price is not forecast."""
        notes = [day.note, NOT_FORECAST if untried else ""]
        if day.date > order.until:
            notes.append(f"after the {order.kind.replace('_', ' ')} ends on {self.formatter.date(order.until)}")
        return replace(day, note="; ".join(filter(None, notes)))

    def _redirect(
        self, item: ProductAdvice, index: int, path: PricePath, decision: Decision, known: bool = True
    ) -> ProductAdvice:
        """Replace the model's path and decision, and keep the original ones for the record.

        A path of which nothing is ``known`` gets no forecast.
        """
        dynamics = self.dynamics
        fitted = dynamics.market.products[index]
        forecast = forecast_path(dynamics.market, index, path.price, self.seed)
        now = torch.full_like(path.price, item.current_price)
        (keep,) = value_paths(dynamics.market, index, now[None])
        own = ModelAdvice(
            item.recommended_price, item.settled_price, item.decision, item.recommended, item.uplift, item.days
        )
        recommended = first_change(path.price, float(now[0]))
        prices = path.price.tolist()
        redirected = replace(
            item,
            random_prices=(),
            offered_explore_share=None,
            recommended_price=money(recommended),
            stop_rule=stop_rule_of(dynamics, index, prices, forecast if known else None),
            decision=decision,
            recommended=forecast.value.outcome() if known else None,
            uplift=forecast.value.over(keep) if known and decision.follow != "hold" else None,
            days=day_rows(dynamics, index, path, prices, forecast if known else None, self.formatter),
            effective_days=float(np.interp(np.log(recommended), fitted.log_grid, fitted.units.effective_days)),
            model=item.model or own,
        )
        return replace(redirected, reason=explain(redirected, self.formatter))


def differs(day: DayAdvice, price: float) -> bool:
    """Return whether a price, money, differs from the one recommended for a day by more than rounding."""
    return abs(day.recommended_price - price) > FLOAT32_SLACK * price + 0.5e-4


def _moves(path: PricePath, now: float) -> bool:
    """Return whether a path leaves the current price, in single precision."""
    return bool((path.price != path.price.new_tensor(now)).any())
