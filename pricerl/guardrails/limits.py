"""Guardrails: each rule once, as a function of prices in any precision.

``B`` rows in single precision are projected in training, evaluation and advice (``guardrails/projection.py``); one
product's prices pass the last gate in double precision (``guardrails/gate.py``). A new rule is one row here, named
after its setting in ``GuardrailConfig``; ``docs/guardrails.md`` has the order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.days import DAY, RECENT_DAYS, WEEK, steps_in
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts, fee_gaps, least_price
from pricerl.guardrails.price_grid import EVERY_STEP

Value = float | Tensor
"""A number if it is equal for all products, else ``(B,)``."""


class GuardedProduct(NamedTuple):
    """Constants of one product for the fixed rules."""

    config: GuardrailConfig
    """The product's own limits, ``GuardrailConfig.of``."""
    support: tuple[float, float]
    """Lowest and highest price that the history supports, in money; see ``support_box``."""
    costs: UnitCosts


class RecentPrices(NamedTuple):
    """Past prices used by the moving rules, in money: each ``(B,)``, or a float for one product."""

    current: Any
    week_ago: Any
    """Price charged 7 days before the next day."""
    median: Any
    """Median of the last 28 days, or None if no rule uses it."""


class MenuRows(NamedTuple):
    """Allowed prices of each row's product, in price steps: ``points + k * period`` for every whole ``k``."""

    points: Tensor
    """``(B, L)`` whole numbers."""
    period: Tensor
    """``(B,)`` whole numbers; 0 for a ladder, which does not repeat."""


class PriceGaps(NamedTuple):
    """Allowed prices around gaps, in price steps ``(M, B)``, ascending; see ``fee_gaps``."""

    low: Tensor
    high: Tensor


