"""Supervision of the model's advice: kill switch, people's orders and track record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pricerl.advice.decided_path import first_change
from pricerl.advice.decision import Decision, DecisionConfig, Source
from pricerl.advice.final_check import gate_path
from pricerl.advice.price_path import PricePath, approach_path
from pricerl.advice.reasons import explain
from pricerl.advice.recommend import day_rows, money
from pricerl.advice.result import Alarm, ModelAdvice, Order, ProductAdvice
from pricerl.env import Dynamics
from pricerl.evaluation.forecast import forecast_path
from pricerl.evaluation.valuation import value_paths
from pricerl.formatting import PLAIN, Formatter
from pricerl.market import CostConfig, DemandConfig
from pricerl.operations.decision_log import Entry, shown
from pricerl.operations.kill_switch import find_alarm, predict_low
from pricerl.operations.orders import OVERRIDE, hard_limits_of, judge_orders, orders_of
from pricerl.operations.track_record import advised_low, find_predictions, keep_record


@dataclass(frozen=True)
class Supervisor:
    """Supervision of the advice on all products of one history."""

    dynamics: Dynamics
    """Market of the new history, with reward and guardrails."""
    entries: Sequence[Entry]
    """Entries of the run's log, before this advice."""
    config: DecisionConfig
    settings: tuple[DemandConfig, CostConfig, int]
    """Settings of demand and costs, and the seed."""
    formatter: Formatter = PLAIN
    """Formatter of the reasons."""

    def look_over(self, advice: list[ProductAdvice]) -> list[ProductAdvice]:
        """Stop the model if sales fell below its predictions, follow orders, and add the track record."""
        return [self._look_at(item, index) for index, item in enumerate(advice)]

    def _look_at(self, item: ProductAdvice, index: int) -> ProductAdvice:
        preprocessor, kill_days = self.dynamics.market.preprocessor, self.config.kill_days
        history = preprocessor.products[index]
        predictions = find_predictions(self.entries, history)
        low = predict_low(preprocessor, index, kill_days, self.settings)
        if alarm := find_alarm(history, advised_low(predictions, history, low), kill_days):
            item = self._stop(item, index, alarm)
        limits = hard_limits_of(self.dynamics, index)
        orders = judge_orders(orders_of(self.entries, item.product, item.days[0].date), item.current_price, limits)
        item = replace(item, orders=tuple(orders), track_record=keep_record(predictions, history))
        return item if item.order is None else self._obey(item, index, item.order)

    def _stop(self, item: ProductAdvice, index: int, alarm: Alarm) -> ProductAdvice:
        way_back = approach_path(alarm.last_good_price, self.dynamics, index, len(item.days))
        gated = gate_path(self.dynamics, index, way_back)
        path = gated.onto(way_back)
        back = float(path.price[-1]) != float(path.price.new_tensor(item.current_price))
        f = self.formatter
        sales, low = (f.money(value, f.money_digits(alarm.sales, alarm.low)) for value in (alarm.sales, alarm.low))
        where = f"The last good price was {f.price(alarm.last_good_price)}"
        why = (
            f"sales were below the 5 % limit of their prediction on {alarm.days} days in a row, so the model is "
            f"stopped. Since {f.date(alarm.first_day)} they were {sales} per day, the limit {low}. "
            + (where if back else f"{where}; the limits allow no price closer to it")
        )
        decision = Decision("path" if back else "hold", "C", "hold", False, why)
        stopped = replace(item, alarm=alarm, settled_price=money(float(path.price[-1])), guardrails=gated.edits)
        return self._redirect(stopped, index, path, decision)

    def _obey(self, item: ProductAdvice, index: int, order: Order) -> ProductAdvice:
        """Charge the ordered price, which stays after the order's last day until the next advice."""
        target = item.current_price if order.price is None else order.price
        now = torch.tensor(item.current_price, dtype=torch.float32, device=self.dynamics.market.device)
        price = torch.full_like(now.expand(len(item.days)), target)
        what = "override" if order.kind == OVERRIDE else "paused"
        until = self.formatter.date(order.until)
        why = (
            f"{what} by {shown(order.actor, 40)} until {until} (entry {order.id}): “{shown(order.reason)}”. The model "
            f"alone: {self.formatter.price(item.recommended_price)}, grade {item.decision.grade}, source "
            f"{item.decision.source}"
        )
        moves = bool((price != now).any())
        source: Source = "override" if order.kind == OVERRIDE else "manual"
        decision = Decision("step" if moves else "hold", "C", source, False, why)
        limits = approach_path(item.current_price, self.dynamics, index, 1).limits
        obeyed = self._redirect(
            replace(item, asked_price=None, guardrails=()),
            index,
            PricePath(price, price, price, price, limits),
            decision,
        )
        after = f"after the {order.kind} ends on {until}"
        notes = [f"{day.note}; {after}" if day.note else after for day in obeyed.days]
        days = zip(obeyed.days, notes, strict=True)
        return replace(
            obeyed, days=tuple(replace(day, note=note) if day.date > order.until else day for day, note in days)
        )

    def _redirect(self, item: ProductAdvice, index: int, path: PricePath, decision: Decision) -> ProductAdvice:
        """Replace the model's path and decision, and keep the original ones for the record."""
        dynamics, seed = self.dynamics, self.settings[2]
        fitted = dynamics.market.products[index]
        forecast = forecast_path(dynamics.market, index, path.price, seed)
        now = torch.full_like(path.price, item.current_price)
        (keep,) = value_paths(dynamics.market, index, now[None])
        own = ModelAdvice(
            item.recommended_price, item.settled_price, item.decision, item.recommended, item.uplift, item.days
        )
        recommended = first_change(path.price, float(now[0]))
        redirected = replace(
            item,
            recommended_price=money(recommended),
            decision=decision,
            recommended=forecast.value.outcome(),
            uplift=forecast.value.over(keep) if decision.follow != "hold" else None,
            days=day_rows(dynamics, index, path, path.price.tolist(), forecast),
            effective_days=float(np.interp(np.log(recommended), fitted.log_grid, fitted.units.effective_days)),
            model=item.model or own,
        )
        return replace(redirected, reason=explain(redirected, self.formatter))
