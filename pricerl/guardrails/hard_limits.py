"""Hard limits, which no order can break."""

from __future__ import annotations

from dataclasses import dataclass

from pricerl.guardrails.price_grid import from_steps, in_steps, slack


@dataclass(frozen=True)
class HardLimits:
    """Hard limits on a price, in money, which no order can break."""

    floor: float
    """Largest of ``guardrails.floor``, the price that leaves the minimum margin, and one price step."""
    ceiling: float | None
    price_step: float


def refuse_price(price: float, limits: HardLimits, what: str = "override") -> str:
    """Describe the hard limit that a price, money, breaks; the description is empty if it breaks none.

    ``what`` is the kind of the order; a pause keeps the current price, which may be off the price grid.
    """
    tolerance = slack(price, limits.price_step)
    if price < limits.floor - tolerance:
        return f"the {what} of {price:g} is below the floor of {limits.floor:g} (floor, minimum margin or price step)"
    if limits.ceiling is not None and price > limits.ceiling + tolerance:
        return f"the {what} of {price:g} is above the ceiling of {limits.ceiling:g} (guardrails.ceiling)"
    nearest = from_steps(round(in_steps(price, limits.price_step)), limits.price_step)
    if what in ("override", "price") and abs(price - nearest) > tolerance:
        return f"the {what} of {price:g} is not a multiple of the price step of {limits.price_step:g}"
    return ""
