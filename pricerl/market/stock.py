"""Stock of products: shelf, supplier and season as the seller knows them, and the limits on orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.errors import UsageError

MOST_LEAD_WEEKS = 6
MOST_WEEKS = 26
"""Longest lead time, and the planned half-year."""


@dataclass(frozen=True)
class Stock:
    """Stock of one product, the terms of its supply, and the limits on its orders.

    Raises:
        UsageError: naming every field that is out of range.
    """

    on_hand: float
    """Units that can be sold today."""
    inbound: tuple[float, ...] = ()
    """Units that arrive in one week, two weeks, and so on, at most six."""
    due: tuple[tuple[str, float], ...] = ()
    """The same with their days, ISO format, and units; empty if only the weeks are known."""
    lead_weeks: int = 2
    """Weeks from an order to its arrival, 1 to 6."""
    late_share: float = 0.1
    """Share of deliveries that come a week late."""
    storage_fee: float = 0.0
    """Money per unit left at the end of a week."""
    spoilage: float = 0.0
    """Share of the units left at the end of a week that perish."""
    leftover_value: float | None = None
    """Money per unit left or on the way at the end; its unit cost if absent, as for a product that goes on selling."""
    season_end: int = MOST_WEEKS
    """Weeks until the product stops selling, 1 to 26."""
    season: tuple[float, ...] = ()
    """Expected demand of each of the 26 weeks over that of today; 1 in every week if empty."""
    largest_order: float | None = None
    """Units."""
    smallest_order: float = 0.0
    """Units; a smaller order is not placed at all."""
    pack_size: float = 1.0
    """Units per pack: orders are whole packs."""
    budget: float | None = None
    """Most money, at unit cost, in units on hand and on the way; an order beyond it is cut."""

    def __post_init__(self) -> None:
        ranges = {"lead_weeks": (1, MOST_LEAD_WEEKS), "season_end": (1, MOST_WEEKS), "pack_size": (1, math.inf)}
        ranges |= {"spoilage": (0, 0.99), "late_share": (0, 1)}
        problems = []
        for name, value in vars(self).items():
            low, high = ranges.get(name, (0, math.inf))
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            values = tuple(units for _, units in value) if name == "due" else values
            if not all(math.isfinite(item) and low <= item <= high for item in values):
                problems.append(f"{name} must be {low} to {high}, found {value}")
        weeks = {"lead_weeks": self.lead_weeks, "season_end": self.season_end}
        problems += [f"{name} must be whole weeks, found {value}" for name, value in weeks.items() if value % 1]
        if len(self.inbound) > MOST_LEAD_WEEKS or len(self.season) not in (0, MOST_WEEKS):
            problems.append(f"inbound lists at most {MOST_LEAD_WEEKS} weeks, season {MOST_WEEKS} or none")
        if problems:
            raise UsageError(f"stock: {'; '.join(problems)}")


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
