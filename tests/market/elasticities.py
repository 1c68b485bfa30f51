"""Elasticities of a fitted market."""

from __future__ import annotations

import numpy as np

from pricerl.market.market import log_units_at


def elasticities(product, price, below=0.95, above=1.05):
    """Elasticity of each draw between two prices, ``below`` and ``above`` times ``price``."""
    ends = price * np.array([below, above])
    return np.diff(log_units_at(product, ends))[:, 0] / np.log(above / below)
