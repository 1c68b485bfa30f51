"""References of the reward: every product at its median and at its current price, in every posterior draw.

The *median price* is over the last four weeks or, in the preset ``upward``, of the whole history. It is not the
reference price that buyers remember; see ``market.demand.reference_price``. Profit is compared with that at the current
price, which a change must improve on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.market.market import Market
from pricerl.market.reward import Spans


class References(NamedTuple):
    """Outcomes on an average weekday, each ``(P, K + 1)`` but the first."""

    price: Tensor
    """``(P,)`` median price, in money."""
    sales: Tensor
    """At the median price; so are the conversions."""
    organic: Tensor
    ad: Tensor
    profit: Tensor
    """At the current price, before fixed cost; may be negative. Revenue if that is the measure."""
    profit_unit: Tensor
    """Profit that counts as a gain of 1: the mean over the draws at the current price, at least ``MIN_MARGIN`` of the
    sales there, so that a gain counts alike in all draws, as in the account of a quarter."""
    objective: Tensor
    """Objective of a day at the current price; the reward is the utility of the gain over it."""


MIN_MARGIN = 0.10
"""Smallest margin, as a share of sales, by which profit gains are divided. The default step of 5 % adds at most 5 % of
sales, so that it counts as a gain of at most one half, however thin the margin is."""


def find_references(market: Market, median: Tensor, current: Tensor) -> References:
    """Return the outcomes at the median and the current price ``(P,)``, for every product and draw."""
    indices = (torch.arange(count, device=market.device) for count in market.share_kept.shape)
    product, draw = torch.meshgrid(*indices, indexing="ij")
    usual, now = (market.average_day(price[product], product, draw) for price in (median, current))
    profit = market.rows(product, draw).contribution(current[product], now.expected_units)
    earned, sold = (values[:, : market.num_draws].mean(1, keepdim=True) for values in (profit, now.sales))
    return References(
        price=median,
        sales=usual.sales,
        organic=usual.organic,
        ad=usual.ad,
        profit=profit,
        profit_unit=torch.maximum(earned, MIN_MARGIN * sold).expand_as(profit),
        objective=torch.zeros_like(profit),
    )


def find_spans(market: Market, reference: References) -> Spans:
    """Return 5th to 95th percentile of each history over its reference in the mean market, ``(P,)``, at least 5 %."""
    products = market.preprocessor.products
    series = [np.stack((item.price, item.sales, item.organic, item.ad))[:, item.observed] for item in products]
    ranges = np.stack([np.diff(np.percentile(values, [5, 95], axis=1), axis=0)[0] for values in series])
    spans = torch.tensor(np.nan_to_num(ranges), dtype=torch.float32, device=market.device).T
    in_mean = (value[:, market.mean_draw] for value in (reference.sales, reference.organic, reference.ad))
    scales = zip(spans, (reference.price, *in_mean), strict=True)
    return Spans(*((span / scale).clamp(min=0.05) for span, scale in scales))


def find_spread(market: Market, reference: References) -> Tensor:
    """Return the standard deviation over draws of profit at every price of the grid, ``(P, G)``.

    Profit is taken relative to that at the median price, so that an uncertain level of demand does not count, and in
    units of the profit gain.
    """
    num_draws = market.num_draws
    prices = np.exp([product.log_grid for product in market.products])
    price = torch.as_tensor(prices, dtype=market.log_curves.dtype, device=market.device)
    product = torch.arange(market.num_products, device=market.device)[:, None, None]
    rows = market.rows(product, torch.arange(num_draws, device=market.device)[:, None])
    units = market.log_curves[:, :num_draws, :, 0].exp()
    sales, unit = (value[:, :num_draws, None] for value in (reference.sales, reference.profit_unit))
    median = reference.price[:, None, None]
    at_median = rows.contribution(median, sales / (rows.share_paid * median))
    return ((rows.contribution(price[:, None], units) - at_median) / unit).std(1, correction=0)
