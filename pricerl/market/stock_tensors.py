"""Stock of all products as tensors, and the projection of orders onto its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock


class StockRows(NamedTuple):
    """Fields of `Stock`, rows last: inbound ``(6, B)``, season ``(26, B)``; absent limits are infinite, values NaN."""

    on_hand: Tensor
    inbound: Tensor
    lead_weeks: Tensor
    late_share: Tensor
    storage_fee: Tensor
    spoilage: Tensor
    leftover_value: Tensor
    season_end: Tensor
    season: Tensor
    largest_order: Tensor
    smallest_order: Tensor
    pack_size: Tensor
    budget: Tensor

    def rows(self, product: Tensor) -> StockRows:
        """Return the stock of each row's product ``(B,)``."""
        return StockRows(*(value[..., product] for value in self))

    def write_off(self, unit_cost: Tensor) -> Tensor:
        """Return the money ``(B,)`` that a unit left at the end loses of its cost; none if it goes on selling."""
        return (unit_cost - self.leftover_value).nan_to_num(0.0)

    @property
    def lot(self) -> Tensor:
        """Smallest order in whole packs, units ``(B,)``."""
        return torch.ceil(self.smallest_order.clamp(min=1) / self.pack_size) * self.pack_size


def stack_stocks(stocks: Sequence[Stock], device: torch.device) -> StockRows:
    """Return the stocks of ``P`` products as tensors."""

    def column(name: str) -> Tensor:
        values: list[Any] = [getattr(item, name) for item in stocks]
        if name == "inbound":
            values = [[*value, *[0.0] * MOST_LEAD_WEEKS][:MOST_LEAD_WEEKS] for value in values]
        if name == "season":
            values = [value or (1.0,) * MOST_WEEKS for value in values]
        absent = math.nan if name == "leftover_value" else math.inf
        known = [absent if value is None else value for value in values]
        return torch.tensor(known, dtype=torch.float32, device=device).movedim(0, -1)

    return StockRows(*map(column, StockRows._fields))


def project_order(order: Tensor, held: Tensor, unit_cost: Tensor, stock: StockRows, arrives: Tensor) -> Tensor:
    """Return the allowed order ``(B,)`` nearest to a proposed one, units; none for NaN, or if none is allowed.

    ``held`` counts units on hand and on the way, ``unit_cost`` is money, and ``arrives`` says whether an order arrives
    before the season ends.
    """
    room = torch.minimum(stock.largest_order, stock.budget / unit_cost.clamp(min=1e-9) - held)
    most = torch.floor(room.clamp(min=0) / stock.pack_size) * stock.pack_size
    wanted = torch.minimum(torch.nan_to_num(order, nan=0.0), most)
    packs = torch.round(wanted / stock.pack_size) * stock.pack_size
    lot = stock.lot
    placed = torch.where(packs < lot, torch.where(wanted >= lot / 2, lot, 0.0), packs)
    return torch.where(arrives & (placed <= most), placed, 0.0)
