"""Guardrails: the one pure projection between a proposed price and a charged one, for batches.

Training, evaluation and advice call the same function, so the price simulated is the price advised. It is total
and fail-closed: whatever is proposed, the result is finite, and where no price satisfies every limit the
price now is held. ``guardrails/rulebook.py`` holds the same rules for one price at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.guardrails.config import TRAILING_DAYS, GuardrailConfig
from pricerl.guardrails.price_grid import EVERY_STEP, FLOAT32_SLACK, ROUNDING_SLACK, steps_per_unit

__all__ = [
    "FLOAT32_SLACK",
    "ROUNDING_SLACK",
    "TRAILING_DAYS",
    "GuardrailConfig",
    "MenuRows",
    "PriceBand",
    "PriceLimits",
    "PriceRules",
    "feasible_band",
    "hard_limits",
    "price_box",
    "price_rules",
    "project",
    "support_box",
    "to_allowed",
]

MOST_STEPS = 2.0**24
"""Up to here float32 holds every whole number of price steps."""


class PriceLimits(NamedTuple):
    """Limits of each row's product, each ``(B,)`` in money; hard limits always bind, the support box never forces."""

    floor: Tensor
    ceiling: Tensor
    support_low: Tensor
    support_high: Tensor


class MenuRows(NamedTuple):
    """Allowed prices of each row's product, in price steps: ``points + k * period`` for every whole ``k``."""

    points: Tensor
    """``(B, L)`` whole numbers."""
    period: Tensor
    """``(B,)`` whole numbers; 0 for a ladder, which does not repeat."""


class PriceRules(NamedTuple):
    """How far a price may move and where it may stop: numbers where all products agree, else tensors ``(B,)``."""

    drop: float | Tensor
    rise: float | Tensor
    week_change: float | Tensor
    min_change: float | Tensor
    above_median: float | Tensor | None
    """None where no product has a limit against its own trailing price."""
    menu: MenuRows | None
    """None where every multiple of the price step is allowed."""
    price_step: float

    def rows(self, product: Tensor) -> PriceRules:
        """Pick the rules of each row's product ``(B,)``; what all agree on costs nothing."""
        menu = None if self.menu is None else MenuRows(*(values[product] for values in self.menu))
        values: dict[str, Any] = self._asdict()
        own: dict[str, Any] = {name: value[product] for name, value in values.items() if isinstance(value, Tensor)}
        return self._replace(**own, menu=menu)

    def change(self, action: Tensor) -> Tensor:
        """Relative change of the price that an action ``(B,)`` in [-1, 1] asks for: up to the largest rise or drop."""
        if isinstance(self.rise, float) and isinstance(self.drop, float) and self.rise == self.drop:
            return action * self.rise
        return action.clamp(min=0) * self.rise + action.clamp(max=0) * self.drop


class PriceBand(NamedTuple):
    """Prices that satisfy every limit today, each ``(B,)``; ``low == high == price now`` where none does."""

    low: Tensor
    high: Tensor
    feasible: Tensor
    """Bool; False means that the limits exclude each other, so the price is held and someone should look."""
    keep: Tensor
    """Bool; whether the current price may stay. It need not be on the price grid or menu for that."""
    rules: PriceRules


def price_rules(configs: Sequence[GuardrailConfig], device: torch.device | str) -> PriceRules:
    """Rules of all products, ``(P,)`` where they differ.

    Args:
        configs: the limits of each product.
        device: where tensors shall live.
    """

    def share(values: list[float]) -> float | Tensor:
        agreed = len(set(values)) == 1
        return float(values[0]) if agreed else torch.tensor(values, dtype=torch.float32, device=device)

    above = [float("inf") if config.max_above_median is None else config.max_above_median for config in configs]
    return PriceRules(
        drop=share([config.drop for config in configs]),
        rise=share([config.rise for config in configs]),
        week_change=share([config.max_week_change for config in configs]),
        min_change=share([config.min_change for config in configs]),
        above_median=None if min(above) == float("inf") else share(above),
        menu=_menu_rows(configs, device),
        price_step=configs[0].price_step,
    )


def support_box(tried_prices: FloatArray, config: GuardrailConfig) -> tuple[float, float]:
    """Return the lowest and highest price the history supports: 5th and 95th percentile of the days, widened."""
    low, high = np.percentile(tried_prices, [5, 95])
    return float(low * (1 - config.support_margin)), float(high * (1 + config.support_margin))


def hard_limits(config: GuardrailConfig, share_kept: float, unit_cost: float, costs_known: bool) -> tuple[float, float]:
    """Return floor and ceiling in money; the floor holds the margin where costs are known.

    ``k p - c >= m p`` gives ``p >= c / (k - m)``.
    """
    floor = config.lowest
    if costs_known:
        kept = share_kept - config.min_margin
        floor = max(floor, unit_cost / kept if kept > 0 else float("inf"))
    return floor, config.highest


