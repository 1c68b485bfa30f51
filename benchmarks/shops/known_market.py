"""Markets whose demand is exactly known, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.cost import CostPosterior
from pricerl.market.demand.config import GRID_MARGIN
from pricerl.market.demand.curves import CurveDraws
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.regression import SIZE_RANGE
from pricerl.market.fitting import assemble
from pricerl.market.market import Market, ProductMarket

KNOWN_GRID = 257
"""Grid points of a known market."""
POISSON_SIZE = SIZE_RANGE[1]
"""Negative-binomial size of a known market: nearly Poisson."""


def known_market(
    preprocessor: DataPreprocessor,
    units: Callable[[FloatArray], FloatArray],
    cost: CostConfig,
    memory: PriceMemory | None = None,
) -> Market:
    """Build a market with exactly known demand.

    Args:
        preprocessor: history for the observations.
        units: expected units per day at each price, ``(G,) -> (G,)``.
        cost: unit cost, share kept (1 if absent) and fixed cost (0 if absent).
        memory: reference-price effect, one draw; none if absent.
    """
    share_kept = 1.0 if cost.share_kept is None else cost.share_kept
    share, unit_cost, fixed = (
        np.array([value]) for value in (share_kept, cost.unit_cost or 0.0, cost.fixed_cost or 0.0)
    )
    fitted = []
    for product in preprocessor.products:
        low, high = product.price.min() / GRID_MARGIN, product.price.max() * GRID_MARGIN
        log_grid = np.linspace(np.log(low), np.log(high), KNOWN_GRID)
        log_units = np.log(np.maximum(units(np.exp(log_grid)), 1e-9))[None]
        curves = CurveDraws(log_units, np.full(len(log_grid), np.inf), POISSON_SIZE)
        posterior = CostPosterior(share, unit_cost, fixed, known=True, profit_days=0)
        fitted.append(
            ProductMarket(
                log_grid=log_grid,
                units=curves,
                weekday=np.ones(7),
                trades_on=np.ones(7, dtype=bool),
                cost=posterior,
                memory=memory,
            )
        )
    return assemble(preprocessor, fitted)
