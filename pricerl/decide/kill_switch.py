"""Kill switch: consecutive days of sales below their prediction, at prices that pricerl advised, stop the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import KEEP_NOT_ALLOWED, Decision
from pricerl.decide.final_check import gate_path
from pricerl.decide.price_path import GatedPath, PricePath, approach_path
from pricerl.decide.standing import Alarm
from pricerl.formatting import MEASURES, counted, sentence
from pricerl.guardrails.price_grid import same_price


def stop_model(case: Case, course: Course) -> Course | None:
    """Replace the model's path by the way back to the last good price if that pays, else keep the price."""
    product, low, f = case.product, case.standing.advised_low, case.formatter
    alarm = None if low is None else find_alarm(product.history, low, case.config.kill_days)
    if alarm is None:
        return None
    path, gated = _approach(case, alarm.last_good_price)
    objection = _object_to(case, path, alarm.last_good_price)
    if objection:
        path, gated = _approach(case, product.current_price)
    sales, limit = (f.money(value, f.money_digits(alarm.sales, alarm.low)) for value in (alarm.sales, alarm.low))
    why = (
        f"sales at the advised price were below the 5 % limit of their prediction on {alarm.days} {f.period}s in a "
        f"row, so the model is stopped. Since {f.date(alarm.first_day)} they were {sales} per {f.period}, the "
        f"limit {limit}. The last good price was {f.price(alarm.last_good_price)}{objection}"
    )
    moves = any(price != product.current_price for price in gated.prices)
    decision = Decision("path" if moves else "hold", "C", "hold", False, why)
    if moves and objection:
        decision = replace(decision, follow="limit", source="limits", why=f"{why}. {sentence(KEEP_NOT_ALLOWED)}")
    stopped = course.overruled(gated.prices, decision, course.gated.asked, gated.edits)
    return replace(stopped, aim=path, alarm=alarm)


def _approach(case: Case, target: float) -> tuple[PricePath, GatedPath]:
    path = approach_path(target, case.product, case.horizon)
    gated = gate_path(case.product, path)
    return gated.onto(path), gated


def _object_to(case: Case, path: PricePath, target: float) -> str:
    """Return why the way back to the last good price is not taken, as the end of a sentence; empty if it is."""
    product, last, f = case.product, float(path.price[-1]), case.formatter
    now = product.current_price
    if same_price(target, now):
        return ", which is the current price"
    if same_price(last, now) or abs(last - target) >= abs(now - target):
        return "; the limits allow no price closer to it"
    lowest = float(path.price[path.price != case.kept].min())
    if product.counted.cost.mean_margin(lowest) <= 0:
        return f", but a unit sold at {f.price(lowest)} would earn nothing"
    back = case.value(path.price)
    if back.pays_over(case.keep):
        return ""
    gain = f.money(float((back.earned - case.keep.earned).mean()), plus="+")
    what = MEASURES[product.market.measure]
    better = counted(back.beats(case.keep), product.market.num_draws)
    return f", but going back does not pay: {gain} {what} per day, better in {better} plausible scenarios"


def find_alarm(history: ProductHistory, low: FloatArray, kill_days: int) -> Alarm | None:
    """Find consecutive days at the end of the history with sales below their predicted quantile.

    Days that were not observed, such as those out of stock, neither count nor end the run. A day without a prediction,
    such as one at a price of the seller's own choice, ends it.
    ``low (D,)`` has the 5 % predictive quantiles of the sales, money, NaN without a prediction; 0 ``kill_days`` turn
    the switch off.
    """
    below = history.sales < low
    other = np.flatnonzero(history.observed & ~below)
    start = int(other[-1]) + 1 if len(other) else 0
    run = start + np.flatnonzero(history.observed[start:])
    if kill_days == 0 or len(run) < kill_days:
        return None
    known = np.flatnonzero(history.observed[: run[0]])
    return Alarm(
        days=len(run),
        first_day=str(history.dates[run[0]]),
        last_good_price=float(history.prices_in_force[known[-1] if len(known) else run[0]]),
        sales=float(history.sales[run].mean()),
        low=float(low[run].mean()),
    )
