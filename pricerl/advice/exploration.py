"""Small random price changes, with the seller's consent, that show how buyers respond.

Where the history cannot show that, a kept price never shows it either. A price that varies at random by one or two
percent does: demand did not choose it ("instrumenting while experimenting", Jiang and Li 2025,
doi 10.1287/opre.2022.0157). The distribution of each price is known before its day and enters the decision log.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pricerl.advice.decision import EXPLORED, Decision
from pricerl.advice.final_check import GatedPath, today_of
from pricerl.advice.price_path import PricePath
from pricerl.advice.reasons import sentence
from pricerl.env import Dynamics
from pricerl.guardrails.gate import pass_gate
from pricerl.market.demand.reference_price import PriceMemory

OFFERED = 0.02
"""Share of the price that is offered to sellers who have not consented yet."""

STRONG = 0.5
"""Fall of log units per rise of the log price above the remembered one, from which on buyers mind price changes."""


class RandomPrice(NamedTuple):
    """Distribution that a price was drawn from; it applies until the next one."""

    date: str
    prices: tuple[float, float]
    """Money, each with a probability of one half."""


class ExploredPath(NamedTuple):
    """A path with random parts."""

    gated: GatedPath
    drawn: tuple[RandomPrice, ...]


Published = tuple[Decision, PricePath, GatedPath]
"""A decision, its path, and the prices of that after the gate."""


def vary(
    published: Published, centre: float, dynamics: Dynamics, product: int, share: float, seed: int, suspect: bool
) -> tuple[Published, tuple[RandomPrice, ...], float | None]:
    """Give prices a random part where that shows what the history does not, and the seller consents.

    Args:
        published: advice without it.
        centre: price that a kept price varies around, money; without earlier draws the current price.
        dynamics: market with guardrails.
        product: product index.
        share: ``decision.explore_share``, 0 without consent.
        seed: of the draws.
        suspect: whether whatever set the prices may have followed demand.

    Returns:
        The advice, the distributions of its prices, and the share to offer: where the uncertainty of a gain keeps the
        price, consent is missing, and prices would vary with it.
    """
    decision, path, gated = published
    undecided = decision.follow == "hold" and (decision.unsure or decision.lacks_evidence) and decision.grade == "C"
    helps = undecided or (suspect and decision.follow == "step")
    if not helps or mind_changes(dynamics.market.products[product].memory):
        return published, (), None
    if undecided:
        gated = replace(gated, prices=(centre,) * len(gated.prices))
    varied, drawn = explore(gated, dynamics, product, share or OFFERED, seed)
    if not share:
        return published, (), OFFERED if drawn and decision.unsure else None
    if not drawn:
        return published, (), None
    if undecided:
        why = f"{EXPLORED.format(share=f'{100 * share:.2g} %')}. {sentence(decision.why)}"
        decision = replace(decision, follow="step", why=why)
    return (decision, varied.onto(path), varied), drawn, None


def explore(gated: GatedPath, dynamics: Dynamics, product: int, share: float, seed: int) -> ExploredPath:
    """Move each price of a path up or down by a share of it, at random, for as long as a price must be held.

    Both prices pass the gate, and the path stays as it is where it leaves only one. A day's draw depends on seed,
    product and date alone, so that a repetition of the advice, and a later one on the same day, draw the same.

    Args:
        gated: prices of the next days, money.
        dynamics: market with guardrails.
        product: product index.
        share: size of the random part, as a share of the price.
        seed: of the draws.
    """
    today = today_of(dynamics, product)
    log, name = today.log, dynamics.market.preprocessor.products[product].product
    prices: list[float] = []
    drawn: list[RandomPrice] = []
    left = 0
    for base in gated.prices:
        price = float(log.prices[-1])
        if not left:
            low, high = (
                pass_gate(base * factor, log.prices[-1], log, today.costs, today.config).price
                for factor in (1 - share, 1 + share)
            )
            price, left = low, dynamics.days_per_step
            if low < high:
                date = log.dates[-1] + np.timedelta64(log.step_days, "D")
                drawn.append(RandomPrice(str(date), (low, high)))
                price = high if _coin(seed, name, date) else low
        log, left = log.charge(price), left - 1
        prices.append(price)
    return ExploredPath(GatedPath(tuple(prices), gated.asked, gated.edits), tuple(drawn))


def mind_changes(memory: PriceMemory | None) -> bool:
    """Return whether buyers mind rises: the median effect of remembered prices is strong."""
    return memory is not None and float(np.median(memory.loss)) > STRONG


def _coin(seed: int, product: str, date: np.datetime64) -> bool:
    """Return a fair coin that is thrown once for a seed, a product and a date."""
    key = [seed, zlib.crc32(product.encode()), int(date.astype("datetime64[D]").astype(np.int64))]
    return bool(np.random.default_rng(key).integers(2))
