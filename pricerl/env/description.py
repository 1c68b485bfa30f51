"""Description of a market and of a price's place in it, which let one policy price many products.

It describes the posterior, not a row's draw, so all of it is known when the decision is made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, steps_in
from pricerl.data.history import ProductHistory
from pricerl.env.history_tensors import HistoryTensors
from pricerl.env.references import References
from pricerl.market.market import Market

DESCRIPTION = (
    "elasticity_below",
    "elasticity",
    "elasticity_above",
    "elasticity_sd",
    "memory_loss",
    "margin",
    "volume",
    "season",
    "median_price",
    "price_span",
)
"""Features in order. Elasticity 10 % below, at and 10 % above the median price, and its sd over the posterior draws.
Reference-price effect of a rise; margin after fees and unit cost; units per day; demand of the last weeks over the
whole history's. Scaled median price, and span of the scaler's prices."""

PLACES = ("best_price", "round_price")
"""Log distances from a day's price, in `REACH` largest changes: to the best constant price by the objective, and to the
next price above at which demand may fall; 1 without one."""

REACH = 4.0
"""Largest changes of a price to the edge of what a policy can distinguish."""

PRICES = 81
"""Prices between the limits among which the best one is sought: about 1 % apart."""


@torch.no_grad()
def describe(market: Market, references: References, history: HistoryTensors) -> Tensor:
    """Describe every product, ``(P, M)`` in [0, 1].

    An absolute elasticity of 4 is scaled to a half, its sd of 2 and a loss of 4 to 1, volumes of 0.1 and 10,000 to 0
    and 1.
    """
    slopes = torch.stack([_elasticity(market, ratio * references.price) for ratio in (0.9, 1.0, 1.1)])
    strength = -slopes.mean(2)
    below, at_median, above = strength / (strength.clamp(min=0) + 4)
    product = torch.arange(market.num_products, device=market.device)
    rows = market.rows(product, torch.full_like(product, market.mean_draw))
    paid = market.share_paid * references.price
    units = references.sales[:, market.mean_draw] / paid
    margin = rows.contribution(references.price, torch.ones_like(paid)) / (rows.counted_share * paid)
    lowest = history.bias[:, 0]  # minus the lowest price over the scaler's span
    seasons = [_season(product) for product in market.preprocessor.products]
    columns = [
        below,
        at_median,
        above,
        slopes[1].std(1, correction=0) / 2,
        rows.memory_loss / 4,
        margin,
        (units.clamp(min=1e-6).log10() + 1) / 5,
        0.5 + 0.5 * torch.tensor(seasons, dtype=torch.float32, device=market.device),
        history.gain[:, 0] * references.price + lowest,
        ((1 - lowest) / -lowest).log(),
    ]
    return torch.stack(columns, 1).nan_to_num(0.5, 1.0, 0.0).clamp(0, 1)


class Landmarks(NamedTuple):
    """Prices from which the distance of a price is measured, ``(B,)`` each, or ``(P,)``."""

    log_best: Tensor
    """Best constant price by the objective."""
    log_lower: Tensor
    """Price at which demand may fall at once; see ``Market.lower_edge``."""
    log_upper: Tensor
    reach: Tensor
    """Log distance that is scaled to 1."""

    def locate(self, price: Tensor) -> Tensor:
        """Return the `PLACES` of prices ``(n, B)``, in money, ``(n, 2, B)`` in [0, 1]."""
        log_price = price.log()
        below = torch.stack([self.log_lower - log_price, self.log_upper - log_price])
        above = torch.where(below > 0, below, self.reach).amin(0)
        return torch.stack([0.5 + 0.5 * (self.log_best - log_price) / self.reach, above / self.reach], 1).clamp(0, 1)


def _season(product: ProductHistory) -> float:
    """Return the log of the last weeks' units per day over the whole history's."""
    daily = product.units[product.observed]
    recent = daily[-steps_in(RECENT_DAYS, product.step_days) :]
    return float(np.log(max(recent.mean(), 1e-3) / max(daily.mean(), 1e-3)))


def _elasticity(market: Market, price: Tensor) -> Tensor:
    """Return the elasticity in every posterior draw at a price ``(P,)``, ``(P, K)``, by a difference quotient."""
    step = 0.02  # in log price
    draw = torch.arange(market.num_draws, device=price.device).expand(len(price), -1)
    product = torch.arange(len(price), device=price.device)[:, None].expand_as(draw)
    below, above = (
        market.average_day((price * np.exp(side * step))[:, None].expand_as(draw), product, draw).expected_units.log()
        for side in (-1, 1)
    )
    return (above - below) / (2 * step)
