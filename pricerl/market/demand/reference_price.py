"""The price buyers are used to: where the price lies above it they buy less, until they are used to that one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from pricerl.arrays import FloatArray

REFERENCE_MEMORY = 0.9
"""Share of yesterday's reference price in today's: buyers get used to a price in some ten days."""


@dataclass(frozen=True)
class PriceMemory:
    """How much a price off the reference price moves demand in ``K`` posterior draws, in log units a log price.

    Losses weigh at least as much as gains (Kahneman and Tversky 1979; Kalyanaram and Winer 1995): with the opposite
    sign the best policy would be to swing the price for ever.
    """

    gain: FloatArray
    """``(K,)`` won below the reference price, 0 or more."""
    loss: FloatArray
    """``(K,)`` lost above it, at least ``gain``."""

    def lifts(self, price: FloatArray) -> FloatArray:
        """What it makes of demand on each day of a series of prices ``(D,)``, money, in every market: ``(K, D)``."""
        log_price = np.log(price)
        rise = log_price - reference_prices(log_price)[:-1]
        return np.exp(-np.where(rise > 0, self.loss[:, None], self.gain[:, None]) * rise)


def reference_prices(log_price: FloatArray) -> FloatArray:
    """Log reference price before each day ``(D,)`` and after the last one: ``(D + 1,)``, oldest first.

    ``r' = 0.9 r + 0.1 x``, starting at the first price.
    """
    x = np.append(log_price, log_price[-1]) - log_price[0]
    reference = lfilter([0.0, 1 - REFERENCE_MEMORY], [1.0, -REFERENCE_MEMORY], x)
    return np.asarray(reference + log_price[0])


def lift(rise: Tensor, gain: Tensor, loss: Tensor) -> Tensor:
    """What buyers' memory makes of demand at a log price ``rise`` above the reference price; shapes broadcast."""
    return (-torch.where(rise > 0, loss, gain) * rise).exp()


def fade(days: int, device: torch.device) -> Tensor:
    """Share ``(n, 1)`` of a first day's rise over the reference price left on each of ``n`` days of one price."""
    return torch.pow(REFERENCE_MEMORY, torch.arange(days, device=device))[:, None]
