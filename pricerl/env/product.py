"""One product of a market: its history, its fitted demand and costs, and the rules on its next price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.days import RECENT_DAYS
from pricerl.data.history import ProductHistory
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.limits_in_force import HardLimits
from pricerl.guardrails.today import PriceLog, Today
from pricerl.market.demand.reference_price import reference_prices
from pricerl.market.market import Market, MarketRows, ProductMarket


@dataclass(frozen=True, eq=False)
class Product:
    """One product of the market that some dynamics share, at the end of its history."""

    dynamics: Dynamics
    """Market, reward and guardrails of all products."""
    index: int

    @property
    def market(self) -> Market:
        """Market of all products."""
        return self.dynamics.market

    @property
    def history(self) -> ProductHistory:
        """Recorded days."""
        return self.market.preprocessor.products[self.index]

    @property
    def name(self) -> str:
        """Name in the seller's file."""
        return self.history.product

    @property
    def current_price(self) -> float:
        """Price in force at the end of the history, in money."""
        return self.history.current_price

    @property
    def first_day(self) -> date:
        """First day, or week, after the history."""
        return self.history.next_day

    @property
    def fitted(self) -> ProductMarket:
        """Fitted demand and costs."""
        return self.market.products[self.index]

    @cached_property
    def counted(self) -> ProductMarket:
        """The same with the costs that count: none if revenue is the objective."""
        return self.market.counted(self.index)

    @cached_property
    def draws(self) -> MarketRows:
        """Constants of its posterior draws, ``(K, 1)`` or ``(1, 1)`` each."""
        return self.market.draws(self.index)

    @cached_property
    def log_reference_price(self) -> float:
        """Log of the price that buyers remember at the end of the history."""
        return float(reference_prices(np.log(self.history.price), self.history.step_days)[-1])

    @cached_property
    def today(self) -> Today:
        """Rules around the current price."""
        history = self.history
        guarded = self.dynamics.guarded[self.index]
        last = slice(-max(RECENT_DAYS, self.dynamics.days_per_step), None)
        log = PriceLog(
            history.dates[last].astype("datetime64[D]"),
            history.prices_in_force[last],
            guarded.support,
            self.dynamics.config.action == "step",
            history.step_days,
        )
        return Today(log, guarded.costs, guarded.config)

    @property
    def hard_limits(self) -> HardLimits:
        """Limits that no order can break."""
        limits, step = self.dynamics.limits, self.dynamics.guardrails.price_step
        floor, ceiling = (float(ends[self.index]) for ends in (limits.floor, limits.ceiling))
        return HardLimits(round(max(floor, step), 6), None if math.isinf(ceiling) else round(ceiling, 6), step)

    def dates_ahead(self, days: int) -> DateArray:
        """Return the next days, or weeks, after the history, ``(H,)``."""
        last = self.history.dates[-1].astype("datetime64[D]")
        return np.asarray(last + self.history.step_days * np.arange(1, days + 1))

    def rows(self, count: int = 1) -> Tensor:
        """Return the product's index in ``count`` rows, on the market's device."""
        return torch.full((count,), self.index, device=self.market.device)

    def money(self, prices: FloatArray | list[float] | tuple[float, ...]) -> Tensor:
        """Return prices as the env's single-precision tensor, on the market's device."""
        return torch.as_tensor(np.asarray(prices), dtype=torch.float32, device=self.market.device)
