"""Settings of the guardrails, for all products or single ones, with checks for contradictions.

The docstring of a setting is its only description: the help prints it, and ``configs/guardrails.yaml`` and
``docs/guardrails.md`` repeat it, which a test checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any

from pricerl.arrays import is_number
from pricerl.data.naming import describe_strangers
from pricerl.errors import UsageError, check_settings, did_you_mean, refuse
from pricerl.guardrails.price_grid import (
    EVERY_STEP,
    WHOLE,
    PriceMenu,
    ending_period,
    endings_menu,
    in_steps,
    is_multiple,
    ladder_menu,
)
from pricerl.guardrails.relations import Relation, read_relations

SHARES = (
    *("max_change", "max_rise", "max_drop", "max_week_change", "min_change", "min_margin", "support_margin"),
    "test_change",
)
PERCENTAGES = (*SHARES, "max_above_median")
"""Settings displayed as percent."""

POSITIVE = ("ceiling", "max_change", "max_week_change", "price_step", "test_change")
LISTS = ("price_ladder", "charm_endings")
SHARED_BY_ALL = ("price_step", "min_hold_days", "products", "relations")
"""Settings of all products alike: one price grid, and decisions that last equally long."""

NO_NUMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "pause": ("be true or false", lambda value: isinstance(value, bool)),
    "products": ("hold products by their name", lambda value: isinstance(value, dict)),
    "relations": ("", lambda value: True),  # read_relations checks them
    **dict.fromkeys(
        LISTS,
        (
            "be a list of prices such as [9.99, 12.99]",
            lambda value: isinstance(value, tuple) and len(value) > 0 and all(map(is_number, value)),
        ),
    ),
}
RANGES: dict[tuple[str, ...], tuple[str, Callable[[float], bool]]] = {
    POSITIVE: ("be positive", lambda value: value > 0),
    SHARES: ("be at least 0 and below 1", lambda value: 0 <= value < 1),
    ("max_above_median",): ("be 0 or more", lambda value: value >= 0),
    ("min_hold_days",): ("be at least 1 and whole", lambda value: value >= 1 and value == int(value)),
}
"""Requirement on the value of a setting, in words and as a check; all other settings must be finite numbers."""


@dataclass(frozen=True)
class GuardrailConfig:
    """Limits on the price; ``docs/guardrails.md`` has their order and their conflicts."""

    floor: float | None = None
    """Never charge less than this, in money."""

    ceiling: float | None = None
    """Never charge more than this, in money."""

    min_advertised_price: float | None = None
    """The lowest price that the brand lets its sellers advertise, in money."""

    min_margin: float = 0.0
    """The smallest share of the price left after fees and unit cost, where costs are known; 0 is never below cost."""

    max_above_median: float | None = None
    """How far the price may exceed the product's own median price of the last 28 days, as a share; 0.20 is 20 %.
    Amazon and Walmart hide such offers; their files set 0.2."""

    max_change: float = 0.05
    """The largest change at one decision, up or down, as a share of the price."""

    max_rise: float | None = None
    """The largest rise at one decision, as a share; ``max_change`` if absent, and 0 never raises the price."""

    max_drop: float | None = None
    """The largest drop at one decision, as a share; ``max_change`` if absent, and 0 never lowers the price."""

    max_week_change: float = 0.10
    """The largest change against the price of 7 days before, as a share of it."""

    min_hold_days: int = 3
    """Days for which a new price stays before it may change again."""

    min_change: float = 0.01
    """Smaller changes, as a share of the price, are left out: they cost trust and teach nothing."""

    price_step: float = 0.01
    """Prices are whole multiples of this, in money, and at least one of it."""

    price_ladder: tuple[float, ...] | None = None
    """The only prices that may be charged, in money, such as [9.49, 9.99, 10.49]."""

    charm_endings: tuple[float, ...] | None = None
    """Prices must end in one of these, in money: 0.99 allows 0.99, 1.99 and so on. Not together with a ladder."""

    pause: bool = False
    """Whether prices stay as they are, whatever is proposed; training goes on as if they did not."""

    support_margin: float = 0.10
    """How far beyond the 5th and 95th percentile of the prices charged the price may go, as a share."""

    test_change: float | None = None
    """May I try prices up to this far from the current one in price tests, as a share: 0.10 for 10 %, for four weeks?
    Beyond the largest changes and the prices tried, but never beyond a hard limit; null keeps tests inside them."""

    products: dict[str, dict[str, Any]] | None = None
    """Settings of single products that differ from those above, by the product's name."""

    relations: list[dict[str, Any]] | None = None
    """Relations between the prices of several products: ``size_order``, ``multipack`` and ``one_price``."""

    def __post_init__(self) -> None:
        for name in LISTS:
            if isinstance(prices := getattr(self, name), list):
                object.__setattr__(self, name, tuple(prices))
        check_settings("guardrails.", self, {it.name: _wanted(it.name, getattr(self, it.name)) for it in fields(self)})
        _check_crossings(self)
        _check_menu(self)
        _ = self.related
        for product in self.products or {}:
            self.of(product)

    @property
    def related(self) -> tuple[Relation, ...]:
        """Relations between products."""
        return read_relations(self.relations)

    @property
    def rise(self) -> float:
        """Largest relative rise at one decision."""
        return self.max_change if self.max_rise is None else self.max_rise

    @property
    def drop(self) -> float:
        """Largest relative drop at one decision."""
        return self.max_change if self.max_drop is None else self.max_drop

    def in_force(self, setting: str) -> str:
        """Return the setting in force: ``max_change`` for a ``max_rise`` or ``max_drop`` that is absent."""
        return "max_change" if setting in ("max_rise", "max_drop") and getattr(self, setting) is None else setting

    @property
    def lowest(self) -> float:
        """Lowest price that the settings allow, in money; costs may require more."""
        return max(self.floor or 0.0, self.min_advertised_price or 0.0, self.price_step)

    @property
    def highest(self) -> float:
        """Highest price that the settings allow, in money; infinite without a ceiling."""
        return math.inf if self.ceiling is None else self.ceiling

    @property
    def menu(self) -> PriceMenu:
        """Menu of prices that may be charged."""
        if self.price_ladder is not None:
            return ladder_menu(self.price_ladder, self.price_step)
        if self.charm_endings is not None:
            return endings_menu(self.charm_endings, self.price_step)
        return EVERY_STEP

    def has_price_between(self, low: float, high: float) -> bool:
        """Return whether the grid or menu has a price between two, in money; the higher one may be infinite."""
        first = self.menu.above(in_steps(low, self.price_step) * (1 - WHOLE))
        return math.isfinite(first) and first <= in_steps(high, self.price_step) * (1 + WHOLE)

    def of(self, product: str) -> GuardrailConfig:
        """Return a product's own limits, otherwise the limits of all; raise a ``UsageError`` on a contradiction."""
        own = (self.products or {}).get(product, {})
        where = f"guardrails.products.{product}"
        refuse({f"{where} must hold settings such as 'floor: 9.90', found {own!r}": not isinstance(own, dict)})
        known = [item.name for item in fields(self) if item.name not in SHARED_BY_ALL]
        refuse({f"{where}.{name}: all products share it; set guardrails.{name}": name in SHARED_BY_ALL for name in own})
        unknown = [name for name in own if name not in known]
        refuse({f"{where}: unknown setting {name}{did_you_mean(str(name), known)}": True for name in unknown})
        try:
            return replace(self, products=None, relations=None, **own)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error

    def check_products(self, known: Collection[str]) -> None:
        """Raise a ``UsageError`` that names every product with limits or relations that is not ``known``."""
        related = (name for item in self.related for name in item.products)
        for setting, names in (("products", self.products or {}), ("relations", related)):
            if unknown := [name for name in dict.fromkeys(names) if name not in known]:
                raise UsageError(f"guardrails.{setting}: {describe_strangers(unknown, known)}")


