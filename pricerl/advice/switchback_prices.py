"""Prices of a switchback test as the guardrails let them be charged: each day's price passes the gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pricerl.data.days import WEEK, steps_in
from pricerl.env import Product
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.price_grid import WHOLE, from_steps, in_steps
from pricerl.guardrails.relations import broken_by, span_between
from pricerl.guardrails.today import DIGITS, Today

LONGEST_WAY = 5
"""Most rows on the way from one price of a test to the other: two steps under the default hold."""

LONGEST_WAIT = 10
"""Most rows for which the minimum hold of the last change may delay a test."""

FARTHEST, NEAREST = 0.20, 0.02
"""Largest and smallest distance of a tested price from the current one, as shares. The largest is that of an order
without --force; nearer prices hardly differ in units."""


class Way(NamedTuple):
    """Way to a price and back under the guardrails."""

    now: float
    """Current price, money."""
    price: float
    """Money."""
    rows: int
    """Rows of a block on which the price is still on its way, the longer of both directions."""
    wait: int
    """Rows before the first change, during which the minimum hold of the last one lasts."""


def find_ways(product: Product, current: Mapping[str, float] | None = None) -> list[Way]:
    """Return every price that a few steps towards a lower or a higher price reach, with the way there and back.

    Prices beyond those tried, or that would break a relation to products that keep their prices, give way to the
    nearest ones that are neither. Those too near to the current price are left out.

    Args:
        product: with its guardrails.
        current: current prices of products of other markets, by name, money.
    """
    today, found = product.today, list[Way]()
    if today.config.pause:
        return []
    name, related = product.name, product.dynamics.guardrails.related
    kept = {**(current or {}), **product.market.preprocessor.current_prices}
    span = _on_grid(span_between(related, name, kept), today.config.price_step)
    lowest, highest = product.history.tried_prices
    low, high = max(lowest, span[0]), min(highest, span[1])
    for wanted in _wanted_prices(today):
        wait, way = _walk_out(today, min(max(wanted, low), high))
        new = way and all(abs(way[-1] / other - 1) >= NEAREST for other in (today.now, *(item.price for item in found)))
        if new and not broken_by(related, name, way[-1], kept):
            back = _walk_back(today, [today.now] * wait + way, today.now)
            if back is not None:
                found.append(Way(round(today.now, DIGITS), round(way[-1], DIGITS), max(len(way) - 1, back), wait))
    return found


def gate_blocks(product: Product, wait: int, wanted: Sequence[float]) -> list[float]:
    """Return the price of each row that the gate lets pass, money, after ``wait`` more rows at the current price.

    Args:
        product: with its guardrails.
        wait: rows between the end of the history and the first of ``wanted``.
        wanted: price of the block that each row belongs to, money.
    """
    today = product.today
    log, found = today.log, []
    for _ in range(wait):
        log = log.charge(today.now)
    for price in wanted:
        now = float(log.prices[-1])
        charged = price if price == now else pass_gate(price, now, log, today.costs, today.config).price
        log = log.charge(charged)
        found.append(round(charged, DIGITS))
    return found


def _on_grid(span: tuple[float, float], step: float) -> tuple[float, float]:
    """Return the lowest and the highest price of a span that are whole price steps, money."""
    low, high = span
    first = from_steps(math.ceil(in_steps(low, step) - WHOLE), step)
    return first, from_steps(math.floor(in_steps(high, step) + WHOLE), step) if math.isfinite(high) else high


def _wanted_prices(today: Today) -> list[float]:
    """Return prices one and two steps away from which the same number of steps lead back, money."""
    config = today.config
    rise, drop, week = (1 + config.rise, 1 - config.drop, config.max_week_change)
    lowest, highest = max(1 - week, 1 / (1 + week)), min(1 + week, 1 / (1 - week))
    factors = (max(drop, 1 / rise), min(rise, 1 / drop)), (max(drop**2, 1 / rise**2), min(rise**2, 1 / drop**2))
    bounded = [min(max(factor, lowest, 1 - FARTHEST), highest, 1 + FARTHEST) for pair in factors for factor in pair]
    step = config.price_step
    # rounded towards the current price, so that rounding makes no step too long
    return [
        from_steps(
            math.ceil(in_steps(today.now * factor, step) - WHOLE)
            if factor < 1
            else math.floor(in_steps(today.now * factor, step) + WHOLE),
            step,
        )
        for factor in bounded
    ]


def _walk_out(today: Today, wanted: float) -> tuple[int, list[float]]:
    """Return the rows before the first change towards a price, and the prices from then on to the last change."""
    log, prices = today.log, list[float]()
    for _ in range(LONGEST_WAIT + LONGEST_WAY):
        prices.append(pass_gate(wanted, float(log.prices[-1]), log, today.costs, today.config).price)
        log = log.charge(prices[-1])
        wait = next((row for row, price in enumerate(prices) if price != today.now), len(prices))
        if wait >= LONGEST_WAIT or len(prices) - wait >= LONGEST_WAY or today.same(prices[-1], wanted):
            break
    return (wait, prices[wait : prices.index(prices[-1]) + 1]) if wait < LONGEST_WAIT else (wait, [])


def _walk_back(today: Today, way: Sequence[float], target: float) -> int | None:
    """Return the rows on the way back to a price after a week at the end of a way; None if it takes too long."""
    log = today.log
    for price in (*way, *[way[-1]] * (steps_in(WEEK, log.step_days) - 1)):
        log = log.charge(price)
    for rows in range(LONGEST_WAY):
        price = pass_gate(target, float(log.prices[-1]), log, today.costs, today.config).price
        log = log.charge(price)
        if today.same(price, target):
            return rows
    return None
