"""A week of shelves: units that move, and the money that they earn, as pure functions over batched tensors.

Shapes may be any, with products last, with which a `StockRows` broadcasts.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_LEAD_WEEKS
from pricerl.errors import refuse
from pricerl.market.reward import ResolvedReward
from pricerl.market.stock_tensors import StockRows

LEVEL_DRIFT = 0.05
"""Sd of the weekly change of the log demand level: 0.25 in half a year, as for goods whose fashion passes slowly."""


def check_stocked(reward: ResolvedReward, hold: int) -> None:
    """Raise a ``UsageError`` if the objective is not profit alone, or prices must be held beyond a week."""
    refuse(
        {
            f"stock: prices and orders seek profit alone; choose preset profit, not {reward.name}": (
                reward.measure != "profit" or not reward.is_measure
            ),
            f"stock: prices change weekly; set guardrails.min_hold_days to 7 or less, found {hold}": hold > WEEK,
        }
    )


def move_units(
    on_hand: Tensor, inbound: Tensor, order: Tensor, demand: Tensor, late: Tensor | float, stock: StockRows
) -> tuple[Tensor, Tensor, Tensor]:
    """Return units on hand ``(B,)`` and on the way ``(6, B)`` after a week, and those sold of a ``demand (B,)``.

    The next delivery is put off by a week where it is ``late``. All may have further axes.
    """
    sold = torch.minimum(demand, on_hand)
    slots = torch.arange(1, MOST_LEAD_WEEKS + 1, device=order.device).view(-1, *[1] * order.dim())
    due = inbound + (slots == stock.lead_weeks) * order
    put_off = due[0] * late
    after = torch.cat([(due[1] + put_off)[None], due[2:], torch.zeros_like(due[:1])])
    return (on_hand - sold) * (1 - stock.spoilage) + due[0] - put_off, after, sold


class Earnings(Protocol):
    """Earnings of a unit, as in a `MarketRows`."""

    @property
    def counted_cost(self) -> Tensor:
        """Cost of a unit that counts, in money."""

    def contribution(self, price: Tensor, units: Tensor) -> Tensor:
        """Return what counts of the sales of units at a price less their costs, in money."""


def count_profit(
    rows: Earnings, stock: StockRows, price: Tensor, sold: Tensor, left: Tensor, held: Tensor, week: int | Tensor
) -> Tensor:
    """Return the profit of an open week ``(B,)``, or of several ``(T, B)``, from its price, in money, and units.

    It is the contribution of the units sold, less storage, spoiled units at cost and, at the end, what leftovers lose.
    ``left`` units are on hand before any spoil or arrive, and ``held`` on hand and on the way after it.
    """
    cost = rows.counted_cost
    kept = stock.storage_fee + cost * stock.spoilage
    loss = torch.where(stock.season_end == week + 1, stock.write_off(cost) * held, 0.0)
    return rows.contribution(price, sold) - kept * left - loss