def _wanted(setting: str, value: Any) -> tuple[bool, str]:
    """Return whether the value of a setting is allowed, and what it must be; only an optional one may be absent."""
    form = NO_NUMBERS.get(setting, ("be a finite number", is_number))
    checks = (form, *(check for settings, check in RANGES.items() if setting in settings))
    wanted = next((wanted for wanted, holds in checks if not holds(value)), "")
    absent = value is None and getattr(GuardrailConfig, setting) is None
    return absent or not wanted, wanted


def _check_crossings(config: GuardrailConfig) -> None:
    """Refuse pairs of limits that leave no price."""
    lows = {name: getattr(config, name) or 0.0 for name in ("floor", "min_advertised_price", "price_step")}
    changes = {config.in_force("max_rise"): config.rise, config.in_force("max_drop"): config.drop}
    refuse(
        {
            **{
                f"guardrails.{name} {low} lies above guardrails.ceiling {config.ceiling}; exchange or widen them": (
                    low > config.highest
                )
                for name, low in lows.items()
            },
            "guardrails.max_rise 0 and guardrails.max_drop 0 leave no other price; set guardrails.pause": (
                config.rise == config.drop == 0
            ),
            **{
                f"guardrails.min_change {config.min_change} lies above guardrails.{name} {share}; no such change would "
                "ever be allowed": 0 < share < config.min_change
                for name, share in changes.items()
            },
        }
    )


def _check_menu(config: GuardrailConfig) -> None:
    """Refuse a ladder or endings off the price grid, or without a price between the lowest and the highest."""
    given = [name for name in LISTS if getattr(config, name) is not None]
    refuse(
        {"guardrails.price_ladder and guardrails.charm_endings exclude each other; remove one of them": len(given) > 1}
    )
    for name in given:
        prices = getattr(config, name)
        repeats = [ending_period(prices)] if name == "charm_endings" else []
        off = next((price for price in (*prices, *repeats) if not is_multiple(price, config.price_step)), None)
        refuse(
            {
                f"guardrails.{name} must hold positive prices, found {min(prices)}": (
                    min(prices) < 0 or (name == "price_ladder" and min(prices) == 0)
                ),
                f"guardrails.{name}: {off} is no whole multiple of guardrails.price_step {config.price_step}": (
                    off is not None
                ),
            }
        )
        refuse(
            {
                f"guardrails.{name} has no price between {config.lowest} (the higher of guardrails.floor and "
                f"guardrails.min_advertised_price) and {config.highest} (guardrails.ceiling); widen one of them": (
                    not config.has_price_between(config.lowest, config.highest)
                )
            }
        )
