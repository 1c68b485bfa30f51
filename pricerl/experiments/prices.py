"""Prices of a price test as the guardrails let them be charged: each day's price passes the gate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pricerl.data.days import WEEK, steps_in
from pricerl.env.product import Product
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.price_grid import WHOLE, from_steps, in_steps
from pricerl.guardrails.relations import broken_by, span_between
from pricerl.guardrails.today import DIGITS, PriceLog, Today

LONGEST_WAY = 12
"""Most rows on the way from one price of a test to the other: four steps under the default hold and weekly limit."""
LONGEST_WAIT = 10
"""Most rows for which the minimum hold of the last change may delay a test."""
FARTHEST = 0.20
"""Largest distance of a tested price from the current one, as a share: that of an order without --force."""
NEAREST = 0.02
"""Smallest such distance: nearer prices hardly differ in units."""


class ReachablePrice(NamedTuple):
    """A price that the guardrails let a test charge in turn with the current one."""

    current: float
    """Current price, money."""
    price: float
    """Money."""
    rows: int
    """Rows of a block on which the price is still on its way, the longer of both directions."""
    wait: int
    """Rows before the first change, during which the minimum hold of the last one lasts."""


def find_reachable_prices(product: Product, current: Mapping[str, float] | None = None) -> list[ReachablePrice]:
    """Return every price that a few steps towards a lower or a higher price reach, with a way back.

    Prices beyond those tried, or that would break a relation to products that keep their prices, give way to the
    nearest ones that are neither. Those too near to the current price are left out. Products of other markets have
    their ``current`` prices, money, by name.
    """
    today = product.today
    if today.config.pause:
        return []
    name = product.name
    related = product.dynamics.guardrails.related
    kept = {**(current or {}), **product.market.preprocessor.current_prices}
    lowest, highest = product.history.tried_prices
    step = today.config.price_step
    low, high = span_between(related, name, kept)
    first = _round_up(low, step)
    last = _round_down(high, step) if math.isfinite(high) else high
    found = list[ReachablePrice]()
    for wanted in _wanted_prices(today):
        wait, way = _walk_out(today, min(max(wanted, lowest, first), highest, last))
        near = (today.now, *(item.price for item in found))
        if not way or any(abs(way[-1] / other - 1) < NEAREST for other in near):
            continue
        if broken_by(related, name, way[-1], kept):
            continue
        back = _walk_back(today, [today.now] * wait + way, today.now)
        if back is not None:
            rows = max(len(way) - 1, back)
            found.append(ReachablePrice(round(today.now, DIGITS), round(way[-1], DIGITS), rows, wait))
    return found


def gate_blocks(product: Product, wait: int, wanted: Sequence[float]) -> list[float]:
    """Return the price that the gate lets pass on each row, money, after ``wait`` more rows at the current price."""
    today = product.today
    charged = _walk(today, today.log, [today.now] * wait + list(wanted))
    return [round(price, DIGITS) for price in charged][wait:]


def _walk(today: Today, log: PriceLog, wanted: Sequence[float]) -> Iterator[float]:
    """Yield the price that the gate lets pass on each row after a log, money, as far as it is asked for."""
    for price in wanted:
        now = float(log.prices[-1])
        charged = price if price == now else pass_gate(price, now, log, today.costs, today.config).price
        log = log.charge(charged)
        yield charged


def _round_up(price: float, step: float) -> float:
    return from_steps(math.ceil(in_steps(price, step) - WHOLE), step)


def _round_down(price: float, step: float) -> float:
    return from_steps(math.floor(in_steps(price, step) + WHOLE), step)


def _wanted_prices(today: Today) -> list[float]:
    """Return prices one, two and four steps away from which the same number of steps lead back, money."""
    config = today.config
    rise = 1 + config.rise
    drop = 1 - config.drop
    week = config.max_week_change
    prices = list[float]()
    for steps, weeks in ((1, 1), (2, 1), (4, 2)):
        lowest = max((1 - week) ** weeks, (1 + week) ** -weeks, 1 - FARTHEST, drop**steps, rise**-steps)
        highest = min((1 + week) ** weeks, (1 - week) ** -weeks, 1 + FARTHEST, rise**steps, drop**-steps)
        # rounded towards the current price, so that rounding makes no step too long
        prices.append(_round_up(today.now * lowest, config.price_step))
        prices.append(_round_down(today.now * highest, config.price_step))
    return prices


def _walk_out(today: Today, wanted: float) -> tuple[int, list[float]]:
    """Return the rows before the first change towards a price, and the prices from then on to the last change."""
    prices = list[float]()
    for price in _walk(today, today.log, [wanted] * (LONGEST_WAIT + LONGEST_WAY)):
        prices.append(price)
        wait = next((row for row, price in enumerate(prices) if price != today.now), len(prices))
        if wait >= LONGEST_WAIT or len(prices) - wait >= LONGEST_WAY or today.same(price, wanted):
            break
    return (wait, prices[wait : prices.index(prices[-1]) + 1]) if wait < LONGEST_WAIT else (wait, [])


def _walk_back(today: Today, way: Sequence[float], target: float) -> int | None:
    """Return the rows on the way back to a price after a week at the end of a way; None if it takes too long."""
    log = today.log
    for price in (*way, *[way[-1]] * (steps_in(WEEK, log.step_days) - 1)):
        log = log.charge(price)
    prices = _walk(today, log, [target] * LONGEST_WAY)
    return next((rows for rows, price in enumerate(prices) if today.same(price, target)), None)
