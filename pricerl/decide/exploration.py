"""Small random price changes, with the seller's consent, that show how buyers respond.

A kept price never shows that. One that varies at random by one or two percent does: demand did not choose it
("instrumenting while experimenting", Jiang and Li 2025, doi 10.1287/opre.2022.0157). Its distribution is known before.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from pricerl.data.days import DAY
from pricerl.decide.case import Case, Course
from pricerl.decide.decision import EXPLORED
from pricerl.decide.price_path import GatedPath
from pricerl.decide.standing import RandomPrice
from pricerl.env.product import Product
from pricerl.formatting import sentence
from pricerl.guardrails.gate import pass_gate
from pricerl.guardrails.round_prices import next_round_price
from pricerl.market.demand.reference_price import PriceMemory

OFFERED = 0.02
"""Share of the price that is offered to sellers who have not consented yet."""

STRONG = 0.5
"""Median fall of log units per rise of the log price above the remembered one, above which buyers mind changes."""


def vary_at_random(case: Case, course: Course) -> Course | None:
    """Give prices a random part where that shows what the history does not, or offer it before the seller consents."""
    decision = course.decision
    product = case.product
    share = case.config.explore_share
    unsure = decision.unsure or (decision.lacks_evidence and share)
    undecided = decision.follow == "hold" and unsure and decision.grade == "C"
    if not undecided or (product.history.asks and product.history.price_doubt) or mind_changes(product.fitted.memory):
        return None
    gated = replace(course.gated, prices=(case.standing.centre(product.current_price),) * case.horizon)
    varied, drawn = explore(gated, product, share or OFFERED, case.seed)
    if not drawn:
        return None
    if not share:
        return replace(course, offered=OFFERED)
    why = f"{EXPLORED.format(share=f'{100 * share:.2g} %')}. {sentence(decision.why)}"
    decision = replace(decision, follow="step", why=why)
    return replace(course, decision=decision, path=varied.onto(course.path), gated=varied, drawn=drawn)


def explore(gated: GatedPath, product: Product, share: float, seed: int) -> tuple[GatedPath, tuple[RandomPrice, ...]]:
    """Move each price of a path up or down by a share of it, at random, for as long as a price must be held.

    Both prices pass the gate and stay below the next round price, else the path stays. A day's draw depends on seed,
    product and date alone, so that a repetition draws the same.
    """
    today = product.today
    log = today.log
    prices: list[float] = []
    drawn: list[RandomPrice] = []
    left = 0
    for base in gated.prices:
        price = float(log.prices[-1])
        if not left:
            next_round = next_round_price(base)
            part = min(share, (next_round - today.config.price_step) / base - 1)
            low, price, high = (
                pass_gate(base * factor, log.prices[-1], log, today.costs, today.config).price
                for factor in (1 - part, 1, 1 + part)
            )
            left = product.dynamics.days_per_step
            if low < high < next_round:
                date = log.dates[-1] + log.step_days * DAY
                drawn.append(RandomPrice(str(date), (low, high)))
                day = int(date.astype("datetime64[D]").astype(np.int64))
                coin = np.random.default_rng([seed, zlib.crc32(product.name.encode()), day]).integers(2)
                price = high if coin else low
        log = log.charge(price)
        left = left - 1
        prices.append(price)
    return replace(gated, prices=tuple(prices)), tuple(drawn)


def mind_changes(memory: PriceMemory | None) -> bool:
    """Return whether buyers mind rises: the median effect of remembered prices is strong."""
    return memory is not None and float(np.median(memory.loss)) > STRONG
