"""Limits of a shop as its log has them: the newest advice's, and typed ones since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from operator import itemgetter
from typing import Any, NamedTuple

from pricerl.formatting import PLAIN_DIGITS
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts, least_price
from pricerl.guardrails.limits_in_force import HardLimits, name_limit, refuse_price
from pricerl.guardrails.price_grid import is_multiple, is_outside, slack
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import LIMITS

TYPED = ("floor", "ceiling", "min_margin", "max_change", "max_week_change", "min_hold_days", "price_step")
"""Limits that a person may type; a configuration has all of them."""

ON_CHANGES = ("max_change", "max_week_change", "min_hold_days")
"""Limits whose effect on a price only the next advice finds."""

OF_SOME = ("products", "relations")
"""Settings of the guardrails that concern some products each."""

DEFAULTS = asdict(GuardrailConfig())


class Bounds(NamedTuple):
    """Hard limits on the price of a product, and the setting that determines the lower one."""

    limits: HardLimits
    lowest_rule: str

    def breaks(self, price: float) -> tuple[str, float] | None:
        """Return setting and money of the limit that a price breaks, if any."""
        floor, ceiling, step = astuple(self.limits)
        if price < floor - slack(price, step):
            return self.lowest_rule, floor
        return ("ceiling", ceiling) if ceiling is not None and price > ceiling + slack(price, step) else None


def own_settings(config: GuardrailConfig, product: str) -> dict[str, Any]:
    """Return the settings of the guardrails that apply to a product and differ from the defaults, but relations."""
    found = {name: value for name, value in asdict(config).items() if value != DEFAULTS[name] and name not in OF_SOME}
    own = (config.products or {}).get(product)
    return found if own is None else {**found, "products": {product: own}}


def settings_in_force(newest: Mapping[str, Entry], entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the settings of the guardrails in force, given the newest advice by product, at least one.

    The last advice's settings, with what was typed since, as the ``entries`` of the log have it. A product that the
    last file does not hold keeps the limits of its own that it had.
    """
    last = max(newest.values(), key=itemgetter("id"))
    products = {
        name: own for advice in newest.values() for name, own in (_settings_of(advice).get("products") or {}).items()
    }
    named = [relation for advice in newest.values() for relation in advice["terms"]["relations"]]
    relations = [relation for at, relation in enumerate(named) if relation not in named[:at]]
    known = {**DEFAULTS, **_settings_of(last), "products": products or None, "relations": relations or None}
    typed = (entry for entry in entries if entry["kind"] == LIMITS)
    return with_typed(known, (entry for entry in typed if _is_new(entry, newest.get(entry["product"], last))))


def _settings_of(advice: Entry) -> dict[str, Any]:
    """Return the settings of the guardrails that an advice kept to and that differ from the defaults."""
    older = advice["settings"].get("data", {}).get("guardrails", {})  # of pricerl 1.0
    return dict(advice["terms"].get("guardrails", older))


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
    return [entry for entry in entries if entry["kind"] == LIMITS and _is_new(entry, advice)]


def _is_new(entry: Entry, advice: Entry) -> bool:
    return bool(entry["id"] > (advice["terms"].get("since") or advice["seen"]))


def limits_on(settings: Mapping[str, Any], product: str) -> dict[str, Any]:
    """Return the settings of the guardrails that apply to a product."""
    return {**DEFAULTS, **settings, **((settings.get("products") or {}).get(product) or {})}


def bounds_on(settings: Mapping[str, Any], advice: Entry) -> Bounds:
    """Return the hard limits that settings of the guardrails put on the product of an advice."""
    own = limits_on(settings, advice["product"])
    share_kept, unit_cost = advice["limits"].get("costs") or (1.0, 0.0)
    shares = {"min_margin": least_price(UnitCosts(share_kept, unit_cost, known=True), own["min_margin"])}
    lows = {name: own[name] or 0.0 for name in ("floor", "min_advertised_price", "price_step")} | shares
    lowest = max(lows, key=lambda name: lows[name])
    return Bounds(HardLimits(lows[lowest], own["ceiling"], own["price_step"]), lowest)


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
    own_price = not (ordered or advice.get("order") or advice.get("test"))
    if own_price and (settings := advice["terms"].get("guardrails")) is not None:
        own = limits_on(settings, advice["product"])
        drop, rise = (own["max_change"] if own[name] is None else own[name] for name in ("max_drop", "max_rise"))
        lowest, highest = (advice["limits"][end] or now for end in ("lowest", "highest"))
        if is_outside(price, min(lowest, now * (1 - drop)), max(highest, now * (1 + rise))):
            return f"{price:g} lies further from the current price {now:g} than your largest change allows"
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
    text = "the price of your {}, {:.{}f}," if rule == "min_margin" else "your {} of {:.{}f}"
    side = "above" if limit > now else "below"
    return f"{text.format(name_limit(rule), limit, digits)} is {side} the current price {now:.{digits}f}"


def broken_by(
    settings: Mapping[str, Any], before: Mapping[str, Any], newest: Sequence[Entry]
) -> dict[str, tuple[str, float]]:
    """Return setting and money of each new hard limit that a product's current price breaks, by product."""
    known, now = (
        {item["product"]: bounds_on(given, item).breaks(item["current_price"]) for item in newest}
        for given in (before, settings)
    )
    return {name: limit for name, limit in now.items() if limit is not None and limit != known[name]}