class PriceLimits(NamedTuple):
    """Limits of each row's product: the fixed rules' bounds, ``(B,)`` money, and the settings of the moving rules."""

    floor: Tensor
    """Hard limit: a current price beyond it must move."""
    ceiling: Tensor
    support_low: Tensor
    """Soft limit, widened until it contains the hard ones: a current price beyond it may stay."""
    support_high: Tensor
    drop: Value
    rise: Value
    max_week_change: Value
    max_above_median: Value | None
    """None if no product has such a limit."""
    min_change: Value
    menu: MenuRows | None
    """None if every multiple of the price step is allowed."""
    price_step: float
    reachable: Tensor
    """Bool ``(B,)``; whether a price satisfies all hard limits. A current price beyond them then walks there."""
    gaps: PriceGaps | None = None
    """None if no product has any."""

    @property
    def skips(self) -> bool:
        """Whether some multiples of the price step are not allowed."""
        return self.menu is not None or self.gaps is not None

    @property
    def gaps_by_row(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Prices around each gap, in price steps ``(B,)`` each."""
        return () if self.gaps is None else [*zip(*self.gaps, strict=True)]

    def rows(self, product: Tensor) -> PriceLimits:
        """Pick the limits of each row's product ``(B,)``, once per episode."""
        menu = None if self.menu is None else MenuRows(*(values[product] for values in self.menu))
        own: dict[str, Any] = {name: item[product] for name, item in self._asdict().items() if isinstance(item, Tensor)}
        gaps = None if self.gaps is None else PriceGaps(*(values[:, product] for values in self.gaps))
        return self._replace(**own, menu=menu, gaps=gaps)

    def change(self, action: Tensor) -> Tensor:
        """Return the relative price change of an action ``(B,)``: -1 is the largest drop, 1 the largest rise."""
        if isinstance(self.rise, float) and isinstance(self.drop, float) and self.rise == self.drop:
            return action * self.rise
        return action.clamp(min=0) * self.rise + action.clamp(max=0) * self.drop


class Rule(NamedTuple):
    """One limit on the price."""

    setting: str
    why: str
    """Reason for an edit; names in braces are settings, shares as percent, or fields of ``RecentPrices``."""
    soft: bool
    """Whether a current price beyond the limit may stay; hard rules force it inside."""
    bounds: Callable[..., tuple[Any, Any]]
    """Function that returns the lowest and highest price in money, 0 and infinite for no limit: of a
    ``GuardedProduct``, or of limits, ``PriceLimits`` or one product's ``GuardrailConfig``, and ``RecentPrices``,
    ``(B,)`` or floats as these."""


FIXED = (
    Rule(
        "support_margin",
        "near the prices that were tried",
        True,
        lambda product: (float(product.support[0]), float(product.support[1])),
    ),
    Rule(
        "min_margin",
        "a margin of {min_margin} % after fees and cost",
        False,
        lambda product: (
            least_price(product.costs, product.config.min_margin) if product.costs.known else 0.0,
            math.inf,
        ),
    ),
    Rule(
        "price_step",
        "a price is at least one price step",
        False,
        lambda product: (product.config.price_step, math.inf),
    ),
    Rule(
        "min_advertised_price",
        "at least {min_advertised_price}",
        False,
        lambda product: (product.config.min_advertised_price or 0.0, math.inf),
    ),
    Rule("floor", "at least {floor}", False, lambda product: (product.config.floor or 0.0, math.inf)),
    Rule("ceiling", "at most {ceiling}", False, lambda product: (0.0, product.config.highest)),
)
"""Rules whose bounds do not depend on past prices, in order."""

MOVING = (
    Rule(
        "max_above_median",
        f"at most {{max_above_median}} % above {{median}}, its median of {RECENT_DAYS} days",
        True,
        lambda limits, recent: (
            0.0,
            math.inf if limits.max_above_median is None else recent.median * (1 + limits.max_above_median),
        ),
    ),
    Rule(
        "max_drop",
        "at most {max_drop} % below the current price",
        False,
        lambda limits, recent: (recent.current * (1 - limits.drop), math.inf),
    ),
    Rule(
        "max_rise",
        "at most {max_rise} % above the current price",
        False,
        lambda limits, recent: (0.0, recent.current * (1 + limits.rise)),
    ),
    Rule(
        "max_week_change",
        f"at most {{max_week_change}} % from {{week_ago}}, the price of {WEEK} days before",
        True,
        lambda limits, recent: (
            recent.week_ago * (1 - limits.max_week_change),
            recent.week_ago * (1 + limits.max_week_change),
        ),
    ),
)
"""Rules whose bounds depend on past prices, applied after the fixed ones; absolute actions ignore them."""


def is_small(price: Tensor, current_price: Tensor, limits: PriceLimits) -> Tensor:
    """Return whether the change from the current price ``(B,)`` to a price is smaller than ``min_change``."""
    return (price - current_price).abs() < limits.min_change * current_price


def days_held(dates: DateArray, prices: FloatArray, step_days: int = 1) -> int:
    """Return the days at the last of ``prices (D,)``, by ascending ``dates (D,)``; a row lasts ``step_days``."""
    changed = np.flatnonzero(prices != prices[-1])
    first = changed[-1] + 1 if len(changed) else 0
    return int((dates[-1] - dates[first]) / DAY) + step_days


def support_box(tried_prices: FloatArray, config: GuardrailConfig) -> tuple[float, float]:
    """Return the lowest and highest price the history supports: 5th and 95th percentile of the days, widened."""
    low, high = np.percentile(tried_prices, [5, 95])
    return float(low * (1 - config.support_margin)), float(high * (1 + config.support_margin))


def price_limits(
    products: Sequence[GuardedProduct],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PriceLimits:
    """Return the limits of all products, ``(P,)`` each, of one price step; fixed ones are found in double precision."""

    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    def share(values: list[float]) -> Value:
        return float(values[0]) if len(set(values)) == 1 else column(values)

    configs = [product.config for product in products]
    floor, ceiling, support_low, support_high = zip(*map(intersect_fixed, products), strict=True)
    reachable = map(GuardrailConfig.has_price_between, configs, floor, ceiling)
    above = [math.inf if config.max_above_median is None else config.max_above_median for config in configs]
    return PriceLimits(
        floor=column(floor),
        ceiling=column(ceiling),
        support_low=column(support_low),
        support_high=column(support_high),
        drop=share([config.drop for config in configs]),
        rise=share([config.rise for config in configs]),
        max_week_change=share([config.max_week_change for config in configs]),
        max_above_median=None if min(above) == math.inf else share(above),
        min_change=share([config.min_change for config in configs]),
        menu=_menu_rows(configs, column),
        price_step=configs[0].price_step,
        reachable=torch.tensor(list(reachable), device=device),
        gaps=_stack_gaps(products, list(map(max, floor, support_low)), column),
    )


def recent_prices(prices: Tensor, trail: Tensor | None, step_days: int = 1) -> RecentPrices:
    """Return past prices for the moving rules from ``prices (D, B)`` and, for the median, a ``trail`` of four weeks."""
    median = None if trail is None else trail.sort(0).values[len(trail) // 2 - 1 :][:2].mean(0)
    return RecentPrices(prices[-1], prices[-steps_in(WEEK, step_days)], median)


def intersect_fixed(product: GuardedProduct) -> tuple[float, float, float, float]:
    """Return floor and ceiling of the hard fixed rules, then of the soft ones, widened to contain them; money."""
    (floors, ceilings), (lows, highs) = (
        zip(*(rule.bounds(product) for rule in FIXED if rule.soft == soft), strict=True) for soft in (False, True)
    )
    floor, ceiling = max(floors), min(ceilings)
    return floor, ceiling, min(max(lows), ceiling), max(min(highs), floor)


def _stack_gaps(
    products: Sequence[GuardedProduct], lowest: Sequence[float], column: Callable[[Any], Tensor]
) -> PriceGaps | None:
    """Return the products' gaps; where a product has fewer, the others lie beyond all prices."""
    found = [fee_gaps(item.costs, item.config, low) for item, low in zip(products, lowest, strict=True)]
    most = max(map(len, found))
    padded = [gaps + [(math.inf, math.inf)] * (most - len(gaps)) for gaps in found]
    return PriceGaps(*column(padded).movedim((2, 1), (0, 1))) if most else None


def _menu_rows(configs: Sequence[GuardrailConfig], column: Callable[[Any], Tensor]) -> MenuRows | None:
    """Return the products' menus as ``(P, L)`` points, shorter ones padded with their last point."""
    menus = [config.menu for config in configs]
    if all(menu == EVERY_STEP for menu in menus):
        return None
    longest = max(len(menu.points) for menu in menus)
    points = [menu.points + menu.points[-1:] * (longest - len(menu.points)) for menu in menus]
    return MenuRows(column(points), column([menu.period for menu in menus]))
