"""Reference price: the smoothed past price with which buyers compare the current one.

It must not be confused with the *median price* of ``env.references``, with which the reward compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray

REFERENCE_MEMORY = 0.9
"""Weight of yesterday's reference price in today's: buyers adapt to a price in about ten days, 0.48 after a week."""


@dataclass(frozen=True)
class PriceMemory:
    """Reference-price effect on demand in ``K`` posterior draws, in log units per log price.

    Losses weigh at least as much as gains (Kahneman and Tversky 1979; Kalyanaram and Winer 1995): with the opposite
    sign, the best policy would swing the price forever.
    """

    gain: FloatArray
    """``(K,)`` gain below the reference price, at least 0."""
    loss: FloatArray
    """``(K,)`` loss above it, at least ``gain``."""
    step_days: int = 1
    """Days from one price of a path to the next."""

    def lifts(self, price: FloatArray) -> FloatArray:
        """Return the demand multiplier of each day in each draw, ``(K, D)``, for daily prices ``(D,)``, in money."""
        log_price = np.log(price)
        return self._lifts_of(log_price - reference_prices(log_price, self.step_days)[:-1])

    def lifts_after(self, reference: float, paths: FloatArray) -> FloatArray:
        """Return the multiplier of each day ``(K, N, H)`` of paths in money ``(N, H)`` after a log reference price."""
        kept = REFERENCE_MEMORY**self.step_days
        rise = np.log(paths, dtype=np.float64)
        remembered = np.full(len(paths), reference)
        for today in rise.T:
            now = today.copy()
            today -= remembered
            remembered = kept * remembered + (1 - kept) * now
        return self._lifts_of(rise)

    def _lifts_of(self, rise: FloatArray) -> FloatArray:
        """Return the multipliers ``(K, ...)`` for log prices ``(...)`` above the reference price.

        One of the two products of a sum is 0. Single precision is enough, and four times as fast.
        """
        sides = np.stack([np.maximum(rise, 0), np.minimum(rise, 0)]).reshape(2, -1).astype(np.float32)
        effect = -np.column_stack([self.loss, self.gain]).astype(np.float32) @ sides
        return np.asarray(np.exp(effect, out=effect).reshape(-1, *rise.shape))


def reference_prices(log_price: FloatArray, step_days: int = 1) -> FloatArray:
    """Return the log reference price before each day and after the last one, ``(D + 1,)``, of prices ``(D,)``.

    ``r' = 0.9 r + 0.1 x`` from day to day, oldest first, starting at the first price.
    """
    rise = np.append(log_price, log_price[-1]) - log_price[0]
    return np.asarray(smooth(rise, REFERENCE_MEMORY**step_days) + log_price[0])


def smooth(values: FloatArray, kept: float) -> FloatArray:
    """Return the exponential smoothing before each day, ``s' = kept s + (1 - kept) x`` from 0 on, ``(D,)``.

    ``scipy.signal.lfilter`` makes the same numbers, but its import takes 0.6 s.
    """
    new = 1 - kept
    return np.array([*accumulate(values[:-1].tolist(), lambda state, value: new * value + kept * state, initial=0.0)])


def lift(rise: Tensor, gain: Tensor, loss: Tensor) -> Tensor:
    """Return the demand multiplier at a log price ``rise`` above the reference price; shapes broadcast."""
    return (-(torch.where(rise > 0, loss, gain) * rise)).exp()


def fade(days: int, device: torch.device, step_days: int = 1) -> Tensor:
    """Return the share ``(n, 1)`` of the first day's rise above the reference price left on each of ``n`` days."""
    return torch.pow(REFERENCE_MEMORY**step_days, torch.arange(days, device=device))[:, None]
