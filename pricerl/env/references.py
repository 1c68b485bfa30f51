"""References of the reward: every product at its median price, in every posterior draw.

The *median price* is that of the last four weeks or, in the preset ``upward``, of the whole history. It is not the
reference price that buyers remember; see ``market.demand.reference_price``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.market import Market
from pricerl.market.reward import Spans


class References(NamedTuple):
    """Outcomes at the median price on an average weekday, each ``(P, K + 1)`` but the first."""

    price: Tensor
    """``(P,)`` median price, money."""
    sales: Tensor
    contribution: Tensor
    """Profit before fixed cost, at least ``MIN_CONTRIBUTION`` of sales, because profit gains are divided by it."""
    profit: Tensor
    organic: Tensor
    ad: Tensor


MIN_CONTRIBUTION = 0.05
"""Smallest contribution, as a share of sales."""
MIN_SPAN = 0.05
"""Smallest span of a history, as a share of its reference."""


def find_references(market: Market, price: Tensor) -> References:
    """Return the outcomes at ``price (P,)`` on an average weekday, for every product and draw."""
    indices = (torch.arange(count, device=market.device) for count in market.share_kept.shape)
    product, draw = torch.meshgrid(*indices, indexing="ij")
    _, sales, _, organic, ad = level = market.average_day(price[product], product, draw)
    profit = market.rows(product, draw).contribution(sales, level.expected_units)
    return References(price, sales, torch.maximum(profit, MIN_CONTRIBUTION * sales), profit, organic, ad)


def find_spans(market: Market, reference: References) -> Spans:
    """Return 5th to 95th percentile of each history over its reference in the mean market, ``(P,)`` each."""
    rows = []
    for product in market.preprocessor.products:
        series = (product.price, product.sales, product.organic, product.ad)
        low, high = np.percentile(np.stack(series)[:, product.observed], [5, 95], axis=1)
        rows.append(np.nan_to_num(high - low))
    spans = torch.tensor(np.stack(rows), dtype=torch.float32, device=market.device).T
    in_mean = (value[:, market.mean_draw] for value in (reference.sales, reference.organic, reference.ad))
    scales = zip(spans, (reference.price, *in_mean), strict=True)
    return Spans(*((span / scale).clamp(min=MIN_SPAN) for span, scale in scales))


def find_spread(market: Market, reference: References) -> Tensor:
    """Return the standard deviation over draws of the profit gain at every price of the grid, ``(P, G)``."""
    num_draws, grid = market.num_draws, market.log_curves.shape[2]
    steps = torch.arange(grid, device=market.device)
    price = (market.log_price_low[:, None] + market.log_step[:, None] * steps).exp()
    units = market.log_curves[:, :num_draws, :, 0].exp()
    share, cost = market.share_kept[:, :num_draws, None], market.unit_cost[:, :num_draws, None]
    contribution = (share * price[:, None] - cost) * units
    gain = (contribution - reference.profit[:, :num_draws, None]) / reference.contribution[:, :num_draws, None]
    return gain.std(1, correction=0)
