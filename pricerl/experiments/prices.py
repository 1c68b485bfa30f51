"""Prices of a price test as the guardrails let them be charged: each day's price passes the gate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pricerl.data.days import WEEK, steps_in
from pricerl.env.product import Product
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.price_grid import WHOLE, from_steps, in_steps
from pricerl.guardrails.relations import broken_by, span_between
from pricerl.guardrails.today import DIGITS, Today

LONGEST_WAY = 12
"""Most rows on the way from one price of a test to the other: four steps under the default hold and weekly limit."""
LONGEST_WAIT = 10
"""Most rows for which the minimum hold of the last change may delay a test."""
WIDTHS = (0.05, 0.10)
"""Distances of tested prices from the current one, as shares of it."""
NEAREST = 0.02
"""Smallest such distance: nearer prices hardly differ in units."""
ALMOST = 0.99
"""Largest share that a limit on changes may be."""


class ArmPrices(NamedTuple):
    """Current price, and another one that the guardrails let a test charge in turn."""

    current: float
    """Price of the regular arm, in money."""
    price: float
    """Price of the test arm, in money."""
    rows: int
    """Rows of a block on which the price is still on its way, the longest of both ways."""
    wait: int
    """Rows before the first change, during which the minimum hold of the last one lasts."""


def rules_of_test(product: Product, consent: float | None = None) -> Today:
    """Return the rules on the prices of a product's test.

    ``guardrails.test_change`` is the seller's consent to prices up to that far away: it takes the place of the largest
    changes and widens the prices tried. Hard limits, a closed direction and a pause stay.
    """
    today = product.today
    far = consent or today.config.test_change
    if far is None:
        return today
    step = min((1 + far) ** 2 - 1, ALMOST)
    config = replace(
        today.config,
        max_rise=step if today.config.rise else 0.0,
        max_drop=step if today.config.drop else 0.0,
        max_week_change=step,
        test_change=far,
    )
    low, high = today.log.support
    support = min(low, today.now / (1 + far)), max(high, today.now * (1 + far))
    return replace(today, config=config, log=today.log._replace(support=support))


def find_arm_prices(
    product: Product, current: Mapping[str, float] | None = None, consent: float | None = None
) -> list[ArmPrices]:
    """Return all pairs of prices for a test: the current one with a higher or a lower one.

    Prices beyond those tried, or that would break a relation to products that keep their prices, give way to the
    nearest ones that are neither. Those too near to the current price are left out. Products of other markets have
    their ``current`` prices in money by name; a ``consent`` stands for ``guardrails.test_change``.
    """
    today = rules_of_test(product, consent)
    if today.config.pause:
        return []
    widths = dict.fromkeys(min(width, today.config.test_change or width) for width in WIDTHS)
    sides = (side for width in widths for side in (1 / (1 + width), 1 + width))
    found = dict[float, ArmPrices]()
    for way in filter(None, (_reach(product, today, side, current) for side in sides)):
        out = _rows_to(today, [today.now], way[-1])
        back = _rows_to(today, way, today.now)
        if out is not None and back is not None:
            wait = next(row for row, price in enumerate(way) if price != today.now)
            now, price = round(today.now, DIGITS), round(way[-1], DIGITS)
            found.setdefault(price, ArmPrices(now, price, max(out, back, len(way) - 1 - wait), wait))
    return list(found.values())


def _reach(product: Product, today: Today, side: float, current: Mapping[str, float] | None) -> list[float]:
    """Return the prices in money from today to the last change towards the current one times ``side``, if there is any.

    The price reached is the nearest one that was tried, or has consent, and that no relation forbids.
    """
    kept = {**(current or {}), **product.market.preprocessor.current_prices}
    related = product.dynamics.guardrails.related
    far = 1 + (today.config.test_change or 0.0)
    tried = product.history.tried_prices
    low, high = span_between(related, product.name, kept)
    step = today.config.price_step
    # rounded towards the current price, so that rounding makes no step too long
    wanted = _on_grid(today.now * side, step, up=side < 1)
    least = max(min(tried[0], today.now / far), _on_grid(low, step, up=True))
    most = min(max(tried[1], today.now * far), _on_grid(high, step, up=False))
    way = _walk_out(today, min(max(wanted, least), most))
    near = not way or abs(way[-1] / today.now - 1) < NEAREST or (way[-1] - today.now) * (side - 1) < 0
    return [] if near or broken_by(related, product.name, way[-1], kept) else way


def gate_blocks(product: Product, wait: int, wanted: Sequence[float]) -> list[float]:
    """Return the price that the gate lets pass on each row, in money, after ``wait`` more rows at the current price."""
    today = rules_of_test(product)
    return [round(price, DIGITS) for price in _walk(today, [today.now] * wait + list(wanted))][wait:]


def _walk(today: Today, wanted: Sequence[float]) -> Iterator[float]:
    """Yield the price that the gate lets pass on each row, in money, as far as it is asked for."""
    for price in wanted:
        stays = today.too_young() or price == today.now  # the gate keeps a young price, too, but takes longer
        charged = today.now if stays else pass_gate(price, today).price
        today = today.charge(charged)
        yield charged


def _on_grid(price: float, step: float, up: bool) -> float:
    """Return the next price on the grid, ``up`` or down; an infinite one as it is."""
    if math.isinf(price):
        return price
    steps = in_steps(price, step)
    return from_steps(math.ceil(steps - WHOLE) if up else math.floor(steps + WHOLE), step)


def _walk_out(today: Today, wanted: float) -> list[float]:
    """Return the prices of the days from now to the last change towards a price; empty if there is none in time."""
    prices = list[float]()
    for price in _walk(today, [wanted] * (LONGEST_WAIT + LONGEST_WAY)):
        prices.append(price)
        wait = next((row for row, price in enumerate(prices) if price != today.now), len(prices))
        if wait >= LONGEST_WAIT or len(prices) - wait >= LONGEST_WAY or today.same(price, wanted):
            break
    return prices[: prices.index(prices[-1]) + 1] if prices[-1] != today.now else []


def _rows_to(today: Today, way: Sequence[float], target: float) -> int | None:
    """Return the rows on the way to a price after a week at the end of another way, unless it takes too long."""
    there = today.charge(*way, *[way[-1]] * (steps_in(WEEK, today.log.step_days) - 1))
    prices = _walk(there, [target] * LONGEST_WAY)
    return next((rows for rows, price in enumerate(prices) if today.same(price, target)), None)