def feasible_band(
    current_price: Tensor,
    price_week_ago: Tensor,
    limits: PriceLimits,
    rules: PriceRules,
    trailing: Tensor | None = None,
) -> PriceBand:
    """Intersect all limits around the current price.

    A price now outside the support box, beyond the week's cap because the seller moved it so, or too far above its
    trailing price, is not forced back, it just may not move further out: the end of a promotion is no reason to change
    the price again. Floor and ceiling do force.

    Args:
        current_price: ``(B,)`` money.
        price_week_ago: ``(B,)`` money, what was charged 7 days before the next day.
        limits: of the rows' products.
        rules: of the rows' products.
        trailing: ``(B,)`` money, median price of the last 28 days; needed where a rule looks at it.
    """
    outer_low = torch.maximum(price_week_ago * (1 - rules.week_change), limits.support_low)
    outer_high = torch.minimum(price_week_ago * (1 + rules.week_change), limits.support_high)
    if rules.above_median is not None:
        assert trailing is not None
        outer_high = torch.minimum(outer_high, trailing * (1 + rules.above_median))
    low = torch.maximum(current_price * (1 - rules.drop), torch.minimum(outer_low, current_price))
    high = torch.minimum(current_price * (1 + rules.rise), torch.maximum(outer_high, current_price))
    return _on_grid(torch.maximum(low, limits.floor), torch.minimum(high, limits.ceiling), current_price, rules)


def price_box(current_price: Tensor, limits: PriceLimits, rules: PriceRules) -> PriceBand:
    """Return the band of an absolute action: support box, floor and ceiling, without step caps, ``(B,)`` each."""
    low = torch.maximum(limits.support_low, limits.floor)
    high = torch.minimum(limits.support_high, limits.ceiling)
    return _on_grid(low, high, current_price, rules)


def project(proposal: Tensor, current_price: Tensor, band: PriceBand, config: GuardrailConfig) -> Tensor:
    """Project a proposed price into today's band, ``(B,)``; total: never NaN, never outside, else the current price.

    Order: finite check, band, price grid or menu, hysteresis. Where the current price may stay, asking for it keeps it,
    also off the grid.
    """
    proposal = torch.where(torch.isfinite(proposal), proposal, current_price)
    price = torch.minimum(torch.maximum(to_allowed(proposal, band, config), band.low), band.high)
    small = ((price - current_price).abs() < band.rules.min_change * current_price) | (proposal == current_price)
    return torch.where(~band.feasible | (small & band.keep), current_price, price)


def to_allowed(price: Tensor, band: PriceBand, config: GuardrailConfig) -> Tensor:
    """Return the price on the grid or menu that is nearest to ``price``, any shape ``(B, ...)``."""
    steps, menu = _in_steps(price, config.price_step), band.rules.menu
    if menu is None:
        return _from_steps(torch.round(steps), config.price_step)
    below, above = _neighbours(steps, steps, menu)
    return _from_steps(torch.where(steps - below <= above - steps, below, above), config.price_step)


def _on_grid(low: Tensor, high: Tensor, current_price: Tensor, rules: PriceRules) -> PriceBand:
    """Pull limits inward to the price grid or menu and hold the current price where nothing is left."""
    low = _in_steps(low, rules.price_step) * (1 - FLOAT32_SLACK) - ROUNDING_SLACK
    high = _in_steps(high, rules.price_step) * (1 + FLOAT32_SLACK) + ROUNDING_SLACK
    now = _in_steps(current_price, rules.price_step)
    keep = (now >= low) & (now <= high)
    if rules.menu is None:
        first, last = torch.ceil(low), torch.floor(high)
    else:
        last, first = _neighbours(high, low, rules.menu)
    feasible = torch.isfinite(first) & (last >= first)
    low, high = _from_steps(first, rules.price_step), _from_steps(last, rules.price_step)
    return PriceBand(
        torch.where(feasible, low, current_price), torch.where(feasible, high, current_price), feasible, keep, rules
    )


def _neighbours(high: Tensor, low: Tensor, menu: MenuRows) -> tuple[Tensor, Tensor]:
    """Last allowed price at or below ``high (B,)`` and first at or above ``low (B,)``, in price steps."""
    infinity = torch.inf
    below, above = _candidates(high, menu), _candidates(low, menu)
    last = torch.where(below <= high[:, None], below, -infinity).amax(1)
    first = torch.where(above >= low[:, None], above, infinity).amin(1)
    return last, first


def _candidates(steps: Tensor, menu: MenuRows) -> Tensor:
    """Every allowed price within a period of ``steps (B,)``, ``(B, 3 L)`` price steps."""
    cycle = torch.floor(steps.clamp(-MOST_STEPS, MOST_STEPS) / menu.period.clamp(min=1))
    shifts = [menu.points + (menu.period * (cycle + shift))[:, None] for shift in (-1, 0, 1)]
    return torch.cat(shifts, 1)


def _menu_rows(configs: Sequence[GuardrailConfig], device: torch.device | str) -> MenuRows | None:
    """The products' menus as ``(P, L)`` points, the shorter ones filled up with their last point."""
    menus = [config.menu for config in configs]
    if all(menu == EVERY_STEP for menu in menus):
        return None
    longest = max(len(menu.points) for menu in menus)
    points = [menu.points + menu.points[-1:] * (longest - len(menu.points)) for menu in menus]
    return MenuRows(
        torch.tensor(points, dtype=torch.float32, device=device),
        torch.tensor([menu.period for menu in menus], dtype=torch.float32, device=device),
    )


def _in_steps(price: Tensor, price_step: float) -> Tensor:
    """Price in price steps."""
    per_unit = steps_per_unit(price_step)
    return price / price_step if per_unit is None else price * per_unit


def _from_steps(steps: Tensor, price_step: float) -> Tensor:
    """Price of a whole number of steps; 1200 cents are exactly the 12.00 that a file would be read as."""
    per_unit = steps_per_unit(price_step)
    return steps * price_step if per_unit is None else steps / per_unit
