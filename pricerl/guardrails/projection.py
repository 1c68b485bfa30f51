"""Projection of proposed prices onto those that the guardrails allow, in any precision: total and fail-closed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.guardrails.limits import MOVING, MenuRows, PriceGaps, PriceLimits, RecentPrices, is_small
from pricerl.guardrails.price_grid import FLOAT32_SLACK, ROUNDING_SLACK, from_steps, in_steps, slack


class PriceBand(NamedTuple):
    """Prices that satisfy every limit, each ``(B,)``; ``low`` and ``high`` are the current price if none does."""

    low: Tensor
    high: Tensor
    feasible: Tensor
    """Bool; False means that the limits exclude each other: the price is held and a person should look."""
    keep: Tensor
    """Bool; whether the current price may stay, on or off the price grid or menu."""
    limits: PriceLimits


def feasible_band(limits: PriceLimits, recent: RecentPrices) -> PriceBand:
    """Intersect all limits around the current price.

    A current price beyond a soft limit may stay or move inward: the end of a promotion is no reason to change it again.
    Beyond a hard limit it must move inside, and be the largest step towards it if one step does not reach.
    """
    hard, soft = False, True
    lows = {hard: limits.floor, soft: limits.support_low}
    highs = {hard: limits.ceiling, soft: limits.support_high}
    for rule in MOVING:
        lowest, highest = rule.bounds(limits, recent)
        if isinstance(lowest, Tensor):  # others are no limit
            lows[rule.soft] = torch.maximum(lows[rule.soft], lowest)
        if isinstance(highest, Tensor):
            highs[rule.soft] = torch.minimum(highs[rule.soft], highest)
    low = torch.maximum(lows[hard], torch.minimum(lows[soft], recent.current))
    high = torch.minimum(highs[hard], torch.maximum(highs[soft], recent.current))
    return _on_grid(low, high, recent.current, limits, walks=True)


def waits_for_pace(limits: PriceLimits, recent: RecentPrices) -> Tensor:
    """Return whether ``max_week_change`` or ``max_above_median`` alone delay a walk to the hard limits, ``(B,)``."""
    unpaced = limits._replace(max_week_change=torch.inf, max_above_median=None)
    tolerance = slack(recent.current, limits.price_step)
    outside: Tensor = (recent.current < limits.floor - tolerance) | (recent.current > limits.ceiling + tolerance)
    later = ~feasible_band(limits, recent).feasible & feasible_band(unpaced, recent).feasible
    return later & outside & limits.reachable


def price_box(limits: PriceLimits, current_price: Tensor) -> PriceBand:
    """Return the band of an absolute action, ``(B,)`` each: the fixed rules alone, all of them hard."""
    low = torch.maximum(limits.support_low, limits.floor)
    return _on_grid(low, torch.minimum(limits.support_high, limits.ceiling), current_price, limits)


def project(proposal: Tensor, current_price: Tensor, band: PriceBand) -> Tensor:
    """Project a proposed price into today's band, ``(B,)``; total: never NaN, never outside, else the current price.

    Order: finite check, band, price grid or menu, smallest change. If the current price may stay, a proposal of
    it is kept, even off the grid.
    """
    proposal = torch.where(torch.isfinite(proposal), proposal, current_price)
    price = nearest_allowed(proposal, band)
    stays = is_small(price, current_price, band.limits) | (proposal == current_price)
    return torch.where(~band.feasible | (stays & band.keep), current_price, price)


def nearest_allowed(price: Tensor, band: PriceBand) -> Tensor:
    """Return the price on the grid or menu inside the band that is nearest to ``price (B,)``, in money."""
    return torch.minimum(torch.maximum(nearest_on_grid(price, band.limits), band.low), band.high)


def nearest_on_grid(price: Tensor, limits: PriceLimits) -> Tensor:
    """Return the price on the grid or menu that is nearest to ``price (B,)``, in money; ties go to the lower one.

    Of a price in a gap it is the one below, which earns more than any inside and than the one above.
    """
    nearest = steps = in_steps(price, limits.price_step)
    if limits.skips:
        for low, high in limits.gaps_by_row:
            steps = torch.where((steps > low) & (steps < high), low, steps)
        below, above = _neighbours(steps, steps, limits)
        nearest = torch.where(steps - below <= above - steps, below, above)
    return from_steps(torch.round(nearest), limits.price_step)


def lasting_band(limits: PriceLimits, current_price: Tensor) -> PriceBand:
    """Return the prices that one product can reach over time: the alternatives to its current price, ``(1,)`` money.

    The fixed rules hold, and a largest rise or drop of 0 closes its direction; any other largest change only delays a
    price. The current price may stay outside the band unless a hard rule forbids it.
    """
    keep = _on_grid(limits.floor, limits.ceiling, current_price, limits).keep
    drops, rises = (torch.as_tensor(limit, device=current_price.device) > 0 for limit in (limits.drop, limits.rise))
    low = torch.where(drops, limits.floor, torch.maximum(limits.floor, current_price))
    high = torch.where(rises, limits.ceiling, torch.minimum(limits.ceiling, current_price))
    return price_box(limits._replace(floor=low, ceiling=high, min_change=0.0), current_price)._replace(keep=keep)


def spread_prices(band: PriceBand, count: int) -> Tensor:
    """Return ``(B, count)`` ascending prices in money of every row's band; the nearest ones of a ladder or endings."""
    shares = torch.linspace(0, 1, count, dtype=band.low.dtype, device=band.low.device)
    prices = torch.lerp(band.low[:, None], band.high[:, None], shares)
    if not band.limits.skips:
        return prices
    return torch.where(band.feasible, nearest_allowed(prices.T, band), prices.T).T


