"""Steps in fees, and the gaps that they leave: prices that earn less than a lower one, whatever buyers do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.price_grid import WHOLE, in_steps

JUST_ABOVE = 1e-4
"""Distance of a price above an edge, as a share of it, which no tolerance of a limit bridges."""


class UnitCosts(NamedTuple):
    """Share of a price kept after fees, and the cost of a unit."""

    share_kept: float
    unit_cost: float
    """Money."""
    known: bool
    steps: tuple[tuple[float, float, float], ...] = ()
    """Prices, ascending, above which fees take this share, and this money per unit, more; ``CostConfig.fee_steps``."""
    counted: bool = True
    """Whether fees count: profit is the measure."""


class Fees(NamedTuple):
    """Fees between two prices, in money: above ``low``, up to ``high``."""

    low: float
    high: float
    share_kept: float
    per_unit: float

    def least(self, left: float, margin: float = 0.0) -> float:
        """Return the lowest price here after which this money and a share of the price are left; infinite if none."""
        share = self.share_kept - margin
        price = max((left + self.per_unit) / share if share > 0 else math.inf, self.low * (1 + JUST_ABOVE))
        return math.inf if price > self.high else price


def fees_by_price(costs: UnitCosts) -> Iterator[Fees]:
    """Yield the fees of all prices, ascending."""
    low, share, per_unit = 0.0, costs.share_kept, 0.0
    for price, more, unit_fee in (*costs.steps, (math.inf, 0.0, 0.0)):
        yield Fees(low, price, share, per_unit)
        low, share, per_unit = price, share - more, per_unit + unit_fee


def least_price(costs: UnitCosts, min_margin: float) -> float:
    """Return the lowest price that leaves a margin, in money: ``k p - f - c >= m p``; infinite if none does."""
    return min(fees.least(costs.unit_cost, min_margin) for fees in fees_by_price(costs))


def fee_gaps(costs: UnitCosts, config: GuardrailConfig, lowest: float) -> list[tuple[float, float]]:
    """Return the gaps as the allowed prices around them, in price steps, ascending; none begins below ``lowest``.

    A unit leaves less inside than at the lower end and, as no higher price sells more units, so does a day. Prices
    above a gap leave the smallest margin, too. The upper end is infinite where no higher price leaves as much again.
    """
    every = [*fees_by_price(costs)] if costs.counted else []
    gaps: list[tuple[float, float]] = []
    for at, fees in enumerate(every[:-1]):
        left = fees.share_kept * fees.high - fees.per_unit
        least = (costs.unit_cost, config.min_margin) if costs.known else (-math.inf, 0.0)
        end = min(max(above.least(left), above.least(*least)) for above in every[at + 1 :])
        if lowest <= fees.high < end / (1 + 2 * JUST_ABOVE) and left > least[0]:
            low = config.menu.below(in_steps(fees.high, config.price_step) * (1 + WHOLE))
            high = config.menu.above(in_steps(end, config.price_step) * (1 - WHOLE))
            before = gaps.pop() if gaps and low < gaps[-1][1] else (low, high)
            gaps.append((before[0], max(high, before[1])))
    return gaps
