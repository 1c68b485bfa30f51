"""Description of a market in a few constant features, which let one policy price many products.

They describe the posterior, not a row's draw, so all of them are known when the decision is made.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, steps_in
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
    "best_price",
)
"""Features in order. Elasticity 10 % below, at and 10 % above the median price, and its sd over the posterior draws.
Reference-price effect of a rise; margin after fees and unit cost; units per day; demand of the last weeks over the
whole history's. Scaled median price, span of the scaler's prices, and scaled best constant price by the objective."""

PRICES = 81
"""Prices between the limits among which the best one is sought: about 1 % apart."""


@torch.no_grad()
def describe(market: Market, references: References, history: HistoryTensors, best_price: Tensor) -> Tensor:
    """Describe every product, ``(P, M)`` in [0, 1].

    An absolute elasticity of 8, its sd of 2 and a loss of 4 are scaled to 1, volumes of 0.1 and 10,000 to 0 and 1.
    ``best_price (P,)`` is money.
    """
    slopes = torch.stack([_elasticity(market, ratio * references.price) for ratio in (0.9, 1.0, 1.1)])
    below, at_median, above = -slopes.mean(2) / 8
    draws = slice(0, market.num_draws)
    kept = market.counted_share[:, draws].mean(1)
    cost = market.counted_cost[:, draws].mean(1)
    paid = market.share_paid * references.price
    units = references.sales[:, market.mean_draw] / paid
    lowest = history.bias[:, 0]  # minus the lowest price over the scaler's span
    seasons = []
    for product in market.preprocessor.products:
        daily = product.units[product.observed]
        recent = daily[-steps_in(RECENT_DAYS, product.step_days) :]
        seasons.append(np.log(max(recent.mean(), 1e-3) / max(daily.mean(), 1e-3)))
    columns = [
        below,
        at_median,
        above,
        slopes[1].std(1, correction=0) / 2,
        market.memory_loss[:, draws].mean(1) / 4,
        1 - cost / (kept * paid),
        (units.clamp(min=1e-6).log10() + 1) / 5,
        0.5 + 0.5 * torch.tensor(seasons, dtype=torch.float32, device=market.device),
        history.gain[:, 0] * references.price + lowest,
        ((1 - lowest) / -lowest).log(),
        history.gain[:, 0] * best_price + lowest,
    ]
    return torch.stack(columns, 1).nan_to_num(0.5, 1.0, 0.0).clamp(0, 1)


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
