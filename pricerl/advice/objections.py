"""Which guardrails object to a price that nobody projected."""

from __future__ import annotations

from pricerl.advice.overrides import HardLimits, refuse_price
from pricerl.advice.predictor import hold_left
from pricerl.env import Dynamics
from pricerl.market.guardrails import FLOAT32_SLACK

WEEK = 7


def hard_limits_of(dynamics: Dynamics, product: int) -> HardLimits:
    """The limits of one product that nothing outranks.

    Args:
        dynamics: the market with its guardrails.
        product: product index.
    """
    floor, ceiling = (float(limit[product]) for limit in (dynamics.limits.floor, dynamics.limits.ceiling))
    step = dynamics.guardrails.price_step
    return HardLimits(round(max(floor, step), 6), None if ceiling == float("inf") else round(ceiling, 6), step)


def find_objections(dynamics: Dynamics, product: int, price: float) -> list[str]:
    """Say what every guardrail has against charging a price tomorrow, hard limits first.

    Args:
        dynamics: the market with its guardrails.
        product: product index.
        price: money.
    """
    refusal = refuse_price(price, hard_limits_of(dynamics, product)).replace("the override of", "hard limit:")
    return [*([refusal] if refusal else []), *_soft(dynamics, product, price)]


def _soft(dynamics: Dynamics, product: int, price: float) -> list[str]:
    history, limits = dynamics.market.preprocessor.products[product].price, dynamics.guardrails
    now, week_ago = float(history[-1]), float(history[-min(WEEK, len(history))])
    low, high = (float(limit[product]) for limit in (dynamics.limits.support_low, dynamics.limits.support_high))
    change, week = price / now - 1, price / week_ago - 1
    found = []
    if abs(change) > limits.max_change * (1 + FLOAT32_SLACK):
        found.append(f"max_change: {100 * change:+.1f} % in one change, at most {100 * limits.max_change:g} %")
    if abs(week) > limits.max_week_change * (1 + FLOAT32_SLACK) and abs(week) > abs(now / week_ago - 1):
        found.append(f"max_week_change: {100 * week:+.1f} % in a week, at most {100 * limits.max_week_change:g} %")
    if not low * (1 - FLOAT32_SLACK) <= price <= high * (1 + FLOAT32_SLACK):
        found.append(f"support_margin: outside {low:.2f} to {high:.2f}, beyond which the tried prices say little")
    wait = hold_left(dynamics, product)
    if wait and change:
        found.append(f"min_hold_days: the last change is too young, {wait} more days to wait")
    if change and abs(change) < limits.min_change:
        found.append(
            f"min_change: a change of {100 * change:+.2f} % is ignored, at least {100 * limits.min_change:g} %"
        )
    return found
