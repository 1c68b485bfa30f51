"""Expected effect of a price of a person's choice, and the limits in its way, in words from ``advice.json``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from pricerl.advice.reasons import Record
from pricerl.formatting import MEASURES, Formatter, unit_digits

LIMITS = {
    "max_change": "largest change at one time",
    "max_rise": "largest rise at one time",
    "max_drop": "largest drop at one time",
    "max_week_change": "largest change within a week",
    "support_margin": "distance from the prices tried",
    "max_above_median": "distance above the usual price",
    "min_hold_days": "minimum hold of the last change",
    "min_margin": "minimum margin",
    "floor": "floor",
    "ceiling": "ceiling",
}
"""Words for limits, by setting."""


def expected_gain(curves: Record, price: float) -> dict[str, tuple[float, float, float]]:
    """Return mean and 90 % limits of profit, sales and units per day at a price, money, minus those of keeping.

    Values between the points of the curves are interpolated. Empty for a price beyond the curves, and for advice that
    lacks them.
    """
    prices: Sequence[float] = curves["price"]
    gains: Mapping[str, Sequence[Sequence[float]] | None] = curves.get("gain") or {}
    if not prices[0] <= price <= prices[-1]:
        return {}
    right = min(bisect_right(prices, price), len(prices) - 1)
    share = (price - prices[right - 1]) / (prices[right] - prices[right - 1])
    found = {}
    for name, rows in gains.items():
        if rows is not None:
            pairs = zip(rows[right - 1], rows[right], strict=True)
            mean, low, high = (left + share * (other - left) for left, other in pairs)
            found[name] = (mean, low, high)
    return found


def expectation_words(product: Record, price: float, f: Formatter) -> list[str]:
    """Return the expected effect of charging a price, money, instead of keeping the current one, as lines."""
    gains = expected_gain(product["details"]["curves"], price)
    if not gains:
        return [f"Nothing is forecast at {f.price(price)}."]
    lines = [f"Expected per {f.period}, against keeping {f.price(product['current_price'])}:"]
    for name in ("profit", "sales", "units"):
        if name in gains:
            (mean, low, high), word = gains[name], "sales" if name == "sales" else MEASURES.get(name, name)
            digits = unit_digits(mean, low, high) if name == "units" else f.money_digits(mean, low, high)
            shown = f.number(mean, digits, "+") if name == "units" else f.money(mean, digits, "+")
            lines.append(f"  {word:<7} {shown}{f.limits(low, high, digits, '+', '90 %: ')}")
    return lines


def objection_words(product: Record, price: float, f: Formatter) -> list[str]:
    """Return which limits on the next price object to a price, money, and the nearest price that they allow."""
    bounds = product["details"]["bounds"]
    if bounds["paused"] or bounds["conflict"]:
        why = "the product is paused" if bounds["paused"] else bounds["conflict"]
        return [f"The guardrails would keep {f.price(product['current_price'])}: {why}."]
    low, high = bounds["lowest"], bounds["highest"]
    if low - 1e-6 <= price <= high + 1e-6:
        return ["The guardrails do not object."]
    side, nearest = ("highest", high) if price > high else ("lowest", low)
    rule = bounds[f"{side}_rule"]
    words = f"{LIMITS[rule]} ({rule})" if rule in LIMITS else rule
    return [
        f"The guardrails object: {words} allows {f.price(low)} to {f.price(high)} next.",
        f"The nearest price that they allow is {f.price(nearest)}.",
    ]
