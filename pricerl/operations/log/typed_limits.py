"""Limits of a shop as its log has them: the newest advice's, and typed ones since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from operator import itemgetter
from typing import Any, NamedTuple

from pricerl.formatting import PLAIN_DIGITS
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits_in_force import HardLimits, least_price, name_limit, refuse_price
from pricerl.guardrails.price_grid import is_multiple, slack
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import LIMITS

TYPED = ("floor", "ceiling", "min_margin", "max_change", "max_week_change", "min_hold_days", "price_step")
"""Limits that a person may type; a configuration has all of them."""

ON_CHANGES = ("max_change", "max_week_change", "min_hold_days")
"""Limits whose effect on a price only the next advice finds."""

DEFAULTS = asdict(GuardrailConfig())


class Bounds(NamedTuple):
    """Hard limits on the price of a product, and the settings that determine them."""

    limits: HardLimits
    lowest_rule: str
    highest_rule: str

    def breaks(self, price: float) -> tuple[str, float] | None:
        """Return setting and money of the limit that a price breaks, if any."""
        floor = self.limits.floor
        ceiling = self.limits.ceiling
        tolerance = slack(price, self.limits.price_step)
        if price < floor - tolerance:
            return self.lowest_rule, floor
        return (self.highest_rule, ceiling) if ceiling is not None and price > ceiling + tolerance else None


def own_settings(config: GuardrailConfig, product: str) -> dict[str, Any]:
    """Return the settings of the guardrails that apply to a product and differ from the defaults, but relations."""
    names = {item.name for item in fields(config)} - {"products", "relations"}
    found = {name: value for name in sorted(names) if (value := getattr(config, name)) != DEFAULTS[name]}
    own = (config.products or {}).get(product)
    return found if own is None else {**found, "products": {product: own}}


def combined_settings(advice: Sequence[Entry], entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the settings of the guardrails of the newest ``advice`` on each product, of which there is one or more.

    A product that the last file does not hold keeps the limits of its own that it had, and those that were typed for
    it since, as the ``entries`` of the log have them.
    """
    products: dict[str, Any] = {}
    for entry in advice:
        own = {"products": (entry["terms"].get("guardrails") or {}).get("products") or {}}
        typed = (item for item in typed_since(entry, entries) if item["product"] == entry["product"])
        products |= with_typed(own, typed)["products"]
    relations: list[Any] = []
    for entry in advice:
        relations += [item for item in entry["terms"]["relations"] if item not in relations]
    last = max(advice, key=itemgetter("id"))
    shared = {**DEFAULTS, **(last["terms"]["guardrails"] or {})}
    return {**shared, "products": products or None, "relations": relations or None}


def with_typed(settings: Mapping[str, Any], typed: Iterable[Entry]) -> dict[str, Any]:
    """Return settings of the guardrails with typed limits, given their entries, oldest first."""
    found = dict(settings)
    for entry in typed:
        if name := entry["product"]:
            products = found.get("products") or {}
            found["products"] = {**products, name: {**products.get(name, {}), **entry["limits"]}}
        else:
            found |= entry["limits"]
    return found


def typed_since(advice: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of a log that typed limits which an advice does not know yet, oldest first."""
    since = advice["terms"].get("since") or advice["seen"]
    return [entry for entry in entries if entry["kind"] == LIMITS and entry["id"] > since]


def limits_on(settings: Mapping[str, Any], product: str) -> dict[str, Any]:
    """Return the settings of the guardrails that apply to a product."""
    return {**DEFAULTS, **settings, **((settings.get("products") or {}).get(product) or {})}


def bounds_on(settings: Mapping[str, Any], advice: Entry) -> Bounds:
    """Return the hard limits that settings of the guardrails put on the product of an advice."""
    own = limits_on(settings, advice["product"])
    step = own["price_step"]
    share_kept, unit_cost = advice["limits"].get("costs") or (1.0, 0.0)
    lows = {name: own[name] or 0.0 for name in ("floor", "min_advertised_price", "price_step")}
    lows["min_margin"] = least_price(share_kept, unit_cost, own["min_margin"])
    lowest = max(lows, key=lambda name: lows[name])
    return Bounds(HardLimits(lows[lowest], own["ceiling"], step), lowest, "ceiling")


def limits_of(advice: Entry, entries: Iterable[Entry]) -> HardLimits:
    """Return the hard limits in force on the product of an advice: its own, and those typed since in a log."""
    found = HardLimits(*(advice["limits"][name] for name in ("floor", "ceiling", "price_step")))
    typed = typed_since(advice, entries)
    if not typed:
        return found
    known = advice["terms"].get("guardrails")
    now = bounds_on(with_typed(known or {}, typed), advice).limits
    if known is not None:
        return now
    ceiling = min((limit for limit in (found.ceiling, now.ceiling) if limit is not None), default=None)
    return HardLimits(max(found.floor, now.floor), ceiling, found.price_step)  # an older entry only becomes narrower


def refuse_change(price: float, advice: Entry, entries: Iterable[Entry], ordered: bool = False) -> str:
    """Return which limit in force an advised price in money breaks, or one that was ``ordered``; empty if none."""
    typed = typed_since(advice, entries)
    limits = limits_of(advice, typed)
    now = advice["current_price"]
    for entry in () if ordered else typed:
        narrower = set(entry["limits"]).intersection(ON_CHANGES) - set(widened(entry["limits"], entry["instead_of"]))
        if narrower and entry["product"] in ("", advice["product"]):
            named = " and ".join(map(name_limit, sorted(narrower)))
            return f"your {named} became narrower after this advice (entry {entry['id']}); run predict"
    # a current price beyond a limit walks there in steps: the prices on its way are no breach
    walks = now < price < limits.floor or (limits.ceiling is not None and limits.ceiling < price < now)
    return "" if walks else refuse_price(price, limits, "ordered price" if ordered else "price")


def widened(limits: Mapping[str, float | None], before: Mapping[str, float | None]) -> list[str]:
    """Return the limits that allow prices or changes which those before did not."""
    return [name for name, value in limits.items() if _is_wider(name, value, before[name])]


def _is_wider(name: str, value: float | None, before: float | None) -> bool:
    if value is None or before is None:
        return value is None and before is not None
    if name == "price_step":
        return not is_multiple(value, before)
    return value > before if name in ("ceiling", "max_change", "max_week_change") else value < before


def beyond_words(rule: str, limit: float, advice: Entry) -> str:
    """Return that the current price of an advice breaks a hard limit in money, given by its setting."""
    digits = max(PLAIN_DIGITS, advice["terms"]["price_decimals"])
    now = advice["current_price"]
    named = f"your {name_limit(rule)} of {limit:.{digits}f}"
    if rule == "min_margin":
        named = f"the price of your {name_limit(rule)}, {limit:.{digits}f},"
    return f"{named} is {'above' if limit > now else 'below'} the current price {now:.{digits}f}"


def broken_by(
    settings: Mapping[str, Any], before: Mapping[str, Any], newest: Sequence[Entry]
) -> dict[str, tuple[str, float]]:
    """Return setting and money of each new hard limit that a product's current price breaks, by product."""
    found = {}
    for advice in newest:
        price = advice["current_price"]
        broken = bounds_on(settings, advice).breaks(price)
        if broken is not None and broken != bounds_on(before, advice).breaks(price):
            found[advice["product"]] = broken
    return found