def _on_grid(low: Tensor, high: Tensor, current_price: Tensor, limits: PriceLimits, walks: bool = False) -> PriceBand:
    """Round limits inward to grid or menu; without any, hold the current price or, if it ``walks``, step inward.

    A current price inside a gap must leave it, by the largest steps down if one does not reach the lower end. A price
    may cross a gap downwards.
    """
    step = limits.price_step
    low = in_steps(low, step) * (1 - FLOAT32_SLACK) - ROUNDING_SLACK
    high = in_steps(high, step) * (1 + FLOAT32_SLACK) + ROUNDING_SLACK
    now = in_steps(current_price, step)
    keep = (now >= low) & (now <= high)
    gaps = limits.gaps
    if gaps is not None:
        shut = gaps.low >= low
        limits = limits._replace(gaps=PriceGaps(*(torch.where(shut, price, torch.inf) for price in gaps)))
    last, first = _neighbours(high, low, limits)
    if gaps is not None:
        inside = (now > gaps.low + ROUNDING_SLACK) & (now < gaps.high - ROUNDING_SLACK) & (first < now - ROUNDING_SLACK)
        keep = keep & ~inside.any(0)
        last = torch.where((inside & ~shut).any(0), first.minimum(last), last)
    feasible = torch.isfinite(first) & (last >= first)
    if walks:
        stuck = limits.reachable & ~feasible
        up = stuck & (current_price < limits.floor) & (last > now * (1 + FLOAT32_SLACK) + ROUNDING_SLACK)
        down = stuck & (current_price > limits.ceiling) & (first < now * (1 - FLOAT32_SLACK) - ROUNDING_SLACK)
        first, last = torch.where(up, last, first), torch.where(down, first, last)
        feasible = feasible | up | down
    low = from_steps(first, step)
    high = from_steps(last, step)
    return PriceBand(
        torch.where(feasible, low, current_price), torch.where(feasible, high, current_price), feasible, keep, limits
    )


def _neighbours(high: Tensor, low: Tensor, limits: PriceLimits) -> tuple[Tensor, Tensor]:
    """Return the last allowed price at or below ``high (B,)`` and first at or above ``low (B,)``, in price steps."""
    last, first = (torch.floor(high), torch.ceil(low)) if limits.menu is None else _on_menu(high, low, limits.menu)
    for below, above in limits.gaps_by_row:
        first = torch.where((first > below) & (first < above), above, first)
        last = torch.where((last > below) & (last < above), below, last)
    return last, first


def _on_menu(high: Tensor, low: Tensor, menu: MenuRows) -> tuple[Tensor, Tensor]:
    """Return the same on a menu without gaps."""
    below, above = _candidates(high, menu), _candidates(low, menu)
    last = torch.where(below <= high[..., None], below, -torch.inf).amax(-1)
    return last, torch.where(above >= low[..., None], above, torch.inf).amin(-1)


def _candidates(steps: Tensor, menu: MenuRows) -> Tensor:
    """Return every allowed price within a period of ``steps (B,)``, ``(B, 3 L)`` price steps."""
    most = 2 / torch.finfo(steps.dtype).eps  # up to here every whole number of steps is exact
    cycle = torch.floor(steps.clamp(-most, most) / menu.period.clamp(min=1))
    return torch.cat([menu.points + (menu.period * (cycle + shift))[..., None] for shift in (-1, 0, 1)], -1)


def pass_through(value: Tensor, hard: Tensor) -> Tensor:
    """Return ``hard`` with the gradient of ``value``, straight through (Bengio et al. 2013, arXiv:1308.3432)."""
    return hard.detach() + (value - value.detach()).nan_to_num(0.0)
